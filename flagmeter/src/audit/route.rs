//! `GET /v1/audit`: the audit of a running server, for operators. Where the edges are other processes, it tells
//! nothing of what waits at them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, Uri},
    routing::get,
};
use flagmeter_ledger::Ledger;
use flagmeter_model::{Clock, NodeId};
use flagmeter_queries::{
    Error, InFlight,
    access::{Role, Tokens, authenticate},
};
use flagmeter_store::Store;
use tokio::sync::Semaphore;

use super::{Arrived, Audit, Due, NO_WINDOW, Report, has_window};

/// What the route needs.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ledger: Option<Arc<dyn Ledger>>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The edge of this process, if there is one.
    pub(crate) edge: Option<(Arc<dyn InFlight>, NodeId)>,
}

/// The route. One audit at a time: it reads everything that is kept.
pub(crate) fn router(parts: Parts) -> Router {
    let one = Arc::new(Semaphore::new(1));
    Router::new().route("/v1/audit", get(answer)).with_state((parts, one))
}

async fn answer(
    State((parts, one)): State<(Parts, Arc<Semaphore>)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Report>, Error> {
    let principal = authenticate(&parts.tokens, &headers, uri.path())?;
    if principal.role != Role::Operator {
        return Err(Error::Forbidden("Only the token of an operator may audit.".into()));
    }
    let now = parts.clock.now();
    let range = flagmeter_queries::range(&uri, now)?;
    if !has_window(range, now) {
        return Err(Error::Parameter { name: "from", reason: format!("{NO_WINDOW}.") });
    }
    let Ok(_only_one) = one.try_acquire() else { return Err(Error::Busy { at_once: 1 }) };
    let audit = Audit { store: parts.store, ledger: parts.ledger, range, now };
    let arrived = || match &parts.edge {
        Some((in_flight, node)) => {
            let received = in_flight.received();
            // Asked after it: a seal of a later time has all of it.
            Arrived { received, due: Due::Past(*node, parts.clock.now()) }
        }
        None => Arrived { received: BTreeMap::new(), due: Due::Unknown },
    };
    Ok(Json(audit.run(arrived, |_, _| {}).await?))
}
