//! The file: who may open it, and what is in it.

use std::path::Path;

use flagmeter_model::{Clock, Timestamp};
use flagmeter_sqlite::{Kind, Lock};
use rusqlite::{Connection, Transaction, params};

use super::Config;
use crate::Partition;

/// Version 1: the tables below. Tells our files from others: `flog`.
const KIND: Kind = Kind { name: "a log", application_id: 0x666c_6f67, version: 1 };
/// Bits of an offset in the key of a record; the partition stands above them.
const OFFSET_BITS: u32 = 52;

const TABLES: &str = "
    CREATE TABLE partitions (
        partition INTEGER PRIMARY KEY,
        next INTEGER NOT NULL,          -- offset of the next record
        appended_at INTEGER NOT NULL,   -- of the last record, ms
        committed INTEGER NOT NULL      -- offset of the next record that is wanted
    );
    CREATE TABLE records (
        place INTEGER PRIMARY KEY,      -- partition and offset in one, so that the rows lie in their order
        appended_at INTEGER NOT NULL,   -- ms
        payload BLOB NOT NULL
    );";

/// Where a partition ends, as the writer keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// Offset of the next record.
    pub(super) next: u64,
    /// When the last record was appended.
    pub(super) appended_at: Timestamp,
    /// Offset of the next record that is wanted.
    pub(super) committed: u64,
}

/// A file that was opened for writing.
pub(super) struct OpenedFile {
    pub(super) connection: Connection,
    /// By partition.
    pub(super) ends: Vec<End>,
    /// Bytes of payload in it.
    pub(super) bytes: u64,
    pub(super) lock: Lock,
}

/// Opens or makes the file. The error is the rest of a sentence that begins with "cannot be opened:".
pub(super) fn open(config: &Config, clock: &dyn Clock) -> Result<OpenedFile, String> {
    if config.partitions == 0 || config.partitions > Config::PARTITIONS_MAX {
        return Err(format!("{} partitions: set 1 to {}", config.partitions, Config::PARTITIONS_MAX));
    }
    let lock = Lock::take(&config.path).map_err(|refusal| refusal.to_string())?;
    let (mut connection, _) = KIND.open(&config.path).map_err(|refusal| refusal.to_string())?;
    let (ends, bytes) = prepare(&mut connection, config.partitions, clock)?;
    Ok(OpenedFile { connection, ends, bytes, lock })
}

/// A connection for reading a file that is open for writing already.
pub(super) fn open_reader(path: &Path) -> Result<Connection, String> {
    let connection = KIND.open_reader(path).map_err(|refusal| refusal.to_string())?;
    connection.pragma_update(None, "cache_size", -512).map_err(|error| why(&error))?;
    Ok(connection)
}

/// Brings the file up to date, and reads where it ends.
fn prepare(
    connection: &mut Connection,
    partitions: u32,
    clock: &dyn Clock,
) -> Result<(Vec<End>, u64), String> {
    connection
        .execute_batch(
            "PRAGMA page_size = 8192; PRAGMA cache_size = -512; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;",
        )
        .and_then(|()| connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate))
        .map_err(|error| why(&error))
        .and_then(|transaction| {
            let read = create(&transaction, partitions, clock)?;
            transaction.commit().map_err(|error| why(&error))?;
            Ok(read)
        })
}

fn create(
    transaction: &Transaction<'_>,
    partitions: u32,
    clock: &dyn Clock,
) -> Result<(Vec<End>, u64), String> {
    let read = || -> rusqlite::Result<_> {
        let version: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            transaction.execute_batch(TABLES)?;
            KIND.sign(transaction)?;
        }
        let bytes: u64 =
            transaction
                .query_row("SELECT coalesce(sum(length(payload)), 0) FROM records", [], |row| row.get(0))?;
        Ok((ends(transaction)?, bytes))
    };
    let (mut ends, bytes) = read().map_err(|error| why(&error))?;
    let there = Partition::try_from(ends.len()).unwrap_or(Partition::MAX);
    if partitions < there {
        return Err(format!("it has {there} partitions and {partitions} are set: set {there} or more"));
    }
    // Above every offset of a file that was here before and is lost.
    let now = clock.now();
    let first = u64::try_from(now.as_millis()).unwrap_or(0);
    for partition in there..partitions {
        let end = End { next: first, appended_at: now, committed: first };
        write_end(transaction, partition, end).map_err(|error| why(&error))?;
        ends.push(end);
    }
    Ok((ends, bytes))
}

/// Where the partitions end, in their order.
pub(super) fn ends(connection: &Connection) -> rusqlite::Result<Vec<End>> {
    connection
        .prepare_cached("SELECT next, appended_at, committed FROM partitions ORDER BY partition")?
        .query_map([], |row| {
            Ok(End {
                next: row.get(0)?,
                appended_at: Timestamp::from_millis_clamped(row.get(1)?),
                committed: row.get(2)?,
            })
        })?
        .collect()
}

/// Keeps where a partition ends.
pub(super) fn write_end(connection: &Connection, partition: Partition, end: End) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO partitions (partition, next, appended_at, committed) VALUES (?, ?, ?, ?)",
        )?
        .execute(params![partition, end.next, end.appended_at.as_millis(), end.committed])
        .map(drop)
}

/// The key of a record. Offsets end at 2^52: at a thousand records a second, in 140,000 years.
pub(super) fn place(partition: Partition, offset: u64) -> i64 {
    let offset = i64::try_from(offset).unwrap_or(i64::MAX).min((1 << OFFSET_BITS) - 1);
    (i64::from(partition.min(Config::PARTITIONS_MAX)) << OFFSET_BITS) | offset
}

/// The offset in a key.
pub(super) fn offset_at(place: i64) -> u64 {
    u64::try_from(place & ((1 << OFFSET_BITS) - 1)).unwrap_or(0)
}

/// The rest of a sentence that begins with "cannot be opened:".
pub(super) fn why(error: &rusqlite::Error) -> String {
    KIND.refusal(error).to_string()
}
