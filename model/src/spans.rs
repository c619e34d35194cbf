//! Sets of time, as sorted spans that do not touch.

use crate::{TimeRange, Timestamp};

/// A set of instants. Used for the times in which at least one edge node was there to receive: outside them
/// a window without counts is a window without knowledge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spans(Vec<TimeRange>);

impl Spans {
    /// The empty set.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a range; where it overlaps or touches others they become one. An empty range adds nothing.
    pub fn insert(&mut self, range: TimeRange) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|span| span.to < range.from);
        let last = self.0.partition_point(|span| span.from <= range.to);
        let merged = self.0[first..last]
            .iter()
            .fold(range, |sum, span| TimeRange::new(sum.from.min(span.from), sum.to.max(span.to)));
        self.0.splice(first..last, [merged]);
    }

    /// Whether every instant of `range` is in the set. True for an empty range.
    pub fn covers(&self, range: TimeRange) -> bool {
        range.is_empty() || self.span_at(range.from).is_some_and(|span| range.to <= span.to)
    }

    /// Whether some instant of `range` is in the set.
    pub fn touches(&self, range: TimeRange) -> bool {
        let next = self.0.partition_point(|span| span.to <= range.from);
        self.0.get(next).is_some_and(|span| span.overlaps(range))
    }

    /// The spans, in order.
    pub fn iter(&self) -> impl Iterator<Item = TimeRange> + '_ {
        self.0.iter().copied()
    }

    fn span_at(&self, at: Timestamp) -> Option<TimeRange> {
        let next = self.0.partition_point(|span| span.to <= at);
        self.0.get(next).copied().filter(|span| span.contains(at))
    }
}

impl FromIterator<TimeRange> for Spans {
    fn from_iter<I: IntoIterator<Item = TimeRange>>(ranges: I) -> Self {
        let mut spans = Self::new();
        ranges.into_iter().for_each(|range| spans.insert(range));
        spans
    }
}
