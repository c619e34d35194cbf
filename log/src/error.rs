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
        matches!(self, Self::Unavailable(_))
    }
}

/// The log's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
