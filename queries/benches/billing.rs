//! How fast a month of hours is exported as CSV: `cargo bench -p flagmeter-queries --bench billing`.
//!
//! 1,000 customers with one environment each, every hour of 30 days counted: 720,000 rows of the embedded ledger, through
//! the router, as a client is sent them. The aim: more than 1,000,000 rows a second, in bounded memory.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{error::Error, fs, sync::Arc, time::Instant};

use axum::{Router, body::Body, http::Request};
use flagmeter_ledger::{Append, Config as LedgerConfig, Counted, EmbeddedLedger, Ledger};
use flagmeter_model::{Clock, Environment, ManualClock, Meter, Name, Registry, Timestamp};
use flagmeter_queries::{
    Config, Parts,
    access::{NewToken, Role, Tokens},
    router,
};
use flagmeter_store::embedded::{Config as StoreConfig, EmbeddedStore};
use http_body_util::BodyExt as _;
use tokio::sync::watch;
use tower::ServiceExt as _;

const CUSTOMERS: u64 = 1_000;
const DAYS: i64 = 30;
const RUNS: usize = 9;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn hour(number: i64) -> Timestamp {
    Timestamp::from_seconds_clamped((490_000 + number) * 3_600)
}

async fn fill(ledger: &dyn Ledger) -> Result<()> {
    ledger.announce(hour(DAYS * 24)).await?;
    let environment = |customer: u64| -> Result<Environment> {
        Ok(Environment {
            customer: Name::new(&format!("customer-{customer:04}"))?,
            project: Name::new("web")?,
            environment: Name::new("production")?,
        })
    };
    let environments = (0..CUSTOMERS).map(environment).collect::<Result<Vec<_>>>()?;
    for day in 0..DAYS {
        let mut counted = Vec::new();
        for number in day * 24..(day + 1) * 24 {
            for (customer, environment) in (0..).zip(&environments) {
                counted.push(Counted {
                    environment: environment.clone(),
                    meter: Meter::Evaluations,
                    hour: hour(number),
                    count: 1 + (customer * 7_919 + number.unsigned_abs() * 104_729) % 9_000_000,
                    complete: true,
                    missing: Vec::new(),
                });
            }
        }
        let closed = hour((day + 1) * 24);
        ledger.append(Append { counted, closed: Some(closed), at: closed.plus_millis(904_017) }).await?;
    }
    Ok(())
}

/// Memory of this process in MiB, as the system has it.
fn memory_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1_024)
}

/// An export, received.
#[derive(Debug, Default)]
struct Received {
    rows: usize,
    bytes: usize,
    memory_mib_max: u64,
}

#[expect(clippy::naive_bytecount, reason = "no crate is worth it here")]
async fn export(router: &Router, token: &str) -> Result<Received> {
    let address = format!("/v1/billing/hours?from={}&to={}&format=csv", hour(0), hour(DAYS * 24));
    let request = Request::get(address).header("authorization", format!("Bearer {token}"));
    let answer = router.clone().oneshot(request.body(Body::empty())?).await?;
    if answer.status() != 200 {
        return Err(format!("it is refused: {}", answer.status()).into());
    }
    let (mut body, mut received) = (answer.into_body(), Received::default());
    while let Some(frame) = body.frame().await {
        let bytes = frame?.into_data().unwrap_or_default();
        received.rows += bytes.iter().filter(|byte| **byte == b'\n').count();
        received.bytes += bytes.len();
        received.memory_mib_max = received.memory_mib_max.max(memory_mib().unwrap_or_default());
    }
    // The first line names the columns.
    received.rows -= 1;
    Ok(received)
}

#[expect(clippy::cast_precision_loss, reason = "rows and bytes are shown with three digits")]
#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(hour(DAYS * 24 + 2)));
    let store =
        EmbeddedStore::open(StoreConfig::new(folder.path().join("store.sqlite")), Arc::clone(&clock))?;
    let ledger = Arc::new(EmbeddedLedger::open(&LedgerConfig { path: folder.path().join("ledger.sqlite") })?);
    fill(&*ledger).await?;
    let tokens = Tokens::open(folder.path().join("tokens.jsonl"), Arc::clone(&clock))?;
    let token = tokens.create(NewToken { role: Role::Billing, note: None, expires_at: None }, "bench")?.text;
    let (_awake, stopping) = watch::channel(());
    let parts = Parts {
        config: Config::default(),
        store: Arc::new(store),
        ledger: Some(ledger),
        tokens: Arc::new(tokens),
        registry: watch::channel(Arc::new(Registry::default())).1,
        in_flight: None,
        stopping,
        clock,
        metrics: &prometheus::Registry::new(),
    };
    let router = router(parts, Router::new())?;
    let before = memory_mib().unwrap_or_default();
    let (mut seconds, mut last) = (Vec::new(), Received::default());
    for _ in 0..RUNS {
        let began = Instant::now();
        last = export(&router, &token).await?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let (fastest, median) = (seconds[0], seconds[RUNS / 2]);
    println!("{} rows, {} MiB of CSV, {RUNS} times", last.rows, last.bytes / (1 << 20));
    println!(
        "rows a second: {:.0} (median), {:.0} (fastest)",
        last.rows as f64 / median,
        last.rows as f64 / fastest
    );
    println!("memory: {before} MiB before, {} MiB at most while it was sent", last.memory_mib_max);
    Ok(())
}
