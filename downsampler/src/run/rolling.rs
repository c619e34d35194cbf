//! The half that rolls up, as a task.

use std::collections::BTreeMap;

use flagmeter_model::{NodeId, Tier, Timestamp};
use flagmeter_store::{Frontiers, State};
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{BACKOFF_MAX, BACKOFF_MIN, With};
use crate::{CycleReport, Result, cycle::Cycle, metrics::lag_seconds};

/// How often a long catch-up is spoken of, in seconds.
const PROGRESS_SECONDS: i64 = 10;
/// How far the low watermark, which never passes the log's time, may lie ahead of our clock before that is spoken of,
/// in seconds.
const AHEAD_SECONDS_MAX: i64 = 60;

/// What it remembers.
pub(super) struct Rolling {
    /// True at first: the one before us may have died while it deleted.
    leftovers: bool,
    /// How far the tiers are rolled up, as the store last told.
    frontiers: Frontiers,
    told: Told,
}

/// What the log has been told, so that it is told once.
#[derive(Debug, Default)]
struct Told {
    missing: BTreeMap<NodeId, Timestamp>,
    catching_up: Option<Timestamp>,
    ahead: bool,
}

impl Rolling {
    pub(super) fn new() -> Self {
        Self { leftovers: true, frontiers: Frontiers::default(), told: Told::default() }
    }

    /// One cycle.
    pub(super) async fn pass(&mut self, with: &With) -> Result<CycleReport> {
        let began = with.clock.now();
        let mut cycle = Cycle::rolling(self.leftovers);
        let outcome = loop {
            match cycle.turn((with.store.as_ref(), None), &with.config, began, &with.metrics).await {
                Ok(None) => {}
                Ok(Some(report)) => break Ok(report),
                Err(error) => break Err(error),
            }
        };
        self.leftovers = cycle.leftovers();
        self.frontiers = cycle.frontiers().unwrap_or(self.frontiers);
        let ended = with.clock.now();
        // While nothing can be rolled up, it is the lag that tells.
        with.metrics.lags(&self.frontiers, ended);
        let report = outcome.inspect_err(|error| with.metrics.failed(error))?;
        with.metrics.cycle(began, ended, &report.state, report.low_watermark.missing.len());
        self.told.of_nodes(&report);
        self.told.of_progress(&report, ended);
        Ok(report)
    }

    /// Cycles until `stop`, then once more. `seen` is told the state that each cycle has left.
    pub(super) async fn run(
        mut self,
        with: &With,
        seen: watch::Sender<State>,
        stop: CancellationToken,
    ) -> Result<()> {
        let mut interval = tokio::time::interval(with.config.interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut backoff = BACKOFF_MIN;
        while !stop.is_cancelled() {
            match self.pass(with).await {
                Ok(report) => {
                    backoff = BACKOFF_MIN;
                    seen.send_replace(report.state);
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
        match self.pass(with).await {
            Ok(report) => {
                seen.send_replace(report.state);
                Ok(())
            }
            Err(error) if error.is_retryable() || error.is_damage() => {
                warn!(%error, "the last cycle was cut off; the next start goes on from there");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
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
