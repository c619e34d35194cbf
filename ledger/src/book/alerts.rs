//! The alerts of a book.

use flagmeter_model::{Meter, Name, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Params, Transaction, params};

use super::{episodes, look::position, mutes::covering};
use crate::{
    Alert, AlertKind, AlertPage, Alerted, Alerts, Contributor, Entry, Error, LastSaid, MuteId, Part,
    Position, Result, Said, Subject, new_alerts,
};

/// The columns of an alert, in the order in which [`alert`] reads them.
pub(super) const COLUMNS: &str = "number, customer, project, environment, flag, meter, kind, said, since, seen_at, observed, \
                       expected, low, high, percent, excess, peak, is_learning, alerted_at, muted";
/// Alerts that one question looks at.
const LOOKED_AT_MAX: usize = 20_000;
/// Whether nothing was said of the series of `one` since.
const IS_LAST: &str = "NOT EXISTS (SELECT 1 FROM alerts AS later
    WHERE later.customer = one.customer AND later.project IS one.project AND later.environment IS one.environment
        AND later.flag IS one.flag AND later.meter = one.meter AND later.number > one.number)";

/// The last one.
pub(crate) fn alerts_end(book: &Connection) -> Result<Position> {
    let mut statement = book.prepare_cached("SELECT ifnull(max(number), 0) FROM alerts")?;
    Ok(position(statement.query_row([], |row| row.get(0))?))
}

/// The entry that these make here and now, and those of them that say something new. Nothing is changed.
pub(crate) fn plan_alerts(
    book: &Connection,
    alerted: &[Alerted],
    at: Timestamp,
) -> Result<(Entry, Vec<Alert>)> {
    // What was seen while a mute was in force, and what would be told while one is.
    let muted = |alerted: &Alerted| {
        let seen = covering(book, alerted, alerted.seen_at)?;
        if seen.is_some() { Ok(seen) } else { covering(book, alerted, at) }
    };
    let alerts = new_alerts(alerted, (|alerted| last_said(book, alerted), muted), alerts_end(book)?, at)?;
    Ok((Entry { alerts: alerts.clone(), ..Entry::default() }, alerts))
}

fn last_said(book: &Connection, alerted: &Alerted) -> Result<Option<LastSaid>> {
    let select = format!(
        "SELECT {COLUMNS} FROM alerts WHERE customer = ?1 AND project IS ?2 AND environment IS ?3 AND flag IS ?4
             AND meter = ?5 ORDER BY number DESC LIMIT 1"
    );
    let mut statement = book.prepare_cached(&select)?;
    let [project, environment, flag] = parts(&alerted.of);
    let series = params![alerted.of.customer().as_str(), project, environment, flag, alerted.meter.number()];
    let found = statement.query_row(series, |row| Ok(alert(row))).optional()?.transpose()?;
    Ok(found.as_ref().map(LastSaid::of))
}

/// Project, environment and flag, as they are kept: NULL for all of them.
fn parts(of: &Subject) -> [Option<&str>; 3] {
    [of.project(), of.environment(), of.flag()].map(|name| name.map(Name::as_str))
}

/// What goes on, which stands among the episodes: nobody reads all alerts for the few that are open.
fn going() -> String {
    format!("SELECT {COLUMNS} FROM episodes CROSS JOIN alerts ON number = began WHERE reach IS NULL")
}

/// What is over and was seen after a time, unless something began since.
fn over_since() -> String {
    format!("SELECT {COLUMNS} FROM alerts AS one WHERE seen_at > ?1 AND said <> 'began' AND {IS_LAST}")
}

/// What goes on and nobody was told of.
fn going_muted() -> String {
    format!("{} AND muted IS NOT NULL", going())
}

/// What goes on, by number.
fn going_after() -> String {
    format!("{} AND began > ?1 ORDER BY began LIMIT ?2", going())
}

/// The last alert of each series that goes on, or was seen after `since`.
pub(crate) fn standing_alerts(book: &Connection, since: Timestamp) -> Result<Vec<Alert>> {
    let mut alerts = in_order(book, &going(), [])?;
    alerts.extend(in_order(book, &over_since(), [since.as_millis()])?);
    alerts.sort_by_key(|alert| alert.number);
    Ok(alerts)
}

/// The last alert of each series that goes on and that nobody was told of.
pub(crate) fn muted_alerts(book: &Connection) -> Result<Vec<Alert>> {
    in_order(book, &going_muted(), [])
}

/// These alerts by their numbers, without contributors.
fn in_order(book: &Connection, select: &str, values: impl Params) -> Result<Vec<Alert>> {
    let mut statement = book.prepare_cached(select)?;
    let mut found = statement.query(values)?;
    let mut alerts = Vec::new();
    while let Some(row) = found.next()? {
        alerts.push(alert(row)?);
    }
    alerts.sort_by_key(|alert| alert.number);
    Ok(alerts)
}

/// Takes alerts in. Those that are there already are left out; one that would leave a gap, or differs from what is there,
/// is damage.
pub(super) fn apply(step: &Transaction<'_>, entry: &Entry) -> Result<()> {
    if entry.alerts.is_empty() {
        return Ok(());
    }
    let mut end = alerts_end(step)?;
    for new in &entry.alerts {
        if new.number <= end {
            if found(step, new.number)?.as_ref() != Some(new) {
                return Err(Error::Damaged(format!(
                    "alert {} is not what it was: the ledger was exchanged for another",
                    new.number
                )));
            }
        } else if new.number == end.next() {
            insert(step, new)?;
            episodes::take(step, new)?;
            end = new.number;
        } else {
            return Err(Error::Damaged(format!("alert {} follows on alert {end}", new.number)));
        }
    }
    Ok(())
}

fn found(step: &Transaction<'_>, number: Position) -> Result<Option<Alert>> {
    let found = found_plainly(step, number)?;
    found.map(|alert| with_contributors(step, alert)).transpose()
}

/// The alert of this number, without its contributors.
pub(super) fn found_plainly(book: &Connection, number: Position) -> Result<Option<Alert>> {
    let select = format!("SELECT {COLUMNS} FROM alerts WHERE number = ?1");
    let mut statement = book.prepare_cached(&select)?;
    statement.query_row([number.get().cast_signed()], |row| Ok(alert(row))).optional()?.transpose()
}

fn insert(step: &Transaction<'_>, new: &Alert) -> Result<()> {
    let alerted = &new.alerted;
    let [project, environment, flag] = parts(&alerted.of);
    let insert = format!(
        "INSERT INTO alerts ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
         ?17, ?18, ?19, ?20)"
    );
    let number = new.number.get().cast_signed();
    step.prepare_cached(&insert)?.execute(params![
        number,
        alerted.of.customer().as_str(),
        project,
        environment,
        flag,
        alerted.meter.number(),
        alerted.kind.name(),
        alerted.said.name(),
        alerted.since.as_millis(),
        alerted.seen_at.as_millis(),
        alerted.observed.map(u64::cast_signed),
        alerted.expected.cast_signed(),
        alerted.low.cast_signed(),
        alerted.high.cast_signed(),
        alerted.percent.map(u64::cast_signed),
        alerted.excess.cast_signed(),
        alerted.peak.cast_signed(),
        alerted.is_learning,
        new.alerted_at.as_millis(),
        new.muted.map(|mute| mute.to_string()),
    ])?;
    let mut statement = step.prepare_cached("INSERT INTO contributors VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (place, Contributor { part, name, count, before }) in (0_i64..).zip(&alerted.contributors) {
        let name = name.as_ref().map(Name::as_str);
        statement.execute(params![
            number,
            place,
            part.name(),
            name,
            count.cast_signed(),
            before.cast_signed()
        ])?;
    }
    Ok(())
}

/// Alerts in the order in which they became known.
pub(crate) fn alerts(book: &Connection, asked: &Alerts) -> Result<AlertPage> {
    // What is not active is left out here already: it is most of them, and what is active would come behind it.
    let select = if asked.active {
        going_after()
    } else {
        format!("SELECT {COLUMNS} FROM alerts WHERE number > ?1 ORDER BY number LIMIT ?2")
    };
    let end = alerts_end(book)?;
    let mut statement = book.prepare_cached(&select)?;
    let looked_at_max = i64::try_from(LOOKED_AT_MAX).unwrap_or(i64::MAX);
    let mut found = statement.query([asked.after.get().cast_signed(), looked_at_max])?;
    let mut page = AlertPage { looked_to: asked.after, ..AlertPage::default() };
    let mut looked_at = 0;
    while let Some(row) = found.next()? {
        if page.alerts.len() >= asked.limit.max(1) {
            page.more = true;
            return Ok(page);
        }
        looked_at += 1;
        let next = alert(row)?;
        page.looked_to = next.number;
        let Alerted { of, kind, .. } = &next.alerted;
        let is_meant = (asked.customers.is_empty() || asked.customers.contains(of.customer()))
            && asked.kind.is_none_or(|asked| asked == *kind)
            && asked.muted.is_none_or(|asked| asked == next.muted.is_some());
        if is_meant {
            page.alerts.push(with_contributors(book, next)?);
        }
    }
    page.more = looked_at == LOOKED_AT_MAX;
    if !page.more {
        page.looked_to = page.looked_to.max(end);
    }
    Ok(page)
}

fn name_of(number: i64, text: &str) -> Result<Name> {
    Name::new(text).map_err(|error| Error::Damaged(format!("alert {number} is nobody's: {error}")))
}

fn with_contributors(book: &Connection, mut alert: Alert) -> Result<Alert> {
    let number = alert.number.get().cast_signed();
    let mut statement = book.prepare_cached(
        "SELECT part, name, count, before FROM contributors WHERE alert = ?1 ORDER BY place",
    )?;
    let mut found = statement.query([number])?;
    while let Some(row) = found.next()? {
        let (part, name): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        let unknown =
            || Error::Damaged(format!("alert {number} has a contributor that is an unknown {part}"));
        alert.alerted.contributors.push(Contributor {
            part: Part::from_name(&part).ok_or_else(unknown)?,
            name: name.map(|name| name_of(number, &name)).transpose()?,
            count: row.get::<_, i64>(2)?.unsigned_abs(),
            before: row.get::<_, i64>(3)?.unsigned_abs(),
        });
    }
    Ok(alert)
}

/// An alert without its contributors.
pub(super) fn alert(row: &rusqlite::Row<'_>) -> Result<Alert> {
    let number: i64 = row.get(0)?;
    let damaged = |what: &str| Error::Damaged(format!("alert {number} {what}"));
    let name = |column| -> Result<Option<Name>> {
        let kept: Option<String> = row.get(column)?;
        kept.map(|kept| name_of(number, &kept)).transpose()
    };
    let time = |column| -> Result<Timestamp> { Ok(Timestamp::from_millis_clamped(row.get(column)?)) };
    let count = |column| -> Result<u64> {
        u64::try_from(row.get::<_, i64>(column)?).map_err(|_| damaged("counts less than nothing"))
    };
    let known = |column| -> Result<Option<u64>> {
        let kept: Option<i64> = row.get(column)?;
        kept.map(|kept| u64::try_from(kept).map_err(|_| damaged("counts less than nothing"))).transpose()
    };
    let customer = name(1)?.ok_or_else(|| damaged("is nobody's"))?;
    let of = Subject::from_names(customer, name(2)?, name(3)?, name(4)?);
    let (kind, said): (String, String) = (row.get(6)?, row.get(7)?);
    let muted: Option<String> = row.get(19)?;
    let mute = |text: &str| MuteId::from_text(text).ok_or_else(|| damaged("is muted by what is no mute"));
    Ok(Alert {
        number: position(number),
        alerted: Alerted {
            of: of.ok_or_else(|| damaged("is of nothing"))?,
            meter: Meter::from_number(row.get(5)?).ok_or_else(|| damaged("is of an unknown meter"))?,
            kind: AlertKind::from_name(&kind).ok_or_else(|| damaged("is of an unknown kind"))?,
            said: Said::from_name(&said).ok_or_else(|| damaged("says what is not known"))?,
            since: time(8)?,
            seen_at: time(9)?,
            observed: known(10)?,
            expected: count(11)?,
            low: count(12)?,
            high: count(13)?,
            percent: known(14)?,
            excess: count(15)?,
            peak: count(16)?,
            is_learning: row.get(17)?,
            contributors: Vec::new(),
        },
        alerted_at: time(18)?,
        muted: muted.as_deref().map(mute).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, book::Book};

    /// Some of these are asked every few seconds: what they cost must not grow with all that ever was.
    #[test]
    fn nobody_reads_all_alerts_for_the_few_that_stand() {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::open(&Config { path: folder.path().join("ledger.sqlite") }).unwrap();
        book.read_now(|book| {
            for select in [going(), over_since(), going_muted(), going_after()] {
                let mut plan = book.prepare(&format!("EXPLAIN QUERY PLAN {select}"))?;
                let mut steps = plan.raw_query();
                let mut told = Vec::new();
                while let Some(step) = steps.next()? {
                    told.push(step.get::<_, String>("detail")?);
                }
                assert!(told.iter().any(|step| step.starts_with("SEARCH")), "{told:?}");
                assert!(!told.iter().any(|step| step.contains("SCAN")), "{told:?}");
            }
            Ok(())
        })
        .unwrap();
    }
}
