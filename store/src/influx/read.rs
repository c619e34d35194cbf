//! Answers.
//!
//! # The way of a question through here
//!
//! The standing is asked for first: frontiers, floors, what waits to be rolled up again, how far the nodes have got.
//! It gives a [`cover`]: which tier answers for which part. Then the tiers are asked ([`sums`]). There
//! are no snapshots; but counts only grow, so that an answer lies between what was there when it was asked and what
//! was there when it came.
//!
//! Dirty windows of any environment that is meant send all that are meant to the finer tiers: they hold the same,
//! and one question for all is cheaper than one for each environment.

use std::{collections::BTreeSet, sync::Arc};

use flagmeter_model::{Tier, TimeRange, Timestamp};

use super::{InfluxStore, state::standing_in, sums, tiers};
use crate::{
    Answer, Read, Result, TierChoice,
    answering::{Standpoint, Sums, by_totals},
    cover::{Dirty, Kept, cover},
};

/// Answers a question.
pub(super) async fn read(store: &InfluxStore, read: &Read) -> Result<Answer> {
    let axis = if by_totals(read)? { tiers::Axis::Totals } else { tiers::Axis::Series };
    // What makes no sense is refused before anything is asked.
    cover(&read.edges, Kept::default(), &Dirty::default(), read.tiers)?;
    let standing = standing_in(store, &read.filter, dirty_in(read)).await?;
    let kept = Kept { frontiers: standing.frontiers, floors: standing.floors };
    let shared = cover(&read.edges, kept, &Dirty::default(), read.tiers)?;
    let dirty = standing.waiting.windows.into_iter().collect();
    let all = cover(&read.edges, kept, &dirty, read.tiers)?;

    let sums = Sums::new(read.edges.len() - 1, read.groups_max);
    let sums = sums::add_up(store, &Arc::new(read.clone()), axis, &all.parts, sums).await?;

    let beyond: BTreeSet<usize> = all.beyond.iter().chain(&shared.beyond).copied().collect();
    let standpoint = Standpoint {
        kept,
        progress: &standing.progress,
        partitions: standing.partitions,
        covered: &standing.covered,
        node_timeout_ms: store.config.node_timeout_ms,
        now: store.clock.now(),
    };
    Ok(standpoint.answer(read, sums, shared, &beyond))
}

/// Where windows begin whose marks matter to the question: none where the tier is told.
fn dirty_in(read: &Read) -> TimeRange {
    match (read.edges.first(), read.edges.last(), read.tiers) {
        (Some(from), Some(&to), TierChoice::Cover) => TimeRange::new(from.floor_to(Tier::Hour.seconds()), to),
        _ => TimeRange::new(Timestamp::EPOCH, Timestamp::EPOCH),
    }
}
