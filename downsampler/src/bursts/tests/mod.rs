use std::collections::BTreeMap as Map;

use flagmeter_bursts::WEEK_SECONDS;
use flagmeter_ledger::{Alert, Alerted, Alerts, Config as LedgerConfig, EmbeddedLedger, Part, Position};
use flagmeter_model::{Environment, ManualClock, Name, SeriesKey, Timestamp};
use flagmeter_store::{
    conformance::fixture::{HOUR, Seal, at, environment, flag, write},
    embedded::{self, EmbeddedStore},
};

use super::{
    contributors::contributors,
    environments::{Next, Watching, there_since},
    *,
};
use crate::simulation::ModelStore;

mod answers;
mod choosy;
mod flags;
mod gone;
mod muted;
mod restarts;
mod wholes;

/// A world of one environment. Times are in seconds after that in which the store's checks take place.
struct World {
    _folder: tempfile::TempDir,
    clock: ManualClock,
    store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    seals: u64,
    /// The end of what was counted.
    end: i64,
}

impl World {
    fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(at(0)));
        let store = embedded::Config::new(folder.path().join("store.sqlite"));
        let store = Arc::new(EmbeddedStore::open(store, Arc::new(clock.clone())).unwrap());
        let ledger = LedgerConfig { path: folder.path().join("ledger.sqlite") };
        let ledger = Arc::new(EmbeddedLedger::open(&ledger).unwrap());
        Self { _folder: folder, clock, store, ledger, seals: 0, end: 0 }
    }

    fn bursts(&self) -> Environments {
        self.with_flags(0).environments
    }

    fn with_flags(&self, flags: usize) -> Bursts {
        let parts = (Arc::clone(&self.store), Arc::clone(&self.ledger));
        let clock = Arc::new(self.clock.clone());
        Bursts::new(parts, Box::new(|_| true), flags, clock, &Registry::new()).unwrap()
    }

    /// So many minutes with this many counts, in every ten seconds a sixth of it. A tenth is of another flag.
    async fn minutes(&mut self, minutes: i64, count: u64) {
        let ends = self.end + 60 * minutes;
        self.seals += 1;
        let mut seal = Seal::new(1, self.seals).unwrap().covering(self.end, ends);
        let of = environment("live").unwrap();
        let search = SeriesKey { sdk: Some(Name::new("go").unwrap()), ..flag("search").unwrap() };
        for second in (self.end..ends).step_by(10).filter(|_| count > 0) {
            seal = seal.count(&of, &flag("checkout").unwrap(), second, count / 6 - count / 60);
            seal = seal.count(&of, &search, second, count / 60);
        }
        write(&*self.store, &[seal]).await.unwrap();
        self.end = ends;
        self.clock.set(at(ends));
    }

    /// So many minutes in which each of these counts so often in ten seconds.
    async fn count(&mut self, minutes: i64, each: &[(Environment, SeriesKey, u64)]) {
        let ends = self.end + 60 * minutes;
        self.seals += 1;
        let mut seal = Seal::new(1, self.seals).unwrap().covering(self.end, ends);
        for second in (self.end..ends).step_by(10) {
            for (of, key, count) in each.iter().filter(|(.., count)| *count > 0) {
                seal = seal.count(of, key, second, *count);
            }
        }
        write(&*self.store, &[seal]).await.unwrap();
        self.end = ends;
        self.clock.set(at(ends));
    }

    /// Of what something is told, its kind and what is said.
    async fn told_of(&self) -> Vec<String> {
        let told = |Alert { alerted, .. }: &Alert| {
            format!("{} of {}: {}", alerted.kind.name(), alerted.of, alerted.said.name())
        };
        self.alerts().await.iter().map(told).collect()
    }

    /// So long nobody counts.
    fn nobody(&mut self, minutes: i64) {
        self.end += 60 * minutes;
        self.clock.set(at(self.end));
    }

    async fn alerts(&self) -> Vec<Alert> {
        let all = Alerts {
            customers: Vec::new(),
            kind: None,
            active: false,
            muted: None,
            after: Position::START,
            limit: 100,
        };
        self.ledger.alerts(all).await.unwrap().alerts
    }

    /// Kind, what is said, and when it began and was seen, in seconds.
    async fn told(&self) -> Vec<(&'static str, &'static str, i64, i64)> {
        let second = |time: Timestamp| time.millis_since(at(0)) / 1_000;
        let told = |Alert { alerted, .. }: &Alert| {
            (alerted.kind.name(), alerted.said.name(), second(alerted.since), second(alerted.seen_at))
        };
        self.alerts().await.iter().map(told).collect()
    }
}

#[tokio::test]
async fn a_burst_is_told_once_and_that_it_is_over_whoever_watches_and_however_often() {
    let mut world = World::new();
    let (mut one, mut other) = (world.bursts(), world.bursts());
    world.minutes(180, 120).await;
    one.look().await;
    assert_eq!(world.told().await, []);
    world.minutes(5, 1_200).await;
    one.look().await;
    other.look().await;
    let began = 180 * 60;
    assert_eq!(world.told().await, [("burst", "began", began, began + 150)]);
    // One that was killed, and comes again.
    for _ in 0..2 {
        one = world.bursts();
        one.look().await;
        one.look().await;
    }
    assert_eq!(world.told().await.len(), 1);
    world.minutes(20, 120).await;
    one.look().await;
    other.look().await;
    world.bursts().look().await;
    // Fifty seconds after it its last minute is still special.
    let over = began + 300 + 50 + 300;
    assert_eq!(world.told().await, [("burst", "began", began, began + 150), ("burst", "calm", began, over)]);
    let alerts = world.alerts().await;
    let alerted = &alerts[0].alerted;
    assert!(
        alerted.is_learning && alerted.observed == Some(1_200) && alerted.percent == Some(1_000),
        "{alerted:?}"
    );
    assert_eq!(alerted.excess, 2_700);
    let parts: Vec<_> = alerted
        .contributors
        .iter()
        .map(|one| (one.part, one.name.as_ref().map(Name::as_str), one.count, one.before))
        .collect();
    let expected = [
        (Part::Flag, Some("checkout"), 2_700, 270),
        (Part::Flag, Some("search"), 300, 30),
        (Part::Sdk, None, 2_700, 270),
        (Part::Sdk, Some("go"), 300, 30),
        (Part::Node, Some("1"), 3_000, 300),
    ];
    assert_eq!(parts, expected);
    let alerted = &alerts[1].alerted;
    assert_eq!((alerted.observed, alerted.peak, alerted.percent), (Some(120), 1_200, Some(100)));
    assert_eq!(alerted.excess, 5 * 1_080, "what came before it was told is in it");
    assert_eq!(other.metrics.failures.get() + one.metrics.failures.get(), 0);
}

#[tokio::test]
async fn what_began_and_was_over_while_nobody_watched_is_told_and_what_is_long_ago_is_not() {
    let mut world = World::new();
    world.minutes(180, 120).await;
    world.minutes(5, 1_200).await;
    world.minutes(120, 120).await;
    // Two hours ago: who comes now says nothing of it.
    world.bursts().look().await;
    assert_eq!(world.told().await, []);
    let began = world.end;
    world.minutes(5, 12_000).await;
    world.minutes(20, 120).await;
    world.bursts().look().await;
    let told = world.told().await;
    assert_eq!(
        told,
        [("burst", "began", began + 10, began + 150), ("burst", "calm", began + 10, began + 650)]
    );
}

#[tokio::test]
async fn what_is_not_known_is_no_drop_and_ends_a_burst_for_want_of_knowledge() {
    let mut world = World::new();
    world.minutes(180, 1_200).await;
    let mut bursts = world.bursts();
    bursts.look().await;
    world.minutes(4, 12_000).await;
    bursts.look().await;
    let began = 180 * 60;
    world.nobody(20);
    bursts.look().await;
    assert_eq!(world.told().await.len(), 1, "nobody was there: that is no end");
    world.nobody(30);
    world.minutes(10, 1_200).await;
    bursts.look().await;
    let told = world.told().await;
    assert_eq!(told[1..], [("burst", "unknown", began, began + 240 + 1_800)]);
    let over = &world.alerts().await[1].alerted;
    assert_eq!((over.observed, over.percent), (None, None));
    let watched = metrics::Watched { learning: 1, ..metrics::Watched::default() };
    assert_eq!(bursts.watching.as_ref().unwrap().panel.watched(), Map::from([("environment", watched)]));
}

/// Where two weeks are known it is compared with these: five times as much is told within two minutes.
#[tokio::test]
async fn with_earlier_weeks_five_times_as_much_is_told_within_two_minutes_and_silence_is_a_drop() {
    let mut world = World::new();
    // The same hours of each of three weeks, and nobody in between.
    for week in 0..3 {
        world.end = week * WEEK_SECONDS;
        world.clock.set(at(world.end));
        world.minutes(300, 600).await;
    }
    world.end = 3 * WEEK_SECONDS;
    world.clock.set(at(world.end));
    world.minutes(120, 600).await;
    let mut bursts = world.bursts();
    bursts.look().await;
    assert_eq!(world.told().await, []);
    let began = world.end;
    world.minutes(2, 3_000).await;
    bursts.look().await;
    assert_eq!(world.told().await, [("burst", "began", began + 10, began + 80)]);
    let alerted = world.alerts().await[0].alerted.clone();
    assert!(!alerted.is_learning && alerted.expected == 600, "{alerted:?}");
    assert!(alerted.low < 600 && (601..1_200).contains(&alerted.high), "{alerted:?}");
    let watched = bursts.watching.as_ref().unwrap().panel.watched()["environment"];
    assert_eq!((watched.known, watched.learning, watched.bursts), (1, 0, 1));
    world.minutes(30, 600).await;
    world.minutes(9, 0).await;
    bursts.look().await;
    let told: Vec<_> = world.told().await.iter().map(|(kind, said, ..)| (*kind, *said)).collect();
    assert_eq!(told, [("burst", "began"), ("burst", "calm"), ("drop", "began")]);
}

/// What is not in yet is no drop, nor unknown for good: it is read again.
#[tokio::test]
async fn what_is_not_in_yet_is_waited_for_and_silence_behind_it_is_a_drop() {
    let mut world = World::new();
    for week in 0..3 {
        world.end = week * WEEK_SECONDS;
        world.clock.set(at(world.end));
        world.minutes(300, 600).await;
    }
    world.end = 3 * WEEK_SECONDS;
    world.clock.set(at(world.end));
    world.minutes(120, 600).await;
    world.clock.set(at(world.end + 12));
    let mut bursts = world.bursts();
    bursts.look().await;
    assert_eq!(bursts.watching.as_ref().unwrap().panel.end(), at(world.end));
    // It stalls for longer than a drop takes to be seen.
    let stalls = world.end;
    world.clock.set(at(stalls + 540));
    bursts.look().await;
    assert_eq!(bursts.watching.as_ref().unwrap().panel.end(), at(stalls));
    world.minutes(9, 0).await;
    bursts.look().await;
    let told: Vec<_> =
        world.told().await.iter().map(|(kind, said, since, _)| (*kind, *said, *since)).collect();
    // Until then the last minute has some of what was before.
    assert_eq!(told, [("drop", "began", stalls + 50)]);
}

/// Of weeks before an environment was there nothing is known: it learns, and what it begins with is no burst.
#[tokio::test]
async fn one_that_is_new_among_others_learns_first() {
    let mut world = World::new();
    for week in 0..3 {
        world.end = week * WEEK_SECONDS;
        world.clock.set(at(world.end));
        world.minutes(300, 600).await;
    }
    world.end = 3 * WEEK_SECONDS;
    world.clock.set(at(world.end));
    world.minutes(120, 600).await;
    let (new, second) = (environment("new").unwrap(), world.end);
    world.seals += 1;
    let mut seal = Seal::new(1, world.seals).unwrap().covering(second, second + 1_800);
    for second in (second..second + 1_800).step_by(10) {
        seal = seal.count(&new, &flag("checkout").unwrap(), second, 100);
        seal = seal.count(&environment("live").unwrap(), &flag("checkout").unwrap(), second, 100);
    }
    write(&*world.store, &[seal]).await.unwrap();
    world.clock.set(at(second + 1_800));
    let mut bursts = world.bursts();
    bursts.look().await;
    assert_eq!(world.told().await, []);
    let watched = bursts.watching.as_ref().unwrap().panel.watched()["environment"];
    assert_eq!((watched.known, watched.learning), (1, 1));
    let there: Map<_, _> = there_since(&*world.store, at(second + 1_800)).await.unwrap();
    assert_eq!(there.get(&new), Some(&at(second).floor_to(HOUR)));
}

/// Whoever slept for hours begins anew, and goes on from what was told.
#[tokio::test]
async fn who_has_not_looked_for_hours_goes_on_from_what_was_told() {
    let mut world = World::new();
    world.minutes(180, 120).await;
    world.minutes(5, 1_200).await;
    let mut bursts = world.bursts();
    bursts.look().await;
    assert_eq!(world.told().await.len(), 1);
    world.minutes(200, 120).await;
    let began = bursts.watching.as_ref().unwrap().panel.end();
    assert!(bursts.watching.as_ref().unwrap().is_behind(&*world.store, world.clock.now()).await.unwrap());
    bursts.look().await;
    let told: Vec<_> =
        world.told().await.iter().map(|(kind, said, since, _)| (*kind, *said, *since)).collect();
    assert_eq!(told, [("burst", "began", 10_800), ("burst", "calm", 10_800)]);
    assert!(bursts.watching.as_ref().unwrap().panel.end() > began);
}

/// A store that does not answer is no silence, and nothing of that time is left out.
#[tokio::test]
async fn a_look_that_fails_is_counted_and_repeated_and_leaves_nothing_out() {
    let mut world = World::new();
    world.minutes(180, 120).await;
    let mut bursts = world.bursts();
    assert_eq!(bursts.look().await, Next::Soon);
    // It answers nothing that a watch asks.
    let answering = std::mem::replace(&mut bursts.store, Arc::new(ModelStore::default()));
    world.minutes(5, 1_200).await;
    assert_eq!(bursts.look().await, Next::AfterARest);
    assert_eq!((bursts.metrics.failures.get(), world.told().await), (1, vec![]));
    bursts.store = answering;
    assert_eq!(bursts.look().await, Next::Soon);
    // Nor does an alert that cannot be keep back the others.
    let mut wrong = world.alerts().await[0].alerted.clone();
    wrong.low = wrong.expected + 1;
    bursts.found.push_back(wrong);
    world.minutes(20, 120).await;
    bursts.look().await;
    let told: Vec<_> = world.told().await.iter().map(|(kind, said, ..)| (*kind, *said)).collect();
    assert_eq!((told, bursts.metrics.failures.get()), (vec![("burst", "began"), ("burst", "calm")], 2));
}

/// What an alert comes from is worth having, and no more.
#[tokio::test]
async fn an_alert_is_told_also_where_it_is_not_known_what_it_comes_from() {
    let mut world = World::new();
    world.minutes(180, 120).await;
    world.minutes(5, 1_200).await;
    world.bursts().look().await;
    let mut alerted = world.alerts().await.remove(0).alerted;
    alerted.contributors.clear();
    let other = World::new();
    let mut bursts = other.bursts();
    bursts.store = Arc::new(ModelStore::default());
    bursts.found.push_back(alerted.clone());
    bursts.look().await;
    let told: Vec<_> = other.alerts().await.into_iter().map(|alert| alert.alerted).collect();
    assert_eq!((told, bursts.metrics.failures.get()), (vec![alerted.clone()], 2));
}

/// Of the time before the first count nothing is known, which is not that nothing was counted.
#[tokio::test]
async fn what_an_alert_comes_from_is_not_told_where_the_time_before_is_not_known() {
    let mut world = World::new();
    world.minutes(180, 120).await;
    world.minutes(5, 1_200).await;
    world.bursts().look().await;
    let mut alerted = world.alerts().await.remove(0).alerted;
    assert_eq!(contributors(&*world.store, &alerted).await.unwrap().len(), 5);
    (alerted.since, alerted.seen_at) = (at(60), at(240));
    assert_eq!(contributors(&*world.store, &alerted).await.unwrap(), []);
}

/// Raw points of weeks are not read, nor does what comes from finer tiers than are kept fall away.
#[tokio::test]
async fn of_what_began_long_ago_is_read_to_the_minute_and_the_hour_and_nodes_are_not() {
    let mut world = World::new();
    world.minutes(180, 120).await;
    world.minutes(5, 1_200).await;
    world.bursts().look().await;
    let alerted = world.alerts().await.remove(0).alerted;
    let since = at(3 * WEEK_SECONDS + 10);
    for (seconds, to) in [(70, 10), (3_600, 10), (3_610, 60), (90_010, 3_600)] {
        let store = choosy::Choosy::new(&world.store, |_| false);
        // Whether all is known is not what this is about.
        let seen_at = since.plus_seconds(seconds);
        let told = Alerted { since, seen_at, ..alerted.clone() };
        contributors(&*store, &told).await.unwrap();
        let edges = store.reads.lock()[0].edges.clone();
        assert_eq!(edges[1], since.floor_to(to), "{seconds}");
        assert_eq!(edges[2].millis_since(edges[1]), edges[1].millis_since(edges[0]), "{seconds}");
        assert!(edges.iter().all(|edge| *edge == edge.floor_to(to)), "{seconds}");
    }
    // Where all is known.
    for (from, nodes) in [(125, 1), (123, 0)] {
        let store = choosy::Choosy::new(&world.store, |_| false);
        let told = Alerted { since: at(from * 60), seen_at: at(184 * 60), ..alerted.clone() };
        contributors(&*store, &told).await.unwrap();
        assert_eq!(store.by_node.lock().len(), nodes, "{from}");
    }
}

/// A store that may come back.
fn away() -> Arc<dyn Store> {
    let store = ModelStore::default();
    store.go_away();
    Arc::new(store)
}

/// A beginning reads a week: where it fails it is not tried again every few seconds.
#[tokio::test]
async fn after_a_beginning_that_fails_it_rests() {
    let mut world = World::new();
    world.minutes(180, 120).await;
    let mut bursts = world.bursts();
    let answering = std::mem::replace(&mut bursts.store, away());
    assert_eq!(bursts.look().await, Next::AfterARest);
    bursts.store = answering;
    assert_eq!(bursts.look().await, Next::Soon);
    bursts.store = away();
    world.minutes(5, 120).await;
    assert_eq!(bursts.look().await, Next::Soon, "it has begun");
    assert_eq!(bursts.metrics.failures.get(), 2);
}

/// That nothing was ever counted is no delay; that nobody can look is one, also before anything is watched.
#[tokio::test]
async fn how_far_behind_the_watch_is_is_told_also_before_it_has_begun() {
    let mut world = World::new();
    let mut bursts = world.bursts();
    world.clock.set(at(60));
    bursts.look().await;
    assert_eq!(bursts.metrics.lag.get(), 0);
    let answering = std::mem::replace(&mut bursts.store, away());
    world.clock.set(at(260));
    bursts.look().await;
    assert_eq!(bursts.metrics.lag.get(), 200);
    bursts.store = answering;
    world.minutes(30, 120).await;
    bursts.look().await;
    assert_eq!(bursts.metrics.lag.get(), 0);
}

/// Of earlier weeks no more is held than is asked for next.
#[tokio::test]
async fn earlier_weeks_are_forgotten_while_it_begins() {
    let mut world = World::new();
    world.minutes(180, 120).await;
    let watching = Watching::begin(&*world.store, &*world.ledger, at(world.end)).await.unwrap();
    let mut watching = watching.unwrap();
    // Four weeks, two slots before the end and two behind it, and one that is cut.
    assert!(watching.past.held() <= 4 * 5, "{}", watching.past.held());
    watching.step(&*world.store, at(world.end)).await.unwrap();
    assert!(watching.past.held() <= 4 * 5, "{}", watching.past.held());
}

#[tokio::test]
async fn nothing_is_told_to_begin_of_a_customer_that_is_not_watched() {
    let mut world = World::new();
    world.minutes(180, 120).await;
    let mut bursts = world.bursts();
    bursts.is_watched = Arc::new(|customer| customer.as_str() != "acme");
    world.minutes(5, 1_200).await;
    bursts.look().await;
    world.minutes(20, 120).await;
    bursts.look().await;
    assert_eq!(world.told().await, []);
    world.minutes(60, 120).await;
    // What was told is told to be over, also where nothing is looked for any more.
    world.minutes(5, 12_000).await;
    world.bursts().look().await;
    world.minutes(20, 120).await;
    bursts.look().await;
    let told: Vec<_> = world.told().await.iter().map(|(_, said, ..)| *said).collect();
    assert_eq!(told, ["began", "calm"]);
}
