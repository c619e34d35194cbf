//! What could not be stored, kept with its bytes.

use flagmeter_model::{Batch, ContentEncoding, EnvironmentCounts, SlotCounts, Timestamp, encode};
use rusqlite::{Connection, OptionalExtension, params};

use super::{standing::Standing, writer::Memory};
use crate::{DeadLetter, Positioned, Result};

/// What of a record could not be stored.
#[derive(Default)]
pub(super) struct Refused {
    environments: Vec<EnvironmentCounts>,
    reason: Option<Reason>,
}

/// Why.
#[derive(Clone, Copy)]
pub(super) enum Reason {
    /// Its minute lies before the floor of raw points.
    PastRetention,
    /// The counts of its minute add up beyond what a row keeps.
    Overflow,
}

impl Refused {
    pub(super) fn add(&mut self, counts: &EnvironmentCounts, slots: &[SlotCounts], reason: Reason) {
        self.reason.get_or_insert(reason);
        match self.environments.last_mut() {
            Some(last) if last.environment == counts.environment => last.slots.extend_from_slice(slots),
            _ => self.environments.push(EnvironmentCounts {
                environment: counts.environment.clone(),
                series: counts.series.clone(),
                slots: slots.to_vec(),
            }),
        }
    }

    /// A dead letter with exactly the counts that are not in the store, and its reason.
    pub(super) fn into_dead_letter(
        self,
        record: &Positioned,
        memory: &Memory,
        now: Timestamp,
    ) -> Result<Option<(&'static str, DeadLetter)>> {
        let Some(reason) = self.reason else { return Ok(None) };
        let batch = Batch { environments: self.environments, ..record.batch.clone() };
        let sum = batch
            .environments
            .iter()
            .flat_map(EnvironmentCounts::points)
            .try_fold(0_u64, |sum, (_, _, count)| {
                sum.checked_add(count).filter(|&sum| i64::try_from(sum).is_ok())
            });
        let (reason, detail, count) = match reason {
            // The record may have been appended twice, and the counts be among what retention has taken.
            Reason::PastRetention if memory.progress.may_be_repeat(record) => (
                "past_retention",
                "older than the raw floor; a newer seal of the node is stored, so it may be a repeat",
                None,
            ),
            Reason::PastRetention => ("past_retention", "older than the raw floor", sum),
            Reason::Overflow => {
                ("overflow", "the counts of one minute add up beyond what a row can keep", sum)
            }
        };
        let letter = DeadLetter {
            partition: record.partition,
            offset: record.offset,
            at: now,
            reason: reason.to_owned(),
            detail: detail.to_owned(),
            count,
            payload: encode(&batch, ContentEncoding::Zstd)?,
        };
        Ok(Some((reason, letter)))
    }
}

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
