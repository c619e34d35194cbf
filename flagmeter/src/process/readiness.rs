//! /healthz and /readyz of a process, the same on each of its addresses: it lives; it is connected and works.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use flagmeter_edge::Edge;
use flagmeter_store::Store;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long the store may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long an answer stands: asking often must not cost the store anything.
const STANDS_FOR: Duration = Duration::from_secs(1);

/// What a process needs to work.
#[derive(Clone, Default)]
pub(crate) struct Needs {
    /// An edge whose journal has room. A log that is away for a while stops no edge.
    pub(crate) edge: Option<Arc<Edge>>,
    /// A store that can be read.
    pub(crate) store: Option<Arc<dyn Store>>,
}

/// Whether the process is ready. Clones tell the same.
#[derive(Clone, Default)]
pub(crate) struct Readiness {
    phase: Arc<Mutex<Phase>>,
    /// The last look, and when it was taken; held while the next is taken.
    looked: Arc<tokio::sync::Mutex<Option<Look>>>,
}

/// When the store was looked at, and what was wrong with it.
type Look = (Instant, Result<(), String>);

#[derive(Clone)]
enum Phase {
    /// Not yet, and why.
    Starting(String),
    Working(Needs),
    Stopping,
}

impl Default for Phase {
    fn default() -> Self {
        Self::Starting("starting".into())
    }
}

impl Readiness {
    /// It is not ready yet, and what it waits for.
    #[cfg(any(feature = "kafka", test))]
    pub(crate) fn waits_for(&self, what: String) {
        *self.phase.lock() = Phase::Starting(what);
    }

    /// It works, as long as this does.
    pub(crate) fn works_with(&self, needs: Needs) {
        *self.phase.lock() = Phase::Working(needs);
    }

    /// It stops.
    pub(crate) fn stops(&self) {
        *self.phase.lock() = Phase::Stopping;
    }

    /// `Err` says why it is not ready.
    async fn look(&self) -> Result<(), String> {
        let phase = self.phase.lock().clone();
        match phase {
            Phase::Starting(why) => Err(why),
            Phase::Stopping => Err("stopping".into()),
            Phase::Working(Needs { edge, store }) => {
                if edge.is_some_and(|edge| edge.is_full()) {
                    return Err("the journal is full: the log takes less than arrives, or nothing".into());
                }
                match store {
                    Some(store) => self.look_at(store.as_ref()).await,
                    None => Ok(()),
                }
            }
        }
    }

    async fn look_at(&self, store: &dyn Store) -> Result<(), String> {
        let mut looked = self.looked.lock().await;
        if let Some((at, found)) = &*looked
            && at.elapsed() < STANDS_FOR
        {
            return found.clone();
        }
        let found = match tokio::time::timeout(ANSWER_WITHIN, store.frontiers()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the store did not answer within {} s", ANSWER_WITHIN.as_secs())),
        };
        *looked = Some((Instant::now(), found.clone()));
        found
    }
}

/// The two routes.
pub(crate) fn router(readiness: Readiness) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route(
        "/readyz",
        get(move || async move {
            match readiness.look().await {
                Ok(()) => "ok\n".into_response(),
                Err(why) => unready(&why),
            }
        }),
    )
}

fn unready(why: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
}

#[cfg(test)]
mod tests;
