//! What the same time of earlier weeks was: read from the store's minutes, and kept as long as it is asked for.

use std::collections::{BTreeMap, HashMap};

use flagmeter_bursts::{SLOT_SECONDS, Seen, WEEK_SECONDS, Week, Weeks};
use flagmeter_ledger::Subject;
use flagmeter_model::{TimeRange, Timestamp};
use flagmeter_store::Store;

use super::counts::{Asked, Counts, of_whole};
use crate::Result;

/// Slots around one that are asked for, on either side.
const AROUND: i64 = 2;
/// Earlier weeks.
const WEEKS: i64 = 4;

/// Slots of earlier weeks.
#[derive(Debug)]
pub(super) struct Past {
    asked: Asked,
    /// By how many weeks ago, and the slot's start.
    slots: BTreeMap<(i64, Timestamp), Slot>,
    /// Those are there that are asked for until here.
    until: Option<Timestamp>,
}

/// Five minutes of an earlier week. Whoever is not among them counted nothing, where any minute is known.
#[derive(Debug, Default)]
struct Slot {
    minutes: u32,
    seen: HashMap<Subject, Seen>,
}

impl Past {
    pub(super) const fn new(asked: Asked) -> Self {
        Self { asked, slots: BTreeMap::new(), until: None }
    }

    /// Whose these are.
    pub(super) const fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Reads what is asked for by slots of the range, as far as it was not read before.
    pub(super) async fn load(&mut self, store: &dyn Store, range: TimeRange) -> Result<()> {
        let (from, to) = (range.from.floor_to(SLOT_SECONDS), range.to.ceil_to(SLOT_SECONDS));
        let from = self.until.map_or(from, |until| from.max(until));
        if from >= to {
            return Ok(());
        }
        let around = AROUND * SLOT_SECONDS;
        // What comes behind the last one was read with it.
        let first =
            if self.until == Some(from) { from.plus_seconds(around) } else { from.plus_seconds(-around) };
        for week in 1..=WEEKS {
            let back = |at: Timestamp| at.plus_seconds(-week * WEEK_SECONDS);
            let minutes = TimeRange::new(back(first), back(to.plus_seconds(around)));
            let counts = Counts::read(store, &self.asked, minutes, 60).await?;
            let slots = slots_of(&counts);
            self.slots.extend(slots.into_iter().map(|(start, slot)| ((week, start), slot)));
        }
        self.until = Some(to);
        Ok(())
    }

    /// Slots that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.slots.len()
    }

    /// Forgets what is asked for by slots before this.
    pub(super) fn forget_before(&mut self, at: Timestamp) {
        let first = at.floor_to(SLOT_SECONDS).plus_seconds(-AROUND * SLOT_SECONDS);
        self.slots.retain(|(week, start), _| start.plus_seconds(week * WEEK_SECONDS) >= first);
    }

    /// What the slots around this one were for one that is there since then. `parts` are the environments of which it may
    /// be a whole.
    pub(super) fn weeks<'a>(
        &self,
        slot: Timestamp,
        (of, there_since): (&Subject, Timestamp),
        parts: &(impl Iterator<Item = &'a Subject> + Clone),
    ) -> Weeks {
        let week = |week: i64| -> Week {
            std::array::from_fn(|at| {
                let offset = (i64::try_from(at).unwrap_or(0) - AROUND) * SLOT_SECONDS;
                let start = slot.plus_seconds(offset - week * WEEK_SECONDS);
                let known = self.slots.get(&(week, start)).filter(|slot| slot.minutes > 0);
                let known = known.filter(|_| start >= there_since)?;
                let nothing = Seen { mean: 0.0, highest: 0.0 };
                Some(of_whole(&known.seen, of, parts.clone()).copied().unwrap_or(nothing))
            })
        };
        Weeks([week(1), week(2), week(3), week(4)])
    }
}

/// Minutes as slots.
fn slots_of(counts: &Counts) -> BTreeMap<Timestamp, Slot> {
    let mut slots: BTreeMap<Timestamp, (Slot, Vec<usize>)> = BTreeMap::new();
    for bucket in 0..counts.states.len() {
        let (slot, minutes) = slots.entry(counts.start(bucket).floor_to(SLOT_SECONDS)).or_default();
        if counts.is_complete(bucket) {
            slot.minutes += 1;
            minutes.push(bucket);
        }
    }
    for (of, row) in &counts.rows {
        for (slot, minutes) in slots.values_mut() {
            let count = |minute: &usize| row.get(*minute).copied().unwrap_or_default();
            let (sum, highest) = minutes.iter().map(count).fold((0_u64, 0_u64), |(sum, highest), count| {
                (sum.saturating_add(count), highest.max(count))
            });
            if sum > 0 {
                #[expect(clippy::cast_precision_loss, reason = "an expectation needs no more than 15 digits")]
                let (sum, highest) = (sum as f64, highest as f64);
                slot.seen.insert(of.clone(), Seen { mean: sum / f64::from(slot.minutes), highest });
            }
        }
    }
    slots.into_iter().map(|(start, (slot, _))| (start, slot)).collect()
}
