//! Which flags are watched: the largest of the largest environments.

use std::collections::{BTreeMap, BTreeSet};

use flagmeter_ledger::Subject;
use flagmeter_model::{Environment, Name, TimeRange, Timestamp};
use flagmeter_store::{Error as StoreError, Store};
use tracing::info;

use super::{
    counts::{Asked, Counts},
    unanswered::Unanswered,
};
use crate::{Error, Result};

/// Environments whose flags are watched, and flags of all of them together, at most; those that something goes on of come on
/// top.
const ENVIRONMENTS_MAX: usize = 200;
const FLAGS_MAX: usize = 2_000;
/// They are measured by what they counted in so long.
const MEASURED_SECONDS: i64 = 86_400;

/// Flags by their environments.
pub(super) type Chosen = BTreeMap<Environment, BTreeSet<Name>>;

/// Chooses as many `flags` of each environment that has several, and all that are `going` on, which come on top of them. Those
/// chosen `before` stay as long as they are among twice as many, flags and environments: who is new has to be learnt first.
/// Of an environment that is not answered those chosen before stay in any case.
pub(super) async fn choose(
    store: &dyn Store,
    flags: usize,
    now: Timestamp,
    (before, going): (&Chosen, Chosen),
    unanswered: &mut Unanswered,
) -> Result<Chosen> {
    let mut chosen = going;
    let mut left = FLAGS_MAX.saturating_sub(chosen.values().map(BTreeSet::len).sum());
    if flags == 0 {
        return Ok(chosen);
    }
    let to = now.floor_to(3_600);
    let day = TimeRange::new(to.plus_seconds(-MEASURED_SECONDS), to);
    let mut environments = largest(store, day, before).await?;
    environments.sort_by_key(|environment| unanswered.contains(environment));
    unanswered.begin();
    for environment in environments {
        let before = before.get(&environment);
        let answer = if unanswered.gives_up() {
            None
        } else {
            let names = largest_flags(store, &environment, day).await;
            unanswered.take(&environment, names)
        };
        let new: Vec<_> = match answer {
            // Of one that has one flag alone, the environment says it.
            Some(names) if names.len() < 2 => continue,
            Some(names) => among(names, flags, |name| before.is_some_and(|before| before.contains(name))),
            None => before.into_iter().flatten().cloned().collect(),
        };
        let of = chosen.entry(environment).or_default();
        let had = of.len();
        of.extend(new.into_iter().take(left));
        left = left.saturating_sub(of.len() - had);
        if left == 0 {
            break;
        }
    }
    chosen.retain(|_, names| !names.is_empty());
    Ok(chosen)
}

/// The flags of an environment, the largest first; none where there are more than are read.
async fn largest_flags(store: &dyn Store, environment: &Environment, day: TimeRange) -> Result<Vec<Name>> {
    let asked = Asked::Flags(environment.clone(), Vec::new());
    match Counts::read(store, &asked, day, MEASURED_SECONDS).await {
        Ok(counts) => Ok(by_count(counts, |of| match of {
            Subject::Flag(_, name) if name != Name::other() => Some(name),
            _ => None,
        })),
        Err(Error::Store(StoreError::TooMany { max, .. })) => {
            info!(%environment, max, "more flags than are read at once: none of it is watched by itself");
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// The environments that counted most.
async fn largest(store: &dyn Store, day: TimeRange, before: &Chosen) -> Result<Vec<Environment>> {
    let counts = Counts::read(store, &Asked::Environments, day, MEASURED_SECONDS).await?;
    let environments = by_count(counts, |of| match of {
        Subject::Environment(environment) => Some(environment),
        _ => None,
    });
    Ok(among(environments, ENVIRONMENTS_MAX, |environment| before.contains_key(environment)))
}

/// The first ones, and before them those that stay as long as they are among twice as many.
pub(super) fn among<T>(mut all: Vec<T>, most: usize, stays: impl Fn(&T) -> bool) -> Vec<T> {
    all.truncate(most.saturating_mul(2));
    all.sort_by_key(|one| !stays(one));
    all.truncate(most);
    all
}

/// Those that were counted, the largest first.
fn by_count<T: Ord>(counts: Counts, what: impl Fn(Subject) -> Option<T>) -> Vec<T> {
    let sum = |row: Vec<u64>| row.into_iter().fold(0, u64::saturating_add);
    let rows = counts.rows.into_iter().filter_map(|(of, row)| Some((what(of)?, sum(row))));
    let mut rows: Vec<_> = rows.filter(|(_, count)| *count > 0).collect();
    rows.sort_by(|(one, count), (other, others)| others.cmp(count).then_with(|| one.cmp(other)));
    rows.into_iter().map(|(one, _)| one).collect()
}
