//! What the downsampler tells of itself.

use std::time::Duration;

use flagmeter_model::{Tier, Timestamp};
use flagmeter_store::{Frontiers, State};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

use crate::Error;

/// Whether windows were rolled up for the first time or because data came late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    OnTime,
    Dirty,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::OnTime => "on_time",
            Self::Dirty => "dirty",
        }
    }
}

/// What comes of a cycle that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Retried,
    Damaged,
    Fatal,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Retried, Self::Damaged, Self::Fatal];

    const fn of(error: &Error) -> Self {
        if error.is_retryable() {
            Self::Retried
        } else if error.is_damage() {
            Self::Damaged
        } else {
            Self::Fatal
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Retried => "retried",
            Self::Damaged => "damaged",
            Self::Fatal => "fatal",
        }
    }
}

/// The downsampler's metrics.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    frontier_lag: IntGaugeVec,
    rolls: RollMetrics,
    dirty: IntGauge,
    missing: IntGauge,
    cycle: Histogram,
    deleted: IntCounter,
    errors: IntCounterVec,
    ledger: LedgerMetrics,
}

/// What it tells of roll-ups.
#[derive(Debug, Clone)]
struct RollMetrics {
    windows: IntCounterVec,
    seconds: HistogramVec,
}

impl RollMetrics {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let labels = &["tier", "kind"];
        let metrics = Self {
            windows: registered(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "flagmeter_downsampler_windows_total",
                        "Windows of environments rolled up: on_time for the first time, dirty because data came late.",
                    ),
                    labels,
                )?,
            )?,
            seconds: registered(
                registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "flagmeter_downsampler_roll_seconds",
                        "Time that the store took to roll up windows, by tier and kind as the windows are counted.",
                    )
                    .buckets(vec![0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0]),
                    labels,
                )?,
            )?,
        };
        // So that rates begin at 0, not at the first event.
        for tier in Tier::ROLLED {
            for kind in [Kind::OnTime, Kind::Dirty] {
                metrics.windows.with_label_values(&[tier.name(), kind.name()]);
                metrics.seconds.with_label_values(&[tier.name(), kind.name()]);
            }
        }
        Ok(metrics)
    }
}

/// What it tells of closing hours.
#[derive(Debug, Clone)]
struct LedgerMetrics {
    rows: IntCounterVec,
    closed_lag: IntGauge,
    closed_until: IntGauge,
}

impl LedgerMetrics {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            rows: registered(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "flagmeter_downsampler_ledger_rows_total",
                        "Rows appended to the ledger: closing for an hour's first, correction for what came after it was closed.",
                    ),
                    &["kind"],
                )?,
            )?,
            closed_lag: registered(
                registry,
                IntGauge::new(
                    "flagmeter_downsampler_closed_lag_seconds",
                    "Time from the end of the last closed hour until now; 0 before the first.",
                )?,
            )?,
            closed_until: registered(
                registry,
                IntGauge::new(
                    "flagmeter_downsampler_closed_until_timestamp_seconds",
                    "End of the last closed hour, in seconds since 1970; 0 before the first.",
                )?,
            )?,
        })
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            frontier_lag: registered(
                registry,
                IntGaugeVec::new(
                    Opts::new(
                        "flagmeter_downsampler_frontier_lag_seconds",
                        "Time from the end of the last whole window of a tier until now.",
                    ),
                    &["tier"],
                )?,
            )?,
            rolls: RollMetrics::register(registry)?,
            dirty: registered(
                registry,
                IntGauge::new(
                    "flagmeter_downsampler_dirty_windows",
                    "Windows that wait to be rolled up again; in InfluxDB one that was marked twice counts twice.",
                )?,
            )?,
            missing: registered(
                registry,
                IntGauge::new(
                    "flagmeter_downsampler_missing_nodes",
                    "Edge nodes that fell silent without a farewell; windows are closed without them.",
                )?,
            )?,
            cycle: registered(
                registry,
                Histogram::with_opts(
                    HistogramOpts::new("flagmeter_downsampler_cycle_seconds", "Time that one cycle took.")
                        .buckets(vec![0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0]),
                )?,
            )?,
            deleted: registered(
                registry,
                IntCounter::new("flagmeter_downsampler_deleted_rows_total", "Rows deleted by retention.")?,
            )?,
            ledger: LedgerMetrics::register(registry)?,
            errors: registered(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "flagmeter_downsampler_errors_total",
                        "Cycles that failed: retried ones are tried again soon; damaged ones met what does not read back or \
                         add up, and wait there; fatal ones stop the downsampler.",
                    ),
                    &["outcome"],
                )?,
            )?,
        };
        // So that rates begin at 0, not at the first event.
        metrics.appended(0, 0);
        for outcome in Outcome::ALL.map(Outcome::name) {
            metrics.errors.with_label_values(&[outcome]).inc_by(0);
        }
        Ok(metrics)
    }

    pub(crate) fn rolled(&self, tier: Tier, kind: Kind, windows: u64, took: Duration) {
        let labels = [tier.name(), kind.name()];
        self.rolls.windows.with_label_values(&labels).inc_by(windows);
        self.rolls.seconds.with_label_values(&labels).observe(took.as_secs_f64());
    }

    pub(crate) fn appended(&self, closings: u64, corrections: u64) {
        self.ledger.rows.with_label_values(&["closing"]).inc_by(closings);
        self.ledger.rows.with_label_values(&["correction"]).inc_by(corrections);
    }

    pub(crate) fn closed(&self, until: Option<Timestamp>, now: Timestamp) {
        self.ledger.closed_lag.set(until.map_or(0, |until| now.millis_since(until).max(0) / 1_000));
        self.ledger.closed_until.set(until.map_or(0, Timestamp::as_seconds));
    }

    pub(crate) fn deleted(&self, rows: u64) {
        self.deleted.inc_by(rows);
    }

    pub(crate) fn failed(&self, error: &Error) {
        self.errors.with_label_values(&[Outcome::of(error).name()]).inc();
    }

    pub(crate) fn cycle(&self, began: Timestamp, ended: Timestamp, state: &State, missing: usize) {
        // Milliseconds of a cycle are far below 2^52; a clock that jumped back says nothing.
        #[expect(clippy::cast_precision_loss, reason = "a histogram takes f64, and a cycle takes seconds")]
        self.cycle.observe(ended.millis_since(began).max(0) as f64 / 1_000.0);
        self.dirty(state);
        self.missing.set(i64::try_from(missing).unwrap_or(i64::MAX));
    }

    pub(crate) fn lags(&self, frontiers: &Frontiers, now: Timestamp) {
        for tier in Tier::ROLLED {
            if let Some(lag) = lag_seconds(frontiers, tier, now) {
                self.frontier_lag.with_label_values(&[tier.name()]).set(lag);
            }
        }
    }

    pub(crate) fn dirty(&self, state: &State) {
        self.dirty.set(i64::try_from(state.dirty).unwrap_or(i64::MAX));
    }
}

/// How far the whole windows of a tier lie behind; `None` before the first.
pub(crate) fn lag_seconds(frontiers: &Frontiers, tier: Tier, now: Timestamp) -> Option<i64> {
    frontiers.whole(tier).map(|whole| now.millis_since(whole).max(0) / 1_000)
}
