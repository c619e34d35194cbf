//! What is measured of the webhook.

use flagmeter_ledger::Notice;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::Result;

/// The webhook's metrics.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    delivered: IntCounterVec,
    failed: IntCounterVec,
    muted: IntCounter,
    waiting: IntGaugeVec,
    oldest: IntGauge,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self> {
        let counter = |name: &str, help: &str| -> Result<IntCounterVec> {
            let counter = IntCounterVec::new(Opts::new(name, help), &["of"])?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let waiting = IntGaugeVec::new(
            Opts::new(
                "flagmeter_downsampler_webhook_waiting",
                "Crossings and alerts that are not delivered yet, at the last look.",
            ),
            &["of"],
        )?;
        registry.register(Box::new(waiting.clone()))?;
        let oldest = IntGauge::new(
            "flagmeter_downsampler_webhook_oldest_waiting_seconds",
            "How long ago the first that waits was found, at the last look; 0 while none waits.",
        )?;
        registry.register(Box::new(oldest.clone()))?;
        let muted = IntCounter::new(
            "flagmeter_downsampler_webhook_muted_total",
            "Alerts that the webhook has moved past and not posted, because a planned mute was in force.",
        )?;
        registry.register(Box::new(muted.clone()))?;
        let metrics = Self {
            delivered: counter(
                "flagmeter_downsampler_webhook_delivered_total",
                "Crossings of thresholds and alerts that the webhook's receiver has taken.",
            )?,
            failed: counter(
                "flagmeter_downsampler_webhook_failures_total",
                "Attempts to deliver a crossing or an alert that its receiver did not take; it is sent again.",
            )?,
            muted,
            waiting,
            oldest,
        };
        // So that rates begin at 0, not at the first event.
        for of in Notice::ALL {
            metrics.delivered(of, 0);
            metrics.failed(of, 0);
            metrics.waits(of, 0);
        }
        Ok(metrics)
    }

    pub(super) fn delivered(&self, of: Notice, notices: u64) {
        self.delivered.with_label_values(&[of.name()]).inc_by(notices);
    }

    pub(super) fn failed(&self, of: Notice, attempts: u64) {
        self.failed.with_label_values(&[of.name()]).inc_by(attempts);
    }

    pub(super) fn muted(&self) {
        self.muted.inc();
    }

    /// Tells how many wait.
    pub(super) fn waits(&self, of: Notice, notices: u64) {
        self.waiting.with_label_values(&[of.name()]).set(i64::try_from(notices).unwrap_or(i64::MAX));
    }

    /// Tells how long the first that waits has waited.
    pub(super) fn oldest(&self, milliseconds: i64) {
        self.oldest.set(milliseconds.max(0) / 1_000);
    }

    /// How many were moved past.
    #[cfg(test)]
    pub(super) fn moved_past(&self) -> u64 {
        self.muted.get()
    }

    /// What is counted of one: delivered, failed, waiting; and how long the first of all has waited.
    #[cfg(test)]
    pub(super) fn of(&self, of: Notice) -> [i64; 4] {
        let counted = |counter: &IntCounterVec| counter.with_label_values(&[of.name()]).get().cast_signed();
        let waiting = self.waiting.with_label_values(&[of.name()]).get();
        [counted(&self.delivered), counted(&self.failed), waiting, self.oldest.get()]
    }
}
