//! A log, a store, and what was sent.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use flagmeter_log::{NewRecord, Positions, embedded};
use flagmeter_model::{
    Batch, ContentEncoding, Environment, EnvironmentCounts, ManualClock, Name, NodeId, Seq, SeriesKey, Slot,
    SlotCounts, Tier, TimeRange, Timestamp, encode,
};
use flagmeter_store::{Scan, Store, embedded::EmbeddedStore};
use prometheus::proto::MetricFamily;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::faults::{Faults, FaultyConsumer, FaultyStore};
use crate::{Config, Result};

/// Counts per minute and series, in the one environment.
pub(super) type Counts = BTreeMap<(Timestamp, SeriesKey), u64>;

pub(super) struct World {
    pub(super) clock: ManualClock,
    pub(super) log: embedded::Log,
    pub(super) store: Arc<dyn Store>,
    pub(super) faults: Arc<Faults>,
    pub(super) keeps_positions: bool,
    metrics: Mutex<prometheus::Registry>,
    sent: Mutex<Counts>,
    _folder: TempDir,
}

pub(super) fn start() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-20T12:00:00Z").unwrap()
}

/// Quick tries; all else as it is.
pub(super) fn config() -> Config {
    Config {
        read_wait: Duration::from_millis(20),
        retry_first: Duration::from_millis(1),
        retry_max: Duration::from_millis(4),
        ..Config::default()
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn environment() -> Environment {
    Environment { customer: name("acme"), project: name("web"), environment: name("production") }
}

/// A seal of node 1 that counts one flag `seq + 1` times.
pub(super) fn seal(seq: u32) -> Batch {
    seal_of(1, seq, "checkout", u64::from(seq) + 1)
}

/// As [`seal`], counted at another time.
pub(super) fn seal_at(seq: u32, at: Timestamp) -> Batch {
    let mut batch = seal(seq);
    batch.environments[0].slots[0].slot = Slot::containing(at);
    batch
}

/// A seal of one count, in the slot that its `seq` falls in.
pub(super) fn seal_of(node: u16, seq: u32, flag: &str, count: u64) -> Batch {
    let at = start().plus_seconds(i64::from(seq));
    Batch {
        node: NodeId::new(node).unwrap(),
        seq: Seq::new(seq.into()),
        part: 0,
        sealed_at: at,
        covers_from: at,
        watermark: Some(at.plus_seconds(1)),
        farewell: false,
        region: None,
        environments: vec![EnvironmentCounts {
            environment: environment(),
            series: vec![SeriesKey::flag(name(flag))],
            slots: vec![SlotCounts { slot: Slot::containing(at), series: vec![0], counts: vec![count] }],
        }],
    }
}

pub(super) fn payload(batch: &Batch, encoding: ContentEncoding) -> Vec<u8> {
    encode(batch, encoding).unwrap()
}

impl World {
    pub(super) fn new(partitions: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(start());
        let log = embedded::Config { partitions, ..embedded::Config::at(folder.path().join("log.sqlite")) };
        let store = flagmeter_store::embedded::Config::new(folder.path().join("store.sqlite"));
        Self {
            log: embedded::Log::open(log, Arc::new(clock.clone())).unwrap(),
            store: Arc::new(EmbeddedStore::open(store, Arc::new(clock.clone())).unwrap()),
            clock,
            faults: Faults::new(),
            keeps_positions: true,
            metrics: Mutex::default(),
            sent: Mutex::default(),
            _folder: folder,
        }
    }

    pub(super) async fn append_bytes(&self, partition: u32, payload: Vec<u8>) {
        let record = NewRecord { partition, payload: payload.into() };
        self.log.producer().append(vec![record]).await.unwrap();
    }

    /// Appends a seal that is to be stored.
    pub(super) async fn append(&self, partition: u32, batch: &Batch, encoding: ContentEncoding) {
        self.append_bytes(partition, payload(batch, encoding)).await;
        let mut sent = self.sent.lock().unwrap();
        for (key, slot, count) in batch.environments.iter().flat_map(EnvironmentCounts::points) {
            *sent.entry((slot.start().floor_to(60), key.clone())).or_default() += count;
        }
    }

    /// A run in a process of its own.
    pub(super) fn run(
        &self,
        config: Config,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let metrics = prometheus::Registry::new();
        *self.metrics.lock().unwrap() = metrics.clone();
        let faults = &self.faults;
        let consumer = FaultyConsumer {
            inner: self.log.consumer().unwrap(),
            committed: Positions::new(),
            has_read: false,
            faults: Arc::clone(faults),
            store: Arc::clone(&self.store),
        };
        let store = FaultyStore {
            inner: Arc::clone(&self.store),
            faults: Arc::clone(faults),
            keeps_positions: self.keeps_positions,
        };
        let clock = Arc::new(self.clock.clone());
        async move { crate::run(config, Box::new(consumer), Arc::new(store), clock, &metrics, stop).await }
    }

    /// A run that is stopped from the beginning: it stores what is there.
    pub(super) async fn drain(&self, config: Config) -> Result<()> {
        let stop = CancellationToken::new();
        stop.cancel();
        self.run(config, stop).await
    }

    pub(super) fn sent(&self) -> Counts {
        self.sent.lock().unwrap().clone()
    }

    pub(super) async fn stored(&self) -> Counts {
        let range = TimeRange::new(start().floor_to(86_400), start().floor_to(86_400).plus_seconds(86_400));
        let scan = Scan { environment: environment(), tier: Tier::Raw, range };
        let rows = self.store.scan(&scan).await.unwrap();
        rows.into_iter()
            .flat_map(|row| row.series.into_iter().map(move |(key, count)| ((row.start, key), count)))
            .collect()
    }

    pub(super) async fn lag(&self) -> u64 {
        self.log.consumer().unwrap().lag().await.unwrap().records
    }

    /// A metric of the last run, its labels added up; of a histogram, how often.
    pub(super) fn metric(&self, name: &str) -> u64 {
        self.labelled(name, |_| true)
    }

    pub(super) fn dead_letters(&self, reason: &str) -> u64 {
        self.labelled("flagmeter_ingest_dead_letters_total", |label| label == reason)
    }

    pub(super) fn retries(&self, call: &str) -> u64 {
        self.labelled("flagmeter_ingest_retries_total", |label| label == call)
    }

    /// The sum of a histogram of the last run.
    pub(super) fn histogram_sum(&self, name: &str) -> f64 {
        let families = self.metrics.lock().unwrap().gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        family.get_metric()[0].get_histogram().get_sample_sum()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "every metric of these tests is a small whole number"
    )]
    fn labelled(&self, name: &str, wanted: impl Fn(&str) -> bool) -> u64 {
        let families = self.metrics.lock().unwrap().gather();
        families
            .iter()
            .filter(|family| family.name() == name)
            .flat_map(MetricFamily::get_metric)
            .filter(|metric| metric.get_label().iter().all(|label| wanted(label.value())))
            .map(|metric| {
                let figure = metric.get_counter().get_value() + metric.get_gauge().get_value();
                figure as u64 + metric.get_histogram().get_sample_count()
            })
            .sum()
    }

    /// Waits until a metric has a value.
    pub(super) async fn until_metric(&self, name: &str, value: u64) {
        let holds = async {
            while self.metric(name) != value {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), holds).await.unwrap();
    }
}
