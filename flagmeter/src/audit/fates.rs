//! Promise 6: received = stored + duplicate + rejected, and what is in flight besides.

use std::{collections::BTreeMap, time::Duration};

use flagmeter_model::{Environment, Meter, Name, Tier, Timestamp};
use flagmeter_store::{Axis, Dimension, Filter, Read, Result, Store, TierChoice};

use super::{Fates, Report};

/// How often a running server is asked again before a difference counts: the parts of a seal that was split by
/// size are stored one after the other.
const LOOKS: usize = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
const ENVIRONMENTS_MAX: usize = 1_000_000;

/// What the store holds for one environment, by meter, and what it held of `received` a moment before.
#[derive(Debug, Clone, Default)]
struct Held {
    received_before: u64,
    received: u64,
    stored: u64,
    duplicate: u64,
    rejected: u64,
}

impl Held {
    fn settled(&self) -> u64 {
        self.stored.saturating_add(self.duplicate).saturating_add(self.rejected)
    }

    /// The meters are read one after the other while a running server stores on. What is received only grows,
    /// and in the same step as the rest: so the rest lies between what was received before and after.
    fn agrees(&self) -> bool {
        (self.received_before..=self.received).contains(&self.settled())
    }
}

/// Compares the fates of all environments.
pub(super) async fn compare(
    store: &dyn Store,
    now: Timestamp,
    received: impl Fn() -> BTreeMap<Environment, u64> + Send,
    report: &mut Report,
) -> Result<()> {
    let mut held = BTreeMap::new();
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        held = hold(store, now).await?;
        if held.values().all(Held::agrees) {
            break;
        }
    }
    report.dead_letter_counts = store.state().await?.dead_letter_counts;
    let short = |held: &Held| held.received_before.saturating_sub(held.settled());
    let missing = held.values().fold(0_u64, |sum, held| sum.saturating_add(short(held)));
    let arrived = received();
    for environment in arrived.keys() {
        held.entry(environment.clone()).or_default();
    }
    for (environment, held) in held {
        let in_dead_letters = held.settled() < held.received_before && missing <= report.dead_letter_counts;
        if !held.agrees() && !in_dead_letters {
            report.differs(|| {
                format!(
                    "{environment}: {} counts were received, but {} are stored, {} duplicate and {} rejected, \
                     which is {}",
                    held.received,
                    held.stored,
                    held.duplicate,
                    held.rejected,
                    held.settled()
                )
            });
        }
        let in_flight = arrived.get(&environment).map_or(0, |arrived| arrived.saturating_sub(held.received));
        report.fates.push(Fates {
            environment,
            received: held.received,
            stored: held.stored,
            duplicate: held.duplicate,
            rejected: held.rejected,
            in_flight,
        });
    }
    Ok(())
}

async fn hold(store: &dyn Store, now: Timestamp) -> Result<BTreeMap<Environment, Held>> {
    let mut held: BTreeMap<Environment, Held> = BTreeMap::new();
    for (environment, count) in sums(store, Meter::Received, now).await? {
        held.entry(environment).or_default().received_before = count;
    }
    for meter in Meter::ALL.into_iter().filter(|&meter| meter != Meter::Received).chain([Meter::Received]) {
        for (environment, count) in sums(store, meter, now).await? {
            let held = held.entry(environment).or_default();
            match meter {
                Meter::Evaluations | Meter::Requests => held.stored = held.stored.saturating_add(count),
                Meter::Duplicate => held.duplicate = count,
                Meter::Rejected => held.rejected = count,
                Meter::Received => held.received = count,
            }
        }
    }
    Ok(held)
}

/// The total of one meter over all time, by environment.
async fn sums(store: &dyn Store, meter: Meter, now: Timestamp) -> Result<Vec<(Environment, u64)>> {
    let end = now.ceil_to(Tier::Hour.seconds()).plus_seconds(48 * Tier::Hour.seconds());
    let answer = store
        .read(&Read {
            meter,
            edges: vec![Timestamp::EPOCH, end],
            filter: Filter::default(),
            group_by: vec![Dimension::Customer, Dimension::Project, Dimension::Environment],
            tiers: TierChoice::Cover,
            axis: Axis::Totals,
            groups_max: ENVIRONMENTS_MAX,
        })
        .await?;
    Ok(answer
        .rows
        .into_iter()
        .filter_map(|row| Some((environment(row.group)?, row.counts.iter().sum())))
        .collect())
}

fn environment(group: Vec<Option<Name>>) -> Option<Environment> {
    let [customer, project, environment] = <[Option<Name>; 3]>::try_from(group).ok()?;
    Some(Environment { customer: customer?, project: project?, environment: environment? })
}
