//! The downsampler as a task: a cycle a second, and the closing of hours beside it.

mod closing;
mod rolling;

use std::{sync::Arc, time::Duration};

use flagmeter_ledger::Ledger;
use flagmeter_model::Clock;
use flagmeter_store::{State, Store};
use prometheus::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::{closing::Closing, rolling::Rolling};
use crate::{Config, CycleReport, Result, metrics::Metrics};

/// The first wait after an error that may pass, and the longest.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// How long the end waits for the ledger.
const LAST_CLOSING_MAX: Duration = Duration::from_secs(5);

/// A downsampler over one store. Several of them, in one process or in many, do no harm.
pub struct Downsampler {
    with: With,
    rolling: Rolling,
    closing: Closing,
}

/// What both halves work with.
struct With {
    config: Config,
    store: Arc<dyn Store>,
    ledger: Option<Arc<dyn Ledger>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Downsampler {
    /// A downsampler over `store`, which closes hours where there is a ledger to take them.
    pub fn new(
        config: Config,
        store: Arc<dyn Store>,
        ledger: Option<Arc<dyn Ledger>>,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Self> {
        let metrics = Metrics::register(registry)?;
        let with = With { config, store, ledger, clock, metrics };
        Ok(Self { with, rolling: Rolling::new(), closing: Closing::default() })
    }

    /// One pass of both halves, one after the other: every phase once, each in one bounded piece. Call it again while
    /// the report says `more`.
    pub async fn cycle(&mut self) -> Result<CycleReport> {
        let rolled = self.rolling.pass(&self.with).await?;
        let closed = self.closing.pass(&self.with, rolled.state).await?;
        Ok(CycleReport {
            on_time: rolled.on_time,
            dirty: rolled.dirty.saturating_add(closed.dirty),
            deleted: rolled.deleted,
            more: rolled.more || closed.more,
            ..closed
        })
    }

    /// Goes round until `stop`, then once more, so that what came late before the end is rolled up. An error that
    /// may pass is waited out. So is damage: ingest goes on, and so do answers from finer tiers, while an operator
    /// reads the log. Any other error ends it.
    ///
    /// Hours are closed from what each cycle of roll-ups has seen last, and no cycle waits for that.
    async fn run(self, stop: CancellationToken) -> Result<()> {
        let Self { with, rolling, closing } = self;
        let (seen, states) = watch::channel(State::default());
        let mut closes = std::pin::pin!(closing.run(&with, states));
        tokio::select! {
            rolled = rolling.run(&with, seen, stop) => rolled?,
            // Before the other half it ends with an error alone.
            ended = &mut closes => return ended,
        }
        tokio::time::timeout(LAST_CLOSING_MAX, closes).await.unwrap_or_else(|_| {
            warn!(
                "the ledger did not take all that is final before the end; the next start goes on from there"
            );
            Ok(())
        })
    }
}

/// Runs a downsampler until `stop`. Safe to be dropped at any time.
pub async fn run(
    config: Config,
    store: Arc<dyn Store>,
    ledger: Option<Arc<dyn Ledger>>,
    clock: Arc<dyn Clock>,
    registry: &Registry,
    stop: CancellationToken,
) -> Result<()> {
    Downsampler::new(config, store, ledger, clock, registry)?.run(stop).await
}

#[cfg(test)]
mod tests;
