//! From the answer of `/v1/usage` to what is drawn: the same rows, so that a picture says what the numbers say. Pure.

use chrono_tz::Tz;
use flagmeter_model::{Limits, Timestamp};

use super::{
    bursts::{Marked, Whose},
    words,
};
use crate::{
    answer::Known,
    bursts::marks::Marks,
    civil::Resolution,
    moment,
    usage::{
        Group, Usage, UsageRow,
        plan::{Plan, dimension_name},
    },
};

/// For so long after its end a bucket of which nothing is known is not there yet; after that it is a gap.
const GRACE_SECONDS: i64 = 60;

/// What is known of a bucket, as it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// All is in.
    Complete,
    /// Still filling.
    Open,
    /// Counted, but perhaps not all of it.
    Partial,
    /// Not known, which is not zero.
    Unknown,
    /// Not there yet.
    ToCome,
}

impl Shown {
    fn of(
        state: Known,
        start: Timestamp,
        end: Timestamp,
        complete_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        match state {
            Known::Complete => Self::Complete,
            Known::Open => Self::Open,
            Known::Partial => Self::Partial,
            Known::Unknown
                if complete_until.is_none_or(|until| until <= start)
                    && now < end.plus_seconds(GRACE_SECONDS) =>
            {
                Self::ToCome
            }
            Known::Unknown => Self::Unknown,
        }
    }

    /// The same in words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Open => "still filling",
            Self::Partial => "partial: not all is known",
            Self::Unknown => "not known, which is not zero",
            Self::ToCome => "not there yet",
        }
    }
}

/// The counts of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) name: String,
    /// All that is beyond the limit.
    pub(super) is_rest: bool,
    /// One for each bucket; none where nothing is known.
    pub(super) counts: Vec<Option<u64>>,
    pub(super) total: Option<u64>,
    /// Those of the range before, position by position; none at all if it is not compared with.
    pub(super) before: Vec<Option<u64>>,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scene {
    /// What it is of.
    pub(super) title: String,
    /// `evaluations` or `requests`.
    pub(super) meter: &'static str,
    pub(super) zone: Tz,
    pub(super) resolution: Resolution,
    /// One more than there are buckets.
    pub(super) edges: Vec<Timestamp>,
    pub(super) states: Vec<Shown>,
    /// By total, the rest last. Never empty.
    pub(super) lines: Vec<Line>,
    /// Whether lines are groups with names.
    pub(super) is_grouped: bool,
    pub(super) total: Option<u64>,
    pub(super) state: Known,
    /// Whether the range before is drawn as well.
    pub(super) is_compared: bool,
    /// Its total; none where nothing is known.
    pub(super) before: Option<u64>,
    pub(super) complete_until: Option<Timestamp>,
    pub(super) missing_nodes: usize,
    pub(super) is_beyond_retention: bool,
    /// Bursts and drops.
    pub(super) marked: Marked,
}

/// Lays out an answer.
pub(super) fn scene(plan: &Plan, usage: &Usage, now: Timestamp, title: Option<String>) -> Scene {
    let complete_until = usage.complete_until.as_deref().and_then(moment::rfc3339);
    let edges = plan.edges.get(plan.previous..).unwrap_or_default().to_vec();
    let buckets = edges.len().saturating_sub(1).max(1);
    // Rows come by bucket, with the same groups in each.
    let groups = (usage.rows.len() / buckets).max(1);
    let states = edges
        .iter()
        .zip(edges.iter().skip(1))
        .zip(usage.rows.iter().step_by(groups))
        .map(|((start, end), row)| Shown::of(row.state, *start, *end, complete_until, now))
        .collect();
    let is_grouped = usage.rows.first().is_some_and(|row| row.group != Group::default());
    let line = |group: usize| line(plan, is_grouped, usage.rows.iter().skip(group).step_by(groups));
    Scene {
        title: title.unwrap_or_else(|| words_of(plan)),
        meter: usage.meter,
        zone: plan.zone,
        resolution: plan.resolution,
        edges,
        states,
        lines: (0..groups).map(line).collect(),
        is_grouped,
        total: usage.total,
        state: usage.state,
        is_compared: usage.previous.is_some(),
        before: usage.previous.as_ref().and_then(|before| before.total),
        complete_until,
        missing_nodes: usage.missing_nodes.len(),
        is_beyond_retention: usage.beyond_retention.is_some(),
        marked: Marked::default(),
    }
}

fn line<'r>(plan: &Plan, is_grouped: bool, rows: impl Iterator<Item = &'r UsageRow> + Clone) -> Line {
    let first = rows.clone().next();
    let parts = plan.group_by.iter().map(|dimension| first.map_or("", |row| row.group.text(*dimension)));
    let is_rest = is_grouped && parts.clone().all(|part| part == Limits::OTHER);
    let name = match (is_grouped, is_rest) {
        (false, _) => plan.meter.name().to_owned(),
        (true, true) => "all others".to_owned(),
        (true, false) => {
            parts.map(|part| if part.is_empty() { "(none)" } else { part }).collect::<Vec<_>>().join(" · ")
        }
    };
    let counts: Vec<_> = rows.clone().map(|row| row.count).collect();
    let total = counts.iter().copied().flatten().reduce(u64::saturating_add);
    let before = rows.filter_map(|row| row.previous.as_ref()).map(|before| before.count).collect();
    Line { name, is_rest, counts, total, before }
}

/// What was asked, as a title.
fn words_of(plan: &Plan) -> String {
    let mut title = words::capital(plan.meter.name().to_owned());
    let dimensions: Vec<_> = plan.group_by.iter().map(|dimension| dimension_name(*dimension)).collect();
    if let Some((last, others)) = dimensions.split_last() {
        title.push_str(" by ");
        if !others.is_empty() {
            title.push_str(&others.join(", "));
            title.push_str(" and ");
        }
        title.push_str(last);
    }
    title
}

impl Scene {
    /// The same with its bursts and drops.
    pub(super) fn marked_with(self, marks: &Marks, whose: Whose, now: Timestamp) -> Self {
        Self { marked: Marked::of(marks, whose, now), ..self }
    }

    /// The sum of all groups in a bucket; none where nothing is known.
    pub(super) fn sum(&self, bucket: usize) -> Option<u64> {
        let counts = self.lines.iter().filter_map(|line| line.counts.get(bucket).copied().flatten());
        counts.reduce(u64::saturating_add)
    }

    /// The same of the range before.
    pub(super) fn sum_before(&self, bucket: usize) -> Option<u64> {
        let counts = self.lines.iter().filter_map(|line| line.before.get(bucket).copied().flatten());
        counts.reduce(u64::saturating_add)
    }

    /// Neighbouring buckets that are in the same state, as first and last.
    pub(super) fn runs(&self, of: Shown) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for (at, _) in self.states.iter().enumerate().filter(|(_, state)| **state == of) {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == at => *last = at,
                _ => runs.push((at, at)),
            }
        }
        runs
    }

    /// Start of the first and end of the last bucket of a run.
    pub(super) fn span(&self, (first, last): (usize, usize)) -> (Timestamp, Timestamp) {
        let edge = |at: usize| self.edges.get(at).copied().unwrap_or_default();
        (edge(first), edge(last + 1))
    }

    /// The whole range.
    pub(super) fn range(&self) -> (Timestamp, Timestamp) {
        self.span((0, self.edges.len().saturating_sub(2)))
    }
}
