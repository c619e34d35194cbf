//! The counts of the last minutes.

use std::collections::VecDeque;

/// A count, or that it is not known, which is not zero.
pub type Count = Option<u64>;

/// How long the counts are that go in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// Ten seconds: what a live store tells.
    TenSeconds,
    /// A minute: what files hold.
    Minute,
}

impl Grain {
    /// Its length in seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::TenSeconds => 10,
            Self::Minute => 60,
        }
    }

    /// How many of them make a minute.
    pub(crate) const fn in_a_minute(self) -> usize {
        match self {
            Self::TenSeconds => 6,
            Self::Minute => 1,
        }
    }
}

/// Minutes that are remembered count by count.
const MINUTES: usize = 8;

/// The last eight minutes.
#[derive(Debug, Clone)]
pub(crate) struct Recent {
    grain: Grain,
    counts: VecDeque<Count>,
}

impl Recent {
    pub(crate) const fn new(grain: Grain) -> Self {
        Self { grain, counts: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, count: Count) {
        if self.counts.len() == MINUTES * self.grain.in_a_minute() {
            self.counts.pop_front();
        }
        self.counts.push_back(count);
    }

    /// The sum of `minutes` minutes that ended `ago` minutes ago; none where any of it is not known or not there.
    pub(crate) fn minutes(&self, ago: usize, minutes: usize) -> Option<u64> {
        self.grains(ago * self.grain.in_a_minute(), minutes * self.grain.in_a_minute())
    }

    /// What the last two minutes hold beside their highest sixty seconds, wherever these begin: nothing special where one
    /// minute alone is. None where any of it is not known.
    pub(crate) fn beside_the_highest(&self) -> Option<u64> {
        let minute = self.grain.in_a_minute();
        let highest = (0..=minute).map(|ago| self.grains(ago, minute)).collect::<Option<Vec<_>>>()?;
        Some(self.minutes(0, 2)?.saturating_sub(highest.into_iter().max()?))
    }

    /// Grains back to where the minutes that end there were all above `count`: how long it has been so.
    pub(crate) fn grains_above(&self, count: f64) -> usize {
        let minute = self.grain.in_a_minute();
        let above = |ago: &usize| self.grains(*ago, minute).is_some_and(|sum| of(sum) > count);
        (0..self.counts.len()).take_while(above).count()
    }

    /// The same for minutes below `count`.
    pub(crate) fn grains_below(&self, count: f64) -> usize {
        let minute = self.grain.in_a_minute();
        let below = |ago: &usize| self.grains(*ago, minute).is_some_and(|sum| of(sum) < count);
        (0..self.counts.len()).take_while(below).count()
    }

    /// What was counted in the last so many milliseconds, as far as it is remembered and known.
    pub(crate) fn sum_of_last(&self, millis: i64) -> f64 {
        let grains = usize::try_from(millis / (1_000 * self.grain.seconds())).unwrap_or(0);
        self.counts.iter().rev().take(grains).copied().flatten().map(of).sum()
    }

    fn grains(&self, ago: usize, grains: usize) -> Option<u64> {
        let end = self.counts.len().checked_sub(ago)?;
        let start = end.checked_sub(grains)?;
        self.counts.range(start..end).try_fold(0_u64, |sum, count| Some(sum.saturating_add((*count)?)))
    }
}

/// A count for arithmetic that needs no more than 15 digits.
pub(crate) fn of(count: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "whether it is out of the ordinary shows in the first digits"
    )]
    let count = count as f64;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_with_something_unknown_in_it_is_unknown() {
        let mut recent = Recent::new(Grain::Minute);
        for count in [Some(1), None, Some(3), Some(4)] {
            recent.push(count);
        }
        assert_eq!(recent.minutes(0, 2), Some(7));
        assert_eq!(recent.minutes(0, 3), None);
        assert_eq!(recent.minutes(3, 1), Some(1));
        assert_eq!(recent.minutes(3, 2), None, "before the first");
    }

    #[test]
    fn one_high_minute_is_beside_the_point_wherever_it_begins() {
        for begins in 0..=6 {
            let mut recent = Recent::new(Grain::TenSeconds);
            for tick in 0..12 {
                recent.push(Some(if (begins..begins + 6).contains(&tick) { 100 } else { 1 }));
            }
            assert_eq!(recent.beside_the_highest(), Some(6));
        }
        let mut recent = Recent::new(Grain::Minute);
        for count in [Some(3), Some(50), Some(40)] {
            recent.push(count);
        }
        assert_eq!(recent.beside_the_highest(), Some(40));
        recent.push(None);
        assert_eq!(recent.beside_the_highest(), None);
    }

    #[test]
    fn no_more_than_eight_minutes_are_remembered() {
        let mut recent = Recent::new(Grain::TenSeconds);
        for _ in 0..1_000 {
            recent.push(Some(2));
        }
        assert_eq!((recent.minutes(0, 8), recent.minutes(0, 9)), (Some(96), None));
        assert_eq!(recent.grains_above(11.0), 43);
    }
}
