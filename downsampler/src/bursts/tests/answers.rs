//! Flags of environments that are not answered, and of more than begin at once.

use std::sync::atomic::Ordering;

use flagmeter_store::Filter;

use super::{
    super::flags::BEGINS_MAX,
    choosy::Choosy,
    flags::{flags, look, watched},
    *,
};

const ALL: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The counts of these, of which the first is the largest.
fn counts(environments: &[&str], small: u64) -> Vec<(Environment, SeriesKey, u64)> {
    let each = |of: &&str| flags(of, &[("big", 1_000), ("small", small)]);
    environments.iter().flat_map(each).collect()
}

/// Refuses what is asked of the flags of one.
fn without(of: &'static str) -> impl Fn(&Filter) -> bool {
    move |filter| filter.environments.iter().any(|one| one.as_str() == of)
}

#[tokio::test]
async fn one_environment_that_is_never_answered_holds_up_no_other() {
    let mut world = World::new();
    world.count(180, &counts(&["a", "b"], 10)).await;
    let mut bursts = world.with_flags(10);
    bursts.flags.store = Choosy::new(&world.store, without("a"));
    look(&mut bursts).await;
    assert_eq!(bursts.flags.metrics.failures.get(), 1, "it was not chosen of");
    assert_eq!(bursts.flags.bunches.len(), 1);
    world.count(6, &counts(&["a", "b"], 70)).await;
    look(&mut bursts).await;
    assert_eq!(world.told_of().await, ["burst of the flag small of acme/web/b: began"]);
    // What was chosen before stays, also where it is not answered when flags are chosen anew.
    let mut bursts = world.with_flags(10);
    look(&mut bursts).await;
    let chosen = bursts.flags.chosen.clone();
    assert_eq!(chosen.len(), 2);
    bursts.flags.store = Choosy::new(&world.store, without("a"));
    world.count(61, &counts(&["a", "b"], 10)).await;
    look(&mut bursts).await;
    assert_eq!((bursts.flags.chosen.clone(), bursts.flags.metrics.failures.get()), (chosen, 2));
    assert_eq!(bursts.flags.unanswered.environments(), ["a"]);
}

#[tokio::test]
async fn where_the_largest_environments_are_not_told_flags_are_watched_on() {
    let mut world = World::new();
    world.count(180, &counts(&["a"], 10)).await;
    let mut bursts = world.with_flags(10);
    look(&mut bursts).await;
    world.count(60, &counts(&["a"], 10)).await;
    world.count(6, &counts(&["a"], 70)).await;
    bursts.flags.store = Choosy::new(&world.store, |filter| filter.environments.is_empty());
    look(&mut bursts).await;
    assert_eq!(world.told_of().await, ["burst of the flag small of acme/web/a: began"]);
    assert_eq!((watched(&bursts).len(), bursts.flags.metrics.failures.get()), (2, 1));
}

/// Those that are never answered come last: the others are looked at.
#[tokio::test]
async fn where_flags_are_not_answered_others_come_first_the_next_time() {
    let mut world = World::new();
    world.count(180, &counts(&ALL, 10)).await;
    let mut bursts = world.with_flags(10);
    look(&mut bursts).await;
    let answering = std::mem::replace(&mut bursts.flags.store, away());
    for (unanswered, failures) in [(&ALL[..3], 3), (&ALL, 6)] {
        world.count(1, &counts(&ALL, 10)).await;
        look(&mut bursts).await;
        assert_eq!(bursts.flags.unanswered.environments(), unanswered);
        assert_eq!(bursts.flags.metrics.failures.get(), failures, "it gives up after three in a row");
    }
    bursts.flags.store = answering;
    look(&mut bursts).await;
    assert_eq!((bursts.flags.unanswered.environments().len(), bursts.flags.metrics.failures.get()), (0, 6));
}

/// Whatever is not answered, it is asked what outlasts its mute.
#[tokio::test]
async fn what_outlasts_its_mute_is_told_while_other_flags_are_not_answered() {
    let mut world = World::new();
    world.count(180, &counts(&ALL, 10)).await;
    let mut bursts = world.with_flags(10);
    look(&mut bursts).await;
    let began = world.end;
    world.mute(1, 8).await;
    let mut high = counts(&["e"], 70);
    high.extend(counts(&ALL[..4], 10));
    world.count(10, &high).await;
    bursts.flags.store = Choosy::new(&world.store, |filter| !without("e")(filter));
    for _ in 0..2 {
        look(&mut bursts).await;
    }
    let muted = world.muted(began).await;
    assert_eq!(muted.last().map(|(said, _, muted)| (*said, *muted)), Some(("began", false)), "{muted:?}");
}

/// What is found by somebody else is watched at the next look, and not when flags are chosen anew.
#[tokio::test]
async fn a_flag_that_somebody_else_told_of_is_watched_at_once() {
    let mut world = World::new();
    world.count(180, &counts(&["a"], 10)).await;
    let (mut one, mut other) = (world.with_flags(10), world.with_flags(1));
    look(&mut one).await;
    look(&mut other).await;
    assert_eq!(watched(&other).len(), 1);
    world.count(6, &counts(&["a"], 70)).await;
    look(&mut one).await;
    assert_eq!(world.told_of().await.len(), 1);
    drop(one);
    look(&mut other).await;
    world.count(20, &counts(&["a"], 10)).await;
    look(&mut other).await;
    assert_eq!(world.told_of().await[1..], ["burst of the flag small of acme/web/a: calm"]);
}

/// A beginning reads a week: those that are watched are looked at first, and a few begin at each look.
#[tokio::test]
async fn a_few_environments_begin_at_each_look() {
    let names: Vec<_> = (0..BEGINS_MAX + 2).map(|number| format!("e{number:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut world = World::new();
    world.count(120, &counts(&names, 10)).await;
    let mut bursts = world.with_flags(10);
    look(&mut bursts).await;
    assert_eq!((bursts.flags.chosen.len(), bursts.flags.bunches.len()), (names.len(), BEGINS_MAX));
    world.count(1, &counts(&names, 10)).await;
    let store = Choosy::new(&world.store, |_| false);
    bursts.flags.store = Arc::clone(&store) as Arc<dyn Store>;
    look(&mut bursts).await;
    assert_eq!(bursts.flags.bunches.len(), names.len());
    let reads = store.reads.lock();
    let asked = |read: &flagmeter_store::Read| read.filter.environments[0].as_str().to_owned();
    let mut order: Vec<_> = reads.iter().map(asked).collect();
    order.dedup();
    assert_eq!(order, names, "who is watched comes first");
    assert_eq!(bursts.flags.metrics.failures.get(), 0);
}

/// A beginning takes a while: who begins behind it goes as far as environments are by then.
#[tokio::test]
async fn who_begins_later_goes_as_far_as_environments_are_by_then() {
    let mut world = World::new();
    world.count(180, &counts(&["a", "b"], 10)).await;
    let mut bursts = world.with_flags(10);
    bursts.environments.look().await;
    world.count(6, &counts(&["a", "b"], 10)).await;
    let (until, later) = (Arc::clone(&bursts.flags.until), at(world.end));
    let asked = AtomicI64::new(0);
    let store = Choosy::new(&world.store, move |filter| {
        // The first time its flags are chosen of, and then they begin.
        if without("a")(filter) && asked.fetch_add(1, Ordering::SeqCst) == 1 {
            until.store(later.as_millis(), Ordering::SeqCst);
        }
        false
    });
    bursts.flags.store = Arc::clone(&store) as Arc<dyn Store>;
    bursts.flags.look().await;
    let reads = store.reads.lock();
    let goes_there = |of| {
        let mut of = reads.iter().filter(|read| without(of)(&read.filter));
        of.any(|read| read.edges.last() == Some(&later))
    };
    assert_eq!(["a", "b"].map(goes_there), [false, true]);
}
