//! The audit on a real store: what agrees, what waits, and what it must find.

use std::{collections::BTreeMap, sync::Arc};

use flagmeter_downsampler::Downsampler;
use flagmeter_model::{
    Batch, Clock, Environment, EnvironmentCounts, ManualClock, Meter, Name, NodeId, Seq, SeriesKey, Slot,
    SlotCounts, Tier, TimeRange, Timestamp, Window,
};
use flagmeter_store::{DeadLetter, NewMark, Positioned, Rolling, Store, Write, embedded};

use super::{Arrived, Audit, Due, Report};

const START: i64 = 1_795_176_000;

struct Bench {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    clock: ManualClock,
    downsampler: Downsampler,
    seq: u64,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_seconds_clamped(START + 2 * 3_600));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let config = embedded::Config::new(folder.path().join("store.sqlite"));
        let store: Arc<dyn Store> =
            Arc::new(embedded::EmbeddedStore::open(config, Arc::clone(&shared)).unwrap());
        let downsampler = Downsampler::new(
            flagmeter_downsampler::Config::default(),
            Arc::clone(&store),
            None,
            shared,
            &prometheus::Registry::new(),
        );
        Self { _folder: folder, store, clock, downsampler: downsampler.unwrap(), seq: 0 }
    }

    /// Stores counts of a series, `seconds` after the start, sealed now.
    async fn write(&mut self, counts: &[(Meter, &str, i64, u64)]) {
        self.seq += 1;
        let now = self.clock.now();
        let environments: Vec<EnvironmentCounts> = vec![environment_counts(counts)];
        let batch = Batch {
            node: NodeId::new(0).unwrap(),
            seq: Seq::new(self.seq),
            part: 0,
            sealed_at: now,
            covers_from: Timestamp::from_seconds_clamped(START),
            watermark: Some(now),
            farewell: false,
            region: None,
            environments,
        };
        let positioned = Positioned { partition: 0, offset: self.seq, appended_at: now, batch };
        let positions = BTreeMap::from([(0, self.seq + 1)]);
        let write = Write { batches: vec![positioned], positions, ..Write::default() };
        self.store.write(Arc::new(write)).await.unwrap();
    }

    async fn roll(&mut self) {
        while self.downsampler.cycle().await.unwrap().more {}
    }

    /// Rolls the first window of a tier up again, and does nothing about marks.
    async fn roll_again(&self, tier: Tier) {
        let window = Window::containing(tier, Timestamp::from_seconds_clamped(START));
        let rolling = Rolling::Windows(vec![NewMark { window, environment: environment() }]);
        self.store.roll(&rolling).await.unwrap();
    }

    async fn audit(&self) -> Report {
        self.audit_after(1_000, Due::WhenServed).await
    }

    /// With `received` counts at the edge.
    async fn audit_after(&self, received: u64, due: Due) -> Report {
        let range = TimeRange::new(Timestamp::EPOCH, Timestamp::MAX);
        let audit = Audit { store: Arc::clone(&self.store), ledger: None, range, now: self.clock.now() };
        audit
            .run(|| Arrived { received: BTreeMap::from([(environment(), received)]), due }, |_, _| {})
            .await
            .unwrap()
    }
}

fn environment() -> Environment {
    let name = |text| Name::new(text).unwrap();
    Environment { customer: name("acme"), project: name("web"), environment: name("production") }
}

fn environment_counts(counts: &[(Meter, &str, i64, u64)]) -> EnvironmentCounts {
    let key = |meter, name: &str| SeriesKey { meter, ..SeriesKey::flag(Name::new(name).unwrap()) };
    let mut series: Vec<SeriesKey> = counts.iter().map(|(meter, name, ..)| key(*meter, name)).collect();
    series.sort();
    series.dedup();
    let mut slots: BTreeMap<Slot, BTreeMap<u32, u64>> = BTreeMap::new();
    for (meter, name, seconds, count) in counts {
        let slot = Slot::containing(Timestamp::from_seconds_clamped(START + seconds));
        let at = series.binary_search(&key(*meter, name)).unwrap();
        *slots.entry(slot).or_default().entry(at.try_into().unwrap()).or_default() += count;
    }
    let slots = slots
        .into_iter()
        .map(|(slot, counts)| SlotCounts {
            slot,
            series: counts.keys().copied().collect(),
            counts: counts.values().copied().collect(),
        })
        .collect();
    EnvironmentCounts { environment: environment(), series, slots }
}

/// Ten evaluations of a flag, and that they were received.
fn ten(seconds: i64) -> [(Meter, &'static str, i64, u64); 2] {
    [(Meter::Evaluations, "a", seconds, 10), (Meter::Received, "counts.v1", seconds, 10)]
}

#[tokio::test]
async fn a_store_that_is_rolled_up_agrees_in_all_tiers_and_fates() {
    let mut bench = Bench::new();
    for seconds in [0, 70, 1_000, 3_500, 3_700] {
        bench.write(&ten(seconds)).await;
    }
    let fates = [
        (Meter::Received, "counts.v1", 0, 7),
        (Meter::Rejected, "name_empty", 0, 4),
        (Meter::Duplicate, "counts.v1", 0, 3),
    ];
    bench.write(&fates).await;
    bench.roll().await;
    let report = bench.audit().await;
    assert!(report.agrees(), "{report:?}");
    assert_eq!((report.environments, report.waiting), (1, 0));
    // Five minutes, four quarters, two hours.
    assert_eq!(report.windows, 5 + 4 + 2);
    let fates = &report.fates[0];
    assert_eq!((fates.received, fates.stored, fates.duplicate, fates.rejected), (57, 50, 3, 4));
    assert_eq!(fates.in_flight, Some(1_000 - 57));
}

#[tokio::test(start_paused = true)]
async fn a_late_count_waits_while_its_window_is_marked_and_is_found_when_the_mark_is_lost() {
    let mut bench = Bench::new();
    bench.write(&ten(0)).await;
    bench.roll().await;
    bench.write(&ten(5)).await;
    let report = bench.audit().await;
    assert!(report.agrees() && report.waiting == 1, "{report:?}");

    // What must never happen: a mark is cleared without its window being rolled up again.
    let marks = bench.store.marks(Tier::Minute, Timestamp::MAX, 10).await.unwrap();
    bench.store.clear(&marks).await.unwrap();
    let report = bench.audit().await;
    assert!(!report.agrees() && report.waiting == 0, "{report:?}");
    let first = report.first_differences.join("\n");
    assert!(
        first.contains("acme/web/production 2026-11-20T12:00:00Z: evaluations a is 20 in 10s and 10 in 1m"),
        "{first}"
    );
    assert!(first.contains("the total of evaluations is 20 in 10s and 10 in 1m"), "{first}");
}

/// As a downsampler leaves it that stops in the middle: each step is tried with the marks of its tier standing.
#[tokio::test(start_paused = true)]
async fn a_window_waits_while_a_finer_one_is_written_anew_and_only_then() {
    let mut bench = Bench::new();
    bench.write(&ten(0)).await;
    bench.roll().await;
    bench.write(&ten(5)).await;
    let marks = bench.store.marks(Tier::Minute, Timestamp::MAX, 10).await.unwrap();
    bench.roll_again(Tier::Minute).await;
    let report = bench.audit().await;
    assert!(report.agrees() && report.waiting == 1, "its quarter waits, unmarked: {report:?}");

    bench.roll_again(Tier::Quarter).await;
    let report = bench.audit().await;
    let first = report.first_differences.join("\n");
    assert!(first.contains("is 20 in 15m and 10 in 1h") && !first.contains("in 1m"), "{first}");

    bench.store.clear(&marks).await.unwrap();
    bench.roll_again(Tier::Hour).await;
    assert!(bench.audit().await.agrees());
    bench.write(&ten(3_000)).await;
    bench.write(&ten(10)).await;
    let (lost, stands): (Vec<_>, Vec<_>) = bench
        .store
        .marks(Tier::Minute, Timestamp::MAX, 10)
        .await
        .unwrap()
        .into_iter()
        .partition(|mark| mark.window.start().as_seconds() == START);
    assert_eq!((lost.len(), stands.len()), (1, 1));
    bench.store.clear(&lost).await.unwrap();
    let report = bench.audit().await;
    assert!(
        !report.agrees() && report.waiting == 1,
        "the mark of another window excuses nothing: {report:?}"
    );
}

#[tokio::test]
async fn what_retention_took_is_not_missed() {
    let mut bench = Bench::new();
    bench.write(&ten(0)).await;
    bench.roll().await;
    let days = 10 * 86_400;
    bench.clock.advance(days);
    bench.write(&ten(days)).await;
    bench.roll().await;
    let floors = bench.store.state().await.unwrap().floors;
    let start = Some(Timestamp::from_seconds_clamped(START));
    assert!(floors.minute < start && start < floors.raw, "{floors:?}");
    let report = bench.audit().await;
    assert!(report.agrees(), "{report:?}");
    // The old count is compared in quarters and hours only, the new one in minutes, too.
    assert_eq!(report.windows, 1 + 2 + 2);
}

#[tokio::test]
async fn counts_without_a_fate_are_found() {
    let mut bench = Bench::new();
    bench.write(&[(Meter::Evaluations, "a", 0, 10), (Meter::Received, "counts.v1", 0, 12)]).await;
    bench.roll().await;
    let report = bench.audit().await;
    assert_eq!(report.differences, 1);
    assert!(report.first_differences[0].contains("12 counts were received, but 10 are stored"), "{report:?}");
}

#[tokio::test]
async fn what_was_received_and_is_on_no_way_to_the_store_is_lost() {
    let mut bench = Bench::new();
    bench.write(&ten(0)).await;
    bench.roll().await;
    assert!(bench.audit_after(10, Due::Now).await.agrees());
    let report = bench.audit_after(12, Due::Now).await;
    assert_eq!((report.differences, report.fates[0].in_flight), (1, Some(0)));
    assert!(report.first_differences[0].contains("2 are lost"), "{report:?}");
}

#[tokio::test]
async fn where_the_edges_are_other_processes_what_waits_at_them_is_not_known() {
    let mut bench = Bench::new();
    bench.write(&ten(0)).await;
    bench.roll().await;
    let report = bench.audit_after(0, Due::Unknown).await;
    assert!(report.agrees(), "{report:?}");
    assert_eq!((report.fates[0].received, report.fates[0].in_flight), (10, None));
    bench.write(&[(Meter::Received, "counts.v1", 0, 1)]).await;
    assert!(!bench.audit_after(0, Due::Unknown).await.agrees(), "what is stored must add up all the same");
}

#[tokio::test]
async fn what_a_running_server_received_is_due_once_its_next_seal_is_stored() {
    let mut bench = Bench::new();
    bench.write(&ten(0)).await;
    let due = Due::Past(NodeId::new(0).unwrap(), bench.clock.now());
    // The store is at that time exactly: it may hold nothing that came within its millisecond.
    let report = bench.audit_after(12, due).await;
    assert_eq!((report.differences, report.fates[0].in_flight), (0, Some(2)), "{report:?}");

    let (store, now) = (Arc::clone(&bench.store), bench.clock.now());
    let range = TimeRange::new(Timestamp::EPOCH, Timestamp::MAX);
    let arrived = || Arrived { received: BTreeMap::from([(environment(), 1_000_000)]), due };
    let audit = Audit { store, ledger: None, range, now };
    let seals = async {
        loop {
            bench.clock.advance(1);
            bench.write(&ten(0)).await;
        }
    };
    let report = tokio::select! {
        report = audit.run(arrived, |_, _| {}) => report.unwrap(),
        () = seals => unreachable!(),
    };
    assert!(report.first_differences[0].contains("are lost"), "{report:?}");
}

#[tokio::test]
async fn dead_letters_excuse_what_is_missing_and_are_told() {
    let mut bench = Bench::new();
    bench.write(&ten(0)).await;
    bench.roll().await;
    let letter = DeadLetter {
        partition: 0,
        offset: 99,
        at: bench.clock.now(),
        reason: "damaged".into(),
        detail: "for a test".into(),
        count: Some(4),
        payload: vec![],
    };
    let write = Write { dead_letters: vec![letter], ..Write::default() };
    bench.store.write(Arc::new(write)).await.unwrap();
    let report = bench.audit_after(12, Due::Now).await;
    assert_eq!((report.differences, report.in_dead_letters), (0, 2), "{report:?}");
    let report = bench.audit_after(15, Due::Now).await;
    assert_eq!((report.differences, report.in_dead_letters), (1, 0), "{report:?}");
}
