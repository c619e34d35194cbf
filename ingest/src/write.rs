//! **write**: the store takes the step, whole, or is asked again.

use std::sync::Arc;

use flagmeter_model::Timestamp;
use flagmeter_store::{Error as StoreError, Positioned, Write, Written};

use crate::{
    Result,
    aggregate::{Step, split},
    pipeline::Pipeline,
    traces,
};

/// How far a node's clock may be ahead of the log's before that is spoken of, in seconds.
const AHEAD_SECONDS_MAX: i64 = 60;

/// Writes a step until the store has all of it. A value that the store refuses is searched for by halves, so that
/// one record cannot hold up all others: it goes to the dead letters.
pub(crate) async fn write(pipeline: &Pipeline<'_>, step: Option<Step>) -> Result<()> {
    let mut steps: Vec<Step> = step.into_iter().collect();
    while let Some(step) = steps.pop() {
        let spans = traces::writes(&step.spans, || {
            step.write.batches.iter().map(|record| record.batch.points()).sum()
        });
        let written = write_one(pipeline, &step.write).await;
        if let Err(error) = &written {
            let is_refused = matches!(error, StoreError::Model(_));
            traces::failed(&spans, if is_refused { "refused" } else { "store" });
        }
        drop(spans);
        match written {
            Ok(written) => tell(pipeline, &step.write, &written),
            Err(StoreError::Model(error)) => {
                let Some((first, second)) = split(step, &error, pipeline.clock.now()) else {
                    return Err(StoreError::Model(error).into());
                };
                tracing::warn!(%error, "the store refuses a value: its record goes to the dead letters");
                steps.extend(second);
                steps.push(first);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Says of each record with counts that it is stored: by its node and number it is found in the lines of edges, which say
/// whose counts are in it.
fn tell_of_seals(write: &Write) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    for Positioned { partition, offset, batch, .. } in &write.batches {
        if !batch.environments.is_empty() {
            let (node, seq, part) = (batch.node, batch.seq, batch.part);
            tracing::debug!(%node, %seq, part, partition, offset, "a record of a seal is stored");
        }
    }
}

/// Tells how long ago it was evaluated what can be asked for now. A slot is 10 s long and its counts are taken for as old as
/// its start, so it is never said to be less than it was. Fates stand at their arrival, and say nothing of it.
fn tell_of_events(pipeline: &Pipeline<'_>, write: &Write) {
    let now = pipeline.clock.now();
    for environment in write.batches.iter().flat_map(|record| &record.batch.environments) {
        for counts in &environment.slots {
            let is_usage =
                |&at: &u32| environment.series.get(at as usize).is_some_and(|key| key.meter.is_usage());
            if counts.series.iter().any(is_usage) {
                pipeline.metrics.event_to_queryable.observe(seconds_between(counts.slot.start(), now));
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a histogram takes f64, and these are milliseconds below 2^52"
)]
fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.millis_since(from).max(0) as f64 / 1_000.0
}

/// Says so, once, when a node's clock is ahead: its counts stand in slots that are still to come.
fn tell_of_clocks(pipeline: &Pipeline<'_>, write: &Write) {
    let ahead = |record: &Positioned| record.batch.sealed_at.millis_since(record.appended_at) / 1_000;
    let Some(farthest) = write.batches.iter().max_by_key(|record| ahead(record)) else { return };
    let (seconds, gauge) = (ahead(farthest).max(0), &pipeline.metrics.clock_ahead_seconds);
    if seconds > AHEAD_SECONDS_MAX && gauge.get() <= AHEAD_SECONDS_MAX {
        tracing::warn!(
            node = %farthest.batch.node,
            seconds,
            "the clock of an edge node is ahead of the log's: set it right, its counts are in the future"
        );
    }
    gauge.set(seconds);
}

async fn write_one(pipeline: &Pipeline<'_>, write: &Arc<Write>) -> Result<Written, StoreError> {
    let mut patience = pipeline.patience("write");
    loop {
        let timer = pipeline.metrics.write_seconds.start_timer();
        let answer = pipeline.store.write(Arc::clone(write)).await;
        timer.observe_duration();
        match answer {
            Err(error) if error.is_retryable() => patience.wait(&error).await,
            answer => return answer,
        }
    }
}

fn tell(pipeline: &Pipeline<'_>, write: &Write, written: &Written) {
    let metrics = pipeline.metrics;
    let records = write.batches.len().saturating_add(write.dead_letters.len());
    metrics.records.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
    metrics.points.inc_by(written.points);
    metrics.late_marks.inc_by(written.dirty);
    metrics.past_retention.inc_by(written.past_retention);
    metrics.overflow.inc_by(written.overflow);
    if written.folded > 0 && metrics.folded.get() == 0 {
        tracing::warn!(
            points = written.folded,
            "an environment has as many series as the store keeps: further ones are counted as __other__"
        );
    }
    metrics.folded.inc_by(written.folded);
    for (reason, &letters) in &written.dead_letters {
        metrics.dead_letters.with_label_values(&[reason]).inc_by(letters);
    }
    tell_of_clocks(pipeline, write);
    tell_of_events(pipeline, write);
    tell_of_seals(write);
    for letter in &write.dead_letters {
        metrics.dead_letters.with_label_values(&[&letter.reason]).inc();
        tracing::warn!(
            partition = letter.partition,
            offset = letter.offset,
            reason = letter.reason,
            detail = letter.detail,
            "a record of the log went to the dead letters"
        );
    }
    if written.past_retention > 0 {
        tracing::warn!(points = written.past_retention, "points are older than the retention of raw points");
    }
    if written.overflow > 0 {
        tracing::warn!(
            points = written.overflow,
            "points add up beyond what the store keeps: no edge seals that; they are among the dead letters"
        );
    }
}
