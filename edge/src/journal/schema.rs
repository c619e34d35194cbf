//! The journal's file: what is in it, and whether it may be used.

use std::path::Path;

use flagmeter_sqlite::{Kind, Refusal};
use rusqlite::Connection;

use crate::{Error, Result};

/// Version 1: the tables below. Tells our files from others: `flmJ`.
const KIND: Kind = Kind { name: "a journal", application_id: 0x666c_6d4a, version: 1 };

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
    let open = || {
        let (connection, version) = KIND.open(path)?;
        prepare(&connection, version).map_err(|error| KIND.refusal(&error))?;
        Ok(connection)
    };
    open().map_err(|refusal: Refusal| Error::Open { path: path.to_owned(), reason: refusal.to_string() })
}

fn prepare(connection: &Connection, version: i32) -> rusqlite::Result<()> {
    // Exclusive: a second process is refused, and the WAL's index stays in memory.
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
    connection.execute_batch("BEGIN IMMEDIATE")?;
    if version == 0 {
        connection.execute_batch(TABLES)?;
        KIND.sign(connection)?;
    }
    // Takes the lock, and finds out here, not at the first count, that the file cannot be written.
    connection.execute_batch("COMMIT")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
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
