//! How fast, and which flags.

use std::time::Duration;

use rand::Rng;

/// How the rate goes over the time of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shape {
    /// The rate, all the time.
    Steady,
    /// The rate, but five times as much in the middle third, reached within ten seconds.
    Burst,
    /// From nothing up to the rate.
    Ramp,
}

impl Shape {
    /// What the rate is multiplied with, `at` after the start of a load that lasts `whole`.
    pub(super) fn factor(self, at: Duration, whole: Duration) -> f64 {
        const BURST: f64 = 5.0;
        let (at, whole) = (at.as_secs_f64(), whole.as_secs_f64().max(0.001));
        match self {
            Self::Steady => 1.0,
            Self::Ramp => (at / whole).clamp(0.0, 1.0),
            Self::Burst => {
                let (from, to) = (whole / 3.0, whole * 2.0 / 3.0);
                let climb = 10.0_f64.min(to - from).max(0.001);
                if at < from || at >= to { 1.0 } else { 1.0 + (BURST - 1.0) * ((at - from) / climb).min(1.0) }
            }
        }
    }
}

/// Flags with a Zipf spread: the n-th is evaluated 1/n as often as the first.
#[derive(Debug, Clone)]
pub(crate) struct Flags {
    names: Vec<String>,
    /// Sums of the weights up to and with each flag, the last being 1.
    cumulative: Vec<f64>,
}

impl Flags {
    /// `count` flags, at least one, named after their rank.
    pub(crate) fn zipf(count: usize) -> Self {
        Self::named((1..=count.max(1)).map(|rank| format!("flag-{rank}")).collect())
    }

    /// These flags, of which there is at least one, the most used first.
    pub(crate) fn named(names: Vec<String>) -> Self {
        let mut sum = 0.0;
        let mut cumulative = Vec::with_capacity(names.len());
        let mut rank = 1.0;
        for _ in &names {
            sum += 1.0 / rank;
            rank += 1.0;
            cumulative.push(sum);
        }
        for weight in &mut cumulative {
            *weight /= sum;
        }
        Self { names, cumulative }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.names.len()
    }

    /// The name of the flag at `index`.
    pub(super) fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }

    /// `wanted` different flags (or all, if there are no more), by their spread, as positions.
    pub(super) fn pick(&self, wanted: usize, rng: &mut impl Rng, picked: &mut Vec<usize>) {
        picked.clear();
        let wanted = wanted.min(self.len());
        while picked.len() < wanted {
            let at: f64 = rng.random();
            let drawn = self.cumulative.partition_point(|&sum| sum < at).min(self.len().saturating_sub(1));
            // Where the drawn one is in already, the next that is not: the loop ends however steep the spread.
            let free = (drawn..self.len()).chain(0..drawn).find(|index| !picked.contains(index));
            picked.extend(free);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_burst_climbs_to_five_times_within_ten_seconds_and_ends() {
        let at = |seconds| Shape::Burst.factor(Duration::from_secs(seconds), MINUTE).to_string();
        assert_eq!(
            [at(0), at(19), at(20), at(25), at(30), at(39), at(40)],
            ["1", "1", "1", "3", "5", "5", "1"]
        );
    }

    #[test]
    fn a_ramp_goes_from_nothing_to_all() {
        let at = |seconds| Shape::Ramp.factor(Duration::from_secs(seconds), MINUTE).to_string();
        assert_eq!([at(0), at(30), at(60), at(90)], ["0", "0.5", "1", "1"]);
    }

    #[test]
    fn the_first_flag_is_drawn_far_more_often_than_the_last() {
        let (flags, mut rng, mut picked) = (Flags::zipf(100), StdRng::seed_from_u64(1), Vec::new());
        let mut drawn = [0_u32; 100];
        for _ in 0..10_000 {
            flags.pick(1, &mut rng, &mut picked);
            drawn[picked[0]] += 1;
        }
        assert!(drawn[0] > 1_500 && drawn[0] < 2_400 && drawn[99] < 60, "{} {}", drawn[0], drawn[99]);
    }

    proptest! {
        #[test]
        fn picked_flags_are_different_and_as_many_as_wanted(count in 1_usize..50, wanted in 0_usize..60, seed: u64) {
            let (flags, mut rng, mut picked) = (Flags::zipf(count), StdRng::seed_from_u64(seed), Vec::new());
            flags.pick(wanted, &mut rng, &mut picked);
            prop_assert_eq!(picked.len(), wanted.min(count));
            picked.sort_unstable();
            picked.dedup();
            prop_assert_eq!(picked.len(), wanted.min(count));
        }
    }
}
