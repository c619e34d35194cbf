//! What every log promises.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use flagmeter_model::{Lane, Timestamp};

use crate::Result;

/// The number of a partition, from 0.
pub type Partition = u32;

/// Per partition the offset of the next record that is wanted.
pub type Positions = BTreeMap<Partition, u64>;

/// A record to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// Where to.
    pub partition: Partition,
    /// What.
    pub payload: Bytes,
}

/// A record that was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it lies.
    pub partition: Partition,
    /// Its place there: growing, not always by one.
    pub offset: u64,
    /// When it was appended, by the log's clock, which never goes back within a partition: silence is measured
    /// with it, and one record from the future must not make every later one look old.
    pub appended_at: Timestamp,
    /// The bytes, as they were given.
    pub payload: Bytes,
}

/// What is not committed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Records at or after the committed positions. Exact for those that are within the consumer's reach; beyond
    /// it, a log that keeps marks of its own between the records may count these as well. 0 means none.
    pub records: u64,
    /// When the oldest of them was appended, by the log's clock; `None` if there is none, or it is not known yet.
    pub oldest: Option<Timestamp>,
}

/// The writing end. One of them per edge node.
#[async_trait]
pub trait Producer: Send + Sync + 'static {
    /// How many partitions there are: a number that does not change while the producer lives, at least 1.
    fn partitions(&self) -> u32;

    /// Which numbers this producer's caller may give to its seals. It may change: then for the seals that are made
    /// from then on.
    fn lane(&self) -> Lane {
        Lane::default()
    }

    /// Appends all records, in order, together: readers see all or none. Returns when they are durable.
    ///
    /// [`Error::Fenced`](crate::Error::Fenced) when another producer of the same node took this one's place: it
    /// never appends again.
    async fn append(&self, records: Vec<NewRecord>) -> Result<()>;
}

/// The reading end.
///
/// Where several read one log, each owns some of the partitions, and which ones may change between two calls.
/// Records of a partition that has come begin at its committed position, whatever was read of it before; records of
/// one that has gone come no more, though some may have been handed out that are not committed. They will come to
/// the new owner.
#[async_trait]
pub trait Consumer: Send + 'static {
    /// How many partitions the log has, those of other consumers included: at least 1. It may grow.
    fn partitions(&self) -> u32;

    /// The next records, in order within each partition: as many as are there, up to about `bytes_max` of
    /// payload (at least one record if there is any). Waits up to `wait` for the first; none after that.
    ///
    /// Without a `wait` nothing is returned only if there was nothing: what was appended to this consumer's
    /// partitions before the call counts as there, however long it takes to be fetched.
    async fn read(&mut self, bytes_max: usize, wait: Duration) -> Result<Vec<Record>>;

    /// Goes on from these positions instead of the committed ones. Partitions not named stay where they are, and
    /// those of other consumers are left to them. Where the store keeps the positions with the data, they win over the
    /// log's own. Returns those of them at which it does go on: where one is not in the log any more, or not yet, it
    /// goes on with the first record that is kept, and leaves the partition out.
    async fn seek(&mut self, positions: &Positions) -> Result<Positions>;

    /// Everything before these positions is in the store. Never moves a position backwards. A partition that has
    /// gone to another consumer in the meantime is left out, without an error: its new owner reads again what was
    /// not committed.
    async fn commit(&mut self, positions: &Positions) -> Result<()>;

    /// What is not committed, over this consumer's partitions.
    async fn lag(&mut self) -> Result<Lag>;
}
