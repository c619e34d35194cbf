//! The journal's file: what is in it, and whether it may be used.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{Error, Result};

/// Says that a SQLite file is a journal of ours: "flmJ".
const APPLICATION: i32 = 0x666c_6d4a;
/// The version of the tables below.
const VERSION: i32 = 1;

const TABLES: &str = "
    -- One row a group of requests that were committed together and are not sealed yet.
    CREATE TABLE entries (id INTEGER PRIMARY KEY, counts BLOB NOT NULL);
    -- Records that are sealed and not yet in the log, frozen, in the order in which they must go.
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY, sealed_at INTEGER NOT NULL, partition INTEGER NOT NULL, record BLOB NOT NULL
    );
    -- Idempotency keys that were acknowledged, with the reply to repeat.
    CREATE TABLE marks (
        key BLOB PRIMARY KEY, at INTEGER NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX marks_at ON marks (at);
    -- What was ever received, by environment, up to the last seal.
    CREATE TABLE received (
        customer TEXT NOT NULL, project TEXT NOT NULL, environment TEXT NOT NULL, total INTEGER NOT NULL,
        PRIMARY KEY (customer, project, environment)
    ) WITHOUT ROWID;
    -- The last seal; no row before the first.
    CREATE TABLE seal (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, watermark INTEGER NOT NULL);
";

/// Opens the file, or makes it.
pub(super) fn open(path: &Path) -> Result<Connection> {
    let refuse = |reason: String| Error::Open { path: path.to_owned(), reason };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| refuse(why_not(&error)))?;
    prepare(&connection).map_err(|error| match error {
        Error::Journal(error) => refuse(why_not(&error)),
        Error::Damaged(reason) => refuse(reason),
        other => other,
    })?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<()> {
    // Exclusive: a second process is refused at once, and the WAL's index stays in memory.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // Before the first table, or it has no effect.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // What is written here is read again only after a crash.
    connection.pragma_update(None, "cache_size", -512)?;
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version) {
        (0, 0) if tables == 0 => {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            connection.execute_batch(TABLES)?;
            connection.pragma_update(None, "application_id", APPLICATION)?;
            connection.pragma_update(None, "user_version", VERSION)?;
            connection.execute_batch("COMMIT")?;
        }
        (APPLICATION, VERSION) => {
            // Takes the lock, and finds out here, not at the first count, that the file cannot be written.
            connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
        }
        (APPLICATION, newer) => {
            return Err(Error::Damaged(format!(
                "it has version {newer}, this program writes {VERSION}; use the newer program"
            )));
        }
        _ => {
            return Err(Error::Damaged("it is another program's database; choose another file".into()));
        }
    }
    if connection.is_readonly("main")? {
        return Err(Error::Damaged("it is read-only; make it writable".into()));
    }
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// What to do about it, in words.
fn why_not(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process uses it; stop that one, or give this one a data folder of its own".into()
        }
        Some(ErrorCode::ReadOnly) => "it is read-only; make the file and its folder writable".into(),
        Some(ErrorCode::CannotOpen) => "see that its folder exists and may be written".into(),
        Some(ErrorCode::NotADatabase) => "it is not a database; choose another file".into(),
        Some(ErrorCode::DatabaseCorrupt) => "it is damaged; keep a copy, and move it away".into(),
        Some(ErrorCode::DiskFull) => "its disk is full; make room".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let connection = open(&folder.path().join("journal.sqlite")).unwrap();
            let text =
                |name| connection.pragma_query_value(None, name, |row| row.get::<_, String>(0)).unwrap();
            let number =
                |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!((text("journal_mode").as_str(), number("synchronous")), ("wal", 2));
            assert_eq!((text("locking_mode").as_str(), number("auto_vacuum")), ("exclusive", 2));
        }
    }
}
