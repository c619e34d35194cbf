//! What detectors know when they begin: the last week, fed to them again.

use flagmeter_model::{TimeRange, Timestamp};
use flagmeter_store::Store;

use super::{counts::Counts, weeks::Past};
use crate::Result;

/// Before what is told detectors remember how uneven their series is, and how high it was.
const UNEVEN_SECONDS: i64 = 7 * 3_600;
const HIGHEST_SECONDS: i64 = 7 * 86_400;
/// Minutes that are read in one question.
const MINUTES_AT_ONCE: i64 = 6 * 3_600;
/// The same of minutes that are compared with earlier weeks, which are held meanwhile.
const COMPARED_AT_ONCE: i64 = 3_600;

/// Where detectors begin that tell what they find from then on.
pub(super) const fn begins(tells_from: Timestamp) -> Timestamp {
    tells_from.plus_seconds(-HIGHEST_SECONDS)
}

/// Feeds the minutes until `tells_from`. `feed` says where it ended; whether that was all the way.
pub(super) async fn learn(
    store: &dyn Store,
    past: &mut Past,
    tells_from: Timestamp,
    mut feed: impl FnMut(&Counts, &Past) -> Timestamp + Send,
) -> Result<bool> {
    let (mut at, compares_from) = (begins(tells_from), tells_from.plus_seconds(-UNEVEN_SECONDS));
    while at < tells_from {
        let (stage_ends, at_once) = if at < compares_from {
            (compares_from, MINUTES_AT_ONCE)
        } else {
            (tells_from, COMPARED_AT_ONCE)
        };
        let range = TimeRange::new(at, at.plus_seconds(at_once).min(stage_ends));
        if at >= compares_from {
            past.load(store, range).await?;
        }
        let counts = Counts::read(store, past.asked(), range, 60).await?;
        at = feed(&counts, past);
        past.forget_before(at);
        if at < range.to {
            return Ok(false);
        }
    }
    Ok(true)
}
