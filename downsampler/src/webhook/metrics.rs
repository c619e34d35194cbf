//! What is measured of the webhook.

use prometheus::{IntCounter, IntGauge, Registry};

use crate::Result;

/// The webhook's metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) delivered: IntCounter,
    pub(super) failed: IntCounter,
    pub(super) waiting: IntGauge,
    pub(super) oldest: IntGauge,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self> {
        let counter = |name: &str, help: &str| -> Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        Ok(Self {
            delivered: counter(
                "flagmeter_downsampler_webhook_delivered_total",
                "Crossings of thresholds that the webhook's receiver has taken.",
            )?,
            failed: counter(
                "flagmeter_downsampler_webhook_failures_total",
                "Attempts to deliver a crossing that its receiver did not take; it is sent again.",
            )?,
            waiting: gauge(
                "flagmeter_downsampler_webhook_waiting",
                "Crossings that are not delivered yet, at the last look.",
            )?,
            oldest: gauge(
                "flagmeter_downsampler_webhook_oldest_waiting_seconds",
                "How long ago the first of them was found, at the last look; 0 while none waits.",
            )?,
        })
    }

    /// Tells how many wait, and since when.
    pub(super) fn waits(&self, crossings: u64, milliseconds: i64) {
        self.waiting.set(i64::try_from(crossings).unwrap_or(i64::MAX));
        self.oldest.set(milliseconds.max(0) / 1_000);
    }
}
