//! What was muted when it began, and outlasts its mute.

use std::collections::BTreeMap;

use flagmeter_ledger::{Alerted, Ledger, Mute, MuteState, Mutes, Muting};
use flagmeter_model::Timestamp;

use super::Watched;
use crate::Result;

/// What was muted and goes on where no mute is in force any more, as it is now; `goes_on` knows what goes on, and until
/// when that was seen.
pub(super) async fn outlasting(
    ledger: &dyn Ledger,
    is_watched: &Watched,
    goes_on: impl Fn(&Alerted) -> Option<Alerted> + Sync,
) -> Result<Vec<Alerted>> {
    let muted = ledger.muted_alerts().await?;
    let now =
        |was: Alerted| goes_on(&was).filter(|now| was.seen_at < now.seen_at && is_watched(now.of.customer()));
    let mut going: BTreeMap<Timestamp, Vec<Alerted>> = BTreeMap::new();
    for now in muted.into_iter().filter_map(|alert| now(alert.alerted)) {
        going.entry(now.seen_at).or_default().push(now);
    }
    let mut outlasting = Vec::new();
    for (seen_at, mut going) in going {
        // As far as is known here: it is the ledger that decides.
        let in_force = in_force(ledger, seen_at).await?;
        going.retain(|now| !in_force.iter().any(|mute| mute.covers(&now.of, seen_at)));
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
