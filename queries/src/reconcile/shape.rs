//! The fates of what arrived, added up and compared. Pure.

use std::collections::BTreeMap;

use flagmeter_model::{Environment, Meter, Name};
use flagmeter_store::{GroupKey, Row};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::{Known, Missing};

/// The answer of `/v1/reconcile`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reconcile {
    /// Start of the range; null for all time.
    pub(crate) from: Option<String>,
    /// End of the range; null for all time.
    pub(crate) to: Option<String>,
    /// Everything before this is in. Null before the first count.
    pub(crate) complete_until: Option<String>,
    /// Nodes that are silent: what they received is not in the counts.
    pub(crate) missing_nodes: Vec<Missing>,
    /// What is known of the range; null for all time.
    pub(crate) state: Option<Known>,
    /// Whether nothing more was stored while this was read. When counts come in faster than they can be read,
    /// the numbers are of slightly different moments, and `balanced` is null.
    pub(crate) settled: bool,
    /// Records that could not be stored, over all time and all customers; only for billing and operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letters: Option<DeadLetters>,
    /// The fates, per customer (project, environment).
    pub(crate) rows: Vec<Fates>,
}

/// Records that could not be stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetters {
    /// Records.
    pub(crate) records: u64,
    /// Counts known to be in them.
    pub(crate) counts: u64,
}

/// What became of what arrived.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Fates {
    /// The customer.
    #[schema(value_type = String, example = "acme")]
    pub(crate) customer: Name,
    /// The project.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) project: Option<Name>,
    /// The environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) environment: Option<Name>,
    /// Counts that arrived.
    #[schema(example = 1000)]
    pub(crate) received: u64,
    /// Counts in the store.
    pub(crate) stored: Stored,
    /// Counts of requests that had been acknowledged before, and were not counted again.
    #[schema(example = 12)]
    pub(crate) duplicate: u64,
    /// Counts that were not taken.
    pub(crate) rejected: Rejected,
    /// Counts that have arrived but are not in the store yet. What went to the dead letters, or was lost with a log,
    /// shows here, too, and stays: a number that does not go back to 0 when nothing arrives is to be looked into.
    /// Null for a range, and where this server does not know the edges.
    pub(crate) in_flight: Option<u64>,
    /// received − stored − duplicate − rejected − in flight.
    #[schema(example = 0)]
    pub(crate) difference: i64,
    /// Whether the difference is 0. Null while something is in flight, whose fate is still to come; and for a range,
    /// because a count that is sent late is stored at its own time, but its fate is counted when it arrives.
    pub(crate) balanced: Option<bool>,
}

/// Counts in the store.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Stored {
    /// Flag evaluations.
    pub(crate) evaluations: u64,
    /// API requests.
    pub(crate) requests: u64,
    /// Both.
    pub(crate) total: u64,
}

/// Counts that were not taken.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Rejected {
    /// All of them.
    pub(crate) total: u64,
    /// By reason.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub(crate) by_reason: BTreeMap<Name, u64>,
}

/// What the store says of each meter.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) evaluations: Vec<Row>,
    pub(super) requests: Vec<Row>,
    pub(super) received: Vec<Row>,
    pub(super) duplicate: Vec<Row>,
    pub(super) rejected: Vec<Row>,
}

impl Read {
    /// The rows of a meter.
    pub(super) const fn rows_mut(&mut self, meter: Meter) -> &mut Vec<Row> {
        match meter {
            Meter::Evaluations => &mut self.evaluations,
            Meter::Requests => &mut self.requests,
            Meter::Received => &mut self.received,
            Meter::Duplicate => &mut self.duplicate,
            Meter::Rejected => &mut self.rejected,
        }
    }
}

/// What the edges have received, if it is known; and whether the numbers can be held against each other.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// All that ever arrived, by environment.
    pub(super) at_edges: Option<BTreeMap<Environment, u64>>,
    /// Whether all numbers are of one moment and over all time.
    pub(super) is_comparable: bool,
}

/// The sums of one group while they are collected.
#[derive(Debug, Default)]
struct Sums {
    stored: Stored,
    received: u64,
    duplicate: u64,
    rejected: Rejected,
    /// What the edges know of it.
    at_edges: Option<u64>,
}

/// Adds the fates up by group.
pub(super) fn fates(level: usize, read: Read, arrivals: Arrivals) -> Vec<Fates> {
    let mut groups: BTreeMap<GroupKey, Sums> = BTreeMap::new();
    let mut each = |rows: Vec<Row>, add: &dyn Fn(&mut Sums, &GroupKey, u64)| {
        for row in rows {
            let key = row.group.iter().take(level).cloned().collect();
            let count = row.counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
            add(groups.entry(key).or_default(), &row.group, count);
        }
    };
    each(read.evaluations, &|sums, _, count| {
        sums.stored.evaluations = sums.stored.evaluations.saturating_add(count);
    });
    each(read.requests, &|sums, _, count| sums.stored.requests = sums.stored.requests.saturating_add(count));
    each(read.received, &|sums, _, count| sums.received = sums.received.saturating_add(count));
    each(read.duplicate, &|sums, _, count| sums.duplicate = sums.duplicate.saturating_add(count));
    each(read.rejected, &|sums, group, count| {
        let reason = group.last().cloned().flatten().unwrap_or_else(Name::other);
        sums.rejected.total = sums.rejected.total.saturating_add(count);
        let by_reason = sums.rejected.by_reason.entry(reason).or_default();
        *by_reason = by_reason.saturating_add(count);
    });
    for (environment, received) in arrivals.at_edges.into_iter().flatten() {
        let names = [environment.customer, environment.project, environment.environment];
        let sums = groups.entry(names.into_iter().take(level).map(Some).collect()).or_default();
        sums.at_edges = Some(sums.at_edges.unwrap_or(0).saturating_add(received));
    }
    groups.into_iter().map(|(key, sums)| sums.into_fates(key, arrivals.is_comparable)).collect()
}

impl Fates {
    /// Whether everything that is stored of what arrived has a fate.
    pub(super) const fn add_up(&self) -> bool {
        self.difference == 0
    }
}

impl Sums {
    fn into_fates(self, key: GroupKey, is_comparable: bool) -> Fates {
        let Self { mut stored, received: received_stored, duplicate, rejected, at_edges } = self;
        stored.total = stored.evaluations.saturating_add(stored.requests);
        // A journal that was begun anew knows less than the store: then nobody knows what is in flight.
        let at_edges = at_edges.filter(|at_edges| *at_edges >= received_stored);
        let received = at_edges.unwrap_or(received_stored);
        let in_flight = at_edges.map(|at_edges| at_edges - received_stored);
        let fated = [stored.total, duplicate, rejected.total, in_flight.unwrap_or(0)];
        let fated: i128 = fated.into_iter().map(i128::from).sum();
        let difference = i128::from(received) - fated;
        let mut names = key.into_iter();
        let mut next = || names.next().flatten();
        Fates {
            customer: next().unwrap_or_else(Name::other),
            project: next(),
            environment: next(),
            received,
            stored,
            duplicate,
            rejected,
            in_flight,
            difference: i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX }),
            balanced: (is_comparable && in_flight.unwrap_or(0) == 0).then_some(difference == 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn row(group: &[&str], count: u64) -> Row {
        Row { group: group.iter().map(|text| Some(name(text))).collect(), counts: vec![count] }
    }

    fn environment(customer: &str, project: &str) -> Environment {
        Environment { customer: name(customer), project: name(project), environment: name("production") }
    }

    fn read() -> Read {
        Read {
            evaluations: vec![row(&["acme"], 80)],
            requests: vec![row(&["acme"], 5)],
            received: vec![row(&["acme"], 100)],
            duplicate: vec![row(&["acme"], 10)],
            rejected: vec![row(&["acme", "name_empty"], 2), row(&["acme", "negative"], 3)],
        }
    }

    fn arrivals(at_edges: &[(&str, &str, u64)]) -> Arrivals {
        let at_edges =
            at_edges.iter().map(|(customer, project, count)| (environment(customer, project), *count));
        Arrivals { at_edges: Some(at_edges.collect()), is_comparable: true }
    }

    #[test]
    fn what_arrived_is_stored_or_has_another_fate() {
        let fates = fates(1, read(), Arrivals { at_edges: None, is_comparable: true });
        assert_eq!((fates[0].received, fates[0].stored.total, fates[0].duplicate), (100, 85, 10));
        assert_eq!((fates[0].rejected.total, fates[0].rejected.by_reason[&name("negative")]), (5, 3));
        assert_eq!((fates[0].in_flight, fates[0].difference, fates[0].balanced), (None, 0, Some(true)));
    }

    #[test]
    fn what_the_edges_have_and_the_store_has_not_is_in_flight() {
        let fates =
            fates(1, read(), arrivals(&[("acme", "web", 70), ("acme", "shop", 37), ("new", "web", 4)]));
        assert_eq!((fates[0].received, fates[0].in_flight, fates[0].balanced), (107, Some(7), None));
        assert_eq!((fates[1].received, fates[1].in_flight, fates[1].balanced), (4, Some(4), None));
        let landed = super::fates(1, read(), arrivals(&[("acme", "web", 100)]));
        assert_eq!((landed[0].in_flight, landed[0].balanced), (Some(0), Some(true)));
    }

    #[test]
    fn a_count_without_a_fate_shows_as_the_difference() {
        let mut read = read();
        read.evaluations = vec![row(&["acme"], 79)];
        let fates = fates(1, read, arrivals(&[("acme", "web", 100)]));
        assert_eq!((fates[0].difference, fates[0].balanced), (1, Some(false)));
    }

    #[test]
    fn a_journal_begun_anew_does_not_know_what_is_in_flight() {
        let fates = fates(1, read(), arrivals(&[("acme", "web", 3)]));
        assert_eq!((fates[0].received, fates[0].in_flight, fates[0].balanced), (100, None, Some(true)));
    }

    #[test]
    fn numbers_of_different_moments_are_not_judged() {
        let fates = fates(1, read(), Arrivals { at_edges: None, is_comparable: false });
        assert_eq!(fates[0].balanced, None);
    }
}
