//! How fast a month of hours is exported as CSV: `cargo bench -p flagmeter-queries --bench billing`.
//!
//! 1,000 customers with one environment each, every hour of 30 days counted: 720,000 rows of the embedded ledger, through
//! the router, as a client is sent them. The aim: more than 1,000,000 rows a second, in bounded memory. Between its runs
//! `sqlite3`, where there is one, writes the same rows of the same file as CSV: what else the machine does slows both.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    error::Error,
    fs,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

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

/// Time that the processors have spent on this process, in seconds: in steps of a hundredth.
fn processor_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u32>().unwrap_or_default()).sum();
    Some(f64::from(ticks) / 100.0)
}

/// The same rows, written by `sqlite3`. How long that took; none where there is no such program.
#[expect(clippy::naive_bytecount, reason = "no crate is worth it here")]
fn by_sqlite3(path: &Path, rows: usize) -> Option<f64> {
    let query = "SELECT customer, project, environments.environment, meter, datetime(hour / 1000, 'unixepoch'), 'final',
            revision, count, count - previous, correction, complete, missing, datetime(closed_at / 1000, 'unixepoch')
        FROM rows JOIN environments ON environments.id = rows.environment
        ORDER BY rows.environment, hour, meter, revision";
    let began = Instant::now();
    let mut command = Command::new("sqlite3");
    command.args(["-readonly", "-csv"]).arg(path).arg(query).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let (mut out, mut piece, mut written) = (child.stdout.take()?, vec![0; 1 << 16], 0);
    while let Some(read) = out.read(&mut piece).ok().filter(|read| *read > 0) {
        written += piece.get(..read)?.iter().filter(|byte| **byte == b'\n').count();
    }
    let is_whole = child.wait().ok()?.success() && written == rows;
    is_whole.then(|| began.elapsed().as_secs_f64())
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
    let path = folder.path().join("ledger.sqlite");
    let ledger = Arc::new(EmbeddedLedger::open(&LedgerConfig { path: path.clone() })?);
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
    let (mut seconds, mut processor, mut theirs, mut last) =
        (Vec::new(), 0.0, Vec::new(), Received::default());
    for _ in 0..RUNS {
        let (began, used) = (Instant::now(), processor_seconds().unwrap_or_default());
        last = export(&router, &token).await?;
        seconds.push(began.elapsed().as_secs_f64());
        processor += processor_seconds().unwrap_or_default() - used;
        theirs.extend(by_sqlite3(&path, last.rows));
    }
    let median = |seconds: &mut Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        last.rows as f64 / seconds[seconds.len() / 2]
    };
    println!("{} rows, {} MiB of CSV, {RUNS} times", last.rows, last.bytes / (1 << 20));
    let rate = median(&mut seconds);
    println!("rows a second: {rate:.0} (median), {:.0} (fastest)", last.rows as f64 / seconds[0]);
    println!("rows a second of one processor's time: {:.0}", (last.rows * RUNS) as f64 / processor);
    if theirs.len() == RUNS {
        let theirs = median(&mut theirs);
        println!("sqlite3 -csv of the same rows: {theirs:.0} (median); next to it {:.2}", rate / theirs);
    }
    println!("memory: {before} MiB before, {} MiB at most while it was sent", last.memory_mib_max);
    Ok(())
}
