//! What whoever looks after flags should know.

use std::fmt;

use chrono::NaiveDate;

/// Something about a flag that does not keep it from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// `metadata.owner` is missing.
    WithoutOwner,
    /// `metadata.remove_by` is missing.
    WithoutRemoval,
    /// `metadata.remove_by` is no date.
    RemovalUnreadable(String),
    /// It should be gone.
    PastRemoval(NaiveDate),
    /// It is evaluated to an error, and so to the safe default.
    Broken(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithoutOwner => f.write_str("it has no owner: write metadata.owner"),
            Self::WithoutRemoval => {
                f.write_str("it has no date of removal: write metadata.remove_by, such as \"2027-03-31\"")
            }
            Self::RemovalUnreadable(text) => {
                write!(f, "metadata.remove_by is {text}, which is no date: write one such as \"2027-03-31\"")
            }
            Self::PastRemoval(date) => {
                write!(f, "it should have been removed by {date}: take it out, or move metadata.remove_by")
            }
            Self::Broken(why) => write!(f, "it is the safe default, because {why}"),
        }
    }
}
