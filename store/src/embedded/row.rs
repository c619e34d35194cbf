//! A row of counts: totals and a block, whatever it is keyed by.

use rusqlite::{CachedStatement, Connection, Row};

use super::block::damaged;
use crate::{Result, Totals};

/// The totals' columns, in the order of [`flagmeter_model::Meter::ALL`].
pub(super) const TOTALS: &str = "evaluations, requests, received, duplicate, rejected";

/// The totals and the block, as a table declares them.
pub(super) fn columns() -> String {
    format!("{} INTEGER NOT NULL, block BLOB NOT NULL", TOTALS.replace(',', " INTEGER NOT NULL,"))
}

/// Writes rows to one table, in place of those with the same key.
pub(super) struct Insert<'c, const KEYS: usize>(CachedStatement<'c>);

impl<'c, const KEYS: usize> Insert<'c, KEYS> {
    /// For a table with these columns for the key.
    pub(super) fn new(connection: &'c Connection, table: &str, keys: [&str; KEYS]) -> Result<Self> {
        let values = vec!["?"; KEYS + Totals::default().len() + 1].join(", ");
        let statement = format!(
            "INSERT OR REPLACE INTO {table} ({}, {TOTALS}, block) VALUES ({values})",
            keys.join(", ")
        );
        Ok(Self(connection.prepare_cached(&statement)?))
    }

    /// Writes a row.
    pub(super) fn row(&mut self, keys: [i64; KEYS], totals: Totals, block: &[u8]) -> Result<()> {
        let numbers = keys.into_iter().chain(totals.map(u64::cast_signed));
        for (at, number) in (1..).zip(numbers) {
            self.0.raw_bind_parameter(at, number)?;
        }
        self.0.raw_bind_parameter(KEYS + totals.len() + 1, block)?;
        self.0.raw_execute()?;
        Ok(())
    }
}

/// A column of counts.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|_| damaged("a total is negative"))
}

/// The totals from the column `first` on.
pub(super) fn totals(row: &Row<'_>, first: usize) -> Result<Totals> {
    let mut totals = Totals::default();
    for (position, total) in totals.iter_mut().enumerate() {
        *total = count(row, first + position)?;
    }
    Ok(totals)
}

/// A column of bytes, borrowed.
pub(super) fn blob<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r [u8]> {
    Ok(row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?)
}

#[cfg(test)]
mod tests {
    use flagmeter_model::Meter;

    use super::*;

    #[test]
    fn the_totals_stand_in_the_order_of_the_meters() {
        assert_eq!(TOTALS, Meter::ALL.map(Meter::name).join(", "));
    }
}
