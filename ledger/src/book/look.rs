//! What is read from a book.

use std::sync::Arc;

use flagmeter_model::{Environment, Meter, Name, NodeId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Closing, Error, Feed, Hours, Page, Position, Result, Row, RowKey, Standing};

/// Rows of a feed that one question looks at, so that a customer with few of them does not hold a reader for long.
const LOOKED_AT_MAX: usize = 50_000;

/// The columns of a row, in the order in which [`row`] reads them.
const COLUMNS: &str =
    "hour, meter, revision, position, count, previous, correction, complete, missing, closed_at";

pub(crate) fn standing(book: &Connection) -> Result<Standing> {
    let mut statement = book.prepare_cached("SELECT announced, closed, position FROM standing")?;
    let time = |millis: Option<i64>| millis.map(Timestamp::from_millis_clamped);
    Ok(statement.query_row([], |row| {
        Ok(Standing { announced: time(row.get(0)?), closed: time(row.get(1)?), end: position(row.get(2)?) })
    })?)
}

pub(crate) fn closing(book: &Connection, as_of: Position) -> Result<Option<Closing>> {
    let mut statement = book.prepare_cached(
        "SELECT until, at, position FROM closings WHERE position <= ?1 ORDER BY position DESC, until DESC LIMIT 1",
    )?;
    let found = statement.query_row([as_of.get().cast_signed()], |row| {
        Ok(Closing {
            until: Timestamp::from_millis_clamped(row.get(0)?),
            at: Timestamp::from_millis_clamped(row.get(1)?),
            end: position(row.get(2)?),
        })
    });
    Ok(found.optional()?)
}

pub(crate) fn feed(book: &Connection, feed: &Feed) -> Result<Page> {
    let mut statement = book.prepare_cached(&format!(
        "SELECT {COLUMNS}, customer, project, environments.environment
         FROM rows JOIN environments ON environments.id = rows.environment
         WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3"
    ))?;
    let looked_at_max = i64::try_from(LOOKED_AT_MAX).unwrap_or(i64::MAX);
    let mut found = statement.query(params![
        feed.after.get().cast_signed(),
        feed.until.get().cast_signed(),
        looked_at_max
    ])?;
    let mut page = Page { looked_to: feed.after, ..Page::default() };
    let (mut looked_at, mut last): (usize, Option<Arc<Environment>>) = (0, None);
    while let Some(next) = found.next()? {
        if page.rows.len() >= feed.limit.max(1) {
            page.more = true;
            return Ok(page);
        }
        looked_at += 1;
        let text =
            |column| -> Result<&str> { next.get_ref(column)?.as_str().map_err(|error| unreadable(&error)) };
        let (customer, project, name) = (text(10)?, text(11)?, text(12)?);
        let environment = match last.take() {
            Some(same)
                if (same.customer.as_str(), same.project.as_str(), same.environment.as_str())
                    == (customer, project, name) =>
            {
                same
            }
            _ => Arc::new(environment(customer, project, name)?),
        };
        let row = row(next, &environment)?;
        page.looked_to = row.position;
        if feed.scope.takes(&environment) {
            page.rows.push(row);
        }
        last = Some(environment);
    }
    page.more = looked_at == LOOKED_AT_MAX;
    if !page.more {
        page.looked_to = feed.until.min(standing(book)?.end).max(feed.after);
    }
    Ok(page)
}

pub(crate) fn hours(book: &Connection, hours: &Hours) -> Result<Page> {
    let mut page = Page::default();
    let from = hours.after.as_ref().map(|after| &after.environment);
    for (id, environment) in environments(book, hours)? {
        let after = hours.after.as_ref().filter(|_| from == Some(&*environment));
        if !of_environment(book, (id, &environment), hours, after, &mut page)? {
            break;
        }
    }
    page.looked_to = hours.as_of;
    Ok(page)
}

/// The environments that are meant, from that of the key on, in the order of their names.
fn environments(book: &Connection, hours: &Hours) -> Result<Vec<(i64, Arc<Environment>)>> {
    let mut statement = book.prepare_cached(
        "SELECT id, customer, project, environment FROM environments ORDER BY customer, project, environment",
    )?;
    let mut found = statement.query([])?;
    let from = hours.after.as_ref().map(|after| &after.environment);
    let mut meant = Vec::new();
    while let Some(row) = found.next()? {
        let text =
            |column| -> Result<&str> { row.get_ref(column)?.as_str().map_err(|error| unreadable(&error)) };
        let environment = environment(text(1)?, text(2)?, text(3)?)?;
        if Some(&environment) >= from && hours.scope.takes(&environment) {
            meant.push((row.get(0)?, Arc::new(environment)));
        }
    }
    Ok(meant)
}

/// Adds the rows of one environment; false when the page is full and there are more.
fn of_environment(
    book: &Connection,
    (id, environment): (i64, &Arc<Environment>),
    hours: &Hours,
    after: Option<&RowKey>,
    page: &mut Page,
) -> Result<bool> {
    let mut statement = book.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM rows
         WHERE environment = ?1 AND (hour, meter, revision) > (?2, ?3, ?4) AND hour < ?5 AND position <= ?6
         ORDER BY hour, meter, revision"
    ))?;
    // Before the first row of an hour there is no revision.
    let start = (hours.range.from.as_millis(), -1, 0);
    let start = after.map_or(start, |key| {
        start.max((key.hour.as_millis(), i64::from(key.meter.number()), i64::from(key.revision)))
    });
    let mut found = statement.query(params![
        id,
        start.0,
        start.1,
        start.2,
        hours.range.to.as_millis(),
        hours.as_of.get().cast_signed()
    ])?;
    while let Some(next) = found.next()? {
        let row = row(next, environment)?;
        if !hours.meters.is_empty() && !hours.meters.contains(&row.meter) {
            continue;
        }
        if page.rows.len() >= hours.limit.max(1) {
            page.more = true;
            return Ok(false);
        }
        page.rows.push(row);
    }
    Ok(true)
}

fn row(found: &rusqlite::Row<'_>, environment: &Arc<Environment>) -> Result<Row> {
    let meter: u8 = found.get(1)?;
    let at: i64 = found.get(3)?;
    let count = |column| -> Result<u64> {
        let count: i64 = found.get(column)?;
        u64::try_from(count).map_err(|_| Error::Damaged(format!("row {at} counts {count}")))
    };
    let missing = match found.get_ref(8)? {
        rusqlite::types::ValueRef::Null => Vec::new(),
        text => nodes(text.as_str().map_err(|error| unreadable(&error))?, at)?,
    };
    Ok(Row {
        position: position(at),
        environment: Arc::clone(environment),
        meter: Meter::from_number(meter)
            .ok_or_else(|| Error::Damaged(format!("row {at} counts with an unknown meter, {meter}")))?,
        hour: Timestamp::from_millis_clamped(found.get(0)?),
        revision: found.get(2)?,
        count: count(4)?,
        previous: count(5)?,
        correction: found.get(6)?,
        complete: found.get(7)?,
        missing,
        closed_at: Timestamp::from_millis_clamped(found.get(9)?),
    })
}

fn nodes(text: &str, at: i64) -> Result<Vec<NodeId>> {
    let node = |word: &str| {
        let node = word.parse().ok().and_then(|number| NodeId::new(number).ok());
        node.ok_or_else(|| Error::Damaged(format!("row {at} misses a node that is none: {word}")))
    };
    text.split(',').map(node).collect()
}

fn environment(customer: &str, project: &str, environment: &str) -> Result<Environment> {
    let name = |text| Name::new(text).map_err(|error| Error::Damaged(format!("a name: {error}")));
    Ok(Environment { customer: name(customer)?, project: name(project)?, environment: name(environment)? })
}

fn position(number: i64) -> Position {
    Position::new(u64::try_from(number).unwrap_or_default())
}

fn unreadable(error: &rusqlite::types::FromSqlError) -> Error {
    Error::Damaged(error.to_string())
}
