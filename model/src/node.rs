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

/// The number of a seal among those of its node: strictly growing, near the unix second of its making.
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

    /// The number of the next seal, made at `now`: `max(last + 1, unix second)`. A journal that was lost
    /// starts again above what it has used, unless its clock was set back as well; a clock that jumps back
    /// never makes a number come twice.
    #[must_use]
    pub fn next(last: Option<Self>, now: Timestamp) -> Self {
        let second = u64::try_from(now.as_seconds()).unwrap_or(0);
        Self(last.map_or(second, |last| second.max(last.0.saturating_add(1))))
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

    proptest! {
        #[test]
        fn seals_are_numbered_upwards_however_the_clock_jumps(
            seconds in prop::collection::vec(0..10_000_000_000_i64, 1..50),
            first in prop::option::of(0..10_000_000_000_u64),
        ) {
            let mut last = first.map(Seq::new);
            for at in seconds.into_iter().map(Timestamp::from_seconds_clamped) {
                let next = Seq::next(last, at);
                prop_assert!(Some(next) > last);
                prop_assert!(next.get() >= at.as_seconds().unsigned_abs(), "never behind the clock");
                prop_assert!(
                    next.get() == at.as_seconds().unsigned_abs() || Some(next.get() - 1) == last.map(Seq::get),
                    "never further ahead than it must be"
                );
                last = Some(next);
            }
        }
    }

    #[test]
    fn nodes_have_ten_bits() {
        assert_eq!(NodeId::new(1_023).map(NodeId::get), Ok(1_023));
        assert_eq!(NodeId::new(1_024), Err(Error::NodeOutOfRange(1_024)));
        assert!(serde_json::from_str::<NodeId>("1024").is_err());
    }
}
