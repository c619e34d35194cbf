//! What an operator may change.

use std::time::Duration;

/// Bounds of what one query may ask for and of how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Buckets of one answer at most.
    pub buckets_max: usize,
    /// Groups of one answer at most.
    pub groups_max: usize,
    /// Rows (buckets × groups) of one answer at most.
    pub rows_max: usize,
    /// Groups that are looked at to find the top ones, at most.
    pub groups_ranked_max: usize,
    /// Numbers (buckets × groups) that one query holds in memory at most, 8 bytes each.
    pub cells_max: usize,
    /// Series that are looked at to find flags, at most, some hundred bytes each.
    pub series_max: usize,
    /// Queries that read the store at once at most; others wait for their turn.
    pub reads_max: usize,
    /// Queries of one customer at once at most, until their answers are sent.
    pub customer_reads_max: usize,
    /// Rows of answers that are being made or sent at once at most, some hundred bytes each; others wait. A larger
    /// answer waits until it is alone.
    pub rows_held_max: usize,
    /// How long a query may take altogether: for its turn, for the store, and for room for its answer.
    pub read_timeout: Duration,
    /// A node unheard of for longer than this, by the log's time, is missing: as the store has it.
    pub node_timeout_ms: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            buckets_max: 10_000,
            groups_max: 1_000,
            rows_max: 200_000,
            groups_ranked_max: 100_000,
            cells_max: 8_000_000,
            series_max: 250_000,
            reads_max: 16,
            customer_reads_max: 4,
            rows_held_max: 1_000_000,
            read_timeout: Duration::from_secs(20),
            node_timeout_ms: 60_000,
        }
    }
}
