//! A router over an embedded store, with what was counted.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
    response::Response,
    routing::post,
};
use flagmeter_ledger::{Config as LedgerConfig, EmbeddedLedger, Ledger, Mute, MuteId, Muting, Subject};
use flagmeter_model::{Clock as _, Environment, ManualClock, Meter, Name, Registry, SeriesKey, Timestamp};
use flagmeter_store::{
    Store,
    conformance::fixture::{self, START, Seal},
    embedded::{Config as StoreConfig, EmbeddedStore},
};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use prometheus::proto::{LabelPair, MetricFamily};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tower::ServiceExt as _;
use tower_http::cors::{Any, CorsLayer};

use crate::{
    Config, InFlight, Parts,
    access::{NewToken, Role, Tokens},
    router,
};

/// When all tests take place.
pub(super) const NOW: &str = "2026-11-20T12:44:54Z";

const REGISTRY: &str = r#"
[[customer]]
id = "acme"
time_zone = "Europe/Berlin"
[[customer.project]]
id = "web"
flags = ["checkout", { id = "never", owner = "web", remove_by = "2026-11-19" }]
[[customer.project.environment]]
id = "production"
keys = ["ser.acme-production"]
[[customer.project.environment]]
id = "staging"
keys = ["ser.acme-staging"]

[[customer]]
id = "globex"
[customer.plan]
evaluations = 9_000
time_zone = "Europe/Berlin"
billing_day = 31
hard_thresholds = [120]
[[customer.project]]
id = "shop"
[[customer.project.environment]]
id = "production"
keys = ["ser.globex-production"]
"#;

pub(super) fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn environment(customer: &str, project: &str, environment: &str) -> Environment {
    Environment { customer: name(customer), project: name(project), environment: name(environment) }
}

pub(super) fn acme() -> Environment {
    environment("acme", "web", "production")
}

pub(super) fn globex() -> Environment {
    environment("globex", "shop", "production")
}

pub(super) fn flag(text: &str) -> SeriesKey {
    SeriesKey::flag(name(text))
}

pub(super) fn of(meter: Meter, text: &str) -> SeriesKey {
    SeriesKey { meter, ..flag(text) }
}

/// Seconds after the time that the store's fixtures count from.
pub(super) fn after_start(at: Timestamp) -> i64 {
    at.as_seconds() - START
}

/// What the edges say they have received.
#[derive(Default)]
pub(super) struct Edges {
    pub(super) received: Mutex<BTreeMap<Environment, u64>>,
    /// Told whenever they are asked.
    pub(super) asked: Notify,
}

impl InFlight for Edges {
    fn received(&self) -> BTreeMap<Environment, u64> {
        self.asked.notify_waiters();
        self.received.lock().clone()
    }
}

/// What another stage serves on the address.
async fn a_bug() -> StatusCode {
    panic!("a bug of another stage")
}

/// A router over a store.
pub(super) struct Bench {
    pub(super) router: Router,
    pub(super) store: Arc<dyn Store>,
    pub(super) ledger: Arc<dyn Ledger>,
    /// Dropped when the process is told to stop.
    pub(super) awake: Option<watch::Sender<()>>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) edges: Arc<Edges>,
    pub(super) clock: ManualClock,
    pub(super) metrics: prometheus::Registry,
    /// A token of each role.
    pub(super) operator: String,
    pub(super) billing: String,
    pub(super) acme: String,
    seals: AtomicU64,
    pub(super) folder: tempfile::TempDir,
    registry: Arc<Registry>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::configured(Config::default())
    }

    pub(super) fn configured(config: Config) -> Self {
        let clock = ManualClock::at(at(NOW));
        let folder = tempfile::tempdir().unwrap();
        let store = StoreConfig::new(folder.path().join("store.sqlite"));
        let store = Arc::new(EmbeddedStore::open(store, Arc::new(clock.clone())).unwrap());
        Self::over(store, config, &clock, folder)
    }

    /// Over any store: for one that does not answer.
    pub(super) fn over(
        store: Arc<dyn Store>,
        config: Config,
        clock: &ManualClock,
        folder: tempfile::TempDir,
    ) -> Self {
        let tokens = Tokens::open(folder.path().join("tokens.jsonl"), Arc::new(clock.clone())).unwrap();
        let tokens = Arc::new(tokens);
        let token =
            |role| tokens.create(NewToken { role, note: None, expires_at: None }, "test").unwrap().text;
        let (operator, billing, acme) =
            (token(Role::Operator), token(Role::Billing), token(Role::Customer(name("acme"))));
        let edges = Arc::new(Edges::default());
        let metrics = prometheus::Registry::new();
        let seals = AtomicU64::new(1);
        let clock = clock.clone();
        let router = Router::new();
        let ledger = LedgerConfig { path: folder.path().join("ledger.sqlite") };
        let over = Self {
            router,
            store,
            ledger: Arc::new(EmbeddedLedger::open(&ledger).unwrap()),
            awake: None,
            tokens,
            edges,
            clock,
            metrics,
            operator,
            billing,
            acme,
            seals,
            folder,
            registry: Arc::new(Registry::parse(REGISTRY).unwrap()),
        };
        over.with(config)
    }

    /// The same over another ledger; the one before is let go of.
    pub(super) fn over_ledger(self, ledger: Arc<dyn Ledger>) -> Self {
        Self { ledger, ..self }.with(Config::default())
    }

    /// The same of other customers, once it is put together again.
    pub(super) fn of_registry(self, text: &str) -> Self {
        Self { registry: Arc::new(Registry::parse(text).unwrap()), ..self }
    }

    /// The same for those who have the tokens of another one, once it is put together again.
    pub(super) fn of_tokens(self, other: &Self) -> Self {
        let (operator, billing, acme) = (other.operator.clone(), other.billing.clone(), other.acme.clone());
        Self { tokens: Arc::clone(&other.tokens), operator, billing, acme, ..self }
    }

    /// The same with other bounds, and its metrics anew.
    pub(super) fn with(self, config: Config) -> Self {
        let ledger = Some(Arc::clone(&self.ledger));
        self.put_together(config, ledger)
    }

    /// The same where no ledger is kept.
    pub(super) fn without_ledger(self) -> Self {
        self.put_together(Config::default(), None)
    }

    fn put_together(self, config: Config, ledger: Option<Arc<dyn Ledger>>) -> Self {
        let metrics = prometheus::Registry::new();
        let (awake, stopping) = watch::channel(());
        let others = Router::new().route("/door", post(a_bug));
        let parts = Parts {
            config,
            store: Arc::clone(&self.store),
            ledger,
            tokens: Arc::clone(&self.tokens),
            registry: watch::channel(Arc::clone(&self.registry)).1,
            in_flight: Some(Arc::clone(&self.edges) as Arc<dyn InFlight>),
            stopping,
            clock: Arc::new(self.clock.clone()),
            metrics: &metrics,
        };
        let router = router(parts, others.layer(CorsLayer::new().allow_origin(Any))).unwrap();
        Self { router, metrics, awake: Some(awake), ..self }
    }

    /// Node 1 was there from `from` to `to`, and counted this.
    pub(super) async fn seal(&self, from: Timestamp, to: Timestamp, counts: &[Count<'_>]) {
        let seq = self.seals.fetch_add(1, Ordering::SeqCst);
        let to = after_start(to);
        let mut seal = Seal::new(1, seq).unwrap().covering(after_start(from), to).heard(to);
        for (environment, key, time, count) in counts {
            seal = seal.count(environment, key, after_start(*time), *count);
        }
        fixture::write(&*self.store, &[seal]).await.unwrap();
    }

    /// Rolls up every tier, as the downsampler does; the times are on the hour.
    pub(super) async fn roll_up(&self, from: Timestamp, until: Timestamp) {
        fixture::roll_up(&*self.store, after_start(from), after_start(until)).await.unwrap();
    }

    /// Mutes all of a customer for two hours from now on.
    pub(super) async fn mute(&self, customer: &str, reason: &str) -> Mute {
        let id = MuteId::new(self.seals.fetch_add(1, Ordering::SeqCst).into());
        let (of, now) = (Subject::Customer(name(customer)), self.clock.now());
        let (from, to, by) = (now, now.plus_seconds(7_200), "0123456789ab, on call".to_owned());
        let muting = Muting { id, of, from, to, reason: reason.to_owned(), by };
        self.ledger.mute(muting, now).await.unwrap()
    }

    /// Asks as an operator.
    pub(super) async fn get(&self, address: &str) -> Reply {
        self.get_as(&self.operator, address).await
    }

    pub(super) async fn get_as(&self, token: &str, address: &str) -> Reply {
        let request = Request::get(address).header("authorization", format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// The answer with its body not read yet.
    pub(super) async fn ask(&self, token: &str, address: &str) -> Response {
        self.ask_after(token, address, None).await
    }

    /// The same from someone who comes back after an event.
    pub(super) async fn ask_after(
        &self,
        token: &str,
        address: &str,
        last_event_id: Option<&str>,
    ) -> Response {
        let mut request = Request::get(address).header("authorization", format!("Bearer {token}"));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Reply {
        Reply::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    /// The value of a metric with these label values, in the order of their names; 0 where it is not there.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ours are whole numbers")]
    pub(super) fn metric(&self, metric_name: &str, labels: &[&str]) -> u64 {
        let families = self.metrics.gather();
        let family = families.iter().find(|family| family.name() == metric_name);
        let metrics = family.map(MetricFamily::get_metric).unwrap_or_default();
        let found = metrics
            .iter()
            .find(|metric| metric.get_label().iter().map(LabelPair::value).eq(labels.iter().copied()));
        found.map_or(0, |metric| (metric.get_counter().get_value() + metric.get_gauge().get_value()) as u64)
    }
}

/// Whose, which series, when, how many.
pub(super) type Count<'a> = (&'a Environment, SeriesKey, Timestamp, u64);

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Reply {
    /// A whole answer.
    pub(super) async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// The body of a success.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    /// The body of an error: a problem, whose status is that of the answer.
    #[track_caller]
    pub(super) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], status);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
        }
        assert!(problem["type"].as_str().unwrap().starts_with("urn:flagmeter:problem:"));
        problem
    }
}

/// The values of a member of each row.
pub(super) fn each<'a>(answer: &'a Value, member: &str) -> Vec<&'a Value> {
    answer["rows"].as_array().unwrap().iter().map(|row| &row[member]).collect()
}
