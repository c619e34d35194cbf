//! What can be wrong with a value of the model.

use crate::{NodeId, Timestamp};

/// A rule of the model that a value breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An empty name where one is needed.
    #[error("a name must not be empty")]
    NameEmpty,
    /// A name longer than the limit, in bytes of UTF-8.
    #[error("a name of {bytes} bytes is longer than the limit of {bytes_max}")]
    NameTooLong {
        /// Length found.
        bytes: usize,
        /// Longest accepted.
        bytes_max: usize,
    },
    /// A name with a control character, which would break line-based formats behind us.
    #[error("a name must not contain control characters")]
    NameControl,
    /// A node number above [`NodeId::MAX`].
    #[error("node {0} is out of range: node numbers are 0 to {max}", max = NodeId::MAX)]
    NodeOutOfRange(u64),
    /// A time outside the years that the model can express.
    #[error("time {0} ms is out of range: flagmeter keeps the years 1970 to 2261")]
    TimeOutOfRange(i64),
    /// A time that is not RFC 3339.
    #[error("{0:?} is not an RFC 3339 time such as 2026-11-20T12:44:54Z")]
    TimeUnreadable(String),
    /// A time that is not on the grid it must be on.
    #[error("{at} is not aligned to {seconds} s")]
    Misaligned {
        /// The time found.
        at: Timestamp,
        /// The grid.
        seconds: i64,
    },
    /// A record that is not one of ours, or is damaged.
    #[error("record cannot be read: {0}")]
    Malformed(String),
    /// A record of a version newer than this program.
    #[error("record has version {found}, newer than {known}, the newest this program reads: upgrade it")]
    VersionUnknown {
        /// Version of the record.
        found: u64,
        /// Newest version that this build reads.
        known: u64,
    },
    /// A compressed body that grows beyond the limit.
    #[error("content is larger than {bytes_max} bytes when decompressed")]
    TooLarge {
        /// Largest accepted, in bytes.
        bytes_max: usize,
    },
    /// A compressed body that ends early or is not what it says.
    #[error("{encoding} content is damaged: {reason}")]
    Damaged {
        /// Encoding that was promised.
        encoding: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// A sum that does not fit.
    #[error("counts add up beyond {max}", max = i64::MAX)]
    Overflow,
}

impl Error {
    /// Whether the same call may succeed later: never, a value stays what it is.
    pub const fn is_retryable(&self) -> bool {
        false
    }

    /// A short stable word for metrics and for the reason given to a sender.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NameEmpty => "name_empty",
            Self::NameTooLong { .. } => "name_too_long",
            Self::NameControl => "name_control_character",
            Self::NodeOutOfRange(_) => "node_out_of_range",
            Self::TimeOutOfRange(_) => "time_out_of_range",
            Self::TimeUnreadable(_) => "time_unreadable",
            Self::Misaligned { .. } => "time_misaligned",
            Self::Malformed(_) => "malformed",
            Self::VersionUnknown { .. } => "version_unknown",
            Self::TooLarge { .. } => "too_large",
            Self::Damaged { .. } => "damaged",
            Self::Overflow => "overflow",
        }
    }
}

/// The model's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
