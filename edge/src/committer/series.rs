//! The series that are live in memory, each known by a small number.
//!
//! One thread owns them. A series costs its texts in one allocation, 32 bytes in a slab and about 8 in a hash
//! table; names come from strangers, so the hash is seeded.

use std::{cmp::Ordering, hash::BuildHasher, sync::Arc};

use flagmeter_model::{Environment, Limits, Meter, Name, SeriesKey};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};

/// The number of a live series.
pub(crate) type SeriesId = u32;
/// The number of an environment that was counted for since the start.
pub(crate) type EnvironmentId = u32;

/// What names a series, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SeriesRef<'s> {
    pub(crate) environment: EnvironmentId,
    pub(crate) meter: Meter,
    pub(crate) name: &'s str,
    pub(crate) variant: Option<&'s str>,
    pub(crate) sdk: Option<&'s str>,
}

impl SeriesRef<'_> {
    /// The order of [`SeriesKey`].
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        (self.meter, self.name, self.variant, self.sdk).cmp(&(
            other.meter,
            other.name,
            other.variant,
            other.sdk,
        ))
    }

    /// The same, owned.
    pub(crate) fn to_key(self) -> flagmeter_model::Result<SeriesKey> {
        Ok(SeriesKey {
            meter: self.meter,
            name: Name::new(self.name)?,
            variant: self.variant.map(Name::new).transpose()?,
            sdk: self.sdk.map(Name::new).transpose()?,
        })
    }
}

/// What was folded into `__other__`, because its environment has too many series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    /// The variant and the SDK.
    Variant,
    /// The name too.
    Name,
}

const ABSENT: u16 = u16::MAX;

/// A series. Its texts lie behind each other: name, variant, SDK.
#[derive(Debug)]
struct Entry {
    texts: Box<str>,
    environment: EnvironmentId,
    /// The number of the seal in which it was last counted.
    used: u32,
    name_bytes: u16,
    /// [`ABSENT`] if there is none.
    variant_bytes: u16,
    meter: Meter,
    has_sdk: bool,
}

impl Entry {
    fn new(series: &SeriesRef<'_>, used: u32) -> Self {
        let texts = [series.name, series.variant.unwrap_or(""), series.sdk.unwrap_or("")].concat();
        // Names are at most Limits::NAME_BYTES_MAX bytes long.
        let bytes = |text: &str| u16::try_from(text.len()).unwrap_or(ABSENT - 1);
        Self {
            texts: texts.into(),
            environment: series.environment,
            used,
            name_bytes: bytes(series.name),
            variant_bytes: series.variant.map_or(ABSENT, bytes),
            meter: series.meter,
            has_sdk: series.sdk.is_some(),
        }
    }

    fn series(&self) -> SeriesRef<'_> {
        let (name, rest) = self.texts.split_at_checked(self.name_bytes.into()).unwrap_or((&self.texts, ""));
        let variant_bytes = if self.variant_bytes == ABSENT { 0 } else { self.variant_bytes.into() };
        let (variant, sdk) = rest.split_at_checked(variant_bytes).unwrap_or((rest, ""));
        SeriesRef {
            environment: self.environment,
            meter: self.meter,
            name,
            variant: (self.variant_bytes != ABSENT).then_some(variant),
            sdk: self.has_sdk.then_some(sdk),
        }
    }
}

#[derive(Debug)]
struct EnvironmentEntry {
    environment: Arc<Environment>,
    /// Live series of usage meters.
    live: usize,
}

/// The live series.
#[derive(Debug)]
pub(crate) struct LiveSeries {
    hasher: RandomState,
    table: HashTable<SeriesId>,
    slab: Vec<Entry>,
    free: Vec<SeriesId>,
    environments: Vec<EnvironmentEntry>,
    environment_ids: HashMap<Arc<Environment>, EnvironmentId, RandomState>,
    per_environment_max: usize,
    /// The number of the seal that is being filled.
    round: u32,
    /// How far the search for idle series has got.
    swept: usize,
}

impl LiveSeries {
    pub(crate) fn new(per_environment_max: usize) -> Self {
        Self {
            hasher: RandomState::default(),
            table: HashTable::new(),
            slab: Vec::new(),
            free: Vec::new(),
            environments: Vec::new(),
            environment_ids: HashMap::default(),
            per_environment_max,
            round: 0,
            swept: 0,
        }
    }

    /// How many are live.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The number of an environment.
    pub(crate) fn environment(&mut self, environment: &Arc<Environment>) -> EnvironmentId {
        if let Some(&id) = self.environment_ids.get(environment) {
            return id;
        }
        // Environments come from the registry, which has a bounded size.
        let id = EnvironmentId::try_from(self.environments.len()).unwrap_or(EnvironmentId::MAX);
        self.environments.push(EnvironmentEntry { environment: environment.clone(), live: 0 });
        self.environment_ids.insert(environment.clone(), id);
        id
    }

    /// The environment with this number.
    pub(crate) fn environment_of(&self, id: EnvironmentId) -> &Arc<Environment> {
        &self.environments[id as usize].environment
    }

    /// The series with this number.
    pub(crate) fn series(&self, id: SeriesId) -> SeriesRef<'_> {
        self.slab[id as usize].series()
    }

    /// The number of a series, whatever the bounds say: for fates, and for what was admitted before.
    pub(crate) fn intern(&mut self, series: &SeriesRef<'_>) -> SeriesId {
        let hash = self.hasher.hash_one(series);
        if let Some(id) = self.touch(hash, series) { id } else { self.add(hash, series) }
    }

    /// The number of a series that is counted, or of the one that stands for it where its environment has too
    /// many: first without its variant and SDK (an eighth more of these), then without its name.
    pub(crate) fn admit(&mut self, series: &SeriesRef<'_>) -> (SeriesId, Option<Fold>) {
        let hash = self.hasher.hash_one(series);
        if let Some(id) = self.touch(hash, series) {
            return (id, None);
        }
        let live = self.environments[series.environment as usize].live;
        if live < self.per_environment_max {
            return (self.add(hash, series), None);
        }
        let other = Some(Limits::OTHER);
        let folded = SeriesRef { variant: series.variant.and(other), sdk: series.sdk.and(other), ..*series };
        let hash = self.hasher.hash_one(folded);
        if let Some(id) = self.touch(hash, &folded) {
            return (id, Some(Fold::Variant));
        }
        let is_fold = folded != *series;
        if is_fold && live < self.per_environment_max.saturating_add(self.per_environment_max / 8) {
            return (self.add(hash, &folded), Some(Fold::Variant));
        }
        (self.intern(&SeriesRef { name: Limits::OTHER, ..folded }), Some(Fold::Name))
    }

    fn touch(&mut self, hash: u64, series: &SeriesRef<'_>) -> Option<SeriesId> {
        let slab = &self.slab;
        let &id = self.table.find(hash, |&id| slab[id as usize].series() == *series)?;
        self.slab[id as usize].used = self.round;
        Some(id)
    }

    fn add(&mut self, hash: u64, series: &SeriesRef<'_>) -> SeriesId {
        let entry = Entry::new(series, self.round);
        let id = if let Some(id) = self.free.pop() {
            self.slab[id as usize] = entry;
            id
        } else {
            if self.slab.len() == self.slab.capacity() {
                // A quarter at a time: doubling would leave half of it empty.
                self.slab.reserve_exact((self.slab.len() / 4).max(64));
            }
            self.slab.push(entry);
            SeriesId::try_from(self.slab.len() - 1).unwrap_or(SeriesId::MAX)
        };
        if series.meter.is_usage() {
            self.environments[series.environment as usize].live += 1;
        }
        let (slab, hasher) = (&self.slab, &self.hasher);
        self.table.insert_unique(hash, id, |&id| hasher.hash_one(slab[id as usize].series()));
        id
    }

    /// A seal was made: nothing refers to a number any more. Looks through a piece of the series for such as
    /// were idle for more than `idle` seals, and forgets them.
    pub(crate) fn sealed(&mut self, idle: u32) {
        self.round = self.round.wrapping_add(1);
        let piece = (self.slab.len() / 16).max(1_024).min(self.slab.len());
        for _ in 0..piece {
            self.swept = if self.swept + 1 < self.slab.len() { self.swept + 1 } else { 0 };
            self.forget_if_idle(self.swept, idle);
        }
        if self.table.len() < self.table.capacity() / 4 && self.table.capacity() > 4_096 {
            let (slab, hasher) = (&self.slab, &self.hasher);
            self.table.shrink_to(self.table.len() * 2, |&id| hasher.hash_one(slab[id as usize].series()));
        }
    }

    fn forget_if_idle(&mut self, at: usize, idle: u32) {
        let entry = &self.slab[at];
        if entry.texts.is_empty() || self.round.wrapping_sub(entry.used) <= idle {
            return;
        }
        let series = entry.series();
        let hash = self.hasher.hash_one(series);
        if series.meter.is_usage() {
            let live = &mut self.environments[series.environment as usize].live;
            *live = live.saturating_sub(1);
        }
        if let Ok(found) = self.table.find_entry(hash, |&id| id as usize == at) {
            let (id, _) = found.remove();
            self.free.push(id);
            self.slab[at].texts = Box::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn live(max: usize) -> (LiveSeries, EnvironmentId) {
        let mut live = LiveSeries::new(max);
        let name = |text: &str| Name::new(text).unwrap();
        let environment =
            Arc::new(Environment { customer: name("c"), project: name("p"), environment: name("e") });
        let id = live.environment(&environment);
        assert_eq!(live.environment(&environment), id);
        (live, id)
    }

    fn flag<'s>(environment: EnvironmentId, name: &'s str, variant: Option<&'s str>) -> SeriesRef<'s> {
        SeriesRef { environment, meter: Meter::Evaluations, name, variant, sdk: None }
    }

    #[test]
    fn a_series_keeps_its_number_and_its_texts() {
        let (mut live, environment) = live(10);
        let series = SeriesRef {
            environment,
            meter: Meter::Evaluations,
            name: "a",
            variant: Some("bc"),
            sdk: Some("s/1"),
        };
        let (id, fold) = live.admit(&series);
        assert_eq!(fold, None);
        assert_eq!(live.series(id), series);
        assert_eq!(live.admit(&series), (id, None));
        // The same texts cut elsewhere are another series.
        let other = SeriesRef { name: "ab", variant: Some("c"), ..series };
        assert_ne!(live.admit(&other).0, id);
        assert_eq!(size_of::<Entry>(), 32);
    }

    #[test]
    fn beyond_the_bound_variants_fold_first_and_then_names() {
        let (mut live, environment) = live(16);
        for variant in 0..16 {
            assert_eq!(live.admit(&flag(environment, "f", Some(&variant.to_string()))).1, None);
        }
        let (id, fold) = live.admit(&flag(environment, "f", Some("one more")));
        assert_eq!((live.series(id), fold), (flag(environment, "f", Some("__other__")), Some(Fold::Variant)));
        let (id, fold) = live.admit(&flag(environment, "g", Some("v")));
        assert_eq!((live.series(id).name, fold), ("g", Some(Fold::Variant)), "an eighth more is for these");
        let (id, fold) = live.admit(&flag(environment, "h", Some("v")));
        assert_eq!((live.series(id).name, fold), ("__other__", Some(Fold::Name)));
        let (id, fold) = live.admit(&flag(environment, "plain", None));
        assert_eq!((live.series(id), fold), (flag(environment, "__other__", None), Some(Fold::Name)));
        assert_eq!(live.admit(&flag(environment, "f", Some("3"))).1, None, "a live series is never folded");
    }

    #[test]
    fn fates_are_never_folded() {
        let (mut live, environment) = live(1);
        live.admit(&flag(environment, "f", None));
        let received = SeriesRef { meter: Meter::Received, ..flag(environment, "counts.v1", None) };
        let id = live.intern(&received);
        assert_eq!(live.series(id), received);
    }

    #[test]
    fn idle_series_leave_and_make_room() {
        let (mut live, environment) = live(4);
        for name in ["a", "b", "c", "d"] {
            live.admit(&flag(environment, name, None));
        }
        for _ in 0..5 {
            live.sealed(3);
            live.admit(&flag(environment, "a", None));
        }
        assert_eq!(live.len(), 1, "only the one that is counted stays");
        assert_eq!(live.admit(&flag(environment, "new", None)).1, None, "there is room again");
    }

    proptest! {
        #[test]
        fn numbers_stand_for_what_they_were_given_for(
            names in proptest::collection::vec(("[a-d]{1,3}", proptest::option::of("[a-c]{1,2}"), 0_u8..20), 1..200)
        ) {
            let (mut live, environment) = live(8);
            for (name, variant, action) in &names {
                if *action == 0 {
                    live.sealed(1);
                }
                let series = flag(environment, name, variant.as_deref());
                let (id, fold) = live.admit(&series);
                match fold {
                    None => prop_assert_eq!(live.series(id), series),
                    Some(Fold::Variant) => prop_assert_eq!(live.series(id).name, series.name),
                    Some(Fold::Name) => prop_assert_eq!(live.series(id).name, "__other__"),
                }
                // The bound, its eighth, and the two that names fold into.
                prop_assert!(live.len() <= 8 + 1 + 2);
            }
        }
    }
}
