//! Sums of what the tiers hold, told exactly.
//!
//! A sum is made in two steps. First the windows are asked for that were rolled up again. Then sums are asked for
//! inside the database: of all environments that have no such window over the whole time, of the others without these
//! windows, and their points there value by value. Whatever is written in between, each window is counted once.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use flagmeter_model::{Environment, Tier, TimeRange, Timestamp};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    InfluxStore, blocking,
    budget::Budget,
    csv::{self, Row, damaged},
    ql::{Run, Where, runs, tag},
    schema::source,
    tiers::{Axis, Windows, columns},
};
use crate::{CoveredPart, Dimension, GroupKey, Read, Result, answering::Sums};

/// Statements in one request, which the server answers one after the other.
const STATEMENTS_MAX: usize = 50;
/// Requests on their way at once for one call.
const REQUESTS_MAX: usize = 4;
/// Buckets of one statement that groups. To put a group's bucket together costs the server more than to read its
/// points; so a long chart is asked for in pieces, side by side.
const GROUPED_BUCKETS_MAX: usize = 30;
/// Stretches of windows that are left out of the sums of one part. Beyond it the nearest ones become one.
const HOLES_MAX: usize = 32;
/// Environments that are asked for apart from all others. Beyond it there is one question for all.
const APART_MAX: usize = 32;

/// Adds up what a read asks for, part by part.
pub(super) async fn add_up(
    store: &InfluxStore,
    read: &Arc<Read>,
    axis: Axis,
    parts: &[CoveredPart],
    sums: Sums,
) -> Result<Sums> {
    let budget = Budget::new(store.config.answer_bytes_max);
    let questions = Questions { store, read, axis };
    let windows: Vec<Windows> = parts.iter().map(|part| Windows::of(part.tier)).collect();
    let rolled = parts.iter().copied().enumerate().filter(|(_, part)| part.tier != Tier::Raw);
    let again: Vec<String> =
        rolled.map(|(place, part)| questions.points(place, axis.again(), part, &Who::All)).collect();
    let again = take_points(store, &again, &budget, windows).await?;

    let (mut in_sum, mut one_by_one) = (Vec::new(), Vec::new());
    for (place, (&part, again)) in parts.iter().zip(&again).enumerate() {
        let CoveredPart { tier, range } = part;
        let late = again.environments();
        let who = if (1..=APART_MAX).contains(&late.len()) {
            in_sum.extend(questions.sums(part, &Who::Except(&late)));
            Who::Only(&late)
        } else {
            Who::All
        };
        let mut from = range.from;
        for hole in holes(&again.starts(), tier) {
            in_sum.extend(questions.sums(CoveredPart { tier, range: TimeRange::new(from, hole.from) }, &who));
            one_by_one.push(questions.points(
                place,
                axis.measurement(),
                CoveredPart { tier, range: hole },
                &who,
            ));
            from = hole.to;
        }
        in_sum.extend(questions.sums(CoveredPart { tier, range: TimeRange::new(from, range.to) }, &who));
    }
    let values = take_points(store, &one_by_one, &budget, again).await?;
    let sums = take_sums(store, &in_sum, &budget, read, sums).await?;

    let read = Arc::clone(read);
    blocking(move || {
        let mut sums = sums;
        for (counted, start, value) in values.iter().flat_map(Windows::iter) {
            let group: GroupKey = read.group_by.iter().map(|&dimension| counted.cell(dimension)).collect();
            let group = sums.group(&group)?;
            sums.add(group, bucket(&read, start)?, value)?;
        }
        Ok(sums)
    })
    .await
}

/// Whom a question means, of those that the read's filter does.
#[derive(Debug, Clone, Copy)]
enum Who<'e> {
    All,
    Only(&'e BTreeSet<Environment>),
    Except(&'e BTreeSet<Environment>),
}

/// What is asked for one read.
#[derive(Debug, Clone, Copy)]
struct Questions<'r> {
    store: &'r InfluxStore,
    read: &'r Read,
    axis: Axis,
}

impl Questions<'_> {
    /// Asks for the points of a part as they stand, for the windows at this place.
    fn points(self, place: usize, measurement: &str, part: CoveredPart, who: &Who<'_>) -> String {
        let source = source(self.store.buckets.tier(part.tier), measurement);
        self.axis.points_of(&source, &format!("p{place}"), &self.conditions(part.range, who))
    }

    /// Asks for the sums of a part, run by run of equal buckets.
    fn sums(self, part: CoveredPart, who: &Who<'_>) -> Vec<String> {
        let source = source(self.store.buckets.tier(part.tier), self.axis.measurement());
        let tags = group_tags(&self.read.group_by);
        let sum = |run: Run| {
            let conditions = self.conditions(run.range, who);
            let group_by = run.group_by(&tags);
            let sum = format!("SELECT sum(\"count\") AS \"sum\" FROM {source} WHERE {conditions}{group_by}");
            if tags.is_empty() { sum } else { format!("SELECT \"sum\"{} FROM ({sum})", columns(&tags)) }
        };
        let buckets_max = if tags.is_empty() { usize::MAX } else { GROUPED_BUCKETS_MAX };
        runs(&self.read.edges, part.range, buckets_max).into_iter().map(sum).collect()
    }

    fn conditions(self, range: TimeRange, who: &Who<'_>) -> Where {
        let conditions = Where::within(range).meter(self.read.meter).filter(&self.read.filter);
        match *who {
            Who::All => conditions,
            Who::Only(environments) => conditions.environments(environments),
            Who::Except(environments) => conditions.without(environments),
        }
    }
}

/// Asks statements, a few at a time; their answers come in no order, and all of them draw on one budget.
fn ask<'s>(
    store: &'s InfluxStore,
    statements: &[String],
    budget: &'s Budget,
) -> impl stream::Stream<Item = Result<Bytes>> + 's {
    let request = |statements: &[String]| {
        let request = statements.join(";");
        async move { store.client.query_within(&request, budget).await }
    };
    let together = statements.len().div_ceil(REQUESTS_MAX).clamp(1, STATEMENTS_MAX);
    let requests: Vec<_> = statements.chunks(together).map(request).collect();
    stream::iter(requests).buffer_unordered(REQUESTS_MAX)
}

/// Takes each point into the windows at the place that it was asked for.
async fn take_points(
    store: &InfluxStore,
    statements: &[String],
    budget: &Budget,
    into: Vec<Windows>,
) -> Result<Vec<Windows>> {
    let fold = |mut into: Vec<Windows>, answer: Bytes| {
        blocking(move || {
            csv::visit(&answer, |row| {
                let place = row.label().strip_prefix('p').and_then(|place| place.parse::<usize>().ok());
                let windows = place.and_then(|place| into.get_mut(place));
                windows.ok_or_else(|| damaged("an answer that was not asked for"))?.take(row)
            })?;
            Ok(into)
        })
    };
    ask(store, statements, budget).try_fold(into, fold).await
}

/// Adds each sum to its group and bucket.
async fn take_sums(
    store: &InfluxStore,
    statements: &[String],
    budget: &Budget,
    read: &Arc<Read>,
    into: Sums,
) -> Result<Sums> {
    let fold = |mut into: Sums, answer: Bytes| {
        let read = Arc::clone(read);
        blocking(move || {
            let tags = group_tags(&read.group_by);
            csv::visit(&answer, |row| add_sum(row, &read, &tags, &mut into))?;
            Ok(into)
        })
    };
    ask(store, statements, budget).try_fold(into, fold).await
}

/// The stretches that these windows take, in order, and at most [`HOLES_MAX`] of them.
fn holes(starts: &BTreeSet<Timestamp>, tier: Tier) -> Vec<TimeRange> {
    let mut holes: Vec<TimeRange> = Vec::new();
    for &start in starts {
        let end = start.plus_seconds(tier.seconds());
        match holes.last_mut() {
            Some(last) if last.to == start => last.to = end,
            _ => holes.push(TimeRange::new(start, end)),
        }
    }
    if holes.len() > HOLES_MAX {
        let gap = |pair: &[TimeRange]| pair[1].from.millis_since(pair[0].to);
        let mut gaps: Vec<i64> = holes.windows(2).map(gap).collect();
        gaps.sort_unstable_by(|a, b| b.cmp(a));
        // Gaps longer than this are few enough to stay.
        let kept = gaps.get(HOLES_MAX - 1).copied().unwrap_or_default();
        let mut merged: Vec<TimeRange> = Vec::with_capacity(HOLES_MAX);
        for hole in holes {
            match merged.last_mut() {
                Some(last) if hole.from.millis_since(last.to) <= kept => last.to = hole.to,
                _ => merged.push(hole),
            }
        }
        holes = merged;
    }
    holes
}

/// The tags to group by, each once.
fn group_tags(group_by: &[Dimension]) -> Vec<&'static str> {
    let dimensions: BTreeSet<Dimension> = group_by.iter().copied().collect();
    dimensions.into_iter().map(tag).collect()
}

fn add_sum(row: &Row<'_>, read: &Read, tags: &[&str], sums: &mut Sums) -> Result<()> {
    let cell = |&dimension: &Dimension| match tags.iter().position(|&asked| asked == tag(dimension)) {
        Some(at) => row.name(1 + at),
        None => Ok(None),
    };
    let group: GroupKey = read.group_by.iter().map(cell).collect::<Result<_>>()?;
    let count = row.count(0)?;
    if count > 0 {
        let group = sums.group(&group)?;
        sums.add(group, bucket(read, row.time()?)?, count)?;
    }
    Ok(())
}

/// The bucket that an instant of the range lies in.
fn bucket(read: &Read, at: Timestamp) -> Result<usize> {
    let after = read.edges.partition_point(|&edge| edge <= at);
    after.checked_sub(1).ok_or_else(|| damaged("a window before the range that was asked for"))
}
