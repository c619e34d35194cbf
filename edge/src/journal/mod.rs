//! The journal on disk. One thread uses it; every function is one transaction, done whole or not at all.

pub(crate) mod row;
mod schema;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use flagmeter_log::NewRecord;
use flagmeter_model::{Environment, Name, Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    Error, Result,
    inbox::{Once, Reply, Waiting},
};

/// What a row costs beside its bytes.
const ROW_BYTES: u64 = 64;
/// Marks forgotten in one step, unless more came since the last.
const PRUNED_MAX: u64 = 10_000;
/// What a mark may take on average, in bytes, with its reply. Most take a third of it.
const MARK_BYTES: u64 = 256;
/// Free pages given back to the file system in one step, and how many may stay.
const PAGES_FREED: u32 = 512;
const PAGES_FREE_KEPT: i64 = 4_096;

/// What a seal writes.
#[derive(Debug)]
pub(crate) struct SealRows {
    pub(crate) seq: Seq,
    pub(crate) sealed_at: Timestamp,
    pub(crate) watermark: Timestamp,
    pub(crate) records: Vec<NewRecord>,
    /// Environments that received something since the last seal, with all that they ever received.
    pub(crate) received: Vec<(Arc<Environment>, u64)>,
    /// Marks made before this are forgotten.
    pub(crate) marks_from: Timestamp,
    /// The oldest above this many are forgotten too, and above this many times [`MARK_BYTES`].
    pub(crate) marks_max: u64,
}

/// The journal.
#[derive(Debug)]
pub(crate) struct Journal {
    connection: Connection,
    entries_bytes: u64,
    outbox_bytes: u64,
    outbox_records: u64,
    outbox_next: i64,
    marks: u64,
    marks_bytes: u64,
    /// Marks made since the last seal.
    marks_new: u64,
    /// The log has the outbox up to here; the next transaction deletes it.
    handed_on: i64,
    /// Up to here it is deleted.
    deleted: i64,
    /// Free pages cannot be given back, for tests.
    #[cfg(test)]
    pub(crate) vacuum_fails: bool,
}

impl Journal {
    /// Opens a journal, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = schema::open(path)?;
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let unsigned = |sql: &str| number(sql).map(|value| u64::try_from(value).unwrap_or(0));
        let outbox_records = unsigned("SELECT count(*) FROM outbox")?;
        let entries = unsigned("SELECT count(*) FROM entries")?;
        let marks = unsigned("SELECT count(*) FROM marks")?;
        Ok(Self {
            entries_bytes: unsigned("SELECT coalesce(sum(length(counts)), 0) FROM entries")?
                + entries * ROW_BYTES,
            outbox_bytes: unsigned("SELECT coalesce(sum(length(record)), 0) FROM outbox")?
                + outbox_records * ROW_BYTES,
            outbox_records,
            outbox_next: number("SELECT coalesce(max(id), 0) + 1 FROM outbox")?,
            marks,
            marks_bytes: unsigned("SELECT coalesce(sum(length(body)), 0) FROM marks")? + marks * ROW_BYTES,
            marks_new: 0,
            handed_on: 0,
            deleted: 0,
            #[cfg(test)]
            vacuum_fails: false,
            connection,
        })
    }

    /// The last seal's number and watermark; `None` before the first.
    pub(crate) fn last_seal(&self) -> Result<Option<(Seq, Timestamp)>> {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let last = self.connection.query_row("SELECT seq, watermark FROM seal", [], row).optional()?;
        let Some((seq, watermark)) = last else { return Ok(None) };
        let damaged = || Error::Damaged("the number of the last seal does not read back".into());
        let seq = u64::try_from(seq).map_err(|_| damaged())?;
        Ok(Some((Seq::new(seq), Timestamp::from_millis(watermark).map_err(|_| damaged())?)))
    }

    /// What was ever received up to the last seal.
    pub(crate) fn received(&self) -> Result<Vec<(Environment, u64)>> {
        let mut query =
            self.connection.prepare("SELECT customer, project, environment, total FROM received")?;
        let mut rows = query.query([])?;
        let mut received = Vec::new();
        while let Some(row) = rows.next()? {
            let name = |at| -> Result<Name> { Ok(Name::new(row.get_ref(at)?.as_str().unwrap_or(""))?) };
            let environment = Environment { customer: name(0)?, project: name(1)?, environment: name(2)? };
            received.push((environment, u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0)));
        }
        Ok(received)
    }

    /// The rows that no seal covers, in order.
    pub(crate) fn unsealed(&self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut query = self.connection.prepare("SELECT counts FROM entries ORDER BY id")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            each(
                row.get_ref(0)?.as_blob().map_err(|_| Error::Damaged("a row of counts is no blob".into()))?,
            )?;
        }
        Ok(())
    }

    /// What was answered to the first request with this key.
    pub(crate) fn reply(&self, key: &[u8; 16]) -> Result<Option<Reply>> {
        let mut query = self.connection.prepare_cached("SELECT status, body FROM marks WHERE key = ?1")?;
        let reply = |row: &rusqlite::Row<'_>| {
            Ok(Reply { status: row.get(0)?, body: row.get::<_, Vec<u8>>(1)?.into() })
        };
        Ok(query.query_row([key.as_slice()], reply).optional()?)
    }

    /// Writes a group's counts with the marks of its keys. When this returns, they are on disk.
    pub(crate) fn commit(&mut self, counts: &[u8], marks: &[Once], at: Timestamp) -> Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        transaction.prepare_cached("INSERT INTO entries (counts) VALUES (?1)")?.execute([counts])?;
        for once in marks {
            transaction
                .prepare_cached("INSERT INTO marks (key, at, status, body) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![
                    once.key.as_slice(),
                    at.as_millis(),
                    once.reply.status,
                    &once.reply.body[..]
                ])?;
        }
        transaction.commit()?;
        self.entries_bytes += counts.len() as u64 + ROW_BYTES;
        let new = marks.len() as u64;
        self.marks += new;
        self.marks_new += new;
        let replies: u64 = marks.iter().map(|once| once.reply.body.len() as u64).sum();
        self.marks_bytes += replies + new * ROW_BYTES;
        Ok(())
    }

    /// Moves what is not sealed to the outbox, as these records. Returns how many marks were forgotten because
    /// there were too many.
    pub(crate) fn seal(&mut self, rows: &SealRows) -> Result<u64> {
        let transaction = self.connection.unchecked_transaction()?;
        let mut id = self.outbox_next;
        let mut added = 0;
        for record in &rows.records {
            transaction
                .prepare_cached(
                    "INSERT INTO outbox (id, sealed_at, partition, record) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![id, rows.sealed_at.as_millis(), record.partition, &record.payload[..]])?;
            id += 1;
            added += record.payload.len() as u64 + ROW_BYTES;
        }
        transaction.execute("DELETE FROM entries", [])?;
        for (environment, total) in &rows.received {
            transaction
                .prepare_cached(
                    "INSERT INTO received (customer, project, environment, total) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET total = excluded.total",
                )?
                .execute(params![
                    environment.customer.as_str(),
                    environment.project.as_str(),
                    environment.environment.as_str(),
                    i64::try_from(*total).unwrap_or(i64::MAX),
                ])?;
        }
        transaction.execute(
            "INSERT INTO seal (one, seq, watermark) VALUES (1, ?1, ?2)
             ON CONFLICT DO UPDATE SET seq = excluded.seq, watermark = excluded.watermark",
            params![i64::try_from(rows.seq.get()).unwrap_or(i64::MAX), rows.watermark.as_millis()],
        )?;
        let forgotten = self.prune(rows)?;
        let deleted = self.delete_handed_on()?;
        transaction.commit()?;
        self.outbox_next = id;
        self.entries_bytes = 0;
        self.outbox_bytes = (self.outbox_bytes + added).saturating_sub(deleted.bytes);
        self.outbox_records =
            (self.outbox_records + rows.records.len() as u64).saturating_sub(deleted.records);
        self.marks = self.marks.saturating_sub(forgotten.marks);
        self.marks_bytes = self.marks_bytes.saturating_sub(forgotten.bytes);
        self.marks_new = 0;
        self.deleted = self.handed_on;
        // The seal is made: an error here must not make its counts come again under another number.
        if let Err(error) = self.give_back() {
            tracing::warn!(%error, "the journal could not give free pages back; it will be tried again");
        }
        Ok(forgotten.early)
    }

    /// Forgets marks that are old, and the oldest where there are too many or their replies are too large: a
    /// bounded piece of them, but more than come in.
    fn prune(&self, rows: &SealRows) -> Result<Forgotten> {
        let limit = PRUNED_MAX.max(self.marks_new.saturating_mul(2));
        let bytes_max = rows.marks_max.saturating_mul(MARK_BYTES);
        let mut oldest =
            self.connection.prepare_cached("SELECT key, at, length(body) FROM marks ORDER BY at LIMIT ?1")?;
        let mut found = oldest.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let (mut keys, mut forgotten) = (Vec::<[u8; 16]>::new(), Forgotten::default());
        while let Some(mark) = found.next()? {
            let is_old = mark.get::<_, i64>(1)? < rows.marks_from.as_millis();
            let is_over = self.marks.saturating_sub(forgotten.marks) > rows.marks_max
                || self.marks_bytes.saturating_sub(forgotten.bytes) > bytes_max;
            if !is_old && !is_over {
                break;
            }
            keys.push(mark.get(0)?);
            forgotten.marks += 1;
            forgotten.bytes += u64::from(mark.get::<_, u32>(2)?) + ROW_BYTES;
            forgotten.early += u64::from(!is_old);
        }
        drop(found);
        let mut forget = self.connection.prepare_cached("DELETE FROM marks WHERE key = ?1")?;
        for key in &keys {
            forget.execute([key.as_slice()])?;
        }
        Ok(forgotten)
    }

    fn delete_handed_on(&self) -> Result<Deleted> {
        let mut sizes = self
            .connection
            .prepare_cached("SELECT count(*), coalesce(sum(length(record)), 0) FROM outbox WHERE id <= ?1")?;
        let (records, bytes) =
            sizes.query_row([self.handed_on], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        if records > 0 {
            self.connection.prepare_cached("DELETE FROM outbox WHERE id <= ?1")?.execute([self.handed_on])?;
        }
        let unsigned = |value| u64::try_from(value).unwrap_or(0);
        Ok(Deleted { records: unsigned(records), bytes: unsigned(bytes) + unsigned(records) * ROW_BYTES })
    }

    /// After an outage the file is mostly empty: gives that back to the file system, a piece at a time.
    fn give_back(&self) -> Result<()> {
        #[cfg(test)]
        if self.vacuum_fails {
            return Err(Error::Damaged("told to fail".into()));
        }
        let free: i64 = self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        if free > PAGES_FREE_KEPT {
            let mut vacuum = self.connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_FREED})"))?;
            let mut pages = vacuum.query([])?;
            while pages.next()?.is_some() {}
        }
        Ok(())
    }

    /// The records of the outbox after `after`, up to about `bytes_max` bytes, at least one if there is any.
    pub(crate) fn outbox(&self, after: i64, bytes_max: usize) -> Result<Waiting> {
        let mut query = self.connection.prepare_cached(
            "SELECT id, sealed_at, partition, record FROM outbox WHERE id > ?1 ORDER BY id LIMIT 4096",
        )?;
        let mut rows = query.query([after.max(self.handed_on)])?;
        let mut waiting = Waiting { through: after, ..Waiting::default() };
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let record =
                NewRecord { partition: row.get(2)?, payload: Bytes::from(row.get::<_, Vec<u8>>(3)?) };
            bytes += record.payload.len();
            if bytes > bytes_max && !waiting.records.is_empty() {
                break;
            }
            waiting.records.push(record);
            waiting.through = row.get(0)?;
            let sealed_at = Timestamp::from_millis_clamped(row.get(1)?);
            waiting.oldest_sealed_at.get_or_insert(sealed_at);
        }
        Ok(waiting)
    }

    /// The place of the last record that was ever in the outbox of this file; 0 before the first.
    pub(crate) const fn outbox_end(&self) -> i64 {
        self.outbox_next - 1
    }

    /// The log has the records up to this one. They are deleted with the next seal: doing it again after a
    /// crash changes nothing.
    pub(crate) fn handed_on(&mut self, through: i64) {
        self.handed_on = self.handed_on.max(through);
    }

    /// Deletes what the log has, at once.
    pub(crate) fn forget_handed_on(&mut self) -> Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        let deleted = self.delete_handed_on()?;
        transaction.commit()?;
        self.deleted = self.handed_on;
        self.outbox_bytes = self.outbox_bytes.saturating_sub(deleted.bytes);
        self.outbox_records = self.outbox_records.saturating_sub(deleted.records);
        Ok(())
    }

    /// Whether nothing was committed since the last seal, and the log has taken nothing since: a seal would only
    /// lengthen the row of those that wait for the log, and say what the first after them says better.
    pub(crate) const fn waits_for_the_log(&self) -> bool {
        self.entries_bytes == 0 && self.outbox_records > 0 && self.handed_on == self.deleted
    }

    /// Bytes of counts and records that wait.
    pub(crate) const fn bytes(&self) -> u64 {
        self.entries_bytes + self.outbox_bytes
    }

    /// Records that the log does not have yet, or that are still to be deleted.
    pub(crate) const fn outbox_records(&self) -> u64 {
        self.outbox_records
    }

    /// Idempotency keys that are remembered.
    pub(crate) const fn marks(&self) -> u64 {
        self.marks
    }

    /// Changes the file behind the journal's back, for tests of a disk that fails.
    #[cfg(test)]
    pub(crate) fn execute(&self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }

    /// Limits the file, for tests of a full disk; `None` lifts the limit.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, more: Option<i64>) {
        let pages: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let most = more.map_or(1 << 30, |more| pages + more);
        self.connection.pragma_update_and_check(None, "max_page_count", most, |_| Ok(())).unwrap();
    }
}

struct Deleted {
    records: u64,
    bytes: u64,
}

/// Marks that were forgotten.
#[derive(Default)]
struct Forgotten {
    marks: u64,
    bytes: u64,
    /// How many of them before their time.
    early: u64,
}
