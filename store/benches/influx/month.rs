//! What a bill for everyone would be read from, if there were no ledger.

use std::time::Instant;

use flagmeter_store::conformance::fixture::{self, HOUR};

use crate::{Own, Result, languages, seal};

const CUSTOMERS: usize = 1_000;
const MONTH_DAYS: i64 = 30;

/// Every hour of 30 days of 1,000 customers: 720,000 totals, told by InfluxDB as CSV.
pub(crate) async fn measure(url: &str) -> Result<()> {
    let own = Own::new(url.to_owned()).await?;
    let began = Instant::now();
    for day in 0..MONTH_DAYS {
        let hours = (day * 24..(day + 1) * 24)
            .map(|hour| seal(hour.unsigned_abs() + 1, (hour * HOUR, HOUR), CUSTOMERS, 1, 7));
        fixture::write(&own.store, &hours.collect::<Result<Vec<_>>>()?).await?;
    }
    fixture::roll_up(&own.store, 0, MONTH_DAYS * 24 * HOUR).await?;
    println!(
        "{MONTH_DAYS} days of {CUSTOMERS} customers were written and rolled up in {:.1?}",
        began.elapsed()
    );
    languages::month(&own.config, MONTH_DAYS * 24 * HOUR).await?;
    own.remove().await
}
