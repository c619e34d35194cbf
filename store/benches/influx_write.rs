//! How fast points are written to InfluxDB, beside the fastest that it takes at all:
//! `cargo bench -p flagmeter-store --bench influx_write`.
//!
//! Without `FLAGMETER_TEST_INFLUX_URL` (and `_ORG`, `_TOKEN`) it says so and measures nothing: `./services run` sets
//! them. In turns, bodies that were made beforehand are sent as fast as the server takes them, and the same points
//! are written through the contract, with all that belongs to it: encoding, totals, frontier, progress.
//!
//! The aim: at least 0.95 of the first in the second.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod own;

use std::{
    env,
    fmt::Write as _,
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use flagmeter_model::ManualClock;
use flagmeter_store::{
    Store, Write,
    conformance::fixture::{Seal, at, flag, seq_at, write_of},
    influx::{Config, InfluxStore, init},
};
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt, TryStreamExt, stream};

use self::own::{Result, config, environment, remove};

const CUSTOMERS: u32 = 1_000;
const FLAGS: u32 = 100;
/// Seals that are measured, after one that makes the series known.
const SEALS: u32 = 10;
/// Seals in one write: as ingest takes them when it is behind.
const SEALS_AT_ONCE: usize = 2;
const ROUNDS: usize = 3;

/// The bytes of a body, ready to be sent.
type Body = Vec<u8>;

/// Counts of all series in one slot.
fn seal(number: u64) -> Result<Seal> {
    let second = number.cast_signed() * 10;
    let mut seal = Seal::new(1, seq_at(second))?.covering(second, second + 10);
    for customer in 0..CUSTOMERS {
        let environment = environment(customer as usize)?;
        for name in 0..FLAGS {
            let count = 1 + (number * 7 + u64::from(name * name * 37 % 20_000)) % 1_000;
            seal = seal.count(&environment, &flag(&format!("flag-{name:03}"))?, second, count);
        }
    }
    Ok(seal)
}

/// The same points as lines, in bodies.
fn bodies(number: u64, lines_max: usize) -> Result<Vec<Body>> {
    let seal = seal(number)?.record()?;
    let mut text = String::new();
    let (mut bodies, mut lines) = (Vec::new(), 0);
    let mut finish = |text: &mut String| -> Result<()> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text.as_bytes())?;
        bodies.push(gzip.finish()?);
        text.clear();
        Ok(())
    };
    for counts in &seal.batch.environments {
        let customer = &counts.environment.customer;
        for (key, slot, count) in counts.points() {
            let time = slot.start().as_millis() * 1_000_000
                + (1 << 23)
                + seal.batch.seq.get().cast_signed() % (1 << 23);
            let name = &key.name;
            writeln!(
                text,
                "count,customer={customer},environment=production,meter=evaluations,name={name},project=web \
                 count={count}i {time}"
            )?;
            lines += 1;
            if lines % lines_max == 0 {
                finish(&mut text)?;
            }
        }
    }
    if !text.is_empty() {
        finish(&mut text)?;
    }
    Ok(bodies)
}

/// Sends bodies as fast as the server takes them.
async fn pump(config: &Config, http: &reqwest::Client, bodies: &[Body]) -> Result<()> {
    let url =
        format!("{}/api/v2/write?org={}&bucket={}_raw&precision=ns", config.url, config.org, config.prefix);
    let send = |body: &Body| {
        let request = http
            .post(&url)
            .header("authorization", format!("Token {}", config.token))
            .header("content-encoding", "gzip")
            .body(body.clone());
        async move { request.send().await?.error_for_status() }
    };
    stream::iter(bodies).map(send).buffer_unordered(config.bodies_in_flight).try_collect::<Vec<_>>().await?;
    Ok(())
}

async fn ceiling(url: &str, first: &[Body], rest: &[Body]) -> Result<Duration> {
    let config = config(url);
    init(&config).await?;
    let http = reqwest::Client::builder().http1_only().no_proxy().build()?;
    pump(&config, &http, first).await?;
    let began = Instant::now();
    pump(&config, &http, rest).await?;
    let took = began.elapsed();
    remove(&config).await?;
    Ok(took)
}

async fn through_the_store(url: &str, first: &Arc<Write>, rest: &[Arc<Write>]) -> Result<Duration> {
    let config = config(url);
    init(&config).await?;
    let store = InfluxStore::open(config.clone(), Arc::new(ManualClock::at(at(0)))).await?;
    store.write(Arc::clone(first)).await?;
    let began = Instant::now();
    for write in rest {
        store.write(Arc::clone(write)).await?;
    }
    let took = began.elapsed();
    remove(&config).await?;
    Ok(took)
}

#[tokio::main]
async fn main() -> Result<()> {
    let Ok(url) = env::var("FLAGMETER_TEST_INFLUX_URL") else {
        println!(
            "FLAGMETER_TEST_INFLUX_URL is not set: run ./services run cargo bench -p flagmeter-store --bench \
             influx_write"
        );
        return Ok(());
    };
    let lines_max = config(&url).body_lines_max;
    let first = (bodies(0, lines_max)?, write_of(&[seal(0)?])?);
    let mut ready = Vec::new();
    let mut seals = Vec::new();
    for number in 1..=u64::from(SEALS) {
        ready.extend(bodies(number, lines_max)?);
        seals.push(seal(number)?);
    }
    let writes = seals.chunks(SEALS_AT_ONCE).map(write_of).collect::<flagmeter_store::Result<Vec<_>>>()?;
    let lines = f64::from(CUSTOMERS * FLAGS * SEALS);
    for round in 1..=ROUNDS {
        let ceiling = lines / ceiling(&url, &first.0, &ready).await?.as_secs_f64();
        let ours = lines / through_the_store(&url, &first.1, &writes).await?.as_secs_f64();
        println!(
            "round {round}: ready-made bodies {ceiling:.0} lines/s, through the store {ours:.0} points/s: {:.2}",
            ours / ceiling
        );
    }
    Ok(())
}
