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
    use proptest::prelude::*;

    use super::*;

    const LAST: i64 = 60;

    /// Ranges that are near enough to meet, empty and inside-out ones included.
    fn range() -> impl Strategy<Value = TimeRange> {
        let near = || (0..LAST).prop_map(Timestamp::from_millis_clamped);
        (near(), near()).prop_map(|(from, to)| TimeRange::new(from, to))
    }

    fn instants(holds: impl Fn(Timestamp) -> bool) -> Vec<bool> {
        (0..LAST).map(|at| holds(Timestamp::from_millis_clamped(at))).collect()
    }

    fn naive(spans: &Spans) -> Vec<bool> {
        instants(|at| spans.iter().any(|span| span.contains(at)))
    }

    proptest! {
        #[test]
        fn a_set_is_what_was_put_in(ranges in prop::collection::vec(range(), 0..12), asked in range()) {
            let spans: Spans = ranges.iter().copied().collect();
            let set = instants(|at| ranges.iter().any(|range| range.contains(at)));
            prop_assert_eq!(&naive(&spans), &set);
            let inside = instants(|at| asked.contains(at));
            let pairs = || set.iter().zip(&inside).map(|(&is_in, &is_asked)| (is_in, is_asked));
            prop_assert_eq!(spans.covers(asked), pairs().all(|(is_in, is_asked)| is_in || !is_asked));
            prop_assert_eq!(spans.touches(asked), pairs().any(|(is_in, is_asked)| is_in && is_asked));
        }

        #[test]
        fn spans_are_sorted_not_empty_and_do_not_touch(ranges in prop::collection::vec(range(), 0..12)) {
            let spans: Vec<TimeRange> = ranges.into_iter().collect::<Spans>().iter().collect();
            prop_assert!(spans.iter().all(|span| !span.is_empty()));
            prop_assert!(spans.windows(2).all(|pair| pair[0].to < pair[1].from));
        }

        #[test]
        fn the_order_of_insertion_does_not_matter(ranges in prop::collection::vec(range(), 0..12)) {
            let forwards: Spans = ranges.iter().copied().collect();
            let backwards: Spans = ranges.iter().rev().copied().collect();
            prop_assert_eq!(forwards, backwards);
        }

        #[test]
        fn bridging_adds_short_gaps_and_nothing_else(
            ranges in prop::collection::vec(range(), 0..12),
            gap_ms_max in 0..20_i64,
        ) {
            let spans: Spans = ranges.into_iter().collect();
            let gaps: Vec<TimeRange> = spans
                .iter()
                .zip(spans.iter().skip(1))
                .map(|(span, next)| TimeRange::new(span.to, next.from))
                .filter(|gap| gap.to.millis_since(gap.from) <= gap_ms_max)
                .collect();
            let expected: Spans = spans.iter().chain(gaps).collect();
            prop_assert_eq!(spans.bridged(gap_ms_max), expected);
        }
    }

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
