//! Crossings of thresholds, told to an address of the operator's: signed, in order, until each is taken.
//!
//! The way of a crossing: it stands in the ledger; it is posted, and posted again with growing pauses until the receiver
//! says that it took it; then the ledger keeps that it was delivered, and the next one follows. So a crossing is told at
//! least once, each time with the same `webhook-id` and the same bytes, and once where nothing is cut off between its answer
//! and the ledger. Where several processes could tell it, the one that told the last one does, and others wait a while.

mod metrics;
mod post;
mod signature;

use std::{sync::Arc, time::Duration};

use flagmeter_ledger::{Crossings, Ledger, Position};
use flagmeter_model::Clock;
use metrics::Metrics;
use post::{Receiver, Refusal};
use prometheus::Registry;
pub use signature::Secret;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Result;

/// The first pause after a failure, and the longest.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(5);
/// How long at most one that did not tell the last crossing waits for the one that did.
const PATIENCE_MAX: Duration = Duration::from_mins(1);
/// News are looked for so often also where nobody told of any.
const LOOK_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// Where crossings are told.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// The address.
    pub url: String,
    /// What they are signed with.
    pub secret: Secret,
    /// Whether other processes may tell them as well.
    pub shared: bool,
}

/// Who tells them.
pub struct Webhook {
    receiver: Receiver,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    shared: bool,
    /// Whether we told the last one.
    leads: bool,
    /// What we have told, also where the ledger does not know it yet.
    told: Position,
    pause_min: Duration,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Looking again at once.
    More,
    /// Waiting until there is something to tell.
    News,
    /// Trying again, after the pause that was asked for.
    Again(Option<Duration>),
}

impl Webhook {
    /// Fails where the address cannot be spoken to.
    pub fn new(
        config: WebhookConfig,
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Self> {
        let WebhookConfig { url, secret, shared } = config;
        let (receiver, metrics) = (Receiver::new(&url, secret)?, Metrics::register(registry)?);
        let (leads, told, pause_min) = (!shared, Position::START, PAUSE_MIN);
        Ok(Self { receiver, ledger, clock, metrics, shared, leads, told, pause_min })
    }

    /// Whether this is an address that can be spoken to.
    pub fn check(url: &str) -> Result<()> {
        post::address(url).map(drop)
    }

    /// Tells what is to be told until `stop`. Safe to be dropped at any time.
    pub async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let mut pause = self.pause_min;
        let mut end = self.ledger.crossed_end();
        while !stop.is_cancelled() {
            end.borrow_and_update();
            let Some(next) = stop.run_until_cancelled(self.step()).await else { break };
            match next {
                Ok(Next::More) => pause = self.pause_min,
                Ok(Next::News) => {
                    let news = tokio::time::timeout(LOOK_AGAIN_AFTER, end.changed());
                    stop.run_until_cancelled(news).await;
                }
                Ok(Next::Again(asked)) => {
                    let wait = asked.unwrap_or_default().max(pause.mul_f64(rand::random_range(0.5..1.0)));
                    stop.run_until_cancelled(tokio::time::sleep(wait)).await;
                    pause = pause.saturating_mul(2).min(PAUSE_MAX);
                }
                Err(error) if error.is_retryable() => {
                    warn!(%error, "crossings of thresholds are told when the ledger answers");
                    stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                    pause = pause.saturating_mul(2).min(PAUSE_MAX);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells the next one, if there is one.
    async fn step(&mut self) -> Result<Next> {
        let mut delivered = self.ledger.delivered().await?;
        if self.told > delivered {
            self.ledger.deliver(self.told).await?;
            delivered = self.told;
        } else if delivered > self.told {
            // Someone else did, or we did before we were started.
            self.leads &= !self.shared;
            self.told = delivered;
        }
        let next = Crossings { customers: Vec::new(), after: delivered, limit: 1 };
        let Some(crossing) = self.ledger.crossings(next).await?.crossings.pop() else {
            self.metrics.waits(0, 0);
            return Ok(Next::News);
        };
        let now = self.clock.now();
        let waiting = self.ledger.crossed_end().borrow().get().saturating_sub(delivered.get());
        self.metrics.waits(waiting, now.millis_since(crossing.crossed_at));
        if !self.leads {
            tokio::time::sleep(PATIENCE_MAX.mul_f64(rand::random_range(0.1..1.0))).await;
            // Whoever told the last one has told this one by now, or is not there.
            self.leads = true;
            return Ok(Next::More);
        }
        let (customer, percent) = (&crossing.crossed.customer, crossing.crossed.percent);
        match self.receiver.post(&crossing, now).await {
            Ok(()) => {
                self.told = crossing.number;
                self.metrics.delivered.inc();
                info!(%customer, percent, id = crossing.crossed.id(), "a crossing is delivered");
                self.ledger.deliver(self.told).await?;
                Ok(Next::More)
            }
            Err(Refusal { why, again_after }) => {
                self.metrics.failed.inc();
                warn!(%customer, percent, waiting, why, "a crossing is not delivered yet; it is sent again");
                Ok(Next::Again(again_after))
            }
        }
    }
}

#[cfg(test)]
mod tests;
