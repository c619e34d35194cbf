//! A fleet of nodes, a log, an ingester and three downsamplers over one store, moved one action at a time.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use flagmeter_ledger::{Feed, Ledger, Position, Scope};
use flagmeter_model::{
    Batch, Environment, EnvironmentCounts, Lane, Meter, Name, NodeId, Seq, SeriesKey, Slot, SlotCounts, Tier,
    TimeRange, Timestamp, Window,
};
use flagmeter_store::{Mark, Positioned, Scan, State, Store, Write};
use prometheus::Registry;

use super::{
    action::{Action, DOWNSAMPLERS, ENVIRONMENTS, NODES, PARTITIONS},
    model_store::PointKey,
    seat::{Seat, With},
};
use crate::{Config, Phase, closing::due, cycle::Half, metrics::Metrics, plan};

/// 2026-11-20T00:00:00Z.
const BEGINNING: i64 = 1_795_132_800;

#[derive(Debug, Default)]
struct Node {
    running: bool,
    skew_seconds: i64,
    seq: Option<Seq>,
    watermark: Timestamp,
    counts: BTreeMap<(Environment, Slot, SeriesKey), u64>,
    sealed: BTreeMap<u32, VecDeque<Batch>>,
}

type Series = BTreeMap<SeriesKey, u64>;

pub(crate) struct World {
    store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    config: Config,
    metrics: Metrics,
    now: Timestamp,
    log_now: Timestamp,
    nodes: Vec<Node>,
    delivered: Vec<Positioned>,
    seats: Vec<Seat>,
    /// The points that the store has taken.
    taken: BTreeSet<PointKey>,
    /// What they add up to. For raw points: by minute.
    expected: BTreeMap<(Tier, Environment, Timestamp), Series>,
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn environment(number: usize) -> Environment {
    let names = [("acme", "web", "live"), ("acme", "web", "test"), ("zeta", "app", "live")];
    let (customer, project, environment) = names[number];
    Environment { customer: name(customer), project: name(project), environment: name(environment) }
}

fn partition_of(of: &Environment) -> u32 {
    u32::from(of.customer.as_str() != "acme")
}

fn series(number: usize) -> SeriesKey {
    match number {
        0 => SeriesKey::flag(name("checkout")),
        1 => SeriesKey { variant: Some(name("on")), ..SeriesKey::flag(name("checkout")) },
        _ => SeriesKey { meter: Meter::Requests, ..SeriesKey::flag(name("flags")) },
    }
}

impl World {
    pub(crate) fn over(store: Arc<dyn Store>, ledger: Arc<dyn Ledger>, config: Config) -> Self {
        let now = Timestamp::from_seconds_clamped(BEGINNING + 3_600 * 10);
        let mut world = Self {
            store,
            ledger,
            config,
            metrics: Metrics::register(&Registry::new()).expect("metrics"),
            now,
            log_now: now,
            nodes: (0..NODES).map(|_| Node::default()).collect(),
            delivered: Vec::new(),
            seats: (0..DOWNSAMPLERS).map(|_| Seat::default()).collect(),
            taken: BTreeSet::new(),
            expected: BTreeMap::new(),
        };
        // The others are started by actions, late and as strangers.
        world.start(0);
        world.start(1);
        world
    }

    pub(crate) async fn act(&mut self, action: &Action) {
        match *action {
            Action::Pass { seconds } | Action::Jump { seconds } => self.pass(seconds),
            Action::Count { node, environment: of, series: which, age_seconds, count } => {
                let at = self.node_now(node).plus_seconds(-age_seconds);
                let node = &mut self.nodes[usize::from(node)];
                if node.running {
                    let key = (environment(of), Slot::containing(at), series(which));
                    *node.counts.entry(key).or_default() += count;
                }
            }
            Action::Seal { node } => self.seal(node, false),
            Action::Deliver { node, partition, records } => self.deliver(node, partition, records).await,
            Action::Repeat { back, records } => {
                let from = self.delivered.len().saturating_sub(back);
                let again: Vec<_> = self.delivered.iter().skip(from).take(records).cloned().collect();
                for record in again {
                    self.write(record).await;
                }
            }
            Action::Flow => {
                self.pass(1);
                for node in 0..NODES {
                    self.seal(node, false);
                    self.deliver_all(node).await;
                }
                for downsampler in 0..DOWNSAMPLERS {
                    while !self.turn(downsampler, None).await {}
                }
            }
            Action::Farewell { node } => {
                self.seal(node, true);
                self.nodes[usize::from(node)].running = false;
            }
            Action::Silence { node } => self.nodes[usize::from(node)].running = false,
            Action::Start { node } => self.start(node),
            Action::SkewNode { node, seconds } => self.nodes[usize::from(node)].skew_seconds = seconds,
            Action::SkewDownsampler { downsampler, seconds } => {
                self.seats[downsampler].skew_seconds = seconds;
            }
            Action::Turn { downsampler, turns } => {
                for _ in 0..turns {
                    self.turn(downsampler, None).await;
                }
            }
            Action::Close { downsampler, turns } => {
                for _ in 0..turns {
                    self.turn(downsampler, Some(Half::Closing)).await;
                }
            }
            Action::Crash { downsampler } => {
                self.seats[downsampler] = self.seats[downsampler].another();
            }
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
        // The log's time does not go back.
        self.log_now = self.log_now.max(self.now);
    }

    fn node_now(&self, node: u16) -> Timestamp {
        self.now.plus_seconds(self.nodes[usize::from(node)].skew_seconds)
    }

    fn start(&mut self, node: u16) {
        let now = self.node_now(node);
        let node = &mut self.nodes[usize::from(node)];
        if !node.running {
            node.running = true;
            node.watermark = node.watermark.max(now);
        }
    }

    fn seal(&mut self, number: u16, farewell: bool) {
        let now = self.node_now(number);
        let node = &mut self.nodes[usize::from(number)];
        if !node.running {
            return;
        }
        let seq = Seq::next(node.seq, now, Lane::default());
        node.seq = Some(seq);
        let covers_from = node.watermark;
        node.watermark = node.watermark.max(now);
        let counts = std::mem::take(&mut node.counts);
        let mut part = 0;
        for partition in 0..PARTITIONS {
            let (first, second): (Vec<_>, Vec<_>) = counts
                .iter()
                .filter(|((of, ..), _)| partition_of(of) == partition)
                .partition(|((_, slot, _), _)| slot.number() % 2 == 0);
            // By size a seal is split into several records, and the last of them carries the watermark.
            for (counts, last) in [(first, false), (second, true)] {
                if counts.is_empty() && !last {
                    continue;
                }
                let batch = Batch {
                    node: NodeId::new(number).expect("a node"),
                    seq,
                    part,
                    sealed_at: now,
                    covers_from,
                    watermark: last.then_some(node.watermark),
                    farewell,
                    region: None,
                    environments: grouped(&counts),
                };
                batch.validate().expect("a valid batch");
                part += 1;
                node.sealed.entry(partition).or_default().push_back(batch);
            }
        }
    }

    async fn deliver(&mut self, node: u16, partition: u32, records: usize) {
        for _ in 0..records {
            let queue = self.nodes[usize::from(node)].sealed.entry(partition).or_default();
            let Some(batch) = queue.pop_front() else { return };
            let offset = self.delivered.len() as u64;
            let record = Positioned { partition, offset, appended_at: self.log_now, batch };
            self.delivered.push(record.clone());
            self.write(record).await;
        }
    }

    async fn deliver_all(&mut self, node: u16) {
        for partition in 0..PARTITIONS {
            self.deliver(node, partition, usize::MAX).await;
        }
    }

    async fn write(&mut self, record: Positioned) {
        let floor = self.state().await.floors.raw;
        for counts in &record.batch.environments {
            for (key, slot, count) in counts.points() {
                let minute = slot.start().floor_to(60);
                let gone = floor.is_some_and(|floor| minute < floor);
                let identity =
                    (counts.environment.clone(), key.clone(), slot, record.batch.node, record.batch.seq);
                if gone || !self.taken.insert(identity) {
                    continue;
                }
                for tier in Tier::ALL {
                    let start = minute.floor_to(tier.seconds().max(60));
                    let window = self.expected.entry((tier, counts.environment.clone(), start)).or_default();
                    *window.entry(key.clone()).or_default() += count;
                }
            }
        }
        let positions = BTreeMap::from([(record.partition, record.offset + 1)]);
        let write = Write { batches: vec![record], positions, partitions: PARTITIONS, ..Write::default() };
        self.store.write(Arc::new(write)).await.expect("the write");
    }

    /// One call of a downsampler, or of the one half of it. True when it has ended its cycle.
    async fn turn(&mut self, downsampler: usize, half: Option<Half>) -> bool {
        let with = With {
            parts: (self.store.as_ref(), Some(self.ledger.as_ref())),
            config: &self.config,
            metrics: &self.metrics,
            now: self.now,
        };
        let seat = &mut self.seats[downsampler];
        match half {
            None => seat.turn(with).await,
            Some(half) => seat.turn_of(half, with).await,
        }
    }

    async fn state(&self) -> State {
        self.store.state().await.expect("the state")
    }

    async fn marks(&self) -> Vec<Mark> {
        let mut marks = Vec::new();
        for tier in Tier::ROLLED {
            marks.extend(self.store.marks(tier, Timestamp::MAX, usize::MAX >> 1).await.expect("the marks"));
        }
        marks
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Every window equals the points that were taken: for when nothing is due.
    pub(crate) async fn check_all(&self) {
        self.compare(&self.state().await, |_, _| true).await;
    }

    /// At every moment: what is called whole and is not dirty equals the points that were taken.
    pub(crate) async fn check_moment(&self) {
        let state = self.state().await;
        let marks = self.marks().await;
        let clean = |window: Window, of: &Environment| {
            let dirties = |mark: &Mark| {
                mark.environment == *of
                    && mark.window.tier() <= window.tier()
                    && window.range().contains(mark.window.start())
            };
            state.frontiers.whole(window.tier()) >= Some(window.end()) && !marks.iter().any(dirties)
        };
        self.compare(&state, clean).await;
        self.billed().await;
    }

    /// Compares all raw points, and the windows for which `clean` holds, with what was taken.
    async fn compare(&self, state: &State, clean: impl Fn(Window, &Environment) -> bool) {
        for number in 0..ENVIRONMENTS {
            let environment = environment(number);
            for tier in Tier::ALL {
                let scan = Scan {
                    environment: environment.clone(),
                    tier,
                    range: TimeRange::new(Timestamp::EPOCH, Timestamp::MAX),
                };
                let rows = self.store.scan(&scan).await.expect("the scan");
                let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.start, row)).collect();
                let (from, to) = (
                    (tier, environment.clone(), Timestamp::EPOCH),
                    (tier, environment.clone(), Timestamp::MAX),
                );
                let starts: BTreeSet<Timestamp> = self
                    .expected
                    .range(from..to)
                    .map(|((.., start), _)| *start)
                    .chain(rows.keys().copied())
                    .collect();
                for start in starts {
                    let kept = state.floors.of(tier).is_none_or(|floor| start >= floor);
                    let window = Window::containing(tier, start);
                    if !kept || (tier != Tier::Raw && !clean(window, &environment)) {
                        continue;
                    }
                    let found: Series =
                        rows.get(&start).into_iter().flat_map(|row| row.series.clone()).collect();
                    let taken = self.expected.get(&(tier, environment.clone(), start));
                    assert_eq!(
                        found,
                        taken.cloned().unwrap_or_default(),
                        "{tier} of {environment} at {start} is not what was taken; frontiers {:?}",
                        state.frontiers
                    );
                    let mut totals = [0; Meter::ALL.len()];
                    for (key, count) in &found {
                        totals[usize::from(key.meter.number())] += count;
                    }
                    let stored = rows.get(&start).map(|row| row.totals).unwrap_or_default();
                    assert_eq!(
                        stored, totals,
                        "the totals of {tier} at {start} are not the sum of its series"
                    );
                }
            }
        }
    }

    /// What the ledger says, read as who bills does: a row after the other. Each prefix is what was known at a moment:
    /// revisions have no gaps, each says what the one before said, and none is more than was taken.
    async fn billed(&self) -> BTreeMap<(Environment, Meter, Timestamp), u64> {
        let feed =
            Feed { scope: Scope::default(), after: Position::START, until: Position::MAX, limit: usize::MAX };
        let rows = self.ledger.feed(feed).await.expect("the feed").rows;
        let mut billed = BTreeMap::new();
        let mut revisions: BTreeMap<_, u32> = BTreeMap::new();
        for (number, row) in (1..).zip(rows) {
            assert_eq!(row.position.get(), number, "rows have no gaps");
            let key = (Environment::clone(&row.environment), row.meter, row.hour);
            let revision = revisions.entry(key.clone()).or_default();
            *revision += 1;
            assert_eq!(row.revision, *revision, "revisions have no gaps");
            assert!(row.count <= self.taken_in(&key), "{key:?} is billed beyond what was taken");
            let before = billed.insert(key, row.count).unwrap_or_default();
            assert_eq!((row.previous, row.count > before), (before, true), "{row:?}");
        }
        billed
    }

    /// What an hour came to.
    fn taken_in(&self, (environment, meter, hour): &(Environment, Meter, Timestamp)) -> u64 {
        let taken = self.expected.get(&(Tier::Hour, environment.clone(), *hour));
        taken.into_iter().flatten().filter(|(key, _)| key.meter == *meter).map(|(_, count)| count).sum()
    }

    /// Once quiet: the newest revisions are what was taken, for every hour that is closed.
    async fn check_ledger(&self) {
        let closed = self.ledger.standing().await.expect("the standing").closed;
        let billed = self.billed().await;
        for (tier, environment, hour) in self.expected.keys() {
            for meter in [Meter::Evaluations, Meter::Requests] {
                let key = (environment.clone(), meter, *hour);
                if *tier == Tier::Hour && Some(hour.plus_seconds(3_600)) <= closed {
                    assert_eq!(
                        billed.get(&key).copied().unwrap_or_default(),
                        self.taken_in(&key),
                        "{key:?} is closed, and not billed as it was taken"
                    );
                }
            }
        }
        assert!(billed.keys().all(|(.., hour)| Some(hour.plus_seconds(3_600)) <= closed));
    }

    /// Everything gets through, time passes, and the downsamplers run until nothing is due: then all tiers
    /// agree with what was taken, to the last count, and no mark is left.
    pub(crate) async fn settle(&mut self) {
        for seat in &mut self.seats {
            seat.skew_seconds = 0;
        }
        let ahead = self.nodes.iter().map(|node| node.skew_seconds).max().unwrap_or(0).max(0);
        self.now = self.log_now.max(self.now).plus_seconds(ahead);
        for node in 0..NODES {
            self.nodes[usize::from(node)].skew_seconds = 0;
            self.deliver_all(node).await;
        }
        self.start(0);
        let watermarks = self.nodes.iter().map(|node| node.watermark).max();
        self.now = self.now.max(watermarks.unwrap_or(self.now));
        // The counts that lie ahead are in after two more hours, and the silent are missing by then.
        for _ in 0..2 {
            self.pass(2 * 3_600);
            for node in 0..NODES {
                self.seal(node, false);
                self.deliver_all(node).await;
            }
        }
        let mut quiet = 0;
        for _ in 0..10_000 {
            for downsampler in 0..DOWNSAMPLERS {
                while !self.turn(downsampler, None).await {}
            }
            quiet = if self.is_quiet().await { quiet + 1 } else { 0 };
            if quiet == 2 {
                break;
            }
        }
        assert_eq!(quiet, 2, "the cycles never came to an end");
        assert_eq!(self.marks().await, [], "marks are left although nothing is due");
        let state = self.state().await;
        let last = self.expected.keys().map(|(.., start)| *start).max();
        let hour = state.frontiers.hour.whole.expect("hours are whole");
        assert!(last.is_none_or(|last| last.plus_seconds(60) <= hour), "{last:?} is not whole");
        self.check_all().await;
        let closed = self.ledger.standing().await.expect("the standing").closed.expect("hours are closed");
        assert!(last.is_none_or(|last| last.plus_seconds(60) <= closed), "{last:?} is not closed");
        self.check_ledger().await;
    }

    async fn is_quiet(&self) -> bool {
        let state = self.state().await;
        let mut phases = Phase::ROLLING.into_iter().chain(Phase::CLOSING);
        phases.all(|phase| plan(phase, &state, &[], &self.config, self.now).steps.is_empty())
            && state.dirty == 0
            && self.closed_all(&state).await
    }

    /// Whether no hour is due to be closed.
    async fn closed_all(&self, state: &State) -> bool {
        let closed = self.ledger.standing().await.expect("the standing").closed;
        due(state, &self.config, self.now) <= closed
    }
}

fn grouped(counts: &[(&(Environment, Slot, SeriesKey), &u64)]) -> Vec<EnvironmentCounts> {
    let mut environments: BTreeMap<&Environment, BTreeMap<Slot, Series>> = BTreeMap::new();
    for ((environment, slot, key), count) in counts {
        environments.entry(environment).or_default().entry(*slot).or_default().insert(key.clone(), **count);
    }
    let counts_of = |(environment, slots): (&Environment, BTreeMap<Slot, Series>)| {
        let series: Vec<SeriesKey> =
            slots.values().flat_map(BTreeMap::keys).cloned().collect::<BTreeSet<_>>().into_iter().collect();
        let position =
            |key: &SeriesKey| u32::try_from(series.binary_search(key).expect("is there")).expect("few");
        let slots = slots
            .into_iter()
            .map(|(slot, counts)| SlotCounts {
                slot,
                series: counts.keys().map(position).collect(),
                counts: counts.into_values().collect(),
            })
            .collect();
        EnvironmentCounts { environment: environment.clone(), series, slots }
    };
    environments.into_iter().map(counts_of).collect()
}
