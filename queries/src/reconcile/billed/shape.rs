//! The ledger and the store side by side, and why they differ. Pure.

use std::collections::{BTreeMap, BTreeSet};

use flagmeter_model::{Environment, Meter, MissingNode, Name, TimeRange, Timestamp};
use flagmeter_store::Answer;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Error, Result, answer::Missing};

const HOUR_SECONDS: i64 = 3_600;

/// The answer of `/v1/reconcile/billing`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReconcileBilling {
    /// Whose.
    #[schema(value_type = String, example = "acme")]
    customer: Name,
    /// Start of the range.
    #[schema(example = "2026-11-01T00:00:00Z")]
    from: String,
    /// End of the range.
    #[schema(example = "2026-12-01T00:00:00Z")]
    to: String,
    /// All hours that end at or before this are final. Null before the first.
    #[schema(required)]
    final_until: Option<String>,
    /// Everything before this is in. Null before the first count.
    #[schema(required)]
    complete_until: Option<String>,
    /// Nodes that are silent: what they received is neither in the store nor in the ledger, and comes as a correction.
    missing_nodes: Vec<Missing>,
    /// Whether the ledger says what the store says of every final hour of the range.
    balanced: bool,
    /// Both for each environment and meter, over the whole range.
    totals: Vec<SideBySide>,
    /// The hours in which they differ: their differences add up to those of the totals.
    differences: Vec<Differs>,
}

/// What both say of a meter of an environment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SideBySide {
    /// The project.
    #[schema(value_type = String, example = "web")]
    project: Name,
    /// The environment.
    #[schema(value_type = String, example = "production")]
    environment: Name,
    /// `evaluations` or `requests`.
    #[schema(example = "evaluations")]
    meter: &'static str,
    /// What the newest revisions add up to, in decimal digits: what is billed.
    #[schema(example = "184000")]
    ledger: String,
    /// What was counted, in decimal digits.
    #[schema(example = "184012")]
    store: String,
    /// store − ledger.
    #[schema(example = "12")]
    difference: String,
}

/// An hour in which they differ.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Differs {
    #[serde(flatten)]
    sides: SideBySide,
    /// Start of the hour.
    #[schema(example = "2026-11-20T13:00:00Z")]
    hour: String,
    /// Why.
    why: Why,
    /// Why, as a sentence.
    detail: &'static str,
}

/// Why an hour differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Why {
    /// The hour is not over, or not everything of it is in.
    Open,
    /// Everything is in; it is not final yet.
    Closing,
    /// Final, and late counts wait to be rolled up.
    Late,
    /// Final, and a correction is being appended.
    Correction,
    /// The store has less than was billed.
    Less,
}

impl Why {
    const fn detail(self) -> &'static str {
        match self {
            Self::Open => {
                "The hour is not over, or not everything of it is in: it is billed when it is final."
            }
            Self::Closing => {
                "Everything of the hour is in: it is billed when its grace period is over and nothing waits in it."
            }
            Self::Late => {
                "Counts came after the hour was final, and wait to be rolled up: they will be billed as a correction."
            }
            Self::Correction => {
                "Counts that came after the hour was final are rolled up, and their correction is about to be \
                 appended: ask again in a minute. If the hour still differs then, see what flagmeter audit says of it."
            }
            Self::Less => {
                "The ledger has billed more than the store has, and takes nothing back: the store was restored from an \
                 older copy, or has lost counts. flagmeter audit tells which tier."
            }
        }
    }
}

/// An hour of a meter.
pub(super) type Hour = (Environment, Meter, Timestamp);

/// What is known of the hours.
#[derive(Debug)]
pub(super) struct Known {
    /// Where they begin, and the last one ends.
    pub(super) edges: Vec<Timestamp>,
    pub(super) final_until: Option<Timestamp>,
    /// In which late counts wait.
    pub(super) waiting: BTreeSet<(Environment, Timestamp)>,
    complete_until: Option<Timestamp>,
    missing: Vec<MissingNode>,
    /// What the ledger says and what the store says.
    hours: BTreeMap<Hour, (u64, u64)>,
}

impl Known {
    /// Nothing yet, of the hours between these edges.
    pub(super) const fn new(edges: Vec<Timestamp>) -> Self {
        Self {
            edges,
            final_until: None,
            waiting: BTreeSet::new(),
            complete_until: None,
            missing: Vec::new(),
            hours: BTreeMap::new(),
        }
    }

    /// From the first hour to the last.
    pub(super) fn range(&self) -> TimeRange {
        let at = |edge: Option<&Timestamp>| edge.copied().unwrap_or_default();
        TimeRange::new(at(self.edges.first()), at(self.edges.last()))
    }

    /// The ledger says so.
    pub(super) fn billed(&mut self, hour: Hour, count: u64) {
        self.hours.entry(hour).or_default().0 = count;
    }

    /// The store says so.
    pub(super) fn counted(&mut self, meter: Meter, answer: Answer) {
        (self.complete_until, self.missing) = (answer.complete_until, answer.missing);
        for row in answer.rows {
            let Some(environment) = environment(row.group) else { continue };
            for (hour, count) in self.edges.iter().zip(row.counts).filter(|(_, count)| *count > 0) {
                self.hours.entry((environment.clone(), meter, *hour)).or_default().1 = count;
            }
        }
    }

    /// Refuses more hours than are held at once.
    pub(super) fn is_bounded(&self, hours_max: usize) -> Result<()> {
        if self.hours.len() <= hours_max {
            return Ok(());
        }
        Err(Error::TooMuch(format!(
            "There are more than {hours_max} hours with counts: ask for a shorter range, or for fewer with a filter."
        )))
    }

    /// Both side by side.
    pub(super) fn compare(self, customer: Name) -> ReconcileBilling {
        let range = self.range();
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let (mut totals, mut differences) = (BTreeMap::<_, (u128, u128)>::new(), Vec::new());
        let mut balanced = true;
        for (of, &(ledger, store)) in &self.hours {
            let (environment, meter, hour) = of;
            let (ledger, store) = (u128::from(ledger), u128::from(store));
            let total = totals.entry((environment, *meter)).or_default();
            (total.0, total.1) = (total.0 + ledger, total.1 + store);
            if ledger != store {
                let why = self.why(environment, *hour, store < ledger);
                balanced &= matches!(why, Why::Open | Why::Closing);
                let sides = SideBySide::new(environment, *meter, ledger, store);
                differences.push(Differs { sides, hour: hour.to_string(), why, detail: why.detail() });
            }
        }
        let totals = totals.into_iter().map(|((environment, meter), (ledger, store))| {
            SideBySide::new(environment, meter, ledger, store)
        });
        ReconcileBilling {
            customer,
            from: range.from.to_string(),
            to: range.to.to_string(),
            final_until: text(self.final_until),
            complete_until: text(self.complete_until),
            missing_nodes: Missing::list(&self.missing, chrono_tz::Tz::UTC),
            balanced,
            totals: totals.collect(),
            differences,
        }
    }

    fn why(&self, environment: &Environment, hour: Timestamp, is_less: bool) -> Why {
        let end = Some(hour.plus_seconds(HOUR_SECONDS));
        if is_less {
            Why::Less
        } else if end > self.final_until {
            if end > self.complete_until { Why::Open } else { Why::Closing }
        } else if self.waiting.contains(&(environment.clone(), hour)) {
            Why::Late
        } else {
            Why::Correction
        }
    }
}

impl ReconcileBilling {
    /// What it takes to be held.
    pub(super) fn rows(&self) -> usize {
        self.totals.len() + self.differences.len()
    }
}

impl SideBySide {
    fn new(of: &Environment, meter: Meter, ledger: u128, store: u128) -> Self {
        let sign = if store < ledger { "-" } else { "" };
        Self {
            project: of.project.clone(),
            environment: of.environment.clone(),
            meter: meter.name(),
            ledger: ledger.to_string(),
            store: store.to_string(),
            difference: format!("{sign}{}", store.abs_diff(ledger)),
        }
    }
}

fn environment(group: Vec<Option<Name>>) -> Option<Environment> {
    let [customer, project, environment] = <[Option<Name>; 3]>::try_from(group).ok()?;
    Some(Environment { customer: customer?, project: project?, environment: environment? })
}
