//! The dead letters, a page at a time.

use flagmeter_model::Timestamp;
use rusqlite::{Connection, params};

use super::super::{
    block::{damaged, unreadable},
    row::blob,
};
use crate::{DeadLetter, Result};

/// The letters after a place, in the order of (partition, offset).
pub(in super::super) fn dead_letters(
    connection: &Connection,
    after: Option<(u32, u64)>,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    // Offsets are signed in the file, and none is negative: -1 is before the first.
    let (partition, offset) =
        after.map_or((0, -1), |(partition, offset)| (partition, i64::try_from(offset).unwrap_or(i64::MAX)));
    let mut statement = connection.prepare_cached(
        "SELECT partition, offset, found_at, reason, detail, count, payload FROM dead_letters
         WHERE (partition, offset) > (?1, ?2) ORDER BY partition, offset LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![partition, offset, limit])?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        let unsigned =
            |number: i64| u64::try_from(number).map_err(|_| damaged("a dead letter has a negative number"));
        letters.push(DeadLetter {
            partition: row.get(0)?,
            offset: unsigned(row.get(1)?)?,
            at: Timestamp::from_millis(row.get(2)?).map_err(unreadable)?,
            reason: row.get(3)?,
            detail: row.get(4)?,
            count: row.get::<_, Option<i64>>(5)?.map(unsigned).transpose()?,
            payload: blob(row, 6)?.to_vec(),
        });
    }
    Ok(letters)
}
