//! The watch over environments, and over projects and customers: every few seconds.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use flagmeter_bursts::SLOT_SECONDS;
use flagmeter_ledger::{Alerted, Ledger, Subject};
use flagmeter_model::{Clock, Environment, Meter, TimeRange, Timestamp};
use flagmeter_store::Store;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    BEHIND_SECONDS_MAX, CATCH_UP_SECONDS, COOL_DOWN_SECONDS, Until, Watched,
    counts::{Asked, Counts, first_counts},
    learning::{begins, learn},
    metrics::Metrics,
    muted::{in_force, outlasting},
    panel::Panel,
    series::GRAIN_SECONDS,
    tell::tell,
    weeks::Past,
};
use crate::Result;

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(5);
/// Where something is wrong that does not pass by itself, so long is waited beside that.
const REST: Duration = Duration::from_mins(1);
/// How often is looked for what somebody told who is gone.
const TAKES_OVER_SECONDS: i64 = 60;
/// Tens of seconds that are read in one question.
const GRAINS_AT_ONCE: i64 = 600;

/// Who watches environments.
pub(super) struct Environments {
    pub(super) store: Arc<dyn Store>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) is_watched: Arc<Watched>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    pub(super) watching: Option<Watching>,
    /// Where nothing is watched: until when it is known that there is nothing to watch. Since then nobody has looked.
    nothing_until: Timestamp,
    /// Whether a beginning was not brought to its end.
    is_beginning: bool,
    /// What was found and is not in the ledger yet.
    pub(super) found: VecDeque<Alerted>,
    /// Until when was looked last for what somebody told who is gone.
    took_over_at: Timestamp,
    until: Until,
}

/// When the next look is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Soon,
    AfterARest,
}

/// What is watched with.
pub(super) struct Watching {
    pub(super) panel: Panel,
    pub(super) past: Past,
}

impl Environments {
    pub(super) fn new(
        (store, ledger): (Arc<dyn Store>, Arc<dyn Ledger>),
        is_watched: Arc<Watched>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        until: Until,
    ) -> Self {
        let nothing_until = clock.now();
        Self {
            store,
            ledger,
            is_watched,
            clock,
            metrics,
            watching: None,
            nothing_until,
            is_beginning: false,
            found: VecDeque::new(),
            took_over_at: Timestamp::EPOCH,
            until,
        }
    }

    /// Looks every few seconds until `stop`. Safe to be dropped at any time.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            if stop.run_until_cancelled(self.look()).await == Some(Next::AfterARest) {
                stop.run_until_cancelled(tokio::time::sleep(REST)).await;
            }
        }
    }

    /// Looks at all that is new. What fails is left for the next look.
    pub(super) async fn look(&mut self) -> Next {
        let began = Instant::now();
        let mut next = Next::Soon;
        let looked = self.catch_up().await;
        if self.watching.is_none() && looked.is_ok() {
            self.nothing_until = self.clock.now();
        }
        if let Err(error) = looked {
            self.metrics.failures.inc();
            warn!(%error, "traffic is looked at for bursts again later, and nothing is left out");
            // A beginning reads a week: not every few seconds of a store that has trouble answering.
            if self.is_beginning || !error.is_retryable() {
                next = Next::AfterARest;
            }
        }
        let until = self.watching.as_ref().map_or(self.nothing_until, |watching| watching.panel.end());
        self.metrics.looked(began.elapsed(), until, self.clock.now());
        if let Some(watching) = &self.watching {
            let watched = watching.panel.watched();
            for of in Subject::SORTS.into_iter().filter(|of| *of != "flag") {
                self.metrics.watched(of, watched.get(of).copied().unwrap_or_default());
            }
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
        self.tell().await?;
        self.take_over().await?;
        self.tell_what_outlasts_its_mute().await?;
        // All that was found until here is told: flags may be looked at as far.
        if let Some(watching) = &self.watching {
            self.until.store(watching.panel.end().as_millis(), Ordering::Release);
        }
        Ok(())
    }

    /// All that was found is told: what goes on in the ledger was told by somebody else, or is seen here.
    async fn take_over(&mut self) -> Result<()> {
        let Some(Watching { panel, .. }) = &mut self.watching else { return Ok(()) };
        if panel.end().millis_since(self.took_over_at) >= 1_000 * TAKES_OVER_SECONDS {
            panel.take_over(self.ledger.standing_alerts(Timestamp::MAX).await?);
            self.took_over_at = panel.end();
        }
        Ok(())
    }

    async fn tell_what_outlasts_its_mute(&mut self) -> Result<()> {
        let Some(Watching { panel, .. }) = &self.watching else { return Ok(()) };
        self.metrics.mutes(in_force(&*self.ledger, self.clock.now()).await?.len());
        let goes_on = |was: &Alerted| panel.goes_on(was);
        let now = self.clock.now();
        self.found.extend(outlasting(&*self.ledger, &*self.is_watched, now, goes_on).await?);
        self.tell().await
    }

    async fn tell(&mut self) -> Result<()> {
        let parts = (&*self.store, &*self.ledger);
        tell(&mut self.found, parts, &*self.clock, &self.metrics).await
    }
}

impl Watching {
    /// Makes detectors that know what they would know if they had always been there; `None` while nothing is known yet.
    pub(super) async fn begin(
        store: &dyn Store,
        ledger: &dyn Ledger,
        now: Timestamp,
    ) -> Result<Option<Self>> {
        let Some(known) = known_until(store, now).await? else { return Ok(None) };
        let tells_from = known.plus_seconds(-CATCH_UP_SECONDS).floor_to(SLOT_SECONDS);
        let there_since = there_since(store, now).await?;
        let mut standing = ledger.standing_alerts(tells_from.plus_seconds(-COOL_DOWN_SECONDS)).await?;
        standing.retain(|alert| alert.alerted.meter == Meter::Evaluations);
        let mut panel = Panel::new((begins(tells_from), tells_from), &there_since, standing);
        let mut past = Past::new(Asked::Environments);
        let feed = |counts: &Counts, past: &Past| {
            let _told_already = panel.feed(counts, past);
            panel.end()
        };
        let is_all = learn(store, &mut past, tells_from, feed).await?;
        Ok(is_all.then_some(Self { panel, past }))
    }

    /// Whether more has come in than is worth being taken step by step: nobody looked for hours.
    pub(super) async fn is_behind(&self, store: &dyn Store, now: Timestamp) -> Result<bool> {
        let is_far = |until: Timestamp| until.millis_since(self.panel.end()) > 1_000 * BEHIND_SECONDS_MAX;
        // While nothing comes in it is not we who are behind.
        Ok(is_far(now) && known_until(store, now).await?.is_some_and(is_far))
    }

    /// Takes the next counts; and whether these were all that are settled.
    pub(super) async fn step(&mut self, store: &dyn Store, now: Timestamp) -> Result<(Vec<Alerted>, bool)> {
        let begins = self.panel.end();
        let range = TimeRange::new(begins, begins.plus_seconds(GRAINS_AT_ONCE).min(now));
        if range.is_empty() {
            return Ok((Vec::new(), true));
        }
        self.past.load(store, range).await?;
        let counts = Counts::read(store, &Asked::Environments, range, GRAIN_SECONDS).await?;
        let found = self.panel.feed(&counts, &self.past);
        self.past.forget_before(self.panel.end());
        Ok((found, self.panel.end() < range.to || range.to == now))
    }
}

/// Until when something is known for good; `None` before the first count.
async fn known_until(store: &dyn Store, now: Timestamp) -> Result<Option<Timestamp>> {
    let counts = Counts::read(
        store,
        &Asked::Environments,
        TimeRange::new(now.plus_seconds(-GRAIN_SECONDS), now),
        GRAIN_SECONDS,
    )
    .await?;
    Ok(counts.complete_until.map(|until| until.min(now).floor_to(GRAIN_SECONDS)))
}

/// The hour in which each environment was counted for the first time, as far back as it matters.
pub(super) async fn there_since(
    store: &dyn Store,
    now: Timestamp,
) -> Result<BTreeMap<Environment, Timestamp>> {
    let first = first_counts(store, &Asked::Environments, now).await?;
    let of = |(of, hour)| match of {
        Subject::Environment(environment) => Some((environment, hour)),
        _ => None,
    };
    Ok(first.into_iter().filter_map(of).collect())
}
