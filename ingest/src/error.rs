//! Why ingest stopped.

/// Why ingest did not go on. In every case the records that are not stored are still in the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log failed for good.
    #[error(transparent)]
    Log(#[from] flagmeter_log::Error),
    /// The store failed for good.
    #[error(transparent)]
    Store(#[from] flagmeter_store::Error),
    /// The time to drain was over before everything was stored that had to be.
    #[error(
        "ingest stopped after draining for {seconds} s with records left in the log: start again to go on with them"
    )]
    Undrained {
        /// How long it drained.
        seconds: u64,
    },
    /// A thread that decodes is gone: the program is shutting down, or has a fault.
    #[error("a decoder of ingest is gone ({0}): start again to go on, and report it if it comes back")]
    Decoder(String),
    /// The metrics are taken: a fault of the program.
    #[error("the metrics of ingest cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl Error {
    /// Whether running again may succeed.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Log(error) => error.is_retryable(),
            Self::Store(error) => error.is_retryable(),
            Self::Undrained { .. } | Self::Decoder(_) => true,
            Self::Metrics(_) => false,
        }
    }
}

/// Ingest's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
