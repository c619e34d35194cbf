//! Counts that never stop coming, and what is known of each: the truth that answers are held against.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use flagmeter_model::{Clock, Limits, Slot, SystemClock, TimeRange, Timestamp};
use rand::{Rng, SeedableRng, distr::Alphanumeric, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use crate::{
    cluster::stages::{KEY, OTHER_KEY},
    http,
};

/// So many post to each edge: a key is known only to the edge that it was sent to first.
const CLIENTS_PER_EDGE: u64 = 2;
/// How far back counts lie: now, in the same quarter, and a quarter and an hour before.
const LATE_BY_SECONDS: [i64; 6] = [0, 0, 5, 150, 25 * 60, 80 * 60];
/// As an SDK that does not wait for long: a post without an answer may have counted, and is sent again.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Longer than any fault.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_mins(4);
/// In each post of a client that sends more than an edge can hold.
const BULK_ENTRIES: usize = 200;
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Counts of one flag for one slot, acknowledged together.
#[derive(Debug)]
struct Acknowledged {
    at: Timestamp,
    node: u16,
    flag: String,
    slot: Timestamp,
    count: u64,
}

/// What the clients know.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    acknowledged: Mutex<Vec<Acknowledged>>,
    /// Flag and slot → counts that were sent at least once.
    attempted: Mutex<BTreeMap<(String, Timestamp), u64>>,
    tally: Mutex<Tally>,
    /// Nodes of whose counts nobody knows when they come.
    excused: Mutex<BTreeSet<u16>>,
}

/// Numbers of a run.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    /// Counts.
    pub(super) acknowledged: u64,
    /// Counts that were sent once more after they were acknowledged, and whose repeat was acknowledged as well.
    pub(super) repeated: u64,
    /// Posts without an answer.
    pub(super) unanswered: u64,
    /// Posts that were refused for now, with `Retry-After`, by the reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// Who was refused for it.
    clients_refused: BTreeSet<(String, String)>,
}

impl Ledger {
    /// From now on answers need not hold what this node has acknowledged, until the end.
    pub(super) fn excuse(&self, node: u16) {
        held(&self.excused).insert(node);
    }

    /// What must be in a window by now: what each node has acknowledged before its time.
    pub(super) fn at_least(
        &self,
        window: TimeRange,
        before: impl Fn(u16) -> Timestamp,
    ) -> BTreeMap<String, u64> {
        let mut by_flag = BTreeMap::new();
        let excused = held(&self.excused);
        let is_due = |count: &&Acknowledged| !excused.contains(&count.node) && count.at < before(count.node);
        for count in held(&self.acknowledged).iter().filter(is_due) {
            if window.contains(count.slot) {
                *by_flag.entry(count.flag.clone()).or_default() += count.count;
            }
        }
        by_flag
    }

    /// What can be in a window by now.
    pub(super) fn at_most(&self, window: TimeRange) -> BTreeMap<String, u64> {
        let mut by_flag = BTreeMap::new();
        for ((flag, slot), count) in held(&self.attempted).iter() {
            if window.contains(*slot) {
                *by_flag.entry(flag.clone()).or_default() += count;
            }
        }
        by_flag
    }

    /// Acknowledged counts by flag, each once.
    pub(super) fn by_flag(&self) -> BTreeMap<String, u64> {
        let mut by_flag = BTreeMap::new();
        for count in held(&self.acknowledged).iter() {
            *by_flag.entry(count.flag.clone()).or_default() += count.count;
        }
        by_flag
    }

    pub(super) fn tally(&self) -> Tally {
        held(&self.tally).clone()
    }
}

/// A lock whose holder may have failed: what it guards is told all the same.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clients that post until they are told to stop.
pub(super) struct Load {
    pub(super) ledger: Arc<Ledger>,
    seed: u64,
    stop: Arc<AtomicBool>,
    abandon: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Nobody posts yet.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            ledger: Arc::default(),
            seed,
            stop: Arc::default(),
            abandon: Arc::default(),
            clients: Vec::new(),
        }
    }

    /// Some more clients, that post to this edge.
    pub(super) fn on(&mut self, address: &str, node: u16) {
        for _ in 0..CLIENTS_PER_EDGE {
            let client = self.client(address, node);
            self.clients.push(thread::spawn(move || client.run()));
        }
    }

    fn client(&self, address: &str, node: u16) -> Client {
        let number = self.clients.len();
        Client {
            rng: StdRng::seed_from_u64(self.seed ^ (number as u64 + 1)),
            name: format!("{:08x}-{number}", rand::random::<u32>()),
            // Both customers, so that several partitions carry counts.
            environment: number % 2,
            address: address.to_owned(),
            node,
            ledger: Arc::clone(&self.ledger),
            stop: Arc::clone(&self.stop),
            abandon: Arc::clone(&self.abandon),
        }
    }

    /// Sends an edge more than it can hold, as long as what is returned is held. By then it has asked somebody else to
    /// wait, too, for this reason.
    pub(super) fn fill(&mut self, address: &str, node: u16, reason: &'static str) -> Filling {
        let mut client = self.client(address, node);
        let name = client.name.clone();
        let is_over = Arc::new(AtomicBool::new(false));
        let filling = Filling { is_over: Arc::clone(&is_over) };
        self.clients.push(thread::spawn(move || {
            for post in 0.. {
                if client.stops() || is_over.load(Ordering::SeqCst) {
                    return;
                }
                client.post_bulk(post);
            }
        }));
        let until = Instant::now() + ACKNOWLEDGED_WITHIN;
        let is_another = |(other, why): &(String, String)| *other != name && why == reason;
        while !self.ledger.tally().clients_refused.iter().any(is_another) {
            assert!(Instant::now() < until, "{address} never asked others to wait for {reason}");
            thread::sleep(RETRY_AFTER);
        }
        filling
    }

    /// Waits until every post is acknowledged, and no more come.
    pub(super) fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            client.join().expect("every post is acknowledged in the end");
        }
    }
}

/// Somebody sends more than can be held.
#[must_use]
pub(super) struct Filling {
    is_over: Arc<AtomicBool>,
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.abandon.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            // It is told already why the scenario has failed.
            let _ended = client.join();
        }
    }
}

struct Client {
    rng: StdRng,
    name: String,
    environment: usize,
    address: String,
    node: u16,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    abandon: Arc<AtomicBool>,
}

impl Client {
    fn run(mut self) {
        for post in 0_u64.. {
            if self.stops() {
                return;
            }
            let entries = (0..self.rng.random_range(1..6)).map(|_| self.entry()).collect();
            self.post(&format!("{}-{post}", self.name), entries);
            thread::sleep(Duration::from_millis(self.rng.random_range(0..120)));
        }
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || self.abandon.load(Ordering::SeqCst)
    }

    /// A post that takes room: variants that nobody else has, and that do not compress.
    fn post_bulk(&mut self, post: u64) {
        let entries = (0..BULK_ENTRIES).map(|_| {
            let noise = (&mut self.rng).sample_iter(Alphanumeric).take(Limits::NAME_BYTES_MAX);
            let variant = Some(noise.map(char::from).collect());
            Entry { variant, ..self.entry() }
        });
        let entries = entries.collect();
        self.post(&format!("{}-bulk-{post}", self.name), entries);
    }

    /// One post under a key, repeated until it is acknowledged; now and then once more after that.
    fn post(&mut self, once: &str, entries: Vec<Entry>) {
        for entry in &entries {
            let mut attempted = held(&self.ledger.attempted);
            *attempted.entry((entry.flag.clone(), entry.slot())).or_default() += entry.count;
        }
        let counts: Vec<Value> = entries.iter().map(Entry::json).collect();
        let body = json!({ "counts": counts, "sdk": "faults" }).to_string();
        let since = Instant::now();
        while !self.is_acknowledged(once, &body) {
            if self.abandon.load(Ordering::SeqCst) {
                return;
            }
            assert!(since.elapsed() < ACKNOWLEDGED_WITHIN, "{} is never acknowledged", self.name);
            thread::sleep(RETRY_AFTER);
        }
        let at = SystemClock.now();
        let sum: u64 = entries.iter().map(|entry| entry.count).sum();
        held(&self.ledger.acknowledged).extend(entries.into_iter().map(|entry| Acknowledged {
            at,
            node: self.node,
            slot: entry.slot(),
            flag: entry.flag,
            count: entry.count,
        }));
        let again = self.rng.random_bool(0.1) && self.is_acknowledged(once, &body);
        let mut tally = held(&self.ledger.tally);
        tally.acknowledged += sum;
        tally.repeated += if again { sum } else { 0 };
    }

    fn is_acknowledged(&self, once: &str, body: &str) -> bool {
        let key = format!("Bearer {}", [KEY, OTHER_KEY][self.environment]);
        let headers = [("authorization", key.as_str()), ("idempotency-key", once)];
        let answer = http::post_within(ANSWER_WITHIN, &self.address, "/v1/counts", &headers, body);
        let mut tally = held(&self.ledger.tally);
        match answer {
            Some(answer) if answer.status == 202 => return true,
            Some(answer) => {
                let Ok(problem) = serde_json::from_str::<Value>(&answer.body) else {
                    panic!("{answer:?} is no problem");
                };
                let is_for_now = matches!(answer.status, 429 | 503) && answer.header("retry-after").is_some();
                assert!(is_for_now, "refused for good: {answer:?}");
                let reason = problem["reason"].as_str().unwrap_or_default().to_owned();
                tally.clients_refused.insert((self.name.clone(), reason.clone()));
                *tally.refused.entry(reason).or_default() += 1;
            }
            None => tally.unanswered += 1,
        }
        false
    }

    /// Each flag belongs to one environment, so that flags tell those apart too.
    fn entry(&mut self) -> Entry {
        let late = *LATE_BY_SECONDS.choose(&mut self.rng).expect("not empty");
        Entry {
            flag: format!("flag-{}-{}", self.environment, self.rng.random_range(0..3)),
            count: self.rng.random_range(1..10),
            at: SystemClock.now().plus_seconds(-late),
            variant: None,
        }
    }
}

struct Entry {
    flag: String,
    count: u64,
    at: Timestamp,
    variant: Option<String>,
}

impl Entry {
    fn slot(&self) -> Timestamp {
        Slot::containing(self.at).start()
    }

    fn json(&self) -> Value {
        json!({ "flag": self.flag, "count": self.count, "at": self.at.to_string(), "variant": self.variant })
    }
}
