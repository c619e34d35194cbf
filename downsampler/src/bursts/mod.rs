//! Bursts: traffic that is out of the ordinary, watched beside the cycles, so that nothing of it holds roll-ups or closing
//! up.
//!
//! Every few seconds the counts of the last tens of seconds are read, of all environments in one question, and each
//! environment's detector ([`flagmeter_bursts`]) is fed with them. What the same minutes of earlier weeks were is read every
//! five minutes. What begins and what is over goes to the ledger, which keeps each once, whoever finds it.
//!
//! # After a restart
//!
//! Nothing is kept but the ledger. A detector has all that it remembers from the last week, so it is fed with that again:
//! the week in minutes, and the last hour as finely as it came. In that hour it goes on from what the ledger says
//! was told of its environment last. So what was found before is not found anew, what began while nobody watched is told
//! now, and what goes on is seen to end.

mod counts;
mod metrics;
mod panel;
#[cfg(test)]
mod tests;
mod weeks;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use counts::{Counts, contributors};
use flagmeter_bursts::SLOT_SECONDS;
use flagmeter_ledger::{Alert, Alerted, Ledger, Said};
use flagmeter_model::{Clock, Environment, Meter, Name, TimeRange, Timestamp};
use flagmeter_store::Store;
use metrics::Metrics;
use panel::{GRAIN_SECONDS, Panel};
use prometheus::Registry;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use weeks::Past;

use crate::{Result, webhook};

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(5);
/// Where something is wrong that does not pass by itself, so long is waited beside that.
const REST: Duration = Duration::from_mins(1);
/// What began so long ago is still told, where nobody watched meanwhile.
const CATCH_UP_SECONDS: i64 = 3_600;
/// Before that, what detectors remember: how uneven their series is, and how high it was.
const UNEVEN_SECONDS: i64 = 7 * 3_600;
const HIGHEST_SECONDS: i64 = 7 * 86_400;
/// After the end of one its detector keeps quiet for so long.
const COOL_DOWN_SECONDS: i64 = 900;
/// Weeks in which the first count of an environment is looked for: further back it makes no difference.
const THERE_SECONDS: i64 = 35 * 86_400;
/// What is read in one question: minutes at first, then tens of seconds.
const MINUTES_AT_ONCE: i64 = 6 * 3_600;
const GRAINS_AT_ONCE: i64 = 600;
/// The same of minutes that are compared with earlier weeks, which are held meanwhile.
const COMPARED_AT_ONCE: i64 = 3_600;
/// Whoever has fallen behind by more than this begins anew.
const BEHIND_SECONDS_MAX: i64 = 2 * 3_600;

/// Tells whether bursts of a customer are looked for now.
pub type Watched = dyn Fn(&Name) -> bool + Send + Sync;

/// Who watches traffic. Several of them do no harm.
pub struct Bursts {
    store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    is_watched: Box<Watched>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    watching: Option<Watching>,
    /// Whether a beginning was not brought to its end.
    is_beginning: bool,
    /// What was found and is not in the ledger yet.
    found: VecDeque<Alerted>,
}

/// When the next look is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Soon,
    AfterARest,
}

/// What is watched with.
struct Watching {
    panel: Panel,
    past: Past,
}

impl Bursts {
    /// Watches all environments of a store, those of customers that are not watched in silence: nothing is told to begin.
    pub fn new(
        (store, ledger): (Arc<dyn Store>, Arc<dyn Ledger>),
        is_watched: Box<Watched>,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Self> {
        let metrics = Metrics::register(registry)?;
        let (watching, is_beginning, found) = (None, false, VecDeque::new());
        Ok(Self { store, ledger, is_watched, clock, metrics, watching, is_beginning, found })
    }

    /// Looks every few seconds until `stop`. Safe to be dropped at any time.
    pub async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            if stop.run_until_cancelled(self.look()).await == Some(Next::AfterARest) {
                stop.run_until_cancelled(tokio::time::sleep(REST)).await;
            }
        }
        Ok(())
    }

    /// Looks at all that is new. What fails is left for the next look.
    async fn look(&mut self) -> Next {
        let began = Instant::now();
        let mut next = Next::Soon;
        if let Err(error) = self.catch_up().await {
            self.metrics.failures.inc();
            warn!(%error, "traffic is looked at for bursts again later, and nothing is left out");
            // A beginning reads a week: not every few seconds of a store that has trouble answering.
            if self.is_beginning || !error.is_retryable() {
                next = Next::AfterARest;
            }
        }
        let until = self.watching.as_ref().map(|watching| watching.panel.end());
        self.metrics.looked(began.elapsed(), until, self.clock.now());
        if let Some(watching) = &self.watching {
            self.metrics.watched(watching.panel.watched());
        }
        next
    }

    async fn catch_up(&mut self) -> Result<()> {
        self.tell().await?;
        let now = self.clock.now().floor_to(GRAIN_SECONDS);
        let is_there = match &self.watching {
            Some(watching) => !watching.is_behind(&*self.store, now).await?,
            None => false,
        };
        if !is_there {
            self.is_beginning = true;
            let watching = Watching::begin(&*self.store, &*self.ledger, now).await?;
            self.is_beginning = false;
            let Some(watching) = watching else { return Ok(()) };
            self.watching = Some(watching);
        }
        let Some(watching) = &mut self.watching else { return Ok(()) };
        loop {
            let (found, is_all) = watching.step(&*self.store, now).await?;
            let is_told = |one: &Alerted| one.said.is_over() || (self.is_watched)(one.of.customer());
            self.found.extend(found.into_iter().filter(is_told));
            if is_all {
                break;
            }
        }
        self.tell().await
    }

    /// Tells the ledger what was found.
    async fn tell(&mut self) -> Result<()> {
        while let Some(next) = self.found.front_mut() {
            if next.said == Said::Began && next.contributors.is_empty() {
                match contributors(&*self.store, next).await {
                    Ok(contributors) => next.contributors = contributors,
                    // An alert without them is worth more than none.
                    Err(error) => {
                        self.metrics.failures.inc();
                        warn!(%error, id = next.id(), "an alert is told without what it comes from");
                    }
                }
            }
            let told = self.ledger.alert(vec![next.clone()], self.clock.now()).await;
            let alerts = match told {
                // One that cannot be must not keep back all others.
                Err(flagmeter_ledger::Error::Refused(why)) => {
                    self.metrics.failures.inc();
                    error!(why, "an alert is left out: please report this");
                    Vec::new()
                }
                told => told?,
            };
            self.found.pop_front();
            for alert in alerts {
                self.metrics.told(&alert);
                let Alert { alerted: Alerted { observed, expected, low, high, excess, .. }, .. } = alert;
                let what = webhook::what(&alert.alerted);
                info!(observed, expected, low, high, excess, id = alert.alerted.id(), "{what}");
            }
        }
        Ok(())
    }
}

impl Watching {
    /// Makes detectors that know what they would know if they had always been there; `None` while nothing is known yet.
    async fn begin(store: &dyn Store, ledger: &dyn Ledger, now: Timestamp) -> Result<Option<Self>> {
        let Some(known) = known_until(store, now).await? else { return Ok(None) };
        let tells_from = known.plus_seconds(-CATCH_UP_SECONDS).floor_to(SLOT_SECONDS);
        let compares_from = tells_from.plus_seconds(-UNEVEN_SECONDS);
        let from = tells_from.plus_seconds(-HIGHEST_SECONDS);
        let there_since = there_since(store, now).await?;
        let mut standing = ledger.standing_alerts(tells_from.plus_seconds(-COOL_DOWN_SECONDS)).await?;
        standing.retain(|alert| alert.alerted.meter == Meter::Evaluations);
        let mut panel = Panel::new((from, tells_from), &there_since, standing);
        let mut past = Past::default();
        while panel.end() < tells_from {
            let begins = panel.end();
            let (stage_ends, at_once) = if begins < compares_from {
                (compares_from, MINUTES_AT_ONCE)
            } else {
                (tells_from, COMPARED_AT_ONCE)
            };
            let ends = begins.plus_seconds(at_once).min(stage_ends);
            let range = TimeRange::new(begins, ends);
            if begins >= compares_from {
                past.load(store, range).await?;
            }
            let counts = Counts::read(store, range, 60).await?;
            let _told_already = panel.feed(&counts, &past);
            past.forget_before(panel.end());
            if panel.end() < ends {
                return Ok(None);
            }
        }
        Ok(Some(Self { panel, past }))
    }

    /// Whether more has come in than is worth being taken step by step: nobody looked for hours.
    async fn is_behind(&self, store: &dyn Store, now: Timestamp) -> Result<bool> {
        let is_far = |until: Timestamp| until.millis_since(self.panel.end()) > 1_000 * BEHIND_SECONDS_MAX;
        // While nothing comes in it is not we who are behind.
        Ok(is_far(now) && known_until(store, now).await?.is_some_and(is_far))
    }

    /// Takes the next counts; and whether these were all that are settled.
    async fn step(&mut self, store: &dyn Store, now: Timestamp) -> Result<(Vec<Alerted>, bool)> {
        let begins = self.panel.end();
        let range = TimeRange::new(begins, begins.plus_seconds(GRAINS_AT_ONCE).min(now));
        if range.is_empty() {
            return Ok((Vec::new(), true));
        }
        self.past.load(store, range).await?;
        let counts = Counts::read(store, range, GRAIN_SECONDS).await?;
        let found = self.panel.feed(&counts, &self.past);
        self.past.forget_before(self.panel.end());
        Ok((found, self.panel.end() < range.to || range.to == now))
    }
}

/// Until when something is known for good; `None` before the first count.
async fn known_until(store: &dyn Store, now: Timestamp) -> Result<Option<Timestamp>> {
    let counts =
        Counts::read(store, TimeRange::new(now.plus_seconds(-GRAIN_SECONDS), now), GRAIN_SECONDS).await?;
    Ok(counts.complete_until.map(|until| until.min(now).floor_to(GRAIN_SECONDS)))
}

/// The hour in which each environment was counted for the first time, as far back as it matters.
async fn there_since(store: &dyn Store, now: Timestamp) -> Result<BTreeMap<Environment, Timestamp>> {
    let (from, to) = (now.plus_seconds(-THERE_SECONDS).floor_to(3_600), now.ceil_to(3_600));
    let hours = Counts::read(store, TimeRange::new(from, to), 3_600).await?;
    let first = |row: &Vec<u64>| row.iter().position(|count| *count > 0);
    let of =
        |(environment, row): (&Environment, &Vec<u64>)| Some((environment.clone(), hours.start(first(row)?)));
    Ok(hours.rows.iter().filter_map(of).collect())
}
