//! What began with what it is over, by time: made of alerts as they are taken in.
//!
//! Those that began within a range are found by when they began. Those that went on before it are found by their reach, the
//! power of two that their length is not above: of each reach no more than a few begin so shortly before the range that
//! they may reach into it. So nobody reads a year of alerts for an hour of it.

use rusqlite::{Connection, OptionalExtension as _, Params, Transaction, params};

use super::alerts::{COLUMNS, alert, found_plainly};
use crate::{Alert, Episode, EpisodePage, Episodes, Position, Result};

/// Episodes that one question looks at.
const LOOKED_AT_MAX: usize = 20_000;
/// Reaches are powers of two of milliseconds between these: two minutes, and longer than time is.
const REACHES: std::ops::RangeInclusive<u32> = 17..=53;

/// Takes in what an alert says, which is in the book already.
pub(super) fn take(step: &Transaction<'_>, new: &Alert) -> Result<()> {
    let (number, alerted) = (new.number.get().cast_signed(), &new.alerted);
    if !alerted.said.is_over() {
        // What outlasts its mute is told to have begun once more: it is the same.
        if let Some(open) = open(step, number)? {
            let update = "UPDATE episodes SET began = ?2 WHERE began = ?1";
            step.prepare_cached(update)?.execute([open, number])?;
            return Ok(());
        }
        step.prepare_cached("INSERT INTO episodes (began, whose, starts) VALUES (?1, ?2, ?3)")?
            .execute(params![number, alerted.of.customer().as_str(), alerted.since.as_millis()])?;
        return Ok(());
    }
    let began = open(step, number)?;
    let length = alerted.seen_at.millis_since(alerted.since);
    let reach = REACHES.map(|power| 1_i64 << power).find(|reach| length <= *reach);
    step.prepare_cached("UPDATE episodes SET ended = ?2, ends = ?3, reach = ?4 WHERE began = ?1")?
        .execute(params![began, number, alerted.seen_at.as_millis(), reach.unwrap_or(i64::MAX)])?;
    Ok(())
}

/// The beginning of what goes on in the series of an alert that is in the book: what is said of it takes turns.
fn open(step: &Transaction<'_>, number: i64) -> Result<Option<i64>> {
    let select = "SELECT one.number, one.said = 'began' FROM alerts AS new JOIN alerts AS one
            ON one.customer = new.customer AND one.project IS new.project
                AND one.environment IS new.environment AND one.flag IS new.flag AND one.meter = new.meter
                AND one.number < new.number
        WHERE new.number = ?1 ORDER BY one.number DESC LIMIT 1";
    let mut statement = step.prepare_cached(select)?;
    let last: Option<(i64, bool)> =
        statement.query_row([number], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(last.filter(|(_, goes_on)| *goes_on).map(|(began, _)| began))
}

/// What goes on at any time of a range.
pub(crate) fn episodes(book: &Connection, asked: &Episodes) -> Result<EpisodePage> {
    let (from, to) = (asked.range.from.as_millis(), asked.range.to.as_millis());
    let mut looking = Looking { book, asked, found: Vec::new(), looked_at: 0, more: false };
    // What is most often asked has an index: one customer's.
    if let [customer] = asked.scope.customers.as_slice() {
        let within = "whose = ?3 AND starts >= ?1 AND starts < ?2 ORDER BY starts DESC, began DESC";
        looking.at(within, params![from, to, customer.as_str()])?;
    } else {
        looking.at("starts >= ?1 AND starts < ?2 ORDER BY starts DESC, began DESC", params![from, to])?;
    }
    let within = looking.found.len();
    if within > asked.limit.max(1) {
        looking.found.truncate(asked.limit.max(1));
        looking.found.reverse();
        return Ok(EpisodePage { episodes: looking.found, more: true });
    }
    // What is open reaches everything.
    looking.at("reach IS NULL AND starts < ?1 ORDER BY starts DESC, began DESC", params![from])?;
    for power in REACHES {
        let reach = 1_i64 << power;
        let since = from.saturating_sub(reach);
        let before =
            "reach = ?1 AND starts >= ?2 AND starts < ?3 AND ends > ?3 ORDER BY starts DESC, began DESC";
        looking.at(before, params![reach, since, from])?;
    }
    let Looking { mut found, mut more, .. } = looking;
    // Those before the range come reach by reach.
    let key = |episode: &Episode| std::cmp::Reverse((episode.began.alerted.since, episode.began.number));
    if let Some(before) = found.get_mut(within..) {
        before.sort_by_key(key);
    }
    more |= found.len() > asked.limit.max(1);
    found.truncate(asked.limit.max(1));
    found.reverse();
    Ok(EpisodePage { episodes: found, more })
}

/// A question that is being answered.
struct Looking<'a> {
    book: &'a Connection,
    asked: &'a Episodes,
    /// Those that are meant: the newest first, of each part of the question.
    found: Vec<Episode>,
    looked_at: usize,
    /// Not all was looked at.
    more: bool,
}

impl Looking<'_> {
    /// Looks at these, newest first.
    fn at(&mut self, these: &str, values: impl Params) -> Result<()> {
        // One more than is asked for tells that there are more; of each part, as they are in no order among each other.
        let wanted = self.found.len() + self.asked.limit.max(1) + 1;
        let select = format!(
            "SELECT {COLUMNS}, ended FROM episodes CROSS JOIN alerts ON number = began WHERE {these}"
        );
        let mut statement = self.book.prepare_cached(&select)?;
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            self.looked_at += 1;
            if self.looked_at > LOOKED_AT_MAX {
                self.more = true;
                return Ok(());
            }
            let began = alert(row)?;
            if !self.asked.takes(&began.alerted) {
                continue;
            }
            let ended: Option<i64> = row.get("ended")?;
            let ended = ended.map(|number| Position::new(number.unsigned_abs()));
            let over = ended.map(|number| found_plainly(self.book, number)).transpose()?.flatten();
            self.found.push(Episode { began, over });
            if self.found.len() >= wanted {
                return Ok(());
            }
        }
        Ok(())
    }
}
