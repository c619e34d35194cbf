//! The tables, and what is checked before they are used.
//!
//! Starts of windows are in seconds since the epoch, all other times in milliseconds. Raw rows lie in the order
//! of time, because they are written, rolled up and deleted in that order, all environments together; rows of
//! the tiers lie by environment, because charts and bills read an environment over a long time.

use std::path::Path;

use flagmeter_model::Tier;
use flagmeter_sqlite::{Kind, Refusal};
use rusqlite::{Connection, ErrorCode};

use super::{dead_letters, row, standing::Standing};
use crate::{Error, Result};

/// Version 3: the tables below. Tells our files from others: `flms`.
const KIND: Kind = Kind { name: "a store", application_id: 0x666c_6d73, version: 3 };
/// The write-ahead log is cut back to this after a checkpoint, in bytes.
const WAL_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// Pages in the write-ahead log before it is checkpointed.
const WAL_PAGES: i64 = 4_000;
/// Page cache of the writer, and of each reader, in KiB: small, because blocks are read once and the file system
/// caches as well.
const CACHE_KIB: i64 = 1024;
/// Distinct statements that a connection keeps prepared.
const STATEMENTS_MAX: usize = 64;

const TABLES: &str = "
    CREATE TABLE environments (
        id INTEGER PRIMARY KEY,
        customer TEXT NOT NULL,
        project TEXT NOT NULL,
        environment TEXT NOT NULL,
        UNIQUE (customer, project, environment)
    ) STRICT;
    -- Numbered within the environment from 0, without gaps. No variant, no SDK: the empty text.
    CREATE TABLE series (
        environment INTEGER NOT NULL,
        number INTEGER NOT NULL,
        meter INTEGER NOT NULL,
        name TEXT NOT NULL,
        variant TEXT NOT NULL,
        sdk TEXT NOT NULL,
        PRIMARY KEY (environment, number),
        UNIQUE (environment, meter, name, variant, sdk)
    ) STRICT, WITHOUT ROWID;
    -- First and last minute of 256 series each, see seen.rs.
    CREATE TABLE seen (
        environment INTEGER NOT NULL,
        chunk INTEGER NOT NULL,
        block BLOB NOT NULL,
        PRIMARY KEY (environment, chunk)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE dirty (
        tier INTEGER NOT NULL,
        start INTEGER NOT NULL,
        environment INTEGER NOT NULL,
        token INTEGER NOT NULL,
        PRIMARY KEY (tier, start, environment)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE progress (
        partition INTEGER NOT NULL,
        node INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        part INTEGER NOT NULL,
        watermark INTEGER NOT NULL,
        heard_at INTEGER NOT NULL,
        farewell INTEGER NOT NULL,
        region TEXT,
        PRIMARY KEY (partition, node)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE covered (
        since INTEGER PRIMARY KEY,
        until INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE positions (
        partition INTEGER PRIMARY KEY,
        next INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE dead_letters (
        partition INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        found_at INTEGER NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        count INTEGER,
        payload BLOB NOT NULL,
        PRIMARY KEY (partition, offset)
    ) STRICT;
    -- Adding the counts up, where that must be done again, does not read the payloads.
    CREATE INDEX dead_letter_counts ON dead_letters (count);
    -- One row: the frontiers and floors, the last token given to a mark, the partitions of the log, and how many
    -- dead letters there are and counts in them.
    CREATE TABLE standing (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        minute_announced INTEGER,
        minute_whole INTEGER,
        quarter_whole INTEGER,
        hour_whole INTEGER,
        raw_floor INTEGER,
        minute_floor INTEGER,
        quarter_floor INTEGER,
        token INTEGER NOT NULL,
        partitions INTEGER NOT NULL,
        dead_letters INTEGER NOT NULL,
        dead_letter_counts INTEGER NOT NULL
    ) STRICT;
    INSERT INTO standing (id, token, partitions, dead_letters, dead_letter_counts) VALUES (1, 0, 0, 0, 0);
";

/// What makes version 2 of a file of version 1.
const FROM_1: &str = "
    ALTER TABLE standing ADD COLUMN partitions INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE standing ADD COLUMN dead_letters INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE standing ADD COLUMN dead_letter_counts INTEGER NOT NULL DEFAULT 0;
";

/// What makes version 3 of a file of version 2.
const FROM_2: &str = "ALTER TABLE progress ADD COLUMN region TEXT";

/// The table of a tier; their rows end alike, see `row`. Raw rows are keyed by `minute`, the others by `start`.
pub(super) const fn table(tier: Tier) -> &'static str {
    match tier {
        Tier::Raw => "raw",
        Tier::Minute => "minute",
        Tier::Quarter => "quarter",
        Tier::Hour => "hour",
    }
}

/// The number of a tier in `dirty`: never renumber.
pub(super) const fn tier_number(tier: Tier) -> i64 {
    match tier {
        Tier::Raw => 0,
        Tier::Minute => 1,
        Tier::Quarter => 2,
        Tier::Hour => 3,
    }
}

/// Opens the writer's connection, and makes the tables in a new file.
pub(super) fn open_writer(path: &Path) -> Result<Connection> {
    let (mut connection, _) = KIND.open(path).map_err(|refusal| refused(path, &refusal))?;
    prepare(path, &mut connection)?;
    Ok(connection)
}

/// Opens a reader's connection to a file that a writer has open.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let connection = KIND.open_reader(path).map_err(|refusal| refused(path, &refusal))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

fn prepare(path: &Path, connection: &mut Connection) -> Result<()> {
    let refused = |error: rusqlite::Error| refused(path, &KIND.refusal(&error));
    set_up(connection).map_err(refused)?;
    let tx = connection.transaction().map_err(refused)?;
    match tx.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0)).map_err(refused)? {
        0 => make(&tx).map_err(refused)?,
        1 => upgrade_from_1(&tx).and_then(|()| Ok(tx.execute_batch(FROM_2)?))?,
        2 => tx.execute_batch(FROM_2).map_err(refused)?,
        _ => return Ok(()),
    }
    KIND.sign(&tx).and_then(|()| tx.commit()).map_err(refused)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    // Before the first table, or never.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(())
}

/// Makes version 2 of a file of version 1.
fn upgrade_from_1(connection: &Connection) -> Result<()> {
    connection.execute_batch(FROM_1)?;
    let mut standing = Standing::load(connection)?;
    dead_letters::recount(connection, &mut standing)?;
    standing.store(connection)
}

fn make(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)?;
    let columns = row::columns();
    connection.execute_batch(&format!(
        "CREATE TABLE raw (
            minute INTEGER NOT NULL,
            environment INTEGER NOT NULL,
            node INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            part INTEGER NOT NULL,
            {columns},
            PRIMARY KEY (minute, environment, node, seq, part)
        ) STRICT, WITHOUT ROWID"
    ))?;
    for tier in Tier::ROLLED {
        connection.execute_batch(&format!(
            "CREATE TABLE {} (
                environment INTEGER NOT NULL,
                start INTEGER NOT NULL,
                {columns},
                PRIMARY KEY (environment, start)
            ) STRICT, WITHOUT ROWID",
            table(tier)
        ))?;
    }
    Ok(())
}

pub(super) fn refused(path: &Path, refusal: &Refusal) -> Error {
    Error::Open { path: path.to_owned(), reason: refusal.to_string() }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Unavailable("the disk is full: make room".into()),
            // Without a code: a column of an unexpected type, or no row where there must be one.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation)
            | None => Self::Damaged(error.to_string()),
            Some(_) => Self::Unavailable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_an_older_version_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let older = "ALTER TABLE progress DROP COLUMN region;
                     ALTER TABLE standing DROP COLUMN partitions;
                     ALTER TABLE standing DROP COLUMN dead_letters;
                     ALTER TABLE standing DROP COLUMN dead_letter_counts;
                     UPDATE standing SET token = 7;
                     INSERT INTO dead_letters VALUES (0, 1, 0, 'damaged', '', 5, x''), (0, 2, 0, 'damaged', '', NULL, x'');
                     PRAGMA user_version = 1";
        open_writer(&path).unwrap().execute_batch(older).unwrap();
        for _ in 0..2 {
            let standing = Standing::load(&open_writer(&path).unwrap()).unwrap();
            assert_eq!((standing.token, standing.partitions), (7, 0));
            assert_eq!((standing.dead_letters, standing.dead_letter_counts), (2, 5));
        }
        let of_2 = "ALTER TABLE progress DROP COLUMN region; PRAGMA user_version = 2";
        open_writer(&path).unwrap().execute_batch(of_2).unwrap();
        let writer = open_writer(&path).unwrap();
        writer.execute_batch("INSERT INTO progress VALUES (0, 1, 1, 0, 0, 0, 0, 'eu-west')").unwrap();
    }

    #[test]
    fn a_file_of_another_program_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
        let refused = open_writer(&path).unwrap_err().to_string();
        assert!(refused.contains("not a store of flagmeter"), "{refused}");
    }
}
