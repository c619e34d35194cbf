//! Batches as records, measured: what each takes, and what it would have taken in the other form.
//!
//! While a part of the customers is compressed, both forms are on the log, of different customers. To compare them, each
//! record that holds counts is measured in both: of a compressed one the plain size is known; of plain ones, one of each
//! seal is compressed for the measurement, and the result thrown away.

use std::time::Instant;

use flagmeter_model::{Batch, ContentEncoding, Result, compress, encode};

use crate::metrics::Records;

/// What plain records are measured by.
const ESTIMATED_BY: ContentEncoding = ContentEncoding::Zstd;

/// The encoder of one seal.
pub(super) struct Encoder<'m> {
    metrics: &'m Records,
    /// Whether a plain record of this seal was compressed for the measurement.
    estimated: bool,
}

impl<'m> Encoder<'m> {
    pub(super) const fn new(metrics: &'m Records) -> Self {
        Self { metrics, estimated: false }
    }

    pub(super) fn encode(&mut self, batch: &Batch, encoding: ContentEncoding) -> Result<Vec<u8>> {
        let plain = encode(batch, ContentEncoding::Identity)?;
        // One without counts is there for its watermark: there are many of them, and nothing to save.
        if batch.environments.is_empty() {
            return compress(plain, encoding);
        }
        let plain_bytes = plain.len();
        if encoding == ContentEncoding::Identity {
            self.metrics.plain(plain_bytes);
            if !std::mem::replace(&mut self.estimated, true) {
                let started = Instant::now();
                let compressed = compress(plain.clone(), ESTIMATED_BY)?;
                self.metrics.estimated(ESTIMATED_BY, plain_bytes, compressed.len(), started.elapsed());
            }
            return Ok(plain);
        }
        let started = Instant::now();
        let compressed = compress(plain, encoding)?;
        self.metrics.compressed(encoding, plain_bytes, compressed.len(), started.elapsed());
        Ok(compressed)
    }
}
