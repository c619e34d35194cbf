//! What a chart marks: the bursts and drops of what it shows.

use std::sync::atomic::{AtomicBool, Ordering};

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

/// Whether charts have to do without their marks, as the last one found it.
#[derive(Debug, Default)]
pub(crate) struct Missing(AtomicBool);

impl Missing {
    /// Notes it; whether that is news.
    fn turns(&self, are_missing: bool) -> bool {
        self.0.swap(are_missing, Ordering::Relaxed) != are_missing
    }
}

/// The marks of what is asked. Counts are worth showing without them, so this does not fail: it says that they are not known.
/// Where no ledger is kept nothing is watched, and there are none.
pub(crate) async fn marks(reading: &Reading<'_>, asked: &Asked, range: TimeRange) -> Marks {
    // Nothing is alerted of a variant or an SDK.
    let Some(asked) = asked.episodes(range, MARKS_MAX) else { return Marks::default() };
    match reading.episodes(asked).await {
        Ok(EpisodePage { episodes, more }) => {
            if reading.marks_missing().turns(false) {
                tracing::info!("charts have their marks of bursts again");
            }
            Marks { episodes, more, are_unknown: false }
        }
        Err(Error::NoLedger) => Marks::default(),
        Err(error) => {
            // Every viewer asks again and again: what is new is told once.
            if reading.marks_missing().turns(true) {
                tracing::warn!(%error, "charts are drawn without their marks of bursts");
            }
            Marks { are_unknown: true, ..Marks::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_marks_are_missing_is_news_once_and_so_is_that_they_are_back() {
        let missing = Missing::default();
        let told =
            [false, true, true, true, false, false, true].map(|are_missing| missing.turns(are_missing));
        assert_eq!(told, [false, true, false, false, true, false, true]);
    }
}
