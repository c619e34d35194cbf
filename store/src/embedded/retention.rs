//! Deleting what the floors leave behind.

use flagmeter_model::{Tier, Timestamp};
use rusqlite::{Connection, params};

use super::{interning::environments, schema::table, standing::forward, state, writer::Writer};
use crate::{Floors, Result, Retained};

/// Rows deleted in one call, about: a few tens of milliseconds, in which nothing else is written.
const ROWS_MAX: usize = 10_000;
/// Pages given back to the file system in one call.
const VACUUM_PAGES_MAX: i64 = 2_000;
/// Pages that stay in the file for what comes next: giving back a page that is needed again a minute later costs
/// twice.
const FREE_PAGES_KEPT: i64 = 1_000;
/// …and at least this part of the file.
const FREE_PART_KEPT: i64 = 8;

/// Moves the floors as far as nothing is lost, then deletes a bounded piece of what lies behind them, then gives
/// a bounded piece of the file back.
pub(super) fn retain(writer: &mut Writer, wanted: Floors) -> Result<Retained> {
    let rows = writer.transact(|tx, memory| {
        let floors = &mut memory.standing.floors;
        let before = *floors;
        let deletable = state::state(tx)?.deletable();
        // A late point is taken down to the raw floor, and all that is made from it is kept below: so no floor
        // passes the one of the finer tier.
        raise(&mut floors.raw, wanted.raw, deletable.raw, Some(Timestamp::MAX));
        raise(&mut floors.minute, wanted.minute, deletable.minute, floors.raw);
        raise(&mut floors.quarter, wanted.quarter, deletable.quarter, floors.minute);
        let floors = *floors;
        if floors != before {
            memory.standing.store(tx)?;
        }
        let mut rows = 0;
        for tier in [Tier::Raw, Tier::Minute, Tier::Quarter] {
            if let Some(floor) = floors.of(tier) {
                rows += delete(tx, tier, floor, ROWS_MAX.saturating_sub(rows))?;
            }
        }
        Ok(rows)
    })?;
    let is_larger = vacuum(&writer.connection)?;
    Ok(Retained { rows: rows as u64, more: rows >= ROWS_MAX || is_larger })
}

/// Moves a floor to the least of what is wanted, what is deletable, and the finer tier's floor; never back.
fn raise(
    floor: &mut Option<Timestamp>,
    wanted: Option<Timestamp>,
    deletable: Option<Timestamp>,
    finer: Option<Timestamp>,
) {
    if let (Some(wanted), Some(deletable), Some(finer)) = (wanted, deletable, finer) {
        // Whole hours: no window of a coarser tier is left with half of what it was made from.
        forward(floor, wanted.min(deletable).min(finer).floor_to(Tier::Hour.seconds()));
    }
}

/// Deletes up to `limit` rows of a tier before `floor`, the earliest first where that is how they lie.
fn delete(connection: &Connection, tier: Tier, floor: Timestamp, limit: usize) -> Result<usize> {
    let floor = floor.as_seconds();
    if tier == Tier::Raw {
        let mut delete = connection.prepare_cached(
            "DELETE FROM raw WHERE (minute, environment, node, seq, part) IN
             (SELECT minute, environment, node, seq, part FROM raw WHERE minute < ?1
              ORDER BY minute, environment, node, seq, part LIMIT ?2)",
        )?;
        return Ok(delete.execute(params![floor, bound(limit)])?);
    }
    let name = table(tier);
    let mut delete = connection.prepare_cached(&format!(
        "DELETE FROM {name} WHERE environment = ?1 AND start IN
         (SELECT start FROM {name} WHERE environment = ?1 AND start < ?2 ORDER BY start LIMIT ?3)"
    ))?;
    let mut rows = 0;
    for (environment, _) in environments(connection)? {
        if rows < limit {
            rows += delete.execute(params![environment, floor, bound(limit - rows)])?;
        }
    }
    Ok(rows)
}

fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Gives a bounded piece of the file back. Whether there is more to give.
fn vacuum(connection: &Connection) -> Result<bool> {
    let pages = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let free = pages("freelist_count")?;
    let kept = FREE_PAGES_KEPT.max(pages("page_count")? / FREE_PART_KEPT);
    let give_back = VACUUM_PAGES_MAX.min(free - kept);
    if give_back <= 0 {
        return Ok(false);
    }
    // A page goes with each step.
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({give_back})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    // A file that gives nothing back, because it was made without that, must not be asked for ever.
    Ok(pages("freelist_count")? < free && free - give_back > kept)
}
