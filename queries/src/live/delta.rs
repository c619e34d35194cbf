//! What changed between two answers to one question. Pure.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::usage::{Group, Usage, UsageRow};

/// What changed since the event before: an answer of `/v1/usage` without the rows that are as they were.
///
/// Whoever has the answer before makes the one of now from it: what stands beside the rows is taken from here; rows that
/// start before `from` go; the rows here replace those of the same start and group, or are added; and where `groups` is
/// there, rows of other groups go, and each bucket has its rows in this order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delta {
    /// All groups in their order, where that is another one than before.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Group>>,
    /// The answer, with the rows that are new or different.
    #[serde(flatten)]
    usage: Usage,
}

impl Delta {
    /// What leads from one answer to the next; `None` where the whole of it says that in fewer words, or where its
    /// buckets do not go on from those before.
    pub(super) fn between(before: &Usage, now: &Usage) -> Option<Self> {
        let kept = kept_buckets(before, now)?;
        let old_places: HashMap<&Group, usize> =
            before.groups().enumerate().map(|(place, group)| (group, place)).collect();
        let places: Vec<Option<usize>> = now.groups().map(|group| old_places.get(group).copied()).collect();
        let is_same_order = places.len() == old_places.len()
            && places.iter().enumerate().all(|(place, before)| *before == Some(place));
        let mut changed = Vec::new();
        let mut old_buckets = kept.chunks(old_places.len().max(1));
        for bucket in now.rows.chunks(places.len().max(1)) {
            let old_bucket = old_buckets.next().unwrap_or_default();
            for (row, place) in bucket.iter().zip(&places) {
                let old = place.and_then(|place| old_bucket.get(place));
                if old != Some(row) {
                    changed.push(row.clone());
                }
            }
        }
        let groups = (!is_same_order).then(|| now.groups().cloned().collect::<Vec<_>>());
        let said = changed.len() + groups.as_ref().map_or(0, Vec::len);
        (said <= now.rows.len() / 2 || said <= FEW).then(|| Self { groups, usage: now.with_rows(changed) })
    }
}

/// So many rows are a delta however few there are in all.
const FEW: usize = 2;

/// The rows of the buckets that both answers have, as they were before. `None` unless the buckets of now are a last part
/// of those before, and what comes after them.
fn kept_buckets<'a>(before: &'a Usage, now: &Usage) -> Option<&'a [UsageRow]> {
    let first = &now.rows.first()?.start;
    let from = before.rows.iter().position(|row| row.start == *first)?;
    let kept = before.rows.get(from..)?;
    let starts =
        |rows: &'a [UsageRow], groups: usize| rows.iter().step_by(groups.max(1)).map(|row| &row.start);
    let (old_groups, groups) = (before.groups().count(), now.groups().count());
    let mut now_starts = now.rows.iter().step_by(groups.max(1)).map(|row| &row.start);
    let goes_on = starts(kept, old_groups).all(|start| now_starts.next() == Some(start));
    (goes_on && before.resolution == now.resolution).then_some(kept)
}

#[cfg(test)]
mod tests;
