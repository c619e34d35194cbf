//! What began with what it is over, by time: made of alerts as they are taken in.
//!
//! Those that began within a range are found by when they began. Those that went on before it are found by their reach, the
//! power of two that their length is not above: of each reach no more than a few begin so shortly before the range that
//! they may reach into it. So nobody reads a year of alerts for an hour of it.

use rusqlite::{Connection, OptionalExtension as _, ToSql, Transaction, params};

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
    looking.at("starts >= ?1 AND starts < ?2", &[from, to])?;
    let within = looking.found.len();
    if within > asked.limit.max(1) {
        looking.found.truncate(asked.limit.max(1));
        looking.found.reverse();
        return Ok(EpisodePage { episodes: looking.found, more: true });
    }
    // What is open reaches everything.
    looking.at("reach IS NULL AND starts < ?1", &[from])?;
    for power in REACHES {
        let reach = 1_i64 << power;
        let since = from.saturating_sub(reach);
        looking.at("reach = ?1 AND starts >= ?2 AND starts < ?3 AND ends > ?3", &[reach, since, from])?;
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
    /// Looks at these, newest first. One customer is asked for most often, and has an index: those of others are not looked at,
    /// and use up none of what is.
    fn at(&mut self, these: &str, values: &[i64]) -> Result<()> {
        // One more than is asked for tells that there are more; of each part, as they are in no order among each other.
        let wanted = self.found.len() + self.asked.limit.max(1) + 1;
        let customer = match self.asked.scope.customers.as_slice() {
            [customer] => Some(customer.as_str()),
            _ => None,
        };
        let whose =
            if customer.is_some() { format!(" AND whose = ?{}", values.len() + 1) } else { String::new() };
        let select = format!(
            "SELECT {COLUMNS}, ended FROM episodes CROSS JOIN alerts ON number = began WHERE {these}{whose}
            ORDER BY starts DESC, began DESC"
        );
        let mut statement = self.book.prepare_cached(&select)?;
        let values = values.iter().map(|value| value as &dyn ToSql);
        let values: Vec<_> = values.chain(customer.as_ref().map(|customer| customer as &dyn ToSql)).collect();
        let mut rows = statement.query(values.as_slice())?;
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

#[cfg(test)]
mod tests {
    use flagmeter_model::TimeRange;

    use super::*;
    use crate::{
        Config, EmbeddedLedger, Ledger as _, Scope,
        book::Book,
        conformance::{
            alerting::{began, over},
            fixture::{hour, name},
        },
    };

    /// More of another customer than are looked at, all of which reach into the range and began after this one's.
    #[tokio::test]
    async fn what_reaches_into_a_range_is_found_however_much_of_others_does() {
        for is_over in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let config = Config { path: folder.path().join("ledger.sqlite") };
            let ledger = EmbeddedLedger::open(&config).unwrap();
            let all = [began("acme", 50), began("beta", 100)];
            ledger.alert(all.to_vec(), hour(9)).await.unwrap();
            if is_over {
                // Reaches of one length are read together.
                ledger.alert(all.iter().map(|one| over(one, 200)).collect(), hour(9)).await.unwrap();
            }
            drop(ledger);
            let book = Book::open(&config).unwrap();
            let more = format!(
                "CREATE TEMP TABLE more AS
                    WITH RECURSIVE counted (n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM counted WHERE n < {})
                    SELECT alerts.*, n FROM counted, alerts WHERE customer = 'beta' AND said = 'began';
                UPDATE more SET number = n;
                ALTER TABLE more DROP COLUMN n;
                INSERT INTO alerts SELECT * FROM more;
                INSERT INTO episodes SELECT number, ended, whose, starts, ends, reach
                    FROM more, episodes WHERE whose = customer;",
                LOOKED_AT_MAX + 20
            );
            book.write_now(|step| Ok(step.execute_batch(&more)?)).unwrap();
            let asked = Episodes {
                scope: Scope { customers: vec![name("acme")], ..Scope::default() },
                flags: Vec::new(),
                meter: None,
                range: TimeRange::new(hour(2), hour(3)),
                limit: 10,
            };
            let page = book.read_now(|book| episodes(book, &asked)).unwrap();
            assert_eq!((page.episodes.len(), page.more), (1, false), "over: {is_over}");
        }
    }
}
