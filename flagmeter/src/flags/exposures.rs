//! Flagmeter counts its own flags: each decision is an evaluation, added up in memory and posted like those of any SDK.

use std::{fmt, sync::Arc, time::Duration};

use axum::Router;
use bytes::Bytes;
use flagmeter_rollout::{Exposure, RuntimeFlags};
use http_body_util::Full;
use hyper::{Request, header};
use prometheus::IntCounter;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::warn;

use crate::{
    Result,
    http::{Connection, Url},
    process::metrics::register,
    registry::secret,
};

/// Time between two posts.
const EVERY: Duration = Duration::from_secs(10);
/// What the door answers when it has everything.
const ACCEPTED: u16 = 202;

/// Where exposures are posted.
pub(crate) enum To {
    /// The doors of an edge in this process.
    Doors(Router),
    /// Those of an edge elsewhere.
    Edge(Url),
}

/// Posts exposures.
pub(crate) struct Exposer {
    flags: Arc<RuntimeFlags>,
    to: Opened,
    key: String,
    sdk: String,
    waiting: Option<Waiting>,
    /// Whether the last post was refused: that is said once.
    refused: bool,
    posted: IntCounter,
    failed: IntCounter,
}

/// What was posted last and not taken: posted again as it is, with its idempotency key, before anything else.
#[derive(Clone)]
struct Waiting {
    once: String,
    body: Bytes,
    decisions: u64,
}

/// Why a post was not taken.
struct NotTaken {
    why: String,
    /// It never will be.
    for_good: bool,
}

impl NotTaken {
    fn yet(why: &dyn fmt::Display) -> Self {
        Self { why: why.to_string(), for_good: false }
    }
}

enum Opened {
    Doors(Router),
    Edge(Box<(Url, Connection)>),
}

impl Exposer {
    pub(crate) fn new(
        flags: Arc<RuntimeFlags>,
        to: To,
        (key, process): (String, &str),
        registry: &prometheus::Registry,
    ) -> Result<Self> {
        let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help));
        flags.expose();
        let to = match to {
            To::Doors(router) => Opened::Doors(router),
            To::Edge(url) => Opened::Edge(Box::new((url.clone(), Connection::new(url)))),
        };
        Ok(Self {
            flags,
            to,
            key,
            sdk: format!("flagmeter-{process}/{}", env!("CARGO_PKG_VERSION")),
            waiting: None,
            refused: false,
            posted: counter(
                "flagmeter_flags_exposures_posted_total",
                "Decisions of runtime flags that flagmeter has counted as evaluations.",
            )?,
            failed: counter(
                "flagmeter_flags_exposures_failures_total",
                "Posts of such decisions that were not taken; they are posted again, unless they were refused as wrong.",
            )?,
        })
    }

    /// Posts until it is told to stop. What was not posted by then is not counted: a stop waits for no answer.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let due = async {
            loop {
                tokio::time::sleep(EVERY).await;
                self.post().await;
            }
        };
        let _stopped: Option<()> = stop.run_until_cancelled(due).await;
        Ok(())
    }

    /// One post, where there is something to say.
    async fn post(&mut self) {
        if self.waiting.is_none() {
            let exposures = self.flags.take_exposures();
            if exposures.is_empty() {
                return;
            }
            let decisions = exposures.iter().map(|exposure| exposure.count).sum();
            let (once, body) = (secret("exposures_"), body(&exposures, &self.sdk));
            self.waiting = Some(Waiting { once, body, decisions });
        }
        let Some(Waiting { once, body, decisions }) = self.waiting.clone() else { return };
        match self.send(once, body).await {
            Ok(()) => {
                self.posted.inc_by(decisions);
                self.waiting = None;
                self.refused = false;
            }
            Err(NotTaken { why, for_good: true }) => {
                self.failed.inc();
                self.waiting = None;
                warn!("{decisions} decisions of runtime flags are not counted: {why}");
            }
            Err(NotTaken { why, for_good: false }) => {
                self.failed.inc();
                if !std::mem::replace(&mut self.refused, true) {
                    warn!("decisions of runtime flags are not counted, and posted again: {why}");
                }
            }
        }
    }

    async fn send(&mut self, once: String, body: Bytes) -> Result<(), NotTaken> {
        let request = Request::post("/v1/counts")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header("idempotency-key", once);
        let status = match &mut self.to {
            Opened::Doors(router) => {
                let request =
                    request.body(axum::body::Body::from(body)).map_err(|error| NotTaken::yet(&error))?;
                let Ok(answer) = router.clone().oneshot(request).await;
                answer.status().as_u16()
            }
            Opened::Edge(edge) => {
                let (url, connection) = &mut **edge;
                let request = request.header(header::HOST, url.authority.as_str()).body(Full::new(body));
                let request = request.map_err(|error| NotTaken::yet(&error))?;
                connection.ask(request).await.map_err(|broken| NotTaken::yet(&broken.reason))?.status
            }
        };
        match status {
            ACCEPTED => Ok(()),
            401 => Err(NotTaken::yet(
                &"nobody has the key runtime_flags.exposures_key: take one of the registry",
            )),
            // The same again would be answered the same, and what comes after it would wait for ever.
            400 | 413 | 422 => {
                Err(NotTaken { why: format!("they were answered with {status}"), for_good: true })
            }
            other => Err(NotTaken::yet(&format!("they were answered with {other}"))),
        }
    }
}

/// As flagmeter's own door takes it.
fn body(exposures: &[Exposure], sdk: &str) -> Bytes {
    let count = |Exposure { flag, variant, count }: &Exposure| serde_json::json!({ "flag": flag, "variant": variant, "count": count });
    let counts: Vec<_> = exposures.iter().map(count).collect();
    serde_json::json!({ "counts": counts, "sdk": sdk }).to_string().into()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::{http::HeaderMap, routing::post};
    use flagmeter_model::SystemClock;

    use super::*;

    #[tokio::test]
    async fn decisions_are_added_up_and_posted_again_with_their_key_until_they_are_taken() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        let take = move |headers: HeaderMap, body: String| async move {
            let mut told = told.lock().unwrap();
            let header = |name: &str| headers[name].to_str().unwrap().to_owned();
            told.push((header("authorization"), header("idempotency-key"), body));
            axum::http::StatusCode::from_u16(if told.len() == 1 { 503 } else { 202 }).unwrap()
        };
        let registry = prometheus::Registry::new();
        let flags = Arc::new(RuntimeFlags::new("edge", Arc::new(SystemClock), &registry).unwrap());
        let doors = To::Doors(Router::new().route("/v1/counts", post(take)));
        let mut exposer =
            Exposer::new(Arc::clone(&flags), doors, ("key-1".into(), "edge"), &registry).unwrap();
        exposer.post().await;
        assert!(seen.lock().unwrap().is_empty(), "nothing was decided");
        flags.burst_detection("acme");
        flags.burst_detection("globex");
        exposer.post().await;
        flags.burst_detection("acme");
        exposer.post().await;
        exposer.post().await;
        let seen = seen.lock().unwrap();
        assert_eq!((seen.len(), &seen[0]), (3, &seen[1]));
        assert_ne!(seen[1].1, seen[2].1);
        assert_eq!(seen[0].0, "Bearer key-1");
        let counts =
            |at: usize| serde_json::from_str::<serde_json::Value>(&seen[at].2).unwrap()["counts"].clone();
        assert_eq!(counts(0), serde_json::json!([{"flag": "burst-detection", "variant": "on", "count": 2}]));
        assert_eq!(counts(2)[0]["count"], 1);
        assert_eq!((exposer.posted.get(), exposer.failed.get()), (3, 1));
    }

    fn answering(take: axum::routing::MethodRouter) -> (Exposer, Arc<RuntimeFlags>) {
        let registry = prometheus::Registry::new();
        let flags = Arc::new(RuntimeFlags::new("edge", Arc::new(SystemClock), &registry).unwrap());
        let doors = To::Doors(Router::new().route("/v1/counts", take));
        let exposer = Exposer::new(Arc::clone(&flags), doors, ("key-1".into(), "edge"), &registry).unwrap();
        (exposer, flags)
    }

    #[tokio::test]
    async fn what_is_refused_as_wrong_keeps_nothing_after_it_waiting() {
        for (status, waits) in
            [(400_u16, false), (413, false), (422, false), (401, true), (429, true), (503, true)]
        {
            let answer = axum::http::StatusCode::from_u16(status).unwrap();
            let (mut exposer, flags) = answering(post(move || async move { answer }));
            flags.burst_detection("acme");
            exposer.post().await;
            assert_eq!(exposer.waiting.is_some(), waits, "{status}");
            assert_eq!((exposer.posted.get(), exposer.failed.get()), (0, 1), "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_no_answer() {
        let asked = CancellationToken::new();
        let told = asked.clone();
        let (exposer, flags) = answering(post(move || async move {
            told.cancel();
            std::future::pending::<()>().await;
        }));
        flags.burst_detection("acme");
        let stop = CancellationToken::new();
        let mut running = tokio::task::JoinSet::new();
        running.spawn(exposer.run(stop.clone()));
        asked.cancelled().await;
        stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(1), running.join_next()).await;
        ended.unwrap().unwrap().unwrap().unwrap();
    }
}
