//! An edge with a clock that stands still, a log that can fail, and a client.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use bytes::Bytes;
use flagmeter_log::{Error as LogError, NewRecord, Producer};
use flagmeter_model::{Batch, ManualClock, Meter, NodeId, Registry, Timestamp, decode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tower::ServiceExt;

use crate::{Config, Edge, Result, inbox::Order, journal::Journal};

pub(super) const REGISTRY: &str = r#"
[[customer]]
id = "acme"
[[customer.project]]
id = "web"
[[customer.project.environment]]
id = "production"
keys = ["key-1"]
[[customer.project.environment]]
id = "staging"
keys = ["key-2"]
[[customer]]
id = "other"
[[customer.project]]
id = "web"
[[customer.project.environment]]
id = "production"
keys = ["key-other"]
"#;

/// A log in memory that refuses while it is told to.
#[derive(Debug, Default)]
pub(super) struct TestLog {
    pub(super) records: Mutex<Vec<NewRecord>>,
    /// How many records each append brought that was taken.
    pub(super) appends: Mutex<Vec<usize>>,
    pub(super) fails: AtomicBool,
    /// Another node took this one's place.
    pub(super) closed: AtomicBool,
}

#[async_trait]
impl Producer for TestLog {
    fn partitions(&self) -> u32 {
        3
    }

    async fn append(&self, records: Vec<NewRecord>) -> flagmeter_log::Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(LogError::Fenced { node: NodeId::new(7).unwrap() });
        }
        if self.fails.load(Ordering::SeqCst) {
            return Err(LogError::Unavailable("told to".into()));
        }
        self.appends.lock().push(records.len());
        self.records.lock().extend(records);
        Ok(())
    }
}

impl TestLog {
    pub(super) fn batches(&self) -> Vec<Batch> {
        self.records.lock().iter().map(|record| decode(&record.payload).unwrap()).collect()
    }
}

/// What a batch's points are known by: (environment, meter, name, variant, slot, seq).
type PointName = (String, Meter, String, Option<String>, u32, u64);

/// What a store makes of batches: a point that comes again replaces itself, and must be the same.
pub(super) fn stored(batches: &[Batch]) -> BTreeMap<PointName, u64> {
    let mut points = BTreeMap::new();
    for batch in batches {
        batch.validate().unwrap();
        for counts in &batch.environments {
            for (key, slot, count) in counts.points() {
                let name = (
                    counts.environment.environment.to_string(),
                    key.meter,
                    key.name.to_string(),
                    key.variant.as_ref().map(ToString::to_string),
                    slot.number(),
                    batch.seq.get(),
                );
                if let Some(before) = points.insert(name, count) {
                    assert_eq!(before, count, "a point that comes again is the same");
                }
            }
        }
    }
    points
}

/// Sums of what is stored, by meter.
pub(super) fn sums(batches: &[Batch]) -> BTreeMap<Meter, u64> {
    let mut sums = BTreeMap::new();
    for ((_, meter, ..), count) in stored(batches) {
        *sums.entry(meter).or_insert(0) += count;
    }
    sums
}

/// Sums of what is stored of one meter, by name.
pub(super) fn named(batches: &[Batch], of: Meter) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for ((_, meter, name, ..), count) in stored(batches) {
        if meter == of {
            *sums.entry(name).or_insert(0) += count;
        }
    }
    sums
}

/// received = evaluations + requests + duplicate + rejected.
pub(super) fn assert_every_count_has_a_fate(batches: &[Batch]) {
    let sums = sums(batches);
    let sum = |meter| sums.get(&meter).copied().unwrap_or(0);
    assert_eq!(
        sum(Meter::Received),
        sum(Meter::Evaluations) + sum(Meter::Requests) + sum(Meter::Duplicate) + sum(Meter::Rejected),
        "{sums:?}"
    );
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(super) fn reason(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(json["status"].as_u64(), Some(u64::from(self.status.as_u16())));
        let reason = json["reason"].as_str().unwrap().to_owned();
        assert_eq!(json["type"], format!("urn:flagmeter:problem:{}", reason.replace('_', "-")));
        reason
    }
}

/// An edge under test.
pub(super) struct Rig {
    pub(super) folder: tempfile::TempDir,
    pub(super) clock: ManualClock,
    pub(super) log: Arc<TestLog>,
    pub(super) registry: watch::Sender<Arc<Registry>>,
    pub(super) metrics: prometheus::Registry,
    pub(super) edge: Edge,
    pub(super) router: Router,
}

pub(super) fn start() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-20T12:00:03Z").unwrap()
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::open(folder, ManualClock::at(start()), Arc::default(), change).unwrap()
    }

    pub(super) fn open(
        folder: tempfile::TempDir,
        clock: ManualClock,
        log: Arc<TestLog>,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self> {
        let mut config = Config::new(NodeId::new(7).unwrap(), journal_in(folder.path()));
        change(&mut config);
        let (registry, receiver) = watch::channel(Arc::new(Registry::parse(REGISTRY).unwrap()));
        let metrics = prometheus::Registry::new();
        let edge = Edge::open(config, log.clone(), receiver, Arc::new(clock.clone()), &metrics)?;
        let router = edge.router();
        Ok(Self { folder, clock, log, registry, metrics, edge, router })
    }

    /// What another process would find if this one were killed now.
    pub(super) fn killed(&self) -> Self {
        self.killed_with(|_| {})
    }

    pub(super) fn killed_with(&self, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(self.folder.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        Self::open(folder, self.clock.clone(), self.log.clone(), change).unwrap()
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        Answer { status: head.status, headers: head.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    pub(super) async fn flagsmith(&self, key: &str, body: impl Into<Body>) -> Answer {
        self.send(flagsmith(key, body)).await
    }

    pub(super) async fn counts(&self, once: Option<&str>, body: &str) -> Answer {
        self.send(counts(once, body)).await
    }

    pub(super) async fn seal(&self) {
        self.edge.seal(false).await.unwrap();
    }

    /// Appends what is sealed, without telling the journal that it was: as a crash right after it would.
    pub(super) async fn append_all(&self) -> i64 {
        let (done, answer) = oneshot::channel();
        self.edge.order(Order::Next { after: 0, bytes_max: usize::MAX, done });
        let waiting = answer.await.unwrap().unwrap();
        self.log.append(waiting.records).await.unwrap();
        waiting.through
    }

    /// Does this to the journal. Done when it returns: the committer takes requests before orders that wait with
    /// them.
    pub(super) async fn tamper(&self, with: fn(&mut Journal)) {
        let (done, answer) = oneshot::channel();
        self.edge.order(Order::Tamper { with, done });
        answer.await.unwrap();
    }

    /// Everything that was ever committed here, as a store would hold it.
    pub(super) async fn drained(&self) -> Vec<Batch> {
        self.hand_on().await;
        self.clock.advance(1);
        self.seal().await;
        self.hand_on().await;
        self.log.batches()
    }

    /// Hands on what is sealed.
    pub(super) async fn hand_on(&self) {
        let through = self.append_all().await;
        self.edge.order(Order::HandedOn { through });
    }

    /// How often a histogram was told something.
    pub(super) fn times(&self, name: &str) -> u64 {
        let families = self.metrics.gather();
        let family = families.iter().find(|family| family.name() == format!("flagmeter_edge_{name}"));
        family.map_or(0, |family| family.get_metric()[0].get_histogram().get_sample_count())
    }

    pub(super) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let families = self.metrics.gather();
        let family = families.iter().find(|family| family.name() == format!("flagmeter_edge_{name}"));
        let has = |metric: &prometheus::proto::Metric, &(name, value): &(&str, &str)| {
            metric.get_label().iter().any(|label| label.name() == name && label.value() == value)
        };
        let metrics = family.map(prometheus::proto::MetricFamily::get_metric).unwrap_or_default();
        let metric = metrics.iter().find(|metric| labels.iter().all(|label| has(metric, label)));
        let value = metric.map_or(0.0, |metric| {
            let sums = [metric.get_counter().get_value(), metric.get_gauge().get_value()];
            sums.into_iter().sum::<f64>() + metric.get_histogram().get_sample_sum()
        });
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "metrics of tests are small counts"
        )]
        let value = value as u64;
        value
    }
}

pub(super) fn journal_in(folder: &Path) -> PathBuf {
    folder.join("journal.sqlite")
}

pub(super) fn flagsmith(key: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post("/api/v1/analytics/flags/").header("x-environment-key", key);
    request.body(body.into()).unwrap()
}

/// Its sender names it, always the same: else no answer would be like another.
pub(super) fn counts(once: Option<&str>, body: &str) -> Request<Body> {
    let mut request = Request::post("/v1/counts").header("authorization", "Bearer key-1");
    request = request.header("x-request-id", "of-a-test");
    if let Some(once) = once {
        request = request.header("idempotency-key", once);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}
