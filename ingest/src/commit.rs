//! **commit**: the log hears that everything before these positions is stored.

use std::time::Duration;

use flagmeter_log::{Consumer, Positions};
use tokio::time::Instant;

use crate::{Result, pipeline::Pipeline};

/// How often the log is asked how much is left.
const LAG_EVERY: Duration = Duration::from_secs(1);

/// The end of the pipeline.
#[derive(Default)]
pub(crate) struct Commit {
    /// Stored, and not committed yet.
    put_off: Positions,
    lag_told_at: Option<Instant>,
}

impl Commit {
    /// Commits; the store has taken all before these positions. If the log does not answer, and nobody `insists`, it is
    /// put off to the next commit.
    pub(crate) async fn commit(
        &mut self,
        pipeline: &Pipeline<'_>,
        consumer: &mut dyn Consumer,
        positions: Positions,
        insists: bool,
    ) -> Result<()> {
        self.put_off.extend(positions);
        if commit(pipeline, consumer, &self.put_off, insists).await? {
            self.put_off.clear();
        }
        Ok(())
    }

    /// Asks the log how much is left, now and then.
    pub(crate) async fn tell_lag(&mut self, pipeline: &Pipeline<'_>, consumer: &mut dyn Consumer) {
        if self.lag_told_at.is_some_and(|at| at.elapsed() < LAG_EVERY) {
            return;
        }
        self.lag_told_at = Some(Instant::now());
        match consumer.lag().await {
            Ok(lag) => {
                pipeline.metrics.lag_records.set(i64::try_from(lag.records).unwrap_or(i64::MAX));
                pipeline.progress.told(lag.oldest, pipeline.clock.now());
            }
            // The reads that follow will say what is wrong.
            Err(error) => {
                tracing::debug!(%error, "the log did not tell its lag");
                pipeline.progress.untold(pipeline.clock.now());
            }
        }
    }
}

/// Commits these positions. Whether the log took them, which it did if somebody `insists`.
pub(crate) async fn commit(
    pipeline: &Pipeline<'_>,
    consumer: &mut dyn Consumer,
    positions: &Positions,
    insists: bool,
) -> Result<bool> {
    let mut patience = pipeline.patience("commit");
    loop {
        match consumer.commit(positions).await {
            Ok(()) => return Ok(true),
            Err(error) if !error.is_retryable() => return Err(error.into()),
            Err(error) if insists => patience.wait(&error).await,
            Err(error) => {
                patience.tell(&error);
                return Ok(false);
            }
        }
    }
}
