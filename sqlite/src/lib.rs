//! What the SQLite files of flagmeter have in common: each belongs to one process, is told from all others before
//! anything in it is changed, and says in one sentence why it cannot be used.
//!
//! In goes a path and the [`Kind`] of file that must be there; out comes a connection, or a [`Refusal`]. What is in a file,
//! and how it is kept, is the matter of the crate that it belongs to.
//!
//! # Invariants
//!
//! - A file that is refused is left as it was.
//! - A file whose making was cut off before its tables were there is a new one.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

/// How long a connection waits for another one of this process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Why a file cannot be used, and what to do about it: the rest of a sentence that begins with "cannot be opened: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another process has it.
    #[error("another process is using it: stop that one, or give this one a data folder of its own")]
    InUse,
    /// Anything else.
    #[error("{0}")]
    Unusable(String),
}

/// A file that this process has. The lock ends with the process, however that ends; the empty file stays.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held until it is dropped")] File);

impl Lock {
    /// Takes the file for this process, by a lock on `<path>.lock`: SQLite locks the file itself in its own ways.
    pub fn take(path: &Path) -> Result<Self, Refusal> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let beside = PathBuf::from(beside);
        let opened = File::options().create(true).truncate(false).write(true).open(&beside);
        let file = opened.map_err(|error| {
            Refusal::Unusable(format!(
                "{} cannot be made ({error}): see that the folder is there and may be written",
                beside.display()
            ))
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Refusal::InUse),
            Err(TryLockError::Error(error)) => Err(Refusal::Unusable(format!(
                "{} cannot be locked ({error}): use a local disk",
                beside.display()
            ))),
        }
    }
}

/// What a file is.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// In words: `a ledger`.
    pub name: &'static str,
    /// What SQLite keeps in the header of such a file.
    pub application_id: i32,
    /// Version of the tables that this program makes. It reads those from 1 on.
    pub version: i32,
}

impl Kind {
    /// Opens the file for writing, or makes an empty one, and [looks](Self::version_of) what it is.
    pub fn open(&self, path: &Path) -> Result<(Connection, i32), Refusal> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| self.refusal(&error))?;
        let version = self.version_of(&connection)?;
        Ok((connection, version))
    }

    /// Opens a file for reading that is open for writing already.
    pub fn open_reader(&self, path: &Path) -> Result<Connection, Refusal> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            Ok(connection)
        };
        open().map_err(|error| self.refusal(&error))
    }

    /// The version of the tables in a file of this kind that may be written; 0 where there are none yet.
    pub fn version_of(&self, connection: &Connection) -> Result<i32, Refusal> {
        let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
        let found = || -> rusqlite::Result<_> {
            let tables: i64 =
                connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            Ok((number("application_id")?, number("user_version")?, tables, connection.is_readonly(MAIN_DB)?))
        };
        match found().map_err(|error| self.refusal(&error))? {
            (_, _, _, true) => {
                Err(Refusal::Unusable("it is read-only: make the file and its folder writable".into()))
            }
            // Also one whose making was cut off: the first page is written before the tables are.
            (0, 0, 0, false) => Ok(0),
            (application_id, version, ..) if application_id == self.application_id && version > 0 => {
                if version <= self.version {
                    return Ok(version);
                }
                Err(Refusal::Unusable(format!(
                    "it was written by a newer flagmeter (version {version} of the file, this program knows {}): start \
                     that one, or upgrade this one",
                    self.version
                )))
            }
            _ => Err(self.of_others()),
        }
    }

    /// Says in the file what it is. Belongs into the transaction that makes its tables.
    pub fn sign(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.pragma_update(None, "application_id", self.application_id)?;
        connection.pragma_update(None, "user_version", self.version)
    }

    /// What an error means for whoever wants to use the file.
    pub fn refusal(&self, error: &rusqlite::Error) -> Refusal {
        Refusal::Unusable(match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => return self.of_others(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => return Refusal::InUse,
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                format!(
                    "{error}: see that it is a file, that its folder is there, and that both may be written"
                )
            }
            Some(ErrorCode::DatabaseCorrupt) => {
                format!("it is damaged ({error}): keep a copy of it, and restore it or move it away")
            }
            Some(ErrorCode::DiskFull) => "the disk is full: make room".into(),
            _ => error.to_string(),
        })
    }

    fn of_others(&self) -> Refusal {
        Refusal::Unusable(format!(
            "it is not {} of flagmeter: choose another path, or move the file away",
            self.name
        ))
    }
}

#[cfg(test)]
mod tests;
