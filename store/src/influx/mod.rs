//! The store in InfluxDB 2: for edges in several regions, and as many ingesters and downsamplers as are needed.
//!
//! # The way of a count through this backend
//!
//! `write` lays the counts of batches out as lines (`line`) and sends them in compressed bodies (`client`). Then it
//! reads the announced frontier (`registers`), marks what lies behind it (`marks`), and stores how far the nodes have
//! got (`progress`). `roll` reads the finer tier and writes windows back; `read`, `scan` and `catalogue` answer from what
//! the tiers hold (`tiers`, `sums`).
//! `schema` tells what is called what. Counts may be sent while the write before them ends (`ahead`).
//!
//! # Invariants
//!
//! InfluxDB has no transactions. So everything that is kept there commutes: **the identity of a point is in its data,
//! and what can grow is kept as a maximum or a union** (ADR 12).
//!
//! - Nothing that is read is written back changed. Whoever slept for an hour between reading and writing does no harm.
//! - Points, then the frontier: what was announced before is seen by the write, what is announced later sees the points.
//! - Of a window that was rolled up several times the greatest value is the right one: its counts only grow.
//! - An answer is whole or an error; no answer at all is never an answer with nothing.

mod ahead;
mod budget;
mod catalogue;
mod client;
mod clock;
mod config;
mod connection;
mod csv;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod init;
mod letters;
mod line;
mod marks;
mod nodes;
mod plan;
mod progress;
mod ql;
mod read;
mod registers;
mod retain;
mod roll;
mod scan;
mod schema;
mod state;
mod sums;
#[cfg(test)]
mod tests;
mod tiers;
mod write;

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use flagmeter_model::{Clock, Environment, Meter, Tier, Timestamp};
use parking_lot::Mutex;

use self::{
    ahead::Ahead, client::Client, marks::Marker, progress::Memory, registers::Registers, schema::Buckets,
    write::Announced,
};
pub use self::{clock::time_of_server, config::Config, init::init};
use crate::{
    Answer, ByNode, DeadLetter, Error, Filter, Floors, Frontiers, Mark, NewMark, NodeCounts, Read, Result,
    Retained, Rolled, Rolling, Scan, ScanRow, SeriesSeen, State, Store, Write, Written,
};

/// The store in InfluxDB. Any number of processes may open the same one.
pub struct InfluxStore {
    client: Client,
    buckets: Buckets,
    config: Config,
    clock: Arc<dyn Clock>,
    marker: Marker,
    /// The registers as they were read last: they may have grown since.
    registers: Mutex<Registers>,
    announced: Mutex<Announced>,
    ahead: Ahead,
    upkept_at: Mutex<Option<Timestamp>>,
    memory: tokio::sync::Mutex<Option<Memory>>,
}

impl InfluxStore {
    /// Opens the store, after checking that its buckets are there and can be written and read.
    ///
    /// [`Error::Configuration`] says what to do about it when not;
    /// [`Error::Unavailable`] when the server does not answer.
    pub async fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let buckets = Buckets::new(&config.prefix);
        let client = Client::new(&config, &buckets)?;
        init::check(&config, &client, &buckets).await?;
        let ahead = Ahead::new(config.bodies_in_flight);
        Ok(Self {
            client,
            buckets,
            config,
            clock,
            marker: Marker::new(),
            registers: Mutex::default(),
            announced: Mutex::default(),
            ahead,
            upkept_at: Mutex::default(),
            memory: tokio::sync::Mutex::default(),
        })
    }

    /// The registers as they were read last.
    fn known(&self) -> Registers {
        *self.registers.lock()
    }

    /// Remembers registers that were read. What is known now.
    fn learn(&self, read: &Registers) -> Registers {
        let mut known = self.registers.lock();
        known.merge(read);
        *known
    }
}

/// Works where nobody waits for the thread: on large bodies and answers.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?
}

impl fmt::Debug for InfluxStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InfluxStore").field("config", &self.config).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for InfluxStore {
    async fn write(&self, write: Arc<Write>) -> Result<Written> {
        write::write(self, write).await
    }

    async fn ahead(&self, write: &Arc<Write>) {
        write::ahead(self, write).await;
    }

    /// The log keeps them: they cannot be kept in one step with the points here.
    async fn positions(&self) -> Result<Option<BTreeMap<u32, u64>>> {
        Ok(None)
    }

    async fn state(&self) -> Result<State> {
        state::state(self).await
    }

    async fn frontiers(&self) -> Result<Frontiers> {
        Ok(registers::read(self).await?.frontiers())
    }

    async fn marks(&self, tier: Tier, until: Timestamp, limit: usize) -> Result<Vec<Mark>> {
        marks::first(self, tier, until, limit).await
    }

    async fn announce(&self, until: Timestamp) -> Result<()> {
        registers::announce(self, until).await
    }

    async fn roll(&self, rolling: &Rolling) -> Result<Rolled> {
        roll::roll(self, rolling).await
    }

    async fn advance(&self, tier: Tier, until: Timestamp) -> Result<()> {
        registers::advance(self, tier, until).await?;
        retain::upkeep_when_due(self).await;
        Ok(())
    }

    async fn mark(&self, marks: &[NewMark]) -> Result<()> {
        marks::mark(self, marks).await
    }

    async fn clear(&self, marks: &[Mark]) -> Result<()> {
        marks::clear(self, marks).await
    }

    async fn retain(&self, floors: Floors) -> Result<Retained> {
        retain::retain(self, floors).await
    }

    async fn read(&self, read: &Read) -> Result<Answer> {
        read::read(self, read).await
    }

    async fn by_node(&self, asked: &ByNode) -> Result<Vec<NodeCounts>> {
        nodes::by_node(self, asked).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<ScanRow>> {
        scan::scan(self, scan).await
    }

    async fn environments(&self) -> Result<Vec<Environment>> {
        catalogue::environments(self).await
    }

    async fn catalogue(&self, meter: Meter, filter: &Filter, series_max: usize) -> Result<Vec<SeriesSeen>> {
        catalogue::catalogue(self, meter, filter, series_max).await
    }

    async fn dead_letters(&self, after: Option<(u32, u64)>, limit: usize) -> Result<Vec<DeadLetter>> {
        letters::after(self, after, limit).await
    }
}
