//! How far what is told was delivered.

use rusqlite::{Connection, Transaction, params};

use super::{alerts::alerts_end, crossings::crossed_end, look::position};
use crate::{Entry, Error, Notice, Position, Result};

const fn number(of: Notice) -> i64 {
    match of {
        Notice::Crossing => 1,
        Notice::Alert => 2,
    }
}

fn end(book: &Connection, of: Notice) -> Result<Position> {
    match of {
        Notice::Crossing => crossed_end(book),
        Notice::Alert => alerts_end(book),
    }
}

/// Up to which one all were delivered.
pub(crate) fn delivered(book: &Connection, of: Notice) -> Result<Position> {
    let mut statement = book.prepare_cached("SELECT number FROM deliveries WHERE id = ?1")?;
    Ok(position(statement.query_row([number(of)], |row| row.get(0))?))
}

/// The entry that a delivery makes, if it is more than is kept. Nothing is changed.
pub(crate) fn plan_delivery(book: &Connection, of: Notice, until: Position) -> Result<Entry> {
    let end = end(book, of)?;
    if until > end {
        return Err(Error::Refused(format!(
            "{} {until} was not delivered: the last one is {end}",
            of.name()
        )));
    }
    let before = delivered(book, of)?;
    let new = Some(until).filter(|until| *until > before);
    Ok(match of {
        Notice::Crossing => Entry { delivered: new, ..Entry::default() },
        Notice::Alert => Entry { alerts_delivered: new, ..Entry::default() },
    })
}

/// Takes in how far it was delivered; never less than before.
pub(super) fn apply(step: &Transaction<'_>, entry: &Entry) -> Result<()> {
    for (of, until) in [(Notice::Crossing, entry.delivered), (Notice::Alert, entry.alerts_delivered)] {
        let Some(until) = until else { continue };
        if until > end(step, of)? {
            return Err(Error::Damaged(format!("{} {until} was delivered, which is not there", of.name())));
        }
        step.prepare_cached("UPDATE deliveries SET number = max(number, ?2) WHERE id = ?1")?
            .execute(params![number(of), until.get().cast_signed()])?;
    }
    Ok(())
}
