//! How it goes at each stage, from what the store and the ledger tell. Pure.
//!
//! Each stage is judged by what it could have done with what came to it: a downsampler that has rolled up all that is in
//! is not late because an edge is. What lies between the edges and the store is seen by its outcome alone: where nothing
//! comes, it is said that this is all that can be told from here.

use std::{collections::BTreeMap, time::Duration};

use chrono_tz::Tz;
use flagmeter_model::{
    LowWatermark, NodeStanding, NodeState, Tier, Timestamp, low_watermark, node_standings,
};
use flagmeter_store::State;

use super::{
    figure::{Figure, Name},
    stage::{Stage, StageId, Verdict},
};
use crate::civil;

/// So many windows a downsampler rolls up again in one go, each second: more of them wait.
const DIRTY_MAX: u64 = 500;
/// An answer about frontiers and nodes that takes longer says that the store has more to do than it can.
const SLOW_ANSWER: Duration = Duration::from_secs(2);

/// What was read.
pub(super) struct Facts {
    pub(super) now: Timestamp,
    pub(super) zone: Tz,
    pub(super) state: State,
    /// How long the store took to tell it.
    pub(super) answered_in: Duration,
    pub(super) node_timeout_ms: i64,
    /// After the low watermark has passed its end, an hour is closed so much later.
    pub(super) grace_ms: i64,
    pub(super) received: Option<f64>,
    pub(super) rejected: Option<f64>,
    pub(super) ledger: LedgerStands,
    pub(super) live: LiveStands,
}

/// What the ledger tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum LedgerStands {
    /// None is kept here.
    Absent,
    /// It does not answer.
    Silent,
    /// All hours before this are closed, by so many rows.
    At { closed: Option<Timestamp>, rows: u64 },
}

/// Who watches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveStands {
    pub(crate) viewers: usize,
    pub(crate) viewers_max: usize,
    pub(crate) queries: usize,
    pub(crate) queries_max: usize,
}

/// What follows from the facts for more than one stage.
pub(super) struct Judge {
    facts: Facts,
    low: LowWatermark,
    complete_until: Option<Timestamp>,
    nodes: Vec<NodeStanding>,
    /// The newest record of anyone, by partition and of all.
    heard: BTreeMap<u32, Timestamp>,
    newest: Option<Timestamp>,
}

impl Judge {
    pub(super) fn new(facts: Facts) -> Self {
        let State { progress, partitions, .. } = &facts.state;
        let low = low_watermark(progress, *partitions, facts.node_timeout_ms);
        let nodes = node_standings(progress, facts.node_timeout_ms);
        let mut heard = BTreeMap::new();
        for at in progress {
            let newest = heard.entry(at.partition).or_insert(at.heard_at);
            *newest = at.heard_at.max(*newest);
        }
        let newest = heard.values().max().copied();
        let complete_until = low.complete_until(facts.now);
        Self { facts, low, complete_until, nodes, heard, newest }
    }

    /// Everything before this is in.
    pub(super) const fn complete_until(&self) -> Option<Timestamp> {
        self.complete_until
    }

    /// All stages, in the order of the way.
    pub(super) fn stages(&self) -> Vec<Stage> {
        vec![
            Stage::new(StageId::Edges, self.judge_edges(), self.edges()),
            Stage::new(StageId::Log, self.judge_log(), self.log()),
            Stage::new(StageId::Ingest, self.judge_ingest(), self.ingest()),
            Stage::new(StageId::Store, self.judge_store(), self.store()),
            Stage::new(StageId::Downsampler, self.judge_downsampler(), self.downsampler()),
            Stage::new(StageId::Ledger, self.judge_ledger(), self.ledger()),
            Stage::new(StageId::Queries, self.judge_queries(), self.queries()),
        ]
    }

    fn behind_ms(&self, at: Option<Timestamp>) -> Option<i64> {
        at.map(|at| self.facts.now.millis_since(at).max(0))
    }

    fn shown(&self, at: Timestamp) -> String {
        civil::rfc3339(self.facts.zone, at)
    }

    fn nodes_in(&self, state: NodeState) -> usize {
        self.nodes.iter().filter(|node| node.state == state).count()
    }

    /// Every edge has said good-bye: nothing more is to come.
    fn all_have_stopped(&self) -> bool {
        self.nodes_in(NodeState::Stopped) == self.nodes.len()
    }

    /// Since when nothing has come of anyone, where that is too long.
    fn quiet_since(&self) -> Option<Timestamp> {
        let newest = self.newest?;
        (self.facts.now.millis_since(newest) > self.facts.node_timeout_ms).then_some(newest)
    }

    /// The live node whose watermark is the furthest behind.
    fn furthest(&self) -> Option<&NodeStanding> {
        let live = self.nodes.iter().filter(|node| node.state == NodeState::Live);
        live.min_by_key(|node| node.watermark)
    }

    fn edges(&self) -> Vec<Figure> {
        let furthest = self.furthest();
        vec![
            Figure::per_second(Name::ReceivedPerSecond, self.facts.received),
            Figure::per_second(Name::RejectedPerSecond, self.facts.rejected),
            Figure::size(Name::NodesLive, self.nodes_in(NodeState::Live)),
            Figure::size(Name::NodesMissing, self.nodes_in(NodeState::Missing)),
            Figure::size(Name::NodesStopped, self.nodes_in(NodeState::Stopped)),
            Figure::node(Name::FurthestNode, furthest.map(|node| node.node.get())),
            Figure::millis(Name::FurthestNodeBehind, self.behind_ms(furthest.map(|node| node.watermark))),
        ]
    }

    fn judge_edges(&self) -> Verdict {
        if self.nodes.is_empty() {
            return Verdict::Unknown(
                "No edge was ever heard: start one, or look whether ingest runs.".into(),
            );
        }
        if self.all_have_stopped() {
            return Verdict::Stuck(
                "Every edge has stopped in good order: nobody takes what SDKs send.".into(),
            );
        }
        if let Some(since) = self.quiet_since() {
            let since = self.shown(since);
            return Verdict::Stuck(format!(
                "Nothing was heard of any edge since {since}: none runs, or the log or ingest stands still."
            ));
        }
        self.judge_handing_on().or_worse(self.judge_missing())
    }

    fn judge_missing(&self) -> Verdict {
        let Some(first) = self.low.missing.iter().min_by_key(|missing| missing.since) else {
            return Verdict::Ok;
        };
        let region = first.region.as_ref().map(|region| format!(" ({region})")).unwrap_or_default();
        let who = match self.low.missing.len() {
            1 => format!("Node {}{region} is silent", first.node.get()),
            nodes => format!("{nodes} nodes are silent, the first of them {}{region}", first.node.get()),
        };
        let since = self.shown(first.since);
        Verdict::Late(format!("{who}, since {since}: what was received there is not known."))
    }

    /// Whether a live node holds back what it has: it is heard, and its watermark is old all the same.
    fn judge_handing_on(&self) -> Verdict {
        let held_back =
            self.facts.state.progress.iter().filter(|at| {
                self.nodes.iter().any(|node| node.node == at.node && node.state == NodeState::Live)
            });
        let furthest = held_back.max_by_key(|at| at.heard_at.millis_since(at.watermark));
        furthest.map_or(Verdict::Ok, |at| {
            Verdict::of_delay(at.heard_at.millis_since(at.watermark), || {
                let (node, watermark) = (at.node.get(), self.shown(at.watermark));
                format!("Node {node} has handed on only what it received before {watermark}: everything waits for it.")
            })
        })
    }

    fn log(&self) -> Vec<Figure> {
        let partitions = u64::from(self.facts.state.partitions);
        vec![
            Figure::count(Name::Partitions, Some(partitions).filter(|partitions| *partitions > 0)),
            Figure::time(Name::NewestRecord, self.facts.zone, self.newest),
            Figure::millis(Name::NewestRecordAge, self.behind_ms(self.newest)),
        ]
    }

    fn judge_log(&self) -> Verdict {
        if self.newest.is_none() {
            return Verdict::Unknown("No record of it was ever read.".into());
        }
        match self.quiet_since() {
            Some(since) if !self.all_have_stopped() => {
                let since = self.shown(since);
                Verdict::Unknown(format!(
                    "The newest record that was read is of {since}: whether there are more is not known here."
                ))
            }
            _ => Verdict::Ok,
        }
    }

    fn ingest(&self) -> Vec<Figure> {
        let State { dead_letters, dead_letter_counts, .. } = self.facts.state;
        vec![
            Figure::time(Name::CompleteUntil, self.facts.zone, self.complete_until),
            Figure::millis(Name::CompleteBehind, self.behind_ms(self.complete_until)),
            Figure::count(Name::DeadLetters, dead_letters),
            Figure::count(Name::DeadLetterCounts, dead_letter_counts),
        ]
    }

    fn judge_ingest(&self) -> Verdict {
        if self.heard.is_empty() {
            return Verdict::Unknown("Nothing was ever taken from the log.".into());
        }
        if self.all_have_stopped() {
            return Verdict::Ok;
        }
        if let Some(since) = self.quiet_since() {
            let since = self.shown(since);
            return Verdict::Stuck(format!("Nothing was taken from the log since {since}."));
        }
        if self.low.at.is_none() {
            return Verdict::Late(
                "A partition of the log that edges write to was not read yet: until then nothing is known to be in."
                    .into(),
            );
        }
        // Each seal has a record in each partition: one that is behind the others is read too slowly.
        let slowest = self.heard.iter().min_by_key(|(_, at)| **at);
        slowest.map_or(Verdict::Ok, |(partition, at)| {
            Verdict::of_delay(self.facts.now.millis_since(*at), || {
                format!("Partition {partition} of the log was read until {} only.", self.shown(*at))
            })
        })
    }

    fn store(&self) -> Vec<Figure> {
        let answered_ms = i64::try_from(self.facts.answered_in.as_millis()).ok();
        vec![
            Figure::millis(Name::AnsweredIn, answered_ms),
            Figure::time(Name::RawSince, self.facts.zone, self.facts.state.raw_first),
        ]
    }

    fn judge_store(&self) -> Verdict {
        let seconds = self.facts.answered_in.as_secs_f64();
        if self.facts.answered_in < SLOW_ANSWER {
            return Verdict::Ok;
        }
        Verdict::Late(format!(
            "It took {seconds:.1} s to tell where it stands: it has more to do than it can."
        ))
    }

    fn downsampler(&self) -> Vec<Figure> {
        let State { frontiers, dirty, dirty_first, .. } = &self.facts.state;
        let zone = self.facts.zone;
        let of_tiers = Tier::ROLLED.into_iter().flat_map(|tier| {
            let whole = frontiers.whole(tier);
            let names = Name::of(tier).into_iter();
            names.flat_map(move |(until, behind)| {
                [Figure::time(until, zone, whole), Figure::millis(behind, self.behind_ms(whole))]
            })
        });
        let first = dirty_first.iter().flatten().min().copied();
        let of_dirty =
            [Figure::count(Name::DirtyWindows, *dirty), Figure::time(Name::DirtyFirst, zone, first)];
        of_tiers.chain(of_dirty).collect()
    }

    fn judge_downsampler(&self) -> Verdict {
        let Some(complete_until) = self.complete_until else {
            return Verdict::Unknown("Nothing can be rolled up before it is known to be in.".into());
        };
        let tiers = Tier::ROLLED.into_iter().map(|tier| {
            let Some(from) = self.rolled_until(tier) else { return Verdict::Ok };
            let due = from.plus_seconds(tier.seconds());
            Verdict::of_delay(complete_until.millis_since(due), || {
                format!(
                    "Windows of {tier} are rolled up until {} only, although everything is in until {}.",
                    self.shown(from),
                    self.shown(complete_until)
                )
            })
        });
        let dirty = self.facts.state.dirty;
        let waiting = if dirty > DIRTY_MAX {
            Verdict::Late(format!(
                "{dirty} windows wait to be rolled up again, because counts for them came late; answers read the \
                 finer ones until then."
            ))
        } else {
            Verdict::Ok
        };
        tiers.fold(Verdict::Ok, Verdict::or_worse).or_worse(waiting)
    }

    /// All windows of the tier before this are rolled up; `None` where there are none yet.
    fn rolled_until(&self, tier: Tier) -> Option<Timestamp> {
        let first = self.facts.state.raw_first.map(|first| first.floor_to(tier.seconds()));
        self.facts.state.frontiers.whole(tier).or(first)
    }

    fn ledger(&self) -> Vec<Figure> {
        let (closed, rows) = match self.facts.ledger {
            LedgerStands::At { closed, rows } => (closed, Some(rows)),
            LedgerStands::Absent | LedgerStands::Silent => (None, None),
        };
        vec![
            Figure::time(Name::ClosedUntil, self.facts.zone, closed),
            Figure::millis(Name::ClosedBehind, self.behind_ms(closed)),
            Figure::count(Name::LedgerRows, rows),
        ]
    }

    fn judge_ledger(&self) -> Verdict {
        let closed = match self.facts.ledger {
            LedgerStands::Absent => {
                return Verdict::Unknown("None is kept here, so there are no bills.".into());
            }
            LedgerStands::Silent => {
                let says = "It does not answer: that says nothing about the bills, ask again.";
                return Verdict::Unknown(says.into());
            }
            LedgerStands::At { closed, .. } => closed,
        };
        let first = self.facts.state.raw_first.map(|first| first.floor_to(Tier::Hour.seconds()));
        let (Some(complete_until), Some(from)) = (self.complete_until, closed.or(first)) else {
            return Verdict::Unknown("No hour was ever closed, and none is known to be due.".into());
        };
        let end = from.plus_seconds(Tier::Hour.seconds());
        if self.facts.state.frontiers.whole(Tier::Hour) < Some(end) {
            // It waits for the downsampler.
            return Verdict::Ok;
        }
        let due = end.plus_millis(self.facts.grace_ms);
        Verdict::of_delay(complete_until.millis_since(due), || match closed {
            Some(closed) => format!(
                "Hours are closed until {} only: the next one has been due since {}.",
                self.shown(closed),
                self.shown(due)
            ),
            None => format!("No hour was ever closed: the first one has been due since {}.", self.shown(due)),
        })
    }

    fn queries(&self) -> Vec<Figure> {
        let LiveStands { viewers, viewers_max, queries, queries_max } = self.facts.live;
        vec![
            Figure::size(Name::LiveViewers, viewers),
            Figure::size(Name::LiveViewersMax, viewers_max),
            Figure::size(Name::LiveQueries, queries),
            Figure::size(Name::LiveQueriesMax, queries_max),
        ]
    }

    fn judge_queries(&self) -> Verdict {
        let LiveStands { viewers, viewers_max, .. } = self.facts.live;
        if viewers < viewers_max {
            return Verdict::Ok;
        }
        Verdict::Late(format!(
            "All {viewers_max} places for live streams are taken: whoever comes now is refused \
             (queries.live_viewers_max)."
        ))
    }
}
