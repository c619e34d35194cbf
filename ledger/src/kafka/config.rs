//! What an operator may set.

use flagmeter_log::kafka::{self, sequence, topic::Settings};

/// Where a ledger in Kafka lies.
#[derive(Debug, Clone)]
pub struct Config {
    /// How the cluster is spoken to; `topic` is that of the ledger.
    pub(super) log: kafka::Config,
    /// By what the brokers know whoever appends: all of them as one, so that the last one fences those before.
    pub(super) transactional_id: String,
    /// Copies of each record.
    replication: u16,
    /// Copies that must be in sync for an append to succeed.
    min_insync_replicas: u16,
}

impl Config {
    /// The largest record, in bytes: a piece of an entry.
    const RECORD_BYTES_MAX: usize = 1 << 20;

    /// The ledger beside a log: in the same cluster, with as many copies, in the topic [`topic_of`](Self::topic_of) it.
    pub fn beside(log: &kafka::Config, settings: &Settings) -> Self {
        let topic = Self::topic_of(&log.topic);
        // As with the edges' ids, several installations may share the brokers.
        let transactional_id = topic.clone();
        let log = kafka::Config {
            topic,
            record_bytes_max: Self::RECORD_BYTES_MAX,
            prefetch_bytes_max: log.prefetch_bytes_max.max(Self::RECORD_BYTES_MAX),
            ..log.clone()
        };
        let Settings { replication, min_insync_replicas, .. } = *settings;
        Self { log, transactional_id, replication, min_insync_replicas }
    }

    /// The topic of the ledger beside the log in this topic.
    pub fn topic_of(log: &str) -> String {
        format!("{log}-ledger")
    }

    /// The ledger's topic.
    pub fn topic(&self) -> &str {
        &self.log.topic
    }

    pub(super) fn settings(&self) -> Settings {
        sequence::settings(self.replication, self.min_insync_replicas)
    }
}
