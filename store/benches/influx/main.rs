//! How long roll-ups and questions take on InfluxDB: `cargo bench -p flagmeter-store --bench influx`; one part of it with
//! `-- minute`, `-- questions` or `-- month`.
//!
//! Without `FLAGMETER_TEST_INFLUX_URL` (and `_ORG`, `_TOKEN`) it says so and measures nothing: `./services run` sets
//! them. It fills buckets of its own through the contract, and removes them in the end.
//!
//! The aims: a minute of 100,000 series in less than 5 s, and what came late in proportion to it; a customer's chart of
//! 90 days in less than 50 ms; the top customers of 1,000 in less than 200 ms. And which of its two languages InfluxDB
//! answers faster in: the same questions in InfluxQL and in Flux, with the sums of both compared.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod languages;
mod minute;
mod month;
#[path = "../own/mod.rs"]
mod own;
mod questions;

use std::{env, sync::Arc, time::Duration};

use flagmeter_model::ManualClock;
use flagmeter_store::{
    conformance::fixture::{HOUR, Seal, at, flag},
    influx::{Config, InfluxStore, init},
};

use self::own::{Result, environment};

const FLAGS: usize = 100;
const DAYS: i64 = 90;

/// A store in buckets of its own.
struct Own {
    config: Config,
    store: InfluxStore,
}

impl Own {
    async fn new(url: String) -> Result<Self> {
        let config = own::config(&url);
        init(&config).await?;
        let clock = Arc::new(ManualClock::at(at(DAYS * 24 * HOUR)));
        let store = InfluxStore::open(config.clone(), clock).await?;
        Ok(Self { config, store })
    }

    async fn remove(self) -> Result<()> {
        own::remove(&self.config).await
    }
}

/// Counts of every flag of some customers at one instant; the node was there for so many seconds from then on.
fn seal(
    number: u64,
    (second, there): (i64, i64),
    customers: usize,
    flags: usize,
    count: u64,
) -> Result<Seal> {
    let mut seal = Seal::new(1, number)?.covering(second, second + there).heard(second + there);
    for customer in 0..customers {
        let environment = environment(customer)?;
        for number in 0..flags {
            let count = count + (number * number * 37 % 20_000) as u64;
            seal = seal.count(&environment, &flag(&format!("flag-{number:03}"))?, second, count);
        }
    }
    Ok(seal)
}

/// In milliseconds: the one in the middle, and the longest.
fn median_and_worst(mut took: Vec<Duration>) -> (f64, f64) {
    took.sort_unstable();
    let ms = |took: Option<&Duration>| took.map_or(0.0, |took| took.as_secs_f64() * 1e3);
    (ms(took.get(took.len() / 2)), ms(took.last()))
}

#[tokio::main]
async fn main() -> Result<()> {
    let Ok(url) = env::var("FLAGMETER_TEST_INFLUX_URL") else {
        println!(
            "FLAGMETER_TEST_INFLUX_URL is not set: run ./services run cargo bench -p flagmeter-store --bench influx"
        );
        return Ok(());
    };
    let wanted: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    if is_wanted("minute") {
        for customers in [10, 100, 1_000] {
            minute::measure(&url, customers).await?;
        }
    }
    if is_wanted("questions") {
        questions::measure(&url).await?;
    }
    if is_wanted("month") {
        month::measure(&url).await?;
    }
    Ok(())
}
