//! Windows that must be rolled up again.

use flagmeter_model::{Tier, Timestamp, Window};
use rusqlite::{Connection, params};

use super::{
    block::unreadable,
    interning::{environment_id, environments},
    schema::tier_number,
    writer::{Memory, Writer},
};
use crate::{Error, Mark, NewMark, Result};

/// The first marks of a tier whose windows end at or before `until`, in the order of time.
pub(super) fn first(
    connection: &Connection,
    tier: Tier,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Mark>> {
    let mut select = connection.prepare_cached(
        "SELECT start, environment, token FROM dirty WHERE tier = ?1 AND start <= ?2
         ORDER BY start, environment LIMIT ?3",
    )?;
    let latest = until.as_seconds() - tier.seconds();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = select.query(params![tier_number(tier), latest, limit])?;
    let mut names = None;
    let mut marks = Vec::new();
    while let Some(row) = rows.next()? {
        let names = match &mut names {
            Some(names) => names,
            none => none.insert(environments(connection)?),
        };
        let id: i64 = row.get(1)?;
        let (_, environment) = names
            .binary_search_by_key(&id, |(id, _)| *id)
            .ok()
            .and_then(|position| names.get(position))
            .ok_or_else(|| Error::Damaged(format!("a mark of the unknown environment {id}")))?;
        marks.push(Mark {
            window: Window::starting(tier, Timestamp::from_seconds_clamped(row.get(0)?))
                .map_err(unreadable)?,
            environment: environment.clone(),
            tokens: vec![row.get::<_, i64>(2)?.cast_unsigned()],
        });
    }
    Ok(marks)
}

/// Marks windows, those that are marked already once more.
pub(super) fn mark(writer: &mut Writer, marks: &[NewMark]) -> Result<()> {
    writer.transact(|tx, memory| {
        let token = next_token(memory);
        for NewMark { window, environment } in marks {
            if window.tier() == Tier::Raw {
                return Err(Error::Unanswerable("raw points are not rolled up, and so never marked".into()));
            }
            let environment = memory.interner.environment(tx, environment)?.id;
            set(tx, *window, environment, token)?;
        }
        memory.standing.store(tx)
    })
}

/// Takes marks away that have not been set again since.
pub(super) fn clear(writer: &mut Writer, marks: &[Mark]) -> Result<()> {
    writer.transact(|tx, _| {
        let mut delete = tx.prepare_cached(
            "DELETE FROM dirty WHERE tier = ?1 AND start = ?2 AND environment = ?3 AND token = ?4",
        )?;
        for Mark { window, environment, tokens } in marks {
            let Some(environment) = environment_id(tx, environment)? else { continue };
            let start = window.start().as_seconds();
            for token in tokens {
                delete.execute(params![
                    tier_number(window.tier()),
                    start,
                    environment,
                    token.cast_signed()
                ])?;
            }
        }
        Ok(())
    })
}

/// A token that was never given before, for all marks of one transaction. It counts once the standing is stored.
pub(super) const fn next_token(memory: &mut Memory) -> u64 {
    // 2^64 transactions do not happen.
    memory.standing.token = memory.standing.token.saturating_add(1);
    memory.standing.token
}

/// Marks one window.
pub(super) fn set(connection: &Connection, window: Window, environment: i64, token: u64) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO dirty (tier, start, environment, token) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let start = window.start().as_seconds();
    insert.execute(params![tier_number(window.tier()), start, environment, token.cast_signed()])?;
    Ok(())
}
