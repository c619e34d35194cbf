//! What begins while a mute is in force, and what outlasts it.

use flagmeter_ledger::{AlertKind, MuteId, Muting, Said, Subject};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::*;

impl World {
    /// A mute of all that is there, from now on.
    pub(super) async fn mute(&self, id: u128, minutes: i64) {
        self.mute_of(Subject::Customer(environment("live").unwrap().customer), id, minutes).await;
    }

    async fn mute_of(&self, of: Subject, id: u128, minutes: i64) {
        let muting = Muting {
            id: MuteId::new(id),
            of,
            from: at(self.end),
            to: at(self.end + 60 * minutes),
            reason: "a launch".into(),
            by: "test".into(),
        };
        self.ledger.mute(muting, at(self.end)).await.unwrap();
    }

    /// What is said, in minutes from then on until when it was seen, and whether it is muted.
    pub(super) async fn muted(&self, since: i64) -> Vec<(&'static str, i64, bool)> {
        let minute = |seen: Timestamp| (seen.millis_since(at(since)) + 59_999) / 60_000;
        let alerts = self.alerts().await;
        let one =
            |alert: &Alert| (alert.alerted.said.name(), minute(alert.alerted.seen_at), alert.muted.is_some());
        alerts.iter().map(one).collect()
    }
}

#[tokio::test]
async fn what_begins_and_ends_while_a_mute_is_in_force_is_kept_and_not_told() {
    let mut world = World::new();
    let mut bursts = world.bursts();
    world.minutes(180, 120).await;
    world.mute(1, 60).await;
    let began = world.end;
    world.minutes(5, 1_200).await;
    bursts.look().await;
    world.minutes(20, 120).await;
    bursts.look().await;
    world.bursts().look().await;
    assert_eq!(world.muted(began).await, [("began", 3, true), ("calm", 11, true)]);
    let counted = |said: &str| bursts.metrics.muted.with_label_values(&["environment", "burst", said]).get();
    assert_eq!((counted("began"), counted("over")), (1, 1));
    world.minutes(60, 120).await;
    bursts.look().await;
    assert_eq!(world.muted(began).await.len(), 2);
    // The mute is over: the next one is told.
    world.minutes(5, 12_000).await;
    bursts.look().await;
    assert_eq!(
        world.muted(began).await.last().map(|(said, _, muted)| (*said, *muted)),
        Some(("began", false))
    );
}

/// Whoever watches then, and however often he was started anew meanwhile.
#[tokio::test]
async fn what_outlasts_its_mute_is_told_once_with_what_it_has_become() {
    let mut world = World::new();
    let (mut one, mut other) = (world.bursts(), world.bursts());
    world.minutes(180, 120).await;
    world.mute(1, 12).await;
    let began = world.end;
    world.minutes(5, 1_200).await;
    one.look().await;
    other.look().await;
    world.minutes(6, 2_400).await;
    one.look().await;
    assert_eq!(world.muted(began).await, [("began", 3, true)]);
    // Ten seconds are missing to its end, and then none are.
    world.minutes(2, 1_800).await;
    world.bursts().look().await;
    one.look().await;
    for _ in 0..2 {
        other.look().await;
        world.bursts().look().await;
    }
    assert_eq!(world.muted(began).await, [("began", 3, true), ("began", 13, false)]);
    let alerts = world.alerts().await;
    let [muted, told] = [&alerts[0], &alerts[1]];
    assert_eq!((told.alerted.since, told.alerted.expected), (muted.alerted.since, muted.alerted.expected));
    assert_eq!((told.alerted.observed, told.alerted.peak), (Some(1_800), 2_400));
    assert!(told.alerted.excess > 20_000, "{told:?}");
    assert_eq!(told.alerted.contributors[0].name.as_ref().map(Name::as_str), Some("checkout"));
    assert_ne!(told.id(), muted.id());
    world.minutes(20, 120).await;
    one = world.bursts();
    one.look().await;
    other.look().await;
    assert_eq!(world.muted(began).await[2..], [("calm", 19, false)]);
    assert_eq!(one.metrics.failures.get() + other.metrics.failures.get(), 0);
}

#[tokio::test]
async fn one_that_was_ended_early_mutes_no_more() {
    let mut world = World::new();
    let mut bursts = world.bursts();
    world.minutes(180, 120).await;
    world.mute(1, 60).await;
    world.mute(2, 60).await;
    let began = world.end;
    world.minutes(5, 1_200).await;
    bursts.look().await;
    assert_eq!(bursts.metrics.in_force(), 2);
    let end = async |world: &World, id| {
        world.ledger.end_mute(MuteId::new(id), "test".into(), at(world.end)).await.unwrap();
    };
    end(&world, 1).await;
    world.minutes(1, 1_200).await;
    bursts.look().await;
    assert_eq!((bursts.metrics.in_force(), world.muted(began).await.len()), (1, 1), "one is still in force");
    end(&world, 2).await;
    world.minutes(1, 1_200).await;
    bursts.look().await;
    bursts.look().await;
    assert_eq!(bursts.metrics.in_force(), 0);
    assert_eq!(world.muted(began).await, [("began", 3, true), ("began", 7, false)]);
}

/// It has calmed down when the mute is over, though nobody has said yet that it is over: there is nothing to wake anyone for.
#[tokio::test]
async fn what_is_calm_when_its_mute_is_over_wakes_nobody() {
    let mut world = World::new();
    let mut bursts = world.bursts();
    world.minutes(180, 120).await;
    world.mute(1, 8).await;
    let began = world.end;
    world.minutes(5, 1_200).await;
    bursts.look().await;
    for _ in 0..6 {
        world.minutes(1, 120).await;
        bursts.look().await;
    }
    // The last minute is known, and the mute is over for a while.
    world.minutes(5, 120).await;
    bursts.look().await;
    assert_eq!(world.muted(began).await, [("began", 3, true), ("calm", 11, true)]);
}

#[tokio::test]
async fn what_outlasts_its_mute_is_not_told_of_a_customer_that_is_not_watched_any_more() {
    let mut world = World::new();
    world.minutes(180, 120).await;
    world.mute(1, 6).await;
    world.minutes(5, 1_200).await;
    world.bursts().look().await;
    let mut bursts = world.bursts();
    bursts.is_watched = Arc::new(|_| false);
    world.minutes(5, 1_200).await;
    bursts.look().await;
    assert_eq!(world.alerts().await.len(), 1);
    world.bursts().look().await;
    assert_eq!(world.alerts().await.len(), 2);
}

/// The ledger asks for mutes at both times: what it would not tell is not told to it at every look.
#[tokio::test]
async fn what_another_mute_covers_by_now_does_not_outlast_its_mute() {
    let mut world = World::new();
    let mut bursts = world.bursts();
    world.minutes(180, 120).await;
    world.mute(1, 8).await;
    world.minutes(6, 1_200).await;
    bursts.look().await;
    world.minutes(3, 1_200).await;
    let seen_until = at(world.end);
    world.nobody(1);
    world.mute(2, 60).await;
    let mut watching = bursts.watching.take().unwrap();
    watching.step(&*world.store, seen_until).await.unwrap();
    for (now, outlasts) in [(seen_until, 1), (world.clock.now(), 0)] {
        let goes_on = |was: &Alerted| watching.panel.goes_on(was);
        let found = super::super::muted::outlasting(&*world.ledger, &|_| true, now, goes_on).await.unwrap();
        assert_eq!(found.len(), outlasts, "{now}");
    }
}

/// A whole says what none of its parts says, and a part that is muted has been found: nobody is woken by its project.
#[tokio::test]
async fn what_is_muted_in_a_part_is_not_told_of_the_whole() {
    let [load, live] = ["load", "live"].map(|text| environment(text).unwrap());
    let each = |load_count| {
        let flag = flag("checkout").unwrap();
        [(load.clone(), flag.clone(), load_count), (live.clone(), flag, 20)]
    };
    let mut world = World::new();
    let mut bursts = world.bursts();
    world.count(180, &each(20)).await;
    bursts.look().await;
    world.mute_of(load.clone().into(), 1, 12).await;
    for restarts in [false, true, false, true, false] {
        world.count(2, &each(1_000)).await;
        if restarts {
            bursts = world.bursts();
        }
        bursts.look().await;
    }
    let told = |of: &str, said: &str| format!("burst of {of}: {said}");
    let of = Subject::from(load.clone()).to_string();
    assert_eq!(world.told_of().await, [told(&of, "began")]);
    assert!(world.alerts().await[0].muted.is_some());
    for _ in 0..3 {
        world.count(2, &each(1_000)).await;
        bursts.look().await;
    }
    assert_eq!(world.told_of().await, [told(&of, "began"), told(&of, "began")]);
    world.count(20, &each(20)).await;
    bursts.look().await;
    world.bursts().look().await;
    let muted: Vec<_> = world.alerts().await.iter().map(|alert| alert.muted.is_some()).collect();
    assert_eq!((world.told_of().await.len(), muted), (3, vec![true, false, false]));
}

/// What a whole alone says is muted with it, and told of it when it outlasts its mute.
#[tokio::test]
async fn a_whole_is_muted_and_told_like_its_parts() {
    let environments = ["a", "b", "c", "d", "e"].map(|text| environment(text).unwrap());
    let each = |count| environments.each_ref().map(|one| (one.clone(), flag("checkout").unwrap(), count));
    let mut world = World::new();
    let mut bursts = world.bursts();
    world.count(180, &each(1)).await;
    bursts.look().await;
    let Environment { customer, project, .. } = environments[0].clone();
    let of = Subject::Project { customer, project };
    world.mute_of(of.clone(), 1, 8).await;
    world.count(6, &each(7)).await;
    bursts.look().await;
    bursts = world.bursts();
    bursts.look().await;
    let began = format!("burst of {of}: began");
    assert_eq!(world.told_of().await, [began.as_str()]);
    world.count(4, &each(7)).await;
    bursts.look().await;
    world.bursts().look().await;
    assert_eq!(world.told_of().await, [began.as_str(), &began]);
    let muted: Vec<_> = world.alerts().await.iter().map(|alert| alert.muted.is_some()).collect();
    assert_eq!(muted, [true, false]);
}

/// Whenever whoever watches is started anew or stops for a while: of what is told, what began and what is over take turns,
/// nothing begins to be told while a mute is in force, and what goes on beyond it is.
#[tokio::test]
async fn whenever_it_is_killed_nothing_is_told_twice_and_nothing_is_missed() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..6 {
        let mut world = World::new();
        let mut bursts = world.bursts();
        world.minutes(180, 120).await;
        bursts.look().await;
        let (mute_minutes, kills) =
            (4..9_i64, prop::collection::vec(0..3_u8, 14)).new_tree(&mut runner).unwrap().current();
        let from = world.end;
        world.mute(1, mute_minutes).await;
        for (minute, what) in kills.iter().enumerate() {
            world.minutes(1, if minute < 13 { 1_200 } else { 120 }).await;
            match what {
                0 => bursts = world.bursts(),
                1 => continue,
                _ => {}
            }
            bursts.look().await;
        }
        world.bursts().look().await;
        world.minutes(20, 120).await;
        world.bursts().look().await;
        let alerts = world.alerts().await;
        let context = format!("{mute_minutes} {kills:?} {:?}", world.muted(from).await);
        let told: Vec<_> = alerts.iter().filter(|alert| alert.muted.is_none()).collect();
        let said: Vec<_> = told.iter().map(|alert| alert.alerted.said).collect();
        assert!(said.is_empty() || said == [Said::Began, Said::Calm], "{context}");
        let until = at(from + 60 * mute_minutes);
        assert!(told.iter().all(|alert| alert.alerted.seen_at >= until), "{context}");
        // Somebody looked while it went on and the mute was over.
        let looked =
            (0..13).any(|minute| minute >= mute_minutes && kills[usize::try_from(minute).unwrap()] != 1);
        assert_eq!(!said.is_empty(), looked, "{context}");
        assert!(alerts.iter().all(|alert| alert.alerted.kind == AlertKind::Burst), "{context}");
    }
}
