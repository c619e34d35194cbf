//! Telling when records wait and nothing goes on.

use std::{
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use flagmeter_model::{Clock, Timestamp};
use tokio::time::Instant;

use crate::metrics::Metrics;

/// How far the pipeline is, as the watchdog sees it.
pub(crate) struct Progress(Mutex<Seen>);

struct Seen {
    /// When the oldest record was appended that was read and is not stored yet.
    waiting_since: Option<Timestamp>,
    /// When something was last stored, or came in when nothing waited.
    moved_at: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Seen { waiting_since: None, moved_at: Instant::now() }))
    }

    /// Records were read.
    pub(crate) fn waits(&self, appended_at: Timestamp) {
        let mut seen = self.seen();
        if seen.waiting_since.is_none() {
            *seen = Seen { waiting_since: Some(appended_at), moved_at: Instant::now() };
        }
    }

    /// A step was stored; the oldest record that still waits was appended then.
    pub(crate) fn moved(&self, waiting_since: Option<Timestamp>) {
        *self.seen() = Seen { waiting_since, moved_at: Instant::now() };
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps `lag_seconds` and `stalled` true while the pipeline is busy or stuck; says so once for each
/// `stall_after` without progress.
pub(crate) async fn watch(
    progress: &Progress,
    stall_after: Duration,
    clock: &dyn Clock,
    metrics: &Metrics,
) -> Infallible {
    let mut said_at: Option<Instant> = None;
    loop {
        tokio::time::sleep((stall_after / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))).await;
        let (waiting_since, stood) = {
            let seen = progress.seen();
            (seen.waiting_since, seen.moved_at.elapsed())
        };
        let lag = waiting_since.map_or(Duration::ZERO, |since| {
            Duration::from_millis(u64::try_from(clock.now().millis_since(since)).unwrap_or(0))
        });
        metrics.lag_seconds.set(lag.as_secs_f64());
        let is_stalled = waiting_since.is_some() && stood >= stall_after;
        metrics.stalled.set(i64::from(is_stalled));
        if !is_stalled {
            said_at = None;
        } else if said_at.is_none_or(|at| at.elapsed() >= stall_after) {
            said_at = Some(Instant::now());
            tracing::error!(
                seconds = stood.as_secs(),
                lag_seconds = lag.as_secs(),
                "ingest is stalled: records wait and nothing was stored; see whether the store answers"
            );
        }
    }
}
