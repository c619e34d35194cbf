//! Who sealed, and the how-manieth time.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, Timestamp};

/// The number of an edge node: 0 to [`NodeId::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct NodeId(u16);

impl NodeId {
    /// The largest number: ten bits, because an InfluxDB timestamp has room for no more (see `design`).
    pub const MAX: u16 = 1_023;

    /// The node with this number.
    pub const fn new(number: u16) -> Result<Self> {
        if number > Self::MAX { Err(Error::NodeOutOfRange(number as u64)) } else { Ok(Self(number)) }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for NodeId {
    type Error = Error;
    fn try_from(number: u16) -> Result<Self> {
        Self::new(number)
    }
}

impl From<NodeId> for u16 {
    fn from(node: NodeId) -> Self {
        node.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which of the numbers of a node's seals a journal may use.
///
/// A node's number may go from one journal to another: a machine is replaced, or two edges are given one number by
/// mistake. Both may hold seals of the same second then that the log has not taken yet. Journals of one node that
/// live at the same time have lanes of their own, and so never make two seals with one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lane(u8);

impl Lane {
    /// How many there are.
    pub const COUNT: u8 = 4;

    /// The lane with this number; `None` if it is not below [`COUNT`](Self::COUNT).
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// Its number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The number of a seal among those of its node: strictly growing within a journal, near the time of its making in
/// quarters of a second since 1970. Which quarter is told by the journal's [`Lane`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(u64);

impl Seq {
    /// The seal with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of the next seal, made at `now`: the first of the lane that is greater than `last`, and not
    /// before the second. A journal that was lost starts again above what it has used, unless its clock was set back
    /// as well; a clock that jumps back never makes a number come twice.
    #[must_use]
    pub fn next(last: Option<Self>, now: Timestamp, lane: Lane) -> Self {
        let lanes = u64::from(Lane::COUNT);
        let second = u64::try_from(now.as_seconds()).unwrap_or(0).saturating_mul(lanes);
        let from = last.map_or(second, |last| second.max(last.0.saturating_add(1)));
        let to_lane = (u64::from(lane.get()) + lanes - from % lanes) % lanes;
        Self(from.saturating_add(to_lane))
    }

    /// Milliseconds since 1970 that it stands for.
    pub const fn as_millis(self) -> i64 {
        let millis = self.0.saturating_mul(1_000 / Lane::COUNT as u64);
        if millis > i64::MAX as u64 { i64::MAX } else { millis.cast_signed() }
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lane() -> impl Strategy<Value = Lane> {
        (0..Lane::COUNT).prop_map(|number| Lane::new(number).unwrap())
    }

    proptest! {
        #[test]
        fn seals_are_numbered_upwards_however_the_clock_jumps(
            seconds in prop::collection::vec(0..2_000_000_000_i64, 1..50),
            first in prop::option::of(0..8_000_000_000_u64),
            lane in lane(),
        ) {
            let mut last = first.map(Seq::new);
            for at in seconds.into_iter().map(Timestamp::from_seconds_clamped) {
                let next = Seq::next(last, at, lane);
                prop_assert!(Some(next) > last);
                prop_assert!(next.as_millis() >= at.as_millis(), "never behind the clock");
                prop_assert!(
                    next.as_millis() < at.as_millis() + 1_000
                        || last.is_some_and(|last| next.get() <= last.get() + u64::from(Lane::COUNT)),
                    "never further ahead than it must be"
                );
                last = Some(next);
            }
        }

        #[test]
        fn journals_with_lanes_of_their_own_never_use_one_number(
            a in prop::collection::vec(0..40_i64, 1..40),
            b in prop::collection::vec(0..40_i64, 1..40),
            lanes in (lane(), lane()).prop_filter("two of them", |(a, b)| a != b),
        ) {
            let numbers = |seconds: Vec<i64>, lane| {
                let next = |last: &mut Option<Seq>, second| {
                    *last = Some(Seq::next(*last, Timestamp::from_seconds_clamped(second), lane));
                    *last
                };
                seconds.into_iter().scan(None, next).collect::<std::collections::BTreeSet<_>>()
            };
            prop_assert!(numbers(a, lanes.0).is_disjoint(&numbers(b, lanes.1)));
        }
    }

    #[test]
    fn nodes_have_ten_bits() {
        assert_eq!(NodeId::new(1_023).map(NodeId::get), Ok(1_023));
        assert_eq!(NodeId::new(1_024), Err(Error::NodeOutOfRange(1_024)));
        assert!(serde_json::from_str::<NodeId>("1024").is_err());
    }
}
