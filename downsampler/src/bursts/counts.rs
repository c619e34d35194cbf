//! What the store tells of traffic, as the watch needs it: counts of all environments at once, by bucket.

use std::collections::HashMap;

use flagmeter_ledger::Subject;
use flagmeter_model::{Environment, Meter, Name, TimeRange, Timestamp};
use flagmeter_store::{AxisChoice, Dimension, Filter, Read, Row, RowState, Store, TierChoice};

use super::series::GRAIN_SECONDS;
use crate::Result;

/// Environments that are watched at most, and flags of one that are read: what each costs is in docs/bursts.md.
const GROUPS_MAX: usize = 20_000;
/// Seconds in which the first count of a series is looked for: further back it makes no difference.
const THERE_SECONDS: i64 = 35 * 86_400;
/// Whose counts are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// All environments.
    Environments,
    /// Flags of one.
    Flags(Environment, Vec<Name>),
}

impl Asked {
    fn filter(&self) -> Filter {
        match self {
            Self::Environments => Filter::default(),
            Self::Flags(Environment { customer, project, environment }, names) => Filter {
                customers: vec![customer.clone()],
                projects: vec![project.clone()],
                environments: vec![environment.clone()],
                names: names.clone(),
                ..Filter::default()
            },
        }
    }

    /// How they are told apart.
    fn group_by(&self) -> Vec<Dimension> {
        match self {
            Self::Environments => vec![Dimension::Customer, Dimension::Project, Dimension::Environment],
            Self::Flags(..) => vec![Dimension::Name],
        }
    }

    fn rows(&self, answer: Vec<Row>) -> HashMap<Subject, Vec<u64>> {
        match self {
            Self::Environments => {
                let row = |row: Row| match <[Option<Name>; 3]>::try_from(row.group) {
                    Ok([Some(customer), Some(project), Some(environment)]) => {
                        Some((Environment { customer, project, environment }, row.counts))
                    }
                    _ => None,
                };
                with_wholes(answer.into_iter().filter_map(row).collect())
            }
            Self::Flags(environment, _) => {
                let row = |row: Row| {
                    let name = row.group.into_iter().next().flatten()?;
                    Some((Subject::Flag(environment.clone(), name), row.counts))
                };
                answer.into_iter().filter_map(row).collect()
            }
        }
    }
}

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
    /// Those of each environment that was counted in any of them, and of each project and customer with several of these.
    pub(super) rows: HashMap<Subject, Vec<u64>>,
}

/// Which part of a bucket a grain is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    part: u64,
    parts: u64,
}

impl Share {
    /// Of this count; the rest is in the first ones.
    pub(super) fn of(self, count: u64) -> u64 {
        count / self.parts + u64::from(self.part < count % self.parts)
    }
}

impl Counts {
    /// Asks for the buckets of a range, which begins and ends between two of them.
    pub(super) async fn read(
        store: &dyn Store,
        asked: &Asked,
        range: TimeRange,
        seconds: i64,
    ) -> Result<Self> {
        let buckets = (range.to.millis_since(range.from) / (1_000 * seconds)).max(1);
        let read = Read {
            meter: Meter::Evaluations,
            edges: (0..=buckets).map(|at| range.from.plus_seconds(at * seconds)).collect(),
            filter: asked.filter(),
            group_by: asked.group_by(),
            tiers: TierChoice::Cover,
            axis: AxisChoice::Any,
            groups_max: GROUPS_MAX,
        };
        let answer = store.read(&read).await?;
        let rows = asked.rows(answer.rows);
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

    /// A bucket in grains of ten seconds.
    pub(super) fn grains(&self, bucket: usize) -> impl Iterator<Item = (usize, Timestamp, Share)> + use<> {
        let (start, parts) = (self.start(bucket), (self.seconds / GRAIN_SECONDS).max(1).unsigned_abs());
        (0..parts).map(move |part| {
            (bucket, start.plus_seconds(part.cast_signed() * GRAIN_SECONDS), Share { part, parts })
        })
    }

    /// What such a row has of a bucket; `None` where not all of it is known, which is not zero.
    pub(super) fn count(&self, row: Option<&[u64]>, bucket: usize) -> Option<u64> {
        let count = row.and_then(|row| row.get(bucket)).copied().unwrap_or_default();
        self.is_complete(bucket).then_some(count)
    }

    /// The row of one; `None` where nothing was counted. `parts` are the environments of which it may be a whole.
    pub(super) fn row<'a>(&self, of: &Subject, parts: impl Iterator<Item = &'a Subject>) -> Option<&[u64]> {
        of_whole(&self.rows, of, parts).map(Vec::as_slice)
    }
}

/// The hour in which each was counted for the first time, as far back as it matters.
pub(super) async fn first_counts(
    store: &dyn Store,
    asked: &Asked,
    now: Timestamp,
) -> Result<HashMap<Subject, Timestamp>> {
    let (from, to) = (now.plus_seconds(-THERE_SECONDS).floor_to(3_600), now.ceil_to(3_600));
    let mut hours = Counts::read(store, asked, TimeRange::new(from, to), 3_600).await?;
    let first = |row: &[u64]| row.iter().position(|count| *count > 0);
    let rows = std::mem::take(&mut hours.rows).into_iter();
    Ok(rows.filter_map(|(of, row)| Some((of, hours.start(first(&row)?)))).collect())
}

/// What is there of one; or of the one environment of it that there is anything of.
pub(super) fn of_whole<'a, 'b, T>(
    all: &'a HashMap<Subject, T>,
    of: &Subject,
    mut parts: impl Iterator<Item = &'b Subject>,
) -> Option<&'a T> {
    all.get(of).or_else(|| parts.find_map(|part| all.get(part).filter(|_| of.covers(part))))
}

/// Beside environments the projects and customers of which several were counted.
pub(super) fn with_wholes(rows: HashMap<Environment, Vec<u64>>) -> HashMap<Subject, Vec<u64>> {
    let mut wholes: HashMap<Subject, (usize, Vec<u64>)> = HashMap::new();
    for (Environment { customer, project, .. }, row) in &rows {
        let project = Subject::Project { customer: customer.clone(), project: project.clone() };
        for whole in [project, Subject::Customer(customer.clone())] {
            let (parts, sums) = wholes.entry(whole).or_insert_with(|| (0, vec![0; row.len()]));
            *parts += 1;
            for (sum, count) in sums.iter_mut().zip(row) {
                *sum = sum.saturating_add(*count);
            }
        }
    }
    let wholes = wholes.into_iter().filter(|(_, (parts, _))| *parts > 1).map(|(of, (_, sums))| (of, sums));
    rows.into_iter().map(|(environment, row)| (environment.into(), row)).chain(wholes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_spread_over_its_grains_to_the_last_count() {
        let (from, states) = (Timestamp::EPOCH, vec![RowState::Complete, RowState::Unknown]);
        let counts = Counts { from, seconds: 60, states, complete_until: None, rows: HashMap::new() };
        let row: &[u64] = &[20, 0];
        let spread: Vec<_> = counts.grains(0).map(|(_, start, share)| (start, share.of(20))).collect();
        assert_eq!(spread.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 4, 3, 3, 3, 3]);
        assert_eq!(spread[5].0, Timestamp::from_seconds_clamped(50));
        assert_eq!(counts.count(Some(row), 0), Some(20));
        assert_eq!(counts.count(Some(row), 1), None, "unknown is never zero");
        assert_eq!(counts.count(None, 0), Some(0));
        let tens = Counts { seconds: 10, ..counts };
        let whole: Vec<_> =
            tens.grains(1).map(|(bucket, start, share)| (bucket, start, share.of(7))).collect();
        assert_eq!(whole, [(1, Timestamp::from_seconds_clamped(10), 7)]);
    }

    #[test]
    fn wholes_are_the_sums_of_what_was_counted_of_them() {
        let name = |text: &str| Name::new(text).unwrap();
        let environment = |customer: &str, project: &str, environment: &str| Environment {
            customer: name(customer),
            project: name(project),
            environment: name(environment),
        };
        let [live, test] = ["live", "test"].map(|one| environment("acme", "web", one));
        let (app, other) = (environment("acme", "app", "live"), environment("beta", "web", "live"));
        let rows: HashMap<_, _> = (0..)
            .zip([&live, &test, &app, &other])
            .map(|(at, one)| (one.clone(), vec![10_u64.pow(at), 1]))
            .collect();
        let rows = with_wholes(rows);
        let web = Subject::Project { customer: name("acme"), project: name("web") };
        let parts: Vec<Subject> = [live, test, app, other].map(Subject::from).into();
        let row = |of: &Subject| of_whole(&rows, of, parts.iter()).cloned();
        assert_eq!(row(&web), Some(vec![11, 2]));
        assert_eq!(row(&Subject::Customer(name("acme"))), Some(vec![111, 3]));
        // Of one part alone there is no other row.
        assert_eq!(row(&Subject::Customer(name("beta"))), Some(vec![1_000, 1]));
        assert_eq!((rows.len(), row(&Subject::Customer(name("nobody")))), (6, None));
    }
}
