//! What is measured of the watch over traffic.

use std::time::Duration;

use flagmeter_ledger::{Alert, AlertKind, Subject};
use flagmeter_model::Timestamp;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::series::Series;
use crate::Result;

/// The metrics of who watches traffic.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    pub(super) alerts: IntCounterVec,
    pub(super) active: IntGaugeVec,
    pub(super) watched: IntGaugeVec,
    pub(super) failures: IntCounter,
    pub(super) muted: IntCounterVec,
    in_force: IntGauge,
    pub(super) lag: IntGauge,
    looks: Histogram,
}

/// What is watched now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Watched {
    /// Those of which too few weeks are known.
    pub(super) learning: usize,
    /// The others.
    pub(super) known: usize,
    /// Bursts that go on, and drops.
    pub(super) bursts: usize,
    pub(super) drops: usize,
}

impl Watched {
    /// Another one; `is_told` where what goes on of it was told.
    pub(super) fn add(&mut self, series: &Series, is_told: bool) {
        *(if series.is_learning() { &mut self.learning } else { &mut self.known }) += 1;
        match series.going().filter(|_| is_told) {
            Some(AlertKind::Burst) => self.bursts += 1,
            Some(AlertKind::Drop) => self.drops += 1,
            None => {}
        }
    }
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self> {
        let gauges = |name: &str, help: &str, label: &str| -> Result<IntGaugeVec> {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &["of", label])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok(gauges)
        };
        let counters = |name: &str, help: &str| -> Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), &["of", "kind", "said"])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let alerts = counters(
            "flagmeter_downsampler_alerts_total",
            "Bursts and drops of traffic that were found to begin and to be over, and appended to the ledger.",
        )?;
        let muted = counters(
            "flagmeter_downsampler_alerts_muted_total",
            "Of the alerts that were appended, those that nobody is told of: a planned mute was in force.",
        )?;
        let in_force = IntGauge::new(
            "flagmeter_downsampler_mutes_in_force",
            "Planned mutes that are in force, at the last look.",
        )?;
        registry.register(Box::new(in_force.clone()))?;
        let failures = IntCounter::new(
            "flagmeter_downsampler_bursts_failures_total",
            "Looks at traffic that failed and are repeated, environments whose flags were not answered, alerts that were \
             told without what they come from, and those that the ledger refused.",
        )?;
        registry.register(Box::new(failures.clone()))?;
        let lag = IntGauge::new(
            "flagmeter_downsampler_bursts_lag_seconds",
            "Time from the last counts that were looked at for bursts until now; 0 before the first.",
        )?;
        registry.register(Box::new(lag.clone()))?;
        let looks = Histogram::with_opts(
            HistogramOpts::new(
                "flagmeter_downsampler_bursts_look_seconds",
                "Time that one look at traffic took.",
            )
            .buckets(vec![0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0]),
        )?;
        registry.register(Box::new(looks.clone()))?;
        let metrics = Self {
            alerts,
            active: gauges(
                "flagmeter_downsampler_bursts_active",
                "Customers, projects, environments and flags with a burst, or with a drop, that goes on, told or muted; a whole \
                 or a flag that waits for others to tell it is not among them.",
                "kind",
            )?,
            watched: gauges(
                "flagmeter_downsampler_bursts_watched",
                "Customers, projects, environments and flags that are watched: learning while too few weeks of them are known.",
                "state",
            )?,
            failures,
            muted,
            in_force,
            lag,
            looks,
        };
        metrics.begin();
        Ok(metrics)
    }

    /// So that rates begin at 0, not at the first event.
    fn begin(&self) {
        for of in Subject::SORTS {
            for kind in AlertKind::ALL {
                for said in ["began", "over"] {
                    self.alerts.with_label_values(&[of, kind.name(), said]).inc_by(0);
                    self.muted.with_label_values(&[of, kind.name(), said]).inc_by(0);
                }
            }
            self.watched(of, Watched::default());
        }
    }

    pub(super) fn told(&self, alert: &Alert) {
        let labels = [alert.alerted.of.sort(), alert.alerted.kind.name(), alert.alerted.said()];
        self.alerts.with_label_values(&labels).inc();
        if alert.muted.is_some() {
            self.muted.with_label_values(&labels).inc();
        }
    }

    /// Tells how many are in force.
    pub(super) fn mutes(&self, mutes: usize) {
        self.in_force.set(i64::try_from(mutes).unwrap_or(i64::MAX));
    }

    /// What is watched of one sort.
    pub(super) fn watched(&self, of: &str, watched: Watched) {
        let set = |gauges: &IntGaugeVec, label: &str, number: usize| {
            gauges.with_label_values(&[of, label]).set(i64::try_from(number).unwrap_or(i64::MAX));
        };
        set(&self.watched, "learning", watched.learning);
        set(&self.watched, "known", watched.known);
        set(&self.active, AlertKind::Burst.name(), watched.bursts);
        set(&self.active, AlertKind::Drop.name(), watched.drops);
    }

    /// How many are in force.
    #[cfg(test)]
    pub(super) fn in_force(&self) -> i64 {
        self.in_force.get()
    }

    pub(super) fn looked(&self, took: Duration, until: Timestamp, now: Timestamp) {
        self.looks.observe(took.as_secs_f64());
        self.lag.set(now.millis_since(until).max(0) / 1_000);
    }
}
