//! From the configuration to that of each stage.

use std::path::PathBuf;

use flagmeter_model::Timestamp;

use super::{folder::Folder, listener::Bounds};
use crate::config::{Config, millis};

/// The edge's.
pub(crate) fn edge_config(
    config: &Config,
    journal: PathBuf,
    covers_from: Option<Timestamp>,
) -> flagmeter_edge::Config {
    let edge = &config.edge;
    flagmeter_edge::Config {
        ack: edge.ack,
        accepted_lateness: edge.accepted_lateness,
        accepted_ahead: edge.accepted_ahead,
        idempotency_retention: edge.idempotency_retention,
        idempotency_keys_max: edge.idempotency_keys_max,
        journal_bytes_max: edge.journal_bytes_max.0,
        body_bytes_max: edge.body_bytes_max.bytes(),
        body_decompressed_bytes_max: edge.body_decompressed_bytes_max.bytes(),
        bodies_bytes_max: edge.bodies_bytes_max.bytes(),
        body_timeout: edge.body_timeout,
        entries_max: edge.entries_max,
        series_per_environment_max: edge.series_per_environment_max,
        series_idle: edge.series_idle,
        points_waiting_max: edge.points_waiting_max,
        requests_waiting_max: edge.requests_waiting_max,
        covers_from,
        ..flagmeter_edge::Config::new(edge.node, journal)
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
        bytes_max: config.log.bytes_max.0,
        retain_committed: config.log.retain_committed,
        ..flagmeter_log::embedded::Config::at(folder.log())
    }
}

/// The embedded store's.
pub(crate) fn store_config(config: &Config, folder: &Folder) -> flagmeter_store::embedded::Config {
    flagmeter_store::embedded::Config {
        readers: config.store.readers,
        series_per_environment_max: config.store.series_per_environment_max,
        node_timeout_ms: millis(config.downsampler.node_timeout),
        ..flagmeter_store::embedded::Config::new(folder.store())
    }
}

/// Ingest's.
pub(super) fn ingest_config(config: &Config) -> flagmeter_ingest::Config {
    flagmeter_ingest::Config {
        read_bytes_max: config.ingest.read_bytes_max.bytes(),
        drain_max: config.shutdown.drain_max,
        ..flagmeter_ingest::Config::default()
    }
}

/// The downsampler's.
pub(crate) fn downsampler_config(config: &Config) -> flagmeter_downsampler::Config {
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
        reads_max: config.queries.reads_max,
        read_timeout: config.queries.read_timeout,
        ..flagmeter_queries::Config::default()
    }
}

#[cfg(test)]
mod tests {
    use flagmeter_model::NodeId;

    use super::*;
    use crate::config::SettingArgs;

    #[test]
    fn what_is_printed_as_default_is_what_the_stages_call_their_default() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::take(temp.path()).unwrap();
        let (config, _) = SettingArgs::default().load_from(std::iter::empty()).unwrap();
        let same = |ours: &dyn std::fmt::Debug, theirs: &dyn std::fmt::Debug| {
            assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        };
        let node = NodeId::new(0).unwrap();
        same(
            &edge_config(&config, folder.journal(), None),
            &flagmeter_edge::Config::new(node, folder.journal()),
        );
        same(&log_config(&config, &folder), &flagmeter_log::embedded::Config::at(folder.log()));
        same(&store_config(&config, &folder), &flagmeter_store::embedded::Config::new(folder.store()));
        same(&ingest_config(&config), &flagmeter_ingest::Config::default());
        same(&downsampler_config(&config), &flagmeter_downsampler::Config::default());
        same(&queries_config(&config), &flagmeter_queries::Config::default());
    }
}
