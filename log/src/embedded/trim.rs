//! Letting go of what is committed: rows first, then pages of the file.

use std::time::Duration;

use flagmeter_model::Timestamp;
use rusqlite::Connection;

use super::{file, writer::State};
use crate::Partition;

/// Records of a partition that one step trims at most: more than one transaction brings, so that trimming
/// keeps up, and few enough that an append does not wait for it.
const RECORDS_MAX: usize = 2_048;
/// Free pages that stay in the file for the records to come.
const FREE_PAGES_MIN: i64 = 256;
/// Pages that one step gives back at most.
const PAGES_MAX: i64 = 256;

/// Trims a piece of what is committed and was appended longer than `retained` ago.
pub(super) fn aged(
    connection: &Connection,
    state: &mut State,
    retained: Duration,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let retained_ms = i64::try_from(retained.as_millis()).unwrap_or(i64::MAX);
    let before = now.plus_millis(retained_ms.saturating_neg());
    for partition in partitions(state) {
        piece(connection, state, partition, |_, appended_at| appended_at < before)?;
    }
    Ok(())
}

/// Trims what is committed, however young, the oldest of each partition first, until only `bytes_max` bytes are
/// kept or nothing more is committed.
pub(super) fn to_make_room(
    connection: &Connection,
    state: &mut State,
    bytes_max: u64,
) -> rusqlite::Result<()> {
    for partition in partitions(state) {
        while piece(connection, state, partition, |kept, _| kept > bytes_max)? == RECORDS_MAX {}
    }
    Ok(())
}

fn partitions(state: &State) -> std::ops::Range<Partition> {
    0..Partition::try_from(state.ends.len()).unwrap_or(Partition::MAX)
}

/// Trims committed records from the start of a partition while `go_on` says so of the bytes that are still kept and
/// the time of the record; answers how many.
fn piece(
    connection: &Connection,
    state: &mut State,
    partition: Partition,
    go_on: impl Fn(u64, Timestamp) -> bool,
) -> rusqlite::Result<usize> {
    let Some(end) = state.ends.get(partition as usize) else { return Ok(0) };
    let from = file::place(partition, 0);
    let committed = file::place(partition, end.committed);
    // The rows are read one by one: where nothing is to be trimmed, only the first one is.
    let mut statement = connection.prepare_cached(
        "SELECT place, appended_at, length(payload) FROM records WHERE place >= ? AND place < ? ORDER BY place",
    )?;
    let mut rows = statement.query([from, committed])?;
    let (mut trimmed, mut last, mut kept) = (0, None, state.bytes);
    while trimmed < RECORDS_MAX
        && let Some(row) = rows.next()?
    {
        if !go_on(kept, Timestamp::from_millis_clamped(row.get(1)?)) {
            break;
        }
        kept = kept.saturating_sub(row.get(2)?);
        last = Some(row.get::<_, i64>(0)?);
        trimmed += 1;
    }
    drop(rows);
    if let Some(last) = last {
        connection
            .prepare_cached("DELETE FROM records WHERE place >= ? AND place <= ?")?
            .execute([from, last])?;
        state.bytes = kept;
    }
    Ok(trimmed)
}

/// Gives a piece of the file back to the disk when more than a quarter of it is free.
pub(super) fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let number = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
    let (free, all) = (number("PRAGMA freelist_count")?, number("PRAGMA page_count")?);
    let spare = free - FREE_PAGES_MIN.max(all / 4);
    if spare > 0 {
        let mut statement =
            connection.prepare(&format!("PRAGMA incremental_vacuum({})", spare.min(PAGES_MAX)))?;
        let mut rows = statement.query([])?;
        // Each step gives back one page.
        while rows.next()?.is_some() {}
    }
    Ok(())
}
