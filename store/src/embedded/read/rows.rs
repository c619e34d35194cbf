//! The rows of an environment, part by part, into sums.

use flagmeter_model::{Slot, Tier, TimeRange, Timestamp};
use rusqlite::Connection;

use super::{
    super::{
        block::{self, damaged},
        row::{blob, count},
        schema,
    },
    groups::Groups,
};
use crate::{CoveredPart, Read, Result, answering::Sums};

const MINUTE: i64 = Tier::Minute.seconds();
const SLOTS: usize = block::SLOTS as usize;

/// Adds rows up for one question.
#[derive(Debug)]
pub(super) struct Rows<'r> {
    connection: &'r Connection,
    read: &'r Read,
    /// Whether the totals tell all that is asked, where a row lies in one bucket.
    by_totals: bool,
    /// Minutes that hold raw points, in order: environments have few of them in common with the range.
    raw_minutes: Vec<i64>,
}

impl<'r> Rows<'r> {
    pub(super) fn new(connection: &'r Connection, read: &'r Read, by_totals: bool) -> Self {
        Self { connection, read, by_totals, raw_minutes: Vec::new() }
    }

    /// Looks up which minutes hold raw points, for all environments at once, from the first raw part on.
    pub(super) fn find_raw_minutes<'p>(
        &mut self,
        parts: impl Iterator<Item = &'p CoveredPart>,
    ) -> Result<()> {
        let raw = parts.filter(|part| part.tier == Tier::Raw).map(|part| part.range);
        let Some(range) =
            raw.reduce(|all, part| TimeRange::new(all.from.min(part.from), all.to.max(part.to)))
        else {
            return Ok(());
        };
        let from = range.from.floor_to(MINUTE);
        self.raw_minutes = raw_minutes(self.connection, TimeRange { from, ..range })?;
        Ok(())
    }

    /// Adds up one part of one environment.
    pub(super) fn add(
        &self,
        environment: i64,
        part: CoveredPart,
        groups: &mut Groups,
        sums: &mut Sums,
    ) -> Result<()> {
        match part.tier {
            Tier::Raw => self.add_raw(environment, part.range, groups, sums),
            tier => self.add_tier(environment, tier, part.range, groups, sums),
        }
    }

    fn add_tier(
        &self,
        environment: i64,
        tier: Tier,
        range: TimeRange,
        groups: &mut Groups,
        sums: &mut Sums,
    ) -> Result<()> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT start, {}{} FROM {} WHERE environment = ?1 AND start >= ?2 AND start < ?3",
            self.read.meter.name(),
            if self.by_totals { "" } else { ", block" },
            schema::table(tier)
        ))?;
        let mut rows = statement.query([environment, range.from.as_seconds(), range.to.as_seconds()])?;
        while let Some(row) = rows.next()? {
            let (start, total) = (row.get(0)?, count(row, 1)?);
            let bucket = self.bucket(start)?;
            if total == 0 {
                continue;
            }
            if self.by_totals {
                groups.add_total(sums, bucket, total)?;
                continue;
            }
            let mut added = Ok(());
            block::visit_tier(blob(row, 2)?, |number, count| {
                if added.is_ok() {
                    added = groups.add_series(sums, number, bucket, count);
                }
            })?;
            added?;
        }
        Ok(())
    }

    fn add_raw(
        &self,
        environment: i64,
        range: TimeRange,
        groups: &mut Groups,
        sums: &mut Sums,
    ) -> Result<()> {
        let first = range.from.floor_to(MINUTE).as_seconds();
        let minutes = self.raw_minutes.partition_point(|&minute| minute < first)
            ..self.raw_minutes.partition_point(|&minute| minute < range.to.as_seconds());
        for &minute in self.raw_minutes.get(minutes).unwrap_or_default() {
            let slots = self.slots(minute, range)?;
            match slots[0] {
                Some(bucket) if self.by_totals && slots == [Some(bucket); SLOTS] => {
                    self.add_raw_totals(environment, minute, bucket, groups, sums)?;
                }
                _ => self.add_raw_blocks(environment, minute, slots, groups, sums)?,
            }
        }
        Ok(())
    }

    fn add_raw_totals(
        &self,
        environment: i64,
        minute: i64,
        bucket: usize,
        groups: &mut Groups,
        sums: &mut Sums,
    ) -> Result<()> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {} FROM raw WHERE minute = ?1 AND environment = ?2",
            self.read.meter.name()
        ))?;
        let mut rows = statement.query([minute, environment])?;
        while let Some(row) = rows.next()? {
            let total = count(row, 0)?;
            if total > 0 {
                groups.add_total(sums, bucket, total)?;
            }
        }
        Ok(())
    }

    fn add_raw_blocks(
        &self,
        environment: i64,
        minute: i64,
        slots: [Option<usize>; SLOTS],
        groups: &mut Groups,
        sums: &mut Sums,
    ) -> Result<()> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {}, block FROM raw WHERE minute = ?1 AND environment = ?2",
            self.read.meter.name()
        ))?;
        let mut rows = statement.query([minute, environment])?;
        while let Some(row) = rows.next()? {
            if count(row, 0)? == 0 {
                continue;
            }
            let mut added = Ok(());
            block::visit_raw(blob(row, 1)?, |slot, number, count| {
                if let (Some(&Some(bucket)), true) = (slots.get(usize::from(slot)), added.is_ok()) {
                    added = groups.add_series(sums, number, bucket, count);
                }
            })?;
            added?;
        }
        Ok(())
    }

    /// The bucket of each slot of a minute; none for slots outside `range`.
    fn slots(&self, minute: i64, range: TimeRange) -> Result<[Option<usize>; SLOTS]> {
        let mut slots = [None; SLOTS];
        for (slot, at) in slots.iter_mut().zip(0..) {
            let second = minute + at * Slot::SECONDS;
            if range.contains(Timestamp::from_seconds_clamped(second)) {
                *slot = Some(self.bucket(second)?);
            }
        }
        Ok(slots)
    }

    /// The bucket that an instant of the range lies in.
    fn bucket(&self, second: i64) -> Result<usize> {
        let at = Timestamp::from_seconds_clamped(second);
        let after = self.read.edges.partition_point(|&edge| edge <= at);
        after.checked_sub(1).ok_or_else(|| damaged("a window lies before the range it was read for"))
    }
}

/// The minutes that begin in `range` and hold raw points of anyone: a step per minute, however many points
/// it has.
pub(super) fn raw_minutes(connection: &Connection, range: TimeRange) -> Result<Vec<i64>> {
    let mut next = connection.prepare_cached("SELECT min(minute) FROM raw WHERE minute >= ?1")?;
    let mut minutes = Vec::new();
    let mut from = range.from.ceil_to(1).as_seconds();
    while let Some(minute) = next.query_row([from], |row| row.get::<_, Option<i64>>(0))? {
        if minute >= range.to.ceil_to(1).as_seconds() {
            break;
        }
        minutes.push(minute);
        from = minute + MINUTE;
    }
    Ok(minutes)
}
