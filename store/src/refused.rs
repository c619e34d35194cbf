//! Counts that no store can keep: set aside, record by record, with exactly the counts that are not stored.

use std::collections::BTreeMap;

use flagmeter_model::{
    Batch, ContentEncoding, Environment, EnvironmentCounts, SeriesKey, Slot, SlotCounts, Timestamp, encode,
};

use crate::{DeadLetter, Positioned, Result, Totals};

/// Largest total of one meter of one record, environment and minute.
///
/// More than 280,000 entries of the largest count accepted, for one environment in one second: no edge seals
/// that. It leaves room for 32,768 such records in one window before a sum could pass i64, so that what a stranger
/// writes can be refused here, record by record, instead of stopping a roll-up for ever.
pub(crate) const MINUTE_TOTAL_MAX: u64 = 1 << 48;

/// The totals of some slots of one minute per meter; `None` if one is too large to be kept.
pub(crate) fn totals(counts: &EnvironmentCounts, slots: &[SlotCounts]) -> Option<Totals> {
    let mut totals = Totals::default();
    for slot in slots {
        for (&position, &count) in slot.series.iter().zip(&slot.counts) {
            let meter = counts.series.get(position as usize)?.meter;
            let total = totals.get_mut(usize::from(meter.number()))?;
            *total = total.checked_add(count).filter(|&sum| sum <= MINUTE_TOTAL_MAX)?;
        }
    }
    Some(totals)
}

/// How many points some slots hold.
pub(crate) fn points_in(slots: &[SlotCounts]) -> u64 {
    slots.iter().map(|slot| slot.counts.len() as u64).sum()
}

/// Why counts were not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// They lie behind the raw floor.
    PastRetention,
    /// Together they are more than can be kept.
    Overflow,
    /// They may have been stored or not: retention moved on meanwhile.
    PastRetentionMeanwhile,
    /// The backend does not take them, and says why.
    Refused(String),
}

/// What of a record could not be stored.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    environments: BTreeMap<Environment, SetAside>,
    reason: Option<Reason>,
    /// Some of it lies behind the raw floor: if the record may be a repeat, it may be stored.
    is_past: bool,
    /// Of some of it is not known whether it is stored.
    is_uncertain: bool,
}

/// Of one environment the series of its record, and the counts by slot and position in the series.
#[derive(Debug)]
struct SetAside {
    series: Vec<SeriesKey>,
    slots: BTreeMap<Slot, BTreeMap<u32, u64>>,
}

impl Refused {
    /// Sets counts of a record aside, in any order, also more than once. The first reason stands for all;
    /// a count is told only where no reason leaves it open.
    pub(crate) fn add(&mut self, counts: &EnvironmentCounts, slots: &[SlotCounts], reason: Reason) {
        self.is_past |= reason == Reason::PastRetention;
        self.is_uncertain |= reason == Reason::PastRetentionMeanwhile;
        self.reason.get_or_insert(reason);
        let aside = self
            .environments
            .entry(counts.environment.clone())
            .or_insert_with(|| SetAside { series: counts.series.clone(), slots: BTreeMap::new() });
        for slot in slots {
            let points = slot.series.iter().copied().zip(slot.counts.iter().copied());
            aside.slots.entry(slot.slot).or_default().extend(points);
        }
    }

    /// The counts in the order that [`Batch`] promises.
    fn into_counts(self) -> Vec<EnvironmentCounts> {
        let slot = |(slot, points): (Slot, BTreeMap<u32, u64>)| {
            let (series, counts) = points.into_iter().unzip();
            SlotCounts { slot, series, counts }
        };
        let environment = |(environment, SetAside { series, slots }): (Environment, SetAside)| {
            EnvironmentCounts { environment, series, slots: slots.into_iter().map(slot).collect() }
        };
        self.environments.into_iter().map(environment).collect()
    }

    /// A dead letter with exactly these counts, and its reason. `may_be_repeat`: the record may have been appended
    /// twice, and the counts be among what retention has taken.
    pub(crate) fn into_dead_letter(
        self,
        record: &Positioned,
        may_be_repeat: bool,
        now: Timestamp,
    ) -> Result<Option<(&'static str, DeadLetter)>> {
        let Some(reason) = self.reason.clone() else { return Ok(None) };
        let is_uncertain = self.is_uncertain || (self.is_past && may_be_repeat);
        let batch = Batch { environments: self.into_counts(), ..record.batch.clone() };
        let sum = batch
            .environments
            .iter()
            .flat_map(EnvironmentCounts::points)
            .try_fold(0_u64, |sum, (_, _, count)| {
                sum.checked_add(count).filter(|&sum| i64::try_from(sum).is_ok())
            });
        let (reason, detail) = match reason {
            Reason::PastRetention if may_be_repeat => (
                "past_retention",
                "older than the raw floor; a newer seal of the node is stored, so it may be a repeat"
                    .to_owned(),
            ),
            Reason::PastRetention => ("past_retention", "older than the raw floor".to_owned()),
            Reason::PastRetentionMeanwhile => (
                "past_retention",
                "the raw floor moved on while it was written: it may be in the coarser tiers or not"
                    .to_owned(),
            ),
            Reason::Overflow => {
                ("overflow", "the counts of one minute add up beyond what a row can keep".to_owned())
            }
            Reason::Refused(why) => ("refused", format!("the database does not take it: {why}")),
        };
        let letter = DeadLetter {
            partition: record.partition,
            offset: record.offset,
            at: now,
            reason: reason.to_owned(),
            detail,
            count: sum.filter(|_| !is_uncertain),
            payload: encode(&batch, ContentEncoding::Zstd)?,
        };
        Ok(Some((reason, letter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::fixture::{Seal, at, environment, flag};

    #[test]
    fn a_count_is_told_only_where_no_reason_leaves_it_open() {
        let seal = Seal::new(1, 1).unwrap();
        let (one, a) = (environment("one").unwrap(), flag("a").unwrap());
        let record = seal.count(&one, &a, 0, 5).count(&one, &a, 60, 6).record().unwrap();
        let counts = &record.batch.environments[0];
        let refused = || Reason::Refused("no".to_owned());
        for (first, second, may_be_repeat, expected) in [
            (refused(), Reason::Overflow, true, Some(11)),
            (Reason::Overflow, Reason::PastRetention, false, Some(11)),
            (Reason::Overflow, Reason::PastRetention, true, None),
            (refused(), Reason::PastRetentionMeanwhile, false, None),
            (Reason::PastRetentionMeanwhile, refused(), false, None),
        ] {
            let told = format!("{first:?}, {second:?}");
            let mut aside = Refused::default();
            aside.add(counts, &counts.slots[..1], first);
            aside.add(counts, &counts.slots[1..], second);
            let (_, letter) = aside.into_dead_letter(&record, may_be_repeat, at(9)).unwrap().unwrap();
            assert_eq!(letter.count, expected, "{told}");
        }
    }
}
