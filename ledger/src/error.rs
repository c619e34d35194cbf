//! What can go wrong with a ledger.

use std::path::PathBuf;

use flagmeter_model::Timestamp;

/// Why the ledger did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The ledger's file cannot be used.
    #[error("the ledger at {path} cannot be opened: {reason}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What to do about it.
        reason: String,
    },
    /// Another process has the ledger's file.
    #[error(
        "the ledger at {path} cannot be opened: another process is using it: stop that one, or use another path"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// An hour that was not announced cannot be appended: late counts would not be seen to be late.
    #[error("the hour {hour} was not announced: announce it before its counts are read")]
    NotAnnounced {
        /// The hour.
        hour: Timestamp,
    },
    /// A count that is not of a full hour of what customers use.
    #[error("{0}")]
    NotBillable(String),
    /// What cannot be an alert, or was not delivered: the sentence says why.
    #[error("{0}")]
    Refused(String),
    /// What is kept does not read back: the sentence says what and where.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    /// What the ledger is kept in is not as it must be: the sentence says what to mend.
    #[error("{0}")]
    Unusable(String),
    /// The backend failed; the same call may succeed later.
    #[error("the ledger did not answer: {0}")]
    Unavailable(String),
    /// The ledger is shutting down.
    #[error("the ledger is closed")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// The ledger's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
