//! The downsampler as a task: a cycle a second.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use flagmeter_ledger::Ledger;
use flagmeter_model::{Clock, NodeId, Tier, Timestamp};
use flagmeter_store::Store;
use prometheus::Registry;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    Closed, Config, CycleReport, Result,
    cycle::Cycle,
    metrics::{Metrics, lag_seconds},
};

/// The first wait after an error that may pass, and the longest.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// How often a long catch-up is spoken of, in seconds.
const PROGRESS_SECONDS: i64 = 10;
/// How long hours that are due may wait before that is spoken of, in seconds.
const WAITING_SECONDS_MAX: i64 = 60;
/// How far the low watermark, which never passes the log's time, may lie ahead of our clock before that is spoken of,
/// in seconds.
const AHEAD_SECONDS_MAX: i64 = 60;

/// A downsampler over one store. Several of them, in one process or in many, do no harm.
pub struct Downsampler {
    config: Config,
    store: Arc<dyn Store>,
    ledger: Option<Arc<dyn Ledger>>,
    /// Until when hours are closed, as it was last seen.
    closed: Option<Timestamp>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// True at first: the one before us may have died while it deleted.
    leftovers: bool,
    told: Told,
}

/// What the log has been told, so that it is told once.
#[derive(Debug, Default)]
struct Told {
    missing: BTreeMap<NodeId, Timestamp>,
    catching_up: Option<Timestamp>,
    ahead: bool,
    /// Since when hours that are due have waited, and when that was told.
    waiting: Option<(Timestamp, Option<Timestamp>)>,
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
        let (closed, told) = (None, Told::default());
        Ok(Self { config, store, ledger, closed, clock, metrics, leftovers: true, told })
    }

    /// One pass: every phase once, each in one bounded piece. Call it again while the report says `more`.
    pub async fn cycle(&mut self) -> Result<CycleReport> {
        let began = self.clock.now();
        let mut cycle = Cycle::new(self.leftovers, self.closed);
        let outcome = loop {
            let parts = (self.store.as_ref(), self.ledger.as_deref());
            match cycle.turn(parts, &self.config, began, &self.metrics).await {
                Ok(None) => {}
                Ok(Some(report)) => break Ok(report),
                Err(error) => break Err(error),
            }
        };
        self.leftovers = cycle.leftovers();
        self.closed = cycle.closed();
        let report = outcome.inspect_err(|error| self.metrics.failed(error))?;
        let ended = self.clock.now();
        self.metrics.cycle(began, ended, &report.state, report.low_watermark.missing.len());
        self.metrics.closed(self.closed, ended);
        self.told.of_nodes(&report);
        self.told.of_closing(&report.closed, ended);
        self.told.of_progress(&report, ended);
        Ok(report)
    }

    /// Cycles until `stop`, then once more, so that what came late before the end is rolled up. An error that
    /// may pass is waited out. So is damage: ingest goes on, and so do answers from finer tiers, while an operator
    /// reads the log. Any other error ends it.
    async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let mut interval = tokio::time::interval(self.config.interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut backoff = BACKOFF_MIN;
        while !stop.is_cancelled() {
            match self.cycle().await {
                Ok(report) => {
                    backoff = BACKOFF_MIN;
                    if !report.more {
                        stop.run_until_cancelled(interval.tick()).await;
                    }
                }
                Err(error) if error.is_retryable() => {
                    warn!(%error, "the cycle will be repeated in {} ms", backoff.as_millis());
                    stop.run_until_cancelled(tokio::time::sleep(backoff)).await;
                    backoff = backoff.saturating_mul(2).min(BACKOFF_MAX);
                }
                Err(error) if error.is_damage() => {
                    error!(
                        %error,
                        "roll-ups wait at a window that cannot be made: restore the store, or remove what does not \
                         read back; it is tried again every {} s",
                        BACKOFF_MAX.as_secs()
                    );
                    stop.run_until_cancelled(tokio::time::sleep(BACKOFF_MAX)).await;
                }
                Err(error) => return Err(error),
            }
        }
        match self.cycle().await {
            Ok(_) => Ok(()),
            Err(error) if error.is_retryable() || error.is_damage() => {
                warn!(%error, "the last cycle was cut off; the next start goes on from there");
                Ok(())
            }
            Err(error) => Err(error),
        }
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

impl Told {
    fn of_nodes(&mut self, report: &CycleReport) {
        let missing: BTreeMap<_, _> =
            report.low_watermark.missing.iter().map(|missing| (missing.node, missing.since)).collect();
        for (node, since) in &missing {
            if !self.missing.contains_key(node) {
                warn!(%node, %since, "a node has fallen silent: windows are closed without it until it returns");
            }
        }
        for node in self.missing.keys().filter(|node| !missing.contains_key(node)) {
            info!(%node, "a missing node has returned: what it brings late is rolled up again");
        }
        self.missing = missing;
    }

    fn of_closing(&mut self, closed: &Closed, now: Timestamp) {
        if !closed.waits {
            self.waiting = None;
            return;
        }
        let (since, told) = self.waiting.unwrap_or((now, None));
        let is_long = |since: Timestamp| now.millis_since(since) >= WAITING_SECONDS_MAX * 1_000;
        let tells = is_long(told.unwrap_or(since));
        if tells {
            warn!(
                %since,
                "hours that are due are not closed: late counts for them go on coming in, or an hour does not agree with \
                 its quarters, which flagmeter audit would show"
            );
        }
        self.waiting = Some((since, told.filter(|_| !tells).or(tells.then_some(now))));
    }

    fn of_progress(&mut self, report: &CycleReport, now: Timestamp) {
        let ahead = report.low_watermark.at.map_or(0, |low| low.millis_since(now) / 1_000);
        if ahead > AHEAD_SECONDS_MAX && !self.ahead {
            warn!(
                seconds = ahead,
                "the log's clock is ahead of this machine's: windows wait until this one has caught up"
            );
        }
        self.ahead = ahead > AHEAD_SECONDS_MAX;
        let lag = lag_seconds(&report.state.frontiers, Tier::Minute, now);
        match self.catching_up {
            Some(told) if report.more && now.millis_since(told) < PROGRESS_SECONDS * 1_000 => {}
            _ if report.more => {
                info!(lag_seconds = lag, dirty = report.state.dirty, "catching up");
                self.catching_up = Some(now);
            }
            Some(_) => {
                info!(lag_seconds = lag, "caught up");
                self.catching_up = None;
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
