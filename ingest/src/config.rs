//! What an operator may set.

use std::{num::NonZeroUsize, thread::available_parallelism, time::Duration};

/// What becomes at `stop` of the records that are in the log and were not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtStop {
    /// They are stored first: nobody writes to the log any more.
    Drain,
    /// They wait for the next run, or for another ingester: the log goes on growing.
    Leave,
}

/// How ingest works.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bytes of records, compressed, that one read asks of the log.
    pub read_bytes_max: usize,
    /// How long a read waits for the first record, and so how long `stop` can go unnoticed.
    pub read_wait: Duration,
    /// Points after which a step takes no further record. One record may pass it.
    pub step_points_max: usize,
    /// Threads that decode.
    pub decoders: NonZeroUsize,
    /// How long to wait before the second try of what failed; each further wait is twice as long.
    pub retry_first: Duration,
    /// The longest wait between two tries.
    pub retry_max: Duration,
    /// What becomes at `stop` of what is left in the log.
    pub at_stop: AtStop,
    /// How long it goes on after `stop`.
    pub drain_max: Duration,
    /// Without any progress for this long, while records wait, ingest says that it is stalled.
    pub stall_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            read_bytes_max: 2 << 20,
            read_wait: Duration::from_millis(500),
            step_points_max: 250_000,
            decoders: available_parallelism().unwrap_or(NonZeroUsize::MIN),
            retry_first: Duration::from_millis(100),
            retry_max: Duration::from_secs(10),
            at_stop: AtStop::Drain,
            drain_max: Duration::from_secs(30),
            stall_after: Duration::from_secs(30),
        }
    }
}
