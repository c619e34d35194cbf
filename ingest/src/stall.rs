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
    /// When the oldest record was appended that is not stored yet, as the log told it after something was last
    /// stored: also of those that are not read yet.
    oldest: Option<Timestamp>,
    /// When something was last stored, or came in when nothing waited.
    moved_at: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Seen { waiting_since: None, oldest: None, moved_at: Instant::now() }))
    }

    /// Records were read.
    pub(crate) fn waits(&self, appended_at: Timestamp) {
        let mut seen = self.seen();
        if seen.waiting_since.is_none() {
            seen.waiting_since = Some(appended_at);
            seen.moved_at = Instant::now();
        }
    }

    /// A step was stored; the oldest record that still waits was appended then.
    pub(crate) fn moved(&self, waiting_since: Option<Timestamp>) {
        *self.seen() = Seen { waiting_since, oldest: None, moved_at: Instant::now() };
    }

    /// The log told when the oldest record was appended that is not stored yet.
    pub(crate) fn told(&self, oldest: Option<Timestamp>) {
        self.seen().oldest = oldest;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// The age of the oldest record that is not stored yet. What was read is older than what was not.
    fn lag(&self, now: Timestamp) -> Duration {
        self.waiting_since.or(self.oldest).map_or(Duration::ZERO, |since| {
            Duration::from_millis(u64::try_from(now.millis_since(since)).unwrap_or(0))
        })
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
        let (waiting_since, stood, lag) = {
            let seen = progress.seen();
            (seen.waiting_since, seen.moved_at.elapsed(), seen.lag(clock.now()))
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_the_age_of_the_oldest_record_read_or_not() {
        let (progress, now) = (Progress::new(), Timestamp::EPOCH.plus_seconds(100));
        let ago = |seconds: i64| Some(now.plus_seconds(-seconds));
        let lag = |progress: &Progress| progress.seen().lag(now).as_secs();
        assert_eq!(lag(&progress), 0);
        progress.told(ago(20));
        assert_eq!(lag(&progress), 20, "in the log, and not read");
        progress.waits(now.plus_seconds(-30));
        progress.waits(now.plus_seconds(-10));
        assert_eq!(lag(&progress), 30, "read, and not stored");
        progress.moved(ago(10));
        assert_eq!(lag(&progress), 10);
        progress.moved(None);
        assert_eq!(lag(&progress), 0, "what the log told before is stored");
        progress.told(ago(5));
        assert_eq!(lag(&progress), 5);
        progress.told(ago(-5));
        assert_eq!(lag(&progress), 0, "a clock behind the log's");
    }
}
