//! Raw points, and all that goes into the same transaction.

use flagmeter_model::{Batch, EnvironmentCounts, Slot, SlotCounts, Tier, Timestamp, Window};
use rusqlite::Connection;

use super::{
    block::{RawBlock, SLOTS},
    dead_letters,
    interning::{Interned, Numbered},
    marks,
    row::Insert,
    writer::{Memory, Writer},
};
use crate::{
    Positioned, Result, Write, Written,
    refused::{Reason, Refused, points_in, totals},
};

/// Writes points, marks, progress, dead letters and positions in one transaction.
pub(super) fn write(writer: &mut Writer, write: &Write) -> Result<Written> {
    let (now, node_timeout_ms) = (writer.clock.now(), writer.node_timeout_ms);
    let series_cached_max = writer.series_cached_max;
    writer.transact(|tx, memory| {
        memory.interner.begin(series_cached_max);
        let before = memory.standing;
        let mut points = Points::new(tx)?;
        let mut written = Written::default();
        for record in &write.batches {
            let refused = points.write(tx, memory, record, &mut written)?;
            if let Some((reason, letter)) =
                refused.into_dead_letter(record, memory.progress.may_be_repeat(record), now)?
            {
                dead_letters::put(tx, &mut memory.standing, &letter)?;
                *written.dead_letters.entry(reason).or_default() += 1;
            }
            memory.progress.apply(record, node_timeout_ms);
        }
        for letter in &write.dead_letters {
            dead_letters::put(tx, &mut memory.standing, letter)?;
        }
        points.mark(tx, memory, &mut written)?;
        memory.standing.partitions = memory.standing.partitions.max(write.partitions);
        if memory.standing != before {
            memory.standing.store(tx)?;
        }
        memory.interner.store_seen(tx)?;
        memory.progress.store(tx, &write.positions)?;
        Ok(written)
    })
}

/// What writes the points of a transaction.
struct Points<'c> {
    insert: Insert<'c, 5>,
    /// Minutes behind the frontier: (environment, start).
    late: Vec<(i64, Timestamp)>,
    block: Vec<u8>,
    /// The number of each series of the environment at hand, once it is known.
    numbers: Vec<Option<Numbered>>,
    columns: Columns,
}

/// The two columns of a slot, in the order of the numbers.
#[derive(Default)]
struct Columns {
    numbers: Vec<u32>,
    counts: Vec<u64>,
    unsorted: Vec<(u32, u64)>,
}

impl<'c> Points<'c> {
    fn new(connection: &'c Connection) -> Result<Self> {
        Ok(Self {
            insert: Insert::new(connection, "raw", ["minute", "environment", "node", "seq", "part"])?,
            late: Vec::new(),
            block: Vec::new(),
            numbers: Vec::new(),
            columns: Columns::default(),
        })
    }

    /// Writes the points of a record, a row per environment and minute, and tells what could not be written.
    fn write(
        &mut self,
        connection: &Connection,
        memory: &mut Memory,
        record: &Positioned,
        written: &mut Written,
    ) -> Result<Refused> {
        let mut refused = Refused::default();
        let announced = memory.standing.frontiers.minute.announced;
        let floor = memory.standing.floors.raw;
        for counts in &record.batch.environments {
            self.numbers.clear();
            self.numbers.resize(counts.series.len(), None);
            for slots in counts.slots.chunk_by(|a, b| minute_of(a.slot) == minute_of(b.slot)) {
                let Some(window) =
                    slots.first().map(|slot| Window::containing(Tier::Minute, slot.slot.start()))
                else {
                    continue;
                };
                if floor.is_some_and(|floor| window.start() < floor) {
                    if !memory.progress.is_repeat(record) {
                        written.past_retention += points_in(slots);
                        refused.add(counts, slots, Reason::PastRetention);
                    }
                    continue;
                }
                let Some(totals) = totals(counts, slots) else {
                    written.overflow += points_in(slots);
                    refused.add(counts, slots, Reason::Overflow);
                    continue;
                };
                let environment = memory.interner.environment(connection, &counts.environment)?;
                written.folded += self.lay_out(connection, environment, counts, slots)?;
                let Batch { node, seq, part, .. } = &record.batch;
                let (node, seq) = (i64::from(node.get()), seq.get().cast_signed());
                let keys = [window.start().as_seconds(), environment.id, node, seq, i64::from(*part)];
                self.insert.row(keys, totals, &self.block)?;
                written.points += points_in(slots);
                if announced.is_some_and(|announced| window.end() <= announced) {
                    self.late.push((environment.id, window.start()));
                }
            }
        }
        Ok(refused)
    }

    /// Builds the block of one minute. How many of its points were folded.
    fn lay_out(
        &mut self,
        connection: &Connection,
        environment: &mut Interned,
        counts: &EnvironmentCounts,
        slots: &[SlotCounts],
    ) -> Result<u64> {
        let mut folded = 0;
        let mut block = RawBlock::begin(&mut self.block);
        for slot in slots {
            let columns = &mut self.columns;
            columns.numbers.clear();
            let minute = minute_of(slot.slot);
            for &position in &slot.series {
                let known = self.numbers.get_mut(position as usize);
                let Numbered { number, is_folded } = match (known, counts.series.get(position as usize)) {
                    (Some(Some(numbered)), _) => *numbered,
                    (Some(known), Some(key)) => *known.insert(environment.number(connection, key)?),
                    // Refused by the decoder: a count that names no series.
                    _ => continue,
                };
                environment.saw(number, minute);
                columns.numbers.push(number);
                folded += u64::from(is_folded);
            }
            let index = u8::try_from(slot.slot.number() % u32::from(SLOTS)).unwrap_or_default();
            columns.sort(&slot.counts);
            block.slot(index, &columns.numbers, &columns.counts);
        }
        Ok(folded)
    }

    /// Marks the minutes that were behind the frontier.
    fn mark(mut self, connection: &Connection, memory: &mut Memory, written: &mut Written) -> Result<()> {
        if self.late.is_empty() {
            return Ok(());
        }
        let token = marks::next_token(memory);
        self.late.sort_unstable();
        self.late.dedup();
        for &(environment, start) in &self.late {
            marks::set(connection, Window::containing(Tier::Minute, start), environment, token)?;
        }
        written.dirty = self.late.len() as u64;
        Ok(())
    }
}

impl Columns {
    /// Fills in the counts, and puts both columns into the order of the numbers, each once: what was folded into one
    /// series is added up.
    fn sort(&mut self, counts: &[u64]) {
        self.counts.clear();
        if self.numbers.is_sorted_by(|a, b| a < b) {
            self.counts.extend_from_slice(counts);
            return;
        }
        self.unsorted.clear();
        self.unsorted.extend(self.numbers.drain(..).zip(counts.iter().copied()));
        self.unsorted.sort_unstable();
        for &(number, count) in &self.unsorted {
            match self.counts.last_mut() {
                // All of a row together is far below what a count can be.
                Some(sum) if self.numbers.last() == Some(&number) => *sum = sum.saturating_add(count),
                _ => {
                    self.numbers.push(number);
                    self.counts.push(count);
                }
            }
        }
    }
}

fn minute_of(slot: Slot) -> u32 {
    slot.number() / u32::from(SLOTS)
}
