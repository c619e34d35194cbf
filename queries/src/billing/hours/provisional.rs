//! The hours that are not final, from the store.

use std::sync::Arc;

use flagmeter_model::{Environment, Meter, MissingNode, Name, NodeId, TimeRange, Timestamp, low_watermark};
use flagmeter_store::{Answer, Dimension, Error as StoreError, RowState};

use super::{
    super::{
        cursor::Snapshot,
        row::{HourState, Provisional},
    },
    plan::Asked,
};
use crate::{
    App, Error, Result,
    reader::{Question, Reading},
};

const HOUR_SECONDS: i64 = 3_600;

/// What is known beyond the ledger.
#[derive(Debug, Default)]
pub(super) struct Beyond {
    /// Everything before this is in. None where all that is asked is final, or as of a snapshot.
    pub(super) complete_until: Option<Timestamp>,
    /// The rows, in the order of bills.
    pub(super) rows: Vec<Provisional>,
}

/// Reads it; the rows only where this is the `last` page.
pub(super) async fn read(
    app: &App,
    reading: &Reading<'_>,
    asked: &Asked,
    snapshot: Snapshot,
    last: bool,
) -> Result<Beyond> {
    if !asked.is_live() || Some(asked.range.to) <= snapshot.until {
        return Ok(Beyond::default());
    }
    let now = app.clock.now();
    let state = reading.state().await?;
    let low = low_watermark(&state.progress, state.partitions, app.config.node_timeout_ms);
    let mut beyond = Beyond { complete_until: low.complete_until(now), rows: Vec::new() };
    let from = asked.range.from.max(snapshot.until.unwrap_or_default());
    // What lies ahead was counted by nobody, or by clocks that go before ours.
    let range = TimeRange::new(from, asked.range.to.min(now.ceil_to(HOUR_SECONDS)));
    if !last || range.is_empty() {
        return Ok(beyond);
    }
    let edges = edges(range, app.config.buckets_max)?;
    for meter in Meter::ALL.into_iter().filter(|meter| meter.is_usage()) {
        if asked.meters.is_empty() || asked.meters.contains(&meter) {
            let cells = app.config.cells_max / edges.len();
            let question = Question {
                meter,
                edges: edges.clone(),
                scope: asked.scope.clone(),
                group_by: vec![Dimension::Customer, Dimension::Project, Dimension::Environment],
                groups_max: app.config.groups_ranked_max.min(cells).max(1),
            };
            let answer = reading.read(question).await.map_err(narrower)?;
            add(&mut beyond.rows, meter, &edges, answer, app.config.rows_max)?;
        }
    }
    beyond.rows.sort_by(|one, other| order(one).cmp(&order(other)));
    Ok(beyond)
}

fn order(row: &Provisional) -> (&Environment, Timestamp, Meter) {
    (&row.environment, row.hour, row.meter)
}

fn edges(range: TimeRange, hours_max: usize) -> Result<Vec<Timestamp>> {
    let hours = range.to.millis_since(range.from) / (HOUR_SECONDS * 1_000);
    if usize::try_from(hours).is_ok_and(|hours| hours <= hours_max) {
        return Ok((0..=hours).map(|hour| range.from.plus_seconds(hour * HOUR_SECONDS)).collect());
    }
    Err(Error::TooMuch(format!(
        "More than {hours_max} hours of the range are not final: ask for a shorter one, or with as_of= for final ones \
         alone."
    )))
}

fn narrower(error: Error) -> Error {
    let Error::Store(StoreError::TooMany { max, what }) = error else { return error };
    Error::TooMuch(format!(
        "More than {max} {what} have hours that are not final: ask for a shorter range, for fewer with a filter, or with \
         as_of= for final hours alone."
    ))
}

fn add(
    rows: &mut Vec<Provisional>,
    meter: Meter,
    edges: &[Timestamp],
    answer: Answer,
    rows_max: usize,
) -> Result<()> {
    let Answer { rows: groups, states, complete_until, missing, .. } = answer;
    for group in groups {
        let Some(environment) = environment(group.group) else { continue };
        let environment = Arc::new(environment);
        for ((hours, count), state) in edges.windows(2).zip(group.counts).zip(&states) {
            // As in the ledger, an hour in which nobody counted has no row.
            let &[hour, end] = hours else { continue };
            if count == 0 {
                continue;
            }
            if rows.len() >= rows_max {
                return Err(narrower(Error::Store(StoreError::TooMany { max: rows_max, what: "hours" })));
            }
            let complete = *state == RowState::Complete;
            let is_over = Some(end) <= complete_until;
            rows.push(Provisional {
                environment: Arc::clone(&environment),
                meter,
                hour,
                state: if is_over { HourState::Closing } else { HourState::Open },
                count,
                complete,
                missing: if complete { Vec::new() } else { silent(&missing, end) },
            });
        }
    }
    Ok(())
}

fn silent(missing: &[MissingNode], end: Timestamp) -> Vec<NodeId> {
    missing.iter().filter(|missing| missing.since < end).map(|missing| missing.node).collect()
}

fn environment(group: Vec<Option<Name>>) -> Option<Environment> {
    let [customer, project, environment] = <[Option<Name>; 3]>::try_from(group).ok()?;
    Some(Environment { customer: customer?, project: project?, environment: environment? })
}
