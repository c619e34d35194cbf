//! What an operator may change.

use std::time::Duration;

use crate::{Error, Result};

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
    /// How long after the low watermark has passed its end an hour is closed: as the downsampler has it.
    pub grace: Duration,
    /// Bounds of live streams.
    pub live: LiveConfig,
}

/// Bounds of live streams, and how often they tell what is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveConfig {
    /// Streams at once at most. Each has a connection of its own: leave some of these to everyone else.
    pub viewers_max: usize,
    /// Streams at once of one customer at most; of one token where it is bound to no customer.
    pub own_viewers_max: usize,
    /// Distinct questions at once at most, those included that were left a moment ago.
    pub queries_max: usize,
    /// Distinct questions at once of one customer at most; of one token where it is bound to no customer.
    pub own_queries_max: usize,
    /// Rows of one answer at most: all of it is kept, and sent to whoever comes.
    pub rows_max: usize,
    /// Rows of all answers that are kept at most, some hundred bytes each.
    pub rows_held_max: usize,
    /// Reads of the store at once at most, out of those that all queries may have.
    pub reads_max: usize,
    /// How long a question rests after its answer at least. One whose answers take long rests nine times as long as they
    /// take.
    pub interval: Duration,
    /// After how much silence a stream says that it is still there.
    pub heartbeat: Duration,
    /// How long an answer is kept for the last viewer to come back to.
    pub linger: Duration,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            viewers_max: 5_000,
            own_viewers_max: 1_000,
            queries_max: 250,
            own_queries_max: 32,
            rows_max: 10_000,
            rows_held_max: 500_000,
            reads_max: 4,
            interval: Duration::from_secs(1),
            heartbeat: Duration::from_secs(15),
            linger: Duration::from_secs(30),
        }
    }
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
            grace: Duration::from_mins(15),
            live: LiveConfig::default(),
        }
    }
}

impl Config {
    /// Checks the settings of live streams against each other, and against how many connections there may be.
    ///
    /// Fails with [`Error::Config`], which names the setting.
    pub fn check(&self, connections_max: usize) -> Result<()> {
        let refuse = |setting, reason: String| Err(Error::Config { setting, reason });
        let live = &self.live;
        let left = connections_max.div_ceil(10);
        let fitting = connections_max.saturating_sub(left);
        if live.viewers_max > fitting {
            return refuse(
                "queries.live_viewers_max",
                format!(
                    "each of {} live streams holds a connection, and of {connections_max} \
                     (listen.connections_max) a tenth must be left to everyone else: set it to {fitting} or less, \
                     or listen.connections_max to {} or more",
                    live.viewers_max,
                    live.viewers_max.saturating_mul(10).div_ceil(9)
                ),
            );
        }
        if live.rows_max > live.rows_held_max {
            return refuse(
                "queries.live_rows_max",
                format!(
                    "an answer of {} rows never fits the {} rows that are kept of all (queries.live_rows_held_max)",
                    live.rows_max, live.rows_held_max
                ),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(live: LiveConfig, connections_max: usize) -> String {
        Config { live, ..Config::default() }.check(connections_max).unwrap_err().to_string()
    }

    #[test]
    fn live_streams_leave_a_tenth_of_the_connections_to_everyone_else() {
        Config::default().check(10_000).unwrap();
        let live = |viewers_max| LiveConfig { viewers_max, ..LiveConfig::default() };
        for (viewers_max, connections_max) in [(9_000, 10_000), (9, 10), (0, 1), (0, 0)] {
            Config { live: live(viewers_max), ..Config::default() }.check(connections_max).unwrap();
        }
        let said = refused(live(9_001), 10_000);
        let tells = said.contains("set it to 9000 or less, or listen.connections_max to 10002 or more");
        assert!(said.starts_with("queries.live_viewers_max: ") && tells, "{said}");
        Config { live: live(9_001), ..Config::default() }.check(10_002).unwrap();
    }

    #[test]
    fn an_answer_must_fit_what_is_kept_of_all() {
        let never = refused(LiveConfig { rows_held_max: 9_999, ..LiveConfig::default() }, 10_000);
        assert!(never.starts_with("queries.live_rows_max: an answer of 10000 rows"), "{never}");
        let just = LiveConfig { rows_held_max: 10_000, ..LiveConfig::default() };
        Config { live: just, ..Config::default() }.check(10_000).unwrap();
    }
}
