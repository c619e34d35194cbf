//! Which flags are watched: the largest of the largest environments.

use std::collections::{BTreeMap, BTreeSet};

use flagmeter_ledger::Subject;
use flagmeter_model::{Environment, Name, TimeRange, Timestamp};
use flagmeter_store::{Error as StoreError, Store};
use tracing::info;

use super::counts::{Asked, Counts};
use crate::{Error, Result};

/// Environments whose flags are watched, and flags of all of them together, at most.
const ENVIRONMENTS_MAX: usize = 200;
const FLAGS_MAX: usize = 2_000;
/// They are measured by what they counted in so long.
const MEASURED_SECONDS: i64 = 86_400;

/// Flags by their environments.
pub(super) type Chosen = BTreeMap<Environment, BTreeSet<Name>>;

/// Chooses as many `flags` of each environment that has several, and all that are `going` on. Those chosen `before`
/// stay as long as they are among twice as many: who is new has to be learnt first.
pub(super) async fn choose(
    store: &dyn Store,
    flags: usize,
    now: Timestamp,
    before: &Chosen,
    going: Chosen,
) -> Result<Chosen> {
    let mut chosen = going;
    let mut left = FLAGS_MAX.saturating_sub(chosen.values().map(BTreeSet::len).sum());
    if flags == 0 {
        return Ok(chosen);
    }
    let to = now.floor_to(3_600);
    let day = TimeRange::new(to.plus_seconds(-MEASURED_SECONDS), to);
    for environment in largest(store, day).await? {
        let asked = Asked::Flags(environment.clone(), Vec::new());
        let counts = match Counts::read(store, &asked, day, MEASURED_SECONDS).await {
            Ok(counts) => counts,
            Err(Error::Store(StoreError::TooMany { max, .. })) => {
                info!(%environment, max, "more flags than are read at once: none of it is watched by itself");
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut names = by_count(counts, |of| match of {
            Subject::Flag(_, name) if name != Name::other() => Some(name),
            _ => None,
        });
        // Of one that has one flag alone, the environment says it.
        if names.len() < 2 {
            continue;
        }
        names.truncate(2 * flags);
        let stays = |name: &Name| before.get(&environment).is_some_and(|before| before.contains(name));
        names.sort_by_key(|name| !stays(name));
        let new = names.into_iter().take(flags.min(left));
        let of = chosen.entry(environment.clone()).or_default();
        let had = of.len();
        of.extend(new);
        left = left.saturating_sub(of.len() - had);
        if left == 0 {
            break;
        }
    }
    chosen.retain(|_, names| !names.is_empty());
    Ok(chosen)
}

/// The environments that counted most.
async fn largest(store: &dyn Store, day: TimeRange) -> Result<Vec<Environment>> {
    let counts = Counts::read(store, &Asked::Environments, day, MEASURED_SECONDS).await?;
    let mut environments = by_count(counts, |of| match of {
        Subject::Environment(environment) => Some(environment),
        _ => None,
    });
    environments.truncate(ENVIRONMENTS_MAX);
    Ok(environments)
}

/// Those that were counted, the largest first.
fn by_count<T: Ord>(counts: Counts, what: impl Fn(Subject) -> Option<T>) -> Vec<T> {
    let sum = |row: Vec<u64>| row.into_iter().fold(0, u64::saturating_add);
    let rows = counts.rows.into_iter().filter_map(|(of, row)| Some((what(of)?, sum(row))));
    let mut rows: Vec<_> = rows.filter(|(_, count)| *count > 0).collect();
    rows.sort_by(|(one, count), (other, others)| others.cmp(count).then_with(|| one.cmp(other)));
    rows.into_iter().map(|(one, _)| one).collect()
}
