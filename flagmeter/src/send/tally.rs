//! What became of what was sent.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hdrhistogram::Histogram;

use crate::output::grouped;

/// Counters that the live line reads while clients go on.
#[derive(Debug, Default)]
pub(crate) struct Live {
    posts: AtomicU64,
    acknowledged: AtomicU64,
    troubles: AtomicU64,
}

/// The live counters at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// Posts that were acknowledged.
    pub(crate) posts: u64,
    /// Counts in them.
    pub(crate) acknowledged: u64,
    /// Answers that were no acknowledgement, and connections that broke.
    pub(crate) troubles: u64,
}

impl Live {
    pub(super) fn acknowledged(&self, counts: u64) {
        self.posts.fetch_add(1, Ordering::Relaxed);
        self.acknowledged.fetch_add(counts, Ordering::Relaxed);
    }

    pub(super) fn trouble(&self) {
        self.troubles.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen {
            posts: self.posts.load(Ordering::Relaxed),
            acknowledged: self.acknowledged.load(Ordering::Relaxed),
            troubles: self.troubles.load(Ordering::Relaxed),
        }
    }
}

/// What is known of the counts of one flag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Acknowledged: they must be there.
    pub(crate) acknowledged: u64,
    /// Sent, but the answer did not come: they may be there.
    pub(crate) unknown: u64,
}

impl Fate {
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            acknowledged: self.acknowledged.saturating_add(other.acknowledged),
            unknown: self.unknown.saturating_add(other.unknown),
        }
    }
}

/// The sum of one client's work, or of all clients'.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Posts, each counted once however often it was repeated.
    pub(super) posts: u64,
    /// Counts in them.
    pub(super) counts: u64,
    /// Counts that the server turned away.
    pub(super) rejected: u64,
    /// Repeats of posts.
    pub(super) retries: u64,
    /// What the server answered or how the connection broke, where it was no acknowledgement.
    pub(super) troubles: BTreeMap<String, u64>,
    /// From the moment a post was due to its acknowledgement, in µs.
    pub(super) latency_us: Histogram<u64>,
    /// Per flag, by its position.
    pub(crate) flags: Vec<Fate>,
}

/// Longest latency that is told apart, in µs.
const LATENCY_US_MAX: u64 = 600_000_000;
/// How many kinds of trouble are told apart.
const TROUBLES_MAX: usize = 20;

impl Tally {
    pub(super) fn new(flags: usize) -> Option<Self> {
        Some(Self {
            posts: 0,
            counts: 0,
            rejected: 0,
            retries: 0,
            troubles: BTreeMap::new(),
            latency_us: Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).ok()?,
            flags: vec![Fate::default(); flags],
        })
    }

    pub(super) fn trouble(&mut self, what: String) {
        if self.troubles.len() < TROUBLES_MAX || self.troubles.contains_key(&what) {
            *self.troubles.entry(what).or_default() += 1;
        }
    }

    pub(super) fn latency(&mut self, latency: Duration) {
        self.latency_us.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.posts += other.posts;
        self.counts = self.counts.saturating_add(other.counts);
        self.rejected = self.rejected.saturating_add(other.rejected);
        self.retries += other.retries;
        for (what, times) in &other.troubles {
            *self.troubles.entry(what.clone()).or_default() += times;
        }
        // Both have the same bounds, so the sum has room.
        let _same_bounds = self.latency_us.add(&other.latency_us);
        for (fate, more) in self.flags.iter_mut().zip(&other.flags) {
            *fate = fate.plus(*more);
        }
    }

    /// All flags together.
    pub(super) fn total(&self) -> Fate {
        self.flags.iter().copied().fold(Fate::default(), Fate::plus)
    }

    /// The report at the end.
    pub(super) fn report(&self, took: Duration) -> String {
        let seconds = took.as_secs_f64().max(0.001);
        let fate = self.total();
        let acknowledged_posts = self.latency_us.len();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let per_second = |number: u64| format!("{:.0}", number as f64 / seconds);
        #[expect(clippy::cast_precision_loss, reason = "a latency for people")]
        let millis = |us: u64| format!("{:.2} ms", us as f64 / 1_000.0);
        let at = |quantile| millis(self.latency_us.value_at_quantile(quantile));
        let mut text = format!(
            "posts         {} in {seconds:.1} s, {} acknowledged, {} posts/s\n\
             counts        {}\n\
             acknowledged  {}  ({} counts/s)\n\
             rejected      {}\n\
             unknown       {}  (sent, but no answer came)\n\
             retries       {}\n\
             latency       p50 {}  p90 {}  p99 {}  p99.9 {}  max {}",
            grouped(self.posts),
            grouped(acknowledged_posts),
            per_second(acknowledged_posts),
            grouped(self.counts),
            grouped(fate.acknowledged),
            per_second(fate.acknowledged),
            grouped(self.rejected),
            grouped(fate.unknown),
            grouped(self.retries),
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            millis(self.latency_us.max()),
        );
        for (what, times) in &self.troubles {
            let _infallible = write!(text, "\ntrouble       {} times: {what}", grouped(*times));
        }
        text
    }
}
