//! Floors, and what has to be done now and then.
//!
//! The floors are registers: nothing is deleted here. The server forgets on its own, later than the floors tell, and
//! reads never show what lies behind them.

use flagmeter_model::{Tier, Timestamp};

use super::{
    InfluxStore, marks, progress,
    registers::{self, Register},
    schema::nanoseconds,
    state,
};
use crate::{Floors, Result, Retained};

/// How old marks must be to be swept, in ms.
const SWEPT_MS: i64 = 60 * 60_000;
/// How often upkeep is worth its questions, in ms.
const UPKEEP_EVERY_MS: i64 = 10 * 60_000;

/// Moves the floors as far as nothing is lost.
pub(super) async fn retain(store: &InfluxStore, wanted: Floors) -> Result<Retained> {
    let state = state::state(store).await?;
    let (deletable, floors) = (state.deletable(), state.floors);
    // A late point is taken down to the raw floor, and all that is made from it is kept below: so no floor passes the
    // one of the finer tier.
    let raw = raised(floors.raw, wanted.raw, deletable.raw, Some(Timestamp::MAX));
    let minute = raised(floors.minute, wanted.minute, deletable.minute, raw);
    let quarter = raised(floors.quarter, wanted.quarter, deletable.quarter, minute);
    let moved: Vec<_> = [(Tier::Raw, raw), (Tier::Minute, minute), (Tier::Quarter, quarter)]
        .into_iter()
        .filter(|(tier, floor)| *floor > floors.of(*tier))
        .filter_map(|(tier, floor)| Some((Register::Floor(tier), nanoseconds(floor?))))
        .collect();
    registers::raise(store, &moved).await?;
    upkeep(store).await?;
    Ok(Retained::default())
}

/// A floor moved to the least of what is wanted, what is deletable, and the finer tier's floor; never back.
fn raised(
    floor: Option<Timestamp>,
    wanted: Option<Timestamp>,
    deletable: Option<Timestamp>,
    finer: Option<Timestamp>,
) -> Option<Timestamp> {
    let (Some(wanted), Some(deletable), Some(finer)) = (wanted, deletable, finer) else { return floor };
    // Whole hours: no window of a coarser tier is left with half of what it was made from.
    floor.max(Some(wanted.min(deletable).min(finer).floor_to(Tier::Hour.seconds())))
}

/// [`upkeep`], if it was not done for a while. It can wait: what fails is told, and tried again the next time.
pub(super) async fn upkeep_when_due(store: &InfluxStore) {
    let now = store.clock.now();
    let is_due = |last: Timestamp| now.millis_since(last).abs() >= UPKEEP_EVERY_MS;
    if !store.upkept_at.lock().is_none_or(is_due) {
        return;
    }
    match upkeep(store).await {
        Ok(()) => *store.upkept_at.lock() = Some(now),
        Err(error) => tracing::warn!(%error, "the upkeep of InfluxDB failed; it will be tried again"),
    }
}

/// Keeps reads short, however long the store lives: sweeps marks, and keeps what is old of the nodes' progress.
async fn upkeep(store: &InfluxStore) -> Result<()> {
    let registers = registers::read(store).await?;
    marks::sweep(store, SWEPT_MS).await?;
    progress::keep(store, &registers).await
}
