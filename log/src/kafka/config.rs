//! What an operator may set, and what it becomes as properties of librdkafka.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use flagmeter_model::NodeId;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use crate::{Error, Result, is_secret};

/// How a Kafka cluster is spoken to.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// Some of the brokers, as `host:port`, with commas between: they tell of the others.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// How many partitions the topic has, for a producer that is opened while no broker answers: none is asked, and so
    /// an edge that restarts then takes counts all the same. The topic must have as many once a broker answers, or
    /// more. Without it the brokers are asked before the producer is opened.
    pub partitions: Option<u32>,
    /// A file beside the edge's journal, in which its producer remembers the journal's lane. `None`: the lane lasts as
    /// long as the producer.
    pub lane_path: Option<PathBuf>,
    /// Any property of librdkafka, such as `security.protocol`, `sasl.username` or `session.timeout.ms`. They win
    /// over what is set here, except for those that the promises rest on: these are refused.
    pub properties: BTreeMap<String, String>,
    /// Largest record, in bytes. The topic must take as much: see [`topic::Settings`](super::topic::Settings).
    pub record_bytes_max: usize,
    /// Bytes of records that a consumer holds for the reads to come, at most; one fetch may pass it.
    pub prefetch_bytes_max: usize,
    /// How long an append tries before it says that the log did not answer. What became of it is then asked again
    /// with the next append.
    pub append_timeout: Duration,
    /// With records in the log, and none of them fetched for this long, a consumer is made anew.
    pub stall_after: Duration,
}

/// Properties that are not for the operator to set, and why.
const REFUSED: [(&str, &str); 18] = [
    ("acks", "every replica in sync must have a record before it counts as appended"),
    ("auto.offset.reset", "a consumer begins with the earliest record, so that none is skipped"),
    ("bootstrap.servers", "set kafka.brokers"),
    ("enable.auto.commit", "positions are committed after the store has the records"),
    ("enable.auto.offset.store", "positions are committed after the store has the records"),
    ("enable.idempotence", "without it a producer's own retries could change the order of records"),
    ("enable.partition.eof", "the consumer asks for the ends itself"),
    ("group.id", "set kafka.group"),
    ("group.instance.id", "set kafka.instance"),
    ("group.protocol", "partitions are shared out by range, all of them in one round"),
    ("isolation.level", "records of a transaction that was given up must not be read"),
    ("max.in.flight", "more than five would change the order of records"),
    ("max.in.flight.requests.per.connection", "more than five would change the order of records"),
    ("message.max.bytes", "set kafka.record_bytes_max"),
    ("metadata.broker.list", "set kafka.brokers"),
    ("partition.assignment.strategy", "partitions are shared out by range, all of them in one round"),
    ("request.required.acks", "every replica in sync must have a record before it counts as appended"),
    (
        "transactional.id",
        "it follows from the node's number, so that two edges with one number fence each other",
    ),
];

impl Config {
    /// The smallest [`record_bytes_max`](Self::record_bytes_max).
    pub const RECORD_BYTES_MIN: usize = 64 << 10;
    /// The largest [`record_bytes_max`](Self::record_bytes_max).
    pub const RECORD_BYTES_MAX: usize = 64 << 20;

    /// The defaults, for this topic of these brokers.
    pub fn new(brokers: impl Into<String>, topic: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topic: topic.into(),
            partitions: None,
            lane_path: None,
            properties: BTreeMap::new(),
            record_bytes_max: 4 << 20,
            prefetch_bytes_max: 16 << 20,
            append_timeout: Duration::from_secs(30),
            stall_after: Duration::from_mins(1),
        }
    }

    /// Checks each setting; the first that cannot be is an [`Error::Config`].
    pub fn check(&self) -> Result<()> {
        let refused = |setting: &str, reason: String| Err(Error::Config { setting: setting.into(), reason });
        if self.brokers.trim().is_empty() {
            return refused("brokers", "no broker is given: set host:port".into());
        }
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if !(1..=249).contains(&self.topic.len()) || !self.topic.bytes().all(is_letter) {
            let reason =
                format!("{:?} is no name of a topic: use 1 to 249 letters, digits, . _ and -", self.topic);
            return refused("topic", reason);
        }
        if !(Self::RECORD_BYTES_MIN..=Self::RECORD_BYTES_MAX).contains(&self.record_bytes_max) {
            let (least, most) = (Self::RECORD_BYTES_MIN, Self::RECORD_BYTES_MAX);
            let reason = format!("{} is out of range: set {least} to {most}", self.record_bytes_max);
            return refused("record_bytes_max", reason);
        }
        if self.prefetch_bytes_max < self.record_bytes_max {
            let reason = format!(
                "{} is less than the {} of one record: set at least as much",
                self.prefetch_bytes_max, self.record_bytes_max
            );
            return refused("prefetch_bytes_max", reason);
        }
        for (name, value) in [("append_timeout", self.append_timeout), ("stall_after", self.stall_after)] {
            if value.is_zero() {
                return refused(name, "0 is too short: set a second or more".into());
            }
        }
        for property in self.properties.keys() {
            if let Some((_, why)) = REFUSED.iter().find(|(name, _)| name == property) {
                return refused(&format!("properties.{property}"), format!("it cannot be set: {why}"));
            }
        }
        Ok(())
    }

    /// What every client has.
    pub(super) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.brokers);
        client.set("client.id", "flagmeter");
        client.set("topic.metadata.refresh.interval.ms", "30000");
        client.set("reconnect.backoff.max.ms", "2000");
        client.set_log_level(RDKafkaLogLevel::Info);
        client
    }

    /// By what the broker knows the edge with this number. The topic is part of it: numbers are given within one
    /// installation, and several may share the brokers.
    pub(super) fn transactional_id(&self, node: NodeId) -> String {
        format!("{}-edge-{node}", self.topic)
    }

    /// A producer of transactions. Payloads are compressed already, so its batches are not.
    pub(super) fn producer(&self, transactional_id: &str) -> ClientConfig {
        let mut client = self.client();
        // Readers wait for the end of a transaction, and so for no longer than this for a dead edge's.
        client.set("transaction.timeout.ms", "30000");
        client.set("compression.type", "none");
        self.override_with(&mut client);
        client.set("transactional.id", transactional_id);
        client.set("enable.idempotence", "true");
        client.set("acks", "all");
        // Beside the record: its key, headers and the frame of its batch.
        client.set("message.max.bytes", self.record_bytes_max.saturating_add(1 << 10).to_string());
        client
    }

    /// A consumer in a group.
    pub(super) fn consumer(&self, group: &str, instance: Option<&str>) -> ClientConfig {
        let mut client = self.client();
        client.set("session.timeout.ms", "20000");
        client.set("heartbeat.interval.ms", "3000");
        // What is fetched and not yet taken over is thrown away when the reader falls behind: little of it.
        client.set("queued.max.messages.kbytes", "4096");
        client.set("fetch.queue.backoff.ms", "20");
        client.set("fetch.error.backoff.ms", "100");
        client.set("fetch.message.max.bytes", "1048576");
        let fetch = self.record_bytes_max.max(8 << 20);
        client.set("fetch.max.bytes", fetch.to_string());
        client.set("receive.message.max.bytes", fetch.saturating_add(1 << 20).to_string());
        self.override_with(&mut client);
        client.set("group.id", group);
        if let Some(instance) = instance {
            client.set("group.instance.id", instance);
        }
        client.set("enable.auto.commit", "false");
        client.set("enable.auto.offset.store", "false");
        client.set("auto.offset.reset", "earliest");
        client.set("isolation.level", "read_committed");
        // One round gives each partition an owner. The cooperative protocol needs two, and a member with a name that dies
        // between them leaves partitions without an owner: it comes back by its name, and the broker starts no round.
        client.set("partition.assignment.strategy", "range");
        client.set("message.max.bytes", fetch.to_string());
        client
    }

    /// One that asks and sets up.
    pub(super) fn admin(&self) -> ClientConfig {
        let mut client = self.client();
        self.override_with(&mut client);
        client
    }

    fn override_with(&self, client: &mut ClientConfig) {
        for (name, value) in &self.properties {
            client.set(name, value);
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): (&String, &String)| {
            let value = if is_secret(name) { "…".to_owned() } else { value.clone() };
            (name.clone(), value)
        };
        f.debug_struct("Config")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("partitions", &self.partitions)
            .field("lane_path", &self.lane_path)
            .field("properties", &self.properties.iter().map(shown).collect::<BTreeMap<_, _>>())
            .field("record_bytes_max", &self.record_bytes_max)
            .field("prefetch_bytes_max", &self.prefetch_bytes_max)
            .field("append_timeout", &self.append_timeout)
            .field("stall_after", &self.stall_after)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::new("localhost:9092", "flagmeter");
        config.check().unwrap();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_fix() {
        assert_eq!(with(|it| it.brokers.clear()), "kafka.brokers: no broker is given: set host:port");
        assert!(with(|it| it.topic = "a topic".into()).contains("letters, digits"));
        assert!(with(|it| it.topic = "x".repeat(250)).contains("1 to 249"));
        assert!(with(|it| it.record_bytes_max = 1).contains("set 65536 to 67108864"));
        assert!(with(|it| it.prefetch_bytes_max = 1).contains("4194304 of one record"));
        assert!(with(|it| it.stall_after = Duration::ZERO).contains("stall_after"));
        assert!(with(|it| it.append_timeout = Duration::ZERO).contains("append_timeout"));
    }

    #[test]
    fn what_the_promises_rest_on_cannot_be_overridden() {
        for (property, why) in REFUSED {
            let refused = with(|it| drop(it.properties.insert(property.into(), "x".into())));
            assert_eq!(refused, format!("kafka.properties.{property}: it cannot be set: {why}"));
        }
    }

    #[test]
    fn what_the_promises_rest_on_is_set() {
        let config = Config::new("localhost:9092", "flagmeter");
        let (consumer, producer) = (config.consumer("g", None), config.producer("t"));
        let of_consumer = [
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("group.id", "g"),
            ("isolation.level", "read_committed"),
            ("partition.assignment.strategy", "range"),
        ];
        for (name, value) in of_consumer {
            assert_eq!(consumer.get(name), Some(value), "{name}");
        }
        for (name, value) in [("acks", "all"), ("enable.idempotence", "true"), ("transactional.id", "t")] {
            assert_eq!(producer.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn other_properties_win() {
        let mut config = Config::new("localhost:9092", "flagmeter");
        for (name, value) in [("session.timeout.ms", "6000"), ("client.id", "mine"), ("linger.ms", "7")] {
            config.properties.insert(name.into(), value.into());
        }
        config.check().unwrap();
        let (consumer, producer) = (config.consumer("g", Some("i")), config.producer("t"));
        assert_eq!(consumer.get("session.timeout.ms"), Some("6000"));
        assert_eq!(consumer.get("group.instance.id"), Some("i"));
        assert_eq!(producer.get("client.id"), Some("mine"));
        assert_eq!(producer.get("linger.ms"), Some("7"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut config = Config::new("localhost:9092", "flagmeter");
        config.properties.insert("sasl.password".into(), "hush".into());
        config.properties.insert("sasl.username".into(), "edge".into());
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("hush") && shown.contains("sasl.password") && shown.contains("\"edge\""),
            "{shown}"
        );
    }
}
