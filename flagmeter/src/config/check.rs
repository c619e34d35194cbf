//! Settings that must fit each other.

use std::path::PathBuf;

use super::{sources::Sources, table::Config};
use crate::{
    Error, Result, flags,
    process::{settings, webhook},
    traces,
};

/// The first that does not fit is the error. What a stage can bear is the stage's own rule.
pub(super) fn check(config: &Config, sources: &Sources) -> Result<()> {
    let refuse =
        |setting: &str, reason: &str| Err(Error::Config(format!("{}: {reason}", sources.quote(setting))));
    let listen = &config.listen;
    if listen.http == listen.metrics && listen.http.port() != 0 {
        return refuse("listen.metrics", "listen.http is the same: give each its own port");
    }
    // What is checked does not depend on where the journal lies.
    match settings::edge_config(config, PathBuf::new(), None).check() {
        Err(flagmeter_edge::Error::Config { setting, reason }) => {
            return refuse(&format!("edge.{setting}"), &reason);
        }
        other => other?,
    }
    let influx = &config.influx;
    if !influx.token.0.is_empty() && !influx.token_file.as_os_str().is_empty() {
        return refuse("influx.token_file", "influx.token is set as well: set one of them");
    }
    // The token's file need not be there where a configuration is checked.
    match settings::influx_config_with(config, "not read".to_owned()).check() {
        Err(flagmeter_store::Error::Configuration(reason)) => {
            return Err(Error::Config(format!("[influx]: {reason}")));
        }
        other => other?,
    }
    match settings::queries_config(config).check(listen.connections_max) {
        Err(flagmeter_queries::Error::Config { setting, reason }) => return refuse(setting, &reason),
        other => other?,
    }
    if let Err((setting, reason)) = flags::check_settings(config) {
        return refuse(setting, &reason);
    }
    if let Err((setting, reason)) = webhook::check(config) {
        return refuse(setting, &reason);
    }
    let endpoint: String = sources.value("traces", "endpoint")?;
    if let Err((setting, reason)) = traces::check(&endpoint) {
        return refuse(setting, &reason);
    }
    #[cfg(feature = "kafka")]
    match settings::kafka_config(config).check().and_then(|()| settings::topic_settings(config).check()) {
        Err(flagmeter_log::Error::Config { setting, reason }) => {
            return refuse(&format!("kafka.{setting}"), &reason);
        }
        other => other?,
    }
    match settings::downsampler_config(config).check(config.edge.accepted_lateness) {
        Err(flagmeter_downsampler::Error::Config { setting, reason }) => refuse(setting, &reason),
        other => Ok(other?),
    }
}
