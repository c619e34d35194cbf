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

    /// The same set with every gap closed that is at most `gap_ms_max` long.
    #[must_use]
    pub fn bridged(&self, gap_ms_max: i64) -> Self {
        let mut bridged: Vec<TimeRange> = Vec::with_capacity(self.0.len());
        for &span in &self.0 {
            match bridged.last_mut() {
                Some(last) if span.from.millis_since(last.to) <= gap_ms_max => last.to = span.to,
                _ => bridged.push(span),
            }
        }
        Self(bridged)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(ranges: &[(i64, i64)]) -> Spans {
        let at = Timestamp::from_seconds_clamped;
        ranges.iter().map(|&(from, to)| TimeRange::new(at(from), at(to))).collect()
    }

    #[test]
    fn bridging_closes_gaps_up_to_the_given_length_and_no_longer_ones() {
        let set = spans(&[(0, 10), (12, 20), (23, 30)]);
        assert_eq!(set.bridged(2_000), spans(&[(0, 20), (23, 30)]));
        assert_eq!(set.bridged(3_000), spans(&[(0, 30)]));
        assert_eq!(set.bridged(1_999), set);
        assert_eq!(Spans::new().bridged(1_000), Spans::new());
    }
}
