//! The rows in an SQLite file, by position and by hour.
//!
//! Reads never wait for the writer: each sees the snapshot of its beginning.

mod grow;
mod look;
mod schema;

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::{sync::watch, task::spawn_blocking};

pub(crate) use self::grow::{apply, plan};
pub(crate) use self::look::{closing, feed, hours, standing};
use crate::{Error, Position, Result};

/// Readers that are kept open between reads.
const IDLE_READERS_MAX: usize = 4;

/// Where a ledger's file lies.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file. Beside it stand `-wal`, `-shm` and `.lock`. Its folder must exist.
    pub path: PathBuf,
}

/// An open file. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Book(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    end: watch::Sender<Position>,
    /// Held until the last connection is closed.
    _lock: File,
}

impl Book {
    /// Opens the file, or makes it. Fails with [`Error::Open`] when another process has it, when it is of a newer
    /// version, damaged, read-only or not ours; nothing is changed then.
    pub(crate) fn open(config: &Config) -> Result<Self> {
        let lock = lock(&config.path)?;
        let writer = schema::open_writer(&config.path)?;
        let (end, _) = watch::channel(standing(&writer)?.end);
        Ok(Self(Arc::new(Inner {
            path: config.path.clone(),
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            end,
            _lock: lock,
        })))
    }

    /// The last row.
    pub(crate) fn end(&self) -> watch::Receiver<Position> {
        self.0.end.subscribe()
    }

    /// Does `work` as one step, durable when this returns: all of it, or nothing if it fails.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        blocking(move || {
            let mut writer = inner.writer.lock();
            let step = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&step)?;
            let end = standing(&step)?.end;
            step.commit()?;
            inner.end.send_if_modified(|known| std::mem::replace(known, end) != end);
            Ok(done)
        })
        .await
    }

    /// Does `work` on one snapshot.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        blocking(move || {
            let idle = inner.readers.lock().pop();
            let mut reader = idle.map_or_else(|| schema::open_reader(&inner.path), Ok)?;
            let snapshot = reader.transaction()?;
            let read = work(&snapshot);
            drop(snapshot);
            let mut idle = inner.readers.lock();
            if idle.len() < IDLE_READERS_MAX {
                idle.push(reader);
            }
            read
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    // It fails when the runtime shuts down, or with a bug's panic, which its own report tells of.
    spawn_blocking(work).await.map_err(|_| Error::Closed)?
}

/// Takes the file for this process. The lock ends with the process, however that ends; the empty file stays.
fn lock(path: &Path) -> Result<File> {
    let unusable = |reason: String| Error::Open { path: path.to_owned(), reason };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let opened = File::options().create(true).truncate(false).write(true).open(&beside);
    let file = opened.map_err(|error| {
        unusable(format!(
            "{} cannot be made ({error}): see that the folder is there and may be written",
            beside.display()
        ))
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(unusable("another process is using it: stop that one, or use another path".into()))
        }
        Err(TryLockError::Error(error)) => {
            Err(unusable(format!("{} cannot be locked: {error}", beside.display())))
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
