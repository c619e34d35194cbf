//! How long counts are on their way until a question shows them, measured through the whole of it.
//!
//! Every edge seals once a second, counts or none, and each seal has a record in every partition that says until when all
//! that arrived is handed on. The store keeps that after the counts, never before. So each seal is a heartbeat that takes the
//! way of a count (journal, log, ingest, store, and back out through a read like those of charts), and what a question
//! knows now is all that arrived before the low watermark. How old that is, looked at about once a second, is how long a count takes
//! that arrives at any time.
//!
//! A count of our own would tell less and cost more: it would go through one partition, stand in the totals of some customer,
//! in the ledger and in the audit, and have to be taken out again in each of them.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use flagmeter_model::{Clock, NodeState, Timestamp, low_watermark, node_standings};
use flagmeter_store::{State, Store};
use prometheus::Registry;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::{Config, Result, metrics::ArrivalMetrics};

/// How often it is looked at. Not in step with the seals, which come once a second: else it would meet each of them at the
/// same age.
const EVERY: Duration = Duration::from_millis(970);

type Answer = Result<State, String>;

/// Measures how long counts take to be seen.
pub struct Heartbeat {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    node_timeout_ms: i64,
    read_timeout: Duration,
    metrics: ArrivalMetrics,
    /// All that arrived before this can be seen; `None` before the first seal, and while no edge is there to take anything.
    seen: Option<Timestamp>,
}

impl std::fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heartbeat").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Heartbeat {
    /// One that reads this store.
    ///
    /// Fails if its metrics are registered already.
    pub fn new(
        config: &Config,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: &Registry,
    ) -> Result<Self> {
        let Config { node_timeout_ms, read_timeout, .. } = *config;
        let metrics = ArrivalMetrics::register(metrics)?;
        Ok(Self { store, clock, node_timeout_ms, read_timeout, metrics, seen: None })
    }

    /// Looks about once a second until `stop` is over.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        self.run_every(EVERY, stop).await;
    }

    /// A second in which the store does not answer is told as well, by what was known before: else an outage would be a gap
    /// in what was measured, and the store's best seconds all that is left of it.
    async fn run_every(mut self, every: Duration, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut question = self.ask();
        loop {
            let answer = tokio::select! {
                biased;
                () = &mut stop => return,
                answer = &mut question => answer,
                _ = ticks.tick() => {
                    self.tell();
                    continue;
                }
            };
            self.learn(answer);
            self.tell();
            tokio::select! {
                biased;
                () = &mut stop => return,
                _ = ticks.tick() => {}
            }
            question = self.ask();
        }
    }

    /// A question to the store, which goes on while seconds pass: one that answers slowly is told as such, and not asked
    /// twice at a time.
    fn ask(&self) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let (store, patience) = (Arc::clone(&self.store), self.read_timeout);
        Box::pin(async move {
            match timeout(patience, store.state()).await {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err(format!("no answer within {} s", patience.as_secs())),
            }
        })
    }

    fn learn(&mut self, answer: Answer) {
        let state = match answer {
            Ok(state) => state,
            Err(error) => {
                tracing::debug!(error, "the store did not say how far counts have got");
                return;
            }
        };
        let low = low_watermark(&state.progress, state.partitions, self.node_timeout_ms).at;
        if let Some(at) = low {
            self.metrics.complete_until(at);
        }
        let standings = node_standings(&state.progress, self.node_timeout_ms);
        // Where every edge has said its farewell, or is left out as silent, nothing arrives, so nothing is on its way.
        let is_anyone_there = standings.iter().any(|node| node.state == NodeState::Live);
        // A partition of which nothing was read yet takes what was known before to no later time.
        self.seen = if is_anyone_there { low.or(self.seen) } else { None };
    }

    fn tell(&self) {
        if let Some(seen) = self.seen {
            self.metrics.took(self.clock.now().millis_since(seen));
        }
    }
}

#[cfg(test)]
mod tests;
