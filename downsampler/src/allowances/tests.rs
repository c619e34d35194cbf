use flagmeter_ledger::{Crossings, EmbeddedLedger, Position};
use flagmeter_model::{ManualClock, Threshold};
use flagmeter_store::{
    conformance::fixture::{HOUR, Seal, at, environment, flag, write},
    embedded::{self, EmbeddedStore},
};

use super::*;

/// A plan of 100 evaluations in periods of a hundred hours, told at half and, as a hard one, at all of it.
fn allowances(now: Timestamp) -> Vec<Allowance> {
    let number = now.millis_since(at(0)).div_euclid(100 * HOUR * 1_000);
    let plan = Plan {
        evaluations: Some(100),
        requests: None,
        time_zone: None,
        line: 1,
        billing_day: 1,
        thresholds: [(50, false), (100, true)].map(|(percent, hard)| Threshold { percent, hard }).into(),
    };
    let period = TimeRange::new(at(number * 100 * HOUR), at((number + 1) * 100 * HOUR));
    // Who has no environment has used nothing.
    ["acme", "beta"]
        .map(|id| Allowance { customer: Name::new(id).unwrap(), period, plan: plan.clone() })
        .into()
}

struct World {
    _folder: tempfile::TempDir,
    clock: ManualClock,
    store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    seals: u64,
}

impl World {
    fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(at(HOUR)));
        let store = embedded::Config::new(folder.path().join("store.sqlite"));
        let store = Arc::new(EmbeddedStore::open(store, Arc::new(clock.clone())).unwrap());
        let ledger = flagmeter_ledger::Config { path: folder.path().join("ledger.sqlite") };
        let ledger = Arc::new(EmbeddedLedger::open(&ledger).unwrap());
        Self { _folder: folder, clock, store, ledger, seals: 0 }
    }

    fn watch(&self, registry: &Registry) -> Watch {
        let parts = (Arc::clone(&self.store), Arc::clone(&self.ledger));
        Watch::new(parts, Box::new(allowances), Arc::new(self.clock.clone()), registry).unwrap()
    }

    async fn count(&mut self, second: i64, count: u64) {
        self.seals += 1;
        let seal = Seal::new(1, self.seals).unwrap().covering(0, second + 10);
        let seal = seal.count(&environment("live").unwrap(), &flag("checkout").unwrap(), second, count);
        write(&*self.store, &[seal]).await.unwrap();
    }

    /// Period in hours, percent, whether it is hard, and what was used.
    async fn crossed(&self) -> Vec<(i64, u16, bool, u64)> {
        let all = Crossings { customers: Vec::new(), after: Position::START, limit: 100 };
        let crossings = self.ledger.crossings(all).await.unwrap().crossings;
        let told = |crossing: &Crossing| {
            let crossed = &crossing.crossed;
            assert_eq!((&*crossed.customer, crossed.meter), ("acme", Meter::Evaluations));
            let period = crossed.period.millis_since(at(0)) / 1_000 / HOUR;
            (period, crossed.percent, crossed.hard, crossed.used)
        };
        crossings.iter().map(told).collect()
    }
}

#[tokio::test]
async fn a_threshold_is_told_once_whoever_looks_and_however_often() {
    let (mut world, registry) = (World::new(), Registry::new());
    let mut watch = world.watch(&registry);
    world.count(60, 49).await;
    watch.look().await;
    assert_eq!(world.crossed().await, []);
    world.count(3_600, 1).await;
    watch.look().await;
    assert_eq!(world.crossed().await, [(0, 50, false, 50)]);
    world.count(3_700, 70).await;
    // Another one, as after a restart.
    let mut other = world.watch(&Registry::new());
    other.look().await;
    for _ in 0..2 {
        watch.look().await;
        other.look().await;
    }
    assert_eq!(world.crossed().await, [(0, 50, false, 50), (0, 100, true, 120)]);
    assert_eq!((watch.metrics.crossings.get(), other.metrics.crossings.get()), (1, 1));
    assert_eq!(watch.metrics.failures.get(), 0);
}

#[tokio::test]
async fn a_new_period_begins_at_nothing_and_late_counts_cross_in_the_one_before() {
    let (mut world, mut watch) = {
        let world = World::new();
        let watch = world.watch(&Registry::new());
        (world, watch)
    };
    world.count(99 * HOUR, 60).await;
    world.clock.set(at(100 * HOUR + 60));
    watch.look().await;
    assert_eq!(world.crossed().await, [(0, 50, false, 60)]);
    world.count(99 * HOUR + 60, 40).await;
    world.count(100 * HOUR + 30, 50).await;
    watch.look().await;
    assert_eq!(world.crossed().await, [(0, 50, false, 60), (100, 50, false, 50), (0, 100, true, 100)]);
    assert_eq!(watch.kept.len(), 3);
    world.clock.set(at(1_000 * HOUR));
    watch.look().await;
    assert_eq!(watch.kept.len(), 0, "what is past is let go of");
}

#[tokio::test]
async fn a_look_that_fails_is_counted_and_repeated() {
    let (mut world, registry) = (World::new(), Registry::new());
    world.count(60, 50).await;
    let mut watch = world.watch(&registry);
    let wrong = |now| {
        let mut allowances = allowances(now);
        for allowance in &mut allowances {
            allowance.plan.evaluations = Some(u64::MAX);
            allowance.plan.thresholds = vec![Threshold { percent: 0, hard: false }];
        }
        allowances
    };
    let right = std::mem::replace(&mut watch.allowances, Box::new(wrong));
    watch.look().await;
    // Of two customers, in the period that runs and the one before.
    assert_eq!((watch.metrics.failures.get(), world.crossed().await), (4, vec![]));
    watch.allowances = right;
    watch.look().await;
    assert_eq!((watch.metrics.failures.get(), world.crossed().await), (4, vec![(0, 50, false, 50)]));
}
