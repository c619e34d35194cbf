//! Windows that must be rolled up again.

use flagmeter_model::{Tier, Timestamp, Window};

use super::{
    Harness,
    fixture::{HOUR, MINUTE, QUARTER, Seal, at, environment, flag, window, write},
};
use crate::{Error, Frontier, Frontiers, Mark, NewMark, Result, Store};

async fn all(store: &dyn Store, tier: Tier) -> Result<Vec<Mark>> {
    store.marks(tier, Timestamp::MAX, usize::MAX).await
}

/// A point marks its minute when the minute ends at or before the announced frontier, and not else.
pub async fn points_behind_the_frontier_mark_their_minutes<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let (one, two, a) = (environment("one")?, environment("two")?, flag("a")?);
    let seal = |seq| {
        Ok::<_, Error>(
            Seal::new(1, seq)?
                .count(&one, &a, 0, 1)
                .count(&one, &a, 50, 1)
                .count(&one, &a, MINUTE, 1)
                .count(&two, &a, MINUTE, 1)
                .count(&one, &a, 2 * MINUTE, 1),
        )
    };
    assert_eq!(write(&*store, &[seal(1)?]).await?.dirty, 0, "before the first announcement");
    store.announce(at(2 * MINUTE)).await?;
    assert_eq!(write(&*store, &[seal(2)?, seal(3)?]).await?.dirty, 3);
    let marks = all(&*store, Tier::Minute).await?;
    let found: Vec<_> = marks.iter().map(|mark| (mark.window, &mark.environment)).collect();
    let minute = |second| Window::containing(Tier::Minute, at(second));
    assert_eq!(found, [(minute(0), &one), (minute(MINUTE), &one), (minute(MINUTE), &two)]);
    assert!(all(&*store, Tier::Quarter).await?.is_empty());
    let state = store.state().await?;
    assert_eq!((state.dirty, state.dirty_first), (3, [Some(at(0)), None, None]));
    Ok(())
}

/// Announcing less, or what is whole already, changes nothing.
pub async fn the_announced_frontier_never_moves_back<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let frontiers = async || {
        let frontiers = store.frontiers().await?;
        assert_eq!(store.state().await?.frontiers, frontiers);
        Ok::<_, Error>(frontiers)
    };
    assert_eq!(frontiers().await?, Frontiers::default());
    store.announce(at(2 * MINUTE)).await?;
    store.announce(at(MINUTE)).await?;
    let minute = frontiers().await?.minute;
    assert_eq!(minute, Frontier { announced: Some(at(2 * MINUTE)), whole: None });
    store.advance(Tier::Minute, at(2 * MINUTE)).await?;
    store.advance(Tier::Minute, at(MINUTE)).await?;
    let minute = frontiers().await?.minute;
    assert_eq!(minute, Frontier { announced: Some(at(2 * MINUTE)), whole: Some(at(2 * MINUTE)) });
    for tier in [Tier::Quarter, Tier::Hour] {
        store.advance(tier, at(HOUR)).await?;
        store.advance(tier, at(0)).await?;
        assert_eq!(frontiers().await?.whole(tier), Some(at(HOUR)));
    }
    Ok(())
}

/// Marks come tier by tier, the earliest first, as many as asked, and none that ends after `until`.
pub async fn marks_come_in_the_order_of_time_and_within_bounds<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let (one, two) = (environment("one")?, environment("two")?);
    let minutes = |marks: Vec<Mark>| -> Vec<i64> {
        marks.iter().map(|mark| mark.window.start().millis_since(at(0)) / 60_000).collect()
    };
    store
        .mark(&[
            window(Tier::Minute, 5 * MINUTE, &one),
            window(Tier::Minute, MINUTE, &one),
            window(Tier::Minute, 3 * MINUTE, &two),
            window(Tier::Quarter, 2 * QUARTER, &one),
            window(Tier::Hour, 0, &two),
        ])
        .await?;
    assert_eq!(minutes(all(&*store, Tier::Minute).await?), [1, 3, 5]);
    assert_eq!(minutes(store.marks(Tier::Minute, Timestamp::MAX, 2).await?), [1, 3]);
    assert_eq!(minutes(store.marks(Tier::Minute, at(4 * MINUTE), 9).await?), [1, 3]);
    assert_eq!(minutes(store.marks(Tier::Minute, at(4 * MINUTE - 1), 9).await?), [1]);
    assert_eq!(minutes(all(&*store, Tier::Quarter).await?), [30]);
    assert_eq!(minutes(all(&*store, Tier::Hour).await?), [0]);
    let state = store.state().await?;
    assert_eq!(state.dirty, 5);
    assert_eq!(state.dirty_first, [Some(at(MINUTE)), Some(at(2 * QUARTER)), Some(at(0))]);
    Ok(())
}

/// Clearing takes away what was read; what was marked in between, by whichever way, stays.
pub async fn a_mark_set_again_survives_being_cleared<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let (one, a) = (environment("one")?, flag("a")?);
    store.announce(at(HOUR)).await?;
    let seal = |seq, second| Ok::<_, Error>(Seal::new(1, seq)?.count(&one, &a, second, 1));
    write(&*store, &[seal(1, 0)?, seal(1, MINUTE)?, seal(1, 2 * MINUTE)?]).await?;
    let read = all(&*store, Tier::Minute).await?;
    write(&*store, &[seal(2, 0)?]).await?;
    store.mark(&[window(Tier::Minute, MINUTE, &one)]).await?;
    store.clear(&read).await?;
    let left = all(&*store, Tier::Minute).await?;
    let windows: Vec<_> = left.iter().map(|mark| mark.window.start()).collect();
    assert_eq!(windows, [at(0), at(MINUTE)]);
    store.clear(&left).await?;
    assert!(all(&*store, Tier::Minute).await?.is_empty());
    store.clear(&left).await
}

/// A token read long ago clears nothing, even though its mark was cleared and set again since, crash or not.
pub async fn a_token_is_never_given_twice<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let mark = [window(Tier::Quarter, 0, &environment("one")?)];
    let mut asleep: Vec<Mark> = Vec::new();
    for round in 0..4 {
        let store = harness.store();
        store.mark(&mark).await?;
        store.clear(&asleep).await?;
        let read = all(&*store, Tier::Quarter).await?;
        assert_eq!(read.len(), 1, "cleared by an old token in round {round}");
        store.clear(&read).await?;
        asleep.extend(read);
        if round % 2 == 1 {
            harness.crash().await?;
        }
    }
    Ok(())
}

/// There is nothing to roll raw points up from.
pub async fn raw_points_are_never_marked<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let mark = NewMark { window: Window::containing(Tier::Raw, at(0)), environment: environment("one")? };
    assert!(store.mark(&[mark]).await.is_err());
    assert_eq!(store.state().await?.dirty, 0);
    Ok(())
}
