use flagmeter_model::ManualClock;
use flagmeter_store::{
    conformance::fixture::{self, Seal},
    embedded::{Config as StoreConfig, EmbeddedStore},
};
use prometheus::{TextEncoder, proto::Histogram as Told};

use super::*;
use crate::tests::silent::Silent;

/// A store, a clock that says the time of [`fixture::at`], and where the metrics are.
struct Rig {
    store: Arc<dyn Store>,
    clock: ManualClock,
    metrics: Registry,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(fixture::at(0));
        let config = StoreConfig::new(folder.path().join("store.sqlite"));
        let store = Arc::new(EmbeddedStore::open(config, Arc::new(clock.clone())).unwrap());
        Self { store, clock, metrics: Registry::new(), _folder: folder }
    }

    fn heartbeat(&self) -> Heartbeat {
        self.over(Arc::clone(&self.store))
    }

    fn over(&self, store: Arc<dyn Store>) -> Heartbeat {
        Heartbeat::new(&Config::default(), store, Arc::new(self.clock.clone()), &self.metrics).unwrap()
    }

    /// What was measured: how often, and the sum in seconds.
    fn told(&self) -> (u64, f64) {
        let families = self.metrics.gather();
        let name = "flagmeter_queries_receive_to_queryable_seconds";
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let histogram: &Told = family.get_metric()[0].get_histogram();
        (histogram.get_sample_count(), histogram.get_sample_sum())
    }
}

/// A seal of a node that says that it handed on what it received before `until`.
fn seal(node: u16, until: i64) -> Seal {
    Seal::new(node, fixture::seq_at(until)).unwrap().covering(-3_600, until).heard(until)
}

/// Asks once.
async fn look(heartbeat: &mut Heartbeat) {
    let answer = heartbeat.ask().await;
    heartbeat.learn(answer);
    heartbeat.tell();
}

#[tokio::test]
async fn what_is_measured_is_the_age_of_the_newest_that_every_edge_has_handed_on() {
    let rig = Rig::new();
    let mut heartbeat = rig.heartbeat();
    look(&mut heartbeat).await;
    assert_eq!(rig.told(), (0, 0.0), "nobody has sealed yet");
    fixture::write(&*rig.store, &[seal(1, 100)]).await.unwrap();
    rig.clock.set(fixture::at(101).plus_millis(250));
    look(&mut heartbeat).await;
    assert_eq!(rig.told(), (1, 1.25));
    // Another edge is slower: a count may have come to either.
    fixture::write(&*rig.store, &[seal(2, 97), seal(1, 101)]).await.unwrap();
    look(&mut heartbeat).await;
    assert_eq!(rig.told(), (2, 1.25 + 4.25));
    let text = TextEncoder::new().encode_to_string(&rig.metrics.gather()).unwrap();
    let until = format!("complete_until_timestamp_seconds {}", fixture::at(97).as_seconds());
    assert!(text.contains(&until), "{text}");
    // A clock behind an edge's.
    rig.clock.set(fixture::at(90));
    look(&mut heartbeat).await;
    assert_eq!(rig.told(), (3, 5.5));
}

#[tokio::test]
async fn where_every_edge_has_said_farewell_nothing_is_on_its_way() {
    let rig = Rig::new();
    let mut heartbeat = rig.heartbeat();
    fixture::write(&*rig.store, &[seal(1, 100)]).await.unwrap();
    rig.clock.set(fixture::at(101));
    look(&mut heartbeat).await;
    fixture::write(&*rig.store, &[seal(1, 102).farewell()]).await.unwrap();
    rig.clock.set(fixture::at(500));
    look(&mut heartbeat).await;
    heartbeat.tell();
    assert_eq!(rig.told(), (1, 1.0));
    fixture::write(&*rig.store, &[seal(1, 501)]).await.unwrap();
    rig.clock.set(fixture::at(502));
    look(&mut heartbeat).await;
    assert_eq!(rig.told(), (2, 2.0), "it has come back");
}

#[tokio::test]
async fn an_edge_that_was_killed_may_have_counts_on_its_disk() {
    let rig = Rig::new();
    let mut heartbeat = rig.heartbeat();
    fixture::write(&*rig.store, &[seal(1, 100)]).await.unwrap();
    rig.clock.set(fixture::at(400));
    look(&mut heartbeat).await;
    assert_eq!(rig.told(), (1, 300.0));
}

#[tokio::test]
async fn where_one_edge_has_said_farewell_and_the_other_is_left_out_as_silent_nothing_is_on_its_way() {
    let rig = Rig::new();
    let mut heartbeat = rig.heartbeat();
    fixture::write(&*rig.store, &[seal(1, 100), seal(2, 100)]).await.unwrap();
    rig.clock.set(fixture::at(101));
    look(&mut heartbeat).await;
    assert_eq!(rig.told(), (1, 1.0));
    fixture::write(&*rig.store, &[seal(2, 300).farewell()]).await.unwrap();
    rig.clock.set(fixture::at(400));
    look(&mut heartbeat).await;
    assert_eq!(rig.told(), (1, 1.0));
}

#[tokio::test(start_paused = true)]
async fn seconds_in_which_the_store_says_nothing_are_measured_as_well() {
    for silent in [Silent::Never, Silent::Unavailable] {
        let rig = Rig::new();
        let mut heartbeat = rig.over(Arc::new(silent));
        heartbeat.seen = Some(fixture::at(0));
        rig.clock.set(fixture::at(7));
        heartbeat.run(tokio::time::sleep(Duration::from_millis(5_500))).await;
        let (times, sum) = rig.told();
        assert!((5..=6).contains(&times), "{silent:?}: {times}");
        assert_eq!(Some(sum), [35.0, 42.0].get(usize::from(times == 6)).copied(), "{silent:?}");
    }
}
