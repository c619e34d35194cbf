//! What can go wrong at the edge, beside what senders do.

use std::path::PathBuf;

/// Why the edge cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot be.
    #[error("edge.{setting}: {reason}")]
    Config {
        /// Its name.
        setting: &'static str,
        /// The value and the fix.
        reason: String,
    },
    /// The journal's file cannot be used.
    #[error("the journal at {path} cannot be opened: {reason}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What to do about it.
        reason: String,
    },
    /// The journal holds what this program did not write.
    #[error("the journal is damaged: {0}; keep a copy of the file, and move it away to start without it")]
    Damaged(String),
    /// The journal could not be written or read; nothing of the step was done.
    #[error("the journal does not work: {0}; see that its disk has room and is writable")]
    Journal(#[from] rusqlite::Error),
    /// The log refuses for good.
    #[error(transparent)]
    Log(#[from] flagmeter_log::Error),
    /// A value that the model refuses.
    #[error(transparent)]
    Model(#[from] flagmeter_model::Error),
    /// A metric that is registered already.
    #[error("the edge's metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The committer has stopped.
    #[error("the edge is closed")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Journal(_) => true,
            Self::Log(error) => error.is_retryable(),
            _ => false,
        }
    }
}

/// The edge's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
