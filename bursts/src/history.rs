//! What a file, or a simulation, tells of earlier weeks. Who has a store asks that instead.

use std::collections::VecDeque;

use flagmeter_model::Timestamp;

use crate::{
    SLOT_SECONDS, WEEK_SECONDS,
    expected::{Seen, Week, Weeks},
    recent::{Count, Grain, of},
};

/// Slots that are remembered: four weeks, and the ten minutes around.
const SLOTS: usize = 4 * 7 * 24 * 12 + 3;

/// The slots of one series that are over, for four weeks.
#[derive(Debug, Clone)]
pub struct History {
    grain: Grain,
    /// The last of them ended here.
    end: Option<Timestamp>,
    slots: VecDeque<Option<Seen>>,
    slot: Sum,
    minute: Sum,
    highest: Option<u64>,
}

/// What was counted in how many known seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    counted: u64,
    seconds: i64,
}

impl Sum {
    const fn add(&mut self, count: u64, seconds: i64) {
        self.counted = self.counted.saturating_add(count);
        self.seconds += seconds;
    }
}

impl History {
    /// Of a series that is told in such grains.
    pub const fn new(grain: Grain) -> Self {
        let nothing = Sum { counted: 0, seconds: 0 };
        Self { grain, end: None, slots: VecDeque::new(), slot: nothing, minute: nothing, highest: None }
    }

    /// Takes the count of the grain that began at `start`, which must follow the one before.
    pub fn take(&mut self, start: Timestamp, count: Count) {
        if let Some(count) = count {
            self.slot.add(count, self.grain.seconds());
            self.minute.add(count, self.grain.seconds());
        }
        let end = start.plus_seconds(self.grain.seconds());
        if end.as_seconds() % 60 == 0 {
            let minute = std::mem::take(&mut self.minute);
            if minute.seconds == 60 {
                self.highest = self.highest.max(Some(minute.counted));
            }
        }
        if end.as_seconds() % SLOT_SECONDS == 0 {
            let slot = std::mem::take(&mut self.slot);
            let highest = self.highest.take();
            #[expect(clippy::cast_precision_loss, reason = "at most 300")]
            let mean = || of(slot.counted) * 60.0 / slot.seconds as f64;
            if self.slots.len() == SLOTS {
                self.slots.pop_front();
            }
            self.slots.push_back(highest.map(|highest| Seen { mean: mean(), highest: of(highest) }));
            self.end = Some(end);
        }
    }

    /// What the slots around this one were in the weeks before.
    pub fn weeks(&self, slot_start: Timestamp) -> Weeks {
        let week = |back: i64| -> Week {
            std::array::from_fn(|at| {
                let offset = i64::try_from(at).unwrap_or(0) - 2;
                self.slot(slot_start.plus_seconds(offset * SLOT_SECONDS - back * WEEK_SECONDS))
            })
        };
        Weeks([week(1), week(2), week(3), week(4)])
    }

    fn slot(&self, start: Timestamp) -> Option<Seen> {
        let back = usize::try_from(self.end?.millis_since(start) / (1_000 * SLOT_SECONDS)).ok()?;
        self.slots.get(self.slots.len().checked_sub(back)?).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Thursday at midnight.
    fn start() -> Timestamp {
        Timestamp::from_seconds_clamped(3_000 * WEEK_SECONDS)
    }

    #[test]
    fn a_slot_is_found_again_in_each_of_four_weeks_and_no_longer() {
        let mut history = History::new(Grain::Minute);
        let minutes = 5 * WEEK_SECONDS / 60;
        for minute in 0..minutes {
            let count = u64::try_from(minute / 10_080).unwrap() * 10 + 10;
            history.take(start().plus_seconds(minute * 60), Some(count));
        }
        let Weeks(weeks) = history.weeks(start().plus_seconds(5 * WEEK_SECONDS));
        let means = weeks.map(|[.., middle, _, _]| middle.map(|seen| seen.mean));
        assert_eq!(means, [Some(50.0), Some(40.0), Some(30.0), Some(20.0)]);
        let [[before, ..], ..] = weeks;
        assert_eq!(before.map(|seen| seen.highest), Some(40.0), "ten minutes earlier it was the week before");
        let Weeks(before) = history.weeks(start().plus_seconds(5 * WEEK_SECONDS - 7 * 3_600));
        assert_eq!(before[3].iter().flatten().count(), 0, "more than four weeks ago");
    }

    #[test]
    fn means_are_of_what_is_known_and_the_highest_of_whole_minutes() {
        let mut history = History::new(Grain::TenSeconds);
        for tick in 0..60 {
            // The first minute is known in half, the second slot not at all.
            let count = (3..30).contains(&tick).then_some(if tick < 6 { 100 } else { 10 });
            history.take(start().plus_seconds(tick * 10), count);
        }
        let Weeks([[_, _, middle, after, _], ..]) = history.weeks(start().plus_seconds(WEEK_SECONDS));
        let middle = middle.unwrap();
        assert!((middle.highest - 60.0).abs() + (middle.mean - 120.0).abs() < 1e-9, "{middle:?}");
        assert_eq!(after, None);
    }
}
