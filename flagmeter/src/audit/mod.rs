//! `flagmeter audit`: proves that all answers agree (promise 3) and that every count has a fate (promise 6).
//!
//! On the data folder of a stopped server it reads the store itself; a running server does the same work behind
//! [`route`], because its folder is its own.

mod command;
mod fates;
mod ledger;
pub(crate) mod route;
#[cfg(test)]
mod tests;
mod tiers;

use std::{collections::BTreeMap, sync::Arc};

use flagmeter_ledger::Ledger;
use flagmeter_model::{Environment, NodeId, Tier, TimeRange, Timestamp};
use flagmeter_store::{State, Store};
use serde::{Deserialize, Serialize};

pub(crate) use self::command::{AuditArgs, run};

/// Why an audit could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Store(#[from] flagmeter_store::Error),
    #[error(transparent)]
    Ledger(#[from] flagmeter_ledger::Error),
}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            Error::Ledger(error) => error.into(),
        }
    }
}

impl From<Error> for flagmeter_queries::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            Error::Ledger(error) => error.into(),
        }
    }
}

type Result<T, E = Error> = std::result::Result<T, E>;

/// What has arrived, and when the store must have all of it.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    /// Counts that the edge has on disk or had, over all time, by environment.
    pub(crate) received: BTreeMap<Environment, u64>,
    /// When the store must have them.
    pub(crate) due: Due,
}

/// When the store must have what has arrived. What it does not have then is lost, not in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Now: nothing waits, neither in the journal nor in the log.
    Now,
    /// Once this node has handed on all that it received before this time, and that is stored.
    Past(NodeId, Timestamp),
    /// Not before a server runs again: something waits for it.
    WhenServed,
    /// That is not known: the edges are other processes.
    Unknown,
}

/// Differences that are told; more are counted.
const DIFFERENCES_MAX: usize = 20;

/// What is said of a range without any window.
const NO_WINDOW: &str = "nothing lies in this range: it has no whole minute up to now";

/// Whether there is anything to compare in a range.
fn has_window(range: TimeRange, now: Timestamp) -> bool {
    let minute = Tier::Minute.seconds();
    range.from.ceil_to(minute) < range.to.min(now).floor_to(minute)
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Environments that were looked at.
    pub(crate) environments: u64,
    /// Windows of the coarser tier of each pair that were compared.
    pub(crate) windows: u64,
    /// Series in them.
    pub(crate) points: u64,
    /// Windows left out because they are marked to be rolled up again.
    pub(crate) waiting: u64,
    /// Rows of the ledger that were compared with their hours.
    #[serde(default)]
    pub(crate) ledger_rows: u64,
    /// Hours that end at or before this are closed; `None` where there is no ledger, or nothing in it.
    #[serde(default)]
    pub(crate) closed_until: Option<Timestamp>,
    /// How many differences there are.
    pub(crate) differences: u64,
    /// The first of them: what, where, and each tier's number.
    pub(crate) first_differences: Vec<String>,
    /// What became of what was received, by environment.
    pub(crate) fates: Vec<Fates>,
    /// Counts among the dead letters: received, and neither stored nor turned away.
    pub(crate) dead_letter_counts: u64,
    /// How many counts have no other fate than to be among them.
    pub(crate) in_dead_letters: u64,
}

/// What became of the counts of one environment, over all time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fates {
    /// Whose.
    pub(crate) environment: Environment,
    /// All that arrived and is past the log.
    pub(crate) received: u64,
    /// Evaluations and requests that are stored.
    pub(crate) stored: u64,
    /// Counts of posts that had been acknowledged before.
    pub(crate) duplicate: u64,
    /// Counts that were turned away.
    pub(crate) rejected: u64,
    /// Acknowledged, and still between the edge and the store; `None` where the edges are other processes.
    pub(crate) in_flight: Option<u64>,
}

impl Report {
    /// Whether everything agrees.
    pub(crate) const fn agrees(&self) -> bool {
        self.differences == 0
    }

    fn differs(&mut self, difference: impl FnOnce() -> String) {
        self.differences = self.differences.saturating_add(1);
        if self.first_differences.len() < DIFFERENCES_MAX {
            self.first_differences.push(difference());
        }
    }
}

/// What an audit needs.
#[derive(Clone)]
pub(crate) struct Audit {
    /// The store.
    pub(crate) store: Arc<dyn Store>,
    /// The ledger, where there is one.
    pub(crate) ledger: Option<Arc<dyn Ledger>>,
    /// Which windows; fates are always those of all time.
    pub(crate) range: TimeRange,
    /// Up to when counts may lie.
    pub(crate) now: Timestamp,
}

impl Audit {
    /// Compares everything. `arrived` tells what the edge has received, so that what is in flight can be told
    /// from what is lost; `progress` is called with the number of environments done and of all.
    pub(crate) async fn run(
        &self,
        arrived: impl Fn() -> Arrived + Send,
        mut progress: impl FnMut(usize, usize) + Send,
    ) -> Result<Report> {
        let mut report = Report::default();
        let environments = self.store.environments().await?;
        let mut patience = tiers::Patience::new();
        for (done, environment) in environments.iter().enumerate() {
            progress(done, environments.len());
            // Asked anew for each, because a running server's frontiers and floors move on.
            let state: State = self.store.state().await?;
            let store = self.store.as_ref();
            tiers::compare(store, &state, environment, self.range, &mut patience, &mut report).await?;
            if let Some(ledger) = self.ledger.as_deref() {
                ledger::compare((store, ledger), environment, self.range, &mut patience, &mut report).await?;
            }
            report.environments += 1;
        }
        progress(environments.len(), environments.len());
        fates::compare(self.store.as_ref(), self.now, arrived, &mut report).await?;
        Ok(report)
    }
}
