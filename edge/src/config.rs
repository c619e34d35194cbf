//! What an operator may choose.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use flagmeter_model::{ContentEncoding, Limits, Name, NodeId, Timestamp};

use crate::{Error, Result};

/// What a 2xx promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Ack {
    /// The counts are on this node's disk.
    #[default]
    Disk,
    /// The counts are in this node's memory. A crash of the process loses what was acknowledged since the last
    /// commit, some milliseconds of it; a failing disk loses it until the disk recovers, counted as
    /// `flagmeter_edge_memory_lost_total`. Requests with an idempotency key, and those with counts in the billions,
    /// are answered from disk all the same.
    Memory,
}

/// How the batches of a customer are encoded: asked for each customer at each seal, so that an answer that changes holds from
/// the next second on.
#[derive(Clone)]
pub struct EncodingOf(Arc<dyn Fn(&str) -> ContentEncoding + Send + Sync>);

impl EncodingOf {
    /// By what `decide` says of a customer. It must not wait for anything: a seal waits for it.
    pub fn new(decide: impl Fn(&str) -> ContentEncoding + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    pub(crate) fn customer(&self, customer: &Name) -> ContentEncoding {
        self.0(customer)
    }
}

/// All the same.
impl Default for EncodingOf {
    fn default() -> Self {
        Self::new(|_| ContentEncoding::Zstd)
    }
}

impl fmt::Debug for EncodingOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncodingOf")
    }
}

/// The numbers of a node's seals come again after 24 days: a slot must not meet one twice. It meets those from
/// `accepted_ahead` before it to `accepted_lateness` after it.
const NUMBERS_LAST: Duration = Duration::from_hours(24 * 24);
/// Leaves days for what waits in a journal.
const LATENESS_MAX: Duration = Duration::from_hours(20 * 24);

/// How an edge node runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// This node's number. No other node may use it.
    pub node: NodeId,
    /// Where it stands; said with every seal.
    pub region: Option<Name>,
    /// The journal's file.
    pub journal_path: PathBuf,
    /// What a 2xx promises.
    pub ack: Ack,
    /// Time between seals; at least 1 s, because a seal's number follows the second.
    pub seal_interval: Duration,
    /// Oldest event time that is taken. Must be shorter than raw points are kept.
    pub accepted_lateness: Duration,
    /// Farthest event time ahead of this node's clock that is taken.
    pub accepted_ahead: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency_retention: Duration,
    /// How many idempotency keys are remembered, over all environments; beyond it, or beyond 256 bytes for each of
    /// them on average with its reply, the oldest are forgotten early, which is counted.
    pub idempotency_keys_max: u64,
    /// Largest journal, in bytes of counts and records that wait, without idempotency keys; above it senders are
    /// asked to wait.
    pub journal_bytes_max: u64,
    /// Largest body as it is sent, in bytes.
    pub body_bytes_max: usize,
    /// Largest body after decompression, in bytes.
    pub body_decompressed_bytes_max: usize,
    /// Largest sum of the bodies that are being read at the same time, in bytes; small ones are not counted.
    pub bodies_bytes_max: usize,
    /// Longest time that a body may take to arrive.
    pub body_timeout: Duration,
    /// Most entries that are taken of one request (of Flagsmith's edge proxy no more than 1,000); the rest are
    /// rejected one by one.
    pub entries_max: usize,
    /// Most live series of an environment; beyond it variants, then names are folded into `__other__`.
    pub series_per_environment_max: usize,
    /// A series that was not counted for so long leaves the memory.
    pub series_idle: Duration,
    /// Most points (series and slot) that wait for a seal; above it senders are asked to wait, and those of an
    /// environment that has a quarter of them.
    pub points_waiting_max: usize,
    /// Most requests that wait for a commit; above it senders are asked to wait.
    pub requests_waiting_max: usize,
    /// Largest record, in bytes before it is encoded.
    pub record_bytes_max: usize,
    /// How the batches of each customer are encoded.
    pub encoding_of: EncodingOf,
    /// For the first seal of a fresh journal: since when this node was there, as an operator asserts who
    /// imports history. `None`: since it started.
    pub covers_from: Option<Timestamp>,
    /// Longest time that a stop waits for the log to take what is left. It stays on disk if the log does not.
    pub drain_timeout: Duration,
}

impl Config {
    /// The defaults.
    pub fn new(node: NodeId, journal_path: impl Into<PathBuf>) -> Self {
        Self {
            node,
            region: None,
            journal_path: journal_path.into(),
            ack: Ack::Disk,
            seal_interval: Duration::from_secs(1),
            accepted_lateness: Duration::from_hours(6 * 24),
            accepted_ahead: Duration::from_mins(10),
            idempotency_retention: Duration::from_hours(24),
            idempotency_keys_max: 10_000_000,
            journal_bytes_max: 1 << 30,
            body_bytes_max: 1 << 20,
            body_decompressed_bytes_max: 8 << 20,
            bodies_bytes_max: 256 << 20,
            body_timeout: Duration::from_secs(20),
            entries_max: 10_000,
            series_per_environment_max: 100_000,
            series_idle: Duration::from_mins(15),
            points_waiting_max: 1_000_000,
            requests_waiting_max: 16_384,
            record_bytes_max: 1 << 20,
            encoding_of: EncodingOf::default(),
            covers_from: None,
            drain_timeout: Duration::from_secs(20),
        }
    }

    /// Checks the settings against each other and against what the model can bear.
    ///
    /// Fails with [`Error::Config`], which names the setting.
    pub fn check(&self) -> Result<()> {
        let refuse = |setting, reason: String| Err(Error::Config { setting, reason });
        if self.seal_interval < Duration::from_secs(1) {
            return refuse(
                "seal_interval",
                format!("{:?} is shorter than 1s; set 1s or more", self.seal_interval),
            );
        }
        if !(4_096..=Limits::RECORD_BYTES_MAX / 4).contains(&self.record_bytes_max) {
            let most = Limits::RECORD_BYTES_MAX / 4;
            return refuse(
                "record_bytes_max",
                format!("{} is out of range; set 4096 to {most}", self.record_bytes_max),
            );
        }
        if self.journal_bytes_max < 1 << 20 {
            return refuse(
                "journal_bytes_max",
                format!("{} is too small to run with; set 1048576 or more", self.journal_bytes_max),
            );
        }
        if self.accepted_lateness > LATENESS_MAX {
            return refuse(
                "accepted_lateness",
                format!(
                    "{:?} is longer than seals keep numbers of their own; set 20d or less",
                    self.accepted_lateness
                ),
            );
        }
        let span = self.accepted_lateness.saturating_add(self.accepted_ahead);
        if span > NUMBERS_LAST {
            return refuse(
                "accepted_ahead",
                format!(
                    "{:?} and accepted_lateness are together longer than seals keep numbers of their own; set them to 24d \
                     or less in all",
                    self.accepted_ahead
                ),
            );
        }
        let positive = [
            ("body_bytes_max", self.body_bytes_max),
            ("body_decompressed_bytes_max", self.body_decompressed_bytes_max),
            ("entries_max", self.entries_max),
            ("series_per_environment_max", self.series_per_environment_max),
            ("points_waiting_max", self.points_waiting_max),
            ("requests_waiting_max", self.requests_waiting_max),
        ];
        if self.bodies_bytes_max < self.body_bytes_max {
            return refuse(
                "bodies_bytes_max",
                format!(
                    "{} has no room for one body; set {} or more",
                    self.bodies_bytes_max, self.body_bytes_max
                ),
            );
        }
        if self.body_decompressed_bytes_max < self.body_bytes_max {
            return refuse(
                "body_decompressed_bytes_max",
                format!(
                    "{} is less than a body may have before it is decompressed; set {} or more",
                    self.body_decompressed_bytes_max, self.body_bytes_max
                ),
            );
        }
        match positive.into_iter().find(|&(_, value)| value == 0) {
            Some((setting, _)) => refuse(setting, "0 would take nothing; set 1 or more".into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_a_bad_setting_is_named() {
        let good = Config::new(NodeId::new(1).unwrap(), "journal.sqlite");
        good.check().unwrap();
        let bad = Config { seal_interval: Duration::from_millis(10), ..good.clone() };
        assert!(bad.check().unwrap_err().to_string().starts_with("edge.seal_interval: 10ms"));
        let (lateness, ahead) = (Duration::from_hours(20 * 24), Duration::from_hours(4 * 24));
        let most = Config { accepted_lateness: lateness, accepted_ahead: ahead, ..good.clone() };
        most.check().unwrap();
        let bad = Config { accepted_ahead: ahead + Duration::from_secs(1), ..most.clone() };
        assert!(bad.check().unwrap_err().to_string().contains("accepted_ahead"));
        let bad = Config { accepted_lateness: lateness + Duration::from_secs(1), ..most };
        assert!(bad.check().unwrap_err().to_string().contains("accepted_lateness"));
        let bad = Config { entries_max: 0, ..good.clone() };
        assert!(bad.check().unwrap_err().to_string().contains("entries_max"));
        let bad = Config { record_bytes_max: usize::MAX, ..good };
        assert!(bad.check().unwrap_err().to_string().contains("record_bytes_max"));
    }
}
