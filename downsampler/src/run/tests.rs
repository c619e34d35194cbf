use flagmeter_model::{ManualClock, SystemClock};
use flagmeter_store::Error as StoreError;
use prometheus::TextEncoder;

use super::*;
use crate::{
    Error,
    simulation::{Action, ModelLedger, ModelStore, World},
};

/// A store in which everything is rolled up, a world over it, and a clock that says the same.
async fn settled() -> (Arc<ModelStore>, World, ManualClock) {
    let store = Arc::new(ModelStore::default());
    let mut world = World::over(
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::new(ModelLedger::default()),
        Config::default(),
    );
    for environment in 0..3 {
        world.act(&Action::Count { node: 0, environment, series: 0, age_seconds: 0, count: 5 }).await;
    }
    world.settle().await;
    let clock = ManualClock::at(world.now());
    (store, world, clock)
}

/// A count of three hours ago, when hours were whole already, gets through.
pub(super) async fn come_late(world: &mut World) {
    let count = Action::Count { node: 0, environment: 0, series: 1, age_seconds: 3 * 3_600, count: 7 };
    for action in [count, Action::Seal { node: 0 }] {
        world.act(&action).await;
    }
    for partition in 0..2 {
        world.act(&Action::Deliver { node: 0, partition, records: 9 }).await;
    }
}

/// The value of `flagmeter_downsampler_<which>` as it is scraped; `None` where there is none.
pub(super) fn metric(registry: &Registry, which: &str) -> Option<i64> {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).expect("text");
    let value = |line: &str| Some(line.strip_prefix(&format!("flagmeter_downsampler_{which} "))?.to_owned());
    text.lines().find_map(value).map(|value| value.parse().expect("a whole number"))
}

pub(super) fn windows(registry: &Registry, tier: &str, kind: &str) -> Option<i64> {
    metric(registry, &format!("windows_total{{kind=\"{kind}\",tier=\"{tier}\"}}"))
}

/// How often the store was asked to roll up.
fn rolls(registry: &Registry, tier: &str, kind: &str) -> Option<i64> {
    metric(registry, &format!("roll_seconds_count{{kind=\"{kind}\",tier=\"{tier}\"}}"))
}

pub(super) fn errors(registry: &Registry, outcome: &str) -> Option<i64> {
    metric(registry, &format!("errors_total{{outcome=\"{outcome}\"}}"))
}

async fn first_cycle(registry: &Registry) {
    while metric(registry, "cycle_seconds_count").is_none_or(|cycles| cycles < 1) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn late_data_climbs_to_its_hour_in_one_cycle() {
    let (store, mut world, clock) = settled().await;
    come_late(&mut world).await;
    assert_eq!(store.state().await.expect("the state").dirty, 1);
    let registry = Registry::new();
    let store = store as Arc<dyn Store>;
    let mut downsampler =
        Downsampler::new(Config::default(), store, None, Arc::new(clock), &registry).expect("a downsampler");
    let report = downsampler.cycle().await.expect("a cycle");
    assert_eq!((report.dirty, report.on_time, report.state.dirty, report.more), (3, 0, 0, false));
    world.check_all().await;
    for tier in ["1m", "15m", "1h"] {
        assert_eq!(windows(&registry, tier, "dirty"), Some(1));
        assert_eq!(windows(&registry, tier, "on_time"), Some(0));
        assert_eq!((rolls(&registry, tier, "dirty"), rolls(&registry, tier, "on_time")), (Some(1), Some(0)));
    }
}

#[tokio::test]
async fn metrics_say_what_was_done_and_what_waits() {
    let (store, mut world, clock) = settled().await;
    // Node 1 has been silent since it settled, and node 0 counts on.
    world.act(&Action::Silence { node: 1 }).await;
    world.act(&Action::Pass { seconds: 600 }).await;
    world.act(&Action::Count { node: 0, environment: 0, series: 0, age_seconds: 120, count: 1 }).await;
    world.act(&Action::Seal { node: 0 }).await;
    for partition in 0..2 {
        world.act(&Action::Deliver { node: 0, partition, records: 9 }).await;
    }
    clock.set(world.now());
    let registry = Registry::new();
    let store = store as Arc<dyn Store>;
    let mut downsampler =
        Downsampler::new(Config::default(), store, None, Arc::new(clock.clone()), &registry)
            .expect("a downsampler");
    let report = downsampler.cycle().await.expect("a cycle");
    let whole = report.state.frontiers.minute.whole.expect("minutes are whole");
    assert_eq!(windows(&registry, "1m", "on_time"), Some(1));
    assert_eq!(rolls(&registry, "1m", "on_time"), Some(1));
    assert_eq!(rolls(&registry, "1m", "dirty"), Some(0));
    assert_eq!(metric(&registry, "missing_nodes"), Some(1));
    assert_eq!(metric(&registry, "dirty_windows"), Some(0));
    assert_eq!(metric(&registry, "cycle_seconds_count"), Some(1));
    let lag = |tier| metric(&registry, &format!("frontier_lag_seconds{{tier=\"{tier}\"}}"));
    assert_eq!(lag("1m"), Some(clock.now().millis_since(whole) / 1_000));
    assert!(lag("1h") > lag("1m"));
    assert_eq!((errors(&registry, "retried"), errors(&registry, "fatal")), (Some(0), Some(0)));
    assert_eq!(metric(&registry, "deleted_rows_total"), Some(0));
}

#[tokio::test]
async fn retention_deletes_what_is_old_and_counts_it() {
    let (store, _world, clock) = settled().await;
    let registry = Registry::new();
    let hour = Some(Duration::from_hours(1));
    let retention = crate::Retention { raw: hour, minute: hour, quarter: hour };
    let config = Config { retention, ..Config::default() };
    let store = store as Arc<dyn Store>;
    let mut downsampler = Downsampler::new(config, Arc::clone(&store), None, Arc::new(clock), &registry)
        .expect("a downsampler");
    let report = downsampler.cycle().await.expect("a cycle");
    // One raw point, one minute and one quarter of each environment.
    assert_eq!(report.deleted, 9);
    assert_eq!(metric(&registry, "deleted_rows_total"), Some(9));
    assert_eq!(store.state().await.expect("the state").raw_first, None);
}

#[tokio::test]
async fn stopping_rolls_up_what_came_late_before_the_end() {
    let (store, mut world, clock) = settled().await;
    let (registry, stop) = (Registry::new(), CancellationToken::new());
    // No second cycle would come by itself.
    let config = Config { interval: Duration::from_hours(10), ..Config::default() };
    let store = Arc::clone(&store) as Arc<dyn Store>;
    let running = run(config, Arc::clone(&store), None, Arc::new(clock), &registry, stop.clone());
    let ending = async {
        first_cycle(&registry).await;
        come_late(&mut world).await;
        stop.cancel();
    };
    let (ran, ()) = tokio::join!(running, ending);
    ran.expect("a run that ends well");
    assert_eq!(store.state().await.expect("the state").dirty, 0);
    world.check_all().await;
}

#[tokio::test]
async fn an_error_that_may_pass_is_waited_out_and_any_other_ends_the_run() {
    let (store, mut world, clock) = settled().await;
    come_late(&mut world).await;
    let (registry, stop) = (Registry::new(), CancellationToken::new());
    store.fail_next_state(StoreError::Unavailable("the disk is busy".into()));
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let running = run(Config::default(), shared, None, Arc::new(clock.clone()), &registry, stop.clone());
    let ending = async {
        first_cycle(&registry).await;
        store.fail_next_state(StoreError::Closed);
    };
    let (ran, ()) = tokio::join!(running, ending);
    assert!(matches!(ran, Err(Error::Store(StoreError::Closed))), "{ran:?}");
    assert_eq!((errors(&registry, "retried"), errors(&registry, "fatal")), (Some(1), Some(1)));
    world.check_all().await;
}

/// A window that cannot be made must not take ingest and all answers with it, at every start again.
#[tokio::test]
async fn damage_holds_the_roll_ups_up_and_ends_nothing() {
    let overflow = || StoreError::Model(flagmeter_model::Error::Overflow);
    for damage in [|| StoreError::Damaged("a block ends early".into()), overflow] {
        let (store, mut world, clock) = settled().await;
        come_late(&mut world).await;
        let (registry, stop) = (Registry::new(), CancellationToken::new());
        store.fail_next_state(damage());
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let running = run(Config::default(), shared, None, Arc::new(clock), &registry, stop.clone());
        let ending = async {
            while errors(&registry, "damaged") != Some(1) {
                tokio::task::yield_now().await;
            }
            stop.cancel();
        };
        let (ran, ()) = tokio::join!(running, ending);
        ran.expect("a run that ends well");
        assert_eq!((errors(&registry, "retried"), errors(&registry, "fatal")), (Some(0), Some(0)));
        world.check_all().await;
    }
}

/// What is not known would look like what was last known: a minute ago.
#[tokio::test]
async fn the_lag_grows_while_nothing_can_be_rolled_up() {
    let (store, _world, clock) = settled().await;
    let registry = Registry::new();
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let mut downsampler =
        Downsampler::new(Config::default(), shared, None, Arc::new(clock.clone()), &registry)
            .expect("a downsampler");
    downsampler.cycle().await.expect("a cycle");
    let lag = || metric(&registry, "frontier_lag_seconds{tier=\"1m\"}").expect("a lag");
    let before = lag();
    for (seconds, error) in
        [(300, StoreError::Damaged("a page".into())), (600, StoreError::Unavailable("away".into()))]
    {
        clock.advance(300);
        store.fail_next_state(error);
        downsampler.cycle().await.expect_err("it failed");
        assert_eq!(lag(), before + seconds);
    }
}

#[tokio::test]
async fn a_last_cycle_that_is_cut_off_is_no_failure() {
    for error in [StoreError::Unavailable("going down".into()), StoreError::Damaged("a page".into())] {
        let (store, stop) = (Arc::new(ModelStore::default()), CancellationToken::new());
        store.fail_next_state(error);
        stop.cancel();
        run(Config::default(), store, None, Arc::new(SystemClock), &Registry::new(), stop)
            .await
            .expect("a run that ends well");
    }
}

#[test]
fn metrics_cannot_be_registered_twice() {
    let registry = Registry::new();
    let new = || {
        Downsampler::new(
            Config::default(),
            Arc::new(ModelStore::default()),
            None,
            Arc::new(SystemClock),
            &registry,
        )
    };
    new().expect("the first");
    assert!(matches!(new(), Err(Error::Metrics(_))));
}
