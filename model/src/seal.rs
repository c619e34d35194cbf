//! What an edge node hands on.

use serde::{Deserialize, Serialize};

use crate::{Environment, Error, Name, NodeId, Result, Seq, SeriesKey, Slot, Timestamp};

/// One log record: a whole seal, or one part of it.
///
/// A seal is what a node hands on at once. It may be split by partition and by size; each (environment,
/// series, slot) of a seal stands in exactly one of its batches, and every partition gets at least one batch,
/// empty or not: otherwise a quiet partition would hold all windows open. A batch is frozen when it is made:
/// it is journaled as the bytes that will be appended, and whoever repeats it repeats those bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Who sealed it.
    pub node: NodeId,
    /// Which of the node's seals.
    pub seq: Seq,
    /// Which part of the seal, over all partitions; with `seq` it names the record.
    pub part: u16,
    /// When it was sealed, by the node's clock.
    pub sealed_at: Timestamp,
    /// Since when the node has been there to receive without a break, up to `watermark`: its start, or its
    /// previous watermark.
    pub covers_from: Timestamp,
    /// The node has handed on, in this partition, all that it received before this time. Only the last batch
    /// of a seal in its partition carries one.
    pub watermark: Option<Timestamp>,
    /// The node's last words: it stops in good order, and nothing is missing without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub farewell: bool,
    /// Where the node stands, if whoever runs it says so: for views of nodes, and never an identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Name>,
    /// The counts, in the order of their environments, each once.
    pub environments: Vec<EnvironmentCounts>,
}

/// The counts of one environment in a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentCounts {
    /// Whose they are.
    pub environment: Environment,
    /// The series that occur, in order, each once.
    #[serde(deserialize_with = "crate::codec::series::read")]
    pub series: Vec<SeriesKey>,
    /// The counts by slot, in order, each slot once.
    pub slots: Vec<SlotCounts>,
}

/// The counts of one slot of one environment in a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotCounts {
    /// The slot.
    pub slot: Slot,
    /// Positions in [`EnvironmentCounts::series`], in order, each once.
    pub series: Vec<u32>,
    /// The count of each, at least 1 and at most [`i64::MAX`].
    pub counts: Vec<u64>,
}

impl Batch {
    /// How many points the batch holds.
    pub fn points(&self) -> usize {
        self.environments.iter().flat_map(|env| &env.slots).map(|slot| slot.counts.len()).sum()
    }

    /// Checks what the fields promise: order, uniqueness, bounds.
    pub fn validate(&self) -> Result<()> {
        let ordered = self.environments.windows(2).all(|pair| pair[0].environment < pair[1].environment);
        if !ordered {
            return Err(Error::Malformed("environments are not in order".into()));
        }
        if self.watermark.is_some_and(|watermark| watermark < self.covers_from) {
            return Err(Error::Malformed("covers_from lies after the watermark".into()));
        }
        self.environments.iter().try_for_each(EnvironmentCounts::validate)
    }
}

impl EnvironmentCounts {
    fn validate(&self) -> Result<()> {
        let malformed = |what: &str| Err(Error::Malformed(format!("{what} in {}", self.environment)));
        if !self.series.windows(2).all(|pair| pair[0] < pair[1]) {
            return malformed("series are not in order");
        }
        if !self.slots.windows(2).all(|pair| pair[0].slot < pair[1].slot) {
            return malformed("slots are not in order");
        }
        for counts in &self.slots {
            Slot::from_number(counts.slot.number())?;
            if counts.series.len() != counts.counts.len() {
                return malformed("a slot has more series than counts or fewer");
            }
            if !counts.series.windows(2).all(|pair| pair[0] < pair[1]) {
                return malformed("the series of a slot are not in order");
            }
            if counts.series.last().is_some_and(|&last| last as usize >= self.series.len()) {
                return malformed("a count names a series that is not there");
            }
            if counts.counts.iter().any(|&count| count == 0 || i64::try_from(count).is_err()) {
                return malformed("a count is zero or too large");
            }
        }
        Ok(())
    }

    /// Every point: its series, its slot and its count.
    pub fn points(&self) -> impl Iterator<Item = (&SeriesKey, Slot, u64)> {
        self.slots.iter().flat_map(move |counts| {
            counts
                .series
                .iter()
                .zip(&counts.counts)
                .filter_map(move |(&at, &count)| Some((self.series.get(at as usize)?, counts.slot, count)))
        })
    }
}
