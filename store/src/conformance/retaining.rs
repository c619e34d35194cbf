//! What retention may take, and what comes after it.

use std::collections::BTreeMap;

use flagmeter_model::{EnvironmentCounts, Tier, decode};

use super::{
    Harness,
    fixture::{
        HOUR, Held, MINUTE, QUARTER, Seal, at, environment, everything, flag, held, range, roll_up, series,
        settle, window, write,
    },
};
use crate::{Floors, Result, Rolling, Store};

const fn floors(raw: i64, minute: i64, quarter: i64) -> Floors {
    Floors { raw: Some(at(raw)), minute: Some(at(minute)), quarter: Some(at(quarter)) }
}

/// Counts in each minute of three hours.
async fn fill<H: Harness>(harness: &H) -> Result<()> {
    let (one, a) = (environment("one")?, flag("a")?);
    let mut seal = Seal::new(1, 1)?.covering(0, 3 * HOUR);
    for minute in 0..180 {
        seal = seal.count(&one, &a, minute * MINUTE, 1);
    }
    write(&*harness.store(), &[seal]).await?;
    Ok(())
}

async fn retain_all(store: &dyn Store, wanted: Floors) -> Result<u64> {
    let mut rows = 0;
    loop {
        let retained = store.retain(wanted).await?;
        rows += retained.rows;
        if !retained.more {
            return Ok(rows);
        }
    }
}

/// Nothing is deleted that a coarser tier does not hold yet, whatever is asked.
pub async fn floors_stop_at_what_is_not_rolled_up<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    fill(&harness).await?;
    let wanted = floors(3 * HOUR, 3 * HOUR, 3 * HOUR);
    assert_eq!(retain_all(&*store, wanted).await?, 0);
    assert_eq!(store.state().await?.floors, Floors::default());
    roll_up(&*store, 0, 2 * HOUR).await?;
    retain_all(&*store, wanted).await?;
    assert_eq!(store.state().await?.floors, floors(2 * HOUR, 2 * HOUR, 2 * HOUR));
    assert_eq!(series(&*store, &environment("one")?, Tier::Raw).await?.len(), 60);
    Ok(())
}

/// A window that waits for its roll-up keeps everything that the roll-up reads.
pub async fn floors_stop_at_marks<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let one = environment("one")?;
    fill(&harness).await?;
    roll_up(&*store, 0, 3 * HOUR).await?;
    write(&*store, &[Seal::new(1, 2)?.count(&one, &flag("a")?, HOUR + QUARTER, 1)]).await?;
    let wanted = floors(3 * HOUR, 2 * HOUR, 2 * HOUR);
    retain_all(&*store, wanted).await?;
    assert_eq!(store.state().await?.floors, floors(HOUR, HOUR, HOUR));
    settle(&*store).await?;
    assert_eq!(series(&*store, &one, Tier::Hour).await?[&(HOUR, flag("a")?)], 61);
    retain_all(&*store, wanted).await?;
    assert_eq!(store.state().await?.floors, wanted);
    Ok(())
}

/// A late point is taken down to the raw floor: everything above that is made from it is kept as long.
pub async fn no_floor_passes_the_finer_tiers_floor<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let (one, a) = (environment("one")?, flag("a")?);
    fill(&harness).await?;
    roll_up(&*store, 0, 3 * HOUR).await?;
    retain_all(&*store, Floors { raw: None, ..floors(0, 3 * HOUR, 3 * HOUR) }).await?;
    assert_eq!(store.state().await?.floors, Floors::default());
    retain_all(&*store, floors(HOUR, 3 * HOUR, 3 * HOUR)).await?;
    assert_eq!(store.state().await?.floors, floors(HOUR, HOUR, HOUR));
    write(&*store, &[Seal::new(1, 2)?.count(&one, &a, HOUR, 5)]).await?;
    settle(&*store).await?;
    assert_eq!(series(&*store, &one, Tier::Hour).await?[&(HOUR, a)], 65);
    Ok(())
}

/// Once data is gone, asking for less does not bring it back.
pub async fn floors_never_move_back<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    fill(&harness).await?;
    roll_up(&*harness.store(), 0, 3 * HOUR).await?;
    retain_all(&*harness.store(), floors(2 * HOUR, HOUR, HOUR)).await?;
    for wanted in [Floors::default(), floors(HOUR, 0, 0), floors(-HOUR, -HOUR, -HOUR)] {
        retain_all(&*harness.store(), wanted).await?;
        harness.crash().await?;
        assert_eq!(harness.store().state().await?.floors, floors(2 * HOUR, HOUR, HOUR));
    }
    Ok(())
}

/// Each tier loses what lies behind its own floor, and nothing else; the coarser ones hold it, in series and in
/// total.
pub async fn what_lies_behind_a_floor_goes_and_coarser_tiers_stay<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let one = environment("one")?;
    fill(&harness).await?;
    roll_up(&*store, 0, 3 * HOUR).await?;
    let mut before = Vec::new();
    for tier in Tier::ALL {
        before.push(held(&*store, &one, tier).await?);
    }
    retain_all(&*store, floors(3 * HOUR, 2 * HOUR, HOUR)).await?;
    let floors = [3 * HOUR, 2 * HOUR, HOUR, 0];
    for ((tier, floor), (mut series, mut totals)) in Tier::ALL.into_iter().zip(floors).zip(before) {
        series.retain(|(start, _), _| *start >= floor);
        totals.retain(|start, _| *start >= floor);
        assert_eq!(held(&*store, &one, tier).await?, (series, totals), "{tier}");
    }
    assert_eq!(store.state().await?.raw_first, None);
    assert_eq!(store.environments().await?, [one]);
    Ok(())
}

/// What cannot be made again is not unmade: neither by range nor by name.
pub async fn windows_whose_finer_tier_is_gone_are_left_as_they_are<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let environments = [environment("one")?];
    fill(&harness).await?;
    roll_up(&*store, 0, 3 * HOUR).await?;
    retain_all(&*store, floors(2 * HOUR, HOUR, HOUR)).await?;
    let before = everything(&*store, &environments).await?;
    for tier in Tier::ROLLED {
        store.roll(&Rolling::Range(tier, range(0, 3 * HOUR))).await?;
        store.roll(&Rolling::Windows(vec![window(tier, 0, &environments[0])])).await?;
    }
    assert_eq!(everything(&*store, &environments).await?, before);
    Ok(())
}

/// Counts that come too late to be stored become a dead letter that holds exactly them; the rest of the record
/// is stored. Written again it is the same one dead letter.
pub async fn counts_older_than_the_raw_floor_are_set_aside<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let (one, a) = (environment("one")?, flag("a")?);
    fill(&harness).await?;
    roll_up(&*store, 0, 3 * HOUR).await?;
    retain_all(&*store, floors(2 * HOUR, HOUR, HOUR)).await?;
    harness.clock().advance(77);
    let seal = Seal::new(1, 2)?.count(&one, &a, 2 * HOUR - 10, 5).count(&one, &flag("b")?, 0, 6).count(
        &one,
        &a,
        2 * HOUR,
        7,
    );
    let written = write(&*store, std::slice::from_ref(&seal)).await?;
    assert_eq!((written.points, written.dirty, written.past_retention), (1, 1, 2));
    assert_eq!(written.dead_letters, BTreeMap::from([("past_retention", 1)]));
    write(&*store, &[seal]).await?;
    assert_eq!(series(&*store, &one, Tier::Raw).await?[&(2 * HOUR, a)], 8);
    let letters = store.dead_letters(None, 10).await?;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.partition, letter.offset, letter.at), (0, 2, at(77)));
    assert_eq!((letter.reason.as_str(), letter.count), ("past_retention", Some(11)));
    let kept = decode(&letter.payload)?;
    let counts: Vec<_> = kept.environments.iter().flat_map(EnvironmentCounts::points).map(|p| p.2).collect();
    assert_eq!(counts, [6, 5]);
    // A further part of the same seal is no repeat of it.
    let part = Seal::new(1, 2)?.part(1).place(0, 3).count(&one, &flag("c")?, 0, 100);
    write(&*store, &[part]).await?;
    let state = store.state().await?;
    assert_eq!((state.dead_letters, state.dead_letter_counts), (2, 111));
    Ok(())
}

/// A record that was stored in time and is read again after retention changes nothing and is no dead letter. One
/// that stands in the log twice may be a repeat or not: it is kept, and its counts are not called lost.
pub async fn repeats_of_counts_that_retention_took_are_nothing<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let environments = [environment("one")?];
    fill(&harness).await?;
    roll_up(&*store, 0, 3 * HOUR).await?;
    retain_all(&*store, floors(3 * HOUR, HOUR, HOUR)).await?;
    let before = everything(&*store, &environments).await?;
    if before.2.is_some() {
        fill(&harness).await?;
        assert_eq!(everything(&*store, &environments).await?, before);
    }
    let again = Seal::new(1, 1)?.place(0, 50).count(&environments[0], &flag("a")?, 0, 1);
    write(&*store, &[again]).await?;
    assert_eq!(series(&*store, &environments[0], Tier::Raw).await?, Held::new());
    let state = store.state().await?;
    assert_eq!((state.dead_letters, state.dead_letter_counts), (1, 0));
    Ok(())
}
