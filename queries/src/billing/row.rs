//! The rows of bills, as JSON and as CSV.

use std::sync::Arc;

use flagmeter_ledger::Row;
use flagmeter_model::{Environment, Meter, Name, NodeId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::text::{self, Times};

/// The first line of CSV.
pub(super) const COLUMNS: &[u8] = b"customer,project,environment,meter,hour,state,revision,count,difference,\
    correction,complete,missing_nodes,closed_at\n";
/// Bytes of a line of CSV, about.
pub(super) const LINE_BYTES_ABOUT: usize = 160;

/// How much is settled of an hour, or of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HourState {
    /// Still filling.
    Open,
    /// All is in, as far as is known, but not for good yet: late counts are still added to it.
    Closing,
    /// For good. What comes later makes a further revision.
    Final,
}

impl HourState {
    /// Its name in the API.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Final => "final",
        }
    }
}

/// An hour that is not final.
#[derive(Debug, Clone)]
pub(super) struct Provisional {
    pub(super) environment: Arc<Environment>,
    pub(super) meter: Meter,
    pub(super) hour: Timestamp,
    pub(super) state: HourState,
    pub(super) count: u64,
    pub(super) complete: bool,
    pub(super) missing: Vec<NodeId>,
}

/// What a row shows, wherever it is from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) environment: &'a Arc<Environment>,
    pub(super) meter: Meter,
    pub(super) hour: Timestamp,
    pub(super) state: HourState,
    /// Of a revision: its number, what it adds, whether it corrects, and when it was found.
    pub(super) revision: Option<(u32, u64, bool, Timestamp)>,
    pub(super) count: u64,
    pub(super) complete: bool,
    pub(super) missing: &'a [NodeId],
}

impl<'a> From<&'a Row> for Line<'a> {
    fn from(row: &'a Row) -> Self {
        Self {
            environment: &row.environment,
            meter: row.meter,
            hour: row.hour,
            state: HourState::Final,
            revision: Some((row.revision, row.difference(), row.correction, row.closed_at)),
            count: row.count,
            complete: row.complete,
            missing: &row.missing,
        }
    }
}

impl<'a> From<&'a Provisional> for Line<'a> {
    fn from(row: &'a Provisional) -> Self {
        let Provisional { environment, meter, hour, state, count, complete, missing } = row;
        let (meter, hour, state, count, complete) = (*meter, *hour, *state, *count, *complete);
        Self { environment, meter, hour, state, revision: None, count, complete, missing }
    }
}

/// What an hour of an environment came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BilledHour {
    /// The customer.
    #[schema(value_type = String, example = "acme")]
    pub(crate) customer: Name,
    /// The project.
    #[schema(value_type = String, example = "web")]
    pub(crate) project: Name,
    /// The environment.
    #[schema(value_type = String, example = "production")]
    pub(crate) environment: Name,
    /// `evaluations` or `requests`.
    #[schema(example = "evaluations")]
    pub(crate) meter: &'static str,
    /// Start of the hour.
    #[schema(example = "2026-11-20T13:00:00Z")]
    pub(crate) hour: String,
    /// Whether it is for good.
    pub(crate) state: HourState,
    /// 1 is the first; keep the greatest of an hour. Null while the hour is not final.
    #[schema(required, example = 1)]
    pub(crate) revision: Option<u32>,
    /// What the hour comes to from this revision on, in decimal digits.
    #[schema(example = "1204")]
    pub(crate) count: String,
    /// What this revision adds to the one before, in decimal digits. Null while the hour is not final.
    #[schema(required, example = "1204")]
    pub(crate) difference: Option<String>,
    /// The hour was final when this was found.
    #[schema(example = false)]
    pub(crate) correction: bool,
    /// Whether all nodes that were there had handed on what they received.
    #[schema(example = true)]
    pub(crate) complete: bool,
    /// The nodes that were silent.
    pub(crate) missing_nodes: Vec<u16>,
    /// When this was found. Null while the hour is not final.
    #[schema(required, example = "2026-11-20T14:15:04Z")]
    pub(crate) closed_at: Option<String>,
}

impl From<Line<'_>> for BilledHour {
    fn from(line: Line<'_>) -> Self {
        let Environment { customer, project, environment } = Environment::clone(line.environment);
        Self {
            customer,
            project,
            environment,
            meter: line.meter.name(),
            hour: line.hour.to_string(),
            state: line.state,
            revision: line.revision.map(|(number, ..)| number),
            count: line.count.to_string(),
            difference: line.revision.map(|(_, difference, ..)| difference.to_string()),
            correction: line.revision.is_some_and(|(_, _, correction, _)| correction),
            complete: line.complete,
            missing_nodes: line.missing.iter().map(|node| node.get()).collect(),
            closed_at: line.revision.map(|(.., at)| at.to_string()),
        }
    }
}

/// Lines of CSV in the making.
#[derive(Debug, Default)]
pub(super) struct Csv {
    out: Vec<u8>,
    /// The environment of the line before, and how its names are written.
    names: Option<(Arc<Environment>, Vec<u8>)>,
    hours: Times,
    found: Times,
}

impl Csv {
    /// With the first line.
    pub(super) fn new() -> Self {
        Self { out: COLUMNS.to_vec(), ..Self::default() }
    }

    /// Makes room for so many lines.
    pub(super) fn reserve(&mut self, lines: usize) {
        self.out.reserve(lines.saturating_mul(LINE_BYTES_ABOUT));
    }

    /// What was written since this was asked before.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Writes a line.
    pub(super) fn line<'a>(&mut self, line: impl Into<Line<'a>>) {
        let line = line.into();
        self.names(line.environment);
        let out = &mut self.out;
        out.extend_from_slice(line.meter.name().as_bytes());
        out.push(b',');
        self.hours.write(out, line.hour);
        out.push(b',');
        out.extend_from_slice(line.state.name().as_bytes());
        out.push(b',');
        if let Some((revision, ..)) = line.revision {
            text::number(out, revision.into());
        }
        out.push(b',');
        text::number(out, line.count);
        out.push(b',');
        if let Some((_, difference, ..)) = line.revision {
            text::number(out, difference);
        }
        let truth = |is_so: bool| if is_so { &b",true"[..] } else { b",false" };
        out.extend_from_slice(truth(line.revision.is_some_and(|(_, _, correction, _)| correction)));
        out.extend_from_slice(truth(line.complete));
        out.push(b',');
        text::nodes(out, line.missing);
        out.push(b',');
        if let Some((.., found)) = line.revision {
            self.found.write(out, found);
        }
        out.push(b'\n');
    }

    fn names(&mut self, environment: &Arc<Environment>) {
        let known = self.names.as_ref().filter(|(known, _)| Arc::ptr_eq(known, environment));
        if let Some((_, names)) = known {
            self.out.extend_from_slice(names);
            return;
        }
        let mut names = Vec::new();
        for name in [&environment.customer, &environment.project, &environment.environment] {
            text::cell(&mut names, name);
            names.push(b',');
        }
        self.out.extend_from_slice(&names);
        self.names = Some((Arc::clone(environment), names));
    }
}
