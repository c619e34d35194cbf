//! Why a definition cannot be used.

/// What is wrong with the text of a definition. Each is one sentence for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It has more bytes than a definition may have.
    #[error("it is larger than {bytes_max} bytes: take out flags that are not flagmeter's")]
    TooLarge {
        /// How many it may have.
        bytes_max: usize,
    },
    /// It is no JSON.
    #[error("line {line} column {column} is not JSON: {reason}")]
    NotJson {
        /// Where.
        line: usize,
        /// Where in it.
        column: usize,
        /// What the parser says.
        reason: String,
    },
    /// It is JSON, and not of flagd's form.
    #[error("{0}")]
    Form(String),
    /// A flag in it is not of flagd's form.
    #[error("flag {flag:?}: {reason}")]
    Flag {
        /// Its key.
        flag: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another part of the process has registered a metric of the same name.
    #[error("the metrics of runtime flags cannot be registered: {0}")]
    Metrics(String),
}

impl Error {
    /// Whether the same may succeed later: the same text never will.
    pub const fn is_retryable(&self) -> bool {
        false
    }
}

impl From<prometheus::Error> for Error {
    fn from(error: prometheus::Error) -> Self {
        Self::Metrics(error.to_string())
    }
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
