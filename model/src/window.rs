//! The windows that counts are rolled up into.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, Slot, TimeRange, Timestamp};

/// How fine the kept data is. Ordered from the finest to the coarsest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Points as they were sealed, in slots of 10 s.
    Raw,
    /// Windows of 1 minute.
    #[serde(rename = "1m")]
    Minute,
    /// Windows of 15 minutes.
    #[serde(rename = "15m")]
    Quarter,
    /// Windows of 1 hour.
    #[serde(rename = "1h")]
    Hour,
}

impl Tier {
    /// All tiers, from the finest to the coarsest.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Minute, Self::Quarter, Self::Hour];
    /// The tiers that the downsampler makes, from the finest to the coarsest.
    pub const ROLLED: [Self; 3] = [Self::Minute, Self::Quarter, Self::Hour];

    /// Length of a window, in seconds. For raw points: of a slot.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Raw => Slot::SECONDS,
            Self::Minute => 60,
            Self::Quarter => 900,
            Self::Hour => 3_600,
        }
    }

    /// The tier that this one is made from; `None` for raw points.
    pub const fn finer(self) -> Option<Self> {
        match self {
            Self::Raw => None,
            Self::Minute => Some(Self::Raw),
            Self::Quarter => Some(Self::Minute),
            Self::Hour => Some(Self::Quarter),
        }
    }

    /// The tier that is made from this one; `None` for hours.
    pub const fn coarser(self) -> Option<Self> {
        match self {
            Self::Raw => Some(Self::Minute),
            Self::Minute => Some(Self::Quarter),
            Self::Quarter => Some(Self::Hour),
            Self::Hour => None,
        }
    }

    /// The name that people use: `10s`, `1m`, `15m`, `1h`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "10s",
            Self::Minute => "1m",
            Self::Quarter => "15m",
            Self::Hour => "1h",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One window of a tier: half-open, aligned in UTC, stamped by its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    tier: Tier,
    start: Timestamp,
}

impl Window {
    /// The window of `tier` that starts at `start`, which must be on the tier's grid.
    pub fn starting(tier: Tier, start: Timestamp) -> Result<Self> {
        if start.floor_to(tier.seconds()) == start {
            Ok(Self { tier, start })
        } else {
            Err(Error::Misaligned { at: start, seconds: tier.seconds() })
        }
    }

    /// The window of `tier` that `at` lies in.
    pub const fn containing(tier: Tier, at: Timestamp) -> Self {
        Self { tier, start: at.floor_to(tier.seconds()) }
    }

    /// Its tier.
    pub const fn tier(self) -> Tier {
        self.tier
    }

    /// First instant.
    pub const fn start(self) -> Timestamp {
        self.start
    }

    /// First instant after.
    pub const fn end(self) -> Timestamp {
        self.start.plus_seconds(self.tier.seconds())
    }

    /// From start to end.
    pub const fn range(self) -> TimeRange {
        TimeRange::new(self.start, self.end())
    }

    /// The window of the next coarser tier that holds this one; `None` for hours.
    pub fn parent(self) -> Option<Self> {
        self.tier.coarser().map(|tier| Self::containing(tier, self.start))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Away from the last hour of time, where windows are cut off.
    fn instant() -> impl Strategy<Value = Timestamp> {
        (0..Timestamp::MAX.as_millis() - 3_600_000).prop_map(Timestamp::from_millis_clamped)
    }

    proptest! {
        #[test]
        fn every_instant_lies_in_exactly_one_window_of_each_tier(at in instant()) {
            for tier in Tier::ALL {
                let window = Window::containing(tier, at);
                prop_assert!(window.range().contains(at));
                prop_assert_eq!(window.end().millis_since(window.start()), tier.seconds() * 1_000);
                prop_assert_eq!(Window::starting(tier, window.start()), Ok(window));
                let next = Window::containing(tier, window.end());
                prop_assert_eq!(next.start(), window.end(), "windows lie side by side");
            }
        }

        #[test]
        fn a_parent_holds_its_child_whole(at in instant()) {
            for tier in Tier::ALL {
                let window = Window::containing(tier, at);
                let Some(parent) = window.parent() else {
                    prop_assert_eq!(tier, Tier::Hour);
                    continue;
                };
                prop_assert_eq!(parent.tier().finer(), Some(tier));
                prop_assert_eq!(parent.range().intersection(window.range()), window.range());
                prop_assert_eq!(parent, Window::containing(parent.tier(), at));
            }
        }

        #[test]
        fn a_window_starts_on_its_grid_or_not_at_all(at in instant()) {
            for tier in Tier::ALL {
                let aligned = at.as_millis() % (tier.seconds() * 1_000) == 0;
                prop_assert_eq!(Window::starting(tier, at).is_ok(), aligned);
            }
        }
    }

    #[test]
    fn tiers_are_told_by_their_neighbours_and_divide_each_other() {
        for pair in Tier::ALL.windows(2) {
            assert_eq!((pair[0].coarser(), pair[1].finer()), (Some(pair[1]), Some(pair[0])));
            assert_eq!(pair[1].seconds() % pair[0].seconds(), 0);
        }
        assert_eq!((Tier::Raw.finer(), Tier::Hour.coarser()), (None, None));
        assert_eq!(Tier::ALL[1..], Tier::ROLLED);
        assert_eq!(Tier::ALL.map(Tier::name), ["10s", "1m", "15m", "1h"]);
    }
}
