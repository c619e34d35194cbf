//! **read**: records from the log, from where the store has got to.

use std::{collections::VecDeque, time::Duration};

use flagmeter_log::{Consumer, Record};

use crate::{Result, commit::commit, pipeline::Pipeline};

/// Begins where the store has got to, if it keeps the positions with the data; else where the log was told. The log
/// hears of it, so that its lag is right from the beginning; but not where it had to begin elsewhere: what lies
/// before a position that is not its own is not stored.
pub(crate) async fn resume(pipeline: &Pipeline<'_>, consumer: &mut dyn Consumer) -> Result<()> {
    let mut patience = pipeline.patience("positions");
    let positions = loop {
        match pipeline.store.positions().await {
            Ok(positions) => break positions,
            Err(error) if error.is_retryable() => patience.wait(&error).await,
            Err(error) => return Err(error.into()),
        }
    };
    let Some(positions) = positions else { return Ok(()) };
    let mut patience = pipeline.patience("seek");
    let reached = loop {
        match consumer.seek(&positions).await {
            Ok(reached) => break reached,
            Err(error) if error.is_retryable() => patience.wait(&error).await,
            Err(error) => return Err(error.into()),
        }
    };
    if reached.is_empty() {
        return Ok(());
    }
    commit(pipeline, consumer, &reached, true).await?;
    Ok(())
}

/// The next records; waits so long for the first one. A log that does not answer is asked again if somebody `insists`;
/// else it counts as having none for now, so that what was read before is stored meanwhile.
pub(crate) async fn read(
    pipeline: &Pipeline<'_>,
    consumer: &mut dyn Consumer,
    wait: Duration,
    insists: bool,
) -> Result<VecDeque<Record>> {
    let mut patience = pipeline.patience("read");
    let records = loop {
        match consumer.read(pipeline.config.read_bytes_max, wait).await {
            Ok(records) => break records,
            Err(error) if !error.is_retryable() => return Err(error.into()),
            Err(error) => {
                pipeline.progress.untold(pipeline.clock.now());
                if !insists {
                    patience.tell(&error);
                    break Vec::new();
                }
                patience.wait(&error).await;
            }
        }
    };
    if let Some(oldest) = records.iter().map(|record| record.appended_at).min() {
        pipeline.progress.waits(oldest);
    }
    Ok(records.into())
}
