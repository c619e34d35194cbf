//! Civil time: where the hours, days and months of a zone begin.
//!
//! Pure. A bucket is the time between two neighbouring *edges* of a resolution:
//!
//! - 10 s, 1 m and 15 m: the multiples in UTC. (Every zone of today is off by whole quarters of an hour, so
//!   they are the zone's own, too.)
//! - 1 h: the instants at which the zone's clocks show a full hour, and those at which they jump by other than
//!   whole hours, so that an hour never reaches over the edge of a day. Hours are mostly 60 minutes; Lord Howe
//!   has two of 30 a year.
//! - 1 d, 1 mo: the first instant of the local date. Where the clocks jump over midnight, that is the instant
//!   of the jump; where midnight comes twice, the first. Days have 23, 24, 25 hours, or are left out
//!   altogether (Samoa, 2011-12-30).
//!
//! All edges lie on the 10 s grid, and every edge of a coarser resolution from the hour up is an edge of the
//! finer ones from the hour up.

use chrono::{
    DateTime, Datelike as _, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, SecondsFormat,
    TimeZone as _,
};
use chrono_tz::Tz;
use flagmeter_model::{TimeRange, Timestamp};

/// How long the buckets of an answer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Resolution {
    /// 10 s, the grain of raw points.
    Slot,
    /// 1 minute.
    Minute,
    /// 15 minutes.
    Quarter,
    /// 1 hour of the zone.
    Hour,
    /// 1 day of the zone.
    Day,
    /// 1 month of the zone.
    Month,
}

impl Resolution {
    /// All of them, from the finest to the coarsest.
    pub(crate) const ALL: [Self; 6] =
        [Self::Slot, Self::Minute, Self::Quarter, Self::Hour, Self::Day, Self::Month];

    /// Its name in the API.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Slot => "10s",
            Self::Minute => "1m",
            Self::Quarter => "15m",
            Self::Hour => "1h",
            Self::Day => "1d",
            Self::Month => "1mo",
        }
    }

    /// The resolution of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resolution| resolution.name() == name)
    }

    /// About how long a bucket is, in seconds.
    pub(crate) const fn seconds_about(self) -> i64 {
        match self {
            Self::Slot => 10,
            Self::Minute => 60,
            Self::Quarter => 900,
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Month => 2_629_746,
        }
    }

    /// The last edge that is not after `at`.
    pub(crate) fn floor(self, zone: Tz, at: Timestamp) -> Timestamp {
        match self {
            Self::Slot | Self::Minute | Self::Quarter => at.floor_to(self.seconds_about()),
            Self::Hour => hour_floor(zone, at),
            Self::Day | Self::Month => self.date_floor(zone, at),
        }
    }

    /// The first edge after `at`; [`Timestamp::MAX`] where there is none.
    pub(crate) fn next(self, zone: Tz, at: Timestamp) -> Timestamp {
        match self {
            Self::Slot | Self::Minute | Self::Quarter => {
                at.floor_to(self.seconds_about()).plus_seconds(self.seconds_about())
            }
            Self::Hour => hour_next(zone, at),
            Self::Day | Self::Month => self.date_next(zone, self.first_date(local(zone, at).date()), at),
        }
    }

    /// The edges of the buckets that `range` lies in, rounded outward to whole buckets; `None` if they are more
    /// than `buckets_max`, or if the range is empty.
    pub(crate) fn edges(self, zone: Tz, range: TimeRange, buckets_max: usize) -> Option<Vec<Timestamp>> {
        let mut last = self.floor(zone, range.from);
        let mut edges = vec![last];
        while last < range.to {
            let next = self.next(zone, last);
            if next <= last || edges.len() > buckets_max {
                return None;
            }
            edges.push(next);
            last = next;
        }
        (edges.len() > 1).then_some(edges)
    }

    /// The edges of the `buckets` buckets just before `edge`, which is one itself and is the last of them;
    /// `None` if they would begin before 1970.
    pub(crate) fn edges_before(self, zone: Tz, edge: Timestamp, buckets: usize) -> Option<Vec<Timestamp>> {
        let mut edges = vec![edge];
        let mut first = edge;
        for _ in 0..buckets {
            if first == Timestamp::EPOCH {
                return None;
            }
            first = self.floor(zone, first.plus_millis(-1));
            edges.push(first);
        }
        edges.reverse();
        Some(edges)
    }

    /// The first date of the day or month that `date` lies in.
    fn first_date(self, date: NaiveDate) -> NaiveDate {
        if self == Self::Month { date.with_day(1).unwrap_or(date) } else { date }
    }

    /// The date after, of the same grid.
    fn next_date(self, date: NaiveDate) -> NaiveDate {
        let next = if self == Self::Month {
            date.checked_add_months(Months::new(1))
        } else {
            date.checked_add_days(Days::new(1))
        };
        next.unwrap_or(NaiveDate::MAX)
    }

    fn date_floor(self, zone: Tz, at: Timestamp) -> Timestamp {
        let mut date = self.first_date(local(zone, at).date());
        let mut start = day_start(zone, date);
        // Where clocks fall back over midnight, an instant can show a date whose next one has begun already.
        loop {
            date = self.next_date(date);
            let next = day_start(zone, date);
            if next > at || next <= start {
                return start.min(at);
            }
            start = next;
        }
    }

    fn date_next(self, zone: Tz, mut date: NaiveDate, at: Timestamp) -> Timestamp {
        loop {
            date = self.next_date(date);
            let start = day_start(zone, date);
            if start > at || start == Timestamp::MAX {
                return start;
            }
        }
    }
}

/// The first instant of a date in a zone, kept within the bounds of [`Timestamp`].
pub(crate) fn day_start(zone: Tz, date: NaiveDate) -> Timestamp {
    let midnight = date.and_time(NaiveTime::MIN);
    if let Some(at) = zone.from_local_datetime(&midnight).earliest() {
        return Timestamp::from_millis_clamped(at.timestamp_millis());
    }
    // The clocks jump over it. They show it or more from the jump on, which is less than 26 hours away from
    // where UTC shows it.
    let utc = Timestamp::from_millis_clamped(midnight.and_utc().timestamp_millis());
    first_on_grid(utc.plus_seconds(-26 * 3_600), utc.plus_seconds(26 * 3_600), |at| {
        local(zone, at) >= midnight
    })
}

/// RFC 3339 in the zone's own offset.
pub(crate) fn rfc3339(zone: Tz, at: Timestamp) -> String {
    // RFC 3339 has no seconds in offsets (Liberia, until 1972).
    let zone = if offset_seconds(zone, at) % 60 == 0 { zone } else { Tz::UTC };
    zone.from_utc_datetime(&at.to_chrono().naive_utc())
        .to_rfc3339_opts(SecondsFormat::AutoSi, zone == Tz::UTC)
}

fn hour_floor(zone: Tz, at: Timestamp) -> Timestamp {
    let offset = offset_seconds(zone, at);
    let full = full_hour(at, offset);
    jump_off_the_hour(zone, full, at).unwrap_or(full)
}

fn hour_next(zone: Tz, at: Timestamp) -> Timestamp {
    let full = full_hour(at, offset_seconds(zone, at)).plus_seconds(3_600);
    // Before 1970-01-01T01:00 the full hour before may lie before the epoch, where it is kept at the epoch.
    let full = if full > at { full } else { at.plus_seconds(3_600) };
    jump_off_the_hour(zone, at, full).unwrap_or(full)
}

/// The last instant, not after `at`, at which a clock that is `offset` seconds ahead of UTC shows a full hour.
fn full_hour(at: Timestamp, offset: i64) -> Timestamp {
    let shown = at.as_seconds() + offset;
    Timestamp::from_seconds_clamped(shown - shown.rem_euclid(3_600) - offset)
}

/// The instant in `(after, until]` at which the zone's clocks jump by other than whole hours, if they do.
fn jump_off_the_hour(zone: Tz, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
    let before = offset_seconds(zone, after);
    let jump = offset_seconds(zone, until) - before;
    (jump % 3_600 != 0).then(|| first_on_grid(after, until, |at| offset_seconds(zone, at) != before))
}

/// The first instant of the 10 s grid in `(after, until]` for which `is_past` holds, which changes once in
/// between; `until` if none does.
fn first_on_grid(after: Timestamp, until: Timestamp, is_past: impl Fn(Timestamp) -> bool) -> Timestamp {
    let (mut low, mut high) = (after.as_seconds().div_euclid(10), until.as_seconds().div_euclid(10));
    while low + 1 < high {
        let middle = i64::midpoint(low, high);
        if is_past(Timestamp::from_seconds_clamped(middle * 10)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Timestamp::from_seconds_clamped(high * 10)
}

fn offset_seconds(zone: Tz, at: Timestamp) -> i64 {
    i64::from(zone.offset_from_utc_datetime(&at.to_chrono().naive_utc()).fix().local_minus_utc())
}

/// What the zone's clocks show.
pub(crate) fn local(zone: Tz, at: Timestamp) -> NaiveDateTime {
    DateTime::with_timezone(&at.to_chrono(), &zone).naive_local()
}

#[cfg(test)]
mod tests;
