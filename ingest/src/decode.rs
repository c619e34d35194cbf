//! **decode**: each record becomes a batch, or a reason why it does not.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use flagmeter_log::Record;
use flagmeter_model::Batch;
use tokio::task::JoinSet;

use crate::{Error, Result, pipeline::Pipeline};

/// A record and what was in it.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) record: Record,
    pub(crate) batch: Result<Batch, flagmeter_model::Error>,
}

/// What the threads share. They claim records one by one, from the first on; so what was claimed is always the
/// beginning of the list, and the rest of it waits in order.
struct Work {
    payloads: Vec<Bytes>,
    claimed: AtomicUsize,
    points: AtomicUsize,
    points_max: usize,
}

/// Decodes records, in order, until they hold a step's points; the rest comes back.
pub(crate) async fn decode(
    pipeline: &Pipeline<'_>,
    mut records: VecDeque<Record>,
) -> Result<(Vec<Decoded>, VecDeque<Record>)> {
    if records.is_empty() {
        return Ok((Vec::new(), records));
    }
    let _timer = pipeline.metrics.decode_seconds.start_timer();
    let threads = pipeline.config.decoders.get().min(records.len());
    let work = Arc::new(Work {
        payloads: records.iter().map(|record| record.payload.clone()).collect(),
        claimed: AtomicUsize::new(0),
        points: AtomicUsize::new(0),
        points_max: pipeline.config.step_points_max,
    });
    let mut running = JoinSet::new();
    for _ in 0..threads {
        let work = Arc::clone(&work);
        running.spawn_blocking(move || decode_some(&work));
    }
    let mut batches = Vec::with_capacity(records.len());
    while let Some(done) = running.join_next().await {
        batches.extend(done.map_err(|error| Error::Decoder(error.to_string()))?);
    }
    batches.sort_unstable_by_key(|&(at, _)| at);
    let decoded = records
        .drain(..batches.len())
        .zip(batches)
        .map(|(record, (_, batch))| Decoded { record, batch })
        .collect();
    Ok((decoded, records))
}

/// What one thread does: claims and decodes until there is enough.
fn decode_some(work: &Work) -> Vec<(usize, Result<Batch, flagmeter_model::Error>)> {
    let mut batches = Vec::new();
    while work.points.load(Ordering::Relaxed) < work.points_max {
        let at = work.claimed.fetch_add(1, Ordering::Relaxed);
        let Some(payload) = work.payloads.get(at) else { break };
        let batch = flagmeter_model::decode(payload);
        let points = batch.as_ref().map_or(0, Batch::points);
        work.points.fetch_add(points, Ordering::Relaxed);
        batches.push((at, batch));
    }
    batches
}
