//! All that is watched of a customer: each environment, and what several of them are together.
//!
//! A whole says what none of its parts says by itself: what it finds is told when it has gone on for a minute in which
//! nothing of that kind went on in any part of it.

use std::{collections::BTreeMap, iter};

use flagmeter_ledger::{Alerted, Subject};
use flagmeter_model::{Environment, Timestamp};

use super::{
    counts::Counts,
    series::{GRAIN_SECONDS, Series},
    waiting::Waiting,
    weeks::Past,
};

/// What is watched of a customer.
#[derive(Debug, Default)]
pub(super) struct Customer {
    environments: BTreeMap<Subject, Series>,
    /// Each project with several environments, and then the customer, where it has several projects: parts come first.
    wholes: Vec<Waiting>,
}

impl Customer {
    /// Watches an environment as well, and what it is a part of; `end` is the end of what was fed.
    pub(super) fn watch(
        &mut self,
        environment: &Environment,
        there_since: Option<Timestamp>,
        end: Timestamp,
    ) -> &mut Series {
        let of = Subject::from(environment.clone());
        if !self.environments.contains_key(&of) {
            let Environment { customer, project, .. } = environment.clone();
            let project = Subject::Project { customer: customer.clone(), project };
            let customer = Subject::Customer(customer);
            self.grow(&project, true, there_since, end);
            let is_new = !self.environments.keys().any(|other| project.covers(other));
            self.grow(&customer, is_new, there_since, end);
        }
        self.environments.entry(of.clone()).or_insert_with(|| Series::new(of, there_since))
    }

    /// Watches a whole where what comes is its second part; until now it was the same as its first one.
    fn grow(&mut self, of: &Subject, is_part: bool, there_since: Option<Timestamp>, end: Timestamp) {
        if let Some(Waiting { series, .. }) = self.wholes.iter_mut().find(|whole| whole.series.of == *of) {
            series.there_since = earliest(series.there_since, there_since);
            return;
        }
        let first = self.environments.values().find(|series| of.covers(&series.of));
        let Some(first) = first.filter(|_| is_part) else { return };
        let project = self.wholes.iter().find(|whole| of.covers(&whole.series.of));
        let mut series = project.map_or(first, |whole| &whole.series).like(of.clone(), end);
        series.there_since = earliest(series.there_since, there_since);
        self.add(series);
    }

    fn add(&mut self, series: Series) {
        self.wholes.push(Waiting::new(series));
        self.wholes.sort_by(|one, other| other.series.of.cmp(&one.series.of));
    }

    /// What was told last of an environment or a whole is gone on from at `until`; `end` is the end of what was fed.
    pub(super) fn resume(&mut self, told: Alerted, end: Timestamp, until: Timestamp) {
        match &told.of {
            Subject::Environment(environment) => {
                let series = self.watch(environment, Some(told.since), end);
                series.resume(told, until);
            }
            Subject::Customer(_) | Subject::Project { .. } => self.resume_whole(told, until),
            Subject::Flag(..) => {}
        }
    }

    /// What was told last of a whole is gone on from, whatever of it is watched now.
    fn resume_whole(&mut self, told: Alerted, until: Timestamp) {
        if !self.wholes.iter().any(|whole| whole.series.of == told.of) {
            self.add(Series::new(told.of.clone(), Some(told.since)));
        }
        if let Some(whole) = self.wholes.iter_mut().find(|whole| whole.series.of == told.of) {
            whole.series.resume(told, until);
        }
    }

    /// Wholes go on behind what was told of their parts.
    pub(super) fn resume_wholes(&mut self, until: Timestamp) {
        for at in 0..self.wholes.len() {
            let (before, rest) = self.wholes.split_at_mut(at);
            let Some(Waiting { series: whole, .. }) = rest.first_mut() else { continue };
            whole.resume_at(until);
            let of = whole.of.clone();
            let parts = self.environments.values().chain(before.iter().map(|part| &part.series));
            whole.resume_behind(parts.filter(|part| of.covers(&part.of)));
        }
    }

    /// Takes the first buckets, and says what is found. Longer ones are spread evenly.
    pub(super) fn feed(&mut self, counts: &Counts, settled: usize, past: &Past) -> Vec<Alerted> {
        let Self { environments, wholes } = self;
        let rows: Vec<_> = environments.keys().map(|of| counts.row(of, iter::empty())).collect();
        let rows_of_wholes: Vec<_> =
            wholes.iter().map(|whole| counts.row(&whole.series.of, environments.keys())).collect();
        let mut found = Vec::new();
        for (bucket, start, share) in (0..settled).flat_map(|bucket| counts.grains(bucket)) {
            let count = |row: Option<&[u64]>| counts.count(row, bucket).map(|count| share.of(count));
            for (series, row) in environments.values_mut().zip(&rows) {
                let weeks = |of: &Subject, slot, since| past.weeks(slot, (of, since), &iter::empty());
                found.extend(series.take((start, count(*row)), weeks));
            }
            for (at, row) in rows_of_wholes.iter().enumerate() {
                let (before, rest) = wholes.split_at_mut(at);
                let Some(whole) = rest.first_mut() else { continue };
                let weeks = |of: &Subject, slot, since| past.weeks(slot, (of, since), &environments.keys());
                let found_here = whole.series.take((start, count(*row)), weeks);
                let goes_on = |of: &Subject, kind| {
                    let parts = environments.values().chain(before.iter().map(|part| &part.series));
                    parts.filter(|part| part.going() == Some(kind)).any(|part| of.covers(&part.of))
                };
                found.extend(whole.tell(found_here, start.plus_seconds(GRAIN_SECONDS), goes_on));
            }
        }
        found
    }

    /// That of an environment or a whole, if it is watched.
    pub(super) fn series(&self, of: &Subject) -> Option<&Series> {
        let wholes = || self.wholes.iter().map(|whole| &whole.series).find(|series| series.of == *of);
        self.environments.get(of).or_else(wholes)
    }

    /// What is watched, and whether what goes on of it is told.
    pub(super) fn watched(&self) -> impl Iterator<Item = (&Series, bool)> {
        let environments = self.environments.values().map(|series| (series, true));
        environments.chain(self.wholes.iter().map(|whole| (&whole.series, whole.is_told())))
    }
}

/// The earlier one that is known.
fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
