//! How long questions take of 90 days of hours: `cargo bench -p flagmeter-store --bench read`.
//!
//! Three environments with 100 flags each, every flag counted in every hour; all of it written and rolled up
//! through the contract. The aim: 90 days of one environment by flag in less than 10 ms.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{error::Error, sync::Arc, time::Instant};

use flagmeter_model::{ManualClock, Meter, Name, Tier, Timestamp};
use flagmeter_store::{
    AxisChoice, Dimension, Filter, Read, Store, TierChoice,
    conformance::fixture::{self, HOUR, Seal, environment, flag},
    embedded::{Config, EmbeddedStore},
};

const DAYS: i64 = 90;
const HOURS: i64 = DAYS * 24;
const FLAGS: u64 = 100;
const ENVIRONMENTS: [&str; 3] = ["development", "production", "staging"];
const RUNS: usize = 101;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn at(hour: i64) -> Timestamp {
    fixture::at(hour * HOUR)
}

/// What a node sealed in one hour: a count of every flag, sizes as they come in practice.
fn seal(hour: i64) -> Result<Seal> {
    let number = u64::try_from(hour)?;
    let (from, until) = (hour * HOUR, (hour + 1) * HOUR);
    let mut seal = Seal::new(1, number)?.covering(from, until).heard(until);
    for name in ENVIRONMENTS {
        for number_of_flag in 0..FLAGS {
            let count = 1 + (number_of_flag * number_of_flag * 37 + number * 11) % 20_000;
            seal = seal.count(
                &environment(name)?,
                &flag(&format!("flag-{number_of_flag:03}"))?,
                from + 60,
                count,
            );
        }
    }
    Ok(seal)
}

async fn fill(store: &dyn Store) -> Result<()> {
    for day in 0..DAYS {
        let seals = (day * 24..(day + 1) * 24).map(seal).collect::<Result<Vec<_>>>()?;
        fixture::write(store, &seals).await?;
    }
    Ok(fixture::roll_up(store, 0, HOURS * HOUR).await?)
}

/// One environment by flag in days; the others differ from it by what they say.
fn by_flag() -> Result<Read> {
    Ok(Read {
        meter: Meter::Evaluations,
        edges: (0..=DAYS).map(|day| at(day * 24)).collect(),
        filter: Filter { environments: vec![Name::new("production")?], ..Filter::default() },
        group_by: vec![Dimension::Name],
        tiers: TierChoice::Cover,
        axis: AxisChoice::Any,
        groups_max: 10_000,
    })
}

fn questions() -> Result<Vec<(&'static str, Read)>> {
    let by_flag = by_flag()?;
    let hours: Vec<Timestamp> = (0..=HOURS).map(at).collect();
    let one = Filter { names: vec![Name::new("flag-042")?], ..by_flag.filter.clone() };
    Ok(vec![
        ("one environment by flag, days", by_flag.clone()),
        ("one environment by flag, hours", Read { edges: hours.clone(), ..by_flag.clone() }),
        ("one flag of it, days", Read { filter: one, ..by_flag.clone() }),
        ("one environment's totals, hours", Read { group_by: Vec::new(), edges: hours, ..by_flag.clone() }),
        ("all environments by flag, days", Read { filter: Filter::default(), ..by_flag.clone() }),
        (
            "the same from quarters",
            Read { tiers: TierChoice::Only(Tier::Quarter), filter: Filter::default(), ..by_flag },
        ),
    ])
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(ManualClock::at(at(HOURS)));
    let store = EmbeddedStore::open(Config::new(folder.path().join("store.sqlite")), clock)?;
    let began = Instant::now();
    fill(&store).await?;
    println!("{DAYS} days of {} flags were written and rolled up in {:.1?}", FLAGS, began.elapsed());
    println!("{:<34} {:>6} {:>8} {:>10} {:>10}", "question", "rows", "buckets", "median ms", "worst ms");
    for (what, read) in questions()? {
        let mut took = Vec::with_capacity(RUNS);
        let mut rows = 0;
        for _ in 0..RUNS {
            let began = Instant::now();
            rows = store.read(&read).await?.rows.len();
            took.push(began.elapsed());
        }
        took.sort_unstable();
        let ms = |place: usize| took.get(place).map_or(0.0, |took| took.as_secs_f64() * 1e3);
        let (median, worst) = (ms(RUNS / 2), ms(RUNS - 1));
        println!("{what:<34} {rows:>6} {:>8} {median:>10.2} {worst:>10.2}", read.edges.len() - 1);
    }
    Ok(())
}
