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
    began: Instant,
    /// For those whose sender asks. It is decided before anybody knows who that is, so strangers take from each other alone.
    asked: Budget,
    /// For the share of all others.
    shared: Budget,
    /// Those that were to be traced, and were too many.
    pub(super) left_out: prometheus::IntCounter,
}

impl Requests {
    /// Half of the bound is for either, or all of it for senders where there is no share of others.
    pub(super) fn new(share: Share, per_second_max: u32, left_out: prometheus::IntCounter) -> Self {
        let shared = if share.below == 0 { 0 } else { per_second_max.div_ceil(2) };
        let (asked, shared) = (Budget::new(per_second_max - shared), Budget::new(shared));
        Self { share, began: Instant::now(), asked, shared, left_out }
    }

    /// The trace of a request, if it is to be traced. Whether it is follows its sender where that says so: a trace is
    /// whole or not there.
    pub(super) fn take(&self, parent: Option<Parent>) -> Option<TraceId> {
        self.take_in(self.began.elapsed().as_secs(), parent)
    }

    fn take_in(&self, second: u64, parent: Option<Parent>) -> Option<TraceId> {
        let (trace, budget) = match parent {
            Some(parent) => (parent.is_sampled.then_some(parent.place.trace)?, &self.asked),
            None => (Some(ids::new_trace()).filter(|&trace| self.share.takes(trace))?, &self.shared),
        };
        if budget.has_room(second) {
            return Some(trace);
        }
        self.left_out.inc();
        None
    }
}

/// So many a second.
#[derive(Debug)]
struct Budget {
    per_second_max: u32,
    /// The second, and how many were taken in it.
    taken: AtomicU64,
}

impl Budget {
    fn new(per_second_max: u32) -> Self {
        Self { per_second_max, taken: AtomicU64::new(0) }
    }

    /// Whether this second has room for one more.
    fn has_room(&self, second: u64) -> bool {
        let second = second << 32;
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            let so_far = if taken >> 32 << 32 == second { taken - second } else { 0 };
            (so_far < u64::from(self.per_second_max)).then_some(second + so_far + 1)
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
        for most in [0, 1, 3] {
            let budget = Budget::new(most);
            let taken = |second| (0..10).filter(|_| budget.has_room(second)).count();
            let most = most as usize;
            assert_eq!((taken(0), taken(0)), (most, 0));
            assert_eq!((taken(1), taken(7), taken(7)), (most, most, 0));
        }
    }

    #[test]
    fn senders_who_ask_leave_half_of_the_bound_to_the_share_of_others() {
        let place = Place { trace: TraceId::from(9_u128), span: SpanId::from(5_u64) };
        let taken = |share, bound| {
            let requests = requests(share, bound);
            let asked = Some(Parent { place, is_sampled: true });
            [asked, None, asked].map(|parent| (0..50).filter_map(|_| requests.take_in(1, parent)).count())
        };
        assert_eq!(taken(1.0, 10), [5, 5, 0]);
        assert_eq!(taken(1.0, 5), [2, 3, 0]);
        assert_eq!(taken(0.0, 10), [10, 0, 0], "where there are no others, none is kept for them");
        assert_eq!(taken(1.0, 0), [0, 0, 0]);
    }
}
