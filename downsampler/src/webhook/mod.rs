//! Crossings of thresholds and alerts, told to an address of the operator's: signed, in order, until each is taken.
//!
//! The way of a notice: it stands in the ledger; it is posted, and posted again with growing pauses until the receiver
//! says that it took it; then the ledger keeps that it was delivered, and the next one follows. So a notice is told at
//! least once, each time with the same `webhook-id` and the same bytes, and once where nothing is cut off between its answer
//! and the ledger. Where several processes could tell it, the one that told the last one does, and others wait a while.
//! Crossings come in their order and alerts in theirs; of both, what was found first is told first. One that is not taken
//! holds those of its sort back, and lets the next one of the other sort go first. What is muted is moved past in its turn: the
//! ledger keeps how far all was delivered, and nobody is told.

mod body;
mod metrics;
mod post;
mod signature;

use std::{sync::Arc, time::Duration};

use body::Told;
pub(crate) use body::what;
use flagmeter_ledger::{Alerts, Crossings, Ledger, Notice, Position};
use flagmeter_model::Clock;
use metrics::Metrics;
use post::{Receiver, Refusal};
use prometheus::Registry;
pub use signature::Secret;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, warn};

use crate::{Result, traces};

/// The first pause after a failure, and the longest.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(5);
/// How long at most one that did not tell the last crossing waits for the one that did.
const PATIENCE_MAX: Duration = Duration::from_mins(1);
/// Muted alerts that are moved past at once.
const MUTED_AT_ONCE_MAX: usize = 500;
/// News are looked for so often also where nobody told of any.
const LOOK_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// Where notices are told.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// The address.
    pub url: String,
    /// What they are signed with.
    pub secret: Secret,
    /// What links to charts begin with, such as `https://flagmeter.example.com`; empty: they are paths.
    pub link_base: String,
    /// Whether other processes may tell them as well.
    pub shared: bool,
    /// The `traceparent` of the current span, where it is traced.
    pub traceparent: fn() -> Option<String>,
}

/// Who tells them.
pub struct Webhook {
    receiver: Receiver,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    link_base: String,
    shared: bool,
    /// Whether we told the last one.
    leads: bool,
    /// What we have told of each, also where the ledger does not know it yet.
    told: [Position; Notice::ALL.len()],
    /// Of which the last one was that we tried, where that was not taken.
    refused: Option<Notice>,
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
        let WebhookConfig { url, secret, link_base, shared, traceparent } = config;
        let (receiver, metrics) = (Receiver::new(&url, secret, traceparent)?, Metrics::register(registry)?);
        let (leads, told, pause_min) = (!shared, [Position::START; Notice::ALL.len()], PAUSE_MIN);
        let refused = None;
        Ok(Self { receiver, ledger, clock, metrics, link_base, shared, leads, told, refused, pause_min })
    }

    /// Whether this is an address that can be spoken to.
    pub fn check(url: &str) -> Result<()> {
        post::address(url).map(drop)
    }

    /// Tells what is to be told until `stop`. Safe to be dropped at any time.
    pub async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let mut pause = self.pause_min;
        let (mut crossed_end, mut alerts_end) = (self.ledger.crossed_end(), self.ledger.alerts_end());
        while !stop.is_cancelled() {
            crossed_end.borrow_and_update();
            alerts_end.borrow_and_update();
            let Some(next) = stop.run_until_cancelled(self.step()).await else { break };
            match next {
                Ok(Next::More) => pause = self.pause_min,
                Ok(Next::News) => {
                    let news = async {
                        tokio::select! {
                            _ = crossed_end.changed() => {}
                            _ = alerts_end.changed() => {}
                            () = tokio::time::sleep(LOOK_AGAIN_AFTER) => {}
                        }
                    };
                    stop.run_until_cancelled(news).await;
                }
                Ok(Next::Again(asked)) => {
                    let wait = asked.unwrap_or_default().max(pause.mul_f64(rand::random_range(0.5..1.0)));
                    stop.run_until_cancelled(tokio::time::sleep(wait)).await;
                    pause = pause.saturating_mul(2).min(PAUSE_MAX);
                }
                Err(error) if error.is_retryable() => {
                    warn!(%error, "crossings of thresholds and alerts are told when the ledger answers");
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
        let mut waiting = Vec::new();
        for of in Notice::ALL {
            let delivered = self.delivered(of).await?;
            let next = self.next(of, delivered).await?;
            let end = match of {
                Notice::Crossing => *self.ledger.crossed_end().borrow(),
                Notice::Alert => *self.ledger.alerts_end().borrow(),
            };
            let waits = if next.is_some() { end.get().saturating_sub(delivered.get()).max(1) } else { 0 };
            self.metrics.waits(of, waits);
            waiting.extend(next);
        }
        let now = self.clock.now();
        let oldest = waiting.iter().map(Told::found_at).min();
        self.metrics.oldest(oldest.map_or(0, |oldest| now.millis_since(oldest)));
        let turn = |told: &Told| (self.refused == Some(told.of()), told.found_at());
        let Some(told) = waiting.into_iter().min_by_key(turn) else { return Ok(Next::News) };
        if !self.leads {
            tokio::time::sleep(PATIENCE_MAX.mul_f64(rand::random_range(0.1..1.0))).await;
            // Whoever told the last one has told this one by now, or is not there.
            self.leads = true;
            return Ok(Next::More);
        }
        let (of, id, what) = (told.of(), told.id(), told.what());
        if told.muted().is_some() {
            return self.pass_muted(told.number()).await;
        }
        let span = traces::post(of.name());
        let posted = self.receiver.post(&told, &self.link_base, now).instrument(span.clone()).await;
        match posted {
            Ok(()) => {
                self.refused = None;
                self.pass(&told);
                self.metrics.delivered(of, 1);
                info!(of = of.name(), id, what, "delivered by the webhook");
                self.ledger.deliver(of, told.number()).await?;
                Ok(Next::More)
            }
            Err(Refusal { why, again_after }) => {
                span.record("error.type", "webhook");
                self.refused = Some(of);
                self.metrics.failed(of, 1);
                warn!(of = of.name(), id, what, why, "not delivered by the webhook yet; it is sent again");
                Ok(Next::Again(again_after))
            }
        }
    }

    /// Moves past what is muted, from this one on to the next that is not: many at once, as they hold back what is told.
    async fn pass_muted(&mut self, first: Position) -> Result<Next> {
        let after = Position::new(first.get().saturating_sub(1));
        let asked = Alerts {
            customers: Vec::new(),
            kind: None,
            active: false,
            muted: None,
            after,
            limit: MUTED_AT_ONCE_MAX,
        };
        let page = self.ledger.alerts(asked).await?;
        let mut last = None;
        for alert in page.alerts.into_iter().take_while(|alert| alert.muted.is_some()) {
            let told = Told::Alert(alert);
            let (of, id, what) = (told.of(), told.id(), told.what());
            let mute = told.muted().map(tracing::field::display);
            self.metrics.muted();
            info!(of = of.name(), id, what, mute, "not posted by the webhook: it is muted");
            last = Some(told);
        }
        if let Some(last) = last {
            self.pass(&last);
            self.ledger.deliver(last.of(), last.number()).await?;
        }
        Ok(Next::More)
    }

    /// It is done with, also where the ledger does not know it yet.
    fn pass(&mut self, told: &Told) {
        if let Some(position) = self.told.get_mut(told.of() as usize) {
            *position = told.number();
        }
    }

    /// Up to where all were delivered, by us or by others.
    async fn delivered(&mut self, of: Notice) -> Result<Position> {
        let mut delivered = self.ledger.delivered(of).await?;
        let Some(told) = self.told.get_mut(of as usize) else { return Ok(delivered) };
        if *told > delivered {
            self.ledger.deliver(of, *told).await?;
            delivered = *told;
        } else if delivered > *told {
            // Someone else did, or we did before we were started.
            self.leads &= !self.shared;
            *told = delivered;
        }
        Ok(delivered)
    }

    /// The first that was not delivered.
    async fn next(&self, of: Notice, after: Position) -> Result<Option<Told>> {
        Ok(match of {
            Notice::Crossing => {
                let asked = Crossings { customers: Vec::new(), after, limit: 1 };
                self.ledger.crossings(asked).await?.crossings.pop().map(Told::Crossing)
            }
            Notice::Alert => {
                let asked =
                    Alerts { customers: Vec::new(), kind: None, active: false, muted: None, after, limit: 1 };
                self.ledger.alerts(asked).await?.alerts.pop().map(Told::Alert)
            }
        })
    }
}

#[cfg(test)]
mod tests;
