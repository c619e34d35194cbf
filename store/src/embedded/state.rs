//! What the downsampler and the views of nodes need to know.

use flagmeter_model::{Tier, Timestamp};
use rusqlite::Connection;

use super::{progress, schema::tier_number, standing::Standing};
use crate::{Result, State};

/// The state, from the snapshot of the connection.
pub(super) fn state(connection: &Connection) -> Result<State> {
    let Standing { frontiers, floors, partitions, dead_letters, dead_letter_counts, .. } =
        Standing::load(connection)?;
    let mut dirty_first = [None; Tier::ROLLED.len()];
    for (first, tier) in dirty_first.iter_mut().zip(Tier::ROLLED) {
        let mut select = connection.prepare_cached("SELECT min(start) FROM dirty WHERE tier = ?1")?;
        *first = start(select.query_row([tier_number(tier)], |row| row.get(0))?);
    }
    let dirty: i64 =
        connection.prepare_cached("SELECT count(*) FROM dirty")?.query_row([], |row| row.get(0))?;
    let raw_first =
        connection.prepare_cached("SELECT min(minute) FROM raw")?.query_row([], |row| row.get(0))?;
    Ok(State {
        progress: progress::node_progress(connection)?,
        partitions,
        covered: progress::covered(connection)?,
        frontiers,
        floors,
        raw_first: start(raw_first),
        dirty: dirty.cast_unsigned(),
        dirty_first,
        dead_letters,
        dead_letter_counts,
    })
}

fn start(seconds: Option<i64>) -> Option<Timestamp> {
    seconds.map(Timestamp::from_seconds_clamped)
}
