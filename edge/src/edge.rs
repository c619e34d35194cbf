//! The edge as a whole: opened, served, run, stopped.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use flagmeter_log::Producer;
use flagmeter_model::{Clock, Environment, Registry};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error, Result,
    committer::{Committer, Shared},
    doors::{self, Doors},
    handon::HandOn,
    inbox::{Inbox, Order},
    metrics::Metrics,
    shares::Shares,
};

/// Bytes of parsed requests that wait for a commit at most.
const INBOX_BYTES_MAX: usize = 16 << 20;

/// An edge node.
pub struct Edge {
    doors: Arc<Doors>,
    shared: Arc<Shared>,
    producer: Arc<dyn Producer>,
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Edge {
    /// Opens the journal, takes up what was left, and starts the committer. Requests can be taken at once;
    /// seals are made while [`run`](Self::run) runs.
    ///
    /// Fails with [`Error::Config`], [`Error::Open`] or [`Error::Damaged`], each a sentence for the operator.
    pub fn open(
        config: Config,
        producer: Arc<dyn Producer>,
        registry: watch::Receiver<Arc<Registry>>,
        clock: Arc<dyn Clock>,
        metrics: &prometheus::Registry,
    ) -> Result<Self> {
        config.check()?;
        let config = Arc::new(config);
        let metrics = Arc::new(Metrics::register(metrics)?);
        let shared = Arc::new(Shared {
            inbox: Inbox::new(config.requests_waiting_max, INBOX_BYTES_MAX),
            received: Mutex::default(),
            full: AtomicBool::new(false),
            full_environments: Mutex::default(),
            waiting_bytes: AtomicU64::new(0),
        });
        let committer = Committer::open(
            shared.clone(),
            producer.clone(),
            config.clone(),
            clock.clone(),
            metrics.clone(),
        )?;
        let thread = std::thread::Builder::new()
            .name("edge-committer".into())
            .spawn(move || committer.run())
            .map_err(|error| Error::Open { path: config.journal_path.clone(), reason: error.to_string() })?;
        let doors = Arc::new(Doors {
            shared: shared.clone(),
            registry,
            clock: clock.clone(),
            config: config.clone(),
            metrics: metrics.clone(),
            bodies: Mutex::new(Shares::new(config.bodies_bytes_max)),
        });
        Ok(Self { doors, shared, producer, config, clock, metrics, committer: Mutex::new(Some(thread)) })
    }

    /// The doors, to be served wherever the operator likes.
    pub fn router(&self) -> axum::Router {
        doors::router(self.doors.clone())
    }

    /// What every environment has received, over all time: all of it on this node's disk.
    pub fn received(&self) -> BTreeMap<Environment, u64> {
        let received = self.shared.received.lock();
        received.iter().map(|(environment, &count)| (Environment::clone(environment), count)).collect()
    }

    /// Bytes of counts and records that wait in the journal, or that the log has taken and that are still to be
    /// deleted: 0 is left by an edge that stopped in order, and nothing else.
    pub fn waiting_bytes(&self) -> u64 {
        self.shared.waiting_bytes.load(Ordering::Relaxed)
    }

    /// Whether the journal is full: senders are asked to wait until the log has taken more.
    pub fn is_full(&self) -> bool {
        self.shared.full.load(Ordering::Relaxed)
    }

    /// Seals once a second and hands on, until `stop`. Then it takes no more requests, seals with a farewell,
    /// hands on what is left (up to [`Config::drain_timeout`]), and closes the journal.
    ///
    /// Fails when the log refuses for good, such as when another edge took over its number
    /// ([`flagmeter_log::Error::Fenced`]). It takes no more requests then, and closes the journal. Nothing is lost by
    /// that: what was acknowledged is in it, and goes to the log when an edge is started with that journal again.
    pub async fn run(&self, stop: CancellationToken) -> Result<()> {
        let (sealed, last_sealed) = (Notify::new(), CancellationToken::new());
        let hand_on = HandOn {
            shared: &self.shared,
            producer: &*self.producer,
            clock: &*self.clock,
            metrics: &self.metrics,
            sealed: &sealed,
            last_sealed: &last_sealed,
        };
        let ended = tokio::try_join!(
            self.seal_until(&stop, &sealed, &last_sealed),
            hand_on.run(self.config.drain_timeout)
        );
        if let Err(error) = ended {
            // No farewell: a node that was fenced lives on elsewhere, and one that failed comes back. What was
            // acknowledged is in the journal, sealed or not.
            self.shared.inbox.close();
            if let Err(also) = self.close().await {
                tracing::warn!(error = %also, "the journal was not closed in good order");
            }
            return Err(error);
        }
        self.close().await
    }

    async fn seal_until(
        &self,
        stop: &CancellationToken,
        sealed: &Notify,
        last_sealed: &CancellationToken,
    ) -> Result<()> {
        let mut ticks = tokio::time::interval(self.config.seal_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            match self.seal(false).await {
                Ok(()) => sealed.notify_one(),
                Err(error) if error.is_retryable() => {
                    tracing::error!(%error, "no seal could be made: trying again");
                }
                Err(error) => return Err(error),
            }
        }
        self.shared.inbox.close();
        let farewell = self.seal(true).await;
        last_sealed.cancel();
        farewell
    }

    /// Makes a seal now.
    pub(crate) async fn seal(&self, farewell: bool) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.shared.inbox.order(Order::Seal { farewell, done });
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Tells the committer something, for tests that stand between its steps.
    #[cfg(test)]
    pub(crate) fn order(&self, order: Order) {
        self.shared.inbox.order(order);
    }

    async fn close(&self) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.shared.inbox.order(Order::Close { done });
        let closed = answer.await.map_err(|_| Error::Closed)?;
        self.join();
        closed
    }

    /// Waits for the committer, which ends at once.
    fn join(&self) {
        let thread = self.committer.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the committer ended in a panic");
        }
    }
}

/// Dropped without [`Edge::run`] having ended, it leaves the journal as a crash would: nothing that was
/// acknowledged is lost, and the next start goes on from there.
impl Drop for Edge {
    fn drop(&mut self) {
        self.shared.inbox.order(Order::Abandon);
        self.join();
    }
}
