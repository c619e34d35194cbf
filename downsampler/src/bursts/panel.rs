//! The detectors of all that is watched, fed in step. Nothing in here waits for anything.

use std::collections::BTreeMap;

use flagmeter_ledger::{Alert, Alerted, Subject};
use flagmeter_model::{Environment, Meter, Name, Timestamp};

use super::{counts::Counts, customer::Customer, metrics::Watched, series::Series, weeks::Past};

/// All detectors.
#[derive(Debug)]
pub(super) struct Panel {
    customers: BTreeMap<Name, Customer>,
    /// From here on what is found is told.
    tells_from: Timestamp,
    /// The end of what was fed.
    end: Timestamp,
}

impl Panel {
    /// Begins at `from`. What is found from `tells_from` on is told; `standing` is what was told last of each,
    /// and `there_since` the hour of the first count of each environment.
    pub(super) fn new(
        (from, tells_from): (Timestamp, Timestamp),
        there_since: &BTreeMap<Environment, Timestamp>,
        standing: Vec<Alert>,
    ) -> Self {
        let mut customers: BTreeMap<Name, Customer> = BTreeMap::new();
        for (environment, hour) in there_since {
            let customer = customers.entry(environment.customer.clone()).or_default();
            // The first minute shows when it is fed, if it is.
            let series = customer.watch(environment, Some(*hour).filter(|hour| *hour < from), from);
            series.resume_at(tells_from);
        }
        for Alert { alerted, .. } in standing {
            let customer = customers.entry(alerted.of.customer().clone()).or_default();
            customer.resume(alerted, from, tells_from);
        }
        for customer in customers.values_mut() {
            customer.resume_wholes(tells_from);
        }
        Self { customers, tells_from, end: from }
    }

    /// The end of what was fed.
    pub(super) const fn end(&self) -> Timestamp {
        self.end
    }

    /// Takes the buckets that follow, as many as are settled, and says what is to be told.
    pub(super) fn feed(&mut self, counts: &Counts, past: &Past) -> Vec<Alerted> {
        for of in counts.rows.keys() {
            if let Subject::Environment(environment) = of {
                let customer = self.customers.entry(environment.customer.clone()).or_default();
                customer.watch(environment, None, self.end);
            }
        }
        let settled = counts.settled();
        let customers = self.customers.values_mut();
        let mut told: Vec<_> = customers.flat_map(|customer| customer.feed(counts, settled, past)).collect();
        told.retain(|found| found.seen_at > self.tells_from);
        self.end = counts.start(settled);
        told.sort_by(|one, other| one.seen_at.cmp(&other.seen_at).then_with(|| one.of.cmp(&other.of)));
        told
    }

    /// Takes over what goes on in the ledger and is not seen here: who told of it is gone, or sees it otherwise.
    pub(super) fn take_over(&mut self, standing: Vec<Alert>) {
        let told = standing.into_iter().map(|alert| alert.alerted);
        for told in told.filter(|told| told.meter == Meter::Evaluations) {
            let customer = self.customers.entry(told.of.customer().clone()).or_default();
            let new = Series::new(told.of.clone(), None);
            if customer.series(&told.of).unwrap_or(&new).is_stale(&told, self.end) {
                customer.resume(told, self.end, self.end);
            }
        }
    }

    /// What was told to have begun, as it is now; `None` where it does not go on, as far as is seen here.
    pub(super) fn goes_on(&self, told: &Alerted) -> Option<Alerted> {
        let series = self.customers.get(told.of.customer())?.series(&told.of)?;
        let is_watched = told.meter == Meter::Evaluations && series.going() == Some(told.kind);
        is_watched.then(|| series.now(told, self.end)).flatten()
    }

    /// What is watched now, by what it is one of.
    pub(super) fn watched(&self) -> BTreeMap<&'static str, Watched> {
        let mut all: BTreeMap<_, Watched> = BTreeMap::new();
        for (series, is_told) in self.customers.values().flat_map(Customer::watched) {
            all.entry(series.of.sort()).or_default().add(series, is_told);
        }
        all
    }
}
