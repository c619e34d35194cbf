//! The mutes of a book.

use flagmeter_model::{Name, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::look::position;
use crate::{
    Alerted, Ended, Entry, Error, Mute, MuteEnd, MuteId, MuteKey, MutePage, MuteState, Mutes, Muting,
    Position, Result, Subject,
    mute::{new_end, new_mute},
};

/// The columns of a mute, in the order in which [`mute`] reads them.
const COLUMNS: &str =
    "number, id, customer, project, environment, begins, ends, reason, made_by, made_at, ended_at, ended_by";
/// Mutes that one question looks at.
const LOOKED_AT_MAX: usize = 20_000;

/// The last one.
pub(super) fn mutes_end(book: &Connection) -> Result<Position> {
    let mut statement = book.prepare_cached("SELECT ifnull(max(number), 0) FROM mutes")?;
    Ok(position(statement.query_row([], |row| row.get(0))?))
}

/// The entry that a mute makes here and now, and the mute as it is kept: that which is there already, if it is. Nothing is
/// changed.
pub(crate) fn plan_mute(book: &Connection, muting: &Muting, at: Timestamp) -> Result<(Entry, Mute)> {
    if let Some(kept) = find(book, muting.id)? {
        return Ok((Entry::default(), kept));
    }
    let mut statement = book.prepare_cached("SELECT count(*) FROM mutes WHERE until > ?1")?;
    let standing: i64 = statement.query_row([at.as_millis()], |row| row.get(0))?;
    let standing = usize::try_from(standing).unwrap_or(usize::MAX);
    let new = new_mute(muting.clone(), standing, mutes_end(book)?, at)?;
    Ok((Entry { mutes: vec![new.clone()], ..Entry::default() }, new))
}

/// The entry that the end of a mute makes here and now, and the mute as it is then; `None` where there is none. Nothing is
/// changed.
pub(crate) fn plan_mute_end(
    book: &Connection,
    id: MuteId,
    by: &str,
    at: Timestamp,
) -> Result<(Entry, Option<Mute>)> {
    let Some(kept) = find(book, id)? else { return Ok((Entry::default(), None)) };
    let Some(end) = new_end(&kept, by.to_owned(), at)? else { return Ok((Entry::default(), Some(kept))) };
    let ended = Some(end.ended.clone());
    Ok((Entry { mute_ends: vec![end], ..Entry::default() }, Some(Mute { ended, ..kept })))
}

fn find(book: &Connection, id: MuteId) -> Result<Option<Mute>> {
    let mut statement = book.prepare_cached(&format!("SELECT {COLUMNS} FROM mutes WHERE id = ?1"))?;
    statement.query_row([id.to_string()], |row| Ok(mute(row))).optional()?.transpose()
}

/// The mute that is in force at this time for what was found, if one is: of several that which lasts longest.
pub(super) fn covering(book: &Connection, alerted: &Alerted, at: Timestamp) -> Result<Option<MuteId>> {
    let select = format!(
        "SELECT {COLUMNS} FROM mutes WHERE customer = ?1 AND until > ?2 AND begins <= ?2
             ORDER BY until DESC, number"
    );
    let mut statement = book.prepare_cached(&select)?;
    let mut found = statement.query(params![alerted.of.customer().as_str(), at.as_millis()])?;
    while let Some(row) = found.next()? {
        let mute = mute(row)?;
        if mute.covers(&alerted.of, at) {
            return Ok(Some(mute.muting.id));
        }
    }
    Ok(None)
}

/// Takes mutes in, and that some were ended. Those that are there already are left out; one that would leave a gap, or
/// differs from what is there, is damage.
pub(super) fn apply(step: &Transaction<'_>, entry: &Entry) -> Result<()> {
    if entry.mutes.is_empty() && entry.mute_ends.is_empty() {
        return Ok(());
    }
    let mut end = mutes_end(step)?;
    for new in &entry.mutes {
        let number = new.number;
        if number <= end {
            let found = find(step, new.muting.id)?.map(|found| Mute { ended: None, ..found });
            if found.as_ref() != Some(new) {
                return Err(Error::Damaged(format!(
                    "mute {number} is not what it was: the ledger was exchanged for another"
                )));
            }
        } else if number == end.next() {
            insert(step, new)?;
            end = number;
        } else {
            return Err(Error::Damaged(format!("mute {number} follows on mute {end}")));
        }
    }
    for MuteEnd { id, ended } in &entry.mute_ends {
        let Some(kept) = find(step, *id)? else {
            return Err(Error::Damaged(format!("{id} was ended, which is not there")));
        };
        // The first end stands.
        if kept.ended.is_none() {
            let until = Mute { ended: Some(ended.clone()), ..kept }.until();
            step.prepare_cached("UPDATE mutes SET ended_at = ?2, ended_by = ?3, until = ?4 WHERE id = ?1")?
                .execute(params![id.to_string(), ended.at.as_millis(), ended.by, until.as_millis()])?;
        }
    }
    Ok(())
}

fn insert(step: &Transaction<'_>, new: &Mute) -> Result<()> {
    let Muting { id, of, from, to, reason, by } = &new.muting;
    let insert = format!(
        "INSERT INTO mutes ({COLUMNS}, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL, NULL, ?11)"
    );
    step.prepare_cached(&insert)?.execute(params![
        new.number.get().cast_signed(),
        id.to_string(),
        of.customer().as_str(),
        of.project().map(Name::as_str),
        of.environment().map(Name::as_str),
        from.as_millis(),
        to.as_millis(),
        reason,
        by,
        new.made_at.as_millis(),
        new.until().as_millis(),
    ])?;
    Ok(())
}

/// Mutes, those that are over last first.
pub(crate) fn mutes(book: &Connection, asked: &Mutes) -> Result<MutePage> {
    let select = format!(
        "SELECT {COLUMNS} FROM mutes WHERE (until, number) < (?1, ?2) AND until > ?3 ORDER BY until DESC, number DESC LIMIT ?4"
    );
    let mut statement = book.prepare_cached(&select)?;
    let after = asked.after.map_or((i64::MAX, i64::MAX), |MuteKey { until, number }| {
        (until.as_millis(), number.get().cast_signed())
    });
    // Those that are over are most of them.
    let is_standing = asked.state.is_some_and(|state| state != MuteState::Over);
    let over_by = if is_standing { asked.at.as_millis() } else { i64::MIN };
    let looked_at_max = i64::try_from(LOOKED_AT_MAX).unwrap_or(i64::MAX);
    let mut found = statement.query(params![after.0, after.1, over_by, looked_at_max])?;
    let mut page = MutePage { looked_to: asked.after, ..MutePage::default() };
    let mut looked_at = 0;
    while let Some(row) = found.next()? {
        if page.mutes.len() >= asked.limit.max(1) {
            page.more = true;
            return Ok(page);
        }
        looked_at += 1;
        let next = mute(row)?;
        page.looked_to = Some(next.key());
        let is_meant = (asked.customers.is_empty() || asked.customers.contains(next.muting.of.customer()))
            && asked.state.is_none_or(|state| state == next.state(asked.at));
        if is_meant {
            page.mutes.push(next);
        }
    }
    page.more = looked_at == LOOKED_AT_MAX;
    Ok(page)
}

fn mute(row: &rusqlite::Row<'_>) -> Result<Mute> {
    let number: i64 = row.get(0)?;
    let damaged = |what: String| Error::Damaged(format!("mute {number} {what}"));
    let named = |text: &str| Name::new(text).map_err(|error| damaged(format!("is nobody's: {error}")));
    let name = |column| -> Result<Option<Name>> {
        row.get::<_, Option<String>>(column)?.map(|text| named(&text)).transpose()
    };
    let time = |column| -> Result<Timestamp> { Ok(Timestamp::from_millis_clamped(row.get(column)?)) };
    let id: String = row.get(1)?;
    let of = Subject::from_names(named(&row.get::<_, String>(2)?)?, name(3)?, name(4)?, None);
    let ended = match (row.get::<_, Option<i64>>(10)?, row.get::<_, Option<String>>(11)?) {
        (Some(at), Some(by)) => Some(Ended { at: Timestamp::from_millis_clamped(at), by }),
        (None, None) => None,
        _ => return Err(damaged("was ended by nobody, or at no time".into())),
    };
    Ok(Mute {
        number: position(number),
        muting: Muting {
            id: MuteId::from_text(&id).ok_or_else(|| damaged(format!("has no name but {id:?}")))?,
            of: of.ok_or_else(|| damaged("is of what it does not name".into()))?,
            from: time(5)?,
            to: time(6)?,
            reason: row.get(7)?,
            by: row.get(8)?,
        },
        made_at: time(9)?,
        ended,
    })
}
