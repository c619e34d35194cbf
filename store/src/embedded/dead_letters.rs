//! What could not be stored, kept with its bytes.

use rusqlite::{Connection, OptionalExtension, params};

use super::standing::Standing;
use crate::{DeadLetter, Result};

/// Puts a letter in, in place of the one at the same place in the log. How many there are, and the counts in them,
/// stand in the standing, which the caller stores.
pub(super) fn put(connection: &Connection, standing: &mut Standing, letter: &DeadLetter) -> Result<()> {
    let place = (letter.partition, letter.offset.cast_signed());
    // A count beyond SQLite's integers is as good as unknown.
    let count = letter.count.and_then(|count| i64::try_from(count).ok());
    let mut select =
        connection.prepare_cached("SELECT count FROM dead_letters WHERE partition = ?1 AND offset = ?2")?;
    let before: Option<Option<i64>> = select.query_row(place, |row| row.get(0)).optional()?;
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO dead_letters (partition, offset, found_at, reason, detail, count, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    insert.execute(params![
        place.0,
        place.1,
        letter.at.as_millis(),
        letter.reason,
        letter.detail,
        count,
        letter.payload
    ])?;
    match before {
        None => {
            standing.dead_letters = standing.dead_letters.saturating_add(1);
            standing.dead_letter_counts = plus(standing.dead_letter_counts, count);
        }
        Some(before) if before != count => recount(connection, standing)?,
        Some(_) => {}
    }
    Ok(())
}

/// Counts all of them: for a file that did not keep their number, and where one was replaced by another.
pub(super) fn recount(connection: &Connection, standing: &mut Standing) -> Result<()> {
    let mut select = connection.prepare_cached("SELECT count FROM dead_letters")?;
    let mut rows = select.query([])?;
    (standing.dead_letters, standing.dead_letter_counts) = (0, 0);
    while let Some(row) = rows.next()? {
        standing.dead_letters += 1;
        standing.dead_letter_counts = plus(standing.dead_letter_counts, row.get(0)?);
    }
    Ok(())
}

/// What strangers wrote into a log must not make the state unanswerable: a sum beyond u64 stays at its greatest.
fn plus(sum: u64, count: Option<i64>) -> u64 {
    sum.saturating_add(count.map_or(0, i64::cast_unsigned))
}
