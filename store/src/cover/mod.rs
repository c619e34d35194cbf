//! Which tier answers for which part of a range, and what is known of each bucket: pure functions.
//!
//! For each part of a range [`cover`] takes the coarsest tier that
//!
//! 1. is rolled up there (the part ends at or before the tier's whole frontier),
//! 2. fits the buckets (no window straddles an edge),
//! 3. is still kept there (the part does not begin before the tier's floor),
//! 4. is not dirty there, for the environment that is asked for.
//!
//! Where a tier does not fit, the next finer one is tried, down to raw points for the open tail. A dirty window
//! whose finer tier is gone is used as it is: it is the best that is known. Where only windows are left that
//! straddle an edge, the buckets they touch cannot be answered at this grain, and are never rounded.

mod dirty;
mod known;
#[cfg(test)]
mod tests;

pub use dirty::Dirty;
pub use known::Knowledge;

use flagmeter_model::{Slot, Spans, Tier, TimeRange, Timestamp};

use crate::{CoveredPart, Error, Floors, Frontiers, Result, TierChoice};

/// What is kept of each tier: from its floor to its frontier.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept {
    /// How far the tiers are rolled up.
    pub frontiers: Frontiers,
    /// What retention has taken.
    pub floors: Floors,
}

/// Which tier answers for which part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    /// The parts in the order of time. They touch but do not overlap, and leave out exactly the buckets that
    /// are [`beyond`](Self::beyond). Each is aligned to its tier.
    pub parts: Vec<CoveredPart>,
    /// Positions of the buckets that cannot be answered at their grain, because what was kept that fine is
    /// gone. In order.
    pub beyond: Vec<usize>,
}

/// The range of bucket `bucket`; empty beyond the last.
pub fn bucket(edges: &[Timestamp], bucket: usize) -> TimeRange {
    match edges.get(bucket..).unwrap_or_default() {
        [from, to, ..] => TimeRange::new(*from, *to),
        _ => TimeRange::new(Timestamp::EPOCH, Timestamp::EPOCH),
    }
}

/// Plans the tiers for the buckets between `edges`, for an environment with these dirty windows.
///
/// [`Unanswerable`](Error::Unanswerable) when the edges are fewer than two, do not grow, or are off the grid of
/// 10 s (of the tier, where the choice is one tier alone).
pub fn cover(edges: &[Timestamp], kept: Kept, dirty: &Dirty, choice: TierChoice) -> Result<Cover> {
    let grain = match choice {
        TierChoice::Cover => Slot::SECONDS,
        TierChoice::Only(tier) => tier.seconds(),
    };
    let range = checked_range(edges, grain)?;
    let (parts, gaps) = match choice {
        TierChoice::Cover => coarsest_first(range, edges, kept, dirty),
        TierChoice::Only(tier) => {
            let lost = TimeRange::new(range.from, kept.floors.of(tier).unwrap_or(range.from).min(range.to));
            (
                vec![CoveredPart { tier, range }],
                Some(lost).filter(|lost| !lost.is_empty()).into_iter().collect(),
            )
        }
    };
    Ok(leave_out(parts, edges, &gaps))
}

/// The range of all buckets together.
fn checked_range(edges: &[Timestamp], grain: i64) -> Result<TimeRange> {
    let (Some(&from), Some(&to), true) = (edges.first(), edges.last(), edges.len() >= 2) else {
        return Err(Error::Unanswerable("a range needs two edges at least: give a start and an end".into()));
    };
    if let Some([from, to, ..]) = edges.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(Error::Unanswerable(format!(
            "{from} is not before {to}: give a start that is before the end"
        )));
    }
    if let Some(edge) = edges.iter().find(|edge| edge.floor_to(grain) != **edge) {
        return Err(Error::Unanswerable(format!(
            "{edge} is not on the grid of {grain} s: move it to a multiple of {grain} s"
        )));
    }
    Ok(TimeRange::new(from, to))
}

/// Parts in the order of time, and the gaps that no tier fills.
fn coarsest_first(
    range: TimeRange,
    edges: &[Timestamp],
    kept: Kept,
    dirty: &Dirty,
) -> (Vec<CoveredPart>, Gaps) {
    let mut parts = Vec::new();
    let mut gaps = vec![range];
    for tier in Tier::ALL.into_iter().rev() {
        let mut left = Gaps::new();
        for gap in gaps {
            fill(tier, gap, edges, kept, dirty, &mut parts, &mut left);
        }
        gaps = left;
    }
    parts.sort_unstable_by_key(|part| part.range.from);
    (parts, gaps)
}

type Gaps = Vec<TimeRange>;

fn leave(gaps: &mut Gaps, gap: TimeRange) {
    match gaps.last_mut() {
        _ if gap.is_empty() => {}
        Some(last) if last.to == gap.from => last.to = gap.to,
        _ => gaps.push(gap),
    }
}

/// Fills a gap with the windows of one tier, as far as they can be used, and leaves the rest.
fn fill(
    tier: Tier,
    gap: TimeRange,
    edges: &[Timestamp],
    kept: Kept,
    dirty: &Dirty,
    parts: &mut Vec<CoveredPart>,
    left: &mut Gaps,
) {
    let floor = kept.floors.of(tier).unwrap_or(Timestamp::EPOCH);
    let whole = kept.frontiers.whole(tier).unwrap_or(Timestamp::EPOCH);
    let from = gap.from.max(floor).ceil_to(tier.seconds());
    let to = gap.to.min(whole).floor_to(tier.seconds());
    let usable = TimeRange::new(from, to);
    if usable.is_empty() {
        return leave(left, gap);
    }
    let mut take = |range: TimeRange| {
        if !range.is_empty() {
            parts.push(CoveredPart { tier, range });
        }
    };
    leave(left, TimeRange::new(gap.from, from));
    let mut at = from;
    for hole in holes(tier, usable, edges, kept, dirty) {
        take(TimeRange::new(at, hole));
        at = hole.plus_seconds(tier.seconds());
        leave(left, TimeRange::new(hole, at));
    }
    take(TimeRange::new(at, to));
    leave(left, TimeRange::new(to, gap.to));
}

/// The windows in `usable` that cannot be used after all, by their start: straddled ones, and dirty ones that
/// the finer tier still holds.
fn holes(tier: Tier, usable: TimeRange, edges: &[Timestamp], kept: Kept, dirty: &Dirty) -> Vec<Timestamp> {
    let inside =
        edges.partition_point(|&edge| edge <= usable.from)..edges.partition_point(|&edge| edge < usable.to);
    let straddled = edges[inside]
        .iter()
        .map(|&edge| (edge, edge.floor_to(tier.seconds())))
        .filter(|(edge, start)| edge != start)
        .map(|(_, start)| start);
    let finer_floor = tier.finer().and_then(|finer| kept.floors.of(finer)).unwrap_or(Timestamp::EPOCH);
    let stale = dirty.starts(tier, usable).iter().copied().filter(|&start| start >= finer_floor);
    let mut holes: Vec<Timestamp> = straddled.chain(stale).collect();
    holes.sort_unstable();
    holes.dedup();
    holes
}

/// Leaves out the buckets that the gaps touch, whole.
fn leave_out(parts: Vec<CoveredPart>, edges: &[Timestamp], gaps: &Gaps) -> Cover {
    let mut beyond: Vec<usize> = Vec::new();
    for gap in gaps {
        let first = edges.partition_point(|&edge| edge <= gap.from).saturating_sub(1);
        let last = edges.partition_point(|&edge| edge < gap.to).saturating_sub(1);
        let next = beyond.last().map_or(0, |last| last + 1);
        beyond.extend(first.max(next)..=last);
    }
    if beyond.is_empty() {
        return Cover { parts, beyond };
    }
    let lost: Spans = beyond.iter().map(|&at| bucket(edges, at)).collect();
    let parts = parts
        .into_iter()
        .flat_map(|part| without(part.range, &lost).map(move |range| CoveredPart { range, ..part }))
        .collect();
    Cover { parts, beyond }
}

/// What remains of a range without some spans, in order.
pub(crate) fn without(range: TimeRange, lost: &Spans) -> impl Iterator<Item = TimeRange> {
    let mut at = range.from;
    let mut remains = Vec::new();
    for span in lost.iter().filter(|span| span.overlaps(range)) {
        remains.push(TimeRange::new(at, span.from));
        at = span.to;
    }
    remains.push(TimeRange::new(at, range.to));
    remains.into_iter().filter(|range| !range.is_empty())
}
