//! One look at a series: whether something is out of the ordinary, and whether it still is.

use flagmeter_model::Timestamp;

use crate::{
    event::{Alert, Band, Kind},
    expected::Expected,
    recent::{Recent, of},
    rule::Rule,
};

/// All that a look needs.
pub(super) struct Watch<'a> {
    pub(super) rule: &'a Rule,
    pub(super) recent: &'a Recent,
    pub(super) expected: Option<Expected>,
    /// The level for what is more, at least 1; and the one for what is less.
    pub(super) up: f64,
    pub(super) either: f64,
    /// The share by which expectations of a minute are uncertain, those of two, and those of five.
    pub(super) minutes: f64,
    pub(super) pairs: f64,
    pub(super) fives: f64,
    /// The highest five minutes of the last week, as a mean of a minute.
    pub(super) highest: Option<f64>,
}

/// What was found, and what it is measured by as long as it lasts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) kind: Kind,
    /// What is measured by where there are no weeks to compare with; none where there are.
    pub(super) learned: Option<f64>,
}

impl Found {
    /// The more extreme of two minutes.
    pub(super) fn worse(self, one: u64, other: u64) -> u64 {
        match self.kind {
            Kind::Burst => one.max(other),
            Kind::Drop => one.min(other),
        }
    }
}

/// The standard deviation of a count whose mean is itself uncertain.
fn deviation(mean: f64, noise: f64) -> f64 {
    let uncertain = noise * mean;
    uncertain.mul_add(uncertain, mean).sqrt().max(1.0)
}

/// How far a count is from such a mean, in standard deviations.
fn z(count: f64, mean: f64, noise: f64) -> f64 {
    (count - mean) / deviation(mean, noise)
}

impl Watch<'_> {
    /// What is out of the ordinary now.
    pub(super) fn find(&self) -> Option<Found> {
        let found = |kind, learned| Found { kind, learned };
        match self.expected {
            Some(expected) if self.is_burst(expected) => Some(found(Kind::Burst, None)),
            Some(expected) if self.is_drop(expected) => Some(found(Kind::Drop, None)),
            Some(_) => None,
            None => self.is_burst_while_learning().map(|highest| found(Kind::Burst, Some(highest))),
        }
        // Five minutes may be far out when the last of them is ordinary again: that is over already.
        .filter(|found| self.recent.minutes(0, 1).is_some_and(|minute| !self.is_calm(found, minute)))
    }

    fn is_burst(&self, expected: Expected) -> bool {
        let rule = self.rule;
        let mean = self.up * expected.mean;
        let is_sparse = mean < rule.sparse_below;
        let peak = rule.peak_ratio * self.up * expected.peak;
        let least = match self.highest {
            _ if !is_sparse => peak,
            Some(highest) => peak.max(rule.pair_ratio * highest),
            // Of a sparse series nothing can be said before an hour of it is known.
            None => return false,
        };
        let five_excess = if is_sparse { rule.pair_excess } else { rule.five_excess };
        let far = rule.pair_z * deviation(2.0 * mean, self.pairs) / 2.0;
        let most = (rule.pair_ratio * mean).max(least).max(mean + rule.pair_excess.max(far));
        let is_pair = self.recent.minutes(0, 2).is_some_and(|count| of(count) > 2.0 * most);
        let is_more_than_a_minute =
            || self.recent.beside_the_highest().is_some_and(|count| of(count) > rule.pair_share * most);
        let five = |ago| {
            self.recent.minutes(ago, 5).is_some_and(|count| {
                let count = of(count);
                count > 5.0 * (rule.five_ratio * mean).max(least)
                    && count - 5.0 * mean > 5.0 * five_excess
                    && z(count, 5.0 * mean, self.fives) > rule.five_z
            })
        };
        (is_pair && is_more_than_a_minute()) || (0..3).all(five)
    }

    fn is_drop(&self, expected: Expected) -> bool {
        let rule = self.rule;
        let mean = self.either * expected.mean;
        let stops = |ago| {
            self.recent.minutes(ago, 5).is_some_and(|count| {
                let count = of(count);
                count < 5.0 * rule.drop_ratio * mean && z(count, 5.0 * mean, self.fives) < -rule.drop_z
            })
        };
        mean >= rule.drop_expected && (0..3).all(stops)
    }

    fn is_burst_while_learning(&self) -> Option<f64> {
        let highest = self.highest?;
        let is_far = |ago| {
            self.recent.minutes(ago, 1).is_some_and(|count| {
                let count = of(count);
                count > self.rule.learning_ratio * highest && count - highest > self.rule.learning_excess
            })
        };
        (0..3).all(is_far).then_some(highest)
    }

    /// What is expected of a minute, and the most of it: of what was found, or of now where weeks are known.
    fn mean_and_peak(&self, found: &Found) -> (f64, f64) {
        match (found.learned, self.expected) {
            (Some(highest), _) => (highest, highest),
            (None, Some(expected)) => {
                let level = if found.kind == Kind::Drop { self.either } else { self.up };
                (level * expected.mean, level * expected.mean.max(expected.peak))
            }
            (None, None) => {
                let highest = self.highest.unwrap_or(0.0);
                (highest, highest)
            }
        }
    }

    /// Whether a minute is nothing special.
    pub(super) fn is_calm(&self, found: &Found, minute: u64) -> bool {
        let (mean, peak) = self.mean_and_peak(found);
        match found.kind {
            Kind::Burst => of(minute) <= (self.rule.calm_ratio * peak).max(peak + self.rule.five_excess),
            Kind::Drop => of(minute) >= mean / 2.0,
        }
    }

    /// For how many grains it has been there.
    pub(super) fn lasts(&self, found: &Found) -> usize {
        let (_, peak) = self.mean_and_peak(found);
        match found.kind {
            Kind::Burst => self.recent.grains_above(self.rule.five_ratio * peak).max(1),
            Kind::Drop => self.recent.grains_below(self.rule.drop_ratio * peak).max(1),
        }
    }

    /// What is told of it.
    pub(super) fn alert(&self, found: &Found, since: Timestamp, now: Timestamp) -> Alert {
        let (mean, peak) = self.mean_and_peak(found);
        let uncertain = |mean: f64| 2.0 * (self.minutes * mean).mul_add(self.minutes * mean, mean).sqrt();
        let observed = self.recent.minutes(0, 1).unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "some minutes")]
        let minutes = now.millis_since(since) as f64 / 60_000.0;
        Alert {
            kind: found.kind,
            since,
            seen_at: now,
            observed,
            expected: Band {
                low: (mean - uncertain(mean)).max(0.0),
                middle: mean,
                high: peak + uncertain(peak),
            },
            ratio: of(observed) / mean.max(1.0),
            excess: (self.recent.sum_of_last(now.millis_since(since)) - mean * minutes).abs(),
            is_learning: found.learned.is_some(),
        }
    }
}
