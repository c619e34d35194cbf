//! A minute is rolled up, and then again where something came late.

use std::time::{Duration, Instant};

use flagmeter_model::{Tier, Timestamp};
use flagmeter_store::{
    NewMark, Rolling, Store,
    conformance::fixture::{self, MINUTE, at, range},
};

use crate::{FLAGS, Own, Result, languages, median_and_worst, seal};

/// Minutes of each size: an odd number, for the median.
const ROUNDS: i64 = 5;
/// Seconds between the counts of a minute.
const SLOT: i64 = 10;
/// Customers that something comes late of.
const LATE: [usize; 3] = [1, 10, 100];

/// Minutes of so many customers with 100 flags each, counted every ten seconds, are rolled up; then a share of
/// them comes late, and is rolled up again.
pub(crate) async fn measure(url: &str, customers: usize) -> Result<()> {
    let own = Own::new(url.to_owned()).await?;
    let store = &own.store;
    let (mut wrote, mut took) = (Vec::new(), Vec::new());
    for minute in 0..ROUNDS {
        let from = minute * MINUTE;
        let mut writing = Duration::ZERO;
        for second in (from..from + MINUTE).step_by(10) {
            let seal = seal(second.unsigned_abs() + 1, (second, SLOT), customers, FLAGS, 1)?;
            let began = Instant::now();
            fixture::write(store, &[seal]).await?;
            writing += began.elapsed();
        }
        wrote.push(writing);
        store.announce(at(from + MINUTE)).await?;
        let began = Instant::now();
        let rolled = store.roll(&Rolling::Range(Tier::Minute, range(from, from + MINUTE))).await?;
        took.push(began.elapsed());
        if rolled.points != (customers * FLAGS) as u64 {
            return Err(format!("{} points were rolled up", rolled.points).into());
        }
        store.advance(Tier::Minute, at(from + MINUTE)).await?;
    }
    let ((wrote, _), (median, worst)) = (median_and_worst(wrote), median_and_worst(took));
    println!(
        "{:>7} series: a minute is rolled up in {median:.0} ms, at most {worst:.0} ms; its {} points are written in {wrote:.0} ms",
        customers * FLAGS,
        6 * customers * FLAGS,
    );
    if customers == 1_000 {
        languages::minute(&own.config).await?;
    }
    for late in LATE.into_iter().filter(|late| *late <= customers) {
        again(&own, late).await?;
    }
    own.remove().await
}

/// Something comes late of so many customers, in each of the minutes.
async fn again(own: &Own, late: usize) -> Result<()> {
    let store = &own.store;
    let mut took = Vec::new();
    for minute in 0..ROUNDS {
        let number = 1_000 * late as u64 + minute.unsigned_abs();
        fixture::write(store, &[seal(number, (minute * MINUTE, SLOT), late, FLAGS, 7)?]).await?;
        let marks = store.marks(Tier::Minute, Timestamp::MAX, usize::MAX).await?;
        let windows: Vec<NewMark> = marks
            .iter()
            .map(|mark| NewMark { window: mark.window, environment: mark.environment.clone() })
            .collect();
        let began = Instant::now();
        let rolled = store.roll(&Rolling::Windows(windows)).await?;
        took.push(began.elapsed());
        if rolled.points != (late * FLAGS) as u64 {
            return Err(format!("{} points were rolled up again", rolled.points).into());
        }
        store.clear(&marks).await?;
    }
    let (median, worst) = median_and_worst(took);
    println!(
        "{:>15} of them came late: rolled up again in {median:.0} ms, at most {worst:.0} ms",
        late * FLAGS
    );
    Ok(())
}
