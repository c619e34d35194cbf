//! Thresholds of plans: watched beside the cycles, so that nothing of it holds roll-ups or closing up.
//!
//! Once a minute each customer with a plan is looked at: the totals of its period, in one question for each meter. Counts
//! only grow within a period, so what is crossed once stays crossed, and a look that fails or comes late misses nothing. The
//! ledger keeps each crossing once, whoever finds it.

mod metrics;

use std::{collections::HashSet, sync::Arc, time::Duration};

use flagmeter_ledger::{Crossed, Crossing, Ledger};
use flagmeter_model::{Clock, Meter, Name, Plan, TimeRange, Timestamp};
use flagmeter_store::{AxisChoice, Filter, Read, Store, TierChoice};
use metrics::Metrics;
use prometheus::Registry;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Result;

/// How often is looked.
const INTERVAL: Duration = Duration::from_mins(1);
/// For so long after its end a period is still looked at: late counts may cross a threshold of it.
const AFTERWARDS_SECONDS: i64 = 86_400;

/// What a customer may use in a period.
#[derive(Debug, Clone)]
pub struct Allowance {
    /// Whose.
    pub customer: Name,
    /// The period, between full hours.
    pub period: TimeRange,
    /// What is included in it.
    pub plan: Plan,
}

/// Tells the allowances of all customers with a plan, for the periods that a time lies in.
pub type Allowances = dyn Fn(Timestamp) -> Vec<Allowance> + Send + Sync;

/// Who watches the thresholds of plans. Several of them do no harm.
pub struct Watch {
    store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    allowances: Box<Allowances>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// What the ledger has already: customer, meter, period, percent. It is not asked for again.
    kept: HashSet<(Name, Meter, Timestamp, u16)>,
}

impl Watch {
    /// Watches what `allowances` tells.
    pub fn new(
        (store, ledger): (Arc<dyn Store>, Arc<dyn Ledger>),
        allowances: Box<Allowances>,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Self> {
        let metrics = Metrics::register(registry)?;
        Ok(Self { store, ledger, allowances, clock, metrics, kept: HashSet::new() })
    }

    /// Looks once a minute until `stop`. Safe to be dropped at any time.
    pub async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            stop.run_until_cancelled(self.look()).await;
        }
        Ok(())
    }

    /// Looks at everyone once. What fails is left for the next look.
    async fn look(&mut self) {
        let now = self.clock.now();
        let allowances = self.allowances_at(now);
        let periods: HashSet<Timestamp> = allowances.iter().map(|of| of.period.from).collect();
        self.kept.retain(|(_, _, period, _)| periods.contains(period));
        for allowance in &allowances {
            match self.look_at(allowance, now).await {
                Ok(crossings) => self.tell(&crossings),
                Err(error) => {
                    self.metrics.failures.inc();
                    warn!(%error, customer = %allowance.customer, "what is used of a plan is looked up again in a minute");
                }
            }
        }
    }

    /// Those of the periods that run, and of those that ended a while ago.
    fn allowances_at(&self, now: Timestamp) -> Vec<Allowance> {
        let mut allowances = (self.allowances)(now);
        let running: HashSet<(Name, Timestamp)> =
            allowances.iter().map(|of| (of.customer.clone(), of.period.from)).collect();
        let past = (self.allowances)(now.plus_seconds(-AFTERWARDS_SECONDS)).into_iter();
        allowances.extend(past.filter(|of| !running.contains(&(of.customer.clone(), of.period.from))));
        allowances
    }

    async fn look_at(&mut self, allowance: &Allowance, now: Timestamp) -> Result<Vec<Crossing>> {
        let Allowance { customer, period, plan } = allowance;
        let mut crossed = Vec::new();
        for meter in [Meter::Evaluations, Meter::Requests] {
            let Some(included) = plan.included(meter) else { continue };
            let is_kept = |percent| self.kept.contains(&(customer.clone(), meter, period.from, percent));
            let waiting: Vec<_> =
                plan.thresholds.iter().filter(|threshold| !is_kept(threshold.percent)).collect();
            if waiting.is_empty() {
                continue;
            }
            let used = used(&*self.store, customer, meter, *period).await?;
            let reached =
                waiting.into_iter().filter(|threshold| u128::from(used) >= threshold.count(included));
            crossed.extend(reached.map(|threshold| Crossed {
                customer: customer.clone(),
                meter,
                period: period.from,
                percent: threshold.percent,
                hard: threshold.hard,
                included,
                used,
            }));
        }
        if crossed.is_empty() {
            return Ok(Vec::new());
        }
        let new = self.ledger.cross(crossed.clone(), now).await?;
        self.kept.extend(crossed.into_iter().map(|of| (of.customer, of.meter, of.period, of.percent)));
        Ok(new)
    }

    fn tell(&self, crossings: &[Crossing]) {
        self.metrics.crossings.inc_by(crossings.len() as u64);
        for Crossing { crossed, .. } in crossings {
            let Crossed { customer, meter, period, percent, hard, included, used } = crossed;
            info!(%customer, %meter, %period, percent, hard, included, used, "a threshold of a plan is crossed");
        }
    }
}

/// What a customer used of a meter in a period, by all that is known.
async fn used(store: &dyn Store, customer: &Name, meter: Meter, period: TimeRange) -> Result<u64> {
    let read = Read {
        meter,
        edges: vec![period.from, period.to],
        filter: Filter { customers: vec![customer.clone()], ..Filter::default() },
        group_by: Vec::new(),
        tiers: TierChoice::Cover,
        axis: AxisChoice::Totals,
        groups_max: 1,
    };
    let answer = store.read(&read).await?;
    let counts = answer.rows.iter().flat_map(|row| &row.counts);
    Ok(counts.fold(0_u64, |sum, count| sum.saturating_add(*count)).min(i64::MAX.unsigned_abs()))
}

#[cfg(test)]
mod tests;
