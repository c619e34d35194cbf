//! The log on a real broker, and what only a mock can be made to do.

mod conformance;
mod fencing;
mod killed;
mod mock;
mod sequence;
mod sharing;
mod topics;
mod topics_change;
mod trimmed;

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use flagmeter_model::NodeId;
use rdkafka::admin::{AdminClient, AdminOptions};

use super::{Config, Consumer, Producer, broker::Plain, topic};
use crate::{Consumer as _, NewRecord, Positions, Producer as _, Record, Result, conformance::record};

/// Long enough for anything that comes at all.
const SOON: Duration = Duration::from_secs(90);

/// A topic of a test's own; it is deleted at the end.
pub(super) struct Topic {
    config: Config,
}

/// The broker under test.
fn brokers() -> String {
    std::env::var("FLAGMETER_TEST_KAFKA")
        .expect("no Kafka: run `./services run cargo test --features flagmeter/kafka -- --include-ignored`, or set FLAGMETER_TEST_KAFKA to host:port")
}

fn node() -> NodeId {
    NodeId::new(7).unwrap()
}

/// One broker has one copy.
fn settings(partitions: u32) -> topic::Settings {
    topic::Settings { partitions, replication: 1, min_insync_replicas: 1, ..topic::Settings::default() }
}

impl Topic {
    async fn new(partitions: u32) -> Result<Self> {
        let mut config = Config::new(brokers(), format!("test-{:016x}", rand::random::<u64>()));
        // The shortest that brokers allow: tests wait for it.
        config.properties.insert("session.timeout.ms".into(), "6000".into());
        config.properties.insert("heartbeat.interval.ms".into(), "500".into());
        topic::create(&config, &settings(partitions)).await?;
        Ok(Self { config })
    }

    async fn producer(&self) -> Result<Producer> {
        Producer::open(self.config.clone(), node(), &prometheus::Registry::new()).await
    }

    /// The group is the topic's own.
    async fn consumer(&self, instance: Option<&str>) -> Result<Consumer> {
        self.consumer_with(self.config.clone(), instance).await
    }

    async fn consumer_with(&self, config: Config, instance: Option<&str>) -> Result<Consumer> {
        let instance = instance.map(str::to_owned);
        Consumer::open(config, &self.config.topic, instance, &prometheus::Registry::new()).await
    }

    fn admin(&self) -> AdminClient<Plain> {
        self.config.admin().create_with_context(Plain).unwrap()
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        let config = self.config.clone();
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let admin: AdminClient<Plain> = config.admin().create_with_context(Plain).unwrap();
            let _ = runtime.block_on(admin.delete_topics(&[&config.topic], &AdminOptions::new()));
        });
        let _ = deleted.join();
    }
}

/// The payload, as a number.
fn number(record: &Record) -> u32 {
    String::from_utf8_lossy(&record.payload).parse().unwrap()
}

/// The payloads, as numbers.
fn numbers(records: &[Record]) -> BTreeSet<u32> {
    records.iter().map(number).collect()
}

/// The positions after these records.
fn after(records: &[Record]) -> Positions {
    let mut positions = Positions::new();
    for record in records {
        let position = positions.entry(record.partition).or_default();
        *position = (record.offset + 1).max(*position);
    }
    positions
}

/// Appends these numbers, each by itself, over all partitions.
async fn append(producer: &Producer, numbers: std::ops::Range<u32>) {
    for number in numbers {
        producer.append(vec![record(number % producer.partitions(), number.to_string())]).await.unwrap();
    }
}

/// Waits until a consumer has so many partitions.
async fn until_owns(consumer: &mut Consumer, partitions: usize) {
    let owns = async {
        while consumer.owned_now() != partitions {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let done = tokio::time::timeout(SOON, owns).await;
    assert!(done.is_ok(), "{} and not {partitions} partitions", consumer.owned_now());
}
