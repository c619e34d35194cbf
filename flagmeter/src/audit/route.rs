//! `GET /v1/audit`: the audit of a running server, for operators.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, header},
    routing::get,
};
use flagmeter_model::{Clock, NodeId, TimeRange, Timestamp};
use flagmeter_queries::{
    Error, InFlight,
    access::{Refusal, Role, Tokens},
};
use flagmeter_store::Store;
use tokio::sync::Semaphore;

use super::{Arrived, Audit, Due, NO_WINDOW, Report, has_window};

/// The parameters that it knows.
const KNOWN: &[&str] = &["from", "to"];

/// What the route needs.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) in_flight: Arc<dyn InFlight>,
    /// The edge of this process.
    pub(crate) node: NodeId,
}

/// The route. One audit at a time: it reads everything that is kept.
pub(crate) fn router(parts: Parts) -> Router {
    let one = Arc::new(Semaphore::new(1));
    Router::new().route("/v1/audit", get(answer)).with_state((parts, one))
}

async fn answer(
    State((parts, one)): State<(Parts, Arc<Semaphore>)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Report>, Error> {
    let bearer = headers.get(header::AUTHORIZATION).ok_or(Error::Unauthenticated(Refusal::Missing))?;
    let token = bearer.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or(Error::Unauthenticated(Refusal::Malformed))?;
    let principal = parts.tokens.authenticate(token).map_err(Error::Unauthenticated)?;
    if principal.role != Role::Operator {
        return Err(Error::Forbidden("Only the token of an operator may audit.".into()));
    }
    let range = range(query.as_deref().unwrap_or_default())?;
    if !has_window(range, parts.clock.now()) {
        return Err(Error::Parameter { name: "from", reason: format!("{NO_WINDOW}.") });
    }
    let Ok(_only_one) = one.try_acquire() else { return Err(Error::Busy { at_once: 1 }) };
    let audit = Audit { store: parts.store, range, now: parts.clock.now() };
    let arrived = || {
        let received = parts.in_flight.received();
        // Asked after it: a seal of a later time has all of it.
        Arrived { received, due: Due::Past(parts.node, parts.clock.now()) }
    };
    Ok(Json(audit.run(arrived, |_, _| {}).await?))
}

/// `from` and `to` in RFC 3339, both optional.
fn range(query: &str) -> Result<TimeRange, Error> {
    let mut range = TimeRange::new(Timestamp::EPOCH, Timestamp::MAX);
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.replace("%3A", ":").replace("%3a", ":");
        let read = |name: &'static str| {
            Timestamp::parse_rfc3339(&value)
                .map_err(|error| Error::Parameter { name, reason: error.to_string() })
        };
        match name {
            "from" => range.from = read("from")?,
            "to" => range.to = read("to")?,
            _ => {
                let name = name.chars().take(64).collect();
                return Err(Error::ParameterUnknown { name, known: KNOWN });
            }
        }
    }
    Ok(range)
}
