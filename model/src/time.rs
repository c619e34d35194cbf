//! Instants, ranges and the slots of raw points. All of it UTC; civil time belongs to `queries`.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// An instant: milliseconds since 1970-01-01T00:00:00Z, from 0 to [`Timestamp::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// 2261-01-01T00:00:00Z, so that every instant also fits nanoseconds in an i64, as InfluxDB keeps them.
    pub const MAX: Self = Self(9_183_110_400_000);

    /// The instant at `millis` ms since the epoch.
    pub const fn from_millis(millis: i64) -> Result<Self> {
        if millis < 0 || millis > Self::MAX.0 { Err(Error::TimeOutOfRange(millis)) } else { Ok(Self(millis)) }
    }

    /// The instant at `millis` ms since the epoch, moved to the nearest bound if it lies outside.
    pub const fn from_millis_clamped(millis: i64) -> Self {
        if millis < 0 {
            Self::EPOCH
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// The instant at `seconds` s since the epoch, moved to the nearest bound if it lies outside.
    pub const fn from_seconds_clamped(seconds: i64) -> Self {
        Self::from_millis_clamped(seconds.saturating_mul(1_000))
    }

    /// Reads RFC 3339, with any offset.
    pub fn parse_rfc3339(text: &str) -> Result<Self> {
        let time = DateTime::parse_from_rfc3339(text)
            .map_err(|_| Error::TimeUnreadable(text.chars().take(64).collect()))?;
        Self::from_millis(time.timestamp_millis())
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn as_seconds(self) -> i64 {
        self.0 / 1_000
    }

    /// The same instant for chrono.
    pub fn to_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }

    /// This instant moved by `millis` ms (which may be negative), kept within bounds.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis_clamped(self.0.saturating_add(millis))
    }

    /// This instant moved by `seconds` s (which may be negative), kept within bounds.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_millis(seconds.saturating_mul(1_000))
    }

    /// The last multiple of `seconds` that is not after this instant. `seconds` of 0 or less counts as 1.
    #[must_use]
    pub const fn floor_to(self, seconds: i64) -> Self {
        let grid = if seconds < 1 { 1_000 } else { seconds.saturating_mul(1_000) };
        Self(self.0 - self.0 % grid)
    }

    /// The first multiple of `seconds` that is not before this instant, kept within bounds.
    #[must_use]
    pub const fn ceil_to(self, seconds: i64) -> Self {
        let floor = self.floor_to(seconds);
        if floor.0 == self.0 { self } else { floor.plus_seconds(if seconds < 1 { 1 } else { seconds }) }
    }

    /// Milliseconds from `earlier` to this instant; negative if it is later.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl TryFrom<i64> for Timestamp {
    type Error = Error;
    fn try_from(millis: i64) -> Result<Self> {
        Self::from_millis(millis)
    }
}

impl From<Timestamp> for i64 {
    fn from(at: Timestamp) -> Self {
        at.0
    }
}

/// RFC 3339 in UTC, with milliseconds only where there are any.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_chrono().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// A half-open range of time: from `from`, up to but without `to`. Empty when `to <= from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    /// First instant inside.
    pub from: Timestamp,
    /// First instant after.
    pub to: Timestamp,
}

impl TimeRange {
    /// The range from `from` up to but without `to`.
    pub const fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to }
    }

    /// Whether no instant lies inside.
    pub const fn is_empty(self) -> bool {
        self.to.0 <= self.from.0
    }

    /// Whether `at` lies inside.
    pub const fn contains(self, at: Timestamp) -> bool {
        self.from.0 <= at.0 && at.0 < self.to.0
    }

    /// Whether some instant lies in both.
    pub const fn overlaps(self, other: Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// What lies in both; empty if nothing does.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        let from = if self.from.0 > other.from.0 { self.from } else { other.from };
        let to = if self.to.0 < other.to.0 { self.to } else { other.to };
        Self { from, to }
    }
}

/// 10 s of event time, aligned: the grain of raw points. Numbered from the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(u32);

impl Slot {
    /// Length in seconds.
    pub const SECONDS: i64 = 10;

    /// The slot that `at` lies in.
    pub const fn containing(at: Timestamp) -> Self {
        // The bounds of `Timestamp` keep this below 2^30.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a Timestamp is 0..=9.2e12 ms"
        )]
        Self((at.0 / (Self::SECONDS * 1_000)) as u32)
    }

    /// The slot with this number. Numbers beyond [`Timestamp::MAX`] are out of range.
    pub fn from_number(number: u32) -> Result<Self> {
        let start = i64::from(number) * Self::SECONDS * 1_000;
        Timestamp::from_millis(start).map(|_| Self(number))
    }

    /// Slots since the epoch.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// First instant.
    pub fn start(self) -> Timestamp {
        Timestamp::from_seconds_clamped(i64::from(self.0) * Self::SECONDS)
    }

    /// First instant after.
    pub fn end(self) -> Timestamp {
        self.start().plus_seconds(Self::SECONDS)
    }
}

#[cfg(test)]
mod tests;
