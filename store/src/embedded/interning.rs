//! Environments and series as numbers: given once, kept in tables, looked up in memory.

use std::collections::BTreeSet;

use flagmeter_model::{Environment, Meter, Name, SeriesKey};
use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    block::{damaged, unreadable},
    seen::{self, CHUNK, Seen},
};
use crate::Result;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Series of fates that are kept apart in an environment: edges know a few dozen doors and reasons.
const FATES_MAX: usize = 1_000;

/// The numbers that the writer has looked up or given.
#[derive(Debug)]
pub(super) struct Interner {
    environments: Map<Environment, Interned>,
    /// Series of usage that are kept apart in an environment.
    series_max: usize,
    /// Counts the writes.
    turn: u64,
}

/// An environment with its series.
#[derive(Debug)]
pub(super) struct Interned {
    /// Its number.
    pub(super) id: i64,
    numbers: Map<SeriesKey, u32>,
    /// How many of them are of usage meters.
    usage: usize,
    usage_max: usize,
    seen: Vec<Seen>,
    /// Chunks of `seen` that differ from the file.
    changed: BTreeSet<u32>,
    /// The write in which it was last counted for.
    used: u64,
}

/// The number of a series, or of the one that it is folded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) number: u32,
    pub(super) is_folded: bool,
}

impl Interner {
    pub(super) fn new(series_max: usize) -> Self {
        Self { environments: Map::default(), series_max, turn: 0 }
    }

    /// Begins a write. Where more than `cached_max` series are in memory, environments are forgotten, those first
    /// that were counted for longest ago; but not those of the last write: whoever is counted for in every second
    /// must not be read again in every second.
    pub(super) fn begin(&mut self, cached_max: usize) {
        let mut series: usize = self.environments.values().map(|environment| environment.numbers.len()).sum();
        if series > cached_max {
            let idle = self.environments.iter().filter(|(_, environment)| environment.used < self.turn);
            let mut idle: Vec<_> = idle.map(|(name, environment)| (environment.used, name.clone())).collect();
            idle.sort_unstable();
            for (_, name) in idle {
                if series <= cached_max {
                    break;
                }
                let gone = self.environments.remove(&name);
                series -= gone.map_or(0, |environment| environment.numbers.len());
            }
        }
        self.turn = self.turn.saturating_add(1);
    }

    /// The environment, with a number given to it if it has none.
    pub(super) fn environment(
        &mut self,
        connection: &Connection,
        environment: &Environment,
    ) -> Result<&mut Interned> {
        if !self.environments.contains_key(environment) {
            let id = match environment_id(connection, environment)? {
                Some(id) => id,
                None => insert_environment(connection, environment)?,
            };
            let interned = Interned::load(connection, id, self.series_max)?;
            self.environments.insert(environment.clone(), interned);
        }
        let interned = self.environments.get_mut(environment);
        let interned = interned.ok_or_else(|| damaged("an environment without its series"))?;
        interned.used = self.turn;
        Ok(interned)
    }

    /// Writes the times of first and last seen that have changed.
    pub(super) fn store_seen(&mut self, connection: &Connection) -> Result<()> {
        self.environments.values_mut().try_for_each(|environment| environment.store_seen(connection))
    }
}

impl Interned {
    fn load(connection: &Connection, id: i64, usage_max: usize) -> Result<Self> {
        let mut numbers = Map::default();
        let mut usage = 0;
        for (number, key) in series(connection, id)? {
            usage += usize::from(key.meter.is_usage());
            numbers.insert(key, number);
        }
        let mut seen = seen::of_environment(connection, id)?;
        if seen.len() > numbers.len() {
            return Err(damaged("first and last seen of a series that is not there"));
        }
        seen.resize(numbers.len(), Seen::NEVER);
        Ok(Self { id, numbers, usage, usage_max, seen, changed: BTreeSet::new(), used: 0 })
    }

    /// The number of a series, given to it if it has none; or, where the environment has too many, that of the
    /// series that stands for it: first without its variant and SDK (an eighth more of these), then without its
    /// name. Nothing is ever taken back, so a record that is written again folds as it did before.
    pub(super) fn number(&mut self, connection: &Connection, key: &SeriesKey) -> Result<Numbered> {
        if let Some(number) = self.known_or_room(connection, key, 0)? {
            return Ok(Numbered { number, is_folded: false });
        }
        let other = |name: &Option<Name>| name.as_ref().map(|_| Name::other());
        let mut folded = SeriesKey { variant: other(&key.variant), sdk: other(&key.sdk), ..key.clone() };
        if folded != *key
            && let Some(number) = self.known_or_room(connection, &folded, self.usage_max / 8)?
        {
            return Ok(Numbered { number, is_folded: true });
        }
        folded.name = Name::other();
        let number = match self.numbers.get(&folded) {
            Some(&number) => number,
            None => self.add(connection, &folded)?,
        };
        Ok(Numbered { number, is_folded: true })
    }

    /// The number of a series, given to it if there is room for it, and `more`.
    fn known_or_room(
        &mut self,
        connection: &Connection,
        key: &SeriesKey,
        more: usize,
    ) -> Result<Option<u32>> {
        if let Some(&number) = self.numbers.get(key) {
            return Ok(Some(number));
        }
        let (kept, max) = if key.meter.is_usage() {
            (self.usage, self.usage_max.saturating_add(more))
        } else {
            (self.numbers.len() - self.usage, FATES_MAX)
        };
        if kept < max { self.add(connection, key).map(Some) } else { Ok(None) }
    }

    /// Gives a number to a series. Numbers go from 0 without gaps.
    fn add(&mut self, connection: &Connection, key: &SeriesKey) -> Result<u32> {
        let number = u32::try_from(self.numbers.len()).map_err(|_| damaged("too many series"))?;
        let mut insert = connection.prepare_cached(
            "INSERT INTO series (environment, number, meter, name, variant, sdk)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let or_empty = |name: &Option<Name>| name.as_ref().map_or_else(String::new, ToString::to_string);
        insert.execute(params![
            self.id,
            number,
            key.meter.number(),
            key.name.as_str(),
            or_empty(&key.variant),
            or_empty(&key.sdk)
        ])?;
        self.usage += usize::from(key.meter.is_usage());
        self.numbers.insert(key.clone(), number);
        self.seen.push(Seen::NEVER);
        Ok(number)
    }

    /// Notes that a series was counted in a minute (since the epoch).
    pub(super) fn saw(&mut self, number: u32, minute: u32) {
        let Some(at) = self.seen.get_mut(number as usize) else { return };
        if minute < at.first || minute > at.last {
            *at = Seen { first: at.first.min(minute), last: at.last.max(minute) };
            self.changed.insert(number / CHUNK);
        }
    }

    fn store_seen(&mut self, connection: &Connection) -> Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let mut insert = connection
            .prepare_cached("INSERT OR REPLACE INTO seen (environment, chunk, block) VALUES (?1, ?2, ?3)")?;
        while let Some(chunk) = self.changed.pop_first() {
            let rest = self.seen.get(chunk as usize * CHUNK as usize..).unwrap_or_default();
            let times = rest.chunks(CHUNK as usize).next().unwrap_or_default();
            insert.execute(params![self.id, chunk, seen::encode(times)])?;
        }
        Ok(())
    }
}

/// The number of an environment, if it was ever counted for.
pub(super) fn environment_id(connection: &Connection, environment: &Environment) -> Result<Option<i64>> {
    let mut find = connection.prepare_cached(
        "SELECT id FROM environments WHERE customer = ?1 AND project = ?2 AND environment = ?3",
    )?;
    let Environment { customer, project, environment } = environment;
    let names = [customer.as_str(), project.as_str(), environment.as_str()];
    Ok(find.query_row(names, |row| row.get(0)).optional()?)
}

fn insert_environment(connection: &Connection, environment: &Environment) -> Result<i64> {
    let mut insert = connection
        .prepare_cached("INSERT INTO environments (customer, project, environment) VALUES (?1, ?2, ?3)")?;
    let Environment { customer, project, environment } = environment;
    Ok(insert.insert([customer.as_str(), project.as_str(), environment.as_str()])?)
}

/// All environments with their numbers, in the order of the numbers.
pub(super) fn environments(connection: &Connection) -> Result<Vec<(i64, Environment)>> {
    let mut select = connection
        .prepare_cached("SELECT id, customer, project, environment FROM environments ORDER BY id")?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let name = |column| -> Result<Name> {
            Name::new(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?).map_err(unreadable)
        };
        let environment = Environment { customer: name(1)?, project: name(2)?, environment: name(3)? };
        found.push((row.get(0)?, environment));
    }
    Ok(found)
}

/// All series of an environment with their numbers, in the order of the numbers: 0, 1, 2 …
pub(super) fn series(connection: &Connection, environment: i64) -> Result<Vec<(u32, SeriesKey)>> {
    let mut select = connection.prepare_cached(
        "SELECT number, meter, name, variant, sdk FROM series WHERE environment = ?1 ORDER BY number",
    )?;
    let mut rows = select.query([environment])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let text =
            |column| -> Result<&str> { Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?) };
        let named = |column| -> Result<Option<Name>> {
            match text(column)? {
                "" => Ok(None),
                text => Name::new(text).map(Some).map_err(unreadable),
            }
        };
        let meter = Meter::from_number(row.get(1)?).ok_or_else(|| damaged("a series of an unknown meter"))?;
        let key = SeriesKey {
            meter,
            name: Name::new(text(2)?).map_err(unreadable)?,
            variant: named(3)?,
            sdk: named(4)?,
        };
        let number: u32 = row.get(0)?;
        if number as usize != found.len() {
            return Err(damaged("the numbers of an environment's series have a gap"));
        }
        found.push((number, key));
    }
    Ok(found)
}
