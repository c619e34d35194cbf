//! Counts by group and bucket, bounded and never wrapping.

use flagmeter_model::Error as ModelError;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::{Error, GroupKey, Result, Row};

/// Largest count and largest sum that is kept: the integers of the databases are signed.
pub(crate) const COUNT_MAX: u64 = i64::MAX as u64;

/// The sum, if it can be kept.
pub(crate) fn plus(sum: u64, count: u64) -> Result<u64> {
    Ok(sum.checked_add(count).filter(|&sum| sum <= COUNT_MAX).ok_or(ModelError::Overflow)?)
}

/// What a read has added up so far.
#[derive(Debug)]
pub(crate) struct Sums {
    buckets: usize,
    groups_max: usize,
    groups: HashMap<GroupKey, usize, RandomState>,
    /// A run of buckets for each group, in the order of their coming.
    counts: Vec<u64>,
}

impl Sums {
    /// Nothing yet: for that many buckets, and at most that many groups.
    pub(crate) fn new(buckets: usize, groups_max: usize) -> Self {
        Self { buckets, groups_max, groups: HashMap::default(), counts: Vec::new() }
    }

    /// The place of a group, made if it is new.
    pub(crate) fn group(&mut self, key: &GroupKey) -> Result<usize> {
        if let Some(&at) = self.groups.get(key) {
            return Ok(at);
        }
        let at = self.groups.len();
        if at >= self.groups_max {
            return Err(Error::TooMany { what: "groups", max: self.groups_max });
        }
        self.groups.insert(key.clone(), at);
        self.counts.resize(self.counts.len() + self.buckets, 0);
        Ok(at)
    }

    /// Adds to a group's bucket.
    pub(crate) fn add(&mut self, group: usize, bucket: usize, count: u64) -> Result<()> {
        let inside = (bucket < self.buckets).then_some(group * self.buckets + bucket);
        let place = inside.and_then(|place| self.counts.get_mut(place));
        let sum = place.ok_or_else(|| Error::Damaged(format!("a window lies outside bucket {bucket}")))?;
        *sum = plus(*sum, count)?;
        Ok(())
    }

    /// Whether each bucket holds anything.
    pub(crate) fn counted(&self) -> Vec<bool> {
        let mut counted = vec![false; self.buckets];
        for counts in self.counts.chunks_exact(self.buckets) {
            for (counted, &count) in counted.iter_mut().zip(counts) {
                *counted |= count > 0;
            }
        }
        counted
    }

    /// The rows, in the order of their keys.
    pub(crate) fn into_rows(self) -> Vec<Row> {
        let counts = |at: usize| self.counts[at * self.buckets..][..self.buckets].to_vec();
        let mut rows: Vec<Row> =
            self.groups.into_iter().map(|(group, at)| Row { group, counts: counts(at) }).collect();
        rows.sort_unstable_by(|a, b| a.group.cmp(&b.group));
        rows
    }
}

#[cfg(test)]
mod tests {
    use flagmeter_model::Name;

    use super::*;

    fn key(name: &str) -> GroupKey {
        vec![Some(Name::new(name).unwrap())]
    }

    #[test]
    fn rows_come_in_the_order_of_their_keys() {
        let mut sums = Sums::new(2, 9);
        for (name, bucket) in [("b", 0), ("a", 1), ("b", 1), ("b", 1)] {
            let group = sums.group(&key(name)).unwrap();
            sums.add(group, bucket, 5).unwrap();
        }
        assert_eq!(sums.counted(), [true, true]);
        let expected = [("a", vec![0, 5]), ("b", vec![5, 10])];
        assert_eq!(sums.into_rows(), expected.map(|(name, counts)| Row { group: key(name), counts }));
    }

    #[test]
    fn groups_beyond_the_limit_are_refused_and_known_ones_are_not() {
        let mut sums = Sums::new(1, 1);
        sums.group(&key("a")).unwrap();
        assert!(sums.group(&key("a")).is_ok());
        let error = sums.group(&key("b")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the answer has more than 1 groups: narrow the filter, or ask for less"
        );
    }

    #[test]
    fn a_bucket_beyond_the_last_is_not_the_first_of_the_next_group() {
        let mut sums = Sums::new(2, 9);
        let group = sums.group(&key("a")).unwrap();
        sums.group(&key("b")).unwrap();
        assert!(matches!(sums.add(group, 2, 5), Err(Error::Damaged(_))));
        assert_eq!(sums.counted(), [false, false]);
    }

    #[test]
    fn sums_never_wrap() {
        let mut sums = Sums::new(1, 1);
        let group = sums.group(&key("a")).unwrap();
        sums.add(group, 0, COUNT_MAX).unwrap();
        assert!(matches!(sums.add(group, 0, 1), Err(Error::Model(ModelError::Overflow))));
    }
}
