//! What the downsampler and the views of nodes need to know.

use flagmeter_model::{NodeProgress, Spans};

use super::InfluxStore;
use crate::{Error, Floors, Frontiers, Mark, Result};

/// What every reader needs to know, asked in one question: it is no older than the call.
///
/// The marks are read before the frontiers and floors. Whoever reads points afterwards misses none that was written
/// before the call.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) frontiers: Frontiers,
    pub(super) floors: Floors,
    pub(super) progress: Vec<NodeProgress>,
    pub(super) partitions: u32,
    pub(super) covered: Spans,
    /// All that wait, of all tiers, in the order of tier, time and environment.
    pub(super) marks: Vec<Mark>,
}

/// Asks for the standing.
pub(super) async fn standing(_store: &InfluxStore) -> Result<Standing> {
    Err(Error::Unanswerable("InfluxDB is not read yet".into()))
}
