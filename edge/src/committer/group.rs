//! A group: the requests that share one commit, added up.

use flagmeter_model::{Clock, Meter, Slot};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    Tally,
    load::{Load, Loads},
    series::{EnvironmentId, Fold, LiveSeries, SeriesRef},
    tally::Point,
};
use crate::{
    Config, Result,
    inbox::{Once, Outcome, Part, Submission, Turned},
    journal::Journal,
};

/// What a group comes on top of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before<'c> {
    /// Knows the keys of earlier groups.
    pub(super) journal: &'c Journal,
    /// What waits for the next seal.
    pub(super) tally: &'c Tally,
    pub(super) loads: &'c Loads,
    /// Too much waits: what can still be turned away is.
    pub(super) is_full: bool,
    pub(super) config: &'c Config,
    pub(super) clock: &'c dyn Clock,
}

/// What a group adds up to.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) tally: Tally,
    /// What each request is answered once the group is on disk, in their order.
    pub(super) outcomes: Vec<Outcome>,
    /// The keys to remember.
    pub(super) marks: Vec<Once>,
    pub(super) fates: Fates,
    /// What each environment gives.
    pub(super) loads: Loads,
    /// What was folded, by environment.
    pub(super) folds: HashMap<(EnvironmentId, &'static str), u64, RandomState>,
    /// Keys of this group, with the place of the first request that has them.
    seen: HashMap<[u8; 16], usize, RandomState>,
}

/// What became of a group's counts.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    pub(crate) received: u64,
    pub(crate) taken: u64,
    pub(crate) duplicate: u64,
    pub(crate) rejected: HashMap<&'static str, u64, RandomState>,
}

impl Group {
    /// Forgets the last group, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.tally.clear();
        self.outcomes.clear();
        self.marks.clear();
        self.fates = Fates::default();
        self.loads.clear();
        self.folds.clear();
        self.seen.clear();
    }

    /// Requests in it that were not turned away.
    pub(super) fn kept(&self) -> usize {
        self.outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Turned(_))).count()
    }

    /// Adds a request up, or turns it away where there is no room for it. The journal knows the keys of earlier
    /// groups, this group those of its own.
    pub(super) fn add(
        &mut self,
        submission: &Submission,
        live: &mut LiveSeries,
        before: &Before<'_>,
    ) -> Result<()> {
        // What nobody waits for was acknowledged from memory: it has to be kept.
        if submission.waiter.is_some() {
            let room = if before.is_full { Err(Turned::Full) } else { self.room(submission, live, before) };
            if let Err(why) = room {
                self.outcomes.push(Outcome::Turned(why));
                return Ok(());
            }
        }
        let arrival = Slot::containing(before.clock.now());
        let repeated = match &submission.once {
            None => None,
            Some(once) => match self.seen.get(&once.key) {
                Some(&first) => self.marks.get(first).map(|first| first.reply.clone()),
                None => before.journal.reply(&once.key)?,
            },
        };
        for part in &submission.parts {
            let environment = live.environment(&part.environment);
            let load = Load { points: 0, received: part.taken.received };
            let mut fates = Adding { group: self, live, before: before.tally, environment, arrival, load };
            fates.fate(Meter::Received, submission.door.name(), part.taken.received);
            if repeated.is_some() {
                fates.fate(Meter::Duplicate, submission.door.name(), part.taken.received);
            } else {
                fates.entries(part);
            }
            let load = fates.load;
            if load.received > 0 {
                self.loads.entry(environment).or_default().add(load);
            }
        }
        let outcome = repeated.map_or(Outcome::Committed, Outcome::Repeated);
        if let (Outcome::Committed, Some(once)) = (&outcome, &submission.once) {
            self.seen.insert(once.key, self.marks.len());
            self.marks.push(once.clone());
        }
        self.outcomes.push(outcome);
        Ok(())
    }
}

impl Group {
    /// Whether every environment of a request may add to what waits for the next seal.
    fn room(
        &self,
        submission: &Submission,
        live: &mut LiveSeries,
        before: &Before<'_>,
    ) -> Result<(), Turned> {
        let has_room = submission.parts.iter().all(|part| {
            let environment = live.environment(&part.environment);
            let mut load = before.loads.get(&environment).copied().unwrap_or_default();
            load.add(self.loads.get(&environment).copied().unwrap_or_default());
            load.has_room(part.taken.received, before.config)
        });
        if has_room { Ok(()) } else { Err(Turned::EnvironmentFull) }
    }
}

/// One part of a request being added to its group.
struct Adding<'g> {
    group: &'g mut Group,
    live: &'g mut LiveSeries,
    before: &'g Tally,
    environment: EnvironmentId,
    arrival: Slot,
    load: Load,
}

impl Adding<'_> {
    fn point(&mut self, point: Point) {
        if self.group.tally.add(point) && !self.before.has(point) {
            self.load.points += 1;
        }
    }

    /// Counts what became of counts: at arrival, and never folded.
    fn fate(&mut self, meter: Meter, name: &'static str, count: u64) {
        if count == 0 {
            return;
        }
        let series = self.live.intern(&SeriesRef {
            environment: self.environment,
            meter,
            name,
            variant: None,
            sdk: None,
        });
        self.point(Point { series, slot: self.arrival, count });
        let fates = &mut self.group.fates;
        let sum = match meter {
            Meter::Received => &mut fates.received,
            Meter::Duplicate => &mut fates.duplicate,
            _ => fates.rejected.entry(name).or_insert(0),
        };
        *sum = sum.saturating_add(count);
    }

    fn entries(&mut self, part: &Part) {
        for &(reason, weight) in &part.taken.rejected {
            self.fate(Meter::Rejected, reason, weight);
        }
        for entry in part.taken.entries.iter() {
            let (series, fold) = self.live.admit(&SeriesRef {
                environment: self.environment,
                meter: entry.meter,
                name: entry.name,
                variant: entry.variant,
                sdk: part.taken.sdk.as_deref(),
            });
            let slot = entry.slot.unwrap_or(self.arrival);
            self.point(Point { series, slot, count: entry.count });
            self.group.fates.taken = self.group.fates.taken.saturating_add(entry.count);
            if let Some(fold) = fold {
                let kind = match fold {
                    Fold::Variant => "variant",
                    Fold::Name => "name",
                };
                *self.group.folds.entry((self.environment, kind)).or_insert(0) += 1;
            }
        }
    }
}
