//! What ingest tells about itself.

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};

use crate::Result;

/// From a millisecond, a small step on a quick disk, to ten seconds.
const SECONDS: [f64; 12] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// From the grain of a slot to a day late.
const LATENESS: [f64; 14] =
    [2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];

#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) records: IntCounter,
    pub(crate) points: IntCounter,
    pub(crate) dead_letters: IntCounterVec,
    pub(crate) late_marks: IntCounter,
    pub(crate) past_retention: IntCounter,
    pub(crate) overflow: IntCounter,
    pub(crate) folded: IntCounter,
    pub(crate) decode_seconds: Histogram,
    pub(crate) write_seconds: Histogram,
    pub(crate) event_to_queryable: Histogram,
    pub(crate) retries: IntCounterVec,
    pub(crate) lag_records: IntGauge,
    pub(crate) lag_seconds: Gauge,
    pub(crate) stalled: IntGauge,
    pub(crate) clock_ahead_seconds: IntGauge,
}

/// Reasons that are shown from the start: of a counter that appears with its first count no increase is known.
const DEAD_LETTERS: [&str; 5] = ["past_retention", "overflow", "refused", "damaged", "version_unknown"];

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help)?);
        let counters = |name: &str, help: &str, label: &str| {
            register(registry, IntCounterVec::new(Opts::new(name, help), &[label])?)
        };
        let gauge = |name: &str, help: &str| register(registry, IntGauge::new(name, help)?);
        let seconds = |name: &str, help: &str| histogram(registry, name, help, &SECONDS);
        let dead_letters = counters(
            "flagmeter_ingest_dead_letters_total",
            "Log records that could not be stored, whole or in part, and went to the dead letters, by reason",
            "reason",
        )?;
        for reason in DEAD_LETTERS {
            dead_letters.with_label_values(&[reason]);
        }
        Ok(Self {
            records: counter(
                "flagmeter_ingest_records_total",
                "Log records that were stored, dead letters included",
            )?,
            points: counter("flagmeter_ingest_points_total", "Points that the store took, repeats included")?,
            dead_letters,
            late_marks: counter(
                "flagmeter_ingest_late_marks_total",
                "Minutes of environments marked to be rolled up again because points came after their roll-up",
            )?,
            past_retention: counter(
                "flagmeter_ingest_past_retention_points_total",
                "Points older than the retention of raw points, which could not be stored any more",
            )?,
            overflow: counter(
                "flagmeter_ingest_overflow_points_total",
                "Points of a record and minute that add up beyond what the store keeps, and were set aside",
            )?,
            folded: counter(
                "flagmeter_ingest_folded_points_total",
                "Points folded into __other__, because their environment has as many series as the store keeps",
            )?,
            decode_seconds: seconds("flagmeter_ingest_decode_seconds", "Time to decode a step")?,
            write_seconds: seconds(
                "flagmeter_ingest_write_seconds",
                "Time the store took to answer a write, failed ones included",
            )?,
            event_to_queryable: histogram(
                registry,
                "flagmeter_ingest_event_to_queryable_seconds",
                "Time from the start of a slot of 10 s until counts in it could be asked for, for each environment and slot of a record",
                &LATENESS,
            )?,
            retries: counters(
                "flagmeter_ingest_retries_total",
                "Calls that failed and were made again, by call",
                "call",
            )?,
            lag_records: gauge("flagmeter_ingest_lag_records", "Records in the log that are not stored yet")?,
            lag_seconds: register(
                registry,
                Gauge::new(
                    "flagmeter_ingest_lag_seconds",
                    "Age of the oldest record in the log that is not stored yet; while the log does not answer, time since it did",
                )?,
            )?,
            stalled: gauge(
                "flagmeter_ingest_stalled",
                "1 while records wait, or the log does not tell whether any do, and nothing is stored",
            )?,
            clock_ahead_seconds: gauge(
                "flagmeter_ingest_clock_ahead_seconds",
                "How far the clock of a node was ahead of the log's: the most in the last step",
            )?,
        })
    }
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
    register(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
