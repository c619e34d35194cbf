//! What can go wrong with a query.

use std::path::PathBuf;

use crate::access::Refusal;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot be, or that contradicts another.
    #[error("{setting}: {reason}")]
    Config {
        /// Its name.
        setting: &'static str,
        /// What is wrong and what to set.
        reason: String,
    },
    /// No token that is good.
    #[error(
        "This needs a token that is in force: send the header `Authorization: Bearer fm_…`, or sign in at /sign-in."
    )]
    Unauthenticated(Refusal),
    /// A good token, but not for this.
    #[error("{0}")]
    Forbidden(String),
    /// A request that may be another site's doing.
    #[error(
        "This was sent by a page of another site, or by a browser that does not say by whose: do it on a page of this \
         server, or without a browser with the header `Authorization: Bearer fm_…`."
    )]
    OtherSite,
    /// A link that does not hold.
    #[error(
        "This link does not hold, or not any more: its time or its token's is over, or it was changed on the way. Whoever made \
         it makes a new one with POST /v1/embed."
    )]
    Link(Refusal),
    /// What was sent cannot be read.
    #[error("What was sent cannot be read: {0}")]
    Body(String),
    /// A parameter that does not exist. Left unread, a typo in a filter would widen a bill.
    #[error("There is no parameter {name:?} here. Known are: {}.", known.join(", "))]
    ParameterUnknown {
        /// The name given.
        name: String,
        /// The names that exist.
        known: &'static [&'static str],
    },
    /// A parameter that cannot be read or makes no sense.
    #[error("Parameter {name}: {reason}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// An answer that would be larger than is allowed.
    #[error("{0}")]
    TooMuch(String),
    /// Nothing is served there.
    #[error("Nothing is served at {0}. The API that reads stands in /openapi.json.")]
    NotFound(String),
    /// Something is served there, but not with this method.
    #[error("This address does not answer that method: the header `Allow` names those that it does.")]
    MethodNotAllowed,
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] flagmeter_store::Error),
    /// The ledger refused or failed.
    #[error(transparent)]
    Ledger(#[from] flagmeter_ledger::Error),
    /// No ledger is kept here.
    #[error(
        "This server has no ledger, and so no hours to bill and no alerts: flagmeter serve has one, and so have the stages on Kafka."
    )]
    NoLedger,
    /// A cursor that knows more than the ledger.
    #[error(
        "Parameter {name}: this cursor is of a ledger that had more in it than this one has: the ledger was restored \
         from an older copy, or is another one. If it catches up, ask again; else begin again without {name}=, and \
         compare what you have with what comes."
    )]
    LedgerBehind {
        /// The parameter that holds the cursor.
        name: &'static str,
    },
    /// A mute that cannot be: the sentence says why.
    #[error("{0}")]
    MuteRefused(String),
    /// No such mute.
    #[error(
        "There is no mute {0:?}: GET /v1/operator/mutes, or `flagmeter mute list`, shows which there are."
    )]
    MuteUnknown(String),
    /// A key that stands for another mute.
    #[error("This Idempotency-Key was used for another mute, {0}: choose a new key for a new mute.")]
    KeyReused(String),
    /// Hours that are not final are on no bill.
    #[error("{0}")]
    NotFinal(String),
    /// The store took too long.
    #[error("the store did not answer within {seconds} s")]
    Timeout {
        /// How long was waited.
        seconds: u64,
    },
    /// Too many queries at once.
    #[error("{at_once} queries are already being answered: try again in a moment")]
    Busy {
        /// How many may run at once.
        at_once: usize,
    },
    /// Too many live streams of whoever asks.
    #[error(
        "{at_once} {what} of {whose} are open already: close one of them first. Streams of one question share it."
    )]
    OwnStreams {
        /// How many may be open at once.
        at_once: usize,
        /// Streams, or questions.
        what: &'static str,
        /// Whose they are.
        whose: &'static str,
    },
    /// Too many live streams.
    #[error("{at_once} {what} already: try again in a moment, or ask /v1/usage now and then")]
    Streams {
        /// How many may be open at once.
        at_once: usize,
        /// Streams, questions, or the rows of their answers, and what they are.
        what: &'static str,
    },
    /// An answer that cannot be encoded.
    #[error("the answer cannot be encoded: {0}")]
    Encoding(String),
    /// The token file cannot be read or written.
    #[error("the tokens in {path} cannot be used: {reason}")]
    TokensFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A damaged line in the middle of the token file.
    #[error("line {line} of the tokens in {path} cannot be read ({reason}): restore it from a backup")]
    TokensLine {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// No such token.
    #[error("there is no token with the id {0:?}: list them to see the ids")]
    TokenUnknown(String),
    /// The token is revoked already.
    #[error("token {0} is already revoked")]
    TokenRevoked(String),
    /// Words for the audit log that do not fit it.
    #[error("{what} must be at most {chars_max} characters and without control characters")]
    TokenWords {
        /// Which words.
        what: &'static str,
        /// Longest accepted, in characters.
        chars_max: usize,
    },
    /// The system gave no random numbers.
    #[error("the system has no random numbers: {0}")]
    Random(String),
    /// Two metrics of one name.
    #[error("the metrics of queries cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl Error {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable() || matches!(error, flagmeter_store::Error::Closed),
            Self::Ledger(error) => error.is_retryable() || matches!(error, flagmeter_ledger::Error::Closed),
            Self::Timeout { .. }
            | Self::Busy { .. }
            | Self::OwnStreams { .. }
            | Self::Streams { .. }
            | Self::LedgerBehind { .. } => true,
            _ => false,
        }
    }

    /// A parameter that cannot be read or makes no sense.
    pub(crate) fn parameter(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Parameter { name, reason: reason.into() }
    }
}

/// The result of a query.
pub type Result<T, E = Error> = std::result::Result<T, E>;
