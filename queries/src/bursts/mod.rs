//! `GET /v1/bursts`: what was out of the ordinary within a range, for whoever may see these counts.
//!
//! An alert is of a customer, a project, an environment or a flag. Which of them are meant is said by the same filters as in
//! `/v1/usage`: each that is given must name what the alert is of. So a chart of one flag marks what was alerted of that
//! flag, and not what its whole environment did.

pub(crate) mod marks;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use flagmeter_ledger::{Episode, EpisodePage, Episodes};
use flagmeter_model::{Meter, Name, TimeRange};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App, Error, Result,
    access::Principal,
    caching::{self, Stays, Tag},
    operator::bursts::ToldAlert,
    parameters::{Parameters, name},
    problem::Refusals,
    room::Room,
    usage::plan::METERS,
};

/// The parameters that it knows.
pub(crate) const KNOWN: &[&str] = &[
    name::FROM,
    name::TO,
    name::TZ,
    name::METER,
    name::CUSTOMER,
    name::PROJECT,
    name::ENVIRONMENT,
    name::FLAG,
    name::LIMIT,
];
/// Bursts and drops of an answer, where nothing is said and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// The answer of `/v1/bursts`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Told {
    /// Bursts and drops, in the order in which they began; where there are more than fit, the last ones.
    pub(crate) bursts: Vec<Burst>,
    /// Whether there are more, which began before these: ask for a shorter range, or for less.
    pub(crate) more: bool,
}

/// A burst or a drop, from its beginning on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Burst {
    /// The name of the alert that it began, the same wherever it is told.
    #[schema(example = "alert_3c3e76676dc2392abcf7b8cdcc76a6e3")]
    id: String,
    /// Whose.
    #[schema(value_type = String, example = "acme")]
    pub(crate) customer: Name,
    /// In which project; null is all of the customer.
    #[schema(required, value_type = Option<String>, example = "web")]
    pub(crate) project: Option<Name>,
    /// In which environment; null is all of the project.
    #[schema(required, value_type = Option<String>, example = "production")]
    pub(crate) environment: Option<Name>,
    /// Of which flag; null is all of the environment.
    #[schema(required, value_type = Option<String>, example = json!(null))]
    pub(crate) flag: Option<Name>,
    /// What is counted: `evaluations` or `requests`.
    #[schema(example = "evaluations")]
    pub(crate) meter: &'static str,
    /// `burst`, or `drop`: traffic that stops.
    #[schema(example = "burst")]
    pub(crate) kind: &'static str,
    /// When it began.
    #[schema(example = "2026-11-20T12:40:00Z")]
    pub(crate) since: String,
    /// The end of the counts in which it was seen to be over; null while it goes on.
    #[schema(required, example = "2026-11-20T13:05:00Z")]
    pub(crate) until: Option<String>,
    /// Why it is over: `calm`, `new_level` (so much is expected now) or `unknown` (nothing is known any more). Null while it
    /// goes on.
    #[schema(required, example = "calm")]
    pub(crate) why: Option<&'static str>,
    /// What was expected of a minute when it began.
    #[schema(example = "100")]
    pub(crate) expected: String,
    /// Less would have been out of the ordinary.
    #[schema(example = "78")]
    pub(crate) low: String,
    /// And more than this.
    #[schema(example = "122")]
    pub(crate) high: String,
    /// The highest minute that is told of it; of a drop, the lowest.
    #[schema(example = "500")]
    pub(crate) peak: String,
    /// How many times of what was expected that is.
    #[schema(example = 5.0)]
    pub(crate) ratio: f64,
    /// Counts beyond what was expected, as last told; of a drop, those that were missing.
    #[schema(example = "800")]
    pub(crate) excess: String,
    /// Whether it was decided by the rule for traffic of which too few weeks are known.
    #[schema(example = false)]
    pub(crate) learning: bool,
    /// Path and query of the page that shows it.
    #[schema(example = "/usage?customer=acme&project=web&environment=production&meter=evaluations")]
    pub(crate) chart: String,
}

impl From<Episode> for Burst {
    fn from(episode: Episode) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "how many times, for people")]
        let ratio = episode.percent() as f64 / 100.0;
        let Episode { began, over } = episode;
        let began = ToldAlert::from(began);
        let (id, expected, low, high) = (began.id.clone(), began.expected, began.low, began.high);
        let (began_excess, began_peak, began_chart) = (began.excess, began.peak, began.chart);
        // What is over says how much it was in the end, and where that is to be seen.
        let (until, why, excess, peak, chart) = match over.map(ToldAlert::from) {
            Some(over) => (Some(over.seen_at), over.why, over.excess, over.peak, over.chart),
            None => (None, None, began_excess, began_peak, began_chart),
        };
        Self {
            id,
            customer: began.customer,
            project: began.project,
            environment: began.environment,
            flag: began.flag,
            meter: began.meter,
            kind: began.kind,
            since: began.since,
            until,
            why,
            expected,
            low,
            high,
            peak,
            ratio,
            excess,
            learning: began.learning,
            chart,
        }
    }
}

/// Bursts and drops
///
/// What was out of the ordinary at any time of the range, each from its beginning to its end. Customers see their own. Where a
/// filter is given, the alert must be of one of its values: one of a whole environment is not of a flag.
#[utoipa::path(
    get,
    path = "/v1/bursts",
    tag = "usage",
    security(("token" = [])),
    params(
        ("from" = Option<String>, Query, description = "Start: RFC 3339, a date, or a time before now such as -24h, -30d, -15m. Default -24h.", example = "-24h"),
        ("to" = Option<String>, Query, description = "End, not included: the same, or `now`, the default.", example = "now"),
        ("tz" = Option<String>, Query, description = "IANA time zone whose dates are meant. Default: the customer's own zone, else UTC.", example = "Europe/Berlin"),
        ("meter" = Option<String>, Query, description = "`evaluations` or `requests`. Default: both."),
        ("customer" = Option<Vec<String>>, Query, description = "Only these customers. Repeat for several."),
        ("project" = Option<Vec<String>>, Query, description = "Only these projects. Repeat for several."),
        ("environment" = Option<Vec<String>>, Query, description = "Only these environments. Repeat for several."),
        ("flag" = Option<Vec<String>>, Query, description = "Only what was alerted of these flags. Repeat for several."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "So many at most, those that began last. Default 100."),
    ),
    responses(
        (status = 200, description = "The bursts and drops, with a strong `ETag`", body = Told),
        (status = 304, description = "They are still those whose `ETag` was sent as `If-None-Match`"),
        Refusals,
    )
)]
pub(crate) async fn bursts(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let parameters = Parameters::read(&uri, KNOWN)?;
    let zone = parameters.zone(app.zone_of(&principal))?;
    let range = parameters.range(app.clock.now(), zone, "-24h")?;
    let asked = ask(&parameters, &principal, range)?;
    let mut reading = app.reader.begin(&principal).await?;
    let EpisodePage { episodes, more } = reading.episodes(asked).await?;
    let room = reading.room_for(episodes.len()).await?;
    app.metrics.rows(episodes.len());
    let bursts = episodes.into_iter().map(Burst::from).collect();
    respond(&headers, &Told { bursts, more }, room)
}

fn ask(parameters: &Parameters, principal: &Principal, range: TimeRange) -> Result<Episodes> {
    let scope = principal.scope(parameters.filter()?)?;
    let meter = |text: &str| Meter::ALL.into_iter().find(|meter| meter.is_usage() && meter.name() == text);
    Ok(Episodes {
        scope: scope.of_ledger(),
        flags: scope.filter().names.clone(),
        meter: parameters.choice(name::METER, meter, METERS)?,
        range,
        limit: parameters.number(name::LIMIT, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT),
    })
}

/// The answer with its tag: whoever asks again and again is mostly told that nothing is new.
pub(crate) fn respond(headers: &HeaderMap, told: &impl Serialize, room: Room) -> Result<Response> {
    let bytes = serde_json::to_vec(told).map_err(|error| Error::Encoding(error.to_string()))?;
    let tag = Tag::of([bytes.as_slice()]);
    let mut response =
        caching::answer(headers, &tag, Stays::WhileTagged, || Ok(room.body(bytes).into_response()))?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
