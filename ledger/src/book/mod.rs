//! The rows in an SQLite file, by position and by hour.
//!
//! Reads never wait for the writer: each sees the snapshot of its beginning.

mod alerts;
mod crossings;
mod deliveries;
mod episodes;
mod grow;
mod look;
mod mutes;
mod schema;
mod source;

use std::{path::PathBuf, sync::Arc};

use flagmeter_sqlite::Lock;
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::{sync::watch, task::spawn_blocking};

pub(crate) use self::alerts::{alerts, muted_alerts, plan_alerts, standing_alerts};
pub(crate) use self::crossings::{crossings, plan_crossings};
pub(crate) use self::deliveries::{delivered, plan_delivery};
pub(crate) use self::episodes::episodes;
pub(crate) use self::grow::{apply, plan};
pub(crate) use self::look::{closing, feed, hours, settled, standing};
pub(crate) use self::mutes::{mutes, plan_mute, plan_mute_end};
#[cfg(feature = "kafka")]
pub(crate) use self::source::{Taken, take, taken};
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
    crossed_end: watch::Sender<Position>,
    alerts_end: watch::Sender<Position>,
    /// Held until the last connection is closed.
    _lock: Lock,
}

impl Book {
    /// Opens the file, or makes it, where the book is all there is. Fails with [`Error::InUse`] when another process has
    /// it, with [`Error::Open`] when it is of a newer version, damaged, read-only or not ours; nothing is changed then.
    pub(crate) fn open(config: &Config) -> Result<Self> {
        Self::open_with(config, |writer| source::none(writer, &config.path))
    }

    /// Opens the file, or makes it, where the book is what was read of a topic. Fails like [`open`](Self::open), and
    /// when the book belongs to another topic or to none.
    #[cfg(feature = "kafka")]
    pub(crate) fn open_view(config: &Config, topic: &str) -> Result<Self> {
        Self::open_with(config, |writer| {
            source::claim(writer, topic, &config.path)?;
            // What a loss of power takes is read from the topic again.
            Ok(writer.pragma_update(None, "synchronous", "NORMAL")?)
        })
    }

    fn open_with(config: &Config, prepare: impl FnOnce(&Connection) -> Result<()>) -> Result<Self> {
        let lock = Lock::take(&config.path).map_err(|refusal| schema::refused(&config.path, &refusal))?;
        let writer = schema::open_writer(&config.path)?;
        prepare(&writer)?;
        let (end, _) = watch::channel(standing(&writer)?.end);
        let (crossed_end, _) = watch::channel(crossings::crossed_end(&writer)?);
        let (alerts_end, _) = watch::channel(alerts::alerts_end(&writer)?);
        Ok(Self(Arc::new(Inner {
            path: config.path.clone(),
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            end,
            crossed_end,
            alerts_end,
            _lock: lock,
        })))
    }

    /// The last row.
    pub(crate) fn end(&self) -> watch::Receiver<Position> {
        self.0.end.subscribe()
    }

    /// The last crossing.
    pub(crate) fn crossed_end(&self) -> watch::Receiver<Position> {
        self.0.crossed_end.subscribe()
    }

    /// The last alert.
    pub(crate) fn alerts_end(&self) -> watch::Receiver<Position> {
        self.0.alerts_end.subscribe()
    }

    /// Does `work` as one step, durable when this returns: all of it, or nothing if it fails.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let book = self.clone();
        blocking(move || book.write_now(work)).await
    }

    /// [`write`](Self::write), on a thread that may block.
    pub(crate) fn write_now<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut writer = self.0.writer.lock();
        let step = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&step)?;
        let ends = [
            (&self.0.end, standing(&step)?.end),
            (&self.0.crossed_end, crossings::crossed_end(&step)?),
            (&self.0.alerts_end, alerts::alerts_end(&step)?),
        ];
        step.commit()?;
        for (told, end) in ends {
            told.send_if_modified(|known| std::mem::replace(known, end) != end);
        }
        Ok(done)
    }

    /// Does `work` on one snapshot.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let book = self.clone();
        blocking(move || book.read_now(work)).await
    }

    /// [`read`](Self::read), on a thread that may block.
    pub(crate) fn read_now<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let inner = &*self.0;
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
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    // It fails when the runtime shuts down, or with a bug's panic, which its own report tells of.
    spawn_blocking(work).await.map_err(|_| Error::Closed)?
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{ConstraintViolation, DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            // A constraint that does not hold: a revision that is there already.
            Some(ConstraintViolation | DatabaseCorrupt | NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
