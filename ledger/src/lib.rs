//! The ledger: what each hour of an environment came to, for good.
//!
//! A store answers with what it knows at the moment; money needs an answer that stays. So when an hour is *final* it
//! gets a row here, and a row is never changed. Counts that come later make a further row, the next *revision* of the
//! hour, with the difference.
//!
//! # The way of a count through this crate
//!
//! The downsampler announces until when it is going to close, reads the hours, and appends them
//! ([`Ledger::announce`], [`Ledger::append`]); where late counts change an hour that was announced, it appends that hour
//! again. What makes a row of it is decided in one place ([`decide()`]): a count that is not more than the newest
//! revision's makes none, so whoever appends may repeat it, and two may append at once. Rows are numbered in the order of
//! the *feed*, and every process that reads keeps them in a *book*, an SQLite file that can be read by
//! position (the feed) and by hour (bills).
//!
//! Beside the rows stand *crossings*: thresholds of customers' plans, each told once in a period ([`Ledger::cross`]);
//! and *alerts*: traffic that is out of the ordinary, told once when it began and once when it is over ([`Ledger::alert`]);
//! the two of them are an *episode*, which charts ask for by time ([`Ledger::episodes`]). Both have numbers of their own.
//! What is out of the ordinary while a planned *mute* is in force ([`Ledger::mute`]) is kept like all else, and says by which
//! one it is muted.
//!
//! # Backends
//!
//! - [`EmbeddedLedger`]: the book is the ledger. One process has it.
//! - `kafka::KafkaLedger`, with the feature `kafka`: a topic of Kafka is the ledger, and each process has a book of what it
//!   has read of it.
//!
//! # Invariants
//!
//! - Rows are numbered 1, 2, 3 … without gaps, in the order in which they became known; nothing is edited or removed.
//! - Revisions of an hour are 1, 2, 3 … without gaps, and their counts only grow: counts are added to a store, never
//!   taken from it. So whoever counted less has looked earlier, whenever its words arrive.
//! - `previous` of a revision is the count of the one before; the differences of an hour add up to its newest count.
//! - The announced frontier and the closed one only move forward, and the announced one comes first.
//! - Crossings are numbered 1, 2, 3 … without gaps; there is one of each customer, meter, period and percentage, whoever
//!   finds it again.
//! - Alerts are numbered 1, 2, 3 … without gaps; of each series what began and what is over take turns, whoever watches it.
//! - Whether an alert is muted is decided in the step that appends it, against the mutes before it in the ledger; of what was
//!   told to have begun, the end is told.
//! - A mute is never changed or removed: it is over at its time, or ended once.
//! - An append is there whole or not at all.

mod alert;
mod book;
#[cfg(any(feature = "kafka", fuzzing, test))]
mod codec;
#[cfg(test)]
mod conformance;
mod contract;
mod crossing;
mod decide;
mod embedded;
mod entry;
mod episode;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(feature = "kafka")]
pub mod kafka;
mod mute;
mod notice;
mod subject;

pub use alert::{
    Alert, AlertKind, AlertPage, Alerted, Alerts, Contributor, LastSaid, Part, Said, new_alerts,
};
pub use book::Config;
pub use contract::{
    Append, Appended, Closing, Counted, Feed, Hours, Ledger, Page, Position, Row, RowKey, Scope, Standing,
};
pub use crossing::{Crossed, Crossing, CrossingPage, Crossings, first_crossings};
pub use decide::{Latest, decide};
pub use embedded::EmbeddedLedger;
pub use entry::Entry;
pub use episode::{Episode, EpisodePage, Episodes};
pub use error::{Error, Result};
pub use mute::{Ended, Mute, MuteEnd, MuteId, MuteKey, MutePage, MuteState, Mutes, Muting};
pub use notice::Notice;
pub use subject::Subject;
