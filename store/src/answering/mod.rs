//! What every backend does alike with a question: which axis answers it, the sums, and the answer.

mod nodes;
mod sums;

use std::collections::BTreeSet;

use flagmeter_model::{NodeProgress, Spans, Tier, Timestamp, low_watermark};

pub(crate) use self::{
    nodes::NodeSums,
    sums::{COUNT_MAX, Sums, plus},
};
use crate::{
    Answer, AxisChoice, Dimension, Error, Read, Result, Row, RowState, TierChoice,
    cover::{Cover, Kept, Knowledge, bucket},
};

/// Whether the totals answer the question.
pub(crate) fn by_totals(read: &Read) -> Result<bool> {
    let told = read.filter.takes_all_keys() && read.group_by.iter().copied().all(Dimension::is_in_totals);
    match read.axis {
        AxisChoice::Any => Ok(told),
        AxisChoice::Series => Ok(false),
        AxisChoice::Totals if !told => Err(Error::Unanswerable(
            "the totals do not tell flags, variants and SDKs apart: filter and group by customer, project and \
             environment, or ask the series"
                .into(),
        )),
        AxisChoice::Totals if !on_minutes(&read.edges) => Err(Error::Unanswerable(
            "the totals are kept by minute: move the edges to whole minutes, or ask the series".into(),
        )),
        AxisChoice::Totals => Ok(true),
    }
}

/// Whether no edge parts a minute.
pub(crate) fn on_minutes(edges: &[Timestamp]) -> bool {
    edges.iter().all(|edge| edge.floor_to(Tier::Minute.seconds()) == *edge)
}

/// What a backend knows at the instant of a question, besides the counts.
#[derive(Debug)]
pub(crate) struct Standpoint<'s> {
    /// Frontiers and floors.
    pub(crate) kept: Kept,
    /// How far each node has got.
    pub(crate) progress: &'s [NodeProgress],
    /// Partitions of the log; 0 where that is not known.
    pub(crate) partitions: u32,
    /// When at least one node was there.
    pub(crate) covered: &'s Spans,
    /// The silence after which a node is missing.
    pub(crate) node_timeout_ms: i64,
    /// The store's clock.
    pub(crate) now: Timestamp,
}

impl Standpoint<'_> {
    /// Puts the answer together. `shared` covers the environments without dirty windows; `beyond` are the buckets
    /// that could not be answered for some environment.
    pub(crate) fn answer(&self, read: &Read, sums: Sums, shared: Cover, beyond: &BTreeSet<usize>) -> Answer {
        let mut low = low_watermark(self.progress, self.partitions, self.node_timeout_ms);
        // A log whose clock is ahead must not make complete what is still to come.
        low.at = low.complete_until(self.now);
        if let TierChoice::Only(tier) = read.tiers {
            low.at = low.at.min(self.kept.frontiers.whole(tier));
        }
        let known = Knowledge::new(&low, self.covered, self.node_timeout_ms);
        let state = |(position, counted)| {
            if beyond.contains(&position) {
                RowState::Unknown
            } else {
                known.state(bucket(&read.edges, position), counted)
            }
        };
        let states = sums.counted().into_iter().enumerate().map(state).collect();
        let mut rows = sums.into_rows();
        if rows.is_empty() && read.group_by.is_empty() {
            rows.push(Row { group: Vec::new(), counts: vec![0; read.edges.len() - 1] });
        }
        Answer {
            rows,
            states,
            complete_until: known.complete_until,
            missing: known.missing.to_vec(),
            parts: shared.parts,
            beyond_retention: beyond.first().map(|&position| bucket(&read.edges, position).from),
        }
    }
}
