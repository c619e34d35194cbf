//! The crossings of a book.

use flagmeter_model::{Meter, Name, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::look::position;
use crate::{Crossed, Crossing, CrossingPage, Crossings, Entry, Error, Position, Result, first_crossings};

/// The columns of a crossing, in the order in which [`crossing`] reads them.
const COLUMNS: &str = "number, customer, meter, period, percent, hard, included, used, crossed_at";
/// Crossings that one question looks at.
const LOOKED_AT_MAX: usize = 50_000;

/// The last one.
pub(crate) fn crossed_end(book: &Connection) -> Result<Position> {
    let mut statement = book.prepare_cached("SELECT ifnull(max(number), 0) FROM crossings")?;
    Ok(position(statement.query_row([], |row| row.get(0))?))
}

/// The entry that these make here and now, and those of them that are new. Nothing is changed.
pub(crate) fn plan_crossings(
    book: &Connection,
    crossed: &[Crossed],
    at: Timestamp,
) -> Result<(Entry, Vec<Crossing>)> {
    let mut statement = book.prepare_cached(
        "SELECT 1 FROM crossings WHERE customer = ?1 AND meter = ?2 AND period = ?3 AND percent = ?4",
    )?;
    let known = |crossed: &Crossed| {
        let (customer, meter, period, percent) = crossed.key();
        Ok(statement.exists(params![customer.as_str(), meter.number(), period.as_millis(), percent])?)
    };
    let crossings = first_crossings(crossed, known, crossed_end(book)?, at)?;
    Ok((Entry { crossings: crossings.clone(), ..Entry::default() }, crossings))
}

/// Takes crossings in. Those that are there already are left out; one that would leave a gap, or differs from what is
/// there, is damage.
pub(super) fn apply(step: &Transaction<'_>, entry: &Entry) -> Result<()> {
    if entry.crossings.is_empty() {
        return Ok(());
    }
    let mut end = crossed_end(step)?;
    for new in &entry.crossings {
        if new.number <= end {
            let found = step
                .prepare_cached(&format!("SELECT {COLUMNS} FROM crossings WHERE number = ?1"))?
                .query_row([new.number.get().cast_signed()], |row| Ok(crossing(row)))
                .optional()?;
            if found.transpose()?.as_ref() != Some(new) {
                return Err(Error::Damaged(format!(
                    "crossing {} is not what it was: the ledger was exchanged for another",
                    new.number
                )));
            }
        } else if new.number == end.next() {
            insert(step, new)?;
            end = new.number;
        } else {
            return Err(Error::Damaged(format!("crossing {} follows on crossing {end}", new.number)));
        }
    }
    Ok(())
}

fn insert(step: &Transaction<'_>, new: &Crossing) -> Result<()> {
    let Crossed { customer, meter, period, percent, hard, included, used } = &new.crossed;
    let insert = format!("INSERT INTO crossings ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    step.prepare_cached(&insert)?.execute(params![
        new.number.get().cast_signed(),
        customer.as_str(),
        meter.number(),
        period.as_millis(),
        percent,
        hard,
        included.cast_signed(),
        used.cast_signed(),
        new.crossed_at.as_millis(),
    ])?;
    Ok(())
}

/// Crossings in the order in which they became known.
pub(crate) fn crossings(book: &Connection, asked: &Crossings) -> Result<CrossingPage> {
    let select = format!("SELECT {COLUMNS} FROM crossings WHERE number > ?1 ORDER BY number LIMIT ?2");
    let mut statement = book.prepare_cached(&select)?;
    let looked_at_max = i64::try_from(LOOKED_AT_MAX).unwrap_or(i64::MAX);
    let mut found = statement.query(params![asked.after.get().cast_signed(), looked_at_max])?;
    let mut page = CrossingPage { looked_to: asked.after, ..CrossingPage::default() };
    let mut looked_at = 0;
    while let Some(row) = found.next()? {
        if page.crossings.len() >= asked.limit.max(1) {
            page.more = true;
            return Ok(page);
        }
        looked_at += 1;
        let next = crossing(row)?;
        page.looked_to = next.number;
        if asked.customers.is_empty() || asked.customers.contains(&next.crossed.customer) {
            page.crossings.push(next);
        }
    }
    page.more = looked_at == LOOKED_AT_MAX;
    Ok(page)
}

fn crossing(row: &rusqlite::Row<'_>) -> Result<Crossing> {
    let number: i64 = row.get(0)?;
    let damaged = |what: &str| Error::Damaged(format!("crossing {number} {what}"));
    let count = |column| -> Result<u64> {
        u64::try_from(row.get::<_, i64>(column)?).map_err(|_| damaged("counts less than nothing"))
    };
    let customer: String = row.get(1)?;
    Ok(Crossing {
        number: position(number),
        crossed: Crossed {
            customer: Name::new(&customer).map_err(|error| damaged(&format!("is nobody's: {error}")))?,
            meter: Meter::from_number(row.get(2)?).ok_or_else(|| damaged("is of an unknown meter"))?,
            period: Timestamp::from_millis_clamped(row.get(3)?),
            percent: row.get(4)?,
            hard: row.get(5)?,
            included: count(6)?,
            used: count(7)?,
        },
        crossed_at: Timestamp::from_millis_clamped(row.get(8)?),
    })
}
