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
    /// A store that answers.
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
        let found = match tokio::time::timeout(ANSWER_WITHIN, store.state()).await {
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
mod tests {
    use flagmeter_model::SystemClock;
    use flagmeter_store::embedded::{Config, EmbeddedStore};

    use super::*;

    #[tokio::test]
    async fn it_is_ready_between_its_start_and_its_end_and_says_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path().join("store.sqlite"));
        let store = EmbeddedStore::open(config, Arc::new(SystemClock)).unwrap();
        let readiness = Readiness::default();
        assert_eq!(readiness.look().await, Err("starting".into()));
        readiness.waits_for("waiting for Kafka".into());
        assert_eq!(readiness.look().await, Err("waiting for Kafka".into()));
        readiness.works_with(Needs { store: Some(Arc::new(store)), edge: None });
        assert_eq!(readiness.look().await, Ok(()));
        let look = |ago: Duration| Some((Instant::now().checked_sub(ago).unwrap(), Err("gone".to_owned())));
        *readiness.looked.lock().await = look(Duration::ZERO);
        assert_eq!(readiness.look().await, Err("gone".into()), "who asks often hears the same for a while");
        *readiness.looked.lock().await = look(STANDS_FOR);
        assert_eq!(readiness.look().await, Ok(()));
        readiness.stops();
        assert_eq!(readiness.look().await, Err("stopping".into()));
    }
}
