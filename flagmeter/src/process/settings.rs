//! From the configuration to that of each stage.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[cfg(feature = "kafka")]
use flagmeter_ledger::kafka as kafka_ledger;
#[cfg(feature = "kafka")]
use flagmeter_log::kafka;
use flagmeter_model::Timestamp;
use flagmeter_store::influx;

use super::{folder::Folder, listener::Bounds};
use crate::{
    Error, Result,
    config::{Config, Secret, millis},
};

/// The edge's.
pub(crate) fn edge_config(
    config: &Config,
    journal: PathBuf,
    covers_from: Option<Timestamp>,
) -> flagmeter_edge::Config {
    let edge = &config.edge;
    flagmeter_edge::Config {
        region: edge.region.clone(),
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
pub(crate) fn listener_bounds(config: &Config) -> Bounds {
    Bounds {
        connections: config.listen.connections_max,
        idle: config.listen.idle_max,
        unread: config.listen.unread_max,
        finish: config.shutdown.requests_max,
    }
}

/// The embedded log's.
pub(crate) fn log_config(config: &Config, folder: &Folder) -> flagmeter_log::embedded::Config {
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

/// Kafka's.
#[cfg(feature = "kafka")]
pub(crate) fn kafka_config(config: &Config) -> kafka::Config {
    let kafka = &config.kafka;
    kafka::Config {
        properties: kafka.properties.0.clone(),
        record_bytes_max: kafka.record_bytes_max.bytes(),
        prefetch_bytes_max: kafka.prefetch_bytes_max.bytes(),
        append_timeout: kafka.append_timeout,
        stall_after: kafka.stall_after,
        ..kafka::Config::new(&kafka.brokers, &kafka.topic)
    }
}

/// What its topic is to be like.
#[cfg(feature = "kafka")]
pub(crate) fn topic_settings(config: &Config) -> kafka::topic::Settings {
    let kafka = &config.kafka;
    kafka::topic::Settings {
        partitions: kafka.partitions,
        replication: kafka.replication,
        min_insync_replicas: kafka.min_insync_replicas,
        retention: kafka.retention,
    }
}

/// The ledger's, where it is in Kafka: beside the log.
#[cfg(feature = "kafka")]
pub(crate) fn ledger_config(config: &Config) -> kafka_ledger::Config {
    kafka_ledger::Config::beside(&kafka_config(config), &topic_settings(config))
}

/// InfluxDB's. Reads the file of the token, if there is one.
pub(crate) fn influx_config(config: &Config) -> Result<influx::Config> {
    let token = secret(&config.influx.token, &config.influx.token_file)?;
    if token.is_empty() {
        return Err(Error::Config(
            "there is no token for InfluxDB: set influx.token (FLAGMETER_INFLUX_TOKEN), or influx.token_file to a \
             file that holds it"
                .into(),
        ));
    }
    Ok(influx_config_with(config, token))
}

/// What is kept from everyone's eyes: from its file where one is set, and with no space around it.
pub(crate) fn secret(text: &Secret, file: &Path) -> Result<String> {
    if file.as_os_str().is_empty() {
        return Ok(text.0.clone());
    }
    let read = fs::read_to_string(file).map_err(|reason| Error::File { path: file.to_owned(), reason })?;
    Ok(read.trim().to_owned())
}

/// InfluxDB's, with a token from wherever.
pub(crate) fn influx_config_with(config: &Config, token: String) -> influx::Config {
    let (influx, retention) = (&config.influx, &config.retention);
    influx::Config {
        ca_file: Some(influx.ca_file.clone()).filter(|path| !path.as_os_str().is_empty()),
        prefix: influx.prefix.clone(),
        retain_raw: Some(retention.raw),
        retain_minute: Some(retention.minute),
        retain_quarter: Some(retention.quarter),
        node_timeout_ms: millis(config.downsampler.node_timeout),
        connect_timeout: influx.connect_timeout,
        write_timeout: influx.write_timeout,
        query_timeout: influx.query_timeout,
        ..influx::Config::new(&influx.url, &influx.org, token)
    }
}

/// Ingest's.
pub(crate) fn ingest_config(config: &Config) -> flagmeter_ingest::Config {
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
        grace: config.billing.grace,
        ..flagmeter_downsampler::Config::default()
    }
}

/// The queries'.
pub(crate) fn queries_config(config: &Config) -> flagmeter_queries::Config {
    let queries = &config.queries;
    flagmeter_queries::Config {
        rows_max: queries.rows_max,
        reads_max: queries.reads_max,
        read_timeout: queries.read_timeout,
        node_timeout_ms: millis(config.downsampler.node_timeout),
        grace: config.billing.grace,
        live: flagmeter_queries::LiveConfig {
            viewers_max: queries.live_viewers_max,
            own_viewers_max: queries.live_viewers_max_per_customer,
            queries_max: queries.live_queries_max,
            own_queries_max: queries.live_queries_max_per_customer,
            rows_max: queries.live_rows_max,
            rows_held_max: queries.live_rows_held_max,
            reads_max: queries.live_reads_max,
            ..flagmeter_queries::LiveConfig::default()
        },
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
        let influx = influx::Config::new(&config.influx.url, &config.influx.org, "hush");
        assert_eq!(influx_config(&with_token("hush")).unwrap(), influx);
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn what_is_printed_as_default_is_what_the_log_calls_its_default() {
        let (config, _) = SettingArgs::default().load_from(std::iter::empty()).unwrap();
        let kafka = kafka_config(&config);
        assert_eq!(kafka, kafka::Config::new(&config.kafka.brokers, &config.kafka.topic));
        assert_eq!(topic_settings(&config), kafka::topic::Settings::default());
        kafka.check().unwrap();
    }

    fn with_token(token: &str) -> Config {
        let token = ("FLAGMETER_INFLUX_TOKEN".into(), token.into());
        SettingArgs::default().load_from(std::iter::once(token)).unwrap().0
    }

    #[test]
    fn the_token_may_stand_in_a_file_and_must_stand_somewhere() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("token");
        let set = vec![format!("influx.token_file={}", path.display())];
        let args = SettingArgs { set, ..SettingArgs::default() };
        let (config, _) = args.load_from(std::iter::empty()).unwrap();
        let refused = influx_config(&config).unwrap_err().to_string();
        assert!(refused.starts_with(&path.display().to_string()), "{refused}");
        fs::write(&path, "hush\n").unwrap();
        assert_eq!(influx_config(&config).unwrap().token, "hush");
        fs::write(&path, "\n").unwrap();
        let refused = influx_config(&config).unwrap_err().to_string();
        assert!(refused.contains("FLAGMETER_INFLUX_TOKEN"), "{refused}");
        assert!(influx_config(&with_token("")).is_err());
    }
}
