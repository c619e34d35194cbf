//! What is counted, and for whom.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Name;

/// What a series counts.
///
/// The first two are the product. The others are the *fates* of promise 6: they travel with the counts, in
/// the same commits, records, blocks and roll-ups, so that `received = stored + duplicate + rejected` can be
/// checked with the same exactness as the counts themselves. Fates are counted at their arrival, never at the
/// event time of what they speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meter {
    /// Flag evaluations; the series' name is the flag.
    Evaluations,
    /// API traffic; the series' name is the resource (flags, identities, traits, environment-document).
    Requests,
    /// All counts that arrived for an environment, whatever became of them; the name is the door they took
    /// (`counts.v1`, `flagsmith.v1`, …). An entry whose count cannot be read weighs 1.
    Received,
    /// Counts of a request that had been acknowledged before; the name is the door.
    Duplicate,
    /// Counts that were not taken; the name is the reason.
    Rejected,
}

impl Meter {
    /// All meters; the position of each is its number on disk.
    pub const ALL: [Self; 5] =
        [Self::Evaluations, Self::Requests, Self::Received, Self::Duplicate, Self::Rejected];

    /// Its position in [`Meter::ALL`]. On disk: never renumber, only append.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The meter with this number; `None` for one that a newer program wrote.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evaluations => "evaluations",
            Self::Requests => "requests",
            Self::Received => "received",
            Self::Duplicate => "duplicate",
            Self::Rejected => "rejected",
        }
    }

    /// Whether it counts what customers use, rather than a fate.
    pub const fn is_usage(self) -> bool {
        matches!(self, Self::Evaluations | Self::Requests)
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whose counts: one environment of one project of one customer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Environment {
    /// The customer.
    pub customer: Name,
    /// The customer's project.
    pub project: Name,
    /// The project's environment.
    pub environment: Name,
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.customer, self.project, self.environment)
    }
}

/// A series within its environment. It is read from records by the codec, in lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SeriesKey {
    /// What it counts.
    #[serde(rename = "m")]
    pub meter: Meter,
    /// The flag or the resource; for fates the door or the reason.
    #[serde(rename = "n")]
    pub name: Name,
    /// The variant that was served, where the SDK says so.
    #[serde(rename = "v", skip_serializing_if = "Option::is_none")]
    pub variant: Option<Name>,
    /// The SDK and its version, where it says so.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub sdk: Option<Name>,
}

impl SeriesKey {
    /// The series of one flag, with neither variant nor SDK.
    pub fn flag(name: Name) -> Self {
        Self { meter: Meter::Evaluations, name, variant: None, sdk: None }
    }
}

/// A series with its environment: all that names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// Whose it is.
    pub environment: Environment,
    /// What it is there.
    pub key: SeriesKey,
}
