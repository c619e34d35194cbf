//! What each edge node handed on: raw rows tell.

use flagmeter_model::{NodeId, Slot, Tier, Timestamp};
use rusqlite::Connection;

use super::{
    super::{
        block::{self, damaged},
        interning,
        row::{blob, count},
        standing::Standing,
    },
    rows::raw_minutes,
    taken,
};
use crate::{ByNode, NodeCounts, Result, answering::NodeSums};

/// Sums by node.
pub(in super::super) fn by_node(connection: &Connection, asked: &ByNode) -> Result<Vec<NodeCounts>> {
    let mut range = asked.range(Standing::load(connection)?.floors.raw)?;
    range.from = range.from.floor_to(Tier::Minute.seconds());
    let minutes = raw_minutes(connection, range)?;
    let mut sums = NodeSums::new(asked);
    for (id, _) in taken(connection, &asked.filter)? {
        let is_meant: Vec<bool> = interning::series(connection, id)?
            .iter()
            .map(|(_, key)| key.meter == asked.meter && asked.filter.takes_key(key))
            .collect();
        for &minute in &minutes {
            add(connection, (id, minute), (asked, &is_meant), &mut sums)?;
        }
    }
    Ok(sums.into_counts())
}

/// Adds what was counted of an environment in a minute; `is_meant` says so of its series.
fn add(
    connection: &Connection,
    (environment, minute): (i64, i64),
    (asked, is_meant): (&ByNode, &[bool]),
    sums: &mut NodeSums<'_>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT node, {}, block FROM raw WHERE minute = ?1 AND environment = ?2",
        asked.meter.name()
    ))?;
    let mut rows = statement.query([minute, environment])?;
    while let Some(row) = rows.next()? {
        if count(row, 1)? == 0 {
            continue;
        }
        let node = NodeId::new(row.get(0)?).map_err(|_| damaged("a row of a node that there is not"))?;
        let mut added = Ok(());
        block::visit_raw(blob(row, 2)?, |slot, number, count| {
            let at = Timestamp::from_seconds_clamped(minute + i64::from(slot) * Slot::SECONDS);
            if added.is_ok() && is_meant.get(number as usize).copied().unwrap_or_default() {
                added = sums.add(node, at, count);
            }
        })?;
        added?;
    }
    Ok(())
}
