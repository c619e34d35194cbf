//! `/v1/operator/mutes`: planned mutes, so that nobody is woken by what was planned.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequest as _, Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, HeaderName, StatusCode, Uri},
    response::Response,
};
use flagmeter_ledger::{Mute, MuteId, MutePage, MuteState, Mutes as Asked, Muting, Subject};
use flagmeter_model::{Name, Registry, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::{
    App, Error, Result,
    access::Principal,
    billing::{LIMIT_DEFAULT, LIMIT_MAX, cursor::MutedTo},
    moment,
    parameters::{Parameters, name},
    problem::{Problem, Refusals},
    room::Room,
};

/// The parameters that it knows.
pub(crate) const KNOWN: &[&str] = &[name::AFTER, name::CUSTOMER, name::LIMIT, name::STATE];
/// What may be asked for.
pub(crate) const STATES: &[&str] =
    &[MuteState::Active.name(), MuteState::Planned.name(), MuteState::Over.name()];
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key, in characters.
const KEY_CHARS_MAX: usize = 200;

/// The mute that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMute {
    /// Whose bursts and drops.
    #[schema(example = "acme")]
    customer: String,
    /// Those of this project alone.
    #[schema(example = "web")]
    project: Option<String>,
    /// Those of this environment of the project alone.
    #[schema(example = "production")]
    environment: Option<String>,
    /// It is in force from then on, in RFC 3339. Default: now.
    #[schema(example = "2026-11-20T18:00:00Z")]
    from: Option<String>,
    /// It is in force until then, in RFC 3339. This or `for`.
    #[schema(example = "2026-11-20T20:00:00Z")]
    to: Option<String>,
    /// It is in force for so long: a number of s, m, h, d or w. This or `to`.
    #[serde(rename = "for")]
    #[schema(example = "2h")]
    lasts: Option<String>,
    /// Why, in 1 to 200 characters, for whoever sees what is muted.
    #[schema(example = "launch of the new search")]
    reason: String,
}

/// The answer of `/v1/operator/mutes`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mutes {
    /// Those in force and those to come, and then those that are over, the last one first.
    pub(crate) mutes: Vec<ToldMute>,
    /// `after=` of the next request; null at the end.
    #[schema(required)]
    next: Option<String>,
}

/// A planned mute: what is out of the ordinary meanwhile is kept and shown as muted, and nobody is told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToldMute {
    /// Its name.
    #[schema(example = "mute_3c3e76676dc2392abcf7b8cdcc76a6e3")]
    pub(crate) id: String,
    /// Whose bursts and drops.
    #[schema(value_type = String, example = "acme")]
    pub(crate) customer: Name,
    /// Of this project; null: of all of the customer's.
    #[schema(required, value_type = Option<String>, example = "web")]
    pub(crate) project: Option<Name>,
    /// Of this environment; null: of all of the project's.
    #[schema(required, value_type = Option<String>, example = json!(null))]
    pub(crate) environment: Option<Name>,
    /// Whether the registry knows what it is of. What it does not know may be counted and muted all the same.
    #[schema(example = true)]
    registered: bool,
    /// `active` (it is in force), `planned` (it is to come) or `over`.
    #[schema(example = "active")]
    pub(crate) state: &'static str,
    /// It is in force from then on,
    #[schema(example = "2026-11-20T12:40:00Z")]
    pub(crate) from: String,
    /// and until then, unless it is ended before.
    #[schema(example = "2026-11-20T14:40:00Z")]
    to: String,
    /// When it is over: at `to`, or when it was ended.
    #[schema(example = "2026-11-20T14:40:00Z")]
    pub(crate) until: String,
    /// Why.
    #[schema(example = "launch of the new search")]
    pub(crate) reason: String,
    /// Who made it: the id of a token, and what it was made for.
    #[schema(example = "0123456789ab, on call")]
    pub(crate) made_by: String,
    /// When.
    #[schema(example = "2026-11-20T12:40:00Z")]
    made_at: String,
    /// Who ended it before its time; null if nobody did.
    #[schema(required, example = json!(null))]
    pub(crate) ended_by: Option<String>,
    /// When.
    #[schema(required, example = json!(null))]
    ended_at: Option<String>,
}

impl ToldMute {
    fn of(mute: Mute, registry: &Registry, now: Timestamp) -> Self {
        let (state, until) = (mute.state(now).name(), mute.until().to_string());
        let Muting { id, of, from, to, reason, by } = mute.muting;
        let (ended_by, ended_at) = mute.ended.map(|ended| (ended.by, ended.at.to_string())).unzip();
        Self {
            id: id.to_string(),
            registered: is_registered(registry, &of),
            customer: of.customer().clone(),
            project: of.project().cloned(),
            environment: of.environment().cloned(),
            state,
            from: from.to_string(),
            to: to.to_string(),
            until,
            reason,
            made_by: by,
            made_at: mute.made_at.to_string(),
            ended_by,
            ended_at,
        }
    }
}

fn is_registered(registry: &Registry, of: &Subject) -> bool {
    let Some(customer) = registry.customer(of.customer()) else { return false };
    let Some(id) = of.project() else { return true };
    let Some(project) = customer.projects.iter().find(|project| project.id == *id) else { return false };
    of.environment().is_none_or(|id| {
        project.environments.iter().any(|registered| registered.environment.environment == *id)
    })
}

impl NewMute {
    /// What it asks for, where it is `now`. What is not said follows from that.
    fn muting(&self, id: MuteId, by: String, now: Timestamp) -> Result<Muting> {
        let named = |what: &str, text: &String| {
            Name::new(text).map_err(|error| Error::Body(format!("{what}: {error}.")))
        };
        let part = |what, text: &Option<String>| text.as_ref().map(|text| named(what, text)).transpose();
        let customer = named("customer", &self.customer)?;
        let of = Subject::from_names(
            customer,
            part("project", &self.project)?,
            part("environment", &self.environment)?,
            None,
        );
        let of = of.ok_or_else(|| Error::Body("environment: it needs the project that it is in.".into()))?;
        let from = self.from.as_deref().map(|text| time("from", text)).transpose()?;
        let from = from.unwrap_or_else(|| now.floor_to(1));
        let to = match (&self.to, &self.lasts) {
            (Some(to), None) => time("to", to)?,
            (None, Some(lasts)) => {
                let seconds =
                    moment::parse_span(lasts).map_err(|reason| Error::Body(format!("for: {reason}")))?;
                from.plus_seconds(seconds)
            }
            _ => return Err(Error::Body("to: say until when, or with `for` how long: one of them.".into())),
        };
        Ok(Muting { id, of, from, to, reason: self.reason.trim().to_owned(), by })
    }

    /// Whether this is what was wanted of a mute that is kept under its key, now or earlier.
    fn is_of(&self, kept: &Muting, wanted: &Muting) -> bool {
        let is_same_time = match (&self.from, &self.lasts) {
            // It moves along with now.
            (None, Some(_)) => kept.to.millis_since(kept.from) == wanted.to.millis_since(wanted.from),
            (None, None) => kept.to == wanted.to,
            (Some(_), _) => (kept.from, kept.to) == (wanted.from, wanted.to),
        };
        is_same_time && (&kept.of, &kept.reason) == (&wanted.of, &wanted.reason)
    }
}

fn time(what: &str, text: &str) -> Result<Timestamp> {
    moment::rfc3339(text).ok_or_else(|| {
        let text: String = text.chars().take(64).collect();
        Error::Body(format!("{what}: {text:?} is not a time in RFC 3339, such as 2026-11-20T18:00:00Z."))
    })
}

/// The id of the mute that this token makes with this key: the same each time. Without a key it is a new one.
fn id_of(principal: &Principal, headers: &HeaderMap) -> Result<MuteId> {
    let mut bits = [0; 16];
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
        getrandom::fill(&mut bits).map_err(|error| Error::Random(error.to_string()))?;
        return Ok(MuteId::new(u128::from_be_bytes(bits)));
    };
    let key = key.to_str().ok().filter(|key| (1..=KEY_CHARS_MAX).contains(&key.len()));
    let key = key.ok_or_else(|| {
        Error::Body(format!("Idempotency-Key: it must be 1 to {KEY_CHARS_MAX} characters of ASCII."))
    })?;
    let digest = Sha256::digest(format!("mute\n{}\n{key}", principal.token_id));
    bits.iter_mut().zip(digest).for_each(|(bit, byte)| *bit = byte);
    Ok(MuteId::new(u128::from_be_bytes(bits)))
}

/// Who does it, for whoever reads the ledger later.
fn who(app: &App, principal: &Principal) -> String {
    let id = &principal.token_id;
    let note = app.tokens.find(id).and_then(|token| token.note).filter(|note| !note.trim().is_empty());
    note.map_or_else(|| id.clone(), |note| format!("{id}, {note}"))
}

/// What the ledger refuses is what was asked for.
fn refused(error: Error) -> Error {
    match error {
        Error::Ledger(flagmeter_ledger::Error::Refused(why)) => Error::MuteRefused(why),
        other => other,
    }
}

/// Mute bursts and drops for a while
///
/// For operators. What begins meanwhile is kept and shown as muted, and no webhook tells of it; what goes on when the mute is over is
/// told then. With the header `Idempotency-Key` a repeat makes no second one: it is answered with the mute of the first time.
#[utoipa::path(
    post,
    path = "/v1/operator/mutes",
    tag = "operator",
    security(("token" = [])),
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Chosen by who asks, at most 200 characters: the same for each try of the same mute."),
    ),
    request_body = NewMute,
    responses(
        (status = 201, description = "The mute", body = ToldMute),
        (status = 409, description = "The key was used for another mute", content_type = "application/problem+json", body = Problem),
        Refusals,
    )
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    principal: Principal,
    request: Request,
) -> Result<(StatusCode, Json<ToldMute>)> {
    principal.only_operators("mutes, and make them")?;
    let id = id_of(&principal, request.headers())?;
    let Json(new): Json<NewMute> =
        Json::from_request(request, &()).await.map_err(|error| Error::Body(error.body_text()))?;
    let now = app.clock.now();
    let wanted = new.muting(id, who(&app, &principal), now)?;
    let reading = app.reader.begin_of_ledger(&principal).await?;
    let kept = reading.mute(wanted.clone(), now).await.map_err(refused)?;
    if !new.is_of(&kept.muting, &wanted) {
        return Err(Error::KeyReused(id.to_string()));
    }
    let Muting { of, from, to, reason, by, .. } = &kept.muting;
    tracing::info!(%id, %of, %from, %to, reason, by, is_repeat = kept.made_at != now, "a mute was made");
    let told = ToldMute::of(kept, &app.registry.borrow(), now);
    Ok((StatusCode::CREATED, Json(told)))
}

/// End a mute
///
/// For operators. It is in force no more, or never will be, and stays to be seen. Of one that is over the answer is how it is over.
#[utoipa::path(
    delete,
    path = "/v1/operator/mutes/{id}",
    tag = "operator",
    security(("token" = [])),
    params(("id" = String, Path, description = "Which one")),
    responses(
        (status = 200, description = "The mute as it is now", body = ToldMute),
        (status = 404, description = "There is none of that id", content_type = "application/problem+json", body = Problem),
        Refusals,
    )
)]
pub(crate) async fn end(
    State(app): State<Arc<App>>,
    principal: Principal,
    asked: Result<Path<String>, PathRejection>,
) -> Result<Json<ToldMute>> {
    principal.only_operators("mutes, and end them")?;
    // What is no text is no id.
    let text = asked.map(|Path(text)| text).unwrap_or_default();
    let unknown = || Error::MuteUnknown(text.chars().take(64).collect());
    let id = MuteId::from_text(&text).ok_or_else(unknown)?;
    let (now, by) = (app.clock.now(), who(&app, &principal));
    let reading = app.reader.begin_of_ledger(&principal).await?;
    let kept = reading.end_mute(id, by, now).await.map_err(refused)?.ok_or_else(unknown)?;
    let ended_by = kept.ended.as_ref().map(|ended| ended.by.as_str());
    tracing::info!(%id, of = %kept.muting.of, until = %kept.until(), ended_by, "a mute was ended, or was over already");
    Ok(Json(ToldMute::of(kept, &app.registry.borrow(), now)))
}

/// Mutes, those in force and to come first
///
/// For operators: who muted what, from when until when, and why. None is ever removed.
#[utoipa::path(
    get,
    path = "/v1/operator/mutes",
    tag = "operator",
    security(("token" = [])),
    params(
        ("customer" = Option<Vec<String>>, Query, description = "Of these customers; may be repeated. Default: all."),
        ("state" = Option<String>, Query, description = "`active`, `planned` or `over`. Default: all."),
        ("after" = Option<String>, Query, description = "`next` of the answer before. Default: from the first one."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 10_000, description = "Mutes at most. Default 1000."),
    ),
    responses(
        (status = 200, description = "The mutes", body = Mutes),
        Refusals,
    )
)]
pub(crate) async fn mutes(State(app): State<Arc<App>>, principal: Principal, uri: Uri) -> Result<Response> {
    let (mutes, room) = answer(&app, &principal, &Parameters::read(&uri, KNOWN)?).await?;
    room.json(&mutes)
}

/// What is asked, answered, whoever wants it.
pub(crate) async fn answer(
    app: &App,
    principal: &Principal,
    parameters: &Parameters,
) -> Result<(Mutes, Room)> {
    principal.only_operators("mutes")?;
    let after = parameters.one(name::AFTER)?;
    let after = after.map(|text| MutedTo::from_cursor(name::AFTER, text)).transpose()?;
    let now = app.clock.now();
    let asked = Asked {
        customers: principal.scope(parameters.filter()?)?.of_ledger().customers,
        state: parameters.choice(name::STATE, MuteState::from_name, STATES)?,
        at: now,
        after: after.map(|after| after.0),
        limit: parameters.number(name::LIMIT, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT),
    };
    let mut reading = app.reader.begin_of_ledger(principal).await?;
    let MutePage { mutes, looked_to, more } = reading.mutes(asked).await?;
    let room = reading.room_for(mutes.len()).await?;
    app.metrics.rows(mutes.len());
    let registry = Arc::clone(&app.registry.borrow());
    let mutes = mutes.into_iter().map(|mute| ToldMute::of(mute, &registry, now)).collect();
    let next = looked_to.filter(|_| more).map(|key| MutedTo(key).cursor());
    Ok((Mutes { mutes, next }, room))
}
