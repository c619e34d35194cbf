//! How far the tiers are rolled up, and what retention has taken.

use flagmeter_model::{Tier, Timestamp};
use rusqlite::{Connection, Row, params};

use super::{block::unreadable, writer::Writer};
use crate::{Error, Floors, Frontier, Frontiers, Result};

/// The one row of `standing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) frontiers: Frontiers,
    pub(super) floors: Floors,
    /// The last token given to a mark.
    pub(super) token: u64,
    /// The most partitions that the log was said to have.
    pub(super) partitions: u32,
    /// Records among the dead letters, and the counts known to be in them.
    pub(super) dead_letters: u64,
    pub(super) dead_letter_counts: u64,
}

impl Standing {
    pub(super) fn load(connection: &Connection) -> Result<Self> {
        let mut select = connection.prepare_cached(
            "SELECT minute_announced, minute_whole, quarter_whole, hour_whole,
                    raw_floor, minute_floor, quarter_floor, token, partitions,
                    dead_letters, dead_letter_counts FROM standing",
        )?;
        let mut rows = select.query([])?;
        let row = rows.next()?.ok_or_else(|| Error::Damaged("the frontiers are gone".into()))?;
        let at = |column| time_at(row, column);
        let level = |whole| Frontier { announced: whole, whole };
        Ok(Self {
            frontiers: Frontiers {
                minute: Frontier { announced: at(0)?, whole: at(1)? },
                quarter: level(at(2)?),
                hour: level(at(3)?),
            },
            floors: Floors { raw: at(4)?, minute: at(5)?, quarter: at(6)? },
            token: row.get::<_, i64>(7)?.cast_unsigned(),
            partitions: row.get(8)?,
            dead_letters: row.get::<_, i64>(9)?.cast_unsigned(),
            dead_letter_counts: row.get::<_, i64>(10)?.cast_unsigned(),
        })
    }

    pub(super) fn store(&self, connection: &Connection) -> Result<()> {
        let mut update = connection.prepare_cached(
            "UPDATE standing SET minute_announced = ?1, minute_whole = ?2, quarter_whole = ?3, hour_whole = ?4,
                    raw_floor = ?5, minute_floor = ?6, quarter_floor = ?7, token = ?8,
                    partitions = ?9, dead_letters = ?10, dead_letter_counts = ?11",
        )?;
        let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
        let Self { frontiers, floors, token, partitions, dead_letters, dead_letter_counts } = self;
        update.execute(params![
            ms(frontiers.minute.announced),
            ms(frontiers.minute.whole),
            ms(frontiers.quarter.whole),
            ms(frontiers.hour.whole),
            ms(floors.raw),
            ms(floors.minute),
            ms(floors.quarter),
            token.cast_signed(),
            partitions,
            dead_letters.cast_signed(),
            dead_letter_counts.cast_signed()
        ])?;
        Ok(())
    }
}

/// Moves the announced minute frontier, and never back.
pub(super) fn announce(writer: &mut Writer, until: Timestamp) -> Result<()> {
    writer.transact(|tx, memory| {
        forward(&mut memory.standing.frontiers.minute.announced, until.floor_to(Tier::Minute.seconds()));
        memory.standing.store(tx)
    })
}

/// Moves a tier's frontier, and never back. What is whole is announced as well, whoever forgot to say so.
pub(super) fn advance(writer: &mut Writer, tier: Tier, until: Timestamp) -> Result<()> {
    writer.transact(|tx, memory| {
        let frontiers = &mut memory.standing.frontiers;
        let frontier = match tier {
            Tier::Raw => return Err(Error::Unanswerable("raw points have no frontier".into())),
            Tier::Minute => &mut frontiers.minute,
            Tier::Quarter => &mut frontiers.quarter,
            Tier::Hour => &mut frontiers.hour,
        };
        let until = until.floor_to(tier.seconds());
        forward(&mut frontier.whole, until);
        forward(&mut frontier.announced, until);
        memory.standing.store(tx)
    })
}

/// Moves a time on, and never back.
pub(super) fn forward(at: &mut Option<Timestamp>, to: Timestamp) {
    *at = Some(at.map_or(to, |at| at.max(to)));
}

/// A column of milliseconds, which may be NULL.
pub(super) fn time_at(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis).transpose().map_err(unreadable)
}
