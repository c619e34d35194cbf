//! What is measured of the registry's file.

use flagmeter_model::Registry;
use prometheus::{IntCounter, IntGauge};

use crate::{Result, process::metrics::register};

/// The registry's metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) reloads: IntCounter,
    pub(super) refused: IntCounter,
    pub(super) good: IntGauge,
    environments: IntGauge,
}

impl Metrics {
    pub(super) fn new(registry: &prometheus::Registry) -> Result<Self> {
        let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help));
        let gauge = |name: &str, help: &str| register(registry, IntGauge::new(name, help));
        Ok(Self {
            reloads: counter(
                "flagmeter_registry_reloads_total",
                "Changes of the registry's file that were taken.",
            )?,
            refused: counter(
                "flagmeter_registry_refused_total",
                "Changes of the registry's file that were refused; the old registry went on.",
            )?,
            good: gauge(
                "flagmeter_registry_file_good",
                "1 while the registry's file is the one in use, 0 while an older good one is.",
            )?,
            environments: gauge("flagmeter_registry_environments", "Environments in the registry in use.")?,
        })
    }

    /// Tells which registry is in use, and whether it is the file's.
    pub(super) fn current(&self, good: bool, registry: &Registry) {
        self.good.set(i64::from(good));
        self.environments.set(i64::try_from(registry.environments().len()).unwrap_or(i64::MAX));
    }
}
