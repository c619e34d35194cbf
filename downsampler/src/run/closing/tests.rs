//! Closing beside the roll-ups, with a ledger that is not always there.

use std::sync::Arc;

use flagmeter_ledger::{Error as LedgerError, Feed, Ledger, Position, Scope};
use flagmeter_model::{ManualClock, Tier};
use flagmeter_store::{Mark, Store};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    Config,
    metrics::Metrics,
    run::{
        run,
        tests::{come_late, errors, metric, windows},
    },
    simulation::{Action, ModelLedger, ModelStore, World},
};

/// A world in which hours are closed, and one of them has a late count.
struct Late {
    store: Arc<ModelStore>,
    ledger: Arc<ModelLedger>,
    world: World,
    registry: Registry,
}

impl Late {
    async fn new() -> Self {
        let (store, ledger) = (Arc::new(ModelStore::default()), Arc::new(ModelLedger::default()));
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let mut world = World::over(shared, Arc::clone(&ledger) as Arc<dyn Ledger>, Config::default());
        world.act(&Action::Count { node: 0, environment: 0, series: 0, age_seconds: 0, count: 5 }).await;
        world.settle().await;
        come_late(&mut world).await;
        Self { store, ledger, world, registry: Registry::new() }
    }

    /// Runs until it is told to stop, which does not take for ever.
    async fn run(&self, stop: CancellationToken) {
        let (store, ledger) = (Arc::clone(&self.store), Arc::clone(&self.ledger));
        let clock = Arc::new(ManualClock::at(self.world.now()));
        let runs = run(Config::default(), store, Some(ledger), clock, &self.registry, stop);
        let ran = tokio::time::timeout(LONG, runs).await.expect("it stops when it is told to");
        ran.expect("a run that ends well");
    }

    /// Windows of a tier that were rolled up because of the late count.
    fn rolled_again(&self, tier: &str) -> i64 {
        windows(&self.registry, tier, "dirty").unwrap_or_default()
    }

    async fn marks(&self, tier: Tier) -> Vec<Mark> {
        self.store.marks(tier, Timestamp::MAX, 10).await.expect("the marks")
    }

    /// How many rows correct others.
    async fn corrections(&self) -> usize {
        let feed =
            Feed { scope: Scope::default(), after: Position::START, until: Position::MAX, limit: usize::MAX };
        let rows = self.ledger.feed(feed).await.expect("the feed").rows;
        rows.iter().filter(|row| row.correction).count()
    }
}

/// Longer than anything may take here, by a clock that does not wait.
const LONG: Duration = Duration::from_mins(10);

/// Lets the others go on until it is so.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(LONG / 2, waiting).await.is_ok(), "never was it so that {what}");
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_does_not_answer_holds_no_roll_up_up_and_loses_no_late_hour() {
    let mut late = Late::new().await;
    let stop = CancellationToken::new();
    let away = Arc::clone(&late.ledger);
    let away = away.take_away().await;
    let cycles = || metric(&late.registry, "cycle_seconds_count").unwrap_or_default();
    let story = async {
        until("the late hour is rolled up again", async || late.rolled_again("1h") == 1).await;
        let before = cycles();
        until("cycles go on", async || cycles() >= before + 5).await;
        assert_eq!((late.rolled_again("1m"), late.rolled_again("15m")), (1, 1));
        assert_eq!(late.marks(Tier::Hour).await.len(), 1, "the mark stays until the ledger has the hour");
        assert_eq!(late.corrections().await, 0);
        drop(away);
        until("the mark goes", async || late.marks(Tier::Hour).await.is_empty()).await;
        assert_eq!(late.corrections().await, 1);
        stop.cancel();
    };
    tokio::join!(late.run(stop.clone()), story);
    let closed = late.ledger.standing().await.expect("where it stands").closed.map(Timestamp::as_seconds);
    assert!(closed.is_some(), "hours were closed");
    assert_eq!(metric(&late.registry, "closed_until_timestamp_seconds"), closed);
    late.world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_not_as_it_must_be_ends_nothing() {
    let late = Late::new().await;
    let stop = CancellationToken::new();
    late.ledger.fail_next_standing(LedgerError::Unusable("the topic was deleted".into()));
    let story = async {
        until("it is told", async || errors(&late.registry, "damaged") == Some(1)).await;
        assert_eq!(late.marks(Tier::Hour).await.len(), 1);
        until("it is corrected", async || late.corrections().await == 1).await;
        stop.cancel();
    };
    tokio::join!(late.run(stop.clone()), story);
    assert_eq!(errors(&late.registry, "fatal"), Some(0));
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_a_ledger_that_does_not_answer() {
    let late = Late::new().await;
    let stop = CancellationToken::new();
    let _away = late.ledger.take_away().await;
    let story = async {
        until("the late hour is rolled up again", async || late.rolled_again("1h") == 1).await;
        stop.cancel();
    };
    let began = tokio::time::Instant::now();
    tokio::join!(late.run(stop.clone()), story);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(late.marks(Tier::Hour).await.len(), 1);
}

/// Roll-ups that fail bring no state: a start at which they fail knows of no hour.
#[tokio::test(start_paused = true)]
async fn the_time_since_the_last_closed_hour_is_told_while_none_can_be_closed() {
    let late = Late::new().await;
    let now = late.world.now();
    let with = With {
        config: Config::default(),
        store: Arc::clone(&late.store) as Arc<dyn Store>,
        ledger: Some(Arc::clone(&late.ledger) as Arc<dyn Ledger>),
        clock: Arc::new(ManualClock::at(now)),
        metrics: Metrics::register(&late.registry).expect("the metrics"),
    };
    let closed = late.ledger.standing().await.expect("where it stands").closed.expect("an hour");
    let (_nobody, mut states) = watch::channel(State::default());
    let mut closing = Closing::default();
    let never = tokio::time::timeout(LONG, closing.next(&with, &mut states)).await;
    assert!(never.is_err());
    let lag = now.millis_since(closed) / 1_000;
    assert_eq!(metric(&late.registry, "closed_lag_seconds"), Some(lag));
    assert!(lag > 0);
}
