//! What is measured of runtime flags. Labels come from the catalogue alone, so they are bounded by it.

use flagmeter_model::Timestamp;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, core::Collector};

use crate::{CATALOGUE, Reason, Result};

/// The metrics of runtime flags. All names begin with `flagmeter_flags_`.
#[derive(Debug)]
pub(crate) struct Metrics {
    evaluations: IntCounterVec,
    pub(crate) loads: IntCounter,
    pub(crate) refused: IntCounter,
    pub(crate) good: IntGauge,
    pub(crate) loaded_at: IntGauge,
    pub(crate) changed_at: IntGaugeVec,
    pub(crate) noticed: IntGauge,
    pub(crate) customers: IntGaugeVec,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let of = Registering(registry);
        let metrics = Self {
            evaluations: of.counters(
                "evaluations_total",
                "Decisions by runtime flag, by the variant in use and by OpenFeature's reason for it.",
                &["flag", "variant", "reason"],
            )?,
            loads: of.kept(IntCounter::with_opts(opts("loads_total", "Definitions of runtime flags that were taken."))?)?,
            refused: of.kept(IntCounter::with_opts(opts(
                "refused_total",
                "Times that the definition of runtime flags could not be read or used; the one before goes on.",
            ))?)?,
            good: of.kept(IntGauge::with_opts(opts(
                "source_good",
                "1 while the definition in use is what the source has, or no source is set; 0 while it is missing or broken there.",
            ))?)?,
            loaded_at: of.kept(IntGauge::with_opts(opts(
                "last_load_timestamp_seconds",
                "When a definition of runtime flags was last taken; 0 before the first.",
            ))?)?,
            changed_at: of.gauges(
                "last_change_timestamp_seconds",
                "When the definition of a runtime flag last changed in this process; 0 before it did.",
                &["flag"],
            )?,
            noticed: of.kept(IntGauge::with_opts(opts(
                "noticed",
                "Runtime flags of the definition in use that have no owner, are past their removal, or are broken.",
            ))?)?,
            customers: of.gauges(
                "customers",
                "Customers of the registry by runtime flag and the variant that they have of it, at the last look.",
                &["flag", "variant"],
            )?,
        };
        for flag in CATALOGUE {
            metrics.changed_at.with_label_values(&[flag.key]).set(0);
        }
        // Without a source nothing is wrong: the safe defaults are meant to hold.
        metrics.good.set(1);
        Ok(metrics)
    }

    pub(crate) fn evaluated(&self, flag: &str, variant: &str, reason: Reason) {
        self.evaluations.with_label_values(&[flag, variant, reason.name()]).inc();
    }

    pub(crate) fn changed(&self, flag: &str, at: Timestamp) {
        self.changed_at.with_label_values(&[flag]).set(at.as_seconds());
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("flagmeter_flags_{name}"), help)
}

struct Registering<'r>(&'r Registry);

impl Registering<'_> {
    fn kept<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.kept(IntCounterVec::new(opts(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.kept(IntGaugeVec::new(opts(name, help), labels)?)
    }
}
