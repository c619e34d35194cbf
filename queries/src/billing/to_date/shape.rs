//! Usage to date as it is shown. Pure.

use chrono_tz::Tz;
use flagmeter_model::{Meter, Name, Plan, TimeRange};
use serde::Serialize;
use utoipa::ToSchema;

use super::projection::{Projection, Running};
use crate::{
    answer::{Known, Missing},
    civil,
};

/// How a projection is made, in words.
const METHOD: &str = "count: what was counted before counted_until and the mean of rest over weeks; low and high: with the \
    least and the greatest rest; none less than used. rest of a week: what the hours from counted_until to the end of the \
    period come to if each counts as much as the same hour of that week. A seasonal naive forecast, averaged (Hyndman and \
    Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 5.2): it knows no growth and no holidays.";

/// The answer of `/v1/billing/usage-to-date`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageToDate {
    /// Whose.
    #[schema(value_type = String, example = "acme")]
    pub(crate) customer: Name,
    /// The zone whose days these are.
    #[schema(example = "Europe/Berlin")]
    pub(crate) tz: &'static str,
    /// The day of the month on which periods begin: the last one of a month that has no such day.
    #[schema(example = 1)]
    pub(crate) billing_day: u8,
    /// Start of the period that runs.
    #[schema(example = "2026-11-01T00:00:00+01:00")]
    pub(crate) from: String,
    /// Its end.
    #[schema(example = "2026-12-01T00:00:00+01:00")]
    pub(crate) to: String,
    /// Hours that end at or before this are final. Null before the first.
    #[schema(required, example = "2026-11-20T13:00:00+01:00")]
    pub(crate) final_until: Option<String>,
    /// Everything before this is in. Null before the first count.
    #[schema(required, example = "2026-11-20T14:44:50+01:00")]
    pub(crate) complete_until: Option<String>,
    /// Nodes that are silent.
    pub(crate) missing_nodes: Vec<Missing>,
    /// Of each meter.
    pub(crate) meters: Vec<MeterToDate>,
}

/// What was used of a meter.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeterToDate {
    /// `evaluations` or `requests`.
    #[schema(example = "evaluations")]
    pub(crate) meter: &'static str,
    /// What is known of the period so far.
    pub(crate) state: Known,
    /// What was used so far, in decimal digits. Null where nothing is known.
    #[schema(required, example = "6184000")]
    pub(crate) used: Option<String>,
    /// The part of it that is final.
    #[schema(example = "6100000")]
    pub(crate) used_final: String,
    /// What the plan includes in a period, in decimal digits. Null where it says nothing.
    #[schema(required, example = "10000000")]
    pub(crate) included: Option<String>,
    /// How much of it is used, in percent, rounded down.
    #[schema(required, example = "61.84")]
    pub(crate) percent_used: Option<String>,
    /// The thresholds of the plan, by percent.
    pub(crate) thresholds: Vec<ThresholdToDate>,
    /// What the period will come to. Null where fewer than two of the last four weeks are known: then nothing is guessed.
    #[schema(required)]
    pub(crate) projection: Option<ProjectionToDate>,
}

/// A threshold of a plan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThresholdToDate {
    /// The part of what is included, in percent.
    #[schema(example = 50)]
    pub(crate) percent: u16,
    /// Whether the plan says that it is a hard one. Traffic is never stopped here.
    pub(crate) hard: bool,
    /// The count with which it is crossed.
    #[schema(example = "5000000")]
    pub(crate) count: String,
    /// Whether it is known to be crossed.
    pub(crate) crossed: bool,
}

/// What a period will come to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectionToDate {
    /// With the mean of the weeks.
    #[schema(example = "9300000")]
    pub(crate) count: String,
    /// With the least of them.
    #[schema(example = "9100000")]
    pub(crate) low: String,
    /// With the greatest of them.
    #[schema(example = "9450000")]
    pub(crate) high: String,
    /// `count` of what is included, in percent, rounded down.
    #[schema(required, example = "93.00")]
    pub(crate) percent: Option<String>,
    /// What lies before this was counted, the rest is projected.
    #[schema(example = "2026-11-20T14:00:00+01:00")]
    pub(crate) counted_until: String,
    /// The weeks that it is made from, the last one first.
    pub(crate) weeks: Vec<WeekToDate>,
    /// How it is made.
    pub(crate) method: &'static str,
}

/// A week that a projection is made from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WeekToDate {
    /// Its start.
    #[schema(example = "2026-11-13T14:00:00+01:00")]
    pub(crate) from: String,
    /// Its end.
    #[schema(example = "2026-11-20T14:00:00+01:00")]
    pub(crate) to: String,
    /// What the rest of the period comes to if it goes as this week went.
    #[schema(example = "3116000")]
    pub(crate) rest: String,
}

/// What is known of a meter.
#[derive(Debug)]
pub(super) struct MeterUse {
    pub(super) meter: Meter,
    pub(super) state: Known,
    pub(super) settled: u128,
    pub(super) used: u128,
    /// With what it was made from.
    pub(super) projection: Option<(Running, Projection)>,
}

/// Shapes what is known of a meter.
pub(super) fn shape(used: MeterUse, plan: Option<&Plan>, zone: Tz) -> MeterToDate {
    let MeterUse { meter, state, settled, used, projection } = used;
    let included = plan.and_then(|plan| plan.included(meter));
    let known = (state != Known::Unknown).then_some(used);
    let thresholds = plan.zip(included).into_iter().flat_map(|(plan, included)| {
        plan.thresholds.iter().map(move |threshold| ThresholdToDate {
            percent: threshold.percent,
            hard: threshold.hard,
            count: threshold.count(included).to_string(),
            crossed: known.is_some_and(|used| used >= threshold.count(included)),
        })
    });
    MeterToDate {
        meter: meter.name(),
        state,
        used: known.map(|used| used.to_string()),
        used_final: settled.to_string(),
        included: included.map(|included| included.to_string()),
        percent_used: known.zip(included).map(|(used, included)| percent(used, included)),
        thresholds: thresholds.collect(),
        projection: projection.map(|(running, projection)| projected(running, projection, included, zone)),
    }
}

fn projected(running: Running, projection: Projection, included: Option<u64>, zone: Tz) -> ProjectionToDate {
    let week = |TimeRange { from, to }, rest: u128| WeekToDate {
        from: civil::rfc3339(zone, from),
        to: civil::rfc3339(zone, to),
        rest: rest.to_string(),
    };
    ProjectionToDate {
        count: projection.count.to_string(),
        low: projection.low.to_string(),
        high: projection.high.to_string(),
        percent: included.map(|included| percent(projection.count, included)),
        counted_until: civil::rfc3339(zone, running.counted_until),
        weeks: projection.weeks.into_iter().map(|of| week(of.range, of.rest)).collect(),
        method: METHOD,
    }
}

/// With two digits behind the point, rounded down: what is not used up does not look so.
fn percent(used: u128, included: u64) -> String {
    let hundredths = used.saturating_mul(10_000) / u128::from(included.max(1));
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_never_says_more_than_is_used() {
        for (used, included, shown) in [
            (0, 7, "0.00"),
            (1, 3, "33.33"),
            (9_999_999, 10_000_000, "99.99"),
            (10_000_000, 10_000_000, "100.00"),
            (25, 10, "250.00"),
            (1, u64::MAX, "0.00"),
        ] {
            assert_eq!(percent(used, included), shown);
        }
    }
}
