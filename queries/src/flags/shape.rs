//! From what was found and counted to the answer of `/v1/flags`. Pure.

use std::collections::HashMap;

use flagmeter_model::Name;
use flagmeter_store::{Answer, RowState};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    found::{Found, Page},
    plan::{Asked, FlagKey, Trend},
};
use crate::{
    answer::{Known, Missing, growth, shown, total},
    civil,
};

/// The answer of `/v1/flags`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlagPage {
    /// Start of the first bucket of the trend.
    #[schema(example = "2026-10-22T00:00:00Z")]
    pub(crate) from: String,
    /// End of the last bucket of the trend.
    #[schema(example = "2026-11-21T00:00:00Z")]
    pub(crate) to: String,
    /// Length of the buckets.
    #[schema(example = "1d")]
    pub(crate) resolution: &'static str,
    /// The zone that hours, days and months are those of.
    #[schema(example = "UTC")]
    pub(crate) tz: &'static str,
    /// Everything before this is in. Null before the first count.
    pub(crate) complete_until: Option<String>,
    /// Nodes that are silent: what they received is not in the counts.
    pub(crate) missing_nodes: Vec<Missing>,
    /// What is known of the whole range.
    pub(crate) state: Known,
    /// What is known of the range before, of as many buckets; null where there is none, because time begins in 1970.
    pub(crate) previous_state: Option<Known>,
    /// The buckets of the trends.
    pub(crate) buckets: Vec<Bucket>,
    /// The flags, in the order of customer, project and name.
    pub(crate) flags: Vec<FlagUse>,
    /// Give it as `after` for the next page. Null on the last one.
    pub(crate) next: Option<String>,
}

/// A bucket of the trends.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Bucket {
    /// First instant.
    start: String,
    /// First instant after.
    end: String,
    /// What is known of it.
    state: Known,
}

/// A flag of a project.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FlagUse {
    /// The customer.
    #[schema(value_type = String, example = "acme")]
    pub(crate) customer: Name,
    /// The project.
    #[schema(value_type = String, example = "web")]
    pub(crate) project: Name,
    /// The flag.
    #[schema(value_type = String, example = "checkout-v2")]
    pub(crate) flag: Name,
    /// The environments in which it was ever evaluated.
    #[schema(value_type = Vec<String>)]
    pub(crate) environments: Vec<Name>,
    /// The minute in which it was first evaluated; null if never.
    pub(crate) first_seen: Option<String>,
    /// The minute in which it was last evaluated; null if never.
    pub(crate) last_seen: Option<String>,
    /// Whether the project's list in the registry has it; null where there is no list.
    pub(crate) in_registry: Option<bool>,
    /// Who looks after it, by the registry; null where it does not say.
    #[schema(required, value_type = Option<String>, example = "payments")]
    pub(crate) owner: Option<Name>,
    /// The last day on which it is meant to be there, by the registry; null where it does not say.
    #[schema(required, example = "2026-12-31")]
    pub(crate) remove_by: Option<String>,
    /// Whether that day is over, in the customer's own zone: evaluated or not, the flag should be gone.
    pub(crate) past_removal: bool,
    /// Evaluations in the range; null when nothing is known of any of it.
    pub(crate) total: Option<u64>,
    /// Evaluations in the range before, of as many buckets; null when nothing is known of any of it.
    pub(crate) previous_total: Option<u64>,
    /// Growth against the range before: 0.25 is a quarter more. Null where there is nothing to compare with: unless
    /// both ranges are complete or open.
    #[schema(example = 0.25)]
    pub(crate) change: Option<f64>,
    /// Evaluations in each of the buckets; null where nothing is known.
    pub(crate) trend: Vec<Option<u64>>,
}

/// Shapes the answer.
pub(super) fn shape(asked: &Asked, trend: &Trend, page: Page, answer: Answer) -> FlagPage {
    let zone = asked.zone;
    let states = &answer.states;
    let (states_before, range_states) = states.split_at(trend.previous.min(states.len()));
    let range_edges = trend.edges.get(trend.previous..).unwrap_or_default();
    let state = Known::of_all(range_edges, range_states, answer.complete_until);
    let previous_state =
        (trend.previous > 0).then(|| Known::of_all(&trend.edges, states_before, answer.complete_until));
    let is_comparable = state.is_comparable() && previous_state.is_some_and(Known::is_comparable);
    let mut counts: HashMap<FlagKey, Vec<u64>> = HashMap::new();
    for row in answer.rows {
        if let Ok([Some(customer), Some(project), Some(flag)]) = <[Option<Name>; 3]>::try_from(row.group) {
            counts.insert(FlagKey { customer, project, flag }, row.counts);
        }
    }
    let edge = |edge: Option<&_>| edge.map_or_else(String::new, |edge| civil::rfc3339(zone, *edge));
    let nothing = vec![0; states.len()];
    let flag = |(key, found): (FlagKey, Found)| {
        let counts = counts.get(&key).unwrap_or(&nothing);
        let sums = counted(trend.previous, states, counts);
        let change = sums.now.zip(sums.before).filter(|_| is_comparable);
        FlagUse {
            customer: key.customer,
            project: key.project,
            flag: key.flag,
            environments: found.environments.into_iter().collect(),
            first_seen: shown(zone, found.first_seen),
            last_seen: shown(zone, found.last_seen),
            in_registry: found.in_registry,
            owner: found.listed.owner,
            remove_by: found.listed.remove_by.map(|day| day.to_string()),
            past_removal: found.past_removal,
            total: sums.now,
            previous_total: sums.before,
            change: change.and_then(|(now, before)| growth(now, before)),
            trend: sums.trend,
        }
    };
    FlagPage {
        from: edge(range_edges.first()),
        to: edge(range_edges.last()),
        resolution: trend.resolution.name(),
        tz: zone.name(),
        complete_until: shown(zone, answer.complete_until),
        missing_nodes: Missing::list(&answer.missing, zone),
        state,
        previous_state,
        buckets: range_edges
            .windows(2)
            .zip(range_states)
            .map(|(pair, state)| Bucket {
                start: edge(pair.first()),
                end: edge(pair.last()),
                state: (*state).into(),
            })
            .collect(),
        next: page.next.map(|key| key.cursor()),
        flags: page.flags.into_iter().map(flag).collect(),
    }
}

/// The counts of one flag.
struct Counted {
    now: Option<u64>,
    before: Option<u64>,
    trend: Vec<Option<u64>>,
}

fn counted(previous: usize, states: &[RowState], counts: &[u64]) -> Counted {
    let cells = || states.iter().copied().zip(counts.iter().copied());
    Counted {
        now: total(cells().skip(previous)),
        before: total(cells().take(previous)),
        trend: cells().skip(previous).map(|(state, count)| Known::from(state).count(count)).collect(),
    }
}
