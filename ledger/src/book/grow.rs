//! How a book grows: what an append comes to, and what an entry changes.

use std::{collections::BTreeSet, sync::Arc};

use flagmeter_model::{Environment, NodeId, Tier, Timestamp, Window};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{alerts, crossings, deliveries, look::standing, mutes};
use crate::{Append, Appended, Closing, Counted, Entry, Error, Latest, Position, Result, Row, decide};

/// What an append comes to: the entry that it makes here and now. Nothing is changed.
pub(crate) fn plan(book: &Connection, append: &Append) -> Result<(Entry, Appended)> {
    let standing = standing(book)?;
    let mut counted: Vec<&Counted> = append.counted.iter().collect();
    counted.sort_by(|one, other| order(one).cmp(&order(other)));
    if let Some([twice, _]) = counted.array_windows::<2>().find(|[one, next]| order(one) == order(next)) {
        return Err(Error::NotBillable(format!("{} is counted twice at {}", twice.environment, twice.hour)));
    }
    let (mut rows, mut end, mut corrections) = (Vec::new(), standing.end, 0);
    let mut environment: Option<Arc<Environment>> = None;
    for counted in counted {
        check(counted, standing.announced)?;
        let shared = match environment.take() {
            Some(same) if *same == counted.environment => same,
            _ => Arc::new(counted.environment.clone()),
        };
        let newest = latest(book, counted)?;
        if let Some(row) = decide(counted, &shared, newest, standing.closed, (end.next(), append.at)) {
            end = row.position;
            corrections += u64::from(row.correction);
            rows.push(row);
        }
        environment = Some(shared);
    }
    let closing = append.closed.filter(|&until| Some(until) > standing.closed);
    if let Some(until) = closing.filter(|&until| Some(until) > standing.announced) {
        return Err(Error::NotAnnounced { hour: until });
    }
    let appended = Appended { closings: rows.len() as u64 - corrections, corrections, end };
    let closing = closing.map(|until| Closing { until, at: append.at, end });
    Ok((Entry { rows, closing, ..Entry::default() }, appended))
}

/// In the feed, an hour after the other.
fn order(counted: &Counted) -> (Timestamp, &Environment, u8) {
    (counted.hour, &counted.environment, counted.meter.number())
}

fn check(counted: &Counted, announced: Option<Timestamp>) -> Result<()> {
    let Counted { environment, meter, hour, count, .. } = counted;
    if !meter.is_usage() {
        return Err(Error::NotBillable(format!("{meter} of {environment} are not what customers use")));
    }
    if i64::try_from(*count).is_err() {
        return Err(Error::NotBillable(format!(
            "{count} in the hour {hour} of {environment} cannot be kept"
        )));
    }
    let window = Window::starting(Tier::Hour, *hour)
        .map_err(|_| Error::NotBillable(format!("{hour} is not the beginning of an hour")))?;
    if Some(window.end()) > announced {
        return Err(Error::NotAnnounced { hour: *hour });
    }
    Ok(())
}

fn latest(book: &Connection, counted: &Counted) -> Result<Option<Latest>> {
    let mut statement = book.prepare_cached(
        "SELECT revision, count FROM rows
         WHERE environment = (SELECT id FROM environments WHERE customer = ?1 AND project = ?2 AND environment = ?3)
             AND hour = ?4 AND meter = ?5
         ORDER BY revision DESC LIMIT 1",
    )?;
    let Environment { customer, project, environment } = &counted.environment;
    let key = params![
        customer.as_str(),
        project.as_str(),
        environment.as_str(),
        counted.hour.as_millis(),
        counted.meter.number()
    ];
    let found = statement.query_row(key, |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?)));
    let found = found.optional()?;
    Ok(found.map(|(revision, count)| Latest { revision, count: count.unsigned_abs() }))
}

/// Takes an entry in. Rows that are there already are left out; one that would leave a gap, or differs from what is
/// there, is damage.
pub(crate) fn apply(step: &Transaction<'_>, entry: &Entry) -> Result<()> {
    crossings::apply(step, entry)?;
    alerts::apply(step, entry)?;
    deliveries::apply(step, entry)?;
    mutes::apply(step, entry)?;
    let mut end = standing(step)?.end;
    for row in &entry.rows {
        if row.position <= end {
            same(step, row)?;
        } else if row.position == end.next() {
            insert(step, row)?;
            end = row.position;
        } else {
            return Err(Error::Damaged(format!("row {} follows on row {end}", row.position)));
        }
    }
    if let Some(Closing { until, at, end: last }) = entry.closing {
        if last > end {
            return Err(Error::Damaged(format!(
                "hours up to {until} were closed by row {last}, which is not there"
            )));
        }
        step.prepare_cached(
            "INSERT INTO closings (until, at, position) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![until.as_millis(), at.as_millis(), number(last)])?;
    }
    step.prepare_cached(
        "UPDATE standing SET position = ?1, announced = nullif(max(ifnull(announced, ?4), ifnull(?2, ?4)), ?4),
             closed = nullif(max(ifnull(closed, ?4), ifnull(?3, ?4)), ?4)",
    )?
    .execute(params![
        number(end),
        entry.announced.map(Timestamp::as_millis),
        entry.closing.map(|closing| closing.until.as_millis()),
        i64::MIN,
    ])?;
    Ok(())
}

fn same(step: &Transaction<'_>, row: &Row) -> Result<()> {
    let mut statement =
        step.prepare_cached("SELECT hour, meter, revision, count, closed_at FROM rows WHERE position = ?1")?;
    let found = statement.query_row([number(row.position)], |found| {
        Ok((found.get(0)?, found.get(1)?, found.get(2)?, found.get(3)?, found.get(4)?))
    });
    let expected: (i64, u8, u32, i64, i64) = (
        row.hour.as_millis(),
        row.meter.number(),
        row.revision,
        row.count.cast_signed(),
        row.closed_at.as_millis(),
    );
    if found.optional()? == Some(expected) {
        return Ok(());
    }
    Err(Error::Damaged(format!(
        "row {} is not what it was: the ledger was exchanged for another",
        row.position
    )))
}

fn insert(step: &Transaction<'_>, row: &Row) -> Result<()> {
    let Environment { customer, project, environment } = &*row.environment;
    let names = params![customer.as_str(), project.as_str(), environment.as_str()];
    let id = "SELECT id FROM environments WHERE customer = ?1 AND project = ?2 AND environment = ?3";
    let known = step.prepare_cached(id)?.query_row(names, |row| row.get::<_, i64>(0)).optional()?;
    let id = if let Some(id) = known {
        id
    } else {
        let new = "INSERT INTO environments (customer, project, environment) VALUES (?1, ?2, ?3)";
        step.prepare_cached(new)?.insert(names)?
    };
    step.prepare_cached("INSERT INTO rows VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?.execute(
        params![
            id,
            row.hour.as_millis(),
            row.meter.number(),
            row.revision,
            number(row.position),
            row.count.cast_signed(),
            row.previous.cast_signed(),
            row.correction,
            row.complete,
            missing(&row.missing),
            row.closed_at.as_millis(),
        ],
    )?;
    Ok(())
}

fn missing(nodes: &[NodeId]) -> Option<String> {
    let nodes: BTreeSet<NodeId> = nodes.iter().copied().collect();
    let numbers: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    (!numbers.is_empty()).then(|| numbers.join(","))
}

fn number(position: Position) -> i64 {
    position.get().cast_signed()
}
