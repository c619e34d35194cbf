//! What can go wrong with a log.

use std::path::PathBuf;

use flagmeter_model::NodeId;

/// Why the log did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log's file cannot be used.
    #[error("the log at {path} cannot be opened: {reason}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What to do about it.
        reason: String,
    },
    /// A record for a partition that is not there.
    #[error(
        "partition {partition} does not exist: the log has {partitions}; it had or was set to more when this record was \
         made, so give it as many again"
    )]
    NoSuchPartition {
        /// The partition asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// No room: what is not stored yet fills it. The same append may succeed once the reader has gone on.
    #[error(
        "the log is full: {bytes} of {bytes_max} bytes wait to be stored; see why ingest does not go on, or give it more room"
    )]
    Full {
        /// Bytes of payload kept.
        bytes: u64,
        /// Most bytes of payload that may be kept.
        bytes_max: u64,
    },
    /// A setting that cannot be.
    #[error("kafka.{setting}: {reason}")]
    Config {
        /// Its name.
        setting: String,
        /// What is wrong with the value, and the fix.
        reason: String,
    },
    /// The brokers are there, and cannot be spoken to as it is set: a certificate or a password is not accepted.
    #[error("Kafka at {brokers} cannot be spoken to: {reason}")]
    Refused {
        /// As they are set.
        brokers: String,
        /// What stands in the way, and what mends it.
        reason: String,
    },
    /// The topic is not as the promises need it.
    #[error("the topic {topic} cannot be used: {reason}")]
    Topic {
        /// Its name.
        topic: String,
        /// What is wrong, and how to mend it.
        reason: String,
    },
    /// Another producer of the same node took this one's place. What it had not appended is with its caller.
    #[error(
        "another edge with number {node} has started: this one stops, and what it has not handed on stays in its \
         journal; give each edge a number of its own"
    )]
    Fenced {
        /// The number.
        node: NodeId,
    },
    /// Another consumer with the same instance name took this one's place.
    #[error(
        "another ingest with the instance name {instance} has started: this one stops; give each ingest a name of its own"
    )]
    InstanceTaken {
        /// The name.
        instance: String,
    },
    /// A record that the log does not take, however often it is offered.
    #[error(
        "a record of {bytes} bytes is larger than the {bytes_max} that the log takes: raise kafka.record_bytes_max, and \
         max.message.bytes of the topic with it"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest.
        bytes_max: usize,
    },
    /// The metrics are taken: a fault of the program.
    #[error("the metrics of the log cannot be registered: {0}")]
    Metrics(String),
    /// A second reader while the first one lives.
    #[error("the log has a reader already: drop it before opening another")]
    Taken,
    /// The backend failed; the same call may succeed later.
    #[error("the log did not answer: {0}")]
    Unavailable(String),
    /// The log is shutting down.
    #[error("the log is closed")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full { .. })
    }
}

/// The log's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
