//! What a detector learns of its series while it watches: its level, how uneven it is, and its highest five minutes.

use std::collections::VecDeque;

use crate::expected::median;

/// Ratios that make a level, and those that are too new to be looked at: ten minutes.
const LEVEL_SLOTS: usize = 12;
const LEVEL_LAG: usize = 2;
/// Of fewer no level is made.
const LEVEL_SLOTS_MIN: usize = 6;
/// What is counted is at least what is expected, and at most four times that: more is not a level but a burst.
const LEVEL_MAX: f64 = 4.0;
/// For drops the level may also be lower.
const LEVEL_MIN: f64 = 0.05;

/// Six hours of which the unevenness is made: of minutes and pairs of them, and of five minutes. Fewer than these say nothing of it.
pub(crate) const NOISE_MINUTES: usize = 360;
pub(crate) const NOISE_FIVES: usize = 72;
const NOISE_LEN_MIN: usize = 24;
/// Nothing is more even than this.
pub(crate) const NOISE_MIN: f64 = 0.05;
/// Of a series of which too little is known.
const NOISE_UNKNOWN: f64 = 0.25;
/// What makes the median absolute deviation of normal values their standard deviation.
const MAD_TO_DEVIATION: f64 = 1.4826;

/// Hours of a week, and slots of five minutes of one of them.
const WEEK_HOURS: usize = 168;
const HOUR_SLOTS: usize = 12;

/// A queue that forgets what is old.
fn push(values: &mut VecDeque<f64>, value: f64, len_max: usize) {
    if values.len() == len_max {
        values.pop_front();
    }
    values.push_back(value);
}

/// How much more or less there is than in other weeks.
#[derive(Debug, Clone)]
pub(crate) struct Level(VecDeque<f64>);

impl Level {
    pub(crate) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// A slot is over, with so many times what was expected of it.
    pub(crate) fn push(&mut self, ratio: f64) {
        push(&mut self.0, ratio, LEVEL_SLOTS + LEVEL_LAG);
    }

    fn ratio(&self) -> f64 {
        let old = self.0.len().saturating_sub(LEVEL_LAG);
        let ratios: Vec<f64> = self.0.iter().take(old).copied().collect();
        if ratios.len() < LEVEL_SLOTS_MIN { 1.0 } else { median(ratios).unwrap_or(1.0) }
    }

    /// By what expectations are scaled to find what is more.
    pub(crate) fn up(&self) -> f64 {
        self.ratio().clamp(1.0, LEVEL_MAX)
    }

    /// By what they are scaled to find what is less.
    pub(crate) fn either(&self) -> f64 {
        self.ratio().clamp(LEVEL_MIN, LEVEL_MAX)
    }
}

/// How uneven the series is.
#[derive(Debug, Clone)]
pub(crate) struct Noise {
    len_max: usize,
    logs: VecDeque<f64>,
    deviation: Option<f64>,
}

impl Noise {
    /// Of so many values.
    pub(crate) const fn of(len_max: usize) -> Self {
        Self { len_max, logs: VecDeque::new(), deviation: None }
    }

    /// One with this count, where so many were expected.
    pub(crate) fn push(&mut self, count: f64, expected: f64) {
        // One more of both: nothing has no logarithm.
        push(&mut self.logs, ((count + 1.0) / (expected + 1.0)).ln(), self.len_max);
    }

    /// Looks at them anew; once in five of them is enough.
    pub(crate) fn look(&mut self) {
        if self.logs.len() < NOISE_LEN_MIN {
            return;
        }
        let middle = median(self.logs.iter().copied().collect()).unwrap_or(0.0);
        let apart = median(self.logs.iter().map(|log| (log - middle).abs()).collect()).unwrap_or(0.0);
        self.deviation = Some((MAD_TO_DEVIATION * apart).max(NOISE_MIN));
    }

    /// The share by which expectations are uncertain.
    pub(crate) fn share(&self) -> f64 {
        self.deviation.unwrap_or(NOISE_UNKNOWN)
    }
}

/// The highest five minutes of each hour of the last week.
#[derive(Debug, Clone)]
pub(crate) struct Highest {
    hours: VecDeque<f64>,
    /// The last slots, which are not among the hours yet.
    slots: VecDeque<f64>,
}

impl Highest {
    pub(crate) const fn new() -> Self {
        Self { hours: VecDeque::new(), slots: VecDeque::new() }
    }

    /// A slot is over, with this mean of a minute.
    pub(crate) fn push(&mut self, mean: f64) {
        self.slots.push_back(mean);
        if self.slots.len() == HOUR_SLOTS + LEVEL_LAG {
            let hour = self.slots.drain(..HOUR_SLOTS).fold(0.0, f64::max);
            push(&mut self.hours, hour, WEEK_HOURS);
        }
    }

    /// The highest of them, the last ten minutes left out; none before an hour is known.
    pub(crate) fn get(&self) -> Option<f64> {
        let old = self.slots.len().saturating_sub(LEVEL_LAG);
        let hours = self.hours.iter().copied().reduce(f64::max)?;
        Some(self.slots.iter().take(old).copied().fold(hours, f64::max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_does_not_make_itself_ordinary_within_half_an_hour_and_does_in_the_end() {
        let mut level = Level::new();
        for _ in 0..14 {
            level.push(1.0);
        }
        let mut slots = 0;
        while level.up() < 2.0 {
            level.push(3.0);
            slots += 1;
        }
        assert_eq!(slots, 8, "forty minutes");
    }

    #[test]
    fn a_level_is_never_low_for_bursts_nor_without_bounds() {
        let mut level = Level::new();
        for _ in 0..14 {
            level.push(0.2);
        }
        assert_eq!((level.up(), level.either()), (1.0, 0.2));
        for _ in 0..14 {
            level.push(100.0);
        }
        assert_eq!(Some(level.up()), Some(LEVEL_MAX));
    }

    #[test]
    fn what_is_even_and_what_is_not_are_told_apart() {
        let mut noise = Noise::of(NOISE_MINUTES);
        noise.look();
        assert_eq!(Some(noise.share()), Some(NOISE_UNKNOWN));
        for _ in 0..60 {
            noise.push(100.0, 100.0);
        }
        noise.look();
        assert_eq!(Some(noise.share()), Some(NOISE_MIN));
        for at in 0..360 {
            noise.push(if at % 2 == 0 { 50.0 } else { 200.0 }, 100.0);
        }
        noise.look();
        assert!((0.9..1.2).contains(&noise.share()), "{}", noise.share());
    }

    #[test]
    fn the_highest_leaves_out_the_last_ten_minutes_and_is_known_for_a_week() {
        let mut highest = Highest::new();
        for _ in 0..13 {
            highest.push(3.0);
        }
        assert_eq!(highest.get(), None, "no hour yet");
        highest.push(90.0);
        highest.push(4.0);
        assert_eq!(highest.get(), Some(3.0));
        highest.push(4.0);
        assert_eq!(highest.get(), Some(90.0));
        for _ in 0..WEEK_HOURS * HOUR_SLOTS {
            highest.push(4.0);
        }
        assert_eq!(highest.get(), Some(90.0));
        for _ in 0..HOUR_SLOTS {
            highest.push(4.0);
        }
        assert_eq!(highest.get(), Some(4.0));
    }
}
