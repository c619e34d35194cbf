//! The watch over flags, one by one: once a minute, as far as environments are looked at and told of.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use flagmeter_ledger::{Alerted, Ledger, Subject};
use flagmeter_model::{Clock, Environment, Timestamp};
use flagmeter_store::Store;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    CATCH_UP_SECONDS, COOL_DOWN_SECONDS, Until, Watched,
    bunch::{Bunch, Standing},
    choice::{Chosen, choose},
    metrics::{self, Metrics},
    muted::outlasting,
    tell::tell,
};
use crate::Result;

/// How often is looked.
const INTERVAL: Duration = Duration::from_mins(1);
/// How often flags are chosen anew.
const CHOOSES_SECONDS: i64 = 3_600;

/// Who watches flags.
pub(super) struct Flags {
    pub(super) store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    /// So many of each environment.
    each: usize,
    is_watched: Arc<Watched>,
    clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    until: Until,
    pub(super) chosen: Chosen,
    chosen_at: Option<Timestamp>,
    bunches: BTreeMap<Environment, Bunch>,
    /// Environments whose flags were not answered when they were last asked for.
    pub(super) unanswered: BTreeSet<Environment>,
    /// What was found and is not in the ledger yet.
    found: VecDeque<Alerted>,
}

impl Flags {
    pub(super) fn new(
        (store, ledger): (Arc<dyn Store>, Arc<dyn Ledger>),
        each: usize,
        is_watched: Arc<Watched>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        until: Until,
    ) -> Self {
        Self {
            store,
            ledger,
            each,
            is_watched,
            clock,
            metrics,
            until,
            chosen: Chosen::new(),
            chosen_at: None,
            bunches: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            found: VecDeque::new(),
        }
    }

    /// Looks every minute until `stop`. Safe to be dropped at any time.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            let _stopped = stop.run_until_cancelled(self.look()).await;
        }
    }

    /// Looks at all that is new. What fails is left for the next look.
    pub(super) async fn look(&mut self) {
        let until = Timestamp::from_millis_clamped(self.until.load(Ordering::Acquire));
        // Environments come first.
        if until > Timestamp::EPOCH
            && let Err(error) = self.catch_up(until).await
        {
            self.failed(&error);
        }
        let mut watched = metrics::Watched::default();
        self.bunches.values().for_each(|bunch| bunch.watched(&mut watched));
        self.metrics.watched("flag", watched);
    }

    async fn catch_up(&mut self, until: Timestamp) -> Result<()> {
        self.tell().await?;
        let since = until.plus_seconds(-CATCH_UP_SECONDS - COOL_DOWN_SECONDS);
        let standing = Standing::new(self.ledger.standing_alerts(since).await?);
        let is_old = |at: Timestamp| until.millis_since(at) >= 1_000 * CHOOSES_SECONDS;
        if self.chosen_at.is_none_or(is_old) {
            self.chosen = choose(&*self.store, self.each, until, &self.chosen, standing.going()).await?;
            self.chosen_at = Some(until);
        }
        let Self { bunches, chosen, .. } = self;
        bunches.retain(|environment, bunch| bunch.is_of(chosen.get(environment), until));
        let mut environments: Vec<_> = self.chosen.keys().cloned().collect();
        // Whose are never answered does not hold up the others.
        environments.sort_by_key(|environment| self.unanswered.contains(environment));
        for environment in environments {
            self.unanswered.remove(&environment);
            if let Err(error) = self.follow(&environment, &standing, until).await {
                // Those of one environment may be too many; the store may be away for all.
                if error.is_retryable() {
                    self.unanswered.insert(environment);
                    return Err(error);
                }
                self.failed(&error);
            }
            self.tell().await?;
        }
        let bunches = &self.bunches;
        let goes_on = |was: &Alerted| match &was.of {
            Subject::Flag(environment, _) => bunches.get(environment)?.goes_on(was),
            _ => None,
        };
        self.found.extend(outlasting(&*self.ledger, &*self.is_watched, goes_on).await?);
        self.tell().await
    }

    async fn follow(
        &mut self,
        environment: &Environment,
        standing: &Standing,
        until: Timestamp,
    ) -> Result<()> {
        if !self.bunches.contains_key(environment) {
            let Some(names) = self.chosen.get(environment) else { return Ok(()) };
            let begun = Bunch::begin(&*self.store, (environment, names), standing, until).await?;
            let Some(begun) = begun else { return Ok(()) };
            self.bunches.insert(environment.clone(), begun);
        }
        let Some(bunch) = self.bunches.get_mut(environment) else { return Ok(()) };
        let mut found = VecDeque::new();
        let stepped = bunch.step(&*self.store, standing, until, &mut found).await;
        let is_told = |one: &Alerted| one.said.is_over() || (self.is_watched)(one.of.customer());
        self.found.extend(found.into_iter().filter(is_told));
        stepped
    }

    fn failed(&self, error: &crate::Error) {
        self.metrics.failures.inc();
        warn!(%error, "flags are looked at for bursts again in a minute; environments are watched meanwhile");
    }

    async fn tell(&mut self) -> Result<()> {
        let parts = (&*self.store, &*self.ledger);
        tell(&mut self.found, parts, &*self.clock, &self.metrics).await
    }
}
