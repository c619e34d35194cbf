//! From what the store answered to the rows of `/v1/usage`. Pure.

use std::{cmp::Reverse, sync::Arc};

use flagmeter_model::Name;
use flagmeter_store::{Answer, Cell, Dimension, GroupKey, Row, RowState};
use serde::Serialize;
use utoipa::ToSchema;

use super::plan::{DIMENSIONS, Plan, dimension_name};
use crate::{
    answer::{Known, Missing, shown, total},
    civil,
};

/// The answer of `/v1/usage`.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Usage {
    /// What is counted: `evaluations` or `requests`.
    #[schema(example = "evaluations")]
    pub(crate) meter: &'static str,
    /// Start of the first bucket: what was asked for, rounded down to the resolution.
    #[schema(example = "2026-11-20T00:00:00+01:00")]
    pub(crate) from: String,
    /// End of the last bucket: what was asked for, rounded up to the resolution.
    #[schema(example = "2026-11-21T00:00:00+01:00")]
    pub(crate) to: String,
    /// Length of the buckets: `10s`, `1m`, `15m`, `1h`, `1d` or `1mo`.
    #[schema(example = "1h")]
    pub(crate) resolution: &'static str,
    /// The zone that hours, days and months are those of.
    #[schema(example = "Europe/Berlin")]
    pub(crate) tz: &'static str,
    /// Everything before this is in. Null before the first count.
    #[schema(example = "2026-11-20T13:44:50+01:00")]
    pub(crate) complete_until: Option<String>,
    /// Nodes that are silent: what they received is not in the counts.
    pub(crate) missing_nodes: Vec<Missing>,
    /// Start of the first bucket that cannot be answered at this resolution any more, because what was kept so
    /// fine is past its retention. Such buckets are unknown; a coarser resolution may still tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) beyond_retention: Option<String>,
    /// Then the finest resolution in which all of the range is still kept, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "1m")]
    pub(crate) finest_kept: Option<&'static str>,
    /// What the rows tell apart, in the order asked for.
    #[schema(value_type = Vec<String>, example = json!(["flag"]))]
    pub(crate) group_by: Vec<&'static str>,
    /// What is known of the whole range.
    pub(crate) state: Known,
    /// The sum of all rows; null when nothing is known of any bucket.
    #[schema(example = 184_467)]
    pub(crate) total: Option<u64>,
    /// The range before, where `compare=previous` asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<Previous>,
    /// One row for each bucket and group: by time, then by the group's total, `__other__` last. If nothing was
    /// counted for any group, each bucket has one row without a group, so that its state is told.
    pub(crate) rows: Vec<UsageRow>,
}

/// The range before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Previous {
    /// Its start.
    from: String,
    /// Its end: where the range asked for begins.
    to: String,
    /// What is known of it.
    state: Known,
    /// Its sum, over all groups.
    pub(crate) total: Option<u64>,
}

/// One bucket of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct UsageRow {
    /// First instant of the bucket.
    #[schema(value_type = String, example = "2026-11-20T13:00:00+01:00")]
    pub(crate) start: Arc<str>,
    /// First instant after the bucket.
    #[schema(value_type = String, example = "2026-11-20T14:00:00+01:00")]
    pub(crate) end: Arc<str>,
    /// What is known of the bucket.
    pub(crate) state: Known,
    /// The count. Null where nothing is known; 0 is knowledge.
    #[schema(example = 1_204)]
    pub(crate) count: Option<u64>,
    /// The group.
    #[serde(flatten)]
    pub(crate) group: Group,
    /// The bucket at the same position of the range before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<PreviousRow>,
}

/// The bucket at the same position of the range before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct PreviousRow {
    /// First instant of the bucket.
    #[schema(value_type = String)]
    pub(crate) start: Arc<str>,
    /// What is known of it.
    pub(crate) state: Known,
    /// Its count.
    pub(crate) count: Option<u64>,
}

/// The values of what is grouped by. Null is the group of the series that have none; `__other__` is what is
/// beyond a limit. A dimension that is not grouped by is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, ToSchema)]
pub(crate) struct Group {
    /// The customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    customer: Option<Cell>,
    /// The project.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    project: Option<Cell>,
    /// The environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    environment: Option<Cell>,
    /// The flag; for requests the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "checkout-v2")]
    flag: Option<Cell>,
    /// The variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    variant: Option<Cell>,
    /// The SDK.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    sdk: Option<Cell>,
}

impl Usage {
    /// The same answer with these rows instead of its own.
    pub(crate) fn with_rows(&self, rows: Vec<UsageRow>) -> Self {
        Self {
            from: self.from.clone(),
            to: self.to.clone(),
            complete_until: self.complete_until.clone(),
            missing_nodes: self.missing_nodes.clone(),
            beyond_retention: self.beyond_retention.clone(),
            group_by: self.group_by.clone(),
            previous: self.previous.clone(),
            rows,
            ..*self
        }
    }

    /// Its groups, in their order: each bucket has a row of each.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        let first = self.rows.first().map(|row| &row.start);
        self.rows.iter().take_while(move |row| Some(&row.start) == first).map(|row| &row.group)
    }
}

impl Usage {
    /// What each group comes to, in their order; none where nothing is known.
    pub(crate) fn sums(&self) -> impl Iterator<Item = (&Group, Option<u64>)> {
        let groups = self.groups().count();
        let sum = move |at| known_sum(self.rows.iter().skip(at).step_by(groups.max(1)).map(|row| row.count));
        self.groups().enumerate().map(move |(at, group)| (group, sum(at)))
    }

    /// The same of the range before.
    pub(crate) fn sums_before(&self) -> impl Iterator<Item = Option<u64>> {
        let groups = self.groups().count();
        let before = |row: &UsageRow| row.previous.as_ref().and_then(|before| before.count);
        (0..groups).map(move |at| known_sum(self.rows.iter().skip(at).step_by(groups).map(before)))
    }
}

/// The sum of what is known; none where nothing is.
pub(crate) fn known_sum(counts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    counts.flatten().reduce(u64::saturating_add)
}

impl Group {
    fn of(dimensions: &[Dimension], key: &GroupKey) -> Self {
        let mut group = Self::default();
        for (dimension, cell) in dimensions.iter().zip(key) {
            *group.cell_mut(*dimension) = Some(cell.clone());
        }
        group
    }

    /// The value of a dimension by its name in the API; none where it is not grouped by, or is that of the series without.
    pub(crate) fn value(&self, dimension: &str) -> Option<&str> {
        let (_, dimension) = DIMENSIONS.iter().find(|(name, _)| *name == dimension)?;
        Some(self.text(*dimension)).filter(|value| !value.is_empty())
    }

    /// The value of a dimension as CSV shows it: empty where there is none.
    pub(crate) fn text(&self, dimension: Dimension) -> &str {
        let cell = match dimension {
            Dimension::Customer => &self.customer,
            Dimension::Project => &self.project,
            Dimension::Environment => &self.environment,
            Dimension::Name => &self.flag,
            Dimension::Variant => &self.variant,
            Dimension::Sdk => &self.sdk,
        };
        cell.as_ref().and_then(Option::as_ref).map_or("", Name::as_str)
    }

    const fn cell_mut(&mut self, dimension: Dimension) -> &mut Option<Cell> {
        match dimension {
            Dimension::Customer => &mut self.customer,
            Dimension::Project => &mut self.project,
            Dimension::Environment => &mut self.environment,
            Dimension::Name => &mut self.flag,
            Dimension::Variant => &mut self.variant,
            Dimension::Sdk => &mut self.sdk,
        }
    }
}

/// Shapes the answer.
pub(crate) fn shape(plan: &Plan, answer: Answer) -> Usage {
    let Answer { rows, states, complete_until, missing, beyond_retention, .. } = answer;
    let (before, now) = states.split_at(plan.previous.min(states.len()));
    let ranked = rank(rows, &states, plan.previous, plan.limit);
    let sums = sum(&ranked, states.len());
    let (sums_before, sums_now) = sums.split_at(plan.previous.min(sums.len()));
    let total_of =
        |states: &[RowState], sums: &[u64]| total(states.iter().copied().zip(sums.iter().copied()));
    let edges: Vec<Arc<str>> =
        plan.edges.iter().map(|edge| civil::rfc3339(plan.zone, *edge).into()).collect();
    let range = plan.range();
    let previous = (plan.previous > 0).then(|| Previous {
        from: edges.first().map_or_else(String::new, ToString::to_string),
        to: civil::rfc3339(plan.zone, range.from),
        state: Known::of_all(&plan.edges, before, complete_until),
        total: total_of(before, sums_before),
    });
    // Retention takes from the oldest end: what of the range itself is gone begins with its first bucket.
    let beyond_retention = beyond_retention
        .map(|at| at.max(range.from))
        .filter(|at| *at > range.from || plan.previous == 0 || now.first() == Some(&RowState::Unknown));
    Usage {
        meter: plan.meter.name(),
        from: civil::rfc3339(plan.zone, range.from),
        to: civil::rfc3339(plan.zone, range.to),
        resolution: plan.resolution.name(),
        tz: plan.zone.name(),
        complete_until: shown(plan.zone, complete_until),
        missing_nodes: Missing::list(&missing, plan.zone),
        beyond_retention: shown(plan.zone, beyond_retention),
        finest_kept: None,
        group_by: plan.group_by.iter().map(|dimension| dimension_name(*dimension)).collect(),
        state: Known::of_all(plan.edges.get(plan.previous..).unwrap_or_default(), now, complete_until),
        total: total_of(now, sums_now),
        previous,
        rows: lay_out(plan, &ranked, &states, &edges),
    }
}

/// Orders groups by their total over the range itself, and adds up all that are beyond the limit.
fn rank(mut rows: Vec<Row>, states: &[RowState], previous: usize, limit: Option<usize>) -> Vec<Row> {
    let is_other = |row: &Row| {
        !row.group.is_empty()
            && row.group.iter().all(|cell| cell.as_ref().is_some_and(|name| name.as_str() == OTHER))
    };
    let total_of =
        |row: &Row| total(states.iter().copied().zip(row.counts.iter().copied()).skip(previous)).unwrap_or(0);
    rows.sort_by_cached_key(|row| (is_other(row), Reverse(total_of(row)), row.group.clone()));
    let Some(limit) = limit else { return rows };
    // What names are folded into at the edge already is not a group that can be among the top.
    let kept = rows.iter().take_while(|row| !is_other(row)).count().min(limit);
    let rest = rows.split_off(kept);
    if let Some(first) = rest.first() {
        let group = first.group.iter().map(|_| Some(Name::other())).collect();
        rows.push(Row { group, counts: sum(&rest, states.len()) });
    }
    rows
}

/// The name of what is beyond a limit.
const OTHER: &str = flagmeter_model::Limits::OTHER;

/// The sums of the rows, bucket by bucket.
fn sum(rows: &[Row], buckets: usize) -> Vec<u64> {
    let mut sums = vec![0_u64; buckets];
    for row in rows {
        for (sum, count) in sums.iter_mut().zip(&row.counts) {
            *sum = sum.saturating_add(*count);
        }
    }
    sums
}

/// One row for each bucket and group.
fn lay_out(plan: &Plan, ranked: &[Row], states: &[RowState], edges: &[Arc<str>]) -> Vec<UsageRow> {
    let nothing = [Row { group: GroupKey::new(), counts: vec![0; states.len()] }];
    let ranked = if ranked.is_empty() { &nothing[..] } else { ranked };
    let groups: Vec<Group> = ranked.iter().map(|row| Group::of(&plan.group_by, &row.group)).collect();
    let at = |bucket: usize, row: &Row| {
        let known = states.get(bucket).copied().map_or(Known::Unknown, Known::from);
        (known, known.count(row.counts.get(bucket).copied().unwrap_or(0)))
    };
    let edge = |bucket: usize| edges.get(bucket).cloned().unwrap_or_default();
    let mut rows = Vec::with_capacity(ranked.len() * states.len().saturating_sub(plan.previous));
    for bucket in plan.previous..states.len() {
        for (row, group) in ranked.iter().zip(&groups) {
            let (state, count) = at(bucket, row);
            let previous = (plan.previous > 0).then(|| {
                let before = bucket - plan.previous;
                let (state, count) = at(before, row);
                PreviousRow { start: edge(before), state, count }
            });
            let (start, end, group) = (edge(bucket), edge(bucket + 1), group.clone());
            rows.push(UsageRow { start, end, state, count, group, previous });
        }
    }
    rows
}

#[cfg(test)]
mod tests;
