//! The log in one SQLite file: for everything in one process, with nothing to install.
//!
//! # The way of a record through this module
//!
//! A producer hands its records to the one writer thread. The writer takes all that wait, puts them into one
//! transaction (group commit: many appends share an fsync), and answers when it is durable; then it wakes
//! the consumer, which reads from a connection of its own. Committed positions take the same way. In the same
//! transactions the writer trims, a bounded piece at a time, what is committed and older than
//! [`Config::retain_committed`].
//!
//! # Invariants
//!
//! - One process has the file, told by a lock on the file beside it that ends with the process.
//! - What is not committed is never trimmed: when it fills the log, appends are refused
//!   ([`Error::Full`]) and their senders keep them.
//! - Offsets are never used again. They begin at the millisecond in which their partition was made, so that a log
//!   that begins anew because its file was lost lies above the positions that a store remembers of the old one.

mod consumer;
mod file;
mod producer;
#[cfg(test)]
mod tests;
mod trim;
mod writer;

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use flagmeter_model::Clock;
use flagmeter_sqlite::Lock;
use tokio::sync::{mpsc, watch};

use crate::{Consumer, Error, Producer, Result};

use self::{consumer::EmbeddedConsumer, producer::EmbeddedProducer, writer::Command};

/// Appends and commits that wait for the writer at most; further ones wait for a place.
const COMMANDS_MAX: usize = 1_024;

/// How the embedded log is kept.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file. Its folder must be there.
    pub path: PathBuf,
    /// How many partitions, from 1 to [`Config::PARTITIONS_MAX`]. More than the file has adds new ones; fewer is
    /// an error.
    pub partitions: u32,
    /// How long a record is kept after it was appended, once it is committed. A store that was put back from a
    /// backup can be brought up to date from here.
    pub retain_committed: Duration,
    /// Most bytes of payload that are kept. Where room is needed, committed records go before their time; what is
    /// not committed stays, and appends are refused.
    pub bytes_max: u64,
}

impl Config {
    /// Partitions at most.
    pub const PARTITIONS_MAX: u32 = 1_024;

    /// The defaults, for the file at `path`: one partition, an hour, 8 GiB.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            partitions: 1,
            retain_committed: Duration::from_hours(1),
            bytes_max: 8 << 30,
        }
    }
}

/// The embedded log. Its file is closed, and free for another process, when the log and all its producers and
/// consumers are dropped; the last drop waits for the transaction that is under way.
#[derive(Debug, Clone)]
pub struct Log(Arc<Opened>);

impl Log {
    /// Opens the file, or makes it.
    ///
    /// Everything that is wrong with the file is an [`Error::Open`] whose sentence says what to do about it: another
    /// process has it, it cannot be written, it is of a newer version, it is not a log, it has more partitions.
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let opened = file::open(&config, clock.as_ref())
            .map_err(|reason| Error::Open { path: config.path.clone(), reason })?;
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        let (wake, appended) = watch::channel(());
        let partitions = opened.ends.len().try_into().unwrap_or(Config::PARTITIONS_MAX);
        let path = config.path.clone();
        let writer = writer::Writer::new(opened.connection, opened.ends, opened.bytes, config, clock, wake);
        let thread =
            std::thread::Builder::new().name("log-writer".into()).spawn(move || writer.run(queue)).map_err(
                |error| Error::Open { path: path.clone(), reason: format!("no thread to write it: {error}") },
            )?;
        Ok(Self(Arc::new(Opened {
            path,
            partitions,
            commands: Some(commands),
            appended,
            writer: Some(thread),
            has_consumer: AtomicBool::new(false),
            _lock: opened.lock,
        })))
    }

    /// A writing end. Any number of them may live.
    pub fn producer(&self) -> Arc<dyn Producer> {
        Arc::new(EmbeddedProducer::new(Arc::clone(&self.0)))
    }

    /// The reading end, at the committed positions. [`Error::Taken`] while another one lives.
    pub fn consumer(&self) -> Result<Box<dyn Consumer>> {
        if self.0.has_consumer.swap(true, Ordering::SeqCst) {
            return Err(Error::Taken);
        }
        let lease = ConsumerLease(Arc::clone(&self.0));
        Ok(Box::new(EmbeddedConsumer::open(lease)?))
    }
}

/// What the ends of an open log share.
struct Opened {
    path: PathBuf,
    partitions: u32,
    /// `None` only while it is being dropped.
    commands: Option<mpsc::Sender<Command>>,
    /// Changes with every append.
    appended: watch::Receiver<()>,
    writer: Option<JoinHandle<()>>,
    has_consumer: AtomicBool,
    /// Held until the writer has let go of the file.
    _lock: Lock,
}

impl Opened {
    /// Hands a command to the writer and waits for the answer.
    async fn ask(
        &self,
        command: impl FnOnce(tokio::sync::oneshot::Sender<Result<()>>) -> Command,
    ) -> Result<()> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let commands = self.commands.as_ref().ok_or(Error::Closed)?;
        commands.send(command(reply)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(thread) = self.writer.take()
            && thread.join().is_err()
        {
            tracing::error!(path = %self.path.display(), "the writer of the log panicked: what it had not acknowledged is not in it");
        }
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("path", &self.path)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

/// The right to be the consumer; given back when it is dropped.
struct ConsumerLease(Arc<Opened>);

impl Drop for ConsumerLease {
    fn drop(&mut self) {
        self.0.has_consumer.store(false, Ordering::SeqCst);
    }
}
