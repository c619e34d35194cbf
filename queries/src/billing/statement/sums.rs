//! What the days of a statement come to. Pure.

use std::{collections::BTreeMap, sync::Arc};

use flagmeter_ledger::Row;
use flagmeter_model::{Environment, Meter, Timestamp};

/// The sums of each environment and meter by day.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Where days begin, and the last one ends.
    edges: Vec<Timestamp>,
    /// In the order of bills. A sum is a number that no counts of 64 bits reach the end of.
    days: BTreeMap<(Arc<Environment>, Meter), Vec<u128>>,
}

/// What an environment used of a meter.
#[derive(Debug)]
pub(super) struct Used<'a> {
    pub(super) environment: &'a Environment,
    pub(super) meter: Meter,
    /// One per day.
    pub(super) days: &'a [u128],
}

impl Used<'_> {
    /// All days together.
    pub(super) fn total(&self) -> u128 {
        self.days.iter().sum()
    }
}

impl Sums {
    /// Of the days between these edges.
    pub(super) fn new(edges: Vec<Timestamp>) -> Self {
        Self { edges, days: BTreeMap::new() }
    }

    /// Where days begin, and the last one ends.
    pub(super) fn edges(&self) -> &[Timestamp] {
        &self.edges
    }

    /// Adds what a revision adds.
    pub(super) fn add(&mut self, row: &Row) {
        let day = self.edges.partition_point(|edge| *edge <= row.hour).checked_sub(1);
        let days = self.edges.len().saturating_sub(1);
        let key = (Arc::clone(&row.environment), row.meter);
        let sums = self.days.entry(key).or_insert_with(|| vec![0; days]);
        if let Some(sum) = day.and_then(|day| sums.get_mut(day)) {
            *sum += u128::from(row.difference());
        }
    }

    /// Numbers that are held.
    pub(super) fn cells(&self) -> usize {
        self.days.len().saturating_mul(self.edges.len())
    }

    /// What each used, in the order of bills.
    pub(super) fn used(&self) -> impl Iterator<Item = Used<'_>> {
        self.days.iter().map(|((environment, meter), days)| Used { environment, meter: *meter, days })
    }
}
