//! When the periods of a customer begin. Pure.

use chrono::{DateTime, Datelike as _, Months, NaiveDate};
use chrono_tz::Tz;
use flagmeter_model::{Customer, TimeRange, Timestamp};

use crate::civil;

const HOUR_MS: i64 = 3_600_000;

/// When the periods of a customer begin: on a day of each month of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// The zone whose days are meant.
    pub(crate) zone: Tz,
    /// The day of the month: the last one of a month that has no such day.
    pub(crate) day: u8,
}

impl Calendar {
    /// That of a customer of the registry, as far as it says; else months of UTC.
    pub fn of(customer: Option<&Customer>) -> Self {
        let plan = customer.and_then(|customer| customer.plan.as_ref());
        let zone = plan.and_then(|plan| plan.time_zone.as_deref());
        let zone = zone.or_else(|| customer.and_then(|customer| customer.time_zone.as_deref()));
        Self {
            zone: zone.and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC),
            day: plan.map_or(1, |plan| plan.billing_day),
        }
    }

    /// The name of its zone.
    pub fn zone_name(self) -> &'static str {
        self.zone.name()
    }

    /// Whether its periods are made of full hours of UTC, as bills are. Looked up for as long as anyone alive signs
    /// contracts: zones that were off by a part of an hour long ago are no matter.
    pub fn is_of_full_hours(self) -> bool {
        let months = (0..12 * 60).filter_map(|month| {
            let first = NaiveDate::from_ymd_opt(2020, 1, 1)?;
            self.start_in(first.checked_add_months(Months::new(month))?)
        });
        months.into_iter().all(|start| start.as_millis() % HOUR_MS == 0)
    }

    /// The period that `at` lies in.
    pub fn period(self, at: Timestamp) -> TimeRange {
        let date = DateTime::with_timezone(&at.to_chrono(), &self.zone).date_naive();
        let start = |months| self.start_in(month_beside(date, months)?);
        // Where clocks fall back over midnight, an instant can show a date whose next one has begun already: the month
        // that is shown need not be the one that the period began in.
        let starts: Vec<Timestamp> = (-2..=2).filter_map(start).collect();
        let next = starts.partition_point(|start| *start <= at);
        let found = |at: Option<usize>| at.and_then(|at| starts.get(at)).copied();
        TimeRange::new(
            found(next.checked_sub(1)).unwrap_or(Timestamp::EPOCH),
            found(Some(next)).unwrap_or(Timestamp::MAX),
        )
    }

    /// The period that begins in a month, which is written as `2026-11`; `None` where it is written otherwise, or lies
    /// beyond the bounds of time.
    pub(crate) fn period_of(self, month: &str) -> Option<TimeRange> {
        // One way to write a month: no signs, no missing zeros.
        let is_plain = month.len() == 7 && month.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let first = is_plain.then(|| format!("{month}-01").parse::<NaiveDate>().ok())??;
        let next = first.checked_add_months(Months::new(1))?;
        let range = TimeRange::new(self.start_in(first)?, self.start_in(next)?);
        // Beyond the bounds of time nothing is left of a month.
        (!range.is_empty()).then_some(range)
    }

    /// When the period begins that begins in the month of this date.
    fn start_in(self, date: NaiveDate) -> Option<Timestamp> {
        let days = u32::from(date.num_days_in_month());
        let date = date.with_day(u32::from(self.day).clamp(1, days))?;
        Some(civil::day_start(self.zone, date))
    }
}

/// The month so many months before a month, both written as `2026-11`.
pub(crate) fn months_back(month: &str, months: u32) -> Option<String> {
    let first = format!("{month}-01").parse::<NaiveDate>().ok()?;
    Some(first.checked_sub_months(Months::new(months))?.format("%Y-%m").to_string())
}

/// The first day of the month that is so many months away.
fn month_beside(date: NaiveDate, months: i32) -> Option<NaiveDate> {
    let first = date.with_day(1)?;
    let away = Months::new(months.unsigned_abs());
    if months < 0 { first.checked_sub_months(away) } else { first.checked_add_months(away) }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;
    use proptest::prelude::*;

    use super::*;

    fn calendar(zone: &str, day: u8) -> Calendar {
        Calendar { zone: zone.parse().unwrap(), day }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn shown(calendar: Calendar, range: TimeRange) -> [String; 2] {
        [range.from, range.to].map(|at| civil::rfc3339(calendar.zone, at))
    }

    #[test]
    fn a_period_begins_on_its_day_or_on_the_last_one_of_a_shorter_month() {
        for (zone, day, within, from, to) in [
            ("UTC", 1, "2026-11-20T12:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            ("UTC", 31, "2027-02-28T00:00:00Z", "2027-02-28T00:00:00Z", "2027-03-31T00:00:00Z"),
            ("UTC", 31, "2027-02-27T23:59:59Z", "2027-01-31T00:00:00Z", "2027-02-28T00:00:00Z"),
            ("UTC", 31, "2028-02-29T12:00:00Z", "2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"),
            ("UTC", 30, "2028-02-28T12:00:00Z", "2028-01-30T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("UTC", 29, "2027-03-01T00:00:00Z", "2027-02-28T00:00:00Z", "2027-03-29T00:00:00Z"),
            // Clocks change within: 743 and 745 hours.
            (
                "Europe/Berlin",
                1,
                "2026-03-31T21:59:59Z",
                "2026-03-01T00:00:00+01:00",
                "2026-04-01T00:00:00+02:00",
            ),
            (
                "Europe/Berlin",
                15,
                "2026-11-14T22:59:59Z",
                "2026-10-15T00:00:00+02:00",
                "2026-11-15T00:00:00+01:00",
            ),
            // Clocks change on the very day: midnight is not there, or comes twice.
            (
                "America/Asuncion",
                31,
                "2017-10-01T04:00:00Z",
                "2017-09-30T00:00:00-04:00",
                "2017-10-31T00:00:00-03:00",
            ),
            (
                "America/Havana",
                1,
                "2026-11-01T04:30:00Z",
                "2026-11-01T00:00:00-04:00",
                "2026-12-01T00:00:00-05:00",
            ),
        ] {
            let calendar = calendar(zone, day);
            assert_eq!(shown(calendar, calendar.period(at(within))), [from, to], "{zone} {day} {within}");
        }
    }

    #[test]
    fn a_period_is_named_by_the_month_in_which_it_begins() {
        let of = |month: &str| calendar("Europe/Berlin", 31).period_of(month);
        let february = of("2027-02").unwrap();
        let expected = ["2027-02-28T00:00:00+01:00", "2027-03-31T00:00:00+02:00"];
        assert_eq!(shown(calendar("Europe/Berlin", 31), february), expected);
        for wrong in ["2027-13", "2027-2", "+202-11", "1969-11", "9999-12", "", "2027-02-01"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn months_are_counted_back_over_the_turn_of_the_year() {
        let back = |months| months_back("2027-02", months).unwrap();
        assert_eq!([back(0), back(1), back(2)], ["2027-02", "2027-01", "2026-12"]);
        assert_eq!(months_back("soon", 1), None);
    }

    #[test]
    fn bills_are_made_of_full_hours() {
        for (zone, is) in [
            ("UTC", true),
            ("Europe/Berlin", true),
            ("America/Havana", true),
            ("Asia/Kolkata", false),
            ("Asia/Kathmandu", false),
            ("Australia/Lord_Howe", false),
        ] {
            assert_eq!(calendar(zone, 1).is_of_full_hours(), is, "{zone}");
        }
    }

    #[test]
    fn a_customer_has_the_calendar_of_its_plan() {
        let of = |text: &str| {
            let registry =
                flagmeter_model::Registry::parse(&format!("[[customer]]\nid = \"a\"\n{text}")).unwrap();
            Calendar::of(registry.customer("a"))
        };
        assert_eq!(of(""), calendar("UTC", 1));
        assert_eq!(of("time_zone = \"Europe/Berlin\"\n"), calendar("Europe/Berlin", 1));
        let plan = "time_zone = \"Asia/Kolkata\"\n[customer.plan]\nbilling_day = 15\n";
        assert_eq!(of(plan), calendar("Asia/Kolkata", 15));
        assert_eq!(of(&format!("{plan}time_zone = \"UTC\"\n")), calendar("UTC", 15));
        assert_eq!(Calendar::of(None), calendar("UTC", 1));
    }

    proptest! {
        #[test]
        fn periods_follow_each_other_without_gap(
            zone in prop::sample::select(&chrono_tz::TZ_VARIANTS), day in 1_u8..=31, seconds in 6_000_000_i64..4_000_000_000
        ) {
            let calendar = Calendar { zone, day };
            let at = Timestamp::from_seconds_clamped(seconds);
            let period = calendar.period(at);
            prop_assert!(period.contains(at), "{at} in {period:?}");
            let next = calendar.period(period.to);
            prop_assert_eq!(next.from, period.to);
            prop_assert_eq!(calendar.period(period.from), period);
            prop_assert_eq!(calendar.period(period.to.plus_millis(-1)), period);
            let days = period.to.millis_since(period.from) / 86_400_000;
            prop_assert!((27..=31).contains(&days), "{days}");
            // It begins when a day of the zone does: the one of the calendar, or the last one of its month.
            let date = zone.from_utc_datetime(&period.from.to_chrono().naive_utc()).date_naive();
            let is_last = date.succ_opt().unwrap().day() == 1;
            let is_left_out = civil::day_start(zone, date.pred_opt().unwrap()) == period.from;
            prop_assert!(date.day() == u32::from(day) || (is_last && date.day() < u32::from(day)) || is_left_out);
            prop_assert_eq!(calendar.period_of(&date.format("%Y-%m").to_string()).unwrap().from, period.from);
        }
    }
}
