//! What each environment has given that waits for a seal: none may take the room of all.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::series::EnvironmentId;
use crate::Config;

/// Most counts of one environment in one seal, whatever became of them. Stores refuse a row above 2^48 as a
/// mistake, with all its counts, so nothing may be acknowledged that could make one.
const RECEIVED_MAX: u64 = 1 << 47;
/// From here on an environment is asked to wait before its requests are read.
const RECEIVED_FULL: u64 = RECEIVED_MAX / 2;
/// Most counts of one environment in one request: what waits for an empty seal must fit into it.
pub(crate) const REQUEST_RECEIVED_MAX: u64 = RECEIVED_MAX / 4;
/// One environment may take this part of the points that may wait: a hundred thousand series in two slots have
/// room in a quarter of the default.
const SHARES: usize = 4;

/// The loads of environments.
pub(super) type Loads = HashMap<EnvironmentId, Load, RandomState>;

/// What an environment has given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Load {
    /// Points (series and slot).
    pub(super) points: usize,
    /// Counts, whatever became of them.
    pub(super) received: u64,
}

impl Load {
    pub(super) const fn add(&mut self, more: Self) {
        self.points = self.points.saturating_add(more.points);
        self.received = self.received.saturating_add(more.received);
    }

    /// Whether further requests of the environment are better not read before the next seal.
    pub(super) const fn is_full(self, config: &Config) -> bool {
        self.received >= RECEIVED_FULL || self.has_no_points_left(config)
    }

    /// Whether a request with so many counts may be added before the next seal.
    pub(super) const fn has_room(self, received: u64, config: &Config) -> bool {
        self.received.saturating_add(received) <= RECEIVED_MAX && !self.has_no_points_left(config)
    }

    const fn has_no_points_left(self, config: &Config) -> bool {
        self.points >= config.points_waiting_max.div_ceil(SHARES)
    }
}

/// Most counts of a request that is acknowledged from memory: it cannot be turned away any more. What is read, what
/// waits and what is being committed when an environment is found to be full stays below the bound.
pub(crate) fn memory_received_max(config: &Config) -> u64 {
    let requests = u64::try_from(config.requests_waiting_max).unwrap_or(u64::MAX);
    REQUEST_RECEIVED_MAX / requests.max(1)
}
