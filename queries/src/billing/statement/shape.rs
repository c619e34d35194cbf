//! A statement as it is shown: its rows, and what can be checked of them. Pure.

use axum::http::HeaderMap;
use chrono_tz::Tz;
use flagmeter_ledger::Row;
use flagmeter_model::{Environment, Meter, Name, TimeRange, Timestamp};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::{
    super::{csv_headers, cursor::Snapshot, text},
    focus::{self, Charge},
    plan::{Asked, Format},
    sums::Sums,
};
use crate::{civil, hex};

const COLUMNS: &[u8] = b"kind,customer,project,environment,meter,start,end,hours,count,revision,closed_at\n";
const HOUR_SECONDS: i64 = 3_600;

/// The answer of `/v1/billing/statement`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Statement {
    /// Whose.
    #[schema(value_type = String, example = "acme")]
    pub(crate) customer: Name,
    /// The month in which the period begins, where one was asked for.
    #[schema(required, example = "2026-11")]
    pub(crate) period: Option<String>,
    /// Start of the period.
    #[schema(example = "2026-11-01T00:00:00+01:00")]
    pub(crate) from: String,
    /// End of the period.
    #[schema(example = "2026-12-01T00:00:00+01:00")]
    pub(crate) to: String,
    /// The zone whose days these are.
    #[schema(example = "Europe/Berlin")]
    pub(crate) tz: &'static str,
    /// Whether the whole period is on it.
    pub(crate) state: StatementState,
    /// Hours that end at or before this are on it: the end of the period, or how far hours are final on a draft.
    #[schema(example = "2026-12-01T00:00:00+01:00")]
    pub(crate) counted_until: String,
    /// The ledger that this is made from, as it stood. Keep it: with it as `as_of=` the same request has the same bytes
    /// for ever, and as `corrections_since=` of a later statement it makes those corrections its rows that this one could
    /// not know.
    pub(crate) as_of: String,
    /// The ledger as it stood for the earlier statement whose corrections are on this one.
    #[schema(required)]
    corrections_since: Option<String>,
    /// What can be checked of the rows.
    pub(crate) manifest: Manifest,
    /// What each environment used of each meter in the period: the sum of its days.
    pub(crate) totals: Vec<Total>,
    /// Each day of each environment and meter that used anything in the period; then the corrections of hours before it.
    rows: Vec<StatementRow>,
}

/// Whether the whole period is on a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StatementState {
    /// A part of it, as far as it is final.
    Draft,
    /// All of it, for good.
    Final,
}

/// What can be checked of the rows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Manifest {
    /// How many.
    #[schema(example = 31)]
    pub(crate) rows: usize,
    /// The sum of their counts, in decimal digits: of the period, and of the corrections.
    #[schema(example = "184467")]
    pub(crate) total: String,
    /// The part of it that was used in the period.
    #[schema(example = "184000")]
    pub(crate) usage: String,
    /// The part of it that corrects hours before the period.
    #[schema(example = "467")]
    pub(crate) corrections: String,
    /// The SHA-256 of the rows as CSV: of the very bytes that `format=csv` is answered with.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub(crate) sha256: String,
}

/// What an environment used of a meter in the period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Total {
    /// The project.
    #[schema(value_type = String, example = "web")]
    pub(crate) project: Name,
    /// The environment.
    #[schema(value_type = String, example = "production")]
    pub(crate) environment: Name,
    /// `evaluations` or `requests`.
    #[schema(example = "evaluations")]
    pub(crate) meter: &'static str,
    /// How much, in decimal digits.
    #[schema(example = "184000")]
    pub(crate) count: String,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RowKind {
    /// A day of the period.
    Usage,
    /// What came to an hour before the period after an earlier statement was made.
    Correction,
}

/// A row of a statement.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatementRow {
    /// A day, or a correction.
    kind: RowKind,
    /// The project.
    #[schema(value_type = String, example = "web")]
    project: Name,
    /// The environment.
    #[schema(value_type = String, example = "production")]
    environment: Name,
    /// `evaluations` or `requests`.
    #[schema(example = "evaluations")]
    meter: &'static str,
    /// Start of the day, or of the corrected hour.
    #[schema(example = "2026-11-20T00:00:00+01:00")]
    start: String,
    /// Its end.
    #[schema(example = "2026-11-21T00:00:00+01:00")]
    end: String,
    /// How many hours it has: 23 or 25 on days on which clocks change.
    #[schema(example = 24)]
    hours: u64,
    /// How much, in decimal digits; of a correction the difference.
    #[schema(example = "6200")]
    count: String,
    /// Of a correction: the revision of the hour.
    #[schema(required, example = 2)]
    revision: Option<u32>,
    /// Of a correction: when it was found.
    #[schema(required)]
    closed_at: Option<String>,
}

/// A statement in both of its forms.
#[derive(Debug)]
pub(super) struct Shaped {
    pub(super) statement: Statement,
    /// Its rows, with the columns that were asked for.
    pub(super) csv: Vec<u8>,
}

/// Shapes it.
pub(super) fn shape(asked: &Asked, snapshot: Snapshot, sums: &Sums, corrections: &[Row]) -> Shaped {
    let zone = asked.zone;
    let (mut rows, mut totals) = (Vec::new(), Vec::new());
    for used in sums.used() {
        for (day, count) in sums.edges().windows(2).zip(used.days) {
            let &[start, end] = day else { continue };
            rows.push(StatementRow::new(
                RowKind::Usage,
                used.environment,
                used.meter,
                zone,
                (start, end),
                *count,
            ));
        }
        let (Environment { project, environment, .. }, count) = (used.environment.clone(), used.total());
        totals.push(Total { project, environment, meter: used.meter.name(), count: count.to_string() });
    }
    let usage: u128 = sums.used().map(|used| used.total()).sum();
    for row in corrections {
        let hour = (row.hour, row.hour.plus_seconds(HOUR_SECONDS));
        let count = row.difference().into();
        rows.push(StatementRow {
            revision: Some(row.revision),
            closed_at: Some(civil::rfc3339(zone, row.closed_at)),
            ..StatementRow::new(RowKind::Correction, &row.environment, row.meter, zone, hour, count)
        });
    }
    let corrected: u128 = corrections.iter().map(|row| u128::from(row.difference())).sum();
    let (csv, written) = match asked.format {
        Format::Json | Format::Csv => (csv(&asked.customer, &rows), rows.len()),
        Format::Focus => focus::csv(asked.range(), charges(sums, corrections)),
    };
    let manifest = Manifest {
        rows: written,
        total: (usage + corrected).to_string(),
        usage: usage.to_string(),
        corrections: corrected.to_string(),
        sha256: hex::write(&Sha256::digest(&csv)),
    };
    let range = asked.range();
    let counted_until = sums.edges().last().copied().unwrap_or(range.from);
    let statement = Statement {
        customer: asked.customer.clone(),
        period: asked.period.clone(),
        from: civil::rfc3339(zone, range.from),
        to: civil::rfc3339(zone, range.to),
        tz: zone.name(),
        state: if counted_until < range.to { StatementState::Draft } else { StatementState::Final },
        counted_until: civil::rfc3339(zone, counted_until),
        as_of: snapshot.cursor(asked.owner.as_ref()),
        corrections_since: asked.corrections_since.map(|since| since.cursor(asked.owner.as_ref())),
        manifest,
        totals,
        rows,
    };
    Shaped { statement, csv }
}

/// The rows as charges: a day on which nothing was used is none.
fn charges<'a>(sums: &'a Sums, corrections: &'a [Row]) -> impl Iterator<Item = Charge<'a>> {
    let days = sums.used().flat_map(|used| {
        let days = sums.edges().windows(2).zip(used.days).filter(|(_, count)| **count > 0);
        days.filter_map(move |(day, count)| {
            let &[from, to] = day else { return None };
            let (of, meter, range) = (used.environment, used.meter, TimeRange::new(from, to));
            Some(Charge { of, meter, range, count: *count, corrects: None })
        })
    });
    days.chain(corrections.iter().map(|row| Charge {
        of: &row.environment,
        meter: row.meter,
        range: TimeRange::new(row.hour, row.hour.plus_seconds(HOUR_SECONDS)),
        count: row.difference().into(),
        corrects: Some((row.revision, row.closed_at)),
    }))
}

impl StatementRow {
    fn new(
        kind: RowKind,
        of: &Environment,
        meter: Meter,
        zone: Tz,
        (start, end): (Timestamp, Timestamp),
        count: u128,
    ) -> Self {
        Self {
            kind,
            project: of.project.clone(),
            environment: of.environment.clone(),
            meter: meter.name(),
            start: civil::rfc3339(zone, start),
            end: civil::rfc3339(zone, end),
            hours: end.millis_since(start).unsigned_abs() / (HOUR_SECONDS.unsigned_abs() * 1_000),
            count: count.to_string(),
            revision: None,
            closed_at: None,
        }
    }
}

fn csv(customer: &Name, rows: &[StatementRow]) -> Vec<u8> {
    let mut out = COLUMNS.to_vec();
    for row in rows {
        let kind = match row.kind {
            RowKind::Usage => "usage",
            RowKind::Correction => "correction",
        };
        out.extend_from_slice(kind.as_bytes());
        for name in [customer, &row.project, &row.environment] {
            out.push(b',');
            text::cell(&mut out, name);
        }
        let revision = row.revision.map_or_else(String::new, |revision| revision.to_string());
        let closed_at = row.closed_at.as_deref().unwrap_or_default();
        let hours = row.hours.to_string();
        for cell in [row.meter, &row.start, &row.end, &hours, &row.count, &revision, closed_at] {
            out.push(b',');
            out.extend_from_slice(cell.as_bytes());
        }
        out.push(b'\n');
    }
    out
}

impl Statement {
    /// What CSV says beside the rows.
    pub(super) fn headers(&self) -> HeaderMap {
        let rows = self.manifest.rows.to_string();
        let state = match self.state {
            StatementState::Draft => "draft",
            StatementState::Final => "final",
        };
        csv_headers(
            "attachment; filename=\"flagmeter-statement.csv\"",
            &[
                ("flagmeter-from", Some(&self.from)),
                ("flagmeter-to", Some(&self.to)),
                ("flagmeter-tz", Some(self.tz)),
                ("flagmeter-state", Some(state)),
                ("flagmeter-counted-until", Some(&self.counted_until)),
                ("flagmeter-as-of", Some(&self.as_of)),
                ("flagmeter-rows", Some(&rows)),
                ("flagmeter-total", Some(&self.manifest.total)),
                ("flagmeter-sha256", Some(&self.manifest.sha256)),
            ],
        )
    }
}
