//! How long roll-ups and questions take on InfluxDB: `cargo bench -p flagmeter-store --bench influx`.
//!
//! Without `FLAGMETER_TEST_INFLUX_URL` (and `_ORG`, `_TOKEN`) it says so and measures nothing: `./services run` sets
//! them. It fills buckets of its own through the contract, and removes them in the end.
//!
//! The aims: a minute of 100,000 series in less than 5 s, and what came late in proportion to it; a customer's chart of
//! 90 days in less than 50 ms; the top customers of 1,000 in less than 200 ms.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    env,
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use flagmeter_model::{Environment, ManualClock, Meter, Name, Tier, Timestamp};
use flagmeter_store::{
    Axis, Dimension, Filter, NewMark, Read, Rolling, Store, TierChoice,
    conformance::fixture::{self, HOUR, MINUTE, Seal, at, flag, range},
    influx::{Config, InfluxStore, init},
};
use influxdb2::api::buckets::ListBucketsRequest;

const FLAGS: usize = 100;
const DAYS: i64 = 90;
const CUSTOMERS: usize = 1_000;
const RUNS: usize = 31;
/// Seconds between the counts of the minute that is rolled up.
const SLOT: i64 = 10;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn environment(customer: usize) -> Result<Environment> {
    Ok(Environment {
        customer: Name::new(&format!("customer-{customer:04}"))?,
        project: Name::new("web")?,
        environment: Name::new("production")?,
    })
}

/// A store in buckets of its own.
struct Own {
    config: Config,
    store: InfluxStore,
}

impl Own {
    async fn new(url: String) -> Result<Self> {
        let told = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        let org = told("FLAGMETER_TEST_INFLUX_ORG", "flagmeter");
        let token = told("FLAGMETER_TEST_INFLUX_TOKEN", "devtoken");
        let config = Config {
            prefix: format!("bench-{:08x}", rand::random::<u32>()),
            retain_raw: None,
            retain_minute: None,
            retain_quarter: None,
            ..Config::new(url, org, token)
        };
        init(&config).await?;
        let clock = Arc::new(ManualClock::at(at(DAYS * 24 * HOUR)));
        let store = InfluxStore::open(config.clone(), clock).await?;
        Ok(Self { config, store })
    }

    async fn remove(self) -> Result<()> {
        let admin = influxdb2::Client::new(&self.config.url, &self.config.org, &self.config.token);
        let all = ListBucketsRequest { limit: Some(100), ..ListBucketsRequest::default() };
        for bucket in admin.list_buckets(Some(all)).await?.buckets {
            if let (true, Some(id)) = (bucket.name.starts_with(&self.config.prefix), bucket.id) {
                admin.delete_bucket(&id).await?;
            }
        }
        Ok(())
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

/// A minute of so many customers with 100 flags each, counted every ten seconds, and rolled up; then a share of them
/// late, and rolled up again.
async fn minute(url: &str, customers: usize) -> Result<()> {
    let own = Own::new(url.to_owned()).await?;
    let store = &own.store;
    let mut wrote = Duration::ZERO;
    for (number, second) in (1..).zip((0..MINUTE).step_by(10)) {
        let seal = seal(number, (second, SLOT), customers, FLAGS, 1)?;
        let began = Instant::now();
        fixture::write(store, &[seal]).await?;
        wrote += began.elapsed();
    }
    store.announce(at(MINUTE)).await?;
    let began = Instant::now();
    let rolled = store.roll(&Rolling::Range(Tier::Minute, range(0, MINUTE))).await?;
    let first = began.elapsed();
    store.advance(Tier::Minute, at(MINUTE)).await?;
    println!(
        "{:>7} series: {} points written in {wrote:.1?}; the minute rolled up in {first:.2?} ({} windows, {} points)",
        customers * FLAGS,
        6 * customers * FLAGS,
        rolled.windows,
        rolled.points
    );
    for late in [customers / 100, customers / 10].into_iter().filter(|late| *late > 0) {
        let late_seal = seal(100 + late as u64, (0, SLOT), late, FLAGS, 7)?;
        fixture::write(store, &[late_seal]).await?;
        let marks = store.marks(Tier::Minute, Timestamp::MAX, usize::MAX).await?;
        let windows: Vec<NewMark> = marks
            .iter()
            .map(|mark| NewMark { window: mark.window, environment: mark.environment.clone() })
            .collect();
        let began = Instant::now();
        let rolled = store.roll(&Rolling::Windows(windows)).await?;
        println!("{:>15} late series rolled up again in {:.2?}", rolled.points, began.elapsed());
        store.clear(&marks).await?;
    }
    own.remove().await
}

/// Asks often, and says how long it took.
async fn ask(store: &InfluxStore, what: &str, read: &Read) -> Result<()> {
    let mut took = Vec::with_capacity(RUNS);
    let mut rows = 0;
    for _ in 0..RUNS {
        let began = Instant::now();
        rows = store.read(read).await?.rows.len();
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let ms = |place: usize| took.get(place).map_or(0.0, |took| took.as_secs_f64() * 1e3);
    let (median, worst) = (ms(RUNS / 2), ms(RUNS - 1));
    println!("{what:<46} {rows:>6} {:>8} {median:>10.1} {worst:>10.1}", read.edges.len() - 1);
    Ok(())
}

/// All evaluations of the days.
fn days(filter: Filter, group_by: Vec<Dimension>) -> Read {
    Read {
        meter: Meter::Evaluations,
        edges: (0..=DAYS).map(|day| at(day * 24 * HOUR)).collect(),
        filter,
        group_by,
        tiers: TierChoice::Cover,
        axis: Axis::Any,
        groups_max: 10_000,
    }
}

/// 90 days of three customers with 100 flags each, counted every hour, and the last day of 1,000 customers.
async fn questions(url: &str) -> Result<()> {
    let own = Own::new(url.to_owned()).await?;
    let store = &own.store;
    let began = Instant::now();
    for day in 0..DAYS {
        let hours = (day * 24..(day + 1) * 24).map(|hour| {
            seal(hour.unsigned_abs() + 1, (hour * HOUR, HOUR), 3, FLAGS, 1 + hour.unsigned_abs() % 7)
        });
        fixture::write(store, &hours.collect::<Result<Vec<_>>>()?).await?;
    }
    let last = DAYS * 24 - 24;
    for hour in last..DAYS * 24 {
        let number = hour.unsigned_abs() + 100_000;
        fixture::write(store, &[seal(number, (hour * HOUR, HOUR), CUSTOMERS, 1, 5)?]).await?;
    }
    fixture::roll_up(store, 0, DAYS * 24 * HOUR).await?;
    println!(
        "{DAYS} days of 3 customers and a day of {CUSTOMERS} were written and rolled up in {:.1?}",
        began.elapsed()
    );
    println!("{:<46} {:>6} {:>8} {:>10} {:>10}", "question", "rows", "buckets", "median ms", "worst ms");
    let one = Filter { customers: vec![Name::new("customer-0001")?], ..Filter::default() };
    let flag = Filter { names: vec![Name::new("flag-042")?], ..one.clone() };
    ask(store, "a customer's 90 days by day, in total", &days(one.clone(), vec![])).await?;
    ask(store, "the same by flag", &days(one.clone(), vec![Dimension::Name])).await?;
    ask(store, "one flag of it", &days(flag, vec![])).await?;
    let hours = Read { edges: (last..=DAYS * 24).map(|hour| at(hour * HOUR)).collect(), ..days(one, vec![]) };
    ask(store, "a customer's day by hour, in total", &hours).await?;
    let top = Read {
        edges: vec![at(last * HOUR), at(DAYS * 24 * HOUR)],
        ..days(Filter::default(), vec![Dimension::Customer])
    };
    ask(store, "all customers of a day, in total", &top).await?;
    let late = seal(200_000, (last * HOUR, HOUR), 1, FLAGS, 9)?;
    fixture::write(store, &[late]).await?;
    ask(store, "the same while a minute of one waits", &top).await?;
    fixture::settle(store).await?;
    ask(store, "the same after it was rolled up again", &top).await?;
    own.remove().await
}

#[tokio::main]
async fn main() -> Result<()> {
    let Ok(url) = env::var("FLAGMETER_TEST_INFLUX_URL") else {
        println!(
            "FLAGMETER_TEST_INFLUX_URL is not set: run ./services run cargo bench -p flagmeter-store --bench influx"
        );
        return Ok(());
    };
    for customers in [10, 100, 1_000] {
        minute(&url, customers).await?;
    }
    questions(&url).await
}
