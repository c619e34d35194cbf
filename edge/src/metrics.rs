//! What the edge shows of itself.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
    exponential_buckets,
};

use crate::{Result, committer::Fates, wire::Door};

/// The metrics of the edge. All names begin with `flagmeter_edge_`.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: IntCounterVec,
    received: IntCounter,
    taken: IntCounter,
    duplicate: IntCounter,
    rejected: IntCounterVec,
    commit_requests: Histogram,
    commit_seconds: Histogram,
    pub(crate) commit_failures: IntCounter,
    seal_seconds: Histogram,
    pub(crate) seal_failures: IntCounter,
    pub(crate) journal_bytes: IntGauge,
    pub(crate) outbox_records: IntGauge,
    pub(crate) marks: IntGauge,
    pub(crate) marks_forgotten_early: IntCounter,
    pub(crate) series_live: IntGauge,
    pub(crate) points_waiting: IntGauge,
    pub(crate) folds: IntCounterVec,
    pub(crate) memory_lost: IntCounter,
    pub(crate) unknown_key_rows: IntCounter,
    pub(crate) hand_on_records: IntCounter,
    pub(crate) hand_on_failures: IntCounter,
    pub(crate) hand_on_seconds: Histogram,
    pub(crate) seal_lag_milliseconds: IntGauge,
    /// The common outcome of each door, looked up once.
    accepted: [IntCounter; Door::ALL.len()],
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let of = Registering(registry);
        let requests = of.counters(
            "requests_total",
            "Requests by the door they took and what they were answered.",
            &["door", "outcome"],
        )?;
        Ok(Self {
            accepted: Door::ALL.map(|door| requests.with_label_values(&[door.name(), "accepted"])),
            requests,
            received: of.counter("received_total", "Counts that arrived, whatever became of them.")?,
            taken: of.counter("taken_total", "Counts that were taken and are on disk.")?,
            duplicate: of.counter(
                "duplicate_total",
                "Counts of requests that had been acknowledged before, and are not counted again.",
            )?,
            rejected: of.counters("rejected_total", "Counts that were not taken, by reason.", &["reason"])?,
            commit_requests: of.histogram(
                "commit_requests",
                "Requests that shared one commit.",
                exponential_buckets(1.0, 2.0, 14)?,
            )?,
            commit_seconds: of.histogram(
                "commit_seconds",
                "Time from taking a group out of the inbox until it is on disk.",
                exponential_buckets(0.000_25, 2.0, 14)?,
            )?,
            commit_failures: of.counter("commit_failures_total", "Groups that the disk did not take.")?,
            seal_seconds: of.histogram(
                "seal_seconds",
                "Time that a seal takes.",
                exponential_buckets(0.001, 2.0, 14)?,
            )?,
            seal_failures: of.counter("seal_failures_total", "Seals that could not be made.")?,
            journal_bytes: of
                .gauge("journal_bytes", "Bytes of counts and records that wait in the journal.")?,
            outbox_records: of
                .gauge("outbox_records", "Records sealed and not yet known to be in the log.")?,
            marks: of.gauge("idempotency_keys", "Idempotency keys that are remembered.")?,
            marks_forgotten_early: of.counter(
                "idempotency_keys_forgotten_early_total",
                "Idempotency keys forgotten before their time, because there were too many.",
            )?,
            series_live: of.gauge("series_live", "Series in memory.")?,
            points_waiting: of.gauge("points_waiting", "Points (series and slot) that wait for a seal.")?,
            folds: of.counters(
                "folds_total",
                "Entries whose variant or name was folded into __other__, by environment.",
                &["environment", "folded"],
            )?,
            memory_lost: of.counter(
                "memory_lost_total",
                "Counts that were acknowledged from memory (ack = memory) and could not be written.",
            )?,
            unknown_key_rows: of.counter(
                "unknown_key_rows_total",
                "Rows of the Flagsmith edge proxy whose key nobody knows.",
            )?,
            hand_on_records: of.counter("hand_on_records_total", "Records that the log has taken.")?,
            hand_on_failures: of.counter("hand_on_failures_total", "Times that records could not be handed on: the log did not take them, or the journal could not be read.")?,
            hand_on_seconds: of.histogram(
                "hand_on_seconds",
                "Time that the log took to take records, each try by itself, failed ones included.",
                exponential_buckets(0.001, 2.0, 14)?,
            )?,
            seal_lag_milliseconds: of.gauge(
                "seal_lag_milliseconds",
                "Age of the oldest seal that is not in the log; 0 when all are.",
            )?,
        })
    }

    /// Counts a request by what it was answered.
    pub(crate) fn request(&self, door: Door, outcome: &'static str) {
        if outcome == "accepted" {
            self.accepted[door as usize].inc();
        } else {
            self.requests.with_label_values(&[door.name(), outcome]).inc();
        }
    }

    /// Counts a group that is on disk.
    pub(crate) fn committed(&self, requests: usize, took: Duration, fates: &Fates) {
        // A group has at most as many requests as the inbox holds.
        self.commit_requests.observe(u32::try_from(requests).map_or(f64::MAX, f64::from));
        self.commit_seconds.observe(took.as_secs_f64());
        self.received.inc_by(fates.received);
        self.taken.inc_by(fates.taken);
        self.duplicate.inc_by(fates.duplicate);
        for (reason, &count) in &fates.rejected {
            self.rejected.with_label_values(&[reason]).inc_by(count);
        }
    }

    /// Counts a seal.
    pub(crate) fn sealed(&self, took: Duration) {
        self.seal_seconds.observe(took.as_secs_f64());
    }
}

struct Registering<'r>(&'r Registry);

impl Registering<'_> {
    fn opts(name: &str, help: &str) -> Opts {
        Opts::new(format!("flagmeter_edge_{name}"), help)
    }

    fn kept<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter> {
        self.kept(IntCounter::with_opts(Self::opts(name, help))?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.kept(IntCounterVec::new(Self::opts(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.kept(IntGauge::with_opts(Self::opts(name, help))?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: Vec<f64>) -> Result<Histogram> {
        let opts = HistogramOpts { common_opts: Self::opts(name, help), buckets };
        self.kept(Histogram::with_opts(opts)?)
    }
}
