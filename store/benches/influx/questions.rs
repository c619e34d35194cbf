//! Questions through the contract.

use std::time::Instant;

use flagmeter_model::{Meter, Name};
use flagmeter_store::{
    AxisChoice, Dimension, Filter, Read, Store, TierChoice,
    conformance::fixture::{self, HOUR, at},
    influx::InfluxStore,
};

use crate::{DAYS, FLAGS, Own, Result, languages, median_and_worst, seal};

const CUSTOMERS: usize = 1_000;
const RUNS: usize = 31;

/// Asks often, and says how long it took.
async fn ask(store: &InfluxStore, what: &str, read: &Read) -> Result<()> {
    let mut took = Vec::with_capacity(RUNS);
    let mut rows = 0;
    for _ in 0..RUNS {
        let began = Instant::now();
        rows = store.read(read).await?.rows.len();
        took.push(began.elapsed());
    }
    let (median, worst) = median_and_worst(took);
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
        axis: AxisChoice::Any,
        groups_max: 10_000,
    }
}

/// 90 days of three customers with 100 flags each, counted every hour, and the last day of 1,000 customers.
pub(crate) async fn measure(url: &str) -> Result<()> {
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
    languages::questions(&own.config, last).await?;
    let late = seal(200_000, (last * HOUR, HOUR), 1, FLAGS, 9)?;
    fixture::write(store, &[late]).await?;
    ask(store, "the same while a minute of one waits", &top).await?;
    fixture::settle(store).await?;
    ask(store, "the same after it was rolled up again", &top).await?;
    let hours = last..DAYS * 24;
    let late = hours.map(|hour| seal(300_000 + hour.unsigned_abs(), (hour * HOUR, HOUR), 1, FLAGS, 9));
    fixture::write(store, &late.collect::<Result<Vec<_>>>()?).await?;
    fixture::settle(store).await?;
    ask(store, "the same after one was late in every hour", &top).await?;
    let by_flag = Read { group_by: vec![Dimension::Name], ..top };
    ask(store, "the same by flag", &by_flag).await?;
    own.remove().await
}
