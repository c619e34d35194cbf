//! What is measured of queries.

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

use crate::{Result, access::Refusal};

/// The metrics of queries. All labels are bounded: routes are those of the router.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    store_errors: IntCounterVec,
    authentication_failures: IntCounterVec,
    rows: IntCounter,
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
