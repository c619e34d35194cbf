//! Batches as bytes: `{"version":1,…}` in JSON, plain, gzip or zstd.
//!
//! The encoding is told by the first bytes and the version by the document, so that a reader needs nothing
//! beside the record. A change of meaning is a new version with a reader of its own; old readers stay for ever.

mod compression;
pub(crate) mod series;

pub use compression::{ContentEncoding, compress, decompress};

use serde::{Deserialize, Serialize};

use crate::{Batch, Error, Limits, Result};

/// The version that [`encode`] writes, and the newest that [`decode`] reads.
const VERSION: u64 = 1;

/// Version 1: `{"version":1,"batch":{…}}`.
#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    batch: &'a Batch,
}

#[derive(Deserialize)]
struct Read {
    version: u64,
    batch: Batch,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// Encodes a batch. The same batch and encoding give the same bytes in one build, not across builds: keep the
/// bytes where they must not change.
pub fn encode(batch: &Batch, encoding: ContentEncoding) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(&Written { version: VERSION, batch })
        .map_err(|error| Error::Malformed(error.to_string()))?;
    compress(json, encoding)
}

/// Decodes a record of any version and encoding, and checks all that [`Batch`] promises. Never panics; never
/// makes more than [`Limits::RECORD_BYTES_MAX`] of a record.
pub fn decode(record: &[u8]) -> Result<Batch> {
    let json = decompress(record, ContentEncoding::sniff(record), Limits::RECORD_BYTES_MAX)?;
    // Once for all: else every text in it is checked by itself.
    let json = str::from_utf8(&json).map_err(|error| Error::Malformed(error.to_string()))?;
    let batch = match serde_json::from_str(json) {
        Ok(Read { version: VERSION, batch }) => batch,
        other => return Err(why_unread(json, other.err())),
    };
    batch.validate()?;
    Ok(batch)
}

/// Tells a newer program's record from a damaged one. Only on the way to an error: a record is parsed once.
fn why_unread(json: &str, error: Option<serde_json::Error>) -> Error {
    match (serde_json::from_str(json), error) {
        (Ok(Version { version }), _) if version > VERSION => {
            Error::VersionUnknown { found: version, known: VERSION }
        }
        (Ok(Version { version: 0 }), _) => Error::Malformed("there is no version 0".into()),
        (_, Some(error)) | (Err(error), None) => Error::Malformed(error.to_string()),
        (Ok(_), None) => Error::Malformed("no batch".into()),
    }
}

#[cfg(test)]
mod tests;
