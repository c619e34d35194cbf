//! Three processes that append at once, and that end and come back in between.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{runtime::Handle, task::JoinSet};

use super::*;
use crate::{
    Ledger as _, Row,
    conformance::fixture::{all, append, counted, hour},
};

const PROCESSES: u64 = 3;
const ROUNDS: u32 = 25;
const HOURS: i64 = 6;

/// (customer, hour): what a store has, which only grows.
type Store = Arc<Mutex<BTreeMap<(u8, i64), u64>>>;

/// A process: its book is the `generation`th.
struct Process {
    topic: Arc<Topic>,
    number: u64,
    generation: u32,
    ledger: KafkaLedger,
}

impl Process {
    async fn start(topic: Arc<Topic>, number: u64) -> Self {
        let ledger = topic.open(&format!("{number}-0")).await.unwrap();
        Self { topic, number, generation: 0, ledger }
    }

    /// Ends, and comes back with the book as it was at this instant, or with none.
    async fn end_and_come_back(&mut self, with_its_book: bool) {
        let before = format!("{}-{}", self.number, self.generation);
        self.generation += 1;
        let after = format!("{}-{}", self.number, self.generation);
        if with_its_book {
            copy(&self.topic.path(&before), &self.topic.path(&after));
        }
        self.ledger = loop {
            match self.topic.open(&after).await {
                Ok(ledger) => break ledger,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        };
    }

    /// Repeats a call until it is answered.
    async fn ask<T>(&self, call: impl AsyncFn(&KafkaLedger) -> Result<T>) -> T {
        loop {
            match call(&self.ledger).await {
                Ok(answer) => return answer,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        }
    }

    async fn live(&mut self, store: &Store) {
        let mut random = StdRng::seed_from_u64(self.number);
        for _ in 0..ROUNDS {
            let (who, at) = (random.random_range(0..3), random.random_range(0..HOURS));
            *store.lock().entry((who, at)).or_default() += random.random_range(1..5);
            let until = random.random_range(1..=HOURS);
            self.ask(async |ledger| ledger.announce(hour(until)).await).await;
            let announced = self.ask(async |ledger| ledger.standing().await).await.announced;
            assert!(announced >= Some(hour(until)));
            self.append_all(store, until).await;
            match random.random_range(0..10) {
                0 => self.end_and_come_back(true).await,
                1 => self.end_and_come_back(false).await,
                _ => {}
            }
        }
        self.ask(async |ledger| ledger.announce(hour(HOURS)).await).await;
        self.append_all(store, HOURS).await;
    }

    async fn append_all(&self, store: &Store, until: i64) {
        let known = store.lock().clone();
        let before = known.into_iter().filter(|((_, at), _)| *at < until);
        let counts: Vec<_> =
            before.map(|((who, at), count)| counted(&format!("customer-{who}"), at, count)).collect();
        self.ask(async |ledger| append(ledger, &counts, Some(until)).await).await;
    }
}

/// Revisions without gaps, of which each says what it corrects; the newest of each hour.
fn table(rows: &[Row]) -> BTreeMap<(u8, i64), u64> {
    let mut newest: BTreeMap<(u8, i64), (u32, u64)> = BTreeMap::new();
    for (at, row) in (1..).zip(rows) {
        assert_eq!(row.position.get(), at);
        let who = row.environment.customer.as_str().trim_start_matches("customer-").parse().unwrap();
        let latest = newest.entry((who, row.hour.as_seconds() / 3_600 - 490_000)).or_default();
        assert_eq!((row.revision, row.previous), (latest.0 + 1, latest.1));
        *latest = (row.revision, row.count);
    }
    newest.into_iter().map(|(key, (_, count))| (key, count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn however_many_append_and_end_each_count_is_there_once() {
    let (topic, store) = (Arc::new(Topic::new().await.unwrap()), Store::default());
    let mut living = JoinSet::new();
    for number in 0..PROCESSES {
        let (topic, store) = (Arc::clone(&topic), Arc::clone(&store));
        let runtime = Handle::current();
        living.spawn_blocking(move || {
            runtime.block_on(async {
                let mut process = Process::start(topic, number).await;
                process.live(&store).await;
                process
            })
        });
    }
    let processes = living.join_all().await;
    processes[0].append_all(&store, HOURS).await;
    let end = processes[0].ask(async |ledger| ledger.standing().await).await;
    assert_eq!((end.announced, end.closed), (Some(hour(HOURS)), Some(hour(HOURS))));
    let rows = all(&processes[0].ledger).await.unwrap();
    assert_eq!(table(&rows), *store.lock());
    for process in &processes {
        assert_eq!(process.ask(async |ledger| ledger.standing().await).await, end);
        assert_eq!(all(&process.ledger).await.unwrap(), rows);
    }
}
