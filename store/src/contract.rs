//! What every store promises.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use flagmeter_model::{Environment, Meter, Tier, Timestamp};

use crate::{
    Answer, ByNode, DeadLetter, Filter, Floors, Frontiers, Mark, NewMark, NodeCounts, Read, Result, Retained,
    Rolled, Rolling, Scan, ScanRow, SeriesSeen, State, Write, Written,
};

/// A store. Every call is safe to repeat, and safe to be cut off: what it did stays, the rest is done by the
/// next one. A read that is cut off ends soon, and does not keep later ones waiting.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // Ingest.

    /// Stores raw points, nodes' progress, the number of partitions, dead letters and log positions.
    ///
    /// Points overwrite themselves by their identity. A store may bound how many series it keeps of an environment,
    /// and fold further ones into `__other__`; a repeat folds as the first one did. Per (partition, node), progress is
    /// stored after the points, and never moves back: a repeat of an older record changes nothing. No node's watermark
    /// passes the log's time ([`Positioned::watermark`](crate::Positioned::watermark)), nor does the time in which it
    /// was there ([`Positioned::covers`](crate::Positioned::covers)). A point whose minute ends at or before the
    /// announced minute frontier marks (environment, minute) dirty: either the roll-up that was announced sees the
    /// point, or the point sees the announcement. When this returns, it is durable.
    /// Shared, not taken: whoever repeats a write repeats the very same one.
    async fn write(&self, write: Arc<Write>) -> Result<Written>;

    /// Stores of a write what may be stored before its turn: nothing that says how far anyone has got. The
    /// [`write`](Self::write) of the very same one follows, and does the rest; if this fails or is cut off, all of it.
    /// So a store that is far away need not wait while the write before ends. Others have nothing to do here.
    async fn ahead(&self, _write: &Arc<Write>) {}

    /// The farthest positions of all [`write`](Self::write)s, if this store keeps them with the data; `None` if
    /// the log has to.
    async fn positions(&self) -> Result<Option<BTreeMap<u32, u64>>>;

    // The downsampler.

    /// What is known of nodes, frontiers and floors.
    async fn state(&self) -> Result<State>;

    /// How far the tiers are rolled up, alone. It costs the same whatever is stored and waits, so it also tells whether
    /// the store can be read.
    async fn frontiers(&self) -> Result<Frontiers>;

    /// The first marks of a tier whose windows end at or before `until`, in the order of time.
    async fn marks(&self, tier: Tier, until: Timestamp, limit: usize) -> Result<Vec<Mark>>;

    /// Moves the announced minute frontier; never back. It comes before the roll-up of what it announces.
    async fn announce(&self, until: Timestamp) -> Result<()>;

    /// Makes windows from the finer tier, series and totals, and replaces what was there. Where the finer tier is past
    /// its retention the window is left as it is, or made from what is left of it, which counts only if it is more.
    ///
    /// Two downsamplers may roll the same window up at once, and one of them may sleep for long between reading and
    /// writing: what is left in the end is never from an older reading than the newest that was finished. Either
    /// reading and replacing is one step against every other write, or what was computed from less counts less.
    async fn roll(&self, rolling: &Rolling) -> Result<Rolled>;

    /// All windows of `tier` that end at or before `until` are rolled up; never moves back.
    async fn advance(&self, tier: Tier, until: Timestamp) -> Result<()>;

    /// Marks windows to be rolled up again, those that are marked already once more.
    async fn mark(&self, marks: &[NewMark]) -> Result<()>;

    /// Takes away the markings that were read, told by their tokens, and no others: a mark that has been set again
    /// since stays.
    async fn clear(&self, marks: &[Mark]) -> Result<()>;

    /// Moves the floors, never back and never beyond [`State::deletable`]; then deletes what lies behind them, a
    /// bounded piece at a time, or leaves that to the server. Where the question and the move are not one step, a
    /// write that the raw floor passes meanwhile sees it, and makes a dead letter of what may be lost.
    async fn retain(&self, floors: Floors) -> Result<Retained>;

    // Queries.

    /// Answers a question from one snapshot. Nothing is complete beyond the store's own clock.
    async fn read(&self, read: &Read) -> Result<Answer>;

    /// What each edge node handed on of what is asked, in the order of nodes, from the raw points: nothing else tells
    /// nodes. Fails with [`Unanswerable`](crate::Error::Unanswerable) where some of these are past their retention, and
    /// with [`TooMany`](crate::Error::TooMany) where they are more than a backend reads at once. Whether all is in is
    /// told by [`read`](Self::read).
    async fn by_node(&self, asked: &ByNode) -> Result<Vec<NodeCounts>>;

    /// Every window of a tier as it is kept: for audits.
    async fn scan(&self, scan: &Scan) -> Result<Vec<ScanRow>>;

    /// The environments that were ever counted for, in order.
    async fn environments(&self) -> Result<Vec<Environment>>;

    /// The series that were ever counted, of one meter, in order; [`TooMany`](crate::Error::TooMany) before the
    /// answer grows beyond `series_max`.
    async fn catalogue(&self, meter: Meter, filter: &Filter, series_max: usize) -> Result<Vec<SeriesSeen>>;

    /// Dead letters in the order of (partition, offset), after the given one.
    async fn dead_letters(&self, after: Option<(u32, u64)>, limit: usize) -> Result<Vec<DeadLetter>>;
}
