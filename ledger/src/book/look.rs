//! What is read from a book.

use std::{collections::HashSet, sync::Arc};

use flagmeter_model::{Environment, Meter, Name, NodeId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Statement, params};

use crate::{Closing, Error, Feed, Hours, Page, Position, Result, Row, RowKey, Standing};

/// Rows of a feed that one question looks at, so that a customer with few of them does not hold a reader for long.
const LOOKED_AT_MAX: usize = 50_000;

/// Rows that came since an hour was closed which are looked at to tell whether one of them corrects it.
const CAME_SINCE_MAX: u64 = 100_000;

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
    let mut page = Page { looked_to: hours.as_of, ..Page::default() };
    let mut statement = book.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM rows
         WHERE environment = ?1 AND (hour, meter, revision) > (?2, ?3, ?4) AND hour < ?5 AND position <= ?6
         ORDER BY hour, meter, revision"
    ))?;
    each_environment(book, hours, |id, environment| {
        let environment = &Arc::new(environment);
        let after = hours.after.as_ref().filter(|after| after.environment == **environment);
        of_environment(&mut statement, (id, environment), hours, after, &mut page)
    })?;
    Ok(page)
}

/// See [`Ledger::settled`](crate::Ledger::settled).
pub(crate) fn settled(book: &Connection, hours: &Hours) -> Result<Option<Position>> {
    let mut closed = book.prepare_cached(
        "SELECT position FROM closings WHERE until >= ?1 AND position <= ?2 ORDER BY until LIMIT 1",
    )?;
    let key = [hours.range.to.as_millis(), hours.as_of.get().cast_signed()];
    let Some(closed) = closed.query_row(key, |row| Ok(position(row.get(0)?))).optional()? else {
        return Ok(None);
    };
    let end = standing(book)?.end.min(hours.as_of);
    // A bill is mostly asked for soon after its last hour was closed: then little came since. Of old ones all rows are
    // fewer than those that came since.
    let came_since = end.get().saturating_sub(closed.get());
    let corrected =
        if came_since <= CAME_SINCE_MAX { newest_since(book, hours, closed)? } else { newest(book, hours)? };
    Ok(Some(corrected.max(closed)))
}

/// The newest of the rows that are meant among those that came after `closed`; [`Position::START`] where there is none.
fn newest_since(book: &Connection, hours: &Hours, closed: Position) -> Result<Position> {
    let mut meant = HashSet::new();
    each_environment(book, &Hours { after: None, ..hours.clone() }, |id, _| Ok(meant.insert(id)))?;
    // All of it stands in the index of positions.
    let mut since = book.prepare_cached(
        "SELECT position, environment, meter FROM rows
         WHERE position > ?1 AND position <= ?2 AND hour >= ?3 AND hour < ?4 ORDER BY position DESC",
    )?;
    let mut found = since.query([
        closed.get().cast_signed(),
        hours.as_of.get().cast_signed(),
        hours.range.from.as_millis(),
        hours.range.to.as_millis(),
    ])?;
    while let Some(row) = found.next()? {
        if meant.contains(&row.get(1)?) && takes(hours, row.get(2)?) {
            return Ok(position(row.get(0)?));
        }
    }
    Ok(Position::START)
}

/// The newest of the rows that are meant; [`Position::START`] where there is none.
fn newest(book: &Connection, hours: &Hours) -> Result<Position> {
    let mut of_environment = book.prepare_cached(
        "SELECT meter, max(position) FROM rows
         WHERE environment = ?1 AND hour >= ?2 AND hour < ?3 AND position <= ?4 GROUP BY meter",
    )?;
    let (from, to) = (hours.range.from.as_millis(), hours.range.to.as_millis());
    let mut newest = Position::START;
    each_environment(book, &Hours { after: None, ..hours.clone() }, |id, _| {
        let mut found = of_environment.query([id, from, to, hours.as_of.get().cast_signed()])?;
        while let Some(row) = found.next()? {
            if takes(hours, row.get(0)?) {
                newest = newest.max(position(row.get(1)?));
            }
        }
        Ok(true)
    })?;
    Ok(newest)
}

fn takes(hours: &Hours, meter: u8) -> bool {
    hours.meters.is_empty() || hours.meters.iter().any(|meant| meant.number() == meter)
}

/// Hands on the environments that are meant, in the order of their names, from that of the key on; until `take` has
/// enough. Those before and behind are not looked at: a page reads a few of thousands.
fn each_environment(
    book: &Connection,
    hours: &Hours,
    mut take: impl FnMut(i64, Environment) -> Result<bool>,
) -> Result<()> {
    let mut statement = book.prepare_cached(
        "SELECT id, customer, project, environment FROM environments
         WHERE (customer, project, environment) >= (?1, ?2, ?3) AND (?4 IS NULL OR customer <= ?4)
         ORDER BY customer, project, environment",
    )?;
    let customers = &hours.scope.customers;
    // No name is empty: before the first project of a customer is nothing.
    let first = (customers.iter().min().map_or("", Name::as_str), "", "");
    let from = hours.after.as_ref().map_or(first, |RowKey { environment: after, .. }| {
        first.max((after.customer.as_str(), after.project.as_str(), after.environment.as_str()))
    });
    let last = customers.iter().max().map(Name::as_str);
    let mut found = statement.query(params![from.0, from.1, from.2, last])?;
    while let Some(row) = found.next()? {
        let text =
            |column| -> Result<&str> { row.get_ref(column)?.as_str().map_err(|error| unreadable(&error)) };
        let environment = environment(text(1)?, text(2)?, text(3)?)?;
        if hours.scope.takes(&environment) && !take(row.get(0)?, environment)? {
            break;
        }
    }
    Ok(())
}

/// Adds the rows of one environment; false when the page is full and there are more.
fn of_environment(
    statement: &mut Statement<'_>,
    (id, environment): (i64, &Arc<Environment>),
    hours: &Hours,
    after: Option<&RowKey>,
    page: &mut Page,
) -> Result<bool> {
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

pub(super) fn position(number: i64) -> Position {
    Position::new(u64::try_from(number).unwrap_or_default())
}

fn unreadable(error: &rusqlite::types::FromSqlError) -> Error {
    Error::Damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use flagmeter_model::TimeRange;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Append, Config, Counted, Scope,
        book::{Book, apply, plan},
        conformance::fixture::{counted, hour, name},
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_corrected_a_bill_is_found_from_both_ends(
            appends in prop::collection::vec((0_usize..3, 0_i64..6, any::<bool>(), 1_u64..99, prop::option::of(1_i64..7)), 0..30),
            (from, hours) in (0_i64..6, 1_i64..6), customers in 0_usize..4, requests in any::<bool>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let book = Book::open(&Config { path: folder.path().join("ledger.sqlite") }).unwrap();
            let all = ["acme", "beta", "zeta"];
            let write = |append: Append| {
                book.write_now(|step| {
                    let (entry, _) = plan(step, &append)?;
                    apply(step, &entry)
                })
            };
            book.write_now(|step| apply(step, &crate::Entry { announced: Some(hour(9)), ..Default::default() })).unwrap();
            for (owner, at, requests, count, closed) in appends {
                let meter = if requests { Meter::Requests } else { Meter::Evaluations };
                let counted = vec![Counted { meter, ..counted(all[owner], at, count) }];
                write(Append { counted, closed: closed.map(hour), at: hour(10) }).unwrap();
            }
            let asked = Hours {
                scope: Scope { customers: all[..customers].iter().map(|text| name(text)).collect(), ..Scope::default() },
                meters: if requests { vec![Meter::Requests] } else { Vec::new() },
                range: TimeRange::new(hour(from), hour(from + hours)),
                as_of: Position::MAX,
                after: None,
                limit: 1,
            };
            book.read_now(|book| {
                if let Some(settled) = settled(book, &asked)? {
                    let closed = closing_of(book, asked.range.to)?;
                    assert_eq!(settled, newest(book, &asked)?.max(closed));
                    assert_eq!(settled, newest_since(book, &asked, closed)?.max(closed));
                }
                Ok(())
            }).unwrap();
        }
    }

    fn closing_of(book: &Connection, until: Timestamp) -> Result<Position> {
        let first = "SELECT min(position) FROM closings WHERE until >= ?1";
        Ok(book.query_row(first, [until.as_millis()], |row| Ok(position(row.get(0)?)))?)
    }
}
