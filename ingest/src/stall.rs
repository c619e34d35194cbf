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
    /// When the log last told what waits.
    told_at: Option<Timestamp>,
    /// Since when it does not tell it, if that is so.
    untold_since: Option<Timestamp>,
    /// When something was last stored, or came in when nothing waited.
    moved_at: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Seen {
            waiting_since: None,
            oldest: None,
            told_at: None,
            untold_since: None,
            moved_at: Instant::now(),
        }))
    }

    /// Records were read.
    pub(crate) fn waits(&self, appended_at: Timestamp) {
        self.note(|seen| seen.waiting_since = seen.waiting_since.into_iter().chain([appended_at]).min());
    }

    /// A step was stored; the oldest record that still waits was appended then.
    pub(crate) fn moved(&self, waiting_since: Option<Timestamp>) {
        let mut seen = self.seen();
        (seen.waiting_since, seen.oldest, seen.moved_at) = (waiting_since, None, Instant::now());
    }

    /// The log told when the oldest record was appended that is not stored yet.
    pub(crate) fn told(&self, oldest: Option<Timestamp>, now: Timestamp) {
        self.note(|seen| (seen.oldest, seen.told_at, seen.untold_since) = (oldest, Some(now), None));
    }

    /// The log does not answer: what it told last may be true no more.
    pub(crate) fn untold(&self, now: Timestamp) {
        self.note(|seen| {
            seen.untold_since.get_or_insert(seen.told_at.unwrap_or(now));
        });
    }

    /// Notes something. If nothing waited until now, the time without progress begins.
    fn note(&self, what: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen();
        let waited = seen.since().is_some();
        what(&mut seen);
        if !waited {
            seen.moved_at = Instant::now();
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Since when something waits, or may wait. Of several partitions one may have come with records that are older than
    /// all that was read of the others.
    fn since(&self) -> Option<Timestamp> {
        [self.waiting_since, self.oldest, self.untold_since].into_iter().flatten().min()
    }

    /// The age of the oldest record that is not stored yet; while the log does not tell, of what could be.
    fn lag(&self, now: Timestamp) -> Duration {
        self.since().map_or(Duration::ZERO, |since| {
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
        let (waits, stood, lag) = {
            let seen = progress.seen();
            (seen.since().is_some(), seen.moved_at.elapsed(), seen.lag(clock.now()))
        };
        metrics.lag_seconds.set(lag.as_secs_f64());
        let is_stalled = waits && stood >= stall_after;
        metrics.stalled.set(i64::from(is_stalled));
        if !is_stalled {
            said_at = None;
        } else if said_at.is_none_or(|at| at.elapsed() >= stall_after) {
            said_at = Some(Instant::now());
            tracing::error!(
                seconds = stood.as_secs(),
                lag_seconds = lag.as_secs(),
                "ingest is stalled: records wait, or the log does not tell whether any do, and nothing was stored; see \
                 whether the store and the log answer"
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
        progress.told(ago(20), now);
        assert_eq!(lag(&progress), 20, "in the log, and not read");
        progress.waits(now.plus_seconds(-10));
        assert_eq!(lag(&progress), 20, "of another partition, which has just come");
        progress.waits(now.plus_seconds(-30));
        assert_eq!(lag(&progress), 30, "read, and not stored");
        progress.moved(ago(10));
        assert_eq!(lag(&progress), 10);
        progress.moved(None);
        assert_eq!(lag(&progress), 0, "what the log told before is stored");
        progress.told(ago(5), now);
        assert_eq!(lag(&progress), 5);
        progress.told(ago(-5), now);
        assert_eq!(lag(&progress), 0, "a clock behind the log's");
    }

    #[test]
    fn a_log_that_does_not_tell_may_have_records_since_it_last_did() {
        let (progress, now) = (Progress::new(), Timestamp::EPOCH.plus_seconds(100));
        let seen = || {
            let seen = progress.seen();
            (seen.lag(now).as_secs(), seen.since().is_some())
        };
        progress.untold(now.plus_seconds(-50));
        assert_eq!(seen(), (50, true), "it has told nothing yet");
        progress.told(None, now.plus_seconds(-40));
        assert_eq!(seen(), (0, false));
        progress.untold(now.plus_seconds(-30));
        progress.untold(now.plus_seconds(-20));
        assert_eq!(seen(), (40, true));
        progress.moved(None);
        assert_eq!(seen(), (40, true), "what was in hand is stored: more may wait");
        progress.told(None, now);
        assert_eq!(seen(), (0, false));
    }
}
