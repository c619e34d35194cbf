//! Windows from the finer tier.

use flagmeter_model::{Environment, Meter, SeriesKey, Tier};

use super::{
    Harness,
    fixture::{
        HOUR, Held, MINUTE, QUARTER, Seal, assert_agree, environment, everything, flag, held, range, roll_up,
        series, settle, window, write,
    },
};
use crate::{Result, Rolled, Rolling, Store};

async fn fill(store: &dyn Store, environments: &[Environment]) -> Result<()> {
    let seconds = [0, 10, 50, MINUTE, 14 * MINUTE, QUARTER, 59 * MINUTE + 50, HOUR, 2 * HOUR - 10];
    for (seq, second) in (1..).zip(seconds) {
        let mut seal = Seal::new(1, seq)?;
        for (number, environment) in (1..).zip(environments) {
            seal = seal
                .count(environment, &flag("every")?, second, number)
                .count(environment, &flag(&format!("only-{second}"))?, second, 10 * number)
                .count(environment, &SeriesKey { meter: Meter::Rejected, ..flag("why")? }, second, seq);
        }
        write(store, &[seal]).await?;
    }
    Ok(())
}

/// Minutes, quarters and hours hold what the points add up to, of every series and in total; windows without
/// counts are not there.
pub async fn every_tier_adds_up_along_both_axes<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let environments = [environment("one")?, environment("two")?];
    fill(&*store, &environments).await?;
    let minutes = store.roll(&Rolling::Range(Tier::Minute, range(-HOUR, 2 * HOUR))).await?;
    assert_eq!(minutes, Rolled { windows: 14, points: 46 });
    let quarters = store.roll(&Rolling::Range(Tier::Quarter, range(-HOUR, 2 * HOUR))).await?;
    assert_eq!(quarters, Rolled { windows: 10, points: 38 });
    let hours = store.roll(&Rolling::Range(Tier::Hour, range(-HOUR, 2 * HOUR))).await?;
    assert_eq!(hours, Rolled { windows: 4, points: 26 });
    for environment in &environments {
        assert_agree(&*store, environment).await?;
    }
    let (_, totals) = held(&*store, &environments[1], Tier::Hour).await?;
    assert_eq!(totals[&HOUR], [44, 0, 0, 0, 17]);
    Ok(())
}

/// Roll-ups are absolute: by range or by name, once or often, the same comes out.
pub async fn rolling_up_again_changes_nothing<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let environments = [environment("one")?, environment("two")?];
    fill(&*store, &environments).await?;
    roll_up(&*store, 0, 2 * HOUR).await?;
    let before = everything(&*store, &environments).await?;
    roll_up(&*store, 0, 2 * HOUR).await?;
    let minutes = [0, MINUTE, 2 * MINUTE, 0].map(|second| window(Tier::Minute, second, &environments[0]));
    let rolled = store.roll(&Rolling::Windows(minutes.to_vec())).await?;
    assert_eq!(rolled, Rolled { windows: 2, points: 8 }, "a window named twice is one");
    store.roll(&Rolling::Windows(vec![window(Tier::Hour, 0, &environments[1])])).await?;
    assert_eq!(everything(&*store, &environments).await?, before);
    Ok(())
}

/// Counts for a minute, a quarter and an hour that are rolled up already arrive in all of them.
pub async fn late_points_reach_every_tier<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let environments = [environment("one")?, environment("two")?, environment("late")?];
    fill(&*store, &environments[..2]).await?;
    roll_up(&*store, 0, 2 * HOUR).await?;
    let late = Seal::new(2, 100)?
        .count(&environments[0], &flag("every")?, 0, 1_000)
        .count(&environments[0], &flag("new")?, 30 * MINUTE, 1_000)
        .count(&environments[2], &flag("every")?, HOUR, 1_000);
    assert_eq!(write(&*store, &[late]).await?.dirty, 3);
    settle(&*store).await?;
    for environment in &environments {
        assert_agree(&*store, environment).await?;
    }
    assert_eq!(store.state().await?.dirty, 0);
    Ok(())
}

/// An environment that was never counted for can be named without harm.
pub async fn windows_of_nobody_are_nothing<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let nobody = environment("nobody")?;
    for tier in Tier::ROLLED {
        let rolled = store.roll(&Rolling::Windows(vec![window(tier, 0, &nobody)])).await?;
        assert_eq!(rolled, Rolled::default());
        assert_eq!(store.roll(&Rolling::Range(tier, range(0, HOUR))).await?, Rolled::default());
        assert_eq!(series(&*store, &nobody, tier).await?, Held::new());
    }
    Ok(())
}

/// A range that would cut a window in two is refused, and raw points are not made from anything.
pub async fn ranges_off_the_grid_are_refused<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    for (tier, from, to) in [
        (Tier::Minute, 30, 2 * MINUTE),
        (Tier::Quarter, 0, QUARTER + MINUTE),
        (Tier::Hour, QUARTER, HOUR),
        (Tier::Raw, 0, HOUR),
    ] {
        assert!(store.roll(&Rolling::Range(tier, range(from, to))).await.is_err(), "{tier}");
    }
    Ok(())
}

/// While points arrive for windows that are being rolled up, every point ends in every tier: the roll-up sees
/// the point, or the point sees the frontier.
pub async fn roll_ups_and_late_points_at_once_lose_nothing<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let environments = [environment("one")?, environment("two")?];
    let arriving = async {
        for seq in 1..60_u64 {
            let second = i64::try_from(seq).unwrap_or_default() * 60;
            let seal = Seal::new(1, seq)?.count(&environments[0], &flag("a")?, second, seq).count(
                &environments[1],
                &flag("a")?,
                second / 2,
                seq,
            );
            write(&*store, &[seal]).await?;
        }
        Ok::<_, crate::Error>(())
    };
    let rolling = async {
        for step in 0..4 {
            store.announce(super::fixture::at((step + 1) * QUARTER)).await?;
            for minute in 0..15 {
                let from = step * QUARTER + minute * MINUTE;
                store.roll(&Rolling::Range(Tier::Minute, range(from, from + MINUTE))).await?;
            }
            settle(&*store).await?;
        }
        Ok::<_, crate::Error>(())
    };
    let (arrived, rolled) = tokio::join!(arriving, rolling);
    arrived?;
    rolled?;
    for tier in [Tier::Quarter, Tier::Hour] {
        store.roll(&Rolling::Range(tier, range(0, HOUR))).await?;
    }
    settle(&*store).await?;
    for environment in &environments {
        assert_agree(&*store, environment).await?;
    }
    Ok(())
}
