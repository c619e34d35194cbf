//! How often each flag was decided which way: counts for flagmeter itself to count.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// So many decisions of one flag for one variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The flag's key.
    pub flag: &'static str,
    /// The variant.
    pub variant: &'static str,
    /// How often.
    pub count: u64,
}

/// Decisions since the last time that they were taken. Bounded: both names come from the catalogue.
#[derive(Debug, Default)]
pub(crate) struct Exposures(Mutex<BTreeMap<(&'static str, &'static str), u64>>);

impl Exposures {
    pub(crate) fn add(&self, flag: &'static str, variant: &'static str) {
        let mut counts = self.0.lock();
        let count = counts.entry((flag, variant)).or_insert(0);
        *count = count.saturating_add(1);
    }

    pub(crate) fn take(&self) -> Vec<Exposure> {
        let counts = std::mem::take(&mut *self.0.lock());
        counts.into_iter().map(|((flag, variant), count)| Exposure { flag, variant, count }).collect()
    }
}
