//! Counts that are added up: by series and slot.

use flagmeter_model::Slot;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::series::{LiveSeries, SeriesId};

/// A point: which series, which slot, how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) series: SeriesId,
    pub(crate) slot: Slot,
    pub(crate) count: u64,
}

/// Sums by (series, slot).
#[derive(Debug, Default)]
pub(crate) struct Tally(HashMap<(SeriesId, u32), u64, RandomState>);

impl Tally {
    /// Largest sum: a count of a batch is at most this.
    const COUNT_MAX: u64 = i64::MAX.unsigned_abs();

    /// Adds a count up; whether it is the first of its point.
    pub(crate) fn add(&mut self, point: Point) -> bool {
        if point.count == 0 {
            return false;
        }
        let sum = self.0.entry((point.series, point.slot.number())).or_insert(0);
        let is_first = *sum == 0;
        *sum = sum.saturating_add(point.count).min(Self::COUNT_MAX);
        is_first
    }

    /// Whether something was counted for this point.
    pub(crate) fn has(&self, point: Point) -> bool {
        self.0.contains_key(&(point.series, point.slot.number()))
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(&key, &count)| {
            let sum = self.0.entry(key).or_insert(0);
            *sum = sum.saturating_add(count).min(Self::COUNT_MAX);
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all, and gives memory back that a burst has left behind.
    pub(crate) fn clear(&mut self) {
        let len = self.0.len();
        self.0.clear();
        if self.0.capacity() > 4_096 && len < self.0.capacity() / 8 {
            self.0.shrink_to(len * 2);
        }
    }

    /// The points in the order of their numbers: those of a series are together.
    pub(crate) fn by_number(&self, live: &LiveSeries) -> Vec<Point> {
        let mut points = self.points();
        points
            .sort_unstable_by_key(|point| (live.series(point.series).environment, point.series, point.slot));
        points
    }

    /// The points in the order of environments, series and slots, as batches have them.
    pub(crate) fn by_name(&self, live: &LiveSeries) -> Vec<Point> {
        let mut points = self.points();
        points.sort_unstable_by(|a, b| {
            if a.series == b.series {
                return a.slot.cmp(&b.slot);
            }
            let (left, right) = (live.series(a.series), live.series(b.series));
            let environments =
                || live.environment_of(left.environment).cmp(live.environment_of(right.environment));
            if left.environment == right.environment { left.order(&right) } else { environments() }
        });
        points
    }

    /// The points, in no order.
    pub(crate) fn points(&self) -> Vec<Point> {
        let point = |(&(series, slot), &count): (&(SeriesId, u32), &u64)| {
            Some(Point { series, slot: Slot::from_number(slot).ok()?, count })
        };
        self.0.iter().filter_map(point).collect()
    }
}
