//! What viewers of one live stream cost: `cargo bench -p flagmeter-queries --bench live`.
//!
//! An hour of 20 flags by minute, counted for anew each second on the embedded store. It is watched by 1, 1,000 and
//! 10,000 viewers in turn, each for 20 seconds, through the router, each as a task of its own that reads every event: what
//! is measured is the server's part without sockets, and the little that such a reader needs. Memory and processor time of
//! the process are compared with those of one viewer.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    error::Error,
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::Request,
};
use flagmeter_ledger::{Config as LedgerConfig, EmbeddedLedger};
use flagmeter_model::{Clock, Environment, Name, Registry, SeriesKey, SystemClock, Timestamp};
use flagmeter_queries::{
    Config, LiveConfig, Parts,
    access::{NewToken, Role, Tokens},
    router,
};
use flagmeter_store::{
    Store,
    conformance::fixture::{self, START, Seal},
    embedded::{Config as StoreConfig, EmbeddedStore},
};
use http_body_util::BodyExt as _;
use tokio::{sync::watch, task::JoinSet};
use tower::ServiceExt as _;

const ADDRESS: &str = "/v1/live?from=-1h&resolution=1m&group_by=flag";
const FLAGS: usize = 20;
const VIEWERS: [usize; 3] = [1, 1_000, 10_000];
const SECONDS: u64 = 20;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Memory of this process in KiB, as the system has it.
fn memory_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Time that the processors have spent on this process, in seconds: in steps of a hundredth.
fn processor_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u32>().unwrap_or_default()).sum();
    Some(f64::from(ticks) / 100.0)
}

/// One edge that counts something for each flag, each second.
async fn count(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Result<()> {
    let acme = Environment {
        customer: Name::new("acme")?,
        project: Name::new("web")?,
        environment: Name::new("production")?,
    };
    let keys = (0..FLAGS).map(|flag| Name::new(&format!("flag-{flag:02}")).map(SeriesKey::flag));
    let keys = keys.collect::<std::result::Result<Vec<_>, _>>()?;
    let after_start = |at: Timestamp| at.as_seconds() - START;
    let mut from = after_start(clock.now()) - 3_600;
    for seq in 1.. {
        let to = after_start(clock.now());
        let mut seal = Seal::new(1, seq)?.covering(from, to).heard(to);
        for key in &keys {
            seal = seal.count(&acme, key, to, 1 + seq % 7);
        }
        fixture::write(&*store, &[seal]).await?;
        from = to;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// What viewers have received.
#[derive(Default)]
struct Received {
    events: AtomicU64,
    bytes: AtomicU64,
}

impl Received {
    fn take(&self, bytes: &Bytes) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
}

async fn open(router: &Router, token: &str) -> Result<Body> {
    let request = Request::get(ADDRESS).header("authorization", format!("Bearer {token}"));
    let answer = router.clone().oneshot(request.body(Body::empty())?).await?;
    if answer.status() != 200 {
        return Err(format!("it is refused: {}", answer.status()).into());
    }
    Ok(answer.into_body())
}

async fn read(mut body: Body, received: Arc<Received>) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(bytes) = frame.into_data() {
            received.take(&bytes);
        }
    }
}

/// How often the question was computed, for all who watch it.
fn computed(metrics: &prometheus::Registry) -> f64 {
    let families = metrics.gather();
    let computed = families.iter().find(|family| family.name() == "flagmeter_queries_live_computed_total");
    let outcomes = computed.into_iter().flat_map(prometheus::proto::MetricFamily::get_metric);
    outcomes.map(|outcome| outcome.get_counter().get_value()).sum()
}

/// What so many viewers cost while they watch.
struct Cost {
    computed: f64,
    memory_kib: u64,
    processor: f64,
    events: u64,
    bytes: u64,
    seconds: f64,
}

async fn watch_with(
    router: &Router,
    token: &str,
    viewers: usize,
    metrics: &prometheus::Registry,
) -> Result<Cost> {
    let received = Arc::new(Received::default());
    let mut watching = JoinSet::new();
    for _ in 0..viewers {
        watching.spawn(read(open(router, token).await?, Arc::clone(&received)));
    }
    // Everyone has its snapshot, and the first deltas.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let events = received.events.load(Ordering::Relaxed);
    let bytes = received.bytes.load(Ordering::Relaxed);
    let (began, used) = (Instant::now(), processor_seconds().unwrap_or_default());
    let computed_before = computed(metrics);
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    Ok(Cost {
        computed: computed(metrics) - computed_before,
        memory_kib: memory_kib().unwrap_or_default(),
        processor: processor_seconds().unwrap_or_default() - used,
        events: received.events.load(Ordering::Relaxed) - events,
        bytes: received.bytes.load(Ordering::Relaxed) - bytes,
        seconds: began.elapsed().as_secs_f64(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "events and bytes are shown with three digits")]
#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = StoreConfig::new(folder.path().join("store.sqlite"));
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(store, Arc::clone(&clock))?);
    let ledger = LedgerConfig { path: folder.path().join("ledger.sqlite") };
    let tokens = Tokens::open(folder.path().join("tokens.jsonl"), Arc::clone(&clock))?;
    let token = tokens.create(NewToken { role: Role::Operator, note: None, expires_at: None }, "bench")?.text;
    let (_awake, stopping) = watch::channel(());
    let metrics = prometheus::Registry::new();
    let live = LiveConfig { viewers_max: 20_000, own_viewers_max: 20_000, ..LiveConfig::default() };
    let parts = Parts {
        config: Config { live, ..Config::default() },
        store: Arc::clone(&store),
        ledger: Some(Arc::new(EmbeddedLedger::open(&ledger)?)),
        tokens: Arc::new(tokens),
        registry: watch::channel(Arc::new(Registry::default())).1,
        in_flight: None,
        stopping,
        clock: Arc::clone(&clock),
        metrics: &metrics,
    };
    let router = router(parts, Router::new())?;
    let mut counting = JoinSet::new();
    counting.spawn(async move {
        if let Err(error) = count(store, clock).await {
            println!("nothing is counted any more: {error}");
        }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut of_one: Option<Cost> = None;
    for viewers in VIEWERS {
        let cost = watch_with(&router, &token, viewers, &metrics).await?;
        println!(
            "{viewers} viewers: computed {:.2} times a second, {} MiB, {:.1} % of a processor, {:.0} events a second, \
             {:.1} MiB a second",
            cost.computed / cost.seconds,
            cost.memory_kib / 1_024,
            cost.processor / cost.seconds * 100.0,
            cost.events as f64 / cost.seconds,
            cost.bytes as f64 / cost.seconds / f64::from(1 << 20),
        );
        if let Some(one) = of_one.as_ref() {
            let more = viewers as f64 - 1.0;
            println!(
                "    beside one viewer, each further one: {:.0} bytes of memory, {:.2} µs of processor an event",
                cost.memory_kib.saturating_sub(one.memory_kib) as f64 * 1_024.0 / more,
                (cost.processor - one.processor) * 1e6 / (cost.events as f64 - one.events as f64),
            );
        }
        of_one.get_or_insert(cost);
    }
    Ok(())
}
