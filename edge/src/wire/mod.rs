//! What SDKs send, as functions of bytes: no I/O, no clock, no registry, nothing that can panic.
//!
//! Each format has a function that makes [`Taken`] of a body. A body that cannot be read at all is
//! [`Unreadable`], and nothing of it is taken; an entry that is wrong is rejected with its reason, and loses
//! nothing else.

pub mod counts_v1;
mod entries;
pub mod flagsmith_proxy;
pub mod flagsmith_v1;
pub mod flagsmith_v2;
mod json;
mod number;
mod taken;

pub use entries::{Entries, Entry};
pub use taken::{Bounds, Listed, Rejection, Taken};

/// The addresses that counts come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Door {
    /// `POST /v1/counts`.
    CountsV1,
    /// `POST /api/v1/analytics/flags/`.
    FlagsmithV1,
    /// `POST /api/v2/analytics/flags/`.
    FlagsmithV2,
    /// `POST /api/proxy/usage/`.
    FlagsmithProxy,
}

impl Door {
    /// All doors; the position of each is its number in metrics arrays.
    pub const ALL: [Self; 4] = [Self::CountsV1, Self::FlagsmithV1, Self::FlagsmithV2, Self::FlagsmithProxy];

    /// Its name in series and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CountsV1 => "counts.v1",
            Self::FlagsmithV1 => "flagsmith.v1",
            Self::FlagsmithV2 => "flagsmith.v2",
            Self::FlagsmithProxy => "flagsmith.proxy",
        }
    }
}

/// A body of which nothing can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON, or cut off.
    #[error("the body is not JSON; see that it is whole and in UTF-8")]
    NotJson,
    /// JSON, but not of this format's shape.
    #[error("the body is JSON, but not {0}")]
    WrongShape(&'static str),
}

impl Unreadable {
    /// A short stable word for metrics and reasons.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::WrongShape(_) => "wrong_shape",
        }
    }

    fn of(error: &serde_json::Error, shape: &'static str) -> Self {
        if error.is_data() { Self::WrongShape(shape) } else { Self::NotJson }
    }
}
