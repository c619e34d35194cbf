//! Answers from one snapshot.
//!
//! # The way of a question through here
//!
//! The frontiers and floors and the dirty windows give a [`cover`]: which tier answers for which part. Per
//! environment that the filter means, the numbers of its series are mapped to groups (`groups`), and the rows
//! of each part are added up (`rows`) into the buckets of those groups ([`Sums`]). A question that the totals
//! answer opens no block, but where an edge parts a minute.

mod catalogue;
mod groups;
mod letters;
mod nodes;
mod rows;
mod scan;

pub(super) use catalogue::{catalogue, environments};
pub(super) use letters::dead_letters;
pub(super) use nodes::by_node;
pub(super) use scan::scan;

use std::collections::{BTreeMap, BTreeSet};

use flagmeter_model::{Environment, Tier, TimeRange, Timestamp, Window};
use rusqlite::Connection;

use self::{groups::Groups, rows::Rows};
use super::{
    block::{damaged, unreadable},
    interning, progress, schema,
    standing::Standing,
};
use crate::{
    Answer, Filter, Read, Result, TierChoice,
    answering::{Standpoint, Sums, by_totals, on_minutes},
    cover::{Cover, Dirty, Kept, cover},
};

/// Answers a question that was asked `now`.
pub(super) fn read(
    connection: &Connection,
    read: &Read,
    node_timeout_ms: i64,
    now: Timestamp,
) -> Result<Answer> {
    let by_totals = by_totals(read)?;
    let Standing { frontiers, floors, partitions, .. } = Standing::load(connection)?;
    let kept = Kept { frontiers, floors };
    let shared = cover(&read.edges, kept, &Dirty::default(), read.tiers)?;
    let environments = taken(connection, &read.filter)?;
    let own: BTreeMap<i64, Cover> = dirty(connection, read, &environments)?
        .into_iter()
        .map(|(id, dirty)| Ok((id, cover(&read.edges, kept, &dirty, read.tiers)?)))
        .collect::<Result<_>>()?;

    let mut sums = Sums::new(read.edges.len() - 1, read.groups_max);
    let mut rows = Rows::new(connection, read, by_totals);
    rows.find_raw_minutes(own.values().chain([&shared]).flat_map(|cover| &cover.parts))?;
    let opens_blocks = !by_totals || !on_minutes(&read.edges);
    for (id, environment) in &environments {
        let mut groups = if opens_blocks {
            let series = interning::series(connection, *id)?;
            Groups::of_series(read, environment, series.iter().map(|(_, key)| key))
        } else {
            Groups::of_totals(read, environment)
        };
        if groups.is_empty() {
            continue;
        }
        for &part in &own.get(id).unwrap_or(&shared).parts {
            rows.add(*id, part, &mut groups, &mut sums)?;
        }
    }

    let beyond = own.values().chain([&shared]).flat_map(|cover| cover.beyond.iter().copied()).collect();
    let standpoint = Standpoint {
        kept,
        progress: &progress::node_progress(connection)?,
        partitions,
        covered: &progress::covered(connection)?,
        node_timeout_ms,
        now,
    };
    Ok(standpoint.answer(read, sums, shared, &beyond))
}

/// The environments that the filter means, in their order, with their numbers.
fn taken(connection: &Connection, filter: &Filter) -> Result<Vec<(i64, Environment)>> {
    let mut environments = interning::environments(connection)?;
    environments.retain(|(_, environment)| filter.takes_environment(environment));
    environments.sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
    Ok(environments)
}

/// The dirty windows of those environments that have any in the range, as far as they matter to the question.
fn dirty(
    connection: &Connection,
    read: &Read,
    environments: &[(i64, Environment)],
) -> Result<BTreeMap<i64, Dirty>> {
    let (Some(from), Some(to), TierChoice::Cover) = (read.edges.first(), read.edges.last(), read.tiers)
    else {
        return Ok(BTreeMap::new());
    };
    let wanted: BTreeSet<i64> = environments.iter().map(|(id, _)| *id).collect();
    let range = TimeRange::new(from.floor_to(Tier::Hour.seconds()), *to);
    let mut windows: BTreeMap<i64, Vec<Window>> = BTreeMap::new();
    for tier in Tier::ROLLED {
        let mut statement = connection.prepare_cached(
            "SELECT start, environment FROM dirty WHERE tier = ?1 AND start >= ?2 AND start < ?3",
        )?;
        let bounds = [schema::tier_number(tier), range.from.as_seconds(), range.to.as_seconds()];
        let mut rows = statement.query(bounds)?;
        while let Some(row) = rows.next()? {
            let (start, environment) = (row.get::<_, i64>(0)?, row.get(1)?);
            if wanted.contains(&environment) {
                let start =
                    start.checked_mul(1_000).ok_or_else(|| damaged("a mark of an impossible time"))?;
                let window = Timestamp::from_millis(start).and_then(|start| Window::starting(tier, start));
                let window = window.map_err(unreadable)?;
                windows.entry(environment).or_default().push(window);
            }
        }
    }
    Ok(windows.into_iter().map(|(id, windows)| (id, windows.into_iter().collect())).collect())
}
