//! Windows from the finer tier.
//!
//! Series are added up from the blocks, totals from the totals: the two axes never lean on each other, so that
//! an audit that compares them can find something.

use flagmeter_model::{Tier, TimeRange, Timestamp, Window};
use rusqlite::{CachedStatement, Connection, Row};

use super::{
    block::{damaged, encode_tier, visit_raw, visit_tier},
    interning::{environment_id, environments},
    row::{Insert, TOTALS, blob, totals},
    schema::table,
    writer::Writer,
};
use crate::{Error, Floors, NewMark, Result, Rolled, Rolling, Totals, answering::plus};

/// Window starts of a range that are rolled up in one transaction: writes wait no longer than that.
const STARTS_MAX: i64 = 60;
/// Named windows that are rolled up in one transaction.
const WINDOWS_MAX: usize = 512;

/// The rolling in pieces, each for a transaction of its own.
pub(super) fn pieces(rolling: &Rolling) -> Result<Vec<Rolling>> {
    match rolling {
        Rolling::Windows(windows) => {
            Ok(windows.chunks(WINDOWS_MAX).map(|piece| Rolling::Windows(piece.to_vec())).collect())
        }
        &Rolling::Range(tier, range) => {
            finer(tier)?;
            Window::starting(tier, range.from)?;
            Window::starting(tier, range.to)?;
            let step = tier.seconds() * STARTS_MAX;
            let ends = |from: &Timestamp| Some(from.plus_seconds(step)).filter(|next| *next < range.to);
            let starts = std::iter::successors(Some(range.from).filter(|_| !range.is_empty()), ends);
            Ok(starts
                .map(|from| TimeRange::new(from, from.plus_seconds(step).min(range.to)))
                .map(|piece| Rolling::Range(tier, piece))
                .collect())
        }
    }
}

/// Rolls one piece up in one transaction.
pub(super) fn roll(writer: &mut Writer, piece: &Rolling) -> Result<Rolled> {
    writer.transact(|tx, memory| {
        let floors = memory.standing.floors;
        match piece {
            Rolling::Range(tier, range) => roll_range(tx, *tier, *range, floors),
            Rolling::Windows(windows) => roll_windows(tx, windows, floors),
        }
    })
}

fn roll_range(connection: &Connection, tier: Tier, range: TimeRange, floors: Floors) -> Result<Rolled> {
    let finer = finer(tier)?;
    // Windows whose finer rows are gone stay as they are; floors are on the hour.
    let from = floors.of(finer).map_or(range.from, |floor| floor.max(range.from)).as_seconds();
    let to = range.to.as_seconds();
    let ids: Vec<i64> = environments(connection)?.into_iter().map(|(id, _)| id).collect();
    let mut delete = connection.prepare_cached(&format!(
        "DELETE FROM {} WHERE environment = ?1 AND start >= ?2 AND start < ?3",
        table(tier)
    ))?;
    for &id in &ids {
        delete.execute([id, from, to])?;
    }
    let mut sums = Sums::new(connection, tier, finer)?;
    if finer == Tier::Raw {
        // In the order of time, all environments together.
        let mut select = connection.prepare_cached(&format!(
            "SELECT environment, minute, {TOTALS}, block FROM raw WHERE minute >= ?1 AND minute < ?2
             ORDER BY minute, environment"
        ))?;
        sums.add_all(select.query([from, to])?)?;
    } else {
        let mut select = connection.prepare_cached(&format!(
            "SELECT environment, start, {TOTALS}, block FROM {} WHERE environment = ?1 AND start >= ?2 AND start < ?3
             ORDER BY start",
            table(finer)
        ))?;
        for &id in &ids {
            sums.add_all(select.query([id, from, to])?)?;
        }
    }
    sums.finish()
}

fn roll_windows(connection: &Connection, windows: &[NewMark], floors: Floors) -> Result<Rolled> {
    let mut rolled = Rolled::default();
    for tier in Tier::ROLLED {
        let mut of_tier: Vec<_> = windows.iter().filter(|mark| mark.window.tier() == tier).collect();
        if !of_tier.is_empty() {
            of_tier.sort_unstable_by(|a, b| (&a.environment, a.window).cmp(&(&b.environment, b.window)));
            of_tier.dedup();
            let done = roll_windows_of(connection, tier, &of_tier, floors)?;
            rolled.windows += done.windows;
            rolled.points += done.points;
        }
    }
    if windows.iter().any(|mark| mark.window.tier() == Tier::Raw) {
        finer(Tier::Raw)?;
    }
    Ok(rolled)
}

fn roll_windows_of(
    connection: &Connection,
    tier: Tier,
    windows: &[&NewMark],
    floors: Floors,
) -> Result<Rolled> {
    let finer = finer(tier)?;
    let start = if finer == Tier::Raw { "minute" } else { "start" };
    let mut select = connection.prepare_cached(&format!(
        "SELECT environment, {start}, {TOTALS}, block FROM {}
         WHERE environment = ?1 AND {start} >= ?2 AND {start} < ?3 ORDER BY {start}",
        table(finer)
    ))?;
    let mut delete = connection
        .prepare_cached(&format!("DELETE FROM {} WHERE environment = ?1 AND start = ?2", table(tier)))?;
    let mut sums = Sums::new(connection, tier, finer)?;
    for NewMark { window, environment } in windows {
        if floors.of(finer).is_some_and(|floor| window.start() < floor) {
            continue;
        }
        let Some(id) = environment_id(connection, environment)? else { continue };
        delete.execute([id, window.start().as_seconds()])?;
        sums.add_all(select.query([id, window.start().as_seconds(), window.end().as_seconds()])?)?;
    }
    sums.finish()
}

fn finer(tier: Tier) -> Result<Tier> {
    tier.finer().ok_or_else(|| Error::Unanswerable("raw points are not rolled up from anything".into()))
}

/// Adds rows up that come window by window, and writes each window when the next one begins.
struct Sums<'c> {
    tier: Tier,
    finer: Tier,
    insert: Insert<'c, 2>,
    series: CachedStatement<'c>,
    /// The window being added up: its environment and its start in seconds.
    window: Option<(i64, i64)>,
    totals: Totals,
    /// By the number of the series; 0 if not counted.
    counts: Vec<u64>,
    /// The numbers of the series that were counted.
    numbers: Vec<u32>,
    rolled: Rolled,
    block: Vec<u8>,
    sorted: Vec<u64>,
}

impl<'c> Sums<'c> {
    fn new(connection: &'c Connection, tier: Tier, finer: Tier) -> Result<Self> {
        Ok(Self {
            tier,
            finer,
            insert: Insert::new(connection, table(tier), ["environment", "start"])?,
            series: connection.prepare_cached("SELECT max(number) FROM series WHERE environment = ?1")?,
            window: None,
            totals: Totals::default(),
            counts: Vec::new(),
            numbers: Vec::new(),
            rolled: Rolled::default(),
            block: Vec::new(),
            sorted: Vec::new(),
        })
    }

    fn add_all(&mut self, mut rows: rusqlite::Rows<'_>) -> Result<()> {
        while let Some(row) = rows.next()? {
            self.add(row)?;
        }
        Ok(())
    }

    /// Adds a row of the finer tier: environment, start, totals, block.
    fn add(&mut self, row: &Row<'_>) -> Result<()> {
        let environment = row.get(0)?;
        let start: i64 = row.get(1)?;
        let window = (environment, start - start.rem_euclid(self.tier.seconds()));
        if self.window != Some(window) {
            self.write_window()?;
            self.begin(window)?;
        }
        for (total, more) in self.totals.iter_mut().zip(totals(row, 2)?) {
            *total = plus(*total, more)?;
        }
        let block = blob(row, 2 + self.totals.len())?;
        let (counts, numbers) = (&mut self.counts, &mut self.numbers);
        let mut fault = None;
        let mut add = |number: u32, more: u64| match counts.get_mut(number as usize) {
            None => fault = Some(damaged("a block counts a series that is not there")),
            Some(count) => {
                if *count == 0 {
                    numbers.push(number);
                }
                match plus(*count, more) {
                    Ok(sum) => *count = sum,
                    Err(error) => fault = Some(error),
                }
            }
        };
        if self.finer == Tier::Raw {
            visit_raw(block, |_, number, count| add(number, count))?;
        } else {
            visit_tier(block, &mut add)?;
        }
        fault.map_or(Ok(()), Err)
    }

    fn begin(&mut self, window: (i64, i64)) -> Result<()> {
        if self.window.is_none_or(|(environment, _)| environment != window.0) {
            // Every block of the environment numbers its series below this.
            let last: Option<u32> = self.series.query_row([window.0], |row| row.get(0))?;
            self.counts.clear();
            self.counts.resize(last.map_or(0, |last| last as usize + 1), 0);
        }
        self.window = Some(window);
        Ok(())
    }

    fn write_window(&mut self) -> Result<()> {
        let Some((environment, start)) = self.window else { return Ok(()) };
        self.numbers.sort_unstable();
        self.sorted.clear();
        for &number in &self.numbers {
            self.sorted.extend(self.counts.get_mut(number as usize).map(std::mem::take));
        }
        encode_tier(&mut self.block, &self.numbers, &self.sorted);
        self.insert.row([environment, start], std::mem::take(&mut self.totals), &self.block)?;
        self.rolled.windows += 1;
        self.rolled.points += self.numbers.len() as u64;
        self.numbers.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Rolled> {
        self.write_window()?;
        Ok(self.rolled)
    }
}
