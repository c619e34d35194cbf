//! Windows as they are kept, for audits.

use std::collections::BTreeMap;

use flagmeter_model::{Meter, Tier, TimeRange};

use super::{
    InfluxStore,
    csv::damaged,
    ql::Where,
    registers,
    tiers::{Axis, Split, Windows},
};
use crate::{Result, Scan, ScanRow};

/// Every window of one tier, one environment and one range. Raw points come added up by minute.
pub(super) async fn scan(store: &InfluxStore, scan: &Scan) -> Result<Vec<ScanRow>> {
    let grid = scan.tier.seconds().max(Tier::Minute.seconds());
    let floor = registers::read(store).await?.floors().of(scan.tier);
    let from = floor.map_or(scan.range.from, |floor| floor.max(scan.range.from));
    let range = TimeRange::new(from.ceil_to(grid), scan.range.to.ceil_to(grid));
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = BTreeMap::new();
    for axis in Axis::BOTH {
        let points =
            |range| axis.points(store, scan.tier, &Where::within(range).environments([&scan.environment]));
        let windows = store.fold(range, Split::ByTime, points, Windows::of(scan.tier)).await?;
        for (counted, start, value) in windows.iter() {
            let row = rows.entry(start).or_insert_with(|| ScanRow {
                start,
                series: Vec::new(),
                totals: [0; Meter::ALL.len()],
            });
            match (axis, counted.key()) {
                (Axis::Series, Some(key)) => row.series.push((key, value)),
                (Axis::Series, None) => return Err(damaged("a series without a name")),
                (Axis::Totals, _) => {
                    if let Some(total) = row.totals.get_mut(usize::from(counted.meter.number())) {
                        *total = value;
                    }
                }
            }
        }
    }
    let mut rows: Vec<ScanRow> = rows.into_values().collect();
    for row in &mut rows {
        row.series.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    }
    Ok(rows)
}
