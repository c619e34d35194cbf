//! `/v1/embed` and `/embed…`: one chart in the page of somebody else, who needs no token for it.
//!
//! A link holds the question and is signed (`access::links`), so that whoever has it sees the answers to just that. How
//! they are shown (style, colours, title) stands beside it and is anyone's to choose. No cookie is looked at here:
//! what is framed by another site must not show what its viewer could see.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{FromRequest as _, Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use flagmeter_store::Floors;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, Error, Result,
    access::{LINK_SECONDS_MAX, Link, Principal, Refusal},
    bursts::{self, ToldByLink, marks::MARKS_MAX},
    chart::{self, Whose},
    live, moment, page,
    parameters::{Parameters, joined, name},
    problem::{Problem, Refusals},
    service::ForOtherSites,
    usage,
};

/// The parameters of `/embed` and `/embed/chart.svg`: the link, and how it looks.
pub(crate) const KNOWN: &[&str] =
    &joined::<{ 2 + chart::plan::LOOK.len() }>(&[name::LINK, name::PLAIN], chart::plan::LOOK);
/// The parameters of `/embed/live` and `/embed/bursts`.
pub(crate) const LIVE_KNOWN: &[&str] = &[name::LINK];
/// How long a link holds where nothing is said.
const EXPIRES_IN_DEFAULT: &str = "1h";
/// Longest question of a link, in bytes: addresses much longer than that do not get everywhere.
const QUERY_BYTES_MAX: usize = 2_000;

/// What may be shown where.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEmbed {
    /// The question: parameters of `/v1/live`, as in an address.
    #[schema(example = "from=-24h&group_by=flag&limit=5")]
    #[serde(default)]
    query: String,
    /// How long the link holds: a number of s, m, h, d or w, at most 30 days. Default 1h. It ends with its token at the latest.
    #[schema(example = "7d")]
    expires_in: Option<String>,
    /// `lines` or `stacked`, as for `/v1/chart.svg`.
    style: Option<String>,
    /// `light`, `dark`, or `auto`, as for `/v1/chart.svg`.
    theme: Option<String>,
    /// What stands above, at most 200 characters.
    title: Option<String>,
}

/// A link.
#[derive(Serialize, ToSchema)]
pub(crate) struct Embed {
    /// Its address on this server. `/embed/chart.svg` takes the same parameters.
    #[schema(example = "/embed?link=0123456789ab.1795132800.ZnJvbT0tMjRo.…&theme=dark")]
    url: String,
    /// When it ends.
    #[schema(example = "2026-11-27T12:44:54Z")]
    expires_at: String,
}

/// All of it.
pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(embedded))
        .routes(routes!(picture))
        .routes(routes!(marks))
        .routes(routes!(stream))
}

/// A link to one chart
///
/// The link shows what the token may read, for as long as it holds, to whoever has it: the question in it cannot be changed. It ends
/// with its time, and with the token that made it.
#[utoipa::path(
    post,
    path = "/v1/embed",
    tag = "embed",
    security(("token" = [])),
    request_body = NewEmbed,
    responses(
        (status = 201, description = "The link", body = Embed),
        Refusals,
    )
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    principal: Principal,
    request: Request,
) -> Result<(StatusCode, Json<Embed>)> {
    let Json(new): Json<NewEmbed> =
        Json::from_request(request, &()).await.map_err(|error| Error::Body(error.body_text()))?;
    let query = question(&app, &principal, &new.query)?;
    let look = new.look()?;
    let now = app.clock.now();
    let token = app.tokens.find(&principal.token_id);
    let ends_at = token.and_then(|token| token.expires_at);
    let expires_at = now.plus_seconds(new.holds_for()?).floor_to(1);
    let expires_at = ends_at.map_or(expires_at, |ends_at| ends_at.min(expires_at));
    let link = app.tokens.link(&principal.token_id, &query, expires_at);
    let link = link.ok_or(Error::Unauthenticated(Refusal::Unknown))?;
    let embed = Embed { url: format!("/embed?link={link}{look}"), expires_at: expires_at.to_string() };
    Ok((StatusCode::CREATED, Json(embed)))
}

/// The question of a link: one that has an answer for who asks, as far as can be said without giving it.
fn question(app: &App, principal: &Principal, query: &str) -> Result<String> {
    let wrong = |reason: &str| Error::Body(format!("query: {reason}"));
    if query.len() > QUERY_BYTES_MAX {
        return Err(wrong(&format!("it is longer than {QUERY_BYTES_MAX} bytes: ask for fewer names.")));
    }
    let uri = address("/v1/live", query)
        .ok_or_else(|| wrong("it is not what may stand behind ? in an address."))?;
    let parameters = Parameters::read(&uri, live::KNOWN)?;
    let asked = usage::plan::ask(&parameters, principal, app.zone_of(principal), &app.config)?;
    asked.range(app.clock.now())?;
    // A picture shows the top where nothing is said, and so does what is live.
    let is_grouped = parameters.list(name::GROUP_BY).next().is_some();
    let is_bounded = parameters.one(name::LIMIT)?.is_some();
    Ok(if is_grouped && !is_bounded {
        format!("{query}&limit={}", chart::plan::LIMIT_DEFAULT)
    } else {
        query.to_owned()
    })
}

impl NewEmbed {
    /// In seconds.
    fn holds_for(&self) -> Result<i64> {
        let text = self.expires_in.as_deref().unwrap_or(EXPIRES_IN_DEFAULT);
        let seconds =
            moment::parse_span(text).map_err(|reason| Error::Body(format!("expires_in: {reason}")))?;
        if (1..=LINK_SECONDS_MAX).contains(&seconds) {
            return Ok(seconds);
        }
        Err(Error::Body(format!("expires_in: {text:?} is not between 1s and 30d.")))
    }

    /// What stands behind the link in its address.
    fn look(&self) -> Result<String> {
        let given = [(name::STYLE, &self.style), (name::THEME, &self.theme), (name::TITLE, &self.title)];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let look = given.fold(String::new(), |look, (name, value)| look + "&" + name + "=" + &encoded(value));
        // Refused now, and not when somebody looks at it.
        let uri = address("/embed", &look).ok_or_else(|| Error::Body("title: it is too long.".into()))?;
        chart::plan::Look::read(&Parameters::read(&uri, KNOWN)?)?;
        Ok(look)
    }
}

/// A value as it stands in an address.
fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&crate::hex::write(&[byte]).to_ascii_uppercase());
        }
        text
    })
}

fn address(path: &str, query: &str) -> Option<Uri> {
    // What stands behind a # gets lost.
    if query.contains('#') {
        return None;
    }
    format!("{path}?{query}").parse().ok()
}

/// What a request's link asks.
fn follow(app: &App, uri: &Uri, known: &'static [&'static str]) -> Result<(Link, Parameters)> {
    let parameters = Parameters::read(uri, known)?;
    let text = parameters.one(name::LINK)?;
    let text = text.ok_or_else(|| Error::parameter(name::LINK, "It is needed: POST /v1/embed makes one."))?;
    let link = app.tokens.follow(text).map_err(|refusal| {
        tracing::info!(reason = refusal.reason(), path = uri.path(), "a link that does not hold");
        Error::Link(refusal)
    })?;
    Ok((link, parameters))
}

/// The chart of a link as a page
///
/// For the `iframe` of any site: live, or as a picture where there is no script.
#[utoipa::path(
    get,
    path = "/embed",
    tag = "embed",
    params(
        ("link" = String, Query, description = "From `POST /v1/embed`."),
        chart::plan::Described,
        ("plain" = Option<String>, Query, description = "`1`: without script."),
    ),
    responses(
        (status = 200, description = "The page", content_type = "text/html; charset=utf-8", body = String),
        (status = 304, description = "It is still the page whose `ETag` was sent as `If-None-Match`"),
        (status = 400, description = "An unknown or invalid parameter", content_type = "text/html; charset=utf-8", body = String),
        (status = 401, description = "The link does not hold", content_type = "text/html; charset=utf-8", body = String),
    )
)]
pub(crate) async fn embedded(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response {
    let mut response = match follow(&app, &uri, KNOWN).and_then(|(_, parameters)| {
        chart::plan::Look::read(&parameters)?;
        Ok(parameters.one(name::PLAIN)?.is_some())
    }) {
        Ok(is_plain) => {
            let live = (!is_plain).then(|| page::embedded(&headers)).flatten();
            live.unwrap_or_else(|| plain(uri.query().unwrap_or_default()))
        }
        Err(error) => refused(&error),
    };
    response.extensions_mut().insert(ForOtherSites);
    response
}

/// The page without script.
fn plain(query: &str) -> Response {
    let mut source = String::from("/embed/chart.svg?");
    chart::escape(&mut source, query);
    let alt = "A chart of counts. Its numbers stand in words in the picture itself.";
    page::framed(&format!("<a href=\"{source}\"><img src=\"{source}\" alt=\"{alt}\" width=\"100%\"></a>"))
}

/// Why there is no chart: whoever frames it reads no JSON.
fn refused(error: &Error) -> Response {
    let (status, problem) = Problem::of(error);
    let mut words = String::from("<h1>There is no chart here</h1><p>");
    chart::escape(&mut words, problem.detail());
    let mut response = page::framed(&format!("{words}</p>"));
    *response.status_mut() = status;
    if let Error::Link(refusal) = error {
        response.extensions_mut().insert(*refusal);
    }
    response
}

/// The chart of a link as a picture
#[utoipa::path(
    get,
    path = "/embed/chart.svg",
    tag = "embed",
    params(
        ("link" = String, Query, description = "From `POST /v1/embed`."),
        chart::plan::Described,
        ("plain" = Option<String>, Query, description = "It changes nothing."),
    ),
    responses(
        (status = 200, description = "The picture, with a strong `ETag`", content_type = "image/svg+xml", body = String),
        (status = 304, description = "It is still the picture whose `ETag` was sent as `If-None-Match`"),
        Refusals,
    )
)]
pub(crate) async fn picture(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Result<Response> {
    let (link, _) = follow(&app, &uri, KNOWN)?;
    // A picture takes fewer groups than a stream.
    let asked =
        link.query.split('&').map(|pair| match pair.strip_prefix("limit=").map(str::parse::<usize>) {
            Some(Ok(limit)) if limit > chart::plan::LIMIT_MAX => format!("limit={}", chart::plan::LIMIT_MAX),
            _ => pair.to_owned(),
        });
    let look = uri.query().unwrap_or_default().split('&').map(str::to_owned);
    let look = look.filter(|pair| !pair.starts_with("link=") && !pair.starts_with("plain="));
    let query = asked.chain(look).filter(|pair| !pair.is_empty()).collect::<Vec<_>>().join("&");
    let uri = address("/v1/chart.svg", &query).ok_or(Error::Link(Refusal::Malformed))?;
    let mut response = chart::drawn(&app, &link.principal, &uri, &headers, Whose::Nothing).await?;
    response.extensions_mut().insert(ForOtherSites);
    Ok(response)
}

/// The bursts and drops in the chart of a link
///
/// Those that its picture marks: when they began and were over, and how many times of what was expected they were. They tell no
/// name.
#[utoipa::path(
    get,
    path = "/embed/bursts",
    tag = "embed",
    params(("link" = String, Query, description = "From `POST /v1/embed`.")),
    responses(
        (status = 200, description = "The bursts and drops, with a strong `ETag`", body = ToldByLink),
        (status = 304, description = "They are still those whose `ETag` was sent as `If-None-Match`"),
        Refusals,
    )
)]
pub(crate) async fn marks(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Result<Response> {
    let (link, _) = follow(&app, &uri, LIVE_KNOWN)?;
    let uri = address("/v1/live", &link.query).ok_or(Error::Link(Refusal::Malformed))?;
    let parameters = Parameters::read(&uri, live::KNOWN)?;
    let zone = parameters.zone(app.zone_of(&link.principal))?;
    let asked = usage::plan::ask(&parameters, &link.principal, zone, &app.config)?;
    // Rounded outward to whole buckets, as what is drawn.
    let plan = asked.plan(asked.range(app.clock.now())?, &Floors::default(), &app.config)?;
    let asked = asked.episodes(plan.range(), MARKS_MAX);
    bursts::respond(&app, &link.principal, &headers, zone, asked, |page| ToldByLink::of(&page, zone)).await
}

/// The chart of a link, live
///
/// As `/v1/live`, for the question of the link. It ends with the link.
#[utoipa::path(
    get,
    path = "/embed/live",
    tag = "embed",
    params(
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received: browsers send it by themselves."),
        ("link" = String, Query, description = "From `POST /v1/embed`."),
    ),
    responses(
        (status = 200, description = "The stream", content_type = "text/event-stream", body = String),
        (status = 429, description = "So many streams of this customer or token are open already", content_type = "application/problem+json", body = Problem),
        Refusals,
    )
)]
pub(crate) async fn stream(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Result<Response> {
    let (link, _) = follow(&app, &uri, LIVE_KNOWN)?;
    let left = u64::try_from(link.expires_at.millis_since(app.clock.now())).unwrap_or_default();
    let uri = address("/v1/live", &link.query).ok_or(Error::Link(Refusal::Malformed))?;
    let response = live::live(State(app), link.principal, uri, headers).await?;
    Ok(response.map(|body| {
        Body::from_stream(body.into_data_stream().take_until(Box::pin(sleep(Duration::from_millis(left)))))
    }))
}
