//! The tables, and what is checked before they are used. Times are in milliseconds, hours by their start.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};

use crate::{Error, Result};

/// Tells our files from others: `flml`.
const APPLICATION_ID: i32 = 0x666c_6d6c;
/// The version of the tables below.
const VERSION: i32 = 1;
/// How long a connection waits for another one of this process: only the checkpointer ever makes it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The write-ahead log is cut back to this after a checkpoint, in bytes.
const WAL_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// Page cache of each connection, in KiB: the file system caches as well.
const CACHE_KIB: i64 = 2 * 1024;

/// Rows lie by environment and hour, as bills are read; the feed finds them by their position.
const TABLES: &str = "
    CREATE TABLE environments (
        id INTEGER PRIMARY KEY,
        customer TEXT NOT NULL,
        project TEXT NOT NULL,
        environment TEXT NOT NULL,
        UNIQUE (customer, project, environment)
    ) STRICT;
    CREATE TABLE rows (
        environment INTEGER NOT NULL,
        hour INTEGER NOT NULL,
        meter INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        position INTEGER NOT NULL UNIQUE,
        count INTEGER NOT NULL,
        previous INTEGER NOT NULL,
        correction INTEGER NOT NULL,
        complete INTEGER NOT NULL,
        missing TEXT,   -- numbers of nodes with commas between; NULL for none
        closed_at INTEGER NOT NULL,
        PRIMARY KEY (environment, hour, meter, revision)
    ) STRICT, WITHOUT ROWID;
    -- Each step of the closed frontier, and the last row that belongs to it.
    CREATE TABLE closings (
        until INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        position INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX closings_by_position ON closings (position, until);
    CREATE TABLE standing (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        announced INTEGER,
        closed INTEGER,
        position INTEGER NOT NULL
    ) STRICT;
    INSERT INTO standing (id, position) VALUES (1, 0);
    -- Of a book that is what was read of a topic: which topic, and the last record that was taken in.
    CREATE TABLE source (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        topic TEXT NOT NULL,
        taken INTEGER,
        taken_at INTEGER
    ) STRICT;
";

/// Opens the writer's connection, and makes the tables in a new file.
pub(super) fn open_writer(path: &Path) -> Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).map_err(|error| refused(path, &error))?;
    let mut connection = opened;
    check(path, &connection)?;
    prepare(&mut connection).map_err(|error| refused(path, &error))?;
    Ok(connection)
}

/// Opens a reader's connection to a file that a writer has open.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        Ok(connection)
    };
    open().map_err(|error| refused(path, &error))
}

fn check(path: &Path, connection: &Connection) -> Result<()> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let found = || -> rusqlite::Result<_> {
        let tables =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        Ok((number("application_id")?, number("user_version")?, tables, connection.is_readonly("main")?))
    };
    let unusable = |reason: String| Err(Error::Open { path: path.to_owned(), reason });
    match found().map_err(|error| refused(path, &error))? {
        (_, _, _, true) => unusable("it is read-only: make the file and its folder writable".into()),
        (0, 0, 0, false) | (APPLICATION_ID, 1..=VERSION, _, false) => Ok(()),
        (APPLICATION_ID, version, _, false) if version > VERSION => unusable(format!(
            "it was written by a newer flagmeter (version {version} of the file, this program knows {VERSION}): start \
             that one, or upgrade this one"
        )),
        _ => unusable("it is a SQLite file, but not a ledger of flagmeter: choose another path".into()),
    }
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "page_size", 8_192)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What is appended stays, also when the machine loses its power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    let step = connection.transaction()?;
    if step.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0))? == 0 {
        make(&step)?;
    }
    step.commit()
}

fn make(step: &Transaction<'_>) -> rusqlite::Result<()> {
    step.execute_batch(TABLES)?;
    step.pragma_update(None, "application_id", APPLICATION_ID)?;
    step.pragma_update(None, "user_version", VERSION)
}

fn refused(path: &Path, error: &rusqlite::Error) -> Error {
    let reason = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            "it is not a ledger of flagmeter: choose another path, or move the file away".to_owned()
        }
        Some(ErrorCode::CannotOpen) => {
            format!("{error}: see that its folder is there and may be written")
        }
        Some(ErrorCode::DatabaseCorrupt) => format!("{error}: restore it from a copy"),
        _ => error.to_string(),
    };
    Error::Open { path: path.to_owned(), reason }
}
