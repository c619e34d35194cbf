use std::sync::Arc;

use flagmeter_ledger::{EmbeddedLedger, Feed, Position, Row, Scope};
use flagmeter_model::{ManualClock, Window};
use flagmeter_store::{
    Rolling,
    conformance::fixture::{
        HOUR, MINUTE, QUARTER, Seal, at, environment, flag, node, roll_up, settle, write,
    },
    embedded::{self, EmbeddedStore},
};

use super::*;

/// A store with a count in its first hour, and a ledger.
struct World {
    _folder: tempfile::TempDir,
    store: EmbeddedStore,
    ledger: EmbeddedLedger,
    seals: u64,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = embedded::Config::new(folder.path().join("store.sqlite"));
        let store = EmbeddedStore::open(store, Arc::new(ManualClock::at(at(100 * HOUR)))).unwrap();
        let ledger = flagmeter_ledger::Config { path: folder.path().join("ledger.sqlite") };
        let ledger = EmbeddedLedger::open(&ledger).unwrap();
        Self { _folder: folder, store, ledger, seals: 0 }
    }

    /// A node counts at `second`, and hands on all that it received before `watermark`.
    async fn count(&mut self, node: u16, second: i64, count: u64, watermark: i64) {
        self.seals += 1;
        let seal = Seal::new(node, self.seals).unwrap().covering(0, watermark);
        let seal = seal.count(&environment("live").unwrap(), &flag("checkout").unwrap(), second, count);
        write(&self.store, &[seal]).await.unwrap();
    }

    /// Goes through all the turns of closing.
    async fn close(&self) -> Closed {
        let state = self.store.state().await.unwrap();
        let mut closing = Closing::new(None);
        loop {
            let parts = (&self.store as &dyn Store, &self.ledger as &dyn Ledger);
            if let Some(closed) =
                closing.turn(parts, &state, &Config::default(), at(100 * HOUR)).await.unwrap()
            {
                return closed;
            }
        }
    }

    async fn rows(&self) -> Vec<Row> {
        let feed =
            Feed { scope: Scope::default(), after: Position::START, until: Position::MAX, limit: usize::MAX };
        self.ledger.feed(feed).await.unwrap().rows
    }

    /// The hours that have rows, in hours after the start, with their counts.
    async fn billed(&self) -> Vec<(i64, u64)> {
        let hour = |row: &Row| row.hour.millis_since(at(0)) / 1_000 / HOUR;
        self.rows().await.iter().map(|row| (hour(row), row.count)).collect()
    }
}

#[tokio::test]
async fn an_hour_is_closed_once_its_grace_period_has_passed() {
    let mut world = World::new();
    world.count(1, 60, 5, HOUR + QUARTER - 10).await;
    roll_up(&world.store, 0, HOUR).await.unwrap();
    assert_eq!(world.close().await.until, Some(at(0)), "what came before is closed, and empty");
    assert_eq!(world.rows().await, []);
    world.count(1, HOUR + 70, 1, HOUR + QUARTER).await;
    let closed = world.close().await;
    assert_eq!((closed.until, closed.waits, closed.more), (Some(at(HOUR)), false, false));
    assert_eq!(world.billed().await, [(0, 5)]);
    let row = &world.rows().await[0];
    assert_eq!((row.complete, row.missing.len(), row.correction), (true, 0, false));
}

#[tokio::test]
async fn an_hour_that_is_not_rolled_up_waits_for_that() {
    let mut world = World::new();
    world.count(1, 60, 5, 3 * HOUR).await;
    assert_eq!(world.close().await, Closed::default());
    roll_up(&world.store, 0, HOUR).await.unwrap();
    assert_eq!(world.close().await.until, Some(at(HOUR)));
}

#[tokio::test]
async fn a_late_count_that_is_known_is_in_the_first_revision() {
    let mut world = World::new();
    world.count(1, 60, 5, 3 * HOUR).await;
    roll_up(&world.store, 0, HOUR).await.unwrap();
    world.count(1, 120, 2, 3 * HOUR).await;
    let closed = world.close().await;
    assert_eq!((closed.until, closed.waits), (None, true));
    assert_eq!(world.rows().await, []);
    settle(&world.store).await.unwrap();
    assert_eq!(world.close().await.until, Some(at(HOUR)));
    assert_eq!(world.billed().await, [(0, 7)]);
}

#[tokio::test]
async fn marks_of_hours_that_are_closed_hold_nothing_up() {
    let mut world = World::new();
    world.count(1, 60, 5, 3 * HOUR).await;
    roll_up(&world.store, 0, HOUR).await.unwrap();
    world.close().await;
    world.count(1, 120, 2, 3 * HOUR).await;
    world.count(1, HOUR + 60, 3, 3 * HOUR).await;
    roll_up(&world.store, HOUR, 2 * HOUR).await.unwrap();
    let closed = world.close().await;
    assert_eq!((closed.until, closed.waits), (Some(at(2 * HOUR)), false));
    assert_eq!(world.billed().await, [(0, 5), (1, 3)]);
}

#[tokio::test]
async fn an_hour_that_its_quarters_contradict_waits() {
    let mut world = World::new();
    world.count(1, 60, 5, 3 * HOUR).await;
    roll_up(&world.store, 0, HOUR).await.unwrap();
    world.count(1, 120, 2, 3 * HOUR).await;
    // As after damage: what is above the quarter was never rolled up again, and nobody knows of it.
    let environment = environment("live").unwrap();
    for (tier, start) in [(Tier::Minute, 2 * MINUTE), (Tier::Quarter, 0)] {
        let window = Window::starting(tier, at(start)).unwrap();
        let again = vec![NewMark { window, environment: environment.clone() }];
        world.store.roll(&Rolling::Windows(again)).await.unwrap();
    }
    let marks = world.store.marks(Tier::Minute, at(HOUR), 10).await.unwrap();
    world.store.clear(&marks).await.unwrap();
    let closed = world.close().await;
    assert_eq!((closed.until, closed.waits), (None, true));
    assert_eq!(world.rows().await, []);
}

#[tokio::test]
async fn a_node_that_is_silent_is_named_and_not_waited_for() {
    let mut world = World::new();
    world.count(2, 30, 1, 20 * MINUTE).await;
    world.count(1, 60, 5, 3 * HOUR).await;
    roll_up(&world.store, 0, 2 * HOUR).await.unwrap();
    world.close().await;
    assert_eq!(world.billed().await, [(0, 6)]);
    let row = &world.rows().await[0];
    assert_eq!((row.complete, row.missing.clone()), (false, vec![node(2).unwrap()]));
}

#[tokio::test]
async fn hours_are_closed_in_pieces_from_the_first_that_was_counted() {
    let mut world = World::new();
    for hour in [3, 30, 60] {
        world.count(1, hour * HOUR, 1, 90 * HOUR).await;
    }
    roll_up(&world.store, 0, 80 * HOUR).await.unwrap();
    let mut pieces = 0;
    while world.close().await.more {
        pieces += 1;
    }
    assert!(pieces >= 2, "{pieces}");
    assert_eq!(world.billed().await, [(3, 1), (30, 1), (60, 1)]);
    assert_eq!(world.ledger.standing().await.unwrap().closed, Some(at(80 * HOUR)));
}

#[tokio::test]
async fn what_was_rolled_up_again_corrects_the_hours_that_were_announced() {
    let mut world = World::new();
    world.count(1, 60, 5, 3 * HOUR).await;
    roll_up(&world.store, 0, HOUR).await.unwrap();
    world.close().await;
    world.count(1, 120, 2, 3 * HOUR).await;
    world.count(1, HOUR + 60, 3, 3 * HOUR).await;
    roll_up(&world.store, HOUR, 2 * HOUR).await.unwrap();
    settle(&world.store).await.unwrap();
    let environment = environment("live").unwrap();
    let windows = [0, HOUR].map(|start| {
        let window = Window::starting(Tier::Hour, at(start)).unwrap();
        NewMark { window, environment: environment.clone() }
    });
    let appended = correct(&world.store, &world.ledger, &windows, at(100 * HOUR)).await.unwrap();
    assert_eq!((appended.closings, appended.corrections), (0, 1));
    assert_eq!(world.billed().await, [(0, 5), (0, 7)]);
}

#[test]
fn late_hours_that_lie_near_each_other_are_one_question() {
    let hours = |numbers: &[i64]| -> Vec<Timestamp> { numbers.iter().map(|hour| at(hour * HOUR)).collect() };
    let found = stretches(hours(&[0, 1, 20, 60, 61]).into_iter());
    let expected = [TimeRange::new(at(0), at(21 * HOUR)), TimeRange::new(at(60 * HOUR), at(62 * HOUR))];
    assert_eq!(found, expected);
    let long: Vec<i64> = (0..1_000).collect();
    assert!(stretches(hours(&long).into_iter()).len() > 1, "no question is longer than a month");
}
