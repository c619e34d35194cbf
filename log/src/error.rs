//! What can go wrong with a log.

use std::path::PathBuf;

/// Why the log did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log's file cannot be used.
    #[error("the log at {path} cannot be opened: {reason}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What to do about it.
        reason: String,
    },
    /// A record for a partition that is not there.
    #[error("partition {partition} does not exist: the log has {partitions}")]
    NoSuchPartition {
        /// The partition asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// No room: what is not stored yet fills it. The same append may succeed once the reader has gone on.
    #[error(
        "the log is full: {bytes} of {bytes_max} bytes wait to be stored; see why ingest does not go on, or give it more room"
    )]
    Full {
        /// Bytes of payload kept.
        bytes: u64,
        /// Most bytes of payload that may be kept.
        bytes_max: u64,
    },
    /// A second reader while the first one lives.
    #[error("the log has a reader already: drop it before opening another")]
    Taken,
    /// The backend failed; the same call may succeed later.
    #[error("the log did not answer: {0}")]
    Unavailable(String),
    /// The log is shutting down.
    #[error("the log is closed")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full { .. })
    }
}

/// The log's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
