//! From the configuration to that of each stage.

use std::time::Duration;

use flagmeter_model::Timestamp;

use super::{folder::Folder, listener::Bounds};
use crate::config::Config;

/// The edge's.
pub(super) fn edge_config(
    config: &Config,
    folder: &Folder,
    covers_from: Option<Timestamp>,
) -> flagmeter_edge::Config {
    let edge = &config.edge;
    flagmeter_edge::Config {
        accepted_lateness: edge.late_max,
        accepted_ahead: edge.future_max,
        idempotency_retention: edge.idempotency_window,
        journal_bytes_max: edge.journal_max.0,
        body_bytes_max: edge.body_max.bytes(),
        body_decompressed_bytes_max: edge.decompressed_max.bytes(),
        series_per_environment_max: edge.series_max,
        covers_from,
        ..flagmeter_edge::Config::new(edge.node, folder.journal())
    }
}

/// Those of the listeners.
pub(super) fn listener_bounds(config: &Config) -> Bounds {
    Bounds {
        connections: config.listen.connections_max,
        idle: config.listen.idle_max,
        finish: config.shutdown.requests_max,
    }
}

/// The embedded log's.
pub(super) fn log_config(config: &Config, folder: &Folder) -> flagmeter_log::embedded::Config {
    flagmeter_log::embedded::Config {
        bytes_max: config.log.size_max.0,
        retain_committed: config.log.keep_stored,
        ..flagmeter_log::embedded::Config::at(folder.log())
    }
}

/// The embedded store's.
pub(crate) fn store_config(config: &Config, folder: &Folder) -> flagmeter_store::embedded::Config {
    flagmeter_store::embedded::Config {
        readers: config.store.readers,
        node_timeout_ms: millis(config.downsampler.node_timeout),
        ..flagmeter_store::embedded::Config::new(folder.store())
    }
}

/// Ingest's.
pub(super) fn ingest_config(config: &Config) -> flagmeter_ingest::Config {
    flagmeter_ingest::Config {
        read_bytes_max: config.ingest.read_max.bytes(),
        drain_max: config.shutdown.drain_max,
        ..flagmeter_ingest::Config::default()
    }
}

/// The downsampler's.
pub(super) fn downsampler_config(config: &Config) -> flagmeter_downsampler::Config {
    let retention = &config.retention;
    flagmeter_downsampler::Config {
        node_timeout_ms: millis(config.downsampler.node_timeout),
        retention: flagmeter_downsampler::Retention {
            raw: Some(retention.raw),
            minute: Some(retention.minute),
            quarter: Some(retention.quarter),
        },
        interval: config.downsampler.interval,
        ..flagmeter_downsampler::Config::default()
    }
}

/// The queries'.
pub(super) fn queries_config(config: &Config) -> flagmeter_queries::Config {
    flagmeter_queries::Config {
        rows_max: config.queries.rows_max,
        read_timeout: config.queries.timeout,
        ..flagmeter_queries::Config::default()
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
