//! What the log tells about itself where it is Kafka.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::{Error, Result};

/// From a millisecond, a broker next door, to half a minute.
const SECONDS: [f64; 12] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

/// Of a producer.
#[derive(Debug, Clone)]
pub(super) struct ProducerMetrics {
    /// Transactions, by what became of them: `committed`, `given_up`.
    pub(super) transactions: IntCounterVec,
    pub(super) append_seconds: Histogram,
    /// How often a new client took the place of one that could not go on.
    pub(super) renewals: IntCounter,
}

impl ProducerMetrics {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            transactions: counters(
                "flagmeter_log_transactions_total",
                "Transactions of the producer, by what became of them",
                "outcome",
            )?,
            append_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "flagmeter_log_append_seconds",
                    "Time that appends took which Kafka acknowledged",
                )
                .buckets(SECONDS.to_vec()),
            )?,
            renewals: IntCounter::new(
                "flagmeter_log_producer_renewals_total",
                "How often the producer's client was made anew because it could not go on",
            )?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<()> {
        registry.register(Box::new(self.transactions.clone()))?;
        registry.register(Box::new(self.append_seconds.clone()))?;
        registry.register(Box::new(self.renewals.clone()))?;
        Ok(())
    }
}

/// Of a consumer.
#[derive(Debug, Clone)]
pub(super) struct ConsumerMetrics {
    pub(super) partitions: IntGauge,
    pub(super) prefetched_bytes: IntGauge,
    pub(super) rebalances: IntCounter,
    /// How often the log did not have the place any more where this consumer was to go on.
    pub(super) places_lost: IntCounter,
    /// How often the client was made anew, by reason: `stalled`, `failed`.
    pub(super) renewals: IntCounterVec,
}

impl ConsumerMetrics {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            partitions: IntGauge::new(
                "flagmeter_log_partitions_owned",
                "Partitions that this consumer reads",
            )?,
            prefetched_bytes: IntGauge::new(
                "flagmeter_log_prefetched_bytes",
                "Bytes of records that were fetched and wait to be read",
            )?,
            rebalances: IntCounter::new(
                "flagmeter_log_rebalances_total",
                "How often partitions came to this consumer or left it",
            )?,
            places_lost: IntCounter::new(
                "flagmeter_log_places_lost_total",
                "How often the log did not have the place any more where this consumer was to go on: records may be lost",
            )?,
            renewals: counters(
                "flagmeter_log_consumer_renewals_total",
                "How often the consumer's client was made anew, by reason",
                "reason",
            )?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<()> {
        registry.register(Box::new(self.partitions.clone()))?;
        registry.register(Box::new(self.prefetched_bytes.clone()))?;
        registry.register(Box::new(self.rebalances.clone()))?;
        registry.register(Box::new(self.places_lost.clone()))?;
        registry.register(Box::new(self.renewals.clone()))?;
        Ok(())
    }
}

impl From<prometheus::Error> for Error {
    fn from(error: prometheus::Error) -> Self {
        Self::Metrics(error.to_string())
    }
}

fn counters(name: &str, help: &str, label: &str) -> Result<IntCounterVec> {
    Ok(IntCounterVec::new(Opts::new(name, help), &[label])?)
}
