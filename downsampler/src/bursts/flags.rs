//! The watch over flags, one by one: once a minute, as far as environments are looked at and told of.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use flagmeter_ledger::{Alerted, Ledger, Subject};
use flagmeter_model::{Clock, Environment, Timestamp};
use flagmeter_store::Store;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{
    CATCH_UP_SECONDS, COOL_DOWN_SECONDS, Until, Watched,
    bunch::{Bunch, Standing},
    choice::{Chosen, choose},
    metrics::{self, Metrics},
    muted::outlasting,
    tell::tell,
    unanswered::Unanswered,
};
use crate::Result;

/// How often is looked.
const INTERVAL: Duration = Duration::from_mins(1);
/// How often flags are chosen anew, and where many environments were not answered.
const CHOOSES_SECONDS: i64 = 3_600;
const CHOOSES_AGAIN_SECONDS: i64 = 300;
/// Environments whose flags begin to be watched in one look, at most: each is read a week of.
pub(super) const BEGINS_MAX: usize = 10;

/// Who watches flags.
pub(super) struct Flags {
    pub(super) store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    /// So many of each environment.
    each: usize,
    is_watched: Arc<Watched>,
    clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    pub(super) until: Until,
    pub(super) chosen: Chosen,
    /// They are chosen anew from then on.
    chooses_at: Timestamp,
    pub(super) bunches: BTreeMap<Environment, Bunch>,
    pub(super) unanswered: Unanswered,
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
            unanswered: Unanswered::new(metrics.clone()),
            metrics,
            until,
            chosen: Chosen::new(),
            chooses_at: Timestamp::EPOCH,
            bunches: BTreeMap::new(),
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
        // Environments come first.
        if self.until.load(Ordering::Acquire) > 0
            && let Err(error) = self.catch_up().await
        {
            self.unanswered.failed(&error);
        }
        let mut watched = metrics::Watched::default();
        self.bunches.values().for_each(|bunch| bunch.watched(&mut watched));
        self.metrics.watched("flag", watched);
    }

    async fn catch_up(&mut self) -> Result<()> {
        self.tell().await?;
        let (until, standing) = self.standing().await?;
        self.choose(until, &standing).await;
        self.follow(until, &standing).await?;
        // Whatever was not answered, what outlasts its mute is told.
        let bunches = &self.bunches;
        let goes_on = |was: &Alerted| match &was.of {
            Subject::Flag(environment, _) => bunches.get(environment)?.goes_on(was),
            _ => None,
        };
        let now = self.clock.now();
        self.found.extend(outlasting(&*self.ledger, &*self.is_watched, now, goes_on).await?);
        self.tell().await
    }

    /// Until when environments are told of, and what stands then.
    async fn standing(&self) -> Result<(Timestamp, Standing)> {
        // In this order: what was found until then is in the ledger already.
        let until = Timestamp::from_millis_clamped(self.until.load(Ordering::Acquire));
        let since = until.plus_seconds(-CATCH_UP_SECONDS - COOL_DOWN_SECONDS);
        Ok((until, Standing::new(self.ledger.standing_alerts(since).await?)))
    }

    /// Chooses flags, where it is time to; those that something goes on of are watched at once, whoever found it.
    async fn choose(&mut self, until: Timestamp, standing: &Standing) {
        if until >= self.chooses_at {
            let parts = (&self.chosen, standing.going());
            match choose(&*self.store, self.each, until, parts, &mut self.unanswered).await {
                Ok(chosen) => {
                    self.chosen = chosen;
                    let after =
                        if self.unanswered.gives_up() { CHOOSES_AGAIN_SECONDS } else { CHOOSES_SECONDS };
                    self.chooses_at = until.plus_seconds(after);
                }
                // Those that were chosen are watched meanwhile.
                Err(error) => self.unanswered.failed(&error),
            }
        }
        for (environment, names) in standing.going() {
            self.chosen.entry(environment).or_default().extend(names);
        }
    }

    /// Takes what is new of those that are watched, and then begins with a few of those that are not yet.
    async fn follow(&mut self, until: Timestamp, standing: &Standing) -> Result<()> {
        let Self { bunches, chosen, unanswered, .. } = self;
        bunches.retain(|environment, bunch| chosen.contains_key(environment) && !bunch.is_behind(until));
        unanswered.begin();
        let mut watched: Vec<_> = bunches.keys().cloned().collect();
        watched.sort_by_key(|environment| unanswered.contains(environment));
        for environment in watched {
            self.step(&environment, until, standing).await?;
        }
        let Self { bunches, chosen, unanswered, .. } = self;
        let is_new = |environment: &Environment, names| {
            bunches.get(environment).is_none_or(|bunch| !bunch.is_of(names))
        };
        let new = chosen.iter().filter(|(environment, names)| is_new(environment, names));
        let mut new: Vec<_> = new.map(|(environment, names)| (environment.clone(), names.clone())).collect();
        let going = standing.going();
        new.sort_by_key(|(environment, _)| {
            (unanswered.contains(environment), !going.contains_key(environment))
        });
        for (environment, names) in new.into_iter().take(BEGINS_MAX) {
            if self.unanswered.gives_up() {
                break;
            }
            // A beginning takes a while: environments may be further by now.
            let (until, standing) = self.standing().await?;
            let begun = Bunch::begin(&*self.store, (&environment, &names), &standing, until).await;
            if let Some(Some(begun)) = self.unanswered.take(&environment, begun) {
                self.bunches.insert(environment.clone(), begun);
                self.step(&environment, until, &standing).await?;
            }
        }
        Ok(())
    }

    /// Takes what is new of the flags of an environment, and tells what is found.
    async fn step(&mut self, environment: &Environment, until: Timestamp, standing: &Standing) -> Result<()> {
        let Some(bunch) = self.bunches.get_mut(environment).filter(|_| !self.unanswered.gives_up()) else {
            return Ok(());
        };
        // Nothing was found since that is not in the ledger.
        bunch.take_over(standing);
        let mut found = VecDeque::new();
        let stepped = bunch.step(&*self.store, standing, until, &mut found).await;
        let is_told = |one: &Alerted| one.said.is_over() || (self.is_watched)(one.of.customer());
        self.found.extend(found.into_iter().filter(is_told));
        self.unanswered.take(environment, stepped);
        self.tell().await
    }

    async fn tell(&mut self) -> Result<()> {
        let parts = (&*self.store, &*self.ledger);
        tell(&mut self.found, parts, &*self.clock, &self.metrics).await
    }
}
