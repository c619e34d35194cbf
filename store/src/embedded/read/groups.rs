//! From the numbers of an environment's series to the groups they are counted in.

use flagmeter_model::{Environment, SeriesKey};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::super::block::damaged;
use crate::{Cell, Dimension, GroupKey, Read, Result, answering::Sums};

/// A series that is not asked for.
const UNWANTED: u32 = u32::MAX;

/// The groups of one environment. Looked up before any block is opened, so that each count of a block costs
/// two steps in arrays and nothing is allocated on the way.
#[derive(Debug)]
pub(super) struct Groups {
    /// By series number: a position in `groups`, or [`UNWANTED`].
    of_series: Vec<u32>,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    key: GroupKey,
    /// Its place in the sums, once it was counted: a group that never was is not in the answer.
    place: Option<usize>,
}

impl Groups {
    /// The one group of all that is counted in an environment, for a question that the totals answer.
    pub(super) fn of_totals(read: &Read, environment: &Environment) -> Self {
        let cell = |dimension| of_environment(dimension, environment).flatten();
        let key = read.group_by.iter().map(|&dimension| cell(dimension)).collect();
        Self { of_series: Vec::new(), groups: vec![Group { key, place: None }] }
    }

    /// The groups of an environment's series, in the order of their numbers from 0.
    pub(super) fn of_series<'k>(
        read: &Read,
        environment: &Environment,
        series: impl Iterator<Item = &'k SeriesKey>,
    ) -> Self {
        let mut positions: HashMap<GroupKey, u32, RandomState> = HashMap::default();
        let mut groups = Vec::new();
        let mut position_of = |key: &SeriesKey| {
            if key.meter != read.meter || !read.filter.takes_key(key) {
                return UNWANTED;
            }
            let group = group_key(&read.group_by, environment, key);
            *positions.entry_ref(&group).or_insert_with(|| {
                groups.push(Group { key: group.clone(), place: None });
                u32::try_from(groups.len() - 1).unwrap_or(UNWANTED)
            })
        };
        let of_series = series.map(&mut position_of).collect();
        Self { of_series, groups }
    }

    /// Whether nothing of the environment is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Counts a series, if it is asked for.
    #[inline]
    pub(super) fn add_series(
        &mut self,
        sums: &mut Sums,
        number: u32,
        bucket: usize,
        count: u64,
    ) -> Result<()> {
        match self.of_series.get(number as usize) {
            Some(&UNWANTED) => Ok(()),
            Some(&position) => self.add(sums, position as usize, bucket, count),
            None => Err(damaged("a count of a series that is not there")),
        }
    }

    /// Counts a total.
    pub(super) fn add_total(&mut self, sums: &mut Sums, bucket: usize, count: u64) -> Result<()> {
        self.add(sums, 0, bucket, count)
    }

    #[inline]
    fn add(&mut self, sums: &mut Sums, position: usize, bucket: usize, count: u64) -> Result<()> {
        let Some(group) = self.groups.get_mut(position) else { return Err(damaged("a group is not there")) };
        let place = match group.place {
            Some(place) => place,
            None => *group.place.insert(sums.group(&group.key)?),
        };
        sums.add(place, bucket, count)
    }
}

/// What the environment tells of a dimension; the outer `None` where only the series does.
fn of_environment(dimension: Dimension, environment: &Environment) -> Option<Cell> {
    match dimension {
        Dimension::Customer => Some(Some(environment.customer.clone())),
        Dimension::Project => Some(Some(environment.project.clone())),
        Dimension::Environment => Some(Some(environment.environment.clone())),
        Dimension::Name | Dimension::Variant | Dimension::Sdk => None,
    }
}

fn group_key(group_by: &[Dimension], environment: &Environment, key: &SeriesKey) -> GroupKey {
    let cell = |dimension| match dimension {
        Dimension::Name => Some(key.name.clone()),
        Dimension::Variant => key.variant.clone(),
        Dimension::Sdk => key.sdk.clone(),
        other => of_environment(other, environment).flatten(),
    };
    group_by.iter().map(|&dimension| cell(dimension)).collect()
}
