//! What the edge shows of itself.

use std::time::Duration;

use flagmeter_model::ContentEncoding;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    core::Collector, exponential_buckets,
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
    pub(crate) records: Records,
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
            records: Records::register(&of)?,
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

/// What records with counts take, compressed and plain.
#[derive(Debug)]
pub(crate) struct Records {
    bytes: HistogramVec,
    other_bytes: HistogramVec,
    ratio: HistogramVec,
    seconds: HistogramVec,
}

impl Records {
    fn register(of: &Registering<'_>) -> Result<Self> {
        let shares = [0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0];
        Ok(Self {
            bytes: of.histograms(
                "record_bytes",
                "Size of a record with counts as it was written, by whether it was compressed.",
                &["form"],
                exponential_buckets(256.0, 2.0, 15)?,
            )?,
            other_bytes: of.histograms(
                "record_other_bytes",
                "Size that a record would have had in the other form, by the form that it was written in: of compressed ones \
                 all, of plain ones one of each seal.",
                &["form"],
                exponential_buckets(256.0, 2.0, 15)?,
            )?,
            ratio: of.histograms(
                "record_compressed_ratio",
                "Compressed size of a record with counts over its plain size, by whether it was written so or only measured.",
                &["encoding", "use"],
                shares.to_vec(),
            )?,
            seconds: of.histograms(
                "record_compress_seconds",
                "Time that compressing a record with counts took, by whether it was written so or only measured.",
                &["encoding", "use"],
                exponential_buckets(0.000_01, 2.5, 14)?,
            )?,
        })
    }

    /// A record that was written plain.
    pub(crate) fn plain(&self, bytes: usize) {
        self.bytes.with_label_values(&["plain"]).observe(float(bytes));
    }

    /// A record that was written compressed.
    pub(crate) fn compressed(&self, encoding: ContentEncoding, plain: usize, bytes: usize, took: Duration) {
        self.bytes.with_label_values(&["compressed"]).observe(float(bytes));
        self.other_bytes.with_label_values(&["compressed"]).observe(float(plain));
        self.measured([encoding.name(), "written"], plain, bytes, took);
    }

    /// What a plain record would have been.
    pub(crate) fn estimated(&self, encoding: ContentEncoding, plain: usize, bytes: usize, took: Duration) {
        self.other_bytes.with_label_values(&["plain"]).observe(float(bytes));
        self.measured([encoding.name(), "measured"], plain, bytes, took);
    }

    fn measured(&self, labels: [&str; 2], plain: usize, bytes: usize, took: Duration) {
        self.ratio.with_label_values(&labels).observe(float(bytes) / float(plain).max(1.0));
        self.seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }
}

/// A record has some MiB at most.
fn float(bytes: usize) -> f64 {
    u32::try_from(bytes).map_or(f64::MAX, f64::from)
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

    fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: Vec<f64>) -> Result<HistogramVec> {
        let opts = HistogramOpts { common_opts: Self::opts(name, help), buckets };
        self.kept(HistogramVec::new(opts, labels)?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: Vec<f64>) -> Result<Histogram> {
        let opts = HistogramOpts { common_opts: Self::opts(name, help), buckets };
        self.kept(Histogram::with_opts(opts)?)
    }
}
