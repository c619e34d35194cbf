//! The tables, and what is checked before they are used. Times are in milliseconds, hours by their start.

use std::path::Path;

use flagmeter_sqlite::{Kind, Refusal};
use rusqlite::Connection;

use crate::{Error, Result};

/// Version 4: the tables below. Tells our files from others: `flml`.
const KIND: Kind = Kind { name: "a ledger", application_id: 0x666c_6d6c, version: 4 };
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

/// What version 2 has more.
const CROSSINGS: &str = "
    -- Thresholds of plans, each once in a period.
    CREATE TABLE crossings (
        number INTEGER PRIMARY KEY,
        customer TEXT NOT NULL,
        meter INTEGER NOT NULL,
        period INTEGER NOT NULL,
        percent INTEGER NOT NULL,
        hard INTEGER NOT NULL,
        included INTEGER NOT NULL,
        used INTEGER NOT NULL,
        crossed_at INTEGER NOT NULL,
        UNIQUE (customer, meter, period, percent)
    ) STRICT;
";

/// What version 3 has more.
const DELIVERIES: &str = "
    -- Up to which crossing all were delivered.
    CREATE TABLE deliveries (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        number INTEGER NOT NULL
    ) STRICT;
    INSERT INTO deliveries VALUES (1, 0);
";

/// What version 4 has more.
const ALERTS: &str = "
    -- Traffic that is out of the ordinary: of a series, what began and what is over take turns.
    CREATE TABLE alerts (
        number INTEGER PRIMARY KEY,
        customer TEXT NOT NULL,
        project TEXT,       -- NULL for all of them, and so are those below
        environment TEXT,
        flag TEXT,
        meter INTEGER NOT NULL,
        kind TEXT NOT NULL,
        said TEXT NOT NULL,
        since INTEGER NOT NULL,
        seen_at INTEGER NOT NULL,
        observed INTEGER,   -- NULL where it is not known
        expected INTEGER NOT NULL,
        low INTEGER NOT NULL,
        high INTEGER NOT NULL,
        percent INTEGER,
        excess INTEGER NOT NULL,
        peak INTEGER NOT NULL,
        is_learning INTEGER NOT NULL,
        alerted_at INTEGER NOT NULL,
        muted TEXT      -- by which mute; NULL for what is told
    ) STRICT;
    CREATE INDEX alerts_by_series ON alerts (customer, project, environment, flag, meter, number);
    CREATE INDEX alerts_by_seen ON alerts (seen_at);
    -- What began, and with what it is over: made of alerts. Open ones have no end and no reach.
    CREATE TABLE episodes (
        began INTEGER PRIMARY KEY,
        ended INTEGER,
        whose TEXT NOT NULL,
        starts INTEGER NOT NULL,
        ends INTEGER,
        reach INTEGER
    ) STRICT;
    CREATE INDEX episodes_by_start ON episodes (starts, began);
    CREATE INDEX episodes_by_customer ON episodes (whose, starts, began);
    CREATE INDEX episodes_by_reach ON episodes (reach, starts, began);
    CREATE INDEX episodes_by_customer_and_reach ON episodes (whose, reach, starts, began);
    CREATE TABLE contributors (
        alert INTEGER NOT NULL,
        place INTEGER NOT NULL,
        part TEXT NOT NULL,
        name TEXT,      -- NULL for all that comes without one
        count INTEGER NOT NULL,
        before INTEGER NOT NULL,
        PRIMARY KEY (alert, place)
    ) STRICT, WITHOUT ROWID;
    -- Up to which crossing (1) and which alert (2) all were delivered.
    ALTER TABLE deliveries RENAME TO deliveries_of_crossings;
    CREATE TABLE deliveries (
        id INTEGER PRIMARY KEY,
        number INTEGER NOT NULL
    ) STRICT;
    INSERT INTO deliveries SELECT id, number FROM deliveries_of_crossings;
    INSERT INTO deliveries VALUES (2, 0);
    DROP TABLE deliveries_of_crossings;
    -- Planned mutes. Only ever ended.
    CREATE TABLE mutes (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        customer TEXT NOT NULL,
        project TEXT,       -- NULL for all of the customer
        environment TEXT,   -- NULL for all of the project
        begins INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        reason TEXT NOT NULL,
        made_by TEXT NOT NULL,
        made_at INTEGER NOT NULL,
        ended_at INTEGER,   -- NULL unless it was ended before its time
        ended_by TEXT,
        until INTEGER NOT NULL  -- when it is over: what comes first of both
    ) STRICT;
    CREATE INDEX mutes_by_until ON mutes (until, number);
    CREATE INDEX mutes_by_customer ON mutes (customer, until);
";

/// Opens the writer's connection, and makes the tables in a new file.
pub(super) fn open_writer(path: &Path) -> Result<Connection> {
    let (mut connection, _) = KIND.open(path).map_err(|refusal| refused(path, &refusal))?;
    prepare(&mut connection).map_err(|error| refused(path, &KIND.refusal(&error)))?;
    Ok(connection)
}

/// Opens a reader's connection to a file that a writer has open.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let connection = KIND.open_reader(path).map_err(|refusal| refused(path, &refusal))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", 8_192)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What is appended stays, also when the machine loses its power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    let step = connection.transaction()?;
    let version: i32 = step.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        step.execute_batch(TABLES)?;
    }
    if version < 2 {
        step.execute_batch(CROSSINGS)?;
    }
    if version < 3 {
        step.execute_batch(DELIVERIES)?;
    }
    if version < KIND.version {
        step.execute_batch(ALERTS)?;
        KIND.sign(&step)?;
    }
    step.commit()
}

pub(super) fn refused(path: &Path, refusal: &Refusal) -> Error {
    let path = path.to_owned();
    match refusal {
        Refusal::InUse => Error::InUse { path },
        Refusal::Unusable(reason) => Error::Open { path, reason: reason.clone() },
    }
}
