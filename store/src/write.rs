//! What goes into a store, and what its keepers need to know of it.

use std::collections::BTreeMap;

use flagmeter_model::{Batch, Environment, NodeProgress, Spans, Tier, TimeRange, Timestamp, Window};

/// A decoded batch with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Positioned {
    /// Partition of the log.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
    /// When it was appended, by the log's clock.
    pub appended_at: Timestamp,
    /// The batch.
    pub batch: Batch,
}

/// A node tells its times by its own clock, which may have been ahead; the log's clock bounds what is believed.
impl Positioned {
    /// The node's watermark, but no later than the record was appended: what it receives from then on is not in.
    pub fn watermark(&self) -> Option<Timestamp> {
        self.batch.watermark.map(|at| at.min(self.appended_at))
    }

    /// When the node was there to receive: up to [`watermark`](Self::watermark). `heard_at` is when its newest
    /// record before this one was appended in the partition.
    ///
    /// A node whose clock is ahead says that it is there from a time that is still to come. It was there all the
    /// same: since it was last heard, if that is no longer ago than what is a break and no outage.
    pub fn covers(&self, heard_at: Option<Timestamp>, node_timeout_ms: i64) -> Option<TimeRange> {
        let to = self.watermark()?;
        let is_ahead = self.batch.covers_from > self.appended_at;
        let from = if is_ahead {
            heard_at.filter(|&heard_at| to.millis_since(heard_at) <= node_timeout_ms)?
        } else {
            self.batch.covers_from
        };
        Some(TimeRange::new(from, to)).filter(|range| !range.is_empty())
    }
}

/// A record, or a part of one, that could not be stored; kept with its bytes. Its identity is (partition,
/// offset): written again it replaces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Partition of the log.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
    /// When it was found.
    pub at: Timestamp,
    /// Why, as a short stable word.
    pub reason: String,
    /// Why, in full.
    pub detail: String,
    /// Counts in it that are not in the store: known where it could be decoded.
    pub count: Option<u64>,
    /// The record, as it was read.
    pub payload: Vec<u8>,
}

/// One step of ingest: applied whole or not at all where the backend can, else in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Write {
    /// The batches, in the order of the log within each partition.
    pub batches: Vec<Positioned>,
    /// What could not be decoded.
    pub dead_letters: Vec<DeadLetter>,
    /// Per partition of the log, the offset of the next record that is wanted after this step.
    pub positions: BTreeMap<u32, u64>,
    /// How many partitions the log has; 0 where that is not known.
    pub partitions: u32,
}

/// What became of a [`Write`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// Points written or written again.
    pub points: u64,
    /// Marks set because points lay behind the minute frontier.
    pub dirty: u64,
    /// Points older than the raw floor, without those of records that are known to be repeats. Their counts
    /// cannot be stored any more; the store has put them, and no others, among the dead letters (reason
    /// `past_retention`). Where a record may be a repeat of one that was stored in time, or not, the dead letter
    /// does not say how many counts are lost.
    pub past_retention: u64,
    /// Points of one record, environment and minute whose counts add up beyond what the store can keep: set aside in
    /// the same way (reason `overflow`).
    pub overflow: u64,
    /// Points that were folded into `__other__`, because their environment has as many series as the store keeps;
    /// repeats included. Their totals are exact.
    pub folded: u64,
    /// Dead letters that the store made of such points, by reason: repeats included.
    pub dead_letters: BTreeMap<&'static str, u64>,
}

/// How far a tier is rolled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Frontier {
    /// Windows that end at or before this may have been rolled up: a point behind it marks its minute dirty.
    /// For minutes only it can be ahead of `whole`. `None` before the first.
    pub announced: Option<Timestamp>,
    /// All windows that end at or before this are rolled up, but for the dirty ones. `None` before the first.
    pub whole: Option<Timestamp>,
}

/// The frontiers of the rolled tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Frontiers {
    /// Of minutes.
    pub minute: Frontier,
    /// Of quarters.
    pub quarter: Frontier,
    /// Of hours.
    pub hour: Frontier,
}

impl Frontiers {
    /// The frontier of a rolled tier; raw points are whole as they come.
    pub const fn whole(&self, tier: Tier) -> Option<Timestamp> {
        match tier {
            Tier::Raw => Some(Timestamp::MAX),
            Tier::Minute => self.minute.whole,
            Tier::Quarter => self.quarter.whole,
            Tier::Hour => self.hour.whole,
        }
    }
}

/// Before these times the tiers hold nothing any more. `None`: nothing was ever deleted. Hours stay for ever.
///
/// No floor lies above the one of the finer tier: a late point is taken down to the raw floor, and everything
/// that is made from it must still be there. A store lowers what is asked to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Floors {
    /// Of raw points.
    pub raw: Option<Timestamp>,
    /// Of minutes.
    pub minute: Option<Timestamp>,
    /// Of quarters.
    pub quarter: Option<Timestamp>,
}

impl Floors {
    /// The floor of a tier.
    pub const fn of(&self, tier: Tier) -> Option<Timestamp> {
        match tier {
            Tier::Raw => self.raw,
            Tier::Minute => self.minute,
            Tier::Quarter => self.quarter,
            Tier::Hour => None,
        }
    }
}

/// A window of an environment to mark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NewMark {
    /// The window; never one of raw points.
    pub window: Window,
    /// Whose.
    pub environment: Environment,
}

/// A window of an environment that must be rolled up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The window.
    pub window: Window,
    /// Whose.
    pub environment: Environment,
    /// One of each marking that was seen, in order; a store that keeps only the last marking gives one. A token is
    /// never used twice in the life of the store, not even after the mark was cleared: so a marking set while its
    /// window is being rolled up survives, however long the one who read the mark slept.
    pub tokens: Vec<u64>,
}

/// What to roll up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rolling {
    /// All windows of the tier that begin in the range, of all environments. The range is aligned to the tier.
    Range(Tier, TimeRange),
    /// These windows, all of one tier.
    Windows(Vec<NewMark>),
}

/// What rolling up wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rolled {
    /// Windows of environments that were written (those without data are not).
    pub windows: u64,
    /// Series-windows in them.
    pub points: u64,
}

/// What retention deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Rows deleted.
    pub rows: u64,
    /// Whether more is left to delete, or more room to give back: call again.
    pub more: bool,
}

/// What the downsampler and the views of nodes need to know, from one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// How far each node has got in each partition.
    pub progress: Vec<NodeProgress>,
    /// How many partitions the log has: the most that a [`Write`] has told; 0 where none has.
    pub partitions: u32,
    /// When at least one node was there to receive.
    pub covered: Spans,
    /// How far the tiers are rolled up.
    pub frontiers: Frontiers,
    /// What retention has taken.
    pub floors: Floors,
    /// Start of the earliest minute that holds a raw point.
    pub raw_first: Option<Timestamp>,
    /// How many marks wait; a store that keeps each marking by itself counts those of one window one by one.
    pub dirty: u64,
    /// Start of the earliest window that is marked, per tier, in the order of [`Tier::ROLLED`].
    pub dirty_first: [Option<Timestamp>; 3],
    /// Records among the dead letters.
    pub dead_letters: u64,
    /// Counts known to be in them.
    pub dead_letter_counts: u64,
}

impl State {
    /// The farthest floors that lose nothing: hours that every coarser tier has whole, before the first window
    /// whose roll-up, or that of the windows above it, still reads there. `None`: nothing may be deleted yet.
    pub fn deletable(&self) -> Floors {
        let [minute, quarter, hour] = self.dirty_first;
        // While a coarser tier lags, the finer ones below it stay: the first raw point then tells where any of
        // them begins.
        let tiers = Tier::ROLLED.map(|tier| self.frontiers.whole(tier));
        let whole = tiers.into_iter().min().flatten();
        let before = |marks: &[Option<Timestamp>]| {
            let first = marks.iter().flatten().min().copied();
            whole.map(|whole| first.map_or(whole, |first| first.min(whole)).floor_to(Tier::Hour.seconds()))
        };
        Floors {
            raw: before(&[minute]),
            minute: before(&[minute, quarter]),
            quarter: before(&[minute, quarter, hour]),
        }
    }
}
