//! What is measured of queries.

use flagmeter_model::Timestamp;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use crate::{Error, Result, access::Refusal, live::Kind};

/// The metrics of queries. All labels are bounded: routes are those of the router.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    store_errors: IntCounterVec,
    authentication_failures: IntCounterVec,
    rows: IntCounter,
    pub(crate) live: LiveMetrics,
}

/// Those of live streams.
#[derive(Debug, Clone)]
pub(crate) struct LiveMetrics {
    viewers: IntGauge,
    queries: IntGauge,
    computed: IntCounterVec,
    refused: IntCounterVec,
    slow: IntCounter,
    // Looked up once: they are counted for each viewer.
    snapshots: IntCounter,
    deltas: IntCounter,
    problems: IntCounter,
    heartbeats: IntCounter,
}

impl Metrics {
    /// Registers them.
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("flagmeter_queries_requests_total", "Requests, by route and HTTP status."),
                &["route", "status"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new(
                    "flagmeter_queries_request_seconds",
                    "Time from a request to its answer, by route, in seconds.",
                )
                .buckets(vec![
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
                ]),
                &["route"],
            )?,
            store_errors: IntCounterVec::new(
                Opts::new(
                    "flagmeter_queries_store_errors_total",
                    "Reads that the store did not answer, by whether a later one may be (retryable, permanent).",
                ),
                &["kind"],
            )?,
            authentication_failures: IntCounterVec::new(
                Opts::new(
                    "flagmeter_queries_authentication_failures_total",
                    "Requests without a good token, by reason.",
                ),
                &["reason"],
            )?,
            rows: IntCounter::new("flagmeter_queries_rows_total", "Rows in the answers of /v1/usage.")?,
            live: LiveMetrics::register(registry)?,
        };
        // Each label is there from the start, so that a first failure is a step and not a new series.
        for refusal in Refusal::ALL {
            metrics.authentication_failures.with_label_values(&[refusal.reason()]);
        }
        for kind in ["retryable", "permanent"] {
            metrics.store_errors.with_label_values(&[kind]);
        }
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.store_errors.clone()))?;
        registry.register(Box::new(metrics.authentication_failures.clone()))?;
        registry.register(Box::new(metrics.rows.clone()))?;
        Ok(metrics)
    }

    /// A request was answered.
    pub(crate) fn answered(&self, route: &str, status: u16, seconds: f64) {
        self.requests.with_label_values(&[route, &status.to_string()]).inc();
        self.seconds.with_label_values(&[route]).observe(seconds);
    }

    /// The store did not answer.
    pub(crate) fn store_failed(&self, is_retryable: bool) {
        self.store_errors.with_label_values(&[if is_retryable { "retryable" } else { "permanent" }]).inc();
    }

    /// A token was not accepted.
    pub(crate) fn refused(&self, refusal: Refusal) {
        self.authentication_failures.with_label_values(&[refusal.reason()]).inc();
    }

    /// An answer had so many rows.
    pub(crate) fn rows(&self, rows: usize) {
        self.rows.inc_by(u64::try_from(rows).unwrap_or(u64::MAX));
    }
}

impl LiveMetrics {
    fn register(registry: &Registry) -> Result<Self> {
        let events = IntCounterVec::new(
            Opts::new(
                "flagmeter_queries_live_events_total",
                "Events of live streams taken by viewers, by kind (snapshot, delta, problem, heartbeat).",
            ),
            &["kind"],
        )?;
        let metrics = Self {
            viewers: IntGauge::new("flagmeter_queries_live_viewers", "Live streams that are open.")?,
            queries: IntGauge::new(
                "flagmeter_queries_live_queries",
                "Different questions of live streams: each is computed once for all who watch.",
            )?,
            computed: IntCounterVec::new(
                Opts::new(
                    "flagmeter_queries_live_computed_total",
                    "Computations of questions of live streams, by what came of them (changed, same, failed).",
                ),
                &["outcome"],
            )?,
            refused: IntCounterVec::new(
                Opts::new(
                    "flagmeter_queries_live_refused_total",
                    "Live streams that were refused, by whose bound they met (own, all).",
                ),
                &["bound"],
            )?,
            slow: IntCounter::new(
                "flagmeter_queries_live_slow_viewers_total",
                "Snapshots that viewers took because they were too slow for the deltas.",
            )?,
            snapshots: events.with_label_values(&["snapshot"]),
            deltas: events.with_label_values(&["delta"]),
            problems: events.with_label_values(&["problem"]),
            heartbeats: events.with_label_values(&["heartbeat"]),
        };
        for outcome in ["changed", "same", "failed"] {
            metrics.computed.with_label_values(&[outcome]);
        }
        for bound in ["own", "all"] {
            metrics.refused.with_label_values(&[bound]);
        }
        registry.register(Box::new(metrics.viewers.clone()))?;
        registry.register(Box::new(metrics.queries.clone()))?;
        registry.register(Box::new(metrics.computed.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.slow.clone()))?;
        registry.register(Box::new(events))?;
        Ok(metrics)
    }

    /// So many streams are open now.
    pub(crate) fn viewers(&self, viewers: usize) {
        self.viewers.set(i64::try_from(viewers).unwrap_or(i64::MAX));
    }

    /// So many questions are kept now.
    pub(crate) fn queries(&self, queries: usize) {
        self.queries.set(i64::try_from(queries).unwrap_or(i64::MAX));
    }

    /// A question was computed: `changed`, `same` or `failed`.
    pub(crate) fn computed(&self, outcome: &'static str) {
        self.computed.with_label_values(&[outcome]).inc();
    }

    /// A stream was refused.
    pub(crate) fn refused(&self, error: &Error) {
        let bound = if matches!(error, Error::OwnStreams { .. }) { "own" } else { "all" };
        self.refused.with_label_values(&[bound]).inc();
    }

    /// A viewer took an event.
    pub(crate) fn sent(&self, kind: Kind) {
        match kind {
            Kind::Snapshot => self.snapshots.inc(),
            Kind::Caught => {
                self.snapshots.inc();
                self.slow.inc();
            }
            Kind::Delta => self.deltas.inc(),
            Kind::Problem => self.problems.inc(),
            Kind::Heartbeat => self.heartbeats.inc(),
        }
    }
}

/// How long counts are on their way.
#[derive(Debug, Clone)]
pub(crate) struct ArrivalMetrics {
    receive_to_queryable: Histogram,
    complete_until: Gauge,
}

impl ArrivalMetrics {
    /// Registers them.
    pub(crate) fn register(registry: &Registry) -> Result<Self> {
        let metrics = Self {
            receive_to_queryable: Histogram::with_opts(
                HistogramOpts::new(
                    "flagmeter_queries_receive_to_queryable_seconds",
                    "How long ago all had arrived that a question could know, whichever edge it came to, looked at about once a second.",
                )
                .buckets(vec![
                    0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0,
                ]),
            )?,
            complete_until: Gauge::new(
                "flagmeter_queries_complete_until_timestamp_seconds",
                "All that arrived before this time can be seen, in seconds since 1970; 0 before the first seal.",
            )?,
        };
        registry.register(Box::new(metrics.receive_to_queryable.clone()))?;
        registry.register(Box::new(metrics.complete_until.clone()))?;
        Ok(metrics)
    }

    /// What arrived so long ago could be seen, and nothing later is sure to be. A clock behind an edge's says 0.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a histogram takes f64, and these are milliseconds below 2^52"
    )]
    pub(crate) fn took(&self, millis: i64) {
        self.receive_to_queryable.observe(millis.max(0) as f64 / 1_000.0);
    }

    /// All that arrived before this can be seen.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge takes f64, and a time in milliseconds is below 2^52"
    )]
    pub(crate) fn complete_until(&self, at: Timestamp) {
        self.complete_until.set(at.as_millis() as f64 / 1_000.0);
    }
}
