//! The log between the edges and the ingesters: what was acknowledged waits here, in order, until it is stored.
//!
//! # The way of a count through this crate
//!
//! An edge hands a sealed batch to a [`Producer`] as one of the [`NewRecord`]s of an append; all records of an
//! append become readable together or not at all. A [`Consumer`] reads [`Record`]s, partition by partition, in
//! the order in which they were appended, and commits a position once everything before it is in the store.
//! What is committed may be trimmed; what is not is never lost: in the embedded log without an end, in Kafka for as long
//! as the topic's retention.
//!
//! Bytes go in and the same bytes come out: this crate does not know what a batch is.
//!
//! # Invariants
//!
//! - Only this crate knows how a log is kept. Backends: [`embedded`] (SQLite) and [`kafka`].
//! - An append that returned is durable. An append that failed may still have happened: the caller repeats it,
//!   and the reader bears it, because the identity of a point is in the batch.
//! - A consumer never skips a record, and starts at the earliest one it has not committed. Where consumers share a
//!   log, the same holds for each partition, whoever owns it.
//! - Every backend passes [`conformance`].

pub mod conformance;
mod contract;
pub mod embedded;
mod error;
#[cfg(feature = "kafka")]
pub mod kafka;
mod secret;

pub use contract::{Consumer, Lag, NewRecord, Partition, Positions, Producer, Record};
pub use error::{Error, Result};
pub use secret::is_secret;
