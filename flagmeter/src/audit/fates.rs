//! Promise 6: received = stored + duplicate + rejected, and what is in flight besides. What should be stored by
//! now and is not is lost.

use std::{collections::BTreeMap, time::Duration};

use flagmeter_model::{Environment, Meter, Name, Tier, Timestamp};
use flagmeter_store::{AxisChoice, Dimension, Filter, Read, Result, Store, TierChoice};

use super::{Arrived, Due, Fates, Report};

/// How often a running server is asked again before a difference counts: the parts of a seal that was split by
/// size are stored one after the other.
const LOOKS: usize = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// How often to look whether what has arrived is stored: a seal is made once a second.
const LOOKS_UNTIL_DUE: usize = 25;
const ENVIRONMENTS_MAX: usize = 1_000_000;

/// What is held for one environment, by meter, and what the store held of `received` a moment before.
#[derive(Debug, Clone, Default)]
struct Held {
    received_before: u64,
    received: u64,
    stored: u64,
    duplicate: u64,
    rejected: u64,
    /// What the edge has received: some of it may be on its way.
    arrived: u64,
}

impl Held {
    fn settled(&self) -> u64 {
        self.stored.saturating_add(self.duplicate).saturating_add(self.rejected)
    }

    /// What the edge has received and the store does not know of.
    fn ahead(&self) -> u64 {
        self.arrived.saturating_sub(self.received)
    }

    /// What has no fate, if everything that has arrived is to be stored.
    fn missing(&self, is_due: bool) -> u64 {
        let short = self.received_before.saturating_sub(self.settled());
        short.saturating_add(if is_due { self.ahead() } else { 0 })
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
    arrived: impl Fn() -> Arrived + Send,
    report: &mut Report,
) -> Result<()> {
    let mut held = settled(store, now).await?;
    let arrived = arrived();
    let is_due = is_due(store, arrived.due).await?;
    if is_due && arrived.due != Due::Now {
        // What has arrived since hides what is lost under a load; a server at rest shows it.
        held = settled(store, now).await?;
    }
    report.dead_letter_counts = store.state().await?.dead_letter_counts;
    for (environment, received) in arrived.received {
        held.entry(environment).or_default().arrived = received;
    }
    let missing = held.values().fold(0_u64, |sum, held| sum.saturating_add(held.missing(is_due)));
    let excused = missing <= report.dead_letter_counts;
    report.in_dead_letters = if excused { missing } else { 0 };
    for (environment, held) in held {
        if !excused || held.missing(is_due) == 0 {
            tell(&environment, &held, is_due, report);
        }
        report.fates.push(Fates {
            environment,
            received: held.received,
            stored: held.stored,
            duplicate: held.duplicate,
            rejected: held.rejected,
            in_flight: (arrived.due != Due::Unknown).then(|| if is_due { 0 } else { held.ahead() }),
        });
    }
    Ok(())
}

fn tell(environment: &Environment, held: &Held, is_due: bool, report: &mut Report) {
    let Held { received, stored, duplicate, rejected, .. } = held;
    if !held.agrees() {
        report.differs(|| {
            format!(
                "{environment}: {received} counts were received, but {stored} are stored, {duplicate} duplicate \
                 and {rejected} rejected, which is {}",
                held.settled()
            )
        });
    }
    if is_due && held.ahead() > 0 {
        report.differs(|| {
            format!(
                "{environment}: {} counts were received, but the store knows of {received}, and nothing waits on \
                 the way to it: {} are lost",
                held.arrived,
                held.ahead()
            )
        });
    }
}

/// What the store holds, once it adds up or was asked often enough.
async fn settled(store: &dyn Store, now: Timestamp) -> Result<BTreeMap<Environment, Held>> {
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
    Ok(held)
}

/// Waits until the store must have what has arrived; `false` if that takes too long.
async fn is_due(store: &dyn Store, due: Due) -> Result<bool> {
    let (node, past) = match due {
        Due::Now => return Ok(true),
        Due::WhenServed | Due::Unknown => return Ok(false),
        Due::Past(node, past) => (node, past),
    };
    let mut first = None;
    for _ in 0..LOOKS_UNTIL_DUE {
        let state = store.state().await?;
        let of_node = || state.progress.iter().filter(|it| it.node == node);
        let in_all = of_node().count() >= state.partitions as usize;
        let stored = of_node().map(|it| it.watermark).min().filter(|_| in_all);
        // A clock that was set back stops the watermark: then only one that moves on says something.
        let first = *first.get_or_insert(stored);
        if stored > Some(past) && stored > first {
            return Ok(true);
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(false)
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
            axis: AxisChoice::Totals,
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
