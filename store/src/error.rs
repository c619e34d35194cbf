//! What can go wrong with a store.

use std::path::PathBuf;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store's file cannot be used.
    #[error("the store at {path} cannot be opened: {reason}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What to do about it.
        reason: String,
    },
    /// The store is set up in a way that cannot work: the sentence says how to mend it.
    #[error("{0}")]
    Configuration(String),
    /// The question cannot be answered as it is put.
    #[error("{0}")]
    Unanswerable(String),
    /// The answer would hold more than whoever asked allows.
    #[error("the answer has more than {max} {what}: narrow the filter, or ask for less")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many were allowed.
        max: usize,
    },
    /// A value that the model refuses, in what is stored or asked.
    #[error(transparent)]
    Model(#[from] flagmeter_model::Error),
    /// What is stored does not read back: the sentence says what and where.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The backend failed; the same call may succeed later.
    #[error("the store did not answer: {0}")]
    Unavailable(String),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// The store's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
