//! What the store tells of traffic, as the watch needs it: counts of all environments at once, by bucket.

use std::{cmp::Reverse, collections::HashMap};

use flagmeter_ledger::{AlertKind, Alerted, Contributor, Part, Subject};
use flagmeter_model::{Environment, Meter, Name, TimeRange, Timestamp};
use flagmeter_store::{AxisChoice, Dimension, Filter, Read, RowState, Store, TierChoice};

use crate::{Error, Result};

/// Environments that are watched at most: what each costs is in docs/bursts.md.
const ENVIRONMENTS_MAX: usize = 20_000;
/// Flags or SDKs of an environment that are looked at for what an alert comes from, at most.
const CONTRIBUTORS_READ_MAX: usize = 100_000;
/// Contributors of each sort that are told.
const CONTRIBUTORS_TOLD: usize = 5;
/// Environments, as they are told apart.
const BY_ENVIRONMENT: [Dimension; 3] = [Dimension::Customer, Dimension::Project, Dimension::Environment];

/// Buckets of the same length, one after the other.
#[derive(Debug)]
pub(super) struct Counts {
    /// Start of the first one.
    pub(super) from: Timestamp,
    /// Their length in seconds.
    pub(super) seconds: i64,
    /// What is known of each.
    pub(super) states: Vec<RowState>,
    /// Everything before this is in; `None` before the first count.
    pub(super) complete_until: Option<Timestamp>,
    /// Those of each environment that was counted in any of them.
    pub(super) rows: HashMap<Environment, Vec<u64>>,
}

impl Counts {
    /// Asks for the buckets of a range, which begins and ends between two of them.
    pub(super) async fn read(store: &dyn Store, range: TimeRange, seconds: i64) -> Result<Self> {
        let buckets = (range.to.millis_since(range.from) / (1_000 * seconds)).max(1);
        let read = Read {
            meter: Meter::Evaluations,
            edges: (0..=buckets).map(|at| range.from.plus_seconds(at * seconds)).collect(),
            filter: Filter::default(),
            group_by: BY_ENVIRONMENT.to_vec(),
            tiers: TierChoice::Cover,
            axis: AxisChoice::Any,
            groups_max: ENVIRONMENTS_MAX,
        };
        let answer = store.read(&read).await?;
        let row = |row: flagmeter_store::Row| match <[Option<Name>; 3]>::try_from(row.group) {
            Ok([Some(customer), Some(project), Some(environment)]) => {
                Some((Environment { customer, project, environment }, row.counts))
            }
            _ => None,
        };
        let rows = answer.rows.into_iter().filter_map(row).collect();
        let complete_until = answer.complete_until;
        Ok(Self { from: range.from, seconds, states: answer.states, complete_until, rows })
    }

    /// Start of a bucket.
    pub(super) fn start(&self, bucket: usize) -> Timestamp {
        self.from.plus_seconds(i64::try_from(bucket).unwrap_or(0) * self.seconds)
    }

    /// Buckets from the first one on of which something is known for good, be it that nothing is. States do not tell:
    /// where nobody was counted yet, what is not in is unknown, as is what never will be.
    pub(super) fn settled(&self) -> usize {
        let Some(until) = self.complete_until else { return 0 };
        (0..self.states.len()).take_while(|bucket| self.start(bucket + 1) <= until).count()
    }

    /// Whether all of a bucket is in.
    pub(super) fn is_complete(&self, bucket: usize) -> bool {
        self.states.get(bucket) == Some(&RowState::Complete)
    }
}

/// All of it.
fn of(subject: &Subject) -> Filter {
    let names = |name: Option<&Name>| name.cloned().into_iter().collect();
    Filter {
        customers: vec![subject.customer().clone()],
        projects: names(subject.project()),
        environments: names(subject.environment()),
        names: names(subject.flag()),
        ..Filter::default()
    }
}

/// Where most of what was counted beyond (or below) the ordinary comes from: what was counted since it began, beside as
/// much time just before.
pub(super) async fn contributors(store: &dyn Store, alerted: &Alerted) -> Result<Vec<Contributor>> {
    let (since, seen_at) = (alerted.since.floor_to(10), alerted.seen_at.floor_to(10));
    let before = since.plus_millis(-seen_at.millis_since(since));
    if before >= since {
        return Ok(Vec::new());
    }
    let filter = of(&alerted.of);
    let mut told = Vec::new();
    for (part, dimension) in [(Part::Flag, Dimension::Name), (Part::Sdk, Dimension::Sdk)] {
        let read = Read {
            meter: alerted.meter,
            edges: vec![before, since, seen_at],
            filter: filter.clone(),
            group_by: vec![dimension],
            tiers: TierChoice::Cover,
            axis: AxisChoice::Any,
            groups_max: CONTRIBUTORS_READ_MAX,
        };
        let rows = match store.read(&read).await {
            // What is not known before it began is not nothing, and all would seem to come from whoever is named first.
            Ok(answer) if answer.states.iter().any(|state| *state != RowState::Complete) => continue,
            Ok(answer) => answer.rows,
            // An alert without them is worth more than none.
            Err(flagmeter_store::Error::TooMany { .. }) => continue,
            Err(error) => return Err(Error::Store(error)),
        };
        let kept = i64::MAX.unsigned_abs();
        let mut parts: Vec<Contributor> = rows
            .into_iter()
            .filter_map(|row| {
                let [before, count] = <[u64; 2]>::try_from(row.counts).ok()?;
                let name = row.group.into_iter().next().flatten();
                Some(Contributor { part, name, count: count.min(kept), before: before.min(kept) })
            })
            .collect();
        let weight = |one: &Contributor| match alerted.kind {
            AlertKind::Burst => one.count.saturating_sub(one.before),
            AlertKind::Drop => one.before.saturating_sub(one.count),
        };
        parts.retain(|one| weight(one) > 0);
        parts.sort_by_key(|one| (Reverse(weight(one)), one.name.clone()));
        parts.truncate(CONTRIBUTORS_TOLD);
        told.extend(parts);
    }
    Ok(told)
}
