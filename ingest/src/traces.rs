//! The spans of ingest, for whoever listens: of each record with counts, from when it was read until questions see them.
//!
//! They name the seal by its node and number, and nothing else: the records of the log carry no headers. Whoever listens
//! knows by that which trace is the seal's. Where nobody does all of this is a look at a flag.

use std::sync::Arc;

use flagmeter_model::Timestamp;
use flagmeter_store::Positioned;
use tracing::{Span, field, info_span};

/// The spans of a step's records.
pub(crate) type Spans = Arc<[Span]>;

/// Of a record that was read and holds counts; none of another one.
pub(crate) fn record(record: &Positioned, now: Timestamp) -> Span {
    let Positioned { partition, offset, appended_at, batch } = record;
    if batch.environments.is_empty() {
        return Span::none();
    }
    info_span!(
        parent: None,
        "ingest",
        otel.kind = "consumer",
        seal.node = batch.node.get(),
        seal.seq = batch.seq.get(),
        flagmeter.part = batch.part,
        messaging.operation.name = "ingest",
        messaging.operation.type = "process",
        messaging.destination.partition.id = %partition,
        flagmeter.offset = offset,
        flagmeter.waited_ms = now.millis_since(*appended_at).max(0),
        error.type = field::Empty
    )
}

/// The write of a step, in the trace of each of its records.
pub(crate) fn writes(records: &Spans, points: impl FnOnce() -> usize) -> Vec<Span> {
    if records.is_empty() {
        return Vec::new();
    }
    let points = points();
    let write = |record| {
        info_span!(
            parent: record,
            "store write",
            otel.kind = "client",
            db.operation.name = "write",
            db.operation.batch.size = points,
            flagmeter.records = records.len(),
            error.type = field::Empty
        )
    };
    records.iter().map(write).collect()
}

/// Says of spans what failed.
pub(crate) fn failed(spans: &[Span], what: &str) {
    for span in spans {
        span.record("error.type", what);
    }
}
