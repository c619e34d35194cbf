//! What was told beside what was true.

use crate::{
    WEEKS,
    traffic::{Span, Tenant},
};

/// A burst is found by an alert that comes while it lasts, or so many seconds after.
const AFTER: i64 = 300;
/// The aim: a burst is told within two minutes.
const SOON: i64 = 120;
/// Below so many ordinary counts a minute five times as much is no more than the rule asks for.
const LARGE: f64 = 15.0;

/// What was told of a tenant.
pub(crate) struct Told<'a> {
    tenant: &'a Tenant,
    /// For each burst, whether it is large enough to be seen, and after how many seconds it was told.
    bursts: Vec<(Span, bool, Option<i64>)>,
    alerts_false: u32,
    drops_false: u32,
    of_learning: u32,
    of_launches: u32,
}

impl<'a> Told<'a> {
    pub(crate) fn of(tenant: &'a Tenant) -> Self {
        let burst = |span: &Span| (*span, tenant.ordinary(span.0) >= LARGE, None);
        let bursts = tenant.bursts.iter().map(burst).collect();
        Self { tenant, bursts, alerts_false: 0, drops_false: 0, of_learning: 0, of_launches: 0 }
    }

    /// An alert: since when it says that it is, and when it said so.
    pub(crate) fn begins(&mut self, is_drop: bool, is_learning: bool, since: i64, at: i64) {
        let found = self.bursts.iter_mut().find(|(span, ..)| span.0 <= at && since <= span.1 + AFTER);
        match found {
            Some((span, _, after)) if !is_drop => {
                after.get_or_insert(at - span.0);
            }
            _ if self.tenant.is_launch(at) => self.of_launches += 1,
            _ if is_drop => self.drops_false += 1,
            _ if is_learning => self.of_learning += 1,
            _ => self.alerts_false += 1,
        }
    }
}

/// The sums of many tenants.
#[derive(Debug, Default, Clone)]
pub(crate) struct Report {
    days: f64,
    alerts_false: u32,
    drops_false: u32,
    of_learning: u32,
    of_launches: u32,
    bursts: usize,
    found_after: Vec<i64>,
}

impl Report {
    pub(crate) fn add(&mut self, told: &Told<'_>) {
        #[expect(clippy::cast_precision_loss, reason = "some days")]
        let days = (WEEKS * 7) as f64;
        self.days += days;
        self.alerts_false += told.alerts_false;
        self.drops_false += told.drops_false;
        self.of_learning += told.of_learning;
        self.of_launches += told.of_launches;
        for (_, is_large, after) in &told.bursts {
            if *is_large {
                self.bursts += 1;
                self.found_after.extend(after);
            }
        }
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        self.days += other.days;
        self.alerts_false += other.alerts_false;
        self.drops_false += other.drops_false;
        self.of_learning += other.of_learning;
        self.of_launches += other.of_launches;
        self.bursts += other.bursts;
        self.found_after.extend(&other.found_after);
    }

    pub(crate) fn print_head(of: &str) {
        println!(
            "| {of} | tenant-days | false a tenant-day | of these while learning | false drops | in launches | bursts of 5 times | found | within 2 minutes | after, median | 95 % |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    }

    pub(crate) fn print(&self, name: &str) {
        let mut after = self.found_after.clone();
        after.sort_unstable();
        let at =
            |share: usize| after.get((after.len() * share / 100).min(after.len().saturating_sub(1))).copied();
        let seconds = |after: Option<i64>| after.map_or("–".to_owned(), |after| format!("{after} s"));
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let found = after.len() as f64 * 100.0 / self.bursts.max(1) as f64;
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let soon =
            after.iter().filter(|after| **after <= SOON).count() as f64 * 100.0 / self.bursts.max(1) as f64;
        println!(
            "| {name} | {:.0} | {:.5} | {} | {} | {} | {} | {found:.1} % | {soon:.1} % | {} | {} |",
            self.days,
            f64::from(self.alerts_false + self.of_learning + self.drops_false) / self.days,
            self.of_learning,
            self.drops_false,
            self.of_launches,
            self.bursts,
            seconds(at(50)),
            seconds(at(95)),
        );
    }
}
