//! The store in one SQLite file: nothing to install, one process at a time.
//!
//! # The way of a count through this backend
//!
//! A batch's counts are numbered by series (`interning`), laid out as one block per minute (`block`), and
//! become one row per (minute, environment, node, seq, part) in `raw` (`write`), in one transaction with the
//! progress of the nodes (`progress`), the marks of late minutes (`marks`), first and last seen (`seen`), dead
//! letters and the log's positions. Rolling up (`roll`) adds the blocks of a window up into one row per
//! (environment, window) of the coarser tier. Reading (`read`) takes one snapshot.
//!
//! # Invariants
//!
//! - One process has the file; one thread writes it; every write is one transaction, durable when it returns.
//! - What the writer remembers between transactions is dropped when one fails, and read again.
//! - Series numbers, once given, are never given again; blocks are read whatever wrote them.

mod block;
mod connections;
mod dead_letters;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod interning;
mod marks;
mod progress;
mod read;
mod retention;
mod roll;
mod row;
mod schema;
mod seen;
mod standing;
mod state;
#[cfg(test)]
mod tests;
mod write;
mod writer;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use flagmeter_model::{Clock, Environment, Meter, Tier, Timestamp};

use self::{connections::Connections, standing::Standing, writer::Writer};
use crate::{
    Answer, ByNode, DeadLetter, Filter, Floors, Frontiers, Mark, NewMark, NodeCounts, Read, Result, Retained,
    Rolled, Rolling, Scan, ScanRow, SeriesSeen, State, Store, Write, Written,
};

/// Where the store lies and how it is kept.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file. Beside it stand `-wal`, `-shm` and `.lock`. Its folder must exist.
    pub path: PathBuf,
    /// Reads at a time, at least 1; further ones wait. The state and the marks have a reader besides.
    pub readers: usize,
    /// A node unheard of for longer than this, by the log's time, is missing.
    pub node_timeout_ms: i64,
    /// Series whose numbers are kept in memory, about 200 bytes each. Beyond it those of environments that were not
    /// counted for in the last write are read again when they are.
    pub series_cached_max: usize,
    /// Series of usage that are kept apart in an environment, over all time. Beyond it further ones fold, first
    /// without variant and SDK (an eighth more of these), then without their names, into `__other__`; the totals stay
    /// exact.
    pub series_per_environment_max: usize,
}

impl Config {
    /// The defaults for a store at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 2,
            node_timeout_ms: 60_000,
            series_cached_max: 1_000_000,
            series_per_environment_max: 1_000_000,
        }
    }
}

/// The store in one SQLite file. Dropping it waits for the write that has begun and closes the file.
pub struct EmbeddedStore {
    connections: Connections,
    path: PathBuf,
    node_timeout_ms: i64,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Opens the file, or makes it. Fails with [`Error::Open`](crate::Error::Open) when another process has it,
    /// when it is of a newer version, damaged, read-only or not ours; nothing is changed then.
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let connections = Connections::open(&config.path, config.readers, |connection| {
            Writer::new(connection, Arc::clone(&clock), &config)
        })?;
        Ok(Self { connections, path: config.path, node_timeout_ms: config.node_timeout_ms, clock })
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn write(&self, write: Arc<Write>) -> Result<Written> {
        self.connections.write(move |writer| write::write(writer, &write)).await
    }

    async fn positions(&self) -> Result<Option<BTreeMap<u32, u64>>> {
        self.connections.look(|connection| progress::positions(connection).map(Some)).await
    }

    async fn state(&self) -> Result<State> {
        self.connections.look(state::state).await
    }

    async fn frontiers(&self) -> Result<Frontiers> {
        self.connections.look(|connection| Ok(Standing::load(connection)?.frontiers)).await
    }

    async fn marks(&self, tier: Tier, until: Timestamp, limit: usize) -> Result<Vec<Mark>> {
        self.connections.look(move |connection| marks::first(connection, tier, until, limit)).await
    }

    async fn announce(&self, until: Timestamp) -> Result<()> {
        self.connections.write(move |writer| standing::announce(writer, until)).await
    }

    async fn roll(&self, rolling: &Rolling) -> Result<Rolled> {
        let mut rolled = Rolled::default();
        for piece in roll::pieces(rolling)? {
            let done = self.connections.write(move |writer| roll::roll(writer, &piece)).await?;
            rolled.windows += done.windows;
            rolled.points += done.points;
        }
        Ok(rolled)
    }

    async fn advance(&self, tier: Tier, until: Timestamp) -> Result<()> {
        self.connections.write(move |writer| standing::advance(writer, tier, until)).await
    }

    async fn mark(&self, marks: &[NewMark]) -> Result<()> {
        let marks = marks.to_vec();
        self.connections.write(move |writer| marks::mark(writer, &marks)).await
    }

    async fn clear(&self, marks: &[Mark]) -> Result<()> {
        let marks = marks.to_vec();
        self.connections.write(move |writer| marks::clear(writer, &marks)).await
    }

    async fn retain(&self, floors: Floors) -> Result<Retained> {
        self.connections.write(move |writer| retention::retain(writer, floors)).await
    }

    async fn read(&self, read: &Read) -> Result<Answer> {
        let (read, node_timeout_ms, now) = (read.clone(), self.node_timeout_ms, self.clock.now());
        self.connections.read(move |connection| read::read(connection, &read, node_timeout_ms, now)).await
    }

    async fn by_node(&self, asked: &ByNode) -> Result<Vec<NodeCounts>> {
        let asked = asked.clone();
        self.connections.read(move |connection| read::by_node(connection, &asked)).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<ScanRow>> {
        let scan = scan.clone();
        self.connections.read(move |connection| read::scan(connection, &scan)).await
    }

    async fn environments(&self) -> Result<Vec<Environment>> {
        self.connections.read(read::environments).await
    }

    async fn catalogue(&self, meter: Meter, filter: &Filter, series_max: usize) -> Result<Vec<SeriesSeen>> {
        let filter = filter.clone();
        self.connections.read(move |connection| read::catalogue(connection, meter, &filter, series_max)).await
    }

    async fn dead_letters(&self, after: Option<(u32, u64)>, limit: usize) -> Result<Vec<DeadLetter>> {
        self.connections.read(move |connection| read::dead_letters(connection, after, limit)).await
    }
}
