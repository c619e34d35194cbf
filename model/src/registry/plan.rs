//! What a customer has agreed to: how much is included in a period, when periods begin, and at how much of it to be told.
//!
//! ```toml
//! [customer.plan]
//! evaluations = 10_000_000     # included in a period; optional
//! requests = 1_000_000         # optional
//! time_zone = "UTC"            # of its periods, IANA; the customer's own unless it is given
//! billing_day = 15             # on which periods begin, 1 to 31; 1 unless it is given
//! thresholds = [50, 80, 100]   # in percent of what is included; these unless they are given
//! hard_thresholds = [120]      # told as hard ones; none unless they are given
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{Lines, RegistryError};
use crate::Meter;

/// A part of what is included, at which to be told that it is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold {
    /// The part, in percent.
    pub percent: u16,
    /// Whether it is told as a hard one. What follows from that is up to who is told: traffic is never stopped here.
    pub hard: bool,
}

impl Threshold {
    /// Greatest part: ten times what is included.
    pub const PERCENT_MAX: u16 = 1_000;

    /// The count with which it is crossed.
    pub fn count(self, included: u64) -> u128 {
        (u128::from(included) * u128::from(self.percent)).div_ceil(100)
    }
}

/// The plan of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Evaluations that are included in a period; `None` where nothing is said of them.
    pub evaluations: Option<u64>,
    /// Requests that are included in a period.
    pub requests: Option<u64>,
    /// IANA name of the zone in which periods begin; the customer's own if it is none. Not checked here.
    pub time_zone: Option<String>,
    /// Line on which the time zone stands, or else the plan; from 1.
    pub line: usize,
    /// Day of the month on which a period begins: the last one of a month that has no such day.
    pub billing_day: u8,
    /// When to be told, by percent.
    pub thresholds: Vec<Threshold>,
}

impl Plan {
    /// Thresholds of a plan that names none, in percent.
    pub const THRESHOLDS: [u16; 3] = [50, 80, 100];
    /// Thresholds at most: each is a row of the ledger in each period.
    pub const THRESHOLDS_MAX: usize = 20;

    /// How much of a meter is included in a period.
    pub const fn included(&self, meter: Meter) -> Option<u64> {
        match meter {
            Meter::Evaluations => self.evaluations,
            Meter::Requests => self.requests,
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanText {
    evaluations: Option<Spanned<i64>>,
    requests: Option<Spanned<i64>>,
    time_zone: Option<Spanned<String>>,
    billing_day: Option<Spanned<i64>>,
    thresholds: Option<Vec<Spanned<i64>>>,
    #[serde(default)]
    hard_thresholds: Vec<Spanned<i64>>,
}

/// Reads a plan.
pub(super) fn read(lines: &Lines, text: Spanned<PlanText>) -> Result<Plan, RegistryError> {
    let line = lines.of(&text.span());
    let text = text.into_inner();
    let thresholds = thresholds(lines, text.thresholds.as_deref(), &text.hard_thresholds)?;
    Ok(Plan {
        evaluations: text.evaluations.map(|count| included(lines, &count)).transpose()?,
        requests: text.requests.map(|count| included(lines, &count)).transpose()?,
        line: text.time_zone.as_ref().map_or(line, |zone| lines.of(&zone.span())),
        time_zone: text.time_zone.map(Spanned::into_inner),
        billing_day: text.billing_day.map_or(Ok(1), |day| billing_day(lines, &day))?,
        thresholds,
    })
}

fn included(lines: &Lines, count: &Spanned<i64>) -> Result<u64, RegistryError> {
    match u64::try_from(*count.get_ref()) {
        Ok(count) if count > 0 => Ok(count),
        _ => lines.refuse(
            count.span(),
            format!(
                "{} cannot be included: write a whole number from 1 on, or leave it out where nothing is agreed",
                count.get_ref()
            ),
        ),
    }
}

fn billing_day(lines: &Lines, day: &Spanned<i64>) -> Result<u8, RegistryError> {
    match u8::try_from(*day.get_ref()) {
        Ok(day @ 1..=31) => Ok(day),
        _ => lines.refuse(
            day.span(),
            format!(
                "{} is no day of a month: write 1 to 31, where a month without that day takes its last one",
                day.get_ref()
            ),
        ),
    }
}

fn thresholds(
    lines: &Lines,
    soft: Option<&[Spanned<i64>]>,
    hard: &[Spanned<i64>],
) -> Result<Vec<Threshold>, RegistryError> {
    let mut thresholds = BTreeMap::new();
    let given = hard.iter().map(|percent| (percent, true));
    for (percent, hard) in given.chain(soft.unwrap_or_default().iter().map(|percent| (percent, false))) {
        let refuse = |sentence| lines.refuse(percent.span(), sentence);
        let Ok(number @ 1..=Threshold::PERCENT_MAX) = u16::try_from(*percent.get_ref()) else {
            return refuse(format!(
                "a threshold of {} percent cannot be told: write a whole number from 1 to {}",
                percent.get_ref(),
                Threshold::PERCENT_MAX
            ));
        };
        if thresholds.insert(number, hard).is_some() {
            return refuse(format!("the threshold of {number} percent stands twice: keep one of them"));
        }
        if thresholds.len() > Plan::THRESHOLDS_MAX {
            return refuse(format!(
                "a plan has at most {} thresholds: keep those that somebody acts on",
                Plan::THRESHOLDS_MAX
            ));
        }
    }
    if soft.is_none() {
        // One of these may be a hard one.
        for percent in Plan::THRESHOLDS {
            thresholds.entry(percent).or_insert(false);
        }
    }
    Ok(thresholds.into_iter().map(|(percent, hard)| Threshold { percent, hard }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    const CUSTOMER: &str = "[[customer]]\nid = \"acme\"\n[customer.plan]\n";

    fn plan(text: &str) -> Plan {
        let registry = Registry::parse(&format!("{CUSTOMER}{text}")).unwrap();
        registry.customer("acme").unwrap().plan.clone().unwrap()
    }

    fn thresholds(text: &str) -> Vec<(u16, bool)> {
        plan(text).thresholds.iter().map(|threshold| (threshold.percent, threshold.hard)).collect()
    }

    #[test]
    fn everything_of_a_plan_may_be_left_out() {
        let soft = Plan::THRESHOLDS.map(|percent| Threshold { percent, hard: false });
        let empty = Plan {
            evaluations: None,
            requests: None,
            time_zone: None,
            line: 3,
            billing_day: 1,
            thresholds: soft.into(),
        };
        assert_eq!(plan(""), empty);
        let registry = Registry::parse("[[customer]]\nid = \"acme\"\n").unwrap();
        assert_eq!(registry.customers()[0].plan, None);
    }

    #[test]
    fn a_plan_says_what_is_included_and_when_to_be_told() {
        let read = plan(
            "evaluations = 10_000_000\nrequests = 1\ntime_zone = \"UTC\"\nbilling_day = 31\nthresholds = [90, 10]\n\
             hard_thresholds = [120]\n",
        );
        assert_eq!(
            (read.included(Meter::Evaluations), read.included(Meter::Requests)),
            (Some(10_000_000), Some(1))
        );
        assert_eq!((read.time_zone.as_deref(), read.line, read.billing_day), (Some("UTC"), 6, 31));
        assert_eq!(
            thresholds("thresholds = [90, 10]\nhard_thresholds = [120]\n"),
            [(10, false), (90, false), (120, true)]
        );
        assert_eq!(thresholds("thresholds = []\n"), []);
        let hard = thresholds("hard_thresholds = [100, 150]\n");
        assert_eq!(hard, [(50, false), (80, false), (100, true), (150, true)]);
    }

    #[test]
    fn a_threshold_is_crossed_with_the_first_count_that_is_no_less() {
        let of = |percent, included| Threshold { percent, hard: false }.count(included);
        assert_eq!([of(50, 3), of(100, 3), of(1, 1), of(80, 10)], [2, 3, 1, 8]);
        assert_eq!(of(1_000, u64::MAX), u128::from(u64::MAX) * 10);
    }

    #[test]
    fn what_makes_no_plan_is_refused_with_its_line() {
        let many: Vec<String> = (1..=21).map(|percent| percent.to_string()).collect();
        for (text, line, says) in [
            ("evaluations = 0\n", 4, "from 1 on"),
            ("requests = -5\n", 4, "-5 cannot be included"),
            ("\nevaluations = 1.5\n", 5, "i64"),
            ("billing_day = 0\n", 4, "1 to 31"),
            ("billing_day = 32\n", 4, "32 is no day"),
            ("billing_day = \"last\"\n", 4, "i64"),
            ("thresholds = [50,\n0]\n", 5, "from 1 to 1000"),
            ("thresholds = [1001]\n", 4, "1001 percent"),
            ("thresholds = [50, 50]\n", 4, "stands twice"),
            ("thresholds = [50]\nhard_thresholds = [50]\n", 4, "stands twice"),
            (&format!("thresholds = [{}]\n", many.join(", ")), 4, "at most 20"),
            ("included = 5\n", 4, "unknown field"),
            ("[customer.plan]\n", 4, "duplicate"),
        ] {
            let error = Registry::parse(&format!("{CUSTOMER}{text}")).unwrap_err();
            assert_eq!(error.line, line, "{error} in {text}");
            assert!(error.sentence.contains(says), "{error} does not say {says:?}");
        }
    }
}
