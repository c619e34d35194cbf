//! `cargo bench -p flagmeter-edge`: what the edge bears on this machine, load generator included.
//!
//! - Flagsmith posts of 10 flags a second over HTTP, each acknowledged after the fsync that covers it;
//! - the same from the inbox on, to tell HTTP from the rest;
//! - bytes of memory per live series, and the time that a seal of a million points takes.
#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::{Router, body::Body, http::Request};
use flagmeter_edge::{Config, Edge};
use flagmeter_log::{NewRecord, Producer};
use flagmeter_model::{NodeId, Registry, SystemClock};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const SECONDS: u64 = 8;
const CONNECTIONS: u64 = 256;
const ENVIRONMENTS: u64 = 20;
const SERIES: u64 = 1_000_000;

/// A log that takes everything at once: the edge alone is measured.
struct Nowhere;

#[async_trait]
impl Producer for Nowhere {
    fn partitions(&self) -> u32 {
        4
    }

    async fn append(&self, _: Vec<NewRecord>) -> flagmeter_log::Result<()> {
        Ok(())
    }
}

fn registry() -> Arc<Registry> {
    let mut text = String::from("[[customer]]\nid = \"acme\"\n[[customer.project]]\nid = \"web\"\n");
    for number in 0..ENVIRONMENTS {
        let _ =
            writeln!(text, "[[customer.project.environment]]\nid = \"e{number}\"\nkeys = [\"key-{number}\"]");
    }
    Arc::new(Registry::parse(&text).unwrap())
}

fn open(folder: &std::path::Path, change: impl FnOnce(&mut Config)) -> Edge {
    let mut config = Config::new(NodeId::new(1).unwrap(), folder.join("journal.sqlite"));
    change(&mut config);
    let registry = watch::channel(registry()).1;
    let metrics = prometheus::Registry::new();
    Edge::open(config, Arc::new(Nowhere), registry, Arc::new(SystemClock), &metrics).unwrap()
}

fn ten_flags(round: u64) -> String {
    let flags: Vec<_> =
        (0..10).map(|flag| format!("\"feature-number-{flag}\": {}", 1 + (round + flag) % 50)).collect();
    format!("{{{}}}", flags.join(", "))
}

fn request(connection: u64) -> Vec<u8> {
    let body = ten_flags(connection);
    format!(
        "POST /api/v1/analytics/flags/ HTTP/1.1\r\nhost: edge\r\ncontent-type: application/json\r\n\
         x-environment-key: key-{}\r\nuser-agent: flagsmith-nodejs-sdk/6.1.0\r\ncontent-length: {}\r\n\r\n{body}",
        connection % ENVIRONMENTS,
        body.len()
    )
    .into_bytes()
}

/// Posts over one connection until the time is over, one after the other, as an SDK does.
async fn client(connection: u64, port: u16, until: Instant, acknowledged: Arc<AtomicU64>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = request(connection);
    let mut answer = [0_u8; 4_096];
    while Instant::now() < until {
        stream.write_all(&request).await.unwrap();
        let mut read = 0;
        while !answer[..read].ends_with(b"\r\n\r\n") {
            read += stream.read(&mut answer[read..]).await.unwrap();
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

async fn posts_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let edge = Arc::new(open(folder.path(), |_| {}));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    let mut server = JoinSet::new();
    let (running, token) = (edge.clone(), stop.clone());
    server.spawn(async move { running.run(token).await.unwrap() });
    let router = edge.router();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let acknowledged = Arc::new(AtomicU64::new(0));
    let before = processor_seconds();
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let mut clients = JoinSet::new();
    for connection in 0..CONNECTIONS {
        clients.spawn(client(connection, port, until, acknowledged.clone()));
    }
    clients.join_all().await;
    let posts = acknowledged.load(Ordering::Relaxed);
    let what = "Flagsmith posts of 10 flags over HTTP, load generator included, acknowledged after fsync";
    say(what, posts, processor_seconds() - before);
    stop.cancel();
    server.join_next().await.unwrap().unwrap();
}

async fn posts_from_the_router() {
    let folder = tempfile::tempdir().unwrap();
    let edge = open(folder.path(), |_| {});
    let router = edge.router();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let before = processor_seconds();
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let mut clients = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (router, acknowledged) = (router.clone(), acknowledged.clone());
        clients.spawn(async move {
            let body = ten_flags(connection);
            while Instant::now() < until {
                post(&router, connection % ENVIRONMENTS, body.clone()).await;
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    clients.join_all().await;
    let posts = acknowledged.load(Ordering::Relaxed);
    say("The same without HTTP", posts, processor_seconds() - before);
}

async fn post(router: &Router, environment: u64, body: String) {
    let request = Request::post("/api/v1/analytics/flags/")
        .header("x-environment-key", format!("key-{environment}"))
        .body(Body::from(body))
        .unwrap();
    let status = router.clone().oneshot(request).await.unwrap().status();
    assert!(status.is_success(), "{status}");
}

/// Processor time that this process has used, in seconds.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// Says how many a second there were, and what each took of a processor: the machine may do other things.
fn say(what: &str, posts: u64, processor_seconds: f64) {
    let microseconds = processor_seconds * 1e6 / posts as f64;
    println!("{what}: {} a second, {microseconds:.1} µs of a processor each", posts / SECONDS);
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}

async fn memory_per_series() {
    let folder = tempfile::tempdir().unwrap();
    let edge = open(folder.path(), |config| config.points_waiting_max = 10_000_000);
    let router = edge.router();
    post(&router, 0, "{\"warm\": 1}".into()).await;
    let before = resident();
    for round in 0..SERIES / 1_000 {
        let flags: Vec<_> = (0..1_000)
            .map(|flag| format!("\"a-feature-of-some-name-{}\": 3", round * 1_000 + flag))
            .collect();
        post(&router, round % ENVIRONMENTS, format!("{{{}}}", flags.join(","))).await;
    }
    let bytes = resident().saturating_sub(before);
    println!(
        "Memory per live series, names of 29 bytes, each with a count that waits for its seal: {:.0} bytes",
        bytes as f64 / SERIES as f64
    );
    let (stop, started) = (CancellationToken::new(), Instant::now());
    stop.cancel();
    edge.run(stop).await.unwrap();
    println!("A seal of {SERIES} points, encoded, written and handed on: {:.1?}", started.elapsed());
}

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` must not measure anything.
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        memory_per_series().await;
        posts_from_the_router().await;
        posts_over_http().await;
    });
}
