//! A group: the requests that share one commit, added up.

use flagmeter_model::{Clock, Meter, Slot};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    Tally,
    series::{EnvironmentId, Fold, LiveSeries, SeriesRef},
    tally::Point,
};
use crate::{
    Result,
    inbox::{Once, Outcome, Part, Submission},
    journal::Journal,
};

/// What a group adds up to.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) tally: Tally,
    /// What each request is answered once the group is on disk, in their order.
    pub(super) outcomes: Vec<Outcome>,
    /// The keys to remember.
    pub(super) marks: Vec<Once>,
    pub(super) fates: Fates,
    /// What each environment received.
    pub(super) received: HashMap<EnvironmentId, u64, RandomState>,
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
        self.received.clear();
        self.folds.clear();
        self.seen.clear();
    }

    /// Adds a request up. The journal knows the keys of earlier groups, this group those of its own.
    pub(super) fn add(
        &mut self,
        submission: &Submission,
        live: &mut LiveSeries,
        journal: &Journal,
        clock: &dyn Clock,
    ) -> Result<()> {
        let arrival = Slot::containing(clock.now());
        let repeated = match &submission.once {
            None => None,
            Some(once) => match self.seen.get(&once.key) {
                Some(&first) => self.marks.get(first).map(|first| first.reply.clone()),
                None => journal.reply(&once.key)?,
            },
        };
        for part in &submission.parts {
            let environment = live.environment(&part.environment);
            let mut fates = Adding { group: self, live, environment, arrival };
            fates.fate(Meter::Received, submission.door.name(), part.taken.received);
            if repeated.is_some() {
                fates.fate(Meter::Duplicate, submission.door.name(), part.taken.received);
            } else {
                fates.entries(part);
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

/// One part of a request being added to its group.
struct Adding<'g> {
    group: &'g mut Group,
    live: &'g mut LiveSeries,
    environment: EnvironmentId,
    arrival: Slot,
}

impl Adding<'_> {
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
        self.group.tally.add(Point { series, slot: self.arrival, count });
        let fates = &mut self.group.fates;
        let sum = match meter {
            Meter::Received => {
                let of_environment = self.group.received.entry(self.environment).or_insert(0);
                *of_environment = of_environment.saturating_add(count);
                &mut fates.received
            }
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
            self.group.tally.add(Point { series, slot, count: entry.count });
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
