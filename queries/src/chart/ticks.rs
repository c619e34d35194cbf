//! The axis of time: at which instants it has a mark, and what stands there. All of it is as the clocks of the zone show
//! it, changes of the clocks included.

use chrono::{Datelike as _, NaiveDateTime, Timelike as _};
use chrono_tz::Tz;
use flagmeter_model::{TimeRange, Timestamp};

use super::{scale::Plot, text};
use crate::civil::{self, Resolution};

/// How many instants are looked at for one axis at most: marks every 20 years want 240 months each, and the widest
/// picture has room for 40.
const GRID_MAX: usize = 10_000;

/// The size of the letters.
pub(super) const SIZE: f64 = 11.0;

/// From one mark to the next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Seconds(u32),
    Minutes(u32),
    Hours(u32),
    Days(u32),
    Weeks,
    Months(u32),
    Years(u32),
}

const STEPS: [Step; 23] = [
    Step::Seconds(10),
    Step::Seconds(30),
    Step::Minutes(1),
    Step::Minutes(2),
    Step::Minutes(5),
    Step::Minutes(10),
    Step::Minutes(15),
    Step::Minutes(30),
    Step::Hours(1),
    Step::Hours(2),
    Step::Hours(3),
    Step::Hours(6),
    Step::Hours(12),
    Step::Days(1),
    Step::Days(2),
    Step::Weeks,
    Step::Days(14),
    Step::Months(1),
    Step::Months(3),
    Step::Months(6),
    Step::Years(1),
    Step::Years(5),
    Step::Years(20),
];

impl Step {
    /// About how long it is, in seconds.
    fn seconds_about(self) -> i64 {
        let (number, unit) = match self {
            Self::Seconds(seconds) => (seconds, 1),
            Self::Minutes(minutes) => (minutes, 60),
            Self::Hours(hours) => (hours, 3_600),
            Self::Days(days) => (days, 86_400),
            Self::Weeks => (7, 86_400),
            Self::Months(months) => (months, 2_629_746),
            Self::Years(years) => (years, 31_556_952),
        };
        i64::from(number) * unit
    }

    /// The grid that its marks are on.
    const fn grid(self) -> Resolution {
        match self {
            Self::Seconds(_) => Resolution::Slot,
            // Clocks have been off the quarter of an hour: no quarter of UTC is one of theirs.
            Self::Minutes(_) => Resolution::Minute,
            Self::Hours(_) => Resolution::Hour,
            Self::Days(_) | Self::Weeks => Resolution::Day,
            Self::Months(_) | Self::Years(_) => Resolution::Month,
        }
    }

    /// Whether an instant of the grid has a mark.
    fn has(self, local: NaiveDateTime) -> bool {
        match self {
            Self::Seconds(seconds) => local.second().is_multiple_of(seconds),
            Self::Minutes(minutes) => local.minute().is_multiple_of(minutes),
            Self::Hours(hours) => local.hour().is_multiple_of(hours),
            // The 29th has none beside the 1st.
            Self::Days(14) => matches!(local.day(), 1 | 15),
            Self::Days(days) => local.day0().is_multiple_of(days),
            Self::Weeks => local.weekday().num_days_from_monday() == 0,
            Self::Months(months) => local.month0().is_multiple_of(months),
            Self::Years(years) => {
                local.month() == 1 && local.year().rem_euclid(i32::try_from(years).unwrap_or(1)) == 0
            }
        }
    }

    /// What stands at a mark, and whether something larger begins there.
    fn label(self, local: NaiveDateTime, begins_day: bool) -> (String, bool) {
        let format = |format: &str| local.format(format).to_string();
        let begins_year = local.month() == 1 && local.day() == 1;
        match self {
            Self::Seconds(_) | Self::Minutes(_) | Self::Hours(_) if begins_day => (format("%-d %b"), true),
            Self::Seconds(_) => (format("%H:%M:%S"), false),
            Self::Minutes(_) | Self::Hours(_) => (format("%H:%M"), false),
            Self::Days(_) | Self::Weeks => (format("%-d %b"), local.day() == 1),
            Self::Months(_) if begins_year => (format("%Y"), true),
            Self::Months(_) => (format("%b"), false),
            Self::Years(_) => (format("%Y"), false),
        }
    }
}

/// A mark.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) at: Timestamp,
    /// Where it lies.
    pub(super) x: f64,
    /// Where the middle of its label lies: labels at the edges stay inside.
    pub(super) label_x: f64,
    pub(super) label: String,
    /// A day begins, or a year.
    pub(super) is_major: bool,
}

impl Tick {
    fn half(&self) -> f64 {
        text::width(&self.label, SIZE) / 2.0
    }

    /// Whether its label stands well apart from that of the one before.
    fn is_apart(&self, before: &Self) -> bool {
        before.label_x + before.half() + 8.0 <= self.label_x - self.half()
    }
}

/// The marks of a range, no closer than its buckets. Where the clocks go back an hour comes twice, and has its mark
/// twice if there is room.
pub(super) fn ticks(zone: Tz, resolution: Resolution, plot: &Plot) -> Vec<Tick> {
    let range = TimeRange::new(plot.from, plot.to);
    let seconds = plot.to.millis_since(plot.from) / 1_000;
    let has_room = |step: &&Step| {
        let apart = if step.seconds_about() < 60 { 76 } else { 60 };
        let whole = i64::from(pixels(plot.width()));
        step.seconds_about() >= resolution.seconds_about() && seconds / step.seconds_about() <= whole / apart
    };
    let step = *STEPS.iter().find(has_room).unwrap_or(&Step::Years(20));
    let grid = step.grid().edges(zone, range, GRID_MAX).unwrap_or_default();
    let mut ticks: Vec<Tick> = Vec::new();
    for at in grid.into_iter().filter(|at| range.contains(*at)) {
        let local = civil::local(zone, at);
        let begins_day = Resolution::Day.floor(zone, at) == at;
        let has_mark = step.has(local) || (begins_day && matches!(step, Step::Hours(_)));
        if !has_mark {
            continue;
        }
        let (label, is_major) = step.label(local, begins_day);
        let x = plot.x(at);
        let half = text::width(&label, SIZE) / 2.0;
        let label_x = x.min(plot.right - half).max(plot.left + half);
        let tick = Tick { at, x, label_x, label, is_major };
        match ticks.last() {
            Some(before) if tick.is_apart(before) => ticks.push(tick),
            Some(before) if tick.is_major && !before.is_major => {
                ticks.pop();
                if ticks.last().is_none_or(|before| tick.is_apart(before)) {
                    ticks.push(tick);
                }
            }
            Some(_) => {}
            None => ticks.push(tick),
        }
    }
    ticks
}

#[expect(clippy::cast_possible_truncation, reason = "it is between 0 and some thousands")]
fn pixels(length: f64) -> i32 {
    length as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::scale::Steps, *};

    fn plot(from: &str, to: &str, width: f64) -> Plot {
        let at = |text| Timestamp::parse_rfc3339(text).unwrap();
        let steps = Steps::up_to(1, 4);
        let (from, to) = (at(from), at(to));
        Plot { left: 40.0, right: 40.0 + width, top: 0.0, bottom: 100.0, from, to, steps }
    }

    fn labels(zone: &str, from: &str, to: &str, width: f64) -> Vec<String> {
        let ticks = ticks(zone.parse().unwrap(), Resolution::Slot, &plot(from, to, width));
        ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn marks_are_where_the_clocks_of_the_zone_show_round_times() {
        let berlin = labels("Europe/Berlin", "2026-11-19T23:00:00Z", "2026-11-20T23:00:00Z", 700.0);
        assert_eq!(berlin, ["20 Nov", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00"]);
        let kathmandu = labels("Asia/Kathmandu", "2026-11-20T00:00:00Z", "2026-11-20T03:00:00Z", 400.0);
        assert_eq!(kathmandu, ["06:00", "06:30", "07:00", "07:30", "08:00", "08:30"]);
        let days = labels("Europe/Berlin", "2026-10-22T22:00:00Z", "2026-10-27T23:00:00Z", 400.0);
        assert_eq!(days, ["23 Oct", "24 Oct", "25 Oct", "26 Oct", "27 Oct"]);
        let months = labels("UTC", "2025-10-01T00:00:00Z", "2026-04-01T00:00:00Z", 500.0);
        assert_eq!(months, ["Oct", "Nov", "Dec", "2026", "Feb", "Mar"]);
        let seconds = labels("UTC", "2026-11-20T12:00:00Z", "2026-11-20T12:01:00Z", 480.0);
        assert_eq!(seconds.first().map(String::as_str), Some("12:00:00"));
    }

    #[test]
    fn a_day_of_25_hours_has_an_hour_twice_and_is_wider() {
        let hours = labels("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T04:00:00Z", 700.0);
        assert_eq!(hours, ["25 Oct", "01:00", "02:00", "02:00", "03:00", "04:00"]);
        let plot = plot("2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z", 740.0);
        let ticks = ticks("Europe/Berlin".parse().unwrap(), Resolution::Hour, &plot);
        let days: Vec<_> = ticks.iter().filter(|tick| tick.is_major).map(|tick| tick.x).collect();
        assert_eq!([days[1] - days[0], days[2] - days[1]].map(|wide| format!("{wide:.0}")), ["243", "253"]);
    }

    #[test]
    fn what_is_counted_by_the_day_has_no_hours() {
        let plot = plot("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", 400.0);
        let ticks = ticks(Tz::UTC, Resolution::Day, &plot);
        assert_eq!(ticks.into_iter().map(|tick| tick.label).collect::<Vec<_>>(), ["20 Nov"]);
    }

    #[test]
    fn clocks_that_are_off_the_quarter_of_an_hour_have_marks_at_theirs() {
        let marks = labels("Pacific/Kiritimati", "1970-01-01T00:00:00Z", "1970-01-01T01:25:20Z", 376.0);
        assert_eq!(
            marks,
            ["13:30", "13:45", "14:00", "14:15", "14:30", "14:45"],
            "ten hours and forty minutes behind"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn labels_never_touch_and_stay_inside(
            zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
            from in 0_i64..4_000_000_000, seconds in 10_i64..100, doublings in 0_u32..25, width in 160.0_f64..2_400.0,
        ) {
            let mut plot = plot("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", width);
            plot.from = Timestamp::from_seconds_clamped(from);
            let seconds = seconds << doublings;
            plot.to = plot.from.plus_seconds(seconds);
            let ticks = ticks(zone, Resolution::Slot, &plot);
            for pair in ticks.windows(2) {
                let between = pair[1].label_x - pair[1].half() - (pair[0].label_x + pair[0].half());
                prop_assert!(between > 7.9, "{:?}", pair);
            }
            for tick in &ticks {
                prop_assert!(tick.label_x - tick.half() >= plot.left - 0.001);
                prop_assert!(tick.label_x + tick.half() <= plot.right + 0.001);
            }
            if seconds < 400_000_000 {
                prop_assert!(!ticks.is_empty() || width < 240.0 || seconds < 120, "{} {} {}", zone, from, seconds);
            }
        }
    }
}
