//! What a detector says.

use flagmeter_model::Timestamp;

/// What is out of the ordinary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Much more than is expected.
    Burst,
    /// Traffic that stops.
    Drop,
}

/// What is expected in a minute, from the least to the most that would be nothing special.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Less is out of the ordinary.
    pub low: f64,
    /// What is expected.
    pub middle: f64,
    /// More is out of the ordinary.
    pub high: f64,
}

/// Something that is out of the ordinary.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// What it is.
    pub kind: Kind,
    /// When it began.
    pub since: Timestamp,
    /// When it was seen: the end of the last counts that were looked at.
    pub seen_at: Timestamp,
    /// Counts of the last minute.
    pub observed: u64,
    /// What is expected of a minute.
    pub expected: Band,
    /// How many times of what is expected that is. At least 1 count is taken to be expected.
    pub ratio: f64,
    /// Counts beyond what is expected since it began; of a drop, those that are missing.
    pub excess: f64,
    /// Whether it was decided by the rule of a detector that is still learning.
    pub is_learning: bool,
}

/// Why something is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Traffic is as expected again.
    Calm,
    /// It went on until it was what is expected.
    NewLevel,
    /// Nothing is known any more.
    Unknown,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It begins. Told once.
    Begins(Alert),
    /// It is over.
    Ends {
        /// What was.
        kind: Kind,
        /// When it began.
        since: Timestamp,
        /// When it was over.
        at: Timestamp,
        /// The highest minute of it; of a drop, the lowest.
        extreme: u64,
        /// Why.
        over: Over,
    },
}
