//! Sums by edge node.

use std::collections::BTreeMap;

use flagmeter_model::{NodeId, Timestamp};

use super::plus;
use crate::{ByNode, NodeCounts, Result};

/// Sums by node and bucket: there are 1,024 nodes at most.
#[derive(Debug)]
pub(crate) struct NodeSums<'a> {
    asked: &'a ByNode,
    nodes: BTreeMap<NodeId, Vec<u64>>,
}

impl<'a> NodeSums<'a> {
    /// Nothing yet.
    pub(crate) const fn new(asked: &'a ByNode) -> Self {
        Self { asked, nodes: BTreeMap::new() }
    }

    /// Adds a count; one outside of all buckets is not asked for.
    pub(crate) fn add(&mut self, node: NodeId, at: Timestamp, count: u64) -> Result<()> {
        let Some(bucket) = self.asked.bucket(at) else { return Ok(()) };
        let counts = self.nodes.entry(node).or_insert_with(|| vec![0; self.asked.edges.len() - 1]);
        if let Some(sum) = counts.get_mut(bucket) {
            *sum = plus(*sum, count)?;
        }
        Ok(())
    }

    /// What was counted, in the order of nodes.
    pub(crate) fn into_counts(self) -> Vec<NodeCounts> {
        let counted = self.nodes.into_iter().filter(|(_, counts)| counts.iter().any(|&count| count > 0));
        counted.map(|(node, counts)| NodeCounts { node, counts }).collect()
    }
}
