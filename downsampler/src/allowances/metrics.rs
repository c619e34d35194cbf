//! What is measured of plans.

use prometheus::{IntCounter, Registry};

use crate::Result;

/// The metrics of who watches plans.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) crossings: IntCounter,
    pub(super) failures: IntCounter,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self> {
        let counter = |name: &str, help: &str| -> Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        Ok(Self {
            crossings: counter(
                "flagmeter_downsampler_thresholds_crossed_total",
                "Thresholds of plans that were found to be crossed, and appended to the ledger.",
            )?,
            failures: counter(
                "flagmeter_downsampler_thresholds_failures_total",
                "Looks at what a customer used of its plan that failed; they are repeated within a minute.",
            )?,
        })
    }
}
