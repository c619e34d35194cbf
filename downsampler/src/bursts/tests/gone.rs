//! Somebody told that something began, and is gone; who watches on sees it otherwise.

use super::{
    flags::{flags, look},
    *,
};

/// Two who watch and tell one ledger, each of whom counts for itself.
fn two() -> (World, World) {
    let (one, mut other) = (World::new(), World::new());
    other.ledger = Arc::clone(&one.ledger);
    (one, other)
}

#[tokio::test]
async fn what_somebody_told_who_is_gone_ends_and_what_begins_then_is_told() {
    for is_muted in [false, true] {
        let (mut one, mut other) = two();
        let (mut goes, mut stays) = (one.bursts(), other.bursts());
        one.minutes(180, 120).await;
        other.minutes(180, 120).await;
        goes.look().await;
        stays.look().await;
        if is_muted {
            one.mute(1, 8).await;
        }
        one.minutes(5, 1_200).await;
        goes.look().await;
        let began = 180 * 60;
        assert_eq!(one.told().await, [("burst", "began", began, began + 150)]);
        drop(goes);
        // It is not ended by the first who does not see it.
        other.minutes(11, 120).await;
        stays.look().await;
        assert_eq!(one.told().await.len(), 1);
        for _ in 0..10 {
            other.minutes(2, 120).await;
            stays.look().await;
        }
        let told = one.told().await;
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!((told[1].0, told[1].1, told[1].2), ("burst", "calm", began));
        other.minutes(10, 120).await;
        stays.look().await;
        let fresh = other.end;
        other.minutes(5, 12_000).await;
        stays.look().await;
        other.minutes(20, 120).await;
        stays.look().await;
        let told = one.told().await;
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[2].1 == "began" && told[2].2 >= fresh && told[3].1 == "calm", "{told:?}");
        let muted: Vec<_> = one.alerts().await.iter().map(|alert| alert.muted.is_some()).collect();
        assert_eq!(muted, [is_muted, is_muted, false, false]);
        assert_eq!(stays.metrics.failures.get(), 0);
    }
}

#[tokio::test]
async fn what_somebody_told_of_a_flag_who_is_gone_ends_too() {
    let ordinary = flags("live", &[("big", 1_000), ("small", 10)]);
    let (mut one, mut other) = two();
    one.count(180, &ordinary).await;
    other.count(180, &ordinary).await;
    let (mut goes, mut stays) = (one.with_flags(10), other.with_flags(10));
    look(&mut goes).await;
    look(&mut stays).await;
    one.count(6, &flags("live", &[("big", 1_000), ("small", 70)])).await;
    look(&mut goes).await;
    let told = |said: &str| format!("burst of the flag small of acme/web/live: {said}");
    assert_eq!(one.told_of().await, [told("began")]);
    drop(goes);
    for _ in 0..12 {
        other.count(2, &ordinary).await;
        look(&mut stays).await;
    }
    assert_eq!(one.told_of().await, [told("began"), told("calm")]);
}

/// Who still sees it go on does not end it, however long ago it was told.
#[tokio::test]
async fn what_goes_on_for_long_is_not_over() {
    let mut world = World::new();
    let (mut one, mut other) = (world.bursts(), world.bursts());
    world.minutes(180, 120).await;
    one.look().await;
    other.look().await;
    for _ in 0..12 {
        world.minutes(2, 1_200).await;
        one.look().await;
        other.look().await;
    }
    assert_eq!(world.told().await.len(), 1);
    world.minutes(20, 120).await;
    other.look().await;
    assert_eq!(world.told().await.len(), 2);
}
