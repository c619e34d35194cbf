//! Until when is everything in?

use std::collections::{BTreeMap, BTreeSet};

use crate::{Name, NodeId, Slot, Timestamp};

/// How far one node has got in one partition of the log, as ingest has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeProgress {
    /// The partition.
    pub partition: u32,
    /// The node.
    pub node: NodeId,
    /// The node has handed on, in this partition, all that it received before this time.
    pub watermark: Timestamp,
    /// When its newest record was appended, by the log's time, which does not go back.
    pub heard_at: Timestamp,
    /// Whether its newest record said that it stops in good order: it is neither live nor missing.
    pub farewell: bool,
    /// Where it stands, if its newest record said so.
    pub region: Option<Name>,
}

/// A node that has fallen silent without a farewell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingNode {
    /// The node.
    pub node: NodeId,
    /// What it received from here on is not known.
    pub since: Timestamp,
    /// Where it stood.
    pub region: Option<Name>,
}

/// What is known of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeState {
    /// It stopped in good order.
    Stopped,
    /// It is heard.
    Live,
    /// It has fallen silent without a farewell, in one partition at least.
    Missing,
}

/// A node, over all partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStanding {
    /// The node.
    pub node: NodeId,
    /// Where it stands, as it said last.
    pub region: Option<Name>,
    /// It has handed on, in every partition, all that it received before this time.
    pub watermark: Timestamp,
    /// It was heard in every partition at this time or later, by the log's time.
    pub heard_at: Timestamp,
    /// Whether it is there.
    pub state: NodeState,
}

/// The newest that was heard of anyone.
struct Newest {
    /// By partition: the log's own time.
    heard: BTreeMap<u32, Timestamp>,
    /// By node, over all partitions: its watermark, and when it was heard.
    nodes: BTreeMap<NodeId, (Timestamp, Timestamp)>,
}

impl Newest {
    fn of(progress: &[NodeProgress]) -> Self {
        let mut newest = Self { heard: BTreeMap::new(), nodes: BTreeMap::new() };
        for at in progress {
            let seen = newest.heard.entry(at.partition).or_insert(at.heard_at);
            *seen = at.heard_at.max(*seen);
            let (watermark, heard_at) = newest.nodes.entry(at.node).or_insert((at.watermark, at.heard_at));
            *watermark = at.watermark.max(*watermark);
            *heard_at = at.heard_at.max(*heard_at);
        }
        newest
    }

    /// What a node is, judged by one partition.
    ///
    /// A farewell is its last word until it is heard again in any partition: then it has started anew, and the record
    /// that every partition has of that is waited for here.
    fn state(&self, at: &NodeProgress, node_timeout_ms: i64) -> NodeState {
        let (watermark, last_heard) =
            self.nodes.get(&at.node).copied().unwrap_or((at.watermark, at.heard_at));
        if at.farewell && at.watermark == watermark {
            return NodeState::Stopped;
        }
        let heard_at = if at.farewell { last_heard } else { at.heard_at };
        let newest = self.heard.get(&at.partition);
        if newest.is_some_and(|newest| newest.millis_since(heard_at) > node_timeout_ms) {
            NodeState::Missing
        } else {
            NodeState::Live
        }
    }
}

/// Until when everything is in, and who was not asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LowWatermark {
    /// Every live node has handed on all that it received before this time. `None` before the first seal, and
    /// while a partition was not read in which a node that is there must have records.
    pub at: Option<Timestamp>,
    /// Nodes left out because they are silent, in the order of their numbers.
    pub missing: Vec<MissingNode>,
}

impl LowWatermark {
    /// Everything before this is in, as answers say it: in whole slots, as counts are kept, and never beyond `now`,
    /// so that a log whose clock is ahead does not make complete what is still to come.
    pub fn complete_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.at.map(|at| at.min(now).floor_to(Slot::SECONDS))
    }
}

/// The low watermark of all nodes.
///
/// Silence is measured in the log's own time: a node is silent in a partition when its newest record there is
/// more than `node_timeout_ms` older than the newest record of anyone. So an ingester that was down for an
/// hour does not make every node look missing, and the last node standing holds the windows open instead of
/// letting an outage look like zero. When no node is live, the farthest farewell counts: nodes that stopped in
/// good order have handed on everything.
///
/// Every seal has a record in every partition. So a node that was heard in one of the `partitions` of the log has
/// records in the others as well, and until they are read nothing is known to be in. Only in a partition that has
/// been read further than the node's last record anywhere, by more than `node_timeout_ms`, is nothing waited for:
/// there the partition is younger than the node. `partitions` is 0 where the number is not known; then
/// nothing is waited for.
pub fn low_watermark(progress: &[NodeProgress], partitions: u32, node_timeout_ms: i64) -> LowWatermark {
    let newest = Newest::of(progress);
    let mut live: Option<Timestamp> = None;
    let mut stopped: BTreeMap<NodeId, Timestamp> = BTreeMap::new();
    let mut missing: BTreeMap<NodeId, Timestamp> = BTreeMap::new();
    let mut there: BTreeMap<NodeId, Timestamp> = BTreeMap::new();
    for at in progress {
        let state = newest.state(at, node_timeout_ms);
        if state != NodeState::Missing {
            let heard = there.entry(at.node).or_insert(at.heard_at);
            *heard = at.heard_at.max(*heard);
        }
        let into = match state {
            NodeState::Stopped => &mut stopped,
            NodeState::Missing => &mut missing,
            NodeState::Live => {
                live = Some(live.map_or(at.watermark, |low| low.min(at.watermark)));
                continue;
            }
        };
        let since = into.entry(at.node).or_insert(at.watermark);
        *since = at.watermark.min(*since);
    }
    let heard: BTreeSet<(NodeId, u32)> = progress.iter().map(|at| (at.node, at.partition)).collect();
    let is_awaited = |(&node, last): (&NodeId, &Timestamp)| {
        (0..partitions).any(|partition| {
            !heard.contains(&(node, partition))
                && newest
                    .heard
                    .get(&partition)
                    .is_none_or(|newest| newest.millis_since(*last) <= node_timeout_ms)
        })
    };
    let all_are_heard = !there.iter().any(is_awaited);
    LowWatermark {
        at: live.or_else(|| stopped.values().max().copied()).filter(|_| all_are_heard),
        missing: if missing.is_empty() { Vec::new() } else { with_regions(missing, progress) },
    }
}

fn with_regions(missing: BTreeMap<NodeId, Timestamp>, progress: &[NodeProgress]) -> Vec<MissingNode> {
    let mut regions = regions(progress);
    let missing = missing.into_iter();
    missing
        .map(|(node, since)| MissingNode { node, since, region: regions.remove(&node).flatten() })
        .collect()
}

/// All nodes that were ever heard, in the order of their numbers. Those that are missing are those of
/// [`low_watermark`].
pub fn node_standings(progress: &[NodeProgress], node_timeout_ms: i64) -> Vec<NodeStanding> {
    let newest = Newest::of(progress);
    let mut regions = regions(progress);
    let mut nodes: BTreeMap<NodeId, NodeStanding> = BTreeMap::new();
    for at in progress {
        let state = newest.state(at, node_timeout_ms);
        let node = nodes.entry(at.node).or_insert_with(|| NodeStanding {
            node: at.node,
            region: regions.remove(&at.node).flatten(),
            watermark: at.watermark,
            heard_at: at.heard_at,
            state,
        });
        node.watermark = node.watermark.min(at.watermark);
        node.heard_at = node.heard_at.min(at.heard_at);
        node.state = node.state.max(state);
    }
    nodes.into_values().collect()
}

/// Where each node stands, by its newest record.
fn regions(progress: &[NodeProgress]) -> BTreeMap<NodeId, Option<Name>> {
    let mut newest: BTreeMap<NodeId, &NodeProgress> = BTreeMap::new();
    for at in progress {
        let seen = newest.entry(at.node).or_insert(at);
        if (seen.heard_at, seen.partition) < (at.heard_at, at.partition) {
            *seen = at;
        }
    }
    newest.into_iter().map(|(node, at)| (node, at.region.clone())).collect()
}

#[cfg(test)]
mod tests;
