//! What is asked of a store, and what it answers.

use flagmeter_model::{
    Environment, Meter, MissingNode, Name, NodeId, Series, SeriesKey, Slot, Tier, TimeRange, Timestamp,
};

use crate::{Error, Result};

/// What a series can be filtered and grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The customer.
    Customer,
    /// The project.
    Project,
    /// The environment.
    Environment,
    /// The flag, the resource, or the word of a fate.
    Name,
    /// The variant.
    Variant,
    /// The SDK.
    Sdk,
}

impl Dimension {
    /// Whether the totals tell it, so that no series need be opened.
    pub const fn is_in_totals(self) -> bool {
        matches!(self, Self::Customer | Self::Project | Self::Environment)
    }
}

/// Which series are meant. An empty list means all; several values of one dimension mean any of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Filter {
    /// Customers.
    pub customers: Vec<Name>,
    /// Projects.
    pub projects: Vec<Name>,
    /// Environments.
    pub environments: Vec<Name>,
    /// Flags or resources.
    pub names: Vec<Name>,
    /// Variants; `None` is the series without one.
    pub variants: Vec<Option<Name>>,
    /// SDKs; `None` is the series without one.
    pub sdks: Vec<Option<Name>>,
}

impl Filter {
    /// Whether an environment is meant.
    pub fn takes_environment(&self, environment: &Environment) -> bool {
        let meant = |list: &[Name], name: &Name| list.is_empty() || list.contains(name);
        meant(&self.customers, &environment.customer)
            && meant(&self.projects, &environment.project)
            && meant(&self.environments, &environment.environment)
    }

    /// Whether a series of a meant environment is meant.
    pub fn takes_key(&self, key: &SeriesKey) -> bool {
        (self.names.is_empty() || self.names.contains(&key.name))
            && (self.variants.is_empty() || self.variants.contains(&key.variant))
            && (self.sdks.is_empty() || self.sdks.contains(&key.sdk))
    }

    /// Whether every series of a meant environment is meant.
    pub const fn takes_all_keys(&self) -> bool {
        self.names.is_empty() && self.variants.is_empty() && self.sdks.is_empty()
    }
}

/// Which tiers may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TierChoice {
    /// For each part the coarsest that is whole there and fits the buckets.
    #[default]
    Cover,
    /// This one alone, whatever it holds: for audits. The edges must be on its grid, and the answer is complete
    /// only as far as the tier is rolled up.
    Only(Tier),
}

/// Which of the two axes may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AxisChoice {
    /// The totals where they tell all that is asked, else the series.
    #[default]
    Any,
    /// The series, whatever is asked: for audits.
    Series,
    /// The totals alone: for audits. Asking by flag, variant or SDK is then unanswerable.
    Totals,
}

/// Sums per meter, in the order of [`Meter::ALL`].
pub type Totals = [u64; Meter::ALL.len()];

/// A question: sums per bucket and group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What is counted.
    pub meter: Meter,
    /// The edges of the buckets: bucket `i` is `[edges[i], edges[i + 1])`. Strictly growing, at least two, all
    /// on the 10 s grid. The grain needed follows from them: days of a zone that is 30 minutes off are read
    /// from quarters, not from hours.
    pub edges: Vec<Timestamp>,
    /// Which series.
    pub filter: Filter,
    /// What to tell apart. Empty: one row of everything, there even when nothing was counted.
    pub group_by: Vec<Dimension>,
    /// Which tiers may answer.
    pub tiers: TierChoice,
    /// Which axis may answer.
    pub axis: AxisChoice,
    /// Groups at most; a read that would answer with more is [`TooMany`](crate::Error::TooMany), before it grows beyond it.
    pub groups_max: usize,
}

/// The value of one dimension of a group; `None` where the series has none.
pub type Cell = Option<Name>;

/// The values of [`Read::group_by`], in its order.
pub type GroupKey = Vec<Cell>;

/// One group's counts, a number per bucket. Groups that were not counted in any have no row. A bucket in which it was not counted holds 0; whether that is
/// knowledge is told by [`Answer::states`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which group.
    pub group: GroupKey,
    /// One per bucket.
    pub counts: Vec<u64>,
}

/// What is known of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowState {
    /// All is in: every node that was there has handed on all it received.
    Complete,
    /// Still filling: the bucket reaches past the low watermark.
    Open,
    /// Counts are known, but not whether they are all: a node is missing, or at some instant none was there.
    Partial,
    /// Nothing is known: no node was there, or what was kept is gone. Never to be shown as zero.
    Unknown,
}

/// A part of the range and the tier that answered for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoveredPart {
    /// The tier.
    pub tier: Tier,
    /// The part.
    pub range: TimeRange,
}

/// The answer to a [`Read`], from one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The groups, in the order of their keys.
    pub rows: Vec<Row>,
    /// What is known of each bucket.
    pub states: Vec<RowState>,
    /// Everything before this is in. `None` before the first seal.
    pub complete_until: Option<Timestamp>,
    /// Nodes that are silent, and since when.
    pub missing: Vec<MissingNode>,
    /// Which tiers answered, in the order of time (for the environments without dirty windows).
    pub parts: Vec<CoveredPart>,
    /// Start of the first bucket that could not be answered at its grain because what was kept that fine is
    /// gone. Such buckets are [`RowState::Unknown`].
    pub beyond_retention: Option<Timestamp>,
}

/// A question for what each edge node handed on: sums per bucket and node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByNode {
    /// What is counted.
    pub meter: Meter,
    /// The edges of the buckets, as those of a [`Read`].
    pub edges: Vec<Timestamp>,
    /// Which series.
    pub filter: Filter,
}

impl ByNode {
    /// The time that is asked for, where raw points are kept from `floor` on and all of it can be answered.
    pub(crate) fn range(&self, floor: Option<Timestamp>) -> Result<TimeRange> {
        let ([from, .., to], true) = (self.edges.as_slice(), self.edges.array_windows().all(|[a, b]| a < b))
        else {
            return Err(Error::Unanswerable("ask for at least one bucket, its end behind its start".into()));
        };
        if self.edges.iter().any(|edge| edge.floor_to(Slot::SECONDS) != *edge) {
            return Err(Error::Unanswerable(
                "raw points are kept by 10 seconds: move the edges to these".into(),
            ));
        }
        match floor {
            Some(floor) if *from < floor => Err(Error::Unanswerable(format!(
                "nodes are told by raw points, which are kept from {floor} on: ask for a later time"
            ))),
            _ => Ok(TimeRange::new(*from, *to)),
        }
    }

    /// The bucket that an instant lies in; `None` outside of all.
    pub(crate) fn bucket(&self, at: Timestamp) -> Option<usize> {
        let after = self.edges.partition_point(|&edge| edge <= at);
        (after < self.edges.len()).then(|| after.checked_sub(1)).flatten()
    }
}

/// What an edge node handed on. Nodes that were not counted in any bucket are not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCounts {
    /// Which node.
    pub node: NodeId,
    /// One per bucket.
    pub counts: Vec<u64>,
}

/// A question of an audit: every window of one tier, one axis, one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Whose.
    pub environment: Environment,
    /// From which tier. Raw points come added up by minute.
    pub tier: Tier,
    /// Which windows, by their start.
    pub range: TimeRange,
}

/// One window as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRow {
    /// Start of the window; of its minute for raw points.
    pub start: Timestamp,
    /// The series in it, in order, with their counts.
    pub series: Vec<(SeriesKey, u64)>,
    /// The totals beside them, in the order of [`Meter::ALL`].
    pub totals: Totals,
}

/// A series of the catalogue. Its times are exact while minutes are kept; before the floor of minutes a store may
/// tell the hour instead: the start of the first or the last one in which it was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesSeen {
    /// The series.
    pub series: Series,
    /// Start of the first minute in which it was counted.
    pub first_seen: Timestamp,
    /// Start of the last minute in which it was counted.
    pub last_seen: Timestamp,
}
