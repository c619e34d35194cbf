//! Flags one by one: the largest, where they say what their environment does not say.

use std::collections::BTreeSet;

use super::{
    choice::{Chosen, among, choose},
    unanswered::Unanswered,
    *,
};

/// So many counts in ten seconds of each flag of an environment.
pub(super) fn flags(of: &str, counts: &[(&str, u64)]) -> Vec<(Environment, SeriesKey, u64)> {
    let key = |name: &str| flag(name).unwrap();
    counts.iter().map(|(name, count)| (environment(of).unwrap(), key(name), *count)).collect()
}

pub(super) async fn look(bursts: &mut Bursts) {
    bursts.environments.look().await;
    bursts.flags.look().await;
}

pub(super) fn watched(bursts: &Bursts) -> BTreeSet<&str> {
    bursts.flags.chosen.values().flatten().map(Name::as_str).collect()
}

#[tokio::test]
async fn a_burst_of_one_flag_in_a_big_environment_is_told_once_of_the_flag() {
    let ordinary = flags("live", &[("big", 1_000), ("small", 10)]);
    let mut world = World::new();
    world.count(180, &ordinary).await;
    let mut bursts = world.with_flags(10);
    look(&mut bursts).await;
    assert_eq!(bursts.flags.metrics.watched.with_label_values(&["flag", "learning"]).get(), 2);
    world.count(6, &flags("live", &[("big", 1_000), ("small", 70)])).await;
    look(&mut bursts).await;
    let began = "burst of the flag small of acme/web/live: began";
    assert_eq!(world.told_of().await, [began]);
    let alerts = world.alerts().await;
    let Alert { alerted, .. } = &alerts[0];
    assert_eq!((alerted.observed, alerted.expected, alerted.percent), (Some(420), 60, Some(700)));
    // Seen after 170 seconds, it waits a minute for its environment.
    assert_eq!((alerted.since, alerted.seen_at), (at(180 * 60 + 10), at(180 * 60 + 230)));
    let parts: Vec<_> = alerted.contributors.iter().map(|one| (one.part, one.count)).collect();
    assert_eq!(parts, [(Part::Sdk, 22 * 70), (Part::Node, 22 * 70)]);
    assert_eq!(bursts.flags.metrics.active.with_label_values(&["flag", "burst"]).get(), 1);
    for _ in 0..2 {
        look(&mut bursts).await;
        bursts = world.with_flags(10);
        look(&mut bursts).await;
    }
    assert_eq!(world.told_of().await, [began]);
    // It is watched until it is over, also by who is told to watch none.
    let mut none = world.with_flags(0);
    look(&mut none).await;
    assert_eq!(watched(&none), BTreeSet::from(["small"]));
    world.count(20, &ordinary).await;
    look(&mut none).await;
    look(&mut bursts).await;
    assert_eq!(world.told_of().await, [began, "burst of the flag small of acme/web/live: calm"]);
    assert_eq!(bursts.flags.metrics.failures.get(), 0);
}

#[tokio::test]
async fn what_an_environment_tells_its_flags_do_not_tell_again() {
    let counts = |times: u64| flags("live", &[("big", 100 * times), ("small", 20 * times)]);
    let mut world = World::new();
    world.count(180, &counts(1)).await;
    let mut bursts = world.with_flags(10);
    look(&mut bursts).await;
    let mut expected = Vec::new();
    for times in [10, 70] {
        world.count(6, &counts(times)).await;
        look(&mut bursts).await;
        expected.push("burst of acme/web/live: began");
        assert_eq!(world.told_of().await, expected);
        world.count(22, &counts(1)).await;
        look(&mut bursts).await;
        look(&mut world.with_flags(10)).await;
        expected.push("burst of acme/web/live: calm");
        assert_eq!(world.told_of().await, expected);
    }
}

#[tokio::test]
async fn flags_beyond_the_bound_are_not_watched_nor_is_the_only_one_of_an_environment() {
    let ordinary =
        [flags("live", &[("big", 1_000), ("small", 10)]), flags("alone", &[("single", 500)])].concat();
    let mut world = World::new();
    world.count(180, &ordinary).await;
    let mut bursts = world.with_flags(1);
    look(&mut bursts).await;
    assert_eq!(watched(&bursts), BTreeSet::from(["big"]));
    world.count(6, &[flags("live", &[("big", 1_000), ("small", 70)]), ordinary[2..].to_vec()].concat()).await;
    look(&mut bursts).await;
    assert_eq!(world.told_of().await, Vec::<String>::new());
    let mut none = world.with_flags(0);
    look(&mut none).await;
    assert_eq!(watched(&none), BTreeSet::new());
}

#[tokio::test]
async fn an_environment_is_told_while_reading_of_its_flags_fails() {
    let counts = |big: u64, small: u64| flags("live", &[("big", big), ("small", small)]);
    let mut world = World::new();
    world.count(180, &counts(100, 10)).await;
    let mut bursts = world.with_flags(10);
    look(&mut bursts).await;
    let answering = std::mem::replace(&mut bursts.flags.store, Arc::new(ModelStore::default()));
    world.count(6, &counts(1_000, 10)).await;
    look(&mut bursts).await;
    assert_eq!(world.told_of().await, ["burst of acme/web/live: began"]);
    assert_eq!(bursts.flags.metrics.failures.get(), 1);
    world.count(30, &counts(100, 10)).await;
    look(&mut bursts).await;
    // Nothing is left out when they are read again.
    world.count(6, &counts(100, 70)).await;
    bursts.flags.store = answering;
    look(&mut bursts).await;
    let told = world.told_of().await;
    assert_eq!(told[2..], ["burst of the flag small of acme/web/live: began"]);
}

#[tokio::test]
async fn those_that_are_watched_stay_as_long_as_they_are_large_or_something_goes_on() {
    let mut world = World::new();
    world.count(120, &flags("live", &[("a", 40), ("b", 30), ("c", 20), ("d", 10)])).await;
    let chosen = |names: &[&str]| -> Chosen {
        let names: BTreeSet<_> = names.iter().map(|name| Name::new(name).unwrap()).collect();
        Map::from([(environment("live").unwrap(), names)])
    };
    let (store, now) = (&*world.store, at(world.end));
    let none = Chosen::new;
    for (flags, before, going, expected) in [
        (2, none(), none(), chosen(&["a", "b"])),
        (2, chosen(&["c", "d"]), none(), chosen(&["c", "d"])),
        (1, chosen(&["b"]), none(), chosen(&["b"])),
        (1, chosen(&["c"]), none(), chosen(&["a"])),
        (1, chosen(&["c"]), chosen(&["c"]), chosen(&["a", "c"])),
        (9, none(), chosen(&["gone"]), chosen(&["a", "b", "c", "d", "gone"])),
        (0, chosen(&["a"]), none(), none()),
        (0, none(), chosen(&["c"]), chosen(&["c"])),
        (usize::MAX, none(), none(), chosen(&["a", "b", "c", "d"])),
    ] {
        let mut unanswered = Unanswered::new(world.bursts().metrics);
        let chosen = choose(store, flags, now, (&before, going), &mut unanswered).await.unwrap();
        assert_eq!(chosen, expected, "{flags} {before:?}");
    }
}

/// Like flags: whoever is new has to be learnt first.
#[test]
fn environments_stay_as_long_as_they_are_among_twice_as_many() {
    let all = || vec!["a", "b", "c", "d", "e"];
    assert_eq!(among(all(), 2, |_| false), ["a", "b"]);
    assert_eq!(among(all(), 2, |one| *one == "d"), ["d", "a"]);
    assert_eq!(among(all(), 2, |one| *one == "e"), ["a", "b"]);
}

#[tokio::test]
async fn a_flag_that_outlasts_the_mute_of_its_environment_is_told_once() {
    let high = flags("live", &[("big", 1_000), ("small", 70)]);
    let mut world = World::new();
    world.count(180, &flags("live", &[("big", 1_000), ("small", 10)])).await;
    let mut bursts = world.with_flags(10);
    look(&mut bursts).await;
    let began = world.end;
    world.mute(1, 8).await;
    world.count(6, &high).await;
    look(&mut bursts).await;
    assert_eq!(world.muted(began).await, [("began", 4, true)]);
    world.count(4, &high).await;
    for _ in 0..2 {
        look(&mut bursts).await;
        look(&mut world.with_flags(10)).await;
    }
    assert_eq!(world.muted(began).await, [("began", 4, true), ("began", 10, false)]);
    let began = "burst of the flag small of acme/web/live: began";
    assert_eq!(world.told_of().await, [began; 2]);
}

/// Nobody knows what environments say before they were looked at.
#[tokio::test]
async fn flags_are_looked_at_as_far_as_environments_are() {
    let mut world = World::new();
    world.count(180, &flags("live", &[("big", 1_000), ("small", 10)])).await;
    let mut bursts = world.with_flags(10);
    bursts.flags.look().await;
    assert_eq!(watched(&bursts), BTreeSet::new());
    look(&mut bursts).await;
    world.count(6, &flags("live", &[("big", 1_000), ("small", 70)])).await;
    bursts.flags.look().await;
    assert_eq!(world.told_of().await, Vec::<String>::new());
    look(&mut bursts).await;
    assert_eq!(world.told_of().await.len(), 1);
}
