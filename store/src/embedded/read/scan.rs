//! Windows as they are kept, for audits.

use std::collections::BTreeMap;

use flagmeter_model::{SeriesKey, Tier, Timestamp};
use rusqlite::{Connection, Rows};

use super::{
    super::{
        block::{self, damaged},
        interning,
        row::{TOTALS, blob, totals},
        schema,
    },
    rows::raw_minutes,
};
use crate::{Result, Scan, ScanRow, Totals, answering::plus};

/// Series by number, and the five totals, of one window.
#[derive(Debug, Default)]
struct Kept {
    series: BTreeMap<u32, u64>,
    totals: Totals,
}

/// Every window of one tier, one environment and one range. Raw points come added up by minute.
pub(in super::super) fn scan(connection: &Connection, scan: &Scan) -> Result<Vec<ScanRow>> {
    let Some(id) = interning::environment_id(connection, &scan.environment)? else { return Ok(Vec::new()) };
    let keys = interning::series(connection, id)?;
    let mut windows = BTreeMap::new();
    match scan.tier {
        Tier::Raw => {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT minute, {TOTALS}, block FROM raw WHERE minute = ?1 AND environment = ?2"
            ))?;
            for minute in raw_minutes(connection, scan.range)? {
                collect(&mut statement.query([minute, id])?, &mut windows, |block, into| {
                    block::visit_raw(block, |_, number, count| into(number, count))
                })?;
            }
        }
        tier => {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT start, {TOTALS}, block FROM {}
                 WHERE environment = ?1 AND start >= ?2 AND start < ?3",
                schema::table(tier)
            ))?;
            let bounds = [id, scan.range.from.ceil_to(1).as_seconds(), scan.range.to.ceil_to(1).as_seconds()];
            collect(&mut statement.query(bounds)?, &mut windows, |block, into| {
                block::visit_tier(block, into)
            })?;
        }
    }
    windows.into_iter().map(|(start, kept)| row(start, kept, &keys)).collect()
}

/// Adds up the rows of each window.
fn collect(
    rows: &mut Rows<'_>,
    windows: &mut BTreeMap<i64, Kept>,
    visit: impl Fn(&[u8], &mut dyn FnMut(u32, u64)) -> Result<()>,
) -> Result<()> {
    while let Some(row) = rows.next()? {
        let kept: &mut Kept = windows.entry(row.get(0)?).or_default();
        for (sum, total) in kept.totals.iter_mut().zip(totals(row, 1)?) {
            *sum = plus(*sum, total)?;
        }
        let mut added: Result<()> = Ok(());
        visit(blob(row, 1 + Totals::default().len())?, &mut |number, count| {
            let sum = kept.series.entry(number).or_default();
            match plus(*sum, count) {
                Ok(more) => *sum = more,
                Err(error) => added = Err(error),
            }
        })?;
        added?;
    }
    Ok(())
}

fn row(start: i64, kept: Kept, keys: &[(u32, SeriesKey)]) -> Result<ScanRow> {
    let named = |(number, count): (u32, u64)| match keys.get(number as usize) {
        Some((_, key)) => Ok((key.clone(), count)),
        None => Err(damaged("a count of a series that is not there")),
    };
    let mut series: Vec<(SeriesKey, u64)> = kept.series.into_iter().map(named).collect::<Result<_>>()?;
    series.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(ScanRow { start: Timestamp::from_seconds_clamped(start), series, totals: kept.totals })
}
