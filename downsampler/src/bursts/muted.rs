//! What was muted when it began, and outlasts its mute.

use std::collections::BTreeMap;

use flagmeter_ledger::{Alerted, Ledger, Mute, MuteState, Mutes, Muting, Subject};
use flagmeter_model::Timestamp;

use super::Watched;
use crate::Result;

/// What was muted and goes on where no mute is in force any more, as it is now; `goes_on` knows what goes on, and until
/// when that was seen. The ledger asks for mutes at that time and at `now`.
pub(super) async fn outlasting(
    ledger: &dyn Ledger,
    is_watched: &Watched,
    now: Timestamp,
    goes_on: impl Fn(&Alerted) -> Option<Alerted> + Sync,
) -> Result<Vec<Alerted>> {
    let muted = ledger.muted_alerts().await?;
    let as_it_is =
        |was: Alerted| goes_on(&was).filter(|is| was.seen_at < is.seen_at && is_watched(is.of.customer()));
    let mut going: BTreeMap<Timestamp, Vec<Alerted>> = BTreeMap::new();
    for is in muted.into_iter().filter_map(|alert| as_it_is(alert.alerted)) {
        going.entry(is.seen_at).or_default().push(is);
    }
    let mut outlasting = Vec::new();
    if going.is_empty() {
        return Ok(outlasting);
    }
    let in_force_now = in_force(ledger, now).await?;
    for (seen_at, mut going) in going {
        // As far as is known here: it is the ledger that decides.
        let in_force = in_force(ledger, seen_at).await?;
        let covers = |mutes: &[Mute], of: &Subject, at| mutes.iter().any(|mute| mute.covers(of, at));
        going.retain(|is| !covers(&in_force, &is.of, seen_at) && !covers(&in_force_now, &is.of, now));
        outlasting.append(&mut going);
    }
    Ok(outlasting)
}

/// The mutes that are in force: no more than may stand.
pub(super) async fn in_force(ledger: &dyn Ledger, at: Timestamp) -> Result<Vec<Mute>> {
    let state = Some(MuteState::Active);
    let asked = Mutes { customers: Vec::new(), state, at, after: None, limit: Muting::STANDING_MAX };
    Ok(ledger.mutes(asked).await?.mutes)
}
