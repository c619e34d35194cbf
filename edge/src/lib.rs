//! The edge: from an SDK's HTTP call to sealed records in the log, with nothing acknowledged before it is on disk.
//!
//! # The way of a count through this crate
//!
//! 1. **Door** (`doors/`): an HTTP address with the manners of one kind of SDK. It finds the environment by the
//!    key, reads the body within bounds, and decompresses it within bounds.
//! 2. **Wire** ([`wire`]): a pure function per format makes [`wire::Taken`] of the bytes: entries that are good,
//!    and a reason for each that is not.
//! 3. **Inbox**: what was taken waits, bounded in requests and in bytes, for the committer. Each customer may have as much
//!    of that room as is left free, so that no burst of one keeps the others out.
//! 4. **Committer** (`committer/`): one thread takes all that waits, looks for idempotency keys that were
//!    seen before, adds everything up by (environment, series, slot), and writes one row to the journal. One
//!    fsync covers the whole group; then every sender of it is answered 2xx.
//! 5. **Seal**: once a second, what was added up since the last seal becomes batches (split by partition and by
//!    size, and by how their customers' batches are encoded), which go to the outbox while the rows they cover go away, in one transaction. From then on the
//!    identity of these counts is frozen. A seal without counts is made all the same, for its watermark, unless
//!    the log has taken nothing since the last one.
//! 6. **Hand-on**: the outbox is appended to the log, oldest first, and forgotten when the log has it.
//!
//! What goes in: requests of strangers. What comes out: records that [`flagmeter_model::decode`] reads.
//!
//! # Invariants
//!
//! - A 2xx leaves after the fsync that covers it (unless [`Ack::Memory`] is chosen).
//! - The mark of an idempotency key, the counts, and what became of every count are in the same commit.
//! - Between a seal's transaction and the log's acknowledgement the bytes of a record never change: whatever is
//!   repeated has the same identity.
//! - All that was received before a seal's watermark is in that seal or an earlier one: arrival is stamped by
//!   the thread that seals.
//! - Each (environment, series, slot) of a seal stands in exactly one of its batches.
//! - Nothing is dropped silently: an entry that is not taken has a reason, which is counted like a count.
//! - No identity is hashed with a seed: partitions are the same in every process.

mod committer;
mod config;
mod doors;
mod edge;
mod error;
mod handon;
mod inbox;
mod journal;
mod metrics;
mod requests;
mod shares;
#[cfg(test)]
mod tests;
mod traces;
mod varint;
pub mod wire;

pub use config::{Ack, Config, EncodingOf};
pub use edge::Edge;
pub use error::{Error, Result};
