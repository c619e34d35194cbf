//! The store in InfluxDB 2: for edges in several regions, and as many ingesters and downsamplers as are needed.
//!
//! # The way of a count through this backend
//!
//! [`write`] lays the counts of batches out as lines (`line`) and sends them in compressed bodies (`client`). Then it
//! reads the announced frontier (`registers`), marks what lies behind it (`marks`), and stores how far the nodes have
//! got (`progress`). `roll` reads the finer tier and writes windows back; `read`, `scan` and `catalogue` answer.
//! `schema` tells what is called what.
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

mod catalogue;
mod client;
mod config;
mod csv;
mod line;
mod ql;
mod read;
mod roll;
mod scan;
mod schema;
mod state;
mod tiers;

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use flagmeter_model::{Clock, Environment, Meter, Tier, Timestamp};

pub use self::config::Config;
use self::{client::Client, schema::Buckets};
use crate::{
    Answer, DeadLetter, Filter, Floors, Mark, NewMark, Read, Result, Retained, Rolled, Rolling, Scan,
    ScanRow, SeriesSeen, State, Store, Write, Written,
};

/// The store in InfluxDB.
pub struct InfluxStore {
    client: Client,
    buckets: Buckets,
    config: Config,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for InfluxStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InfluxStore").field("config", &self.config).finish_non_exhaustive()
    }
}

fn unbuilt<T>() -> Result<T> {
    Err(crate::Error::Unanswerable("InfluxDB is not written yet".into()))
}

#[async_trait]
impl Store for InfluxStore {
    async fn write(&self, _write: Arc<Write>) -> Result<Written> {
        unbuilt()
    }

    /// The log keeps them: they cannot be kept in one step with the points here.
    async fn positions(&self) -> Result<Option<BTreeMap<u32, u64>>> {
        Ok(None)
    }

    async fn state(&self) -> Result<State> {
        unbuilt()
    }

    async fn marks(&self, _tier: Tier, _until: Timestamp, _limit: usize) -> Result<Vec<Mark>> {
        unbuilt()
    }

    async fn announce(&self, _until: Timestamp) -> Result<()> {
        unbuilt()
    }

    async fn roll(&self, rolling: &Rolling) -> Result<Rolled> {
        roll::roll(self, rolling).await
    }

    async fn advance(&self, _tier: Tier, _until: Timestamp) -> Result<()> {
        unbuilt()
    }

    async fn mark(&self, _marks: &[NewMark]) -> Result<()> {
        unbuilt()
    }

    async fn clear(&self, _marks: &[Mark]) -> Result<()> {
        unbuilt()
    }

    async fn retain(&self, _floors: Floors) -> Result<Retained> {
        unbuilt()
    }

    async fn read(&self, read: &Read) -> Result<Answer> {
        read::read(self, read).await
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

    async fn dead_letters(&self, _after: Option<(u32, u64)>, _limit: usize) -> Result<Vec<DeadLetter>> {
        unbuilt()
    }
}
