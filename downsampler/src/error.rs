//! What can stop the downsampler.

/// Why the downsampler cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot be, or that contradicts another.
    #[error("{setting}: {reason}")]
    Config {
        /// Its name.
        setting: &'static str,
        /// What it contradicts, and the fix.
        reason: String,
    },
    /// The store did not do what it was asked.
    #[error(transparent)]
    Store(#[from] flagmeter_store::Error),
    /// The ledger did not do what it was asked.
    #[error(transparent)]
    Ledger(#[from] flagmeter_ledger::Error),
    /// Another stage has registered a metric of the same name.
    #[error("the downsampler's metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl Error {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Ledger(error) => error.is_retryable(),
            Self::Config { .. } | Self::Metrics(_) => false,
        }
    }

    /// Whether something that is stored is at fault: no call that needs it succeeds until it is put right, and all
    /// others do.
    pub const fn is_damage(&self) -> bool {
        use flagmeter_ledger::Error as Ledger;
        match self {
            Self::Store(error) => {
                matches!(error, flagmeter_store::Error::Damaged(_) | flagmeter_store::Error::Model(_))
            }
            // The store is rolled up whatever has become of the ledger.
            Self::Ledger(error) => !matches!(error, Ledger::Unavailable(_) | Ledger::Closed),
            Self::Config { .. } | Self::Metrics(_) => false,
        }
    }
}

/// The downsampler's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
