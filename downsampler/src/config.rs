//! What an operator may set.

use std::time::Duration;

use flagmeter_model::Tier;

use crate::{Error, Result};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The settings of the downsampler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// A node unheard of for longer than this, by the log's time, is left out of the low watermark, in ms.
    pub node_timeout_ms: i64,
    /// How long each tier is kept.
    pub retention: Retention,
    /// How long after the low watermark has passed its end an hour is closed: nodes that fell silent may return until
    /// then without a correction.
    pub grace: Duration,
    /// How much one call to the store may do.
    pub bounds: Bounds,
    /// Time from the start of one cycle to the start of the next.
    pub interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node_timeout_ms: 60_000,
            retention: Retention::default(),
            grace: HOUR / 4,
            bounds: Bounds::default(),
            interval: Duration::from_secs(1),
        }
    }
}

/// How long each tier is kept; `None` is for ever. Hours are kept for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Raw points.
    pub raw: Option<Duration>,
    /// Minutes.
    pub minute: Option<Duration>,
    /// Quarters of an hour.
    pub quarter: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { raw: Some(7 * DAY), minute: Some(30 * DAY), quarter: Some(400 * DAY) }
    }
}

impl Retention {
    /// Of one tier.
    pub const fn of(&self, tier: Tier) -> Option<Duration> {
        match tier {
            Tier::Raw => self.raw,
            Tier::Minute => self.minute,
            Tier::Quarter => self.quarter,
            Tier::Hour => None,
        }
    }
}

/// How much one call to the store may do: the longest that ingest waits for a roll-up follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Minutes rolled up at once.
    pub minutes: u32,
    /// Quarters rolled up at once.
    pub quarters: u32,
    /// Hours rolled up at once.
    pub hours: u32,
    /// Dirty windows of one tier rolled up at once.
    pub dirty: usize,
    /// Hours closed at once.
    pub closings: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { minutes: 60, quarters: 96, hours: 168, dirty: 500, closings: 24 }
    }
}

impl Bounds {
    /// How much of a tier is rolled up at once, in seconds.
    pub(crate) fn seconds(&self, tier: Tier) -> i64 {
        let windows = match tier {
            Tier::Raw | Tier::Minute => self.minutes,
            Tier::Quarter => self.quarters,
            Tier::Hour => self.hours,
        };
        i64::from(windows) * tier.seconds()
    }

    /// How much is closed at once, in seconds.
    pub(crate) fn closing_seconds(&self) -> i64 {
        i64::from(self.closings) * Tier::Hour.seconds()
    }
}

impl Config {
    /// Checks the settings against each other, and against how late a count may come and still be accepted.
    ///
    /// Fails with [`Error::Config`], which names the setting.
    pub fn check(&self, accepted_lateness: Duration) -> Result<()> {
        let refuse = |setting, reason: String| Err(Error::Config { setting, reason });
        if self.node_timeout_ms < 1 {
            return refuse(
                "downsampler.node_timeout",
                format!("{} ms is no time: set 1 ms or more", self.node_timeout_ms),
            );
        }
        if self.interval.is_zero() {
            return refuse(
                "downsampler.interval",
                "0 would go round without a rest: set 1 ms or more".into(),
            );
        }
        let Bounds { minutes, quarters, hours, dirty, closings } = self.bounds;
        if minutes == 0 || quarters == 0 || hours == 0 || dirty == 0 || closings == 0 {
            return refuse("downsampler.bounds", "with 0 it could never go on: set 1 or more".into());
        }
        // An hour for the way through the log, and for floors that lie on the hour.
        let raw_min = accepted_lateness.saturating_add(HOUR);
        if self.retention.raw.is_some_and(|raw| raw < raw_min) {
            return refuse(
                setting(Tier::Raw),
                format!(
                    "counts may come {} late (edge.accepted_lateness) and need an hour more to be rolled up: set {} \
                     or more",
                    spoken(accepted_lateness),
                    spoken(raw_min)
                ),
            );
        }
        for (finer, coarser) in [(Tier::Raw, Tier::Minute), (Tier::Minute, Tier::Quarter)] {
            let (fine, coarse) = (self.retention.of(finer), self.retention.of(coarser));
            let outlives = match (fine, coarse) {
                (Some(fine), Some(coarse)) => fine > coarse,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if outlives {
                return refuse(
                    setting(coarser),
                    format!(
                        "{} is shorter than {}, which is {}: a coarser tier must be kept as long as the finer one, so \
                         lengthen the first or shorten the second",
                        coarse.map_or("for ever".into(), spoken),
                        setting(finer),
                        fine.map_or("for ever".into(), spoken),
                    ),
                );
            }
        }
        Ok(())
    }
}

const fn setting(tier: Tier) -> &'static str {
    match tier {
        Tier::Raw => "retention.raw",
        Tier::Minute => "retention.minute",
        Tier::Quarter => "retention.quarter",
        Tier::Hour => "retention.hour",
    }
}

/// The largest unit that tells it exactly.
fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        _ if seconds > 0 && seconds.is_multiple_of(DAY.as_secs()) => format!("{} d", seconds / DAY.as_secs()),
        _ if seconds > 0 && seconds.is_multiple_of(HOUR.as_secs()) => {
            format!("{} h", seconds / HOUR.as_secs())
        }
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.check(2 * DAY).expect_err("must be refused").to_string()
    }

    #[test]
    fn the_defaults_are_valid_for_counts_up_to_six_days_late() {
        Config::default().check(6 * DAY).expect("valid");
        let for_ever = Retention { raw: None, minute: None, quarter: None };
        Config { retention: for_ever, ..Config::default() }.check(300 * DAY).expect("valid");
        let coarse_for_ever = Retention { quarter: None, ..Retention::default() };
        Config { retention: coarse_for_ever, ..Config::default() }.check(DAY).expect("valid");
    }

    #[test]
    fn raw_must_outlive_the_accepted_lateness() {
        assert_eq!(
            refusal(|config| config.retention.raw = Some(2 * DAY)),
            "retention.raw: counts may come 2 d late (edge.accepted_lateness) and need an hour more to be rolled up: \
             set 49 h or more"
        );
    }

    #[test]
    fn a_finer_tier_must_not_outlive_the_coarser() {
        assert_eq!(
            refusal(|config| config.retention.raw = Some(31 * DAY)),
            "retention.minute: 30 d is shorter than retention.raw, which is 31 d: a coarser tier must be kept as long as \
             the finer one, so lengthen the first or shorten the second"
        );
        assert!(
            refusal(|config| config.retention.minute = None)
                .contains("400 d is shorter than retention.minute, which is for ever")
        );
    }

    #[test]
    fn what_could_never_go_on_is_refused() {
        assert!(refusal(|config| config.node_timeout_ms = 0).contains("node_timeout"));
        assert!(refusal(|config| config.interval = Duration::ZERO).contains("interval"));
        assert!(refusal(|config| config.bounds.dirty = 0).contains("bounds"));
        assert!(refusal(|config| config.bounds.minutes = 0).contains("bounds"));
    }
}
