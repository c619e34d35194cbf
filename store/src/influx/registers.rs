//! What only grows: frontiers, floors and the like.
//!
//! A register is one series, and its value is the *time* of a point. Setting it to less than it is adds an older
//! point and changes nothing, whoever does it and however late; what it is, is told by the last point.

use flagmeter_model::{Tier, Timestamp};

use super::{
    InfluxStore,
    client::INITIALISED,
    csv::Row,
    line::Lines,
    schema::{REGISTER, instant, nanoseconds, source},
};
use crate::{Error, Floors, Frontier, Frontiers, Result};

/// What the first value of an answer is called.
pub(super) const LABEL: &str = "register";

/// One register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    /// Minutes that end at or before this may have been rolled up.
    Announced,
    /// The windows of a tier that end at or before this are rolled up.
    Whole(Tier),
    /// A tier holds nothing before this any more.
    Floor(Tier),
    /// How many partitions the log has.
    Partitions,
    /// Marks with times before this are being looked through: none may be set there any more.
    Sweeping,
    /// No mark with a time before this is open.
    Swept,
    /// Progress and covered spans with times before this are kept in the meta bucket.
    Kept,
}

impl Register {
    const ALL: [Self; 11] = [
        Self::Announced,
        Self::Whole(Tier::Minute),
        Self::Whole(Tier::Quarter),
        Self::Whole(Tier::Hour),
        Self::Floor(Tier::Raw),
        Self::Floor(Tier::Minute),
        Self::Floor(Tier::Quarter),
        Self::Partitions,
        Self::Sweeping,
        Self::Swept,
        Self::Kept,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Announced => "minute_announced",
            Self::Whole(Tier::Raw) => "raw_whole",
            Self::Whole(Tier::Minute) => "minute_whole",
            Self::Whole(Tier::Quarter) => "quarter_whole",
            Self::Whole(Tier::Hour) => "hour_whole",
            Self::Floor(Tier::Raw) => "raw_floor",
            Self::Floor(Tier::Minute) => "minute_floor",
            Self::Floor(Tier::Quarter) => "quarter_floor",
            Self::Floor(Tier::Hour) => "hour_floor",
            Self::Partitions => "partitions",
            Self::Sweeping => "marks_sweeping",
            Self::Swept => "marks_swept",
            Self::Kept => "progress_kept",
        }
    }
}

/// The values of all registers, as they were once: they may have grown since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Registers {
    values: [Option<i64>; Register::ALL.len()],
}

impl Registers {
    /// The value in nanoseconds; `None` before it was set.
    pub(super) fn get(&self, register: Register) -> Option<i64> {
        let known = Register::ALL.iter().zip(self.values);
        known.filter(|(known, _)| **known == register).find_map(|(_, value)| value)
    }

    /// The value as an instant.
    pub(super) fn time(&self, register: Register) -> Option<Timestamp> {
        // What lies outside of time was not set by us.
        self.get(register).and_then(|value| instant(value).ok())
    }

    pub(super) fn frontiers(&self) -> Frontiers {
        let level = |tier| {
            let whole = self.time(Register::Whole(tier));
            Frontier { announced: whole, whole }
        };
        let minute = level(Tier::Minute);
        Frontiers {
            // What is whole is announced as well, whoever forgot to say so.
            minute: Frontier { announced: self.time(Register::Announced).max(minute.whole), ..minute },
            quarter: level(Tier::Quarter),
            hour: level(Tier::Hour),
        }
    }

    pub(super) fn floors(&self) -> Floors {
        let floor = |tier| self.time(Register::Floor(tier));
        Floors { raw: floor(Tier::Raw), minute: floor(Tier::Minute), quarter: floor(Tier::Quarter) }
    }

    pub(super) fn partitions(&self) -> u32 {
        let told = self.get(Register::Partitions).unwrap_or_default();
        u32::try_from(told).unwrap_or(u32::MAX)
    }

    /// Takes one row of the answer to [`statement`] in.
    pub(super) fn take(&mut self, row: &Row<'_>) -> Result<()> {
        let (name, value) = (row.text(1), row.nanoseconds()?);
        for (register, known) in Register::ALL.iter().zip(&mut self.values) {
            if register.name() == name {
                *known = Some(value).max(*known);
            }
        }
        Ok(())
    }

    /// What both know.
    pub(super) fn merge(&mut self, other: &Self) {
        for (known, other) in self.values.iter_mut().zip(other.values) {
            *known = other.max(*known);
        }
    }
}

/// The statement that asks for all registers.
pub(super) fn statement(store: &InfluxStore) -> String {
    format!(
        "SELECT last(\"set\") AS \"{LABEL}\", \"name\" FROM {} GROUP BY \"name\"",
        source(&store.buckets.meta, REGISTER)
    )
}

/// Reads all registers.
pub(super) async fn read(store: &InfluxStore) -> Result<Registers> {
    let answer = store.client.query(&statement(store)).await?;
    let mut registers = Registers::default();
    super::csv::visit(&answer, |row| registers.take(row))?;
    Ok(store.learn(&registers))
}

/// Moves registers on; none moves back.
pub(super) async fn raise(store: &InfluxStore, values: &[(Register, i64)]) -> Result<()> {
    let mut lines = Lines::default();
    for (register, value) in values {
        put(&mut lines, register.name(), *value);
    }
    store.client.write(&store.buckets.meta, &lines.finish()).await
}

/// Tells that the buckets are made.
pub(super) fn put_initialised(lines: &mut Lines) {
    put(lines, INITIALISED, 0);
}

fn put(lines: &mut Lines, name: &str, value: i64) {
    let mut line = lines.line(REGISTER);
    line.tag("name", name);
    line.integer("set", 1);
    line.end(value);
}

/// Moves the announced minute frontier.
pub(super) async fn announce(store: &InfluxStore, until: Timestamp) -> Result<()> {
    let until = until.floor_to(Tier::Minute.seconds());
    raise(store, &[(Register::Announced, nanoseconds(until))]).await
}

/// Moves a tier's frontier.
pub(super) async fn advance(store: &InfluxStore, tier: Tier, until: Timestamp) -> Result<()> {
    if tier == Tier::Raw {
        return Err(Error::Unanswerable("raw points have no frontier".into()));
    }
    let until = nanoseconds(until.floor_to(tier.seconds()));
    raise(store, &[(Register::Whole(tier), until)]).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_register_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Register::ALL.iter().map(|register| register.name()).collect();
        assert_eq!(names.len(), Register::ALL.len());
    }

    #[test]
    fn registers_only_grow() {
        let answer = |values: &[(&str, i64)]| {
            let rows = values.iter().map(|(name, value)| format!("register,,{value},1,{name}\n"));
            let text = format!("name,tags,time,register,name\n{}", rows.collect::<String>());
            let mut registers = Registers::default();
            super::super::csv::visit(text.as_bytes(), |row| registers.take(row)).unwrap();
            registers
        };
        let mut registers = answer(&[("minute_whole", 60_000_000_000), ("partitions", 4), ("unheard_of", 7)]);
        let minute = Some(Timestamp::from_seconds_clamped(60));
        assert_eq!(registers.frontiers().minute, Frontier { announced: minute, whole: minute });
        registers.merge(&answer(&[("minute_announced", 120_000_000_000), ("partitions", 3)]));
        let announced = Some(Timestamp::from_seconds_clamped(120));
        assert_eq!(registers.frontiers().minute, Frontier { announced, whole: minute });
        assert_eq!(registers.partitions(), 4);
        assert_eq!(registers.floors(), Floors::default());
    }
}
