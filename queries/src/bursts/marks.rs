//! What a chart marks: the bursts and drops of what it shows.

use flagmeter_ledger::{Episode, EpisodePage};
use flagmeter_model::TimeRange;

use crate::{Error, reader::Reading, usage::plan::Asked};

/// Marks of one chart at most, the newest: more cannot be told apart.
pub(crate) const MARKS_MAX: usize = 50;

/// What is known of the marks of a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// In the order in which they began.
    pub(crate) episodes: Vec<Episode>,
    /// There are more, which began before these.
    pub(crate) more: bool,
    /// They could not be read: there may be some.
    pub(crate) are_unknown: bool,
}

/// The marks of what is asked. Counts are worth showing without them, so this does not fail: it says that they are not known.
/// Where no ledger is kept nothing is watched, and there are none.
pub(crate) async fn marks(reading: &Reading<'_>, asked: &Asked, range: TimeRange) -> Marks {
    // Nothing is alerted of a variant or an SDK.
    let Some(asked) = asked.episodes(range, MARKS_MAX) else { return Marks::default() };
    match reading.episodes(asked).await {
        Ok(EpisodePage { episodes, more }) => Marks { episodes, more, are_unknown: false },
        Err(Error::NoLedger) => Marks::default(),
        Err(error) => {
            tracing::warn!(%error, "a chart is drawn without its marks of bursts");
            Marks { are_unknown: true, ..Marks::default() }
        }
    }
}
