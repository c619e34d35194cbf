//! The servers that a stage works with: whether they can be reached, hold what they must, and let this user do it.

use std::sync::Arc;

use flagmeter_model::{Clock as _, SystemClock};
use flagmeter_store::influx::{self, InfluxStore};

use super::{
    finding::{Finding, Report},
    running::clock,
};
#[cfg(feature = "kafka")]
use crate::process::settings::{kafka_config, ledger_config, topic_settings};
use crate::{config::Config, process::settings::influx_config};

/// The topic of the log.
#[cfg(feature = "kafka")]
pub(super) async fn log(config: &Config) -> Finding {
    let kafka = kafka_config(config);
    match flagmeter_log::kafka::topic::check(&kafka, &topic_settings(config)).await {
        Ok(partitions) => Finding::ok(
            "kafka",
            format!("the topic {} at {} has {partitions} partitions", kafka.topic, kafka.brokers),
        ),
        Err(error) => Finding::wrong("kafka", error.to_string()),
    }
}

/// The topic of the ledger.
#[cfg(feature = "kafka")]
pub(super) async fn ledger(config: &Config) -> Finding {
    let ledger = ledger_config(config);
    match flagmeter_ledger::kafka::check(&ledger).await {
        Ok(()) => Finding::ok("ledger", format!("the topic {} is as it should be", ledger.topic())),
        Err(error) => Finding::wrong("ledger", error.to_string()),
    }
}

#[cfg(not(feature = "kafka"))]
#[expect(clippy::unused_async, reason = "in a build with Kafka it asks the brokers")]
pub(super) async fn log(_: &Config) -> Finding {
    Finding::skipped("kafka", crate::Error::WithoutKafka.to_string())
}

#[cfg(not(feature = "kafka"))]
#[expect(clippy::unused_async, reason = "in a build with Kafka it asks the brokers")]
pub(super) async fn ledger(_: &Config) -> Finding {
    Finding::skipped("ledger", crate::Error::WithoutKafka.to_string())
}

/// The buckets, and the clock of the server that stamps nothing but decides what is too old to keep.
pub(super) async fn influx(config: &Config, report: &mut Report) {
    let influx = match influx_config(config) {
        Ok(influx) => influx,
        Err(error) => return report.tell(Finding::wrong("influxdb", error.to_string())),
    };
    let (url, prefix) = (influx.url.clone(), influx.prefix.clone());
    match InfluxStore::open(influx.clone(), Arc::new(SystemClock)).await {
        Ok(_) => report.tell(Finding::ok("influxdb", format!("the buckets {prefix}_… at {url}"))),
        Err(error) => return report.tell(Finding::wrong("influxdb", error.to_string())),
    }
    let asked_at = SystemClock.now();
    match influx::time_of_server(&influx).await {
        Ok(time) => report.tell(clock("influxdb", time, (asked_at, SystemClock.now()))),
        Err(error) => report.tell(Finding::skipped("influxdb", error.to_string())),
    }
}
