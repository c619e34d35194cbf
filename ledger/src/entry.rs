//! What an append, or an announcement, changes: the unit in which a book grows.

use flagmeter_model::Timestamp;

use crate::{Alert, Closing, Crossing, Mute, MuteEnd, Position, Row};

/// One step of a ledger, whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The announced frontier moves to here.
    pub announced: Option<Timestamp>,
    /// Rows, in the order of their positions.
    pub rows: Vec<Row>,
    /// The closed frontier moves, by these rows and those before.
    pub closing: Option<Closing>,
    /// Crossings, in the order of their numbers.
    pub crossings: Vec<Crossing>,
    /// All crossings up to this one were delivered.
    pub delivered: Option<Position>,
    /// Alerts, in the order of their numbers.
    pub alerts: Vec<Alert>,
    /// All alerts up to this one were delivered.
    pub alerts_delivered: Option<Position>,
    /// Mutes, in the order of their numbers.
    pub mutes: Vec<Mute>,
    /// Mutes that were ended before their time.
    pub mute_ends: Vec<MuteEnd>,
}
