//! From the outbox into the log: oldest first, the same bytes until the log has them.

use std::time::Duration;

use flagmeter_log::{NewRecord, Producer};
use flagmeter_model::Clock;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Result,
    committer::Shared,
    inbox::{Order, Waiting},
    metrics::Metrics,
    traces,
};

/// Most bytes of one append: several seals go together when the log has been away.
const APPEND_BYTES_MAX: usize = 4 << 20;
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Hands on what is sealed.
pub(crate) struct HandOn<'e> {
    pub(crate) shared: &'e Shared,
    pub(crate) producer: &'e dyn Producer,
    pub(crate) clock: &'e dyn Clock,
    pub(crate) metrics: &'e Metrics,
    /// Told at each seal.
    pub(crate) sealed: &'e Notify,
    /// No seal comes any more.
    pub(crate) last_sealed: &'e CancellationToken,
}

impl HandOn<'_> {
    /// Goes on until the last seal is in the log. After that one it waits for the log no longer than
    /// `drain_timeout`: what is left then is on disk, and goes to the log at the next start.
    pub(crate) async fn run(&self, drain_timeout: Duration) -> Result<()> {
        let late = async {
            self.last_sealed.cancelled().await;
            tokio::time::sleep(drain_timeout).await;
        };
        tokio::select! {
            done = self.hand_on() => done,
            () = late => {
                tracing::warn!(
                    ?drain_timeout,
                    "the log did not take the last records in time: they stay in the journal for the next start"
                );
                Ok(())
            }
        }
    }

    async fn hand_on(&self) -> Result<()> {
        let mut through = 0;
        loop {
            // Asked before the outbox is, so that no seal falls between the two.
            let is_last = self.last_sealed.is_cancelled();
            let waiting = self.next_when_readable(through).await?;
            if waiting.records.is_empty() {
                self.metrics.seal_lag_milliseconds.set(0);
                if is_last {
                    return Ok(());
                }
                tokio::select! {
                    () = self.sealed.notified() => {}
                    () = self.last_sealed.cancelled() => {}
                }
                continue;
            }
            let spans = traces::appends(&waiting.seals, waiting.records.len());
            self.append(&waiting).await.inspect_err(|_| traces::failed(&spans, "log"))?;
            drop(spans);
            through = waiting.through;
            self.shared.inbox.order(Order::HandedOn { through });
        }
    }

    /// The next records, as soon as the journal can be read: an error that passes must not end the edge.
    async fn next_when_readable(&self, after: i64) -> Result<Waiting> {
        let mut backoff = BACKOFF_FIRST;
        loop {
            match self.next(after).await {
                Err(error) if error.is_retryable() => {
                    self.metrics.hand_on_failures.inc();
                    tracing::warn!(%error, ?backoff, "what waits for the log cannot be read: trying again");
                }
                read => return read,
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn next(&self, after: i64) -> Result<Waiting> {
        let (done, answer) = oneshot::channel();
        self.shared.inbox.order(Order::Next { after, bytes_max: APPEND_BYTES_MAX, done });
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Appends until the log has it, or says that it never will.
    async fn append(&self, waiting: &Waiting) -> Result<()> {
        let mut backoff = BACKOFF_FIRST;
        loop {
            if let Some(sealed_at) = waiting.oldest_sealed_at {
                self.metrics.seal_lag_milliseconds.set(self.clock.now().millis_since(sealed_at).max(0));
            }
            let records: Vec<NewRecord> = waiting.records.clone();
            let count = records.len() as u64;
            let timer = self.metrics.hand_on_seconds.start_timer();
            let taken = self.producer.append(records).await;
            timer.observe_duration();
            match taken {
                Ok(()) => {
                    self.metrics.hand_on_records.inc_by(count);
                    return Ok(());
                }
                Err(error) => {
                    self.metrics.hand_on_failures.inc();
                    if !error.is_retryable() {
                        return Err(error.into());
                    }
                    tracing::warn!(%error, ?backoff, "the log did not take records: trying again");
                }
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }
}
