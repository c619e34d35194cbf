//! Which traces are told: a share, decided by their name, and of requests no more than so many a second.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use opentelemetry::TraceId;

use super::ids::{self, Parent};

/// A share of traces. All processes with the same share decide the same for the same trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// Of the 2^63 numbers that the last bits of a trace's name may be.
    below: u64,
}

impl Share {
    pub(super) fn new(share: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "it is from 0 to 2^63"
        )]
        let below = (share.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64;
        Self { below }
    }

    /// As OpenTelemetry's own `traceidratio` decides.
    pub(super) fn takes(self, trace: TraceId) -> bool {
        let mut last = [0; 8];
        last.copy_from_slice(&trace.to_bytes()[8..]);
        u64::from_be_bytes(last) >> 1 < self.below
    }
}

/// Decides which requests are traced.
#[derive(Debug)]
pub(super) struct Requests {
    share: Share,
    per_second_max: u32,
    began: Instant,
    /// The second since it began, and how many were taken in it.
    taken: AtomicU64,
    /// Those that were to be traced, and were too many.
    pub(super) left_out: prometheus::IntCounter,
}

impl Requests {
    pub(super) fn new(share: Share, per_second_max: u32, left_out: prometheus::IntCounter) -> Self {
        Self { share, per_second_max, began: Instant::now(), taken: AtomicU64::new(0), left_out }
    }

    /// The trace of a request, if it is to be traced. Whether it is follows its sender where that says so: a trace is
    /// whole or not there.
    pub(super) fn take(&self, parent: Option<Parent>) -> Option<TraceId> {
        let trace = match parent {
            Some(parent) => parent.is_sampled.then_some(parent.place.trace)?,
            None => Some(ids::new_trace()).filter(|&trace| self.share.takes(trace))?,
        };
        if self.has_room(self.began.elapsed().as_secs()) {
            return Some(trace);
        }
        self.left_out.inc();
        None
    }

    /// Whether this second has room for one more. Senders are strangers: what they want traced is not theirs alone to say.
    fn has_room(&self, second: u64) -> bool {
        let second = second << 32;
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            if taken >> 32 << 32 != second {
                return Some(second | 1);
            }
            (taken - second < u64::from(self.per_second_max)).then_some(taken + 1)
        });
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::SpanId;

    use super::{super::ids::Place, *};

    fn requests(share: f64, per_second_max: u32) -> Requests {
        let left_out = prometheus::IntCounter::new("left_out", "left out").unwrap();
        Requests::new(Share::new(share), per_second_max, left_out)
    }

    #[test]
    fn a_share_is_taken_by_the_name_of_the_trace() {
        let trace = |last: u64| TraceId::from(7_u128 << 64 | u128::from(last));
        for last in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(Share::new(1.0).takes(trace(last)), "{last}");
            assert!(!Share::new(0.0).takes(trace(last)), "{last}");
            assert!(!Share::new(f64::NAN).takes(trace(last)), "{last}");
        }
        let quarter = Share::new(0.25);
        assert!(quarter.takes(trace(u64::MAX / 4)) && !quarter.takes(trace(u64::MAX / 4 + 2)));
        let seals = (0..4_000).filter(|&seq| quarter.takes(ids::of_seal("flagmeter", 3, seq).trace)).count();
        assert!((900..1_100).contains(&seals), "{seals}: names of seals are spread evenly");
    }

    #[test]
    fn a_request_follows_its_sender_and_without_one_the_share() {
        let place = Place { trace: TraceId::from(9_u128), span: SpanId::from(5_u64) };
        let parent = |is_sampled| Some(Parent { place, is_sampled });
        for share in [0.0, 1.0] {
            let requests = requests(share, 100);
            assert_eq!(requests.take(parent(true)), Some(place.trace), "{share}");
            assert_eq!(requests.take(parent(false)), None, "{share}");
            assert_eq!(requests.take(None).is_some(), share > 0.5);
            assert_eq!(requests.left_out.get(), 0);
        }
    }

    #[test]
    fn no_second_has_more_than_its_bound() {
        let requests = requests(1.0, 3);
        let taken = |second| (0..10).filter(|_| requests.has_room(second)).count();
        assert_eq!((taken(0), taken(0)), (3, 0));
        assert_eq!((taken(1), taken(7), taken(7)), (3, 3, 0));
    }
}
