//! Dead letters: points at their offset, in the series of their partition.
//!
//! A letter that is written again replaces itself field by field. Where nobody can tell whether the counts of a repeat
//! were stored, the fields of its count are left out: so what the first writing knew stays known.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    InfluxStore,
    csv::{self, Row},
    line::Lines,
    schema::{DEAD_LETTER, source},
};
use crate::{DeadLetter, Error, Result};

/// What the first value of the sums is called.
pub(super) const LABEL: &str = "dead_letters";
/// Bytes of a record in one field: InfluxDB takes a mebibyte, and base64 makes a third more of them.
const FIELD_BYTES: usize = 360_000;
/// Fields of one record: the first 5.8 MB of it are kept.
const FIELDS_MAX: usize = 16;
/// Letters that are asked for at once.
const PAGE: usize = 16;
/// Bits of a count in its lower half: sums of halves have room for 2^32 letters.
const HALF_BITS: u32 = 32;

/// What becomes of the count that an earlier writing of the letter told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// It is replaced, by none where none is known.
    Replaced,
    /// It is replaced where one is known.
    KeptIfUnknown,
}

/// The line of a letter.
pub(super) fn put(lines: &mut Lines, letter: &DeadLetter, count: Count) {
    let mut line = lines.line(DEAD_LETTER);
    line.number_tag("partition", letter.partition.into());
    if letter.count.is_some() || count == Count::Replaced {
        let known = letter.count.unwrap_or_default();
        line.integer("count_high", (known >> HALF_BITS).cast_signed());
        line.integer("count_low", (known & ((1 << HALF_BITS) - 1)).cast_signed());
        line.integer("counted", letter.count.is_some().into());
    }
    line.text(if letter.count.is_some() { "detail" } else { "detail_uncounted" }, &letter.detail);
    line.integer("found_at", letter.at.as_millis());
    let fields = letter.payload.chunks(FIELD_BYTES).take(FIELDS_MAX);
    line.integer("fields", i64::try_from(fields.len()).unwrap_or_default());
    for (number, bytes) in fields.enumerate() {
        line.text(&format!("payload_{number}"), &STANDARD.encode(bytes));
    }
    line.text("reason", &letter.reason);
    line.end(time(letter.offset));
}

fn time(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX).min(i64::MAX - 2)
}

/// The statement that asks how many there are, and for the counts known to be in them.
pub(super) fn statement(store: &InfluxStore) -> String {
    format!(
        "SELECT count(\"found_at\") AS \"{LABEL}\", sum(\"count_high\"), sum(\"count_low\") FROM {}",
        source(&store.buckets.meta, DEAD_LETTER)
    )
}

/// How many letters there are, and the counts known to be in them, from the answer to [`statement`]. What strangers
/// wrote into a log must not make the state unanswerable: a sum beyond u64 stays at its greatest.
pub(super) fn sums(row: &Row<'_>) -> Result<(u64, u64)> {
    let number = |value| Ok::<_, Error>(row.number(value)?.unwrap_or_default().unsigned_abs());
    let counts = number(1)?.saturating_mul(1 << HALF_BITS).saturating_add(number(2)?);
    Ok((number(0)?, counts))
}

/// Letters in the order of (partition, offset), after the given one.
pub(super) async fn after(
    store: &InfluxStore,
    after: Option<(u32, u64)>,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    let mut letters = Vec::new();
    for partition in partitions(store).await? {
        let mut from = match after {
            Some((last, _)) if partition < last => continue,
            Some((last, offset)) if partition == last => time(offset).saturating_add(1),
            _ => 0,
        };
        while letters.len() < limit {
            let page = page(store, partition, from, PAGE.min(limit - letters.len())).await?;
            let Some(last) = page.last() else { break };
            from = time(last.offset).saturating_add(1);
            letters.extend(page);
        }
    }
    Ok(letters)
}

async fn partitions(store: &InfluxStore) -> Result<Vec<u32>> {
    let source = source(&store.buckets.meta, DEAD_LETTER);
    let question = format!(
        "SELECT last(\"found_at\") AS \"{LABEL}\", \"partition\" FROM {source} GROUP BY \"partition\""
    );
    let answer = store.client.query(&question).await?;
    let mut partitions = Vec::new();
    csv::visit(&answer, |row| {
        partitions.push(row.text(1).parse().map_err(|_| damaged())?);
        Ok(())
    })?;
    partitions.sort_unstable();
    Ok(partitions)
}

async fn page(store: &InfluxStore, partition: u32, from: i64, limit: usize) -> Result<Vec<DeadLetter>> {
    let payload =
        (0..FIELDS_MAX).map(|number| format!("\"payload_{number}\"")).collect::<Vec<_>>().join(", ");
    let source = source(&store.buckets.meta, DEAD_LETTER);
    let question = format!(
        "SELECT \"found_at\" AS \"{LABEL}\", \"reason\", \"detail\", \"detail_uncounted\", \"count_high\", \
         \"count_low\", \"counted\", \"fields\", {payload} FROM {source} \
         WHERE \"partition\" = '{partition}' AND time >= {from} LIMIT {limit}"
    );
    let answer = store.client.query(&question).await?;
    let mut letters = Vec::new();
    csv::visit(&answer, |row| {
        letters.push(letter(row, partition)?);
        Ok(())
    })?;
    Ok(letters)
}

/// The server stores a point field by field: a letter may be asked for when half of it is there.
fn letter(row: &Row<'_>, partition: u32) -> Result<DeadLetter> {
    let count = match (row.number(4)?, row.number(5)?, row.number(6)?) {
        (Some(high), Some(low), Some(1)) => Some((high.cast_unsigned() << HALF_BITS) | low.cast_unsigned()),
        (Some(_), Some(_), Some(_)) | (None, None, None) => None,
        _ => return Err(half_written()),
    };
    let detail = if count.is_some() { row.text(2) } else { row.text(3) };
    let (Some(_), Some(fields)) = (row.number(0)?, row.number(7)?) else { return Err(half_written()) };
    let fields = usize::try_from(fields).map_err(|_| damaged())?;
    let mut payload = Vec::new();
    for number in 0..fields.min(FIELDS_MAX) {
        let text = Some(row.text(8 + number)).filter(|text| !text.is_empty()).ok_or_else(half_written)?;
        payload.extend(STANDARD.decode(text).map_err(|_| damaged())?);
    }
    Ok(DeadLetter {
        partition,
        offset: row.nanoseconds()?.unsigned_abs(),
        at: row.millis(0)?,
        reason: row.text(1).to_owned(),
        detail: detail.to_owned(),
        count,
        payload,
    })
}

fn half_written() -> Error {
    Error::Unavailable("a dead letter is being written at this moment: ask again".to_owned())
}

fn damaged() -> Error {
    Error::Damaged("a dead letter that cannot be read".to_owned())
}
