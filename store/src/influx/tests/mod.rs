//! The store in InfluxDB against the contract, on a real server, and what only it can show; and on a
//! server that fails as it is told to.

mod ahead;
mod commuting;
mod failing;
mod kept;
mod many;
mod meanwhile;
mod refusing;
mod server;
mod stub;

use std::sync::Arc;

use async_trait::async_trait;
use flagmeter_model::ManualClock;

use super::InfluxStore;
use crate::{
    Result, Store,
    conformance::{Harness, fixture::at},
};
use server::Buckets;

/// A store on a real server, in buckets of its own.
struct Influx {
    buckets: Buckets,
    clock: ManualClock,
    store: Arc<InfluxStore>,
}

#[async_trait]
impl Harness for Influx {
    async fn new() -> Result<Self> {
        let (buckets, clock) = (Buckets::new().await, ManualClock::at(at(0)));
        let store = buckets.open(&clock).await?;
        Ok(Self { buckets, clock, store })
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    /// Whatever the dead process still remembers, the next one knows only what the server holds.
    async fn crash(&mut self) -> Result<()> {
        self.store = self.buckets.open(&self.clock).await?;
        Ok(())
    }
}

crate::store_conformance!(
    #[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
    Influx
);
