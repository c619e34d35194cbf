//! The file: who may open it, and what is in it.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use flagmeter_model::{Clock, Timestamp};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, params};

use super::Config;
use crate::Partition;

/// "flog": this file is one of ours.
const APPLICATION_ID: i32 = 0x666c_6f67;
/// Version of the tables. A newer program reads older ones.
const VERSION: i32 = 1;
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
    pub(super) lock: File,
}

/// Opens or makes the file. The error is the rest of a sentence that begins with "cannot be opened:".
pub(super) fn open(config: &Config, clock: &dyn Clock) -> Result<OpenedFile, String> {
    if config.partitions == 0 || config.partitions > Config::PARTITIONS_MAX {
        return Err(format!("{} partitions: set 1 to {}", config.partitions, Config::PARTITIONS_MAX));
    }
    let lock = lock(&config.path)?;
    let mut connection = connect(&config.path, OpenFlags::SQLITE_OPEN_CREATE).map_err(|error| why(&error))?;
    let (ends, bytes) = prepare(&mut connection, config.partitions, clock)?;
    Ok(OpenedFile { connection, ends, bytes, lock })
}

/// A connection for reading a file that is open for writing already.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::empty())?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -512)?;
    Ok(connection)
}

fn connect(path: &Path, more: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

/// Takes the file for this process. The lock ends with the process, however that ends; the empty file stays.
fn lock(path: &Path) -> Result<File, String> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let file = File::options().create(true).truncate(false).write(true).open(&beside).map_err(|error| {
        format!(
            "{} cannot be made ({error}): see that the folder is there and may be written",
            beside.display()
        )
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err("another process is using it: stop that one, or use another data folder".into())
        }
        Err(TryLockError::Error(error)) => Err(format!("{} cannot be locked: {error}", beside.display())),
    }
}

/// Checks that the file is ours and can be written, brings it up to date, and reads where it ends.
pub(super) fn prepare(
    connection: &mut Connection,
    partitions: u32,
    clock: &dyn Clock,
) -> Result<(Vec<End>, u64), String> {
    let read_only = connection.is_readonly(rusqlite::MAIN_DB).map_err(|error| why(&error))?;
    if read_only {
        return Err("it is read-only: make the file and its folder writable".into());
    }
    identify(connection)?;
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

/// Tells a file of ours, or a new one, from all others, without changing it.
fn identify(connection: &Connection) -> Result<(), String> {
    let number = |pragma: &str| {
        connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).map_err(|error| why(&error))
    };
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| why(&error))?;
    // Also one whose making was cut off: the first page is written before the tables are.
    if (application, version, tables) == (0, 0, 0) {
        return Ok(());
    }
    if application != APPLICATION_ID {
        return Err("it is not a log of flagmeter: use another path, or move the file away".into());
    }
    if version > VERSION {
        return Err(format!(
            "it has version {version}, newer than {VERSION}, the newest this program knows: upgrade the program"
        ));
    }
    Ok(())
}

fn create(
    transaction: &Transaction<'_>,
    partitions: u32,
    clock: &dyn Clock,
) -> Result<(Vec<End>, u64), String> {
    let read = || -> rusqlite::Result<_> {
        let version: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version < VERSION {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
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

fn why(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            "it is not a log of flagmeter: use another path, or move the file away".into()
        }
        Some(ErrorCode::ReadOnly) => "it is read-only: make the file and its folder writable".into(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process is using it: stop that one, or use another data folder".into()
        }
        Some(ErrorCode::DiskFull) => "the disk is full: make room".into(),
        Some(ErrorCode::CannotOpen) => {
            "see that the path is a file, and that it may be read and written".into()
        }
        _ => error.to_string(),
    }
}
