//! Who and what was ever counted.

use flagmeter_model::{Environment, Meter, Series, Tier, Timestamp};
use rusqlite::Connection;

use super::{
    super::{interning, seen},
    taken,
};
use crate::{Error, Filter, Result, SeriesSeen};

/// All environments, in order.
pub(in super::super) fn environments(connection: &Connection) -> Result<Vec<Environment>> {
    let taken = taken(connection, &Filter::default())?;
    Ok(taken.into_iter().map(|(_, environment)| environment).collect())
}

/// The series of one meter that the filter means, in order.
pub(in super::super) fn catalogue(
    connection: &Connection,
    meter: Meter,
    filter: &Filter,
    series_max: usize,
) -> Result<Vec<SeriesSeen>> {
    let start = |minute: u32| Timestamp::from_seconds_clamped(i64::from(minute) * Tier::Minute.seconds());
    let mut found = Vec::new();
    for (id, environment) in taken(connection, filter)? {
        let seen = seen::of_environment(connection, id)?;
        let series = interning::series(connection, id)?.into_iter().map(|(_, key)| key).zip(seen);
        for (key, seen) in series {
            if !seen.ever() || key.meter != meter || !filter.takes_key(&key) {
                continue;
            }
            if found.len() == series_max {
                return Err(Error::TooMany { what: "series", max: series_max });
            }
            found.push(SeriesSeen {
                series: Series { environment: environment.clone(), key },
                first_seen: start(seen.first),
                last_seen: start(seen.last),
            });
        }
    }
    found.sort_unstable_by(|a, b| a.series.cmp(&b.series));
    Ok(found)
}
