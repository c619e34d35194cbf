//! What of a write becomes which lines: pure.

use std::collections::{BTreeMap, BTreeSet};

use flagmeter_model::{Batch, Environment, EnvironmentCounts, Meter, SlotCounts, Tier, Timestamp, Window};

use super::{
    line::Lines,
    schema::{COUNT, TOTAL, raw_time},
};
use crate::{
    Totals, Write,
    refused::{Reason, Refused, points_in, totals},
};

/// Points of one slot of one environment of one batch, told by their positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Points {
    batch: usize,
    environment: usize,
    slot: usize,
    from: usize,
    to: usize,
}

impl Points {
    const fn len(self) -> usize {
        self.to - self.from
    }

    /// What they belong to, and their slot with its counts.
    fn of(self, write: &Write) -> Option<(&Batch, &EnvironmentCounts, &SlotCounts)> {
        let batch = &write.batches.get(self.batch)?.batch;
        let counts = batch.environments.get(self.environment)?;
        Some((batch, counts, counts.slots.get(self.slot)?))
    }
}

/// What a write comes to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// All points that are stored, a slot of an environment each; those of one environment stand together.
    pub(super) slots: Vec<Points>,
    /// How many they are.
    pub(super) points: u64,
    /// Points that lie behind the raw floor.
    pub(super) past_retention: u64,
    /// Points that add up to more than can be kept.
    pub(super) overflow: u64,
    /// What is set aside, by the position of its batch.
    pub(super) refused: BTreeMap<usize, Refused>,
}

impl Plan {
    /// Sorts out what lies behind `floor`, and what adds up to too much.
    pub(super) fn new(write: &Write, floor: Option<Timestamp>) -> Self {
        let mut plan = Self::default();
        for (batch, record) in write.batches.iter().enumerate() {
            for (environment, counts) in record.batch.environments.iter().enumerate() {
                plan.environment(batch, environment, counts, floor);
            }
        }
        // Many points of few series in a body cost InfluxDB a tenth less than one point each of many: a step that holds
        // several seals, as after an outage, is laid out by environment (docs/performance.md, section 5).
        plan.slots.sort_by_key(|slot| slot.of(write).map(|(_, counts, _)| &counts.environment));
        plan
    }

    fn environment(
        &mut self,
        batch: usize,
        environment: usize,
        counts: &EnvironmentCounts,
        floor: Option<Timestamp>,
    ) {
        let mut first = 0;
        for slots in counts.slots.chunk_by(|a, b| minute_of(a) == minute_of(b)) {
            let numbers = first..first + slots.len();
            first = numbers.end;
            let is_past = slots.first().map(minute_of).is_some_and(|minute| Some(minute.start()) < floor);
            if is_past {
                self.past_retention += points_in(slots);
                self.refused.entry(batch).or_default().add(counts, slots, Reason::PastRetention);
            } else if totals(counts, slots).is_none() {
                self.overflow += points_in(slots);
                self.refused.entry(batch).or_default().add(counts, slots, Reason::Overflow);
            } else {
                self.points += points_in(slots);
                self.slots.extend(slots.iter().zip(numbers).map(|(slot, number)| Points {
                    batch,
                    environment,
                    slot: number,
                    from: 0,
                    to: slot.counts.len(),
                }));
            }
        }
    }

    /// The points in pieces of at most so many.
    pub(super) fn pieces(&self, points_max: usize) -> Vec<Vec<Points>> {
        let mut pieces: Vec<Vec<Points>> = Vec::new();
        let mut room = 0;
        for &slot in &self.slots {
            let mut rest = slot;
            while rest.len() > 0 {
                if room == 0 {
                    pieces.push(Vec::new());
                    room = points_max.max(1);
                }
                let taken = rest.len().min(room);
                let points = Points { to: rest.from + taken, ..rest };
                rest.from += taken;
                room -= taken;
                if let Some(piece) = pieces.last_mut() {
                    piece.push(points);
                }
            }
        }
        pieces
    }

    /// The environments that are counted for.
    pub(super) fn environments<'w>(&self, write: &'w Write) -> BTreeSet<&'w Environment> {
        self.slots.iter().filter_map(|slot| Some(&slot.of(write)?.1.environment)).collect()
    }

    /// The minutes that are counted in.
    pub(super) fn minutes(&self, write: &Write) -> BTreeSet<Window> {
        self.slots.iter().filter_map(|slot| Some(minute_of(slot.of(write)?.2))).collect()
    }

    /// The minutes of environments that are counted in and end at or before `until`.
    pub(super) fn minutes_until<'w>(
        &self,
        write: &'w Write,
        until: Timestamp,
    ) -> BTreeSet<(Window, &'w Environment)> {
        let minutes = self.slots.iter().filter_map(|slot| {
            let (_, counts, slot) = slot.of(write)?;
            Some((minute_of(slot), &counts.environment))
        });
        minutes.filter(|(minute, _)| minute.end() <= until).collect()
    }

    /// Sets aside what retention has passed while it was written: it may be stored or not.
    pub(super) fn passed(&mut self, write: &Write, floor: Timestamp) {
        for slot in &self.slots {
            if let Some((_, counts, slots)) = slot.of(write)
                && minute_of(slots).start() < floor
            {
                let slots = std::slice::from_ref(slots);
                let refused = self.refused.entry(slot.batch).or_default();
                refused.add(counts, slots, Reason::PastRetentionMeanwhile);
            }
        }
    }

    /// Sets one point aside that the database does not take.
    pub(super) fn refuse(&mut self, write: &Write, point: Points, why: &str) {
        let Some((_, counts, slot)) = point.of(write) else { return };
        let one = |column: &[u64]| column.get(point.from..point.to).unwrap_or_default().to_vec();
        let series = slot.series.get(point.from..point.to).unwrap_or_default().to_vec();
        let alone = SlotCounts { slot: slot.slot, series, counts: one(&slot.counts) };
        self.points = self.points.saturating_sub(point.len() as u64);
        let refused = self.refused.entry(point.batch).or_default();
        refused.add(counts, std::slice::from_ref(&alone), Reason::Refused(why.to_owned()));
    }

    /// The lines of the totals of some slots: of what is stored, without the points that were refused.
    pub(super) fn totals(write: &Write, slots: &[Points], refused: &[Points]) -> Lines {
        let mut lines = Lines::with_capacity(slots.len());
        for slot in slots {
            let Some((batch, counts, slots)) = slot.of(write) else { continue };
            // Within a minute they add up, or they would not be stored.
            let Some(mut sums) = totals(counts, std::slice::from_ref(slots)) else { continue };
            let inside = |point: &&Points| {
                (point.batch, point.environment, point.slot) == (slot.batch, slot.environment, slot.slot)
            };
            for point in refused.iter().filter(inside) {
                without(&mut sums, counts, slots, *point);
            }
            let time = raw_time(slots.slot, batch.node, batch.seq);
            for (meter, sum) in Meter::ALL.into_iter().zip(sums) {
                if sum > 0 {
                    lines.total(TOTAL, &counts.environment, meter, Some(batch.part), sum, time);
                }
            }
        }
        lines
    }
}

/// Takes refused points out of the sums of their slot.
fn without(sums: &mut Totals, counts: &EnvironmentCounts, slot: &SlotCounts, points: Points) {
    for at in points.from..points.to {
        let (Some(&position), Some(count)) = (slot.series.get(at), slot.counts.get(at)) else { continue };
        let Some(key) = counts.series.get(position as usize) else { continue };
        if let Some(sum) = sums.get_mut(usize::from(key.meter.number())) {
            *sum = sum.saturating_sub(*count);
        }
    }
}

/// The lines of some points.
pub(super) fn lines(write: &Write, points: &[Points]) -> Lines {
    let mut lines = Lines::with_capacity(points.iter().map(|points| points.len()).sum());
    for points in points {
        let Some((batch, counts, slot)) = points.of(write) else { continue };
        let time = raw_time(slot.slot, batch.node, batch.seq);
        let columns = slot.series.iter().zip(&slot.counts).take(points.to).skip(points.from);
        for (&position, &count) in columns {
            // The decoder refuses a count that names no series.
            if let Some(key) = counts.series.get(position as usize) {
                lines.count(COUNT, &counts.environment, key, count, time);
            }
        }
    }
    lines
}

/// Two halves of some points; `None` when it is one point.
pub(super) fn halves(points: &[Points]) -> Option<[Vec<Points>; 2]> {
    let all: usize = points.iter().map(|points| points.len()).sum();
    if all < 2 {
        return None;
    }
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut room = all / 2;
    for &points in points {
        let taken = points.len().min(room);
        room -= taken;
        let middle = points.from + taken;
        first.extend(Some(Points { to: middle, ..points }).filter(|points| points.len() > 0));
        second.extend(Some(Points { from: middle, ..points }).filter(|points| points.len() > 0));
    }
    Some([first, second])
}

fn minute_of(slot: &SlotCounts) -> Window {
    Window::containing(Tier::Minute, slot.slot.start())
}

#[cfg(test)]
mod tests {
    use flagmeter_model::SeriesKey;
    use proptest::prelude::*;

    use super::*;
    use crate::conformance::fixture::{Seal, at, environment, flag, write_of};

    /// (environment, second, flag, count), of one seal each.
    type Counted = Vec<Vec<(u8, i64, u8, u64)>>;

    fn counted() -> impl Strategy<Value = Counted> {
        let point = (0..3_u8, 0..200_i64, 0..6_u8, 1..1_000_u64);
        prop::collection::vec(prop::collection::vec(point, 0..40), 0..4)
    }

    fn written(counted: &Counted) -> std::sync::Arc<Write> {
        let seals = (1..).zip(counted).map(|(seq, points)| {
            points.iter().fold(Seal::new(1, seq).unwrap(), |seal, &(number, second, name, count)| {
                let environment = environment(&format!("env-{number}")).unwrap();
                let meter = Meter::ALL[usize::from(name) % 2];
                let key = SeriesKey { meter, ..flag(&format!("flag-{name}")).unwrap() };
                seal.count(&environment, &key, second, count)
            })
        });
        write_of(&seals.collect::<Vec<_>>()).unwrap()
    }

    fn points_of(write: &Write, points: &[Points]) -> BTreeSet<String> {
        let text = lines(write, points).text().to_owned();
        let set: BTreeSet<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(set.len(), text.lines().count(), "no point twice");
        set
    }

    fn sum_of(lines: &str, measurement: &str) -> u64 {
        let of = lines.lines().filter(|line| line.starts_with(measurement));
        let count = |line: &str| -> u64 {
            line.rsplit("count=").next().unwrap().split('i').next().unwrap().parse().unwrap()
        };
        of.map(count).sum()
    }

    proptest! {
        #[test]
        fn pieces_and_halves_hold_every_point_once(counted in counted(), points_max in 1..30_usize) {
            let write = written(&counted);
            let plan = Plan::new(&write, None);
            let all = points_of(&write, &plan.slots);
            prop_assert_eq!(all.len() as u64, plan.points);
            let pieces = plan.pieces(points_max);
            let mut together = BTreeSet::new();
            for piece in &pieces {
                let points = points_of(&write, piece);
                prop_assert!(!points.is_empty() && points.len() <= points_max);
                prop_assert_eq!(halves(piece).is_some(), points.len() > 1);
                if let Some([first, second]) = halves(piece) {
                    let (first, second) = (points_of(&write, &first), points_of(&write, &second));
                    prop_assert!(first.is_disjoint(&second) && !first.is_empty() && !second.is_empty());
                    prop_assert_eq!(&first.union(&second).cloned().collect::<BTreeSet<_>>(), &points);
                }
                together.extend(points);
            }
            prop_assert_eq!(together, all);
        }

        #[test]
        fn the_points_of_an_environment_stand_together_in_the_order_of_their_seals(counted in counted()) {
            let write = written(&counted);
            let slots = Plan::new(&write, None).slots;
            let of = |slot: &Points| (&slot.of(&write).unwrap().1.environment, slot.batch, slot.slot);
            prop_assert!(slots.is_sorted_by_key(of));
        }

        #[test]
        fn totals_are_what_the_stored_counts_add_up_to(
            counted in counted(),
            refused in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            floor in prop::option::of(0..240_i64),
        ) {
            let write = written(&counted);
            let floor = floor.map(|second| at(second).floor_to(60));
            let mut plan = Plan::new(&write, floor);
            let ones: Vec<Points> = plan.pieces(1).into_iter().flatten().collect();
            let mut bad: Vec<Points> =
                refused.iter().filter(|_| !ones.is_empty()).map(|index| *index.get(&ones)).collect();
            bad.sort_unstable();
            bad.dedup();
            let mut stored = points_of(&write, &plan.slots);
            for point in &bad {
                stored.retain(|line| !points_of(&write, &[*point]).contains(line));
                plan.refuse(&write, *point, "bad");
            }
            prop_assert_eq!(plan.points, stored.len() as u64);
            let stored: Vec<String> = stored.into_iter().collect();
            let totals = Plan::totals(&write, &plan.slots, &bad);
            prop_assert_eq!(sum_of(totals.text(), "total"), sum_of(&stored.join("\n"), "count"));
            let set_aside: u64 = plan
                .refused
                .into_iter()
                .filter_map(|(batch, refused)| {
                    refused.into_dead_letter(&write.batches[batch], false, at(0)).unwrap()
                })
                .map(|(_, letter)| letter.count.unwrap())
                .sum();
            let all = write.batches.iter().flat_map(|record| &record.batch.environments);
            let all: u64 = all.flat_map(EnvironmentCounts::points).map(|(_, _, count)| count).sum();
            prop_assert_eq!(sum_of(totals.text(), "total") + set_aside, all, "every count has a fate");
        }
    }
}
