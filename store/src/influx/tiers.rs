//! What the tiers hold: points as they stand, and what they come to.
//!
//! A window's first roll-up stands at its start, and sums inside the database find it there. What it was rolled up
//! to again stands beside it, in a measurement of its own that is nearly always empty. The value of a window is the
//! greatest of all of these.

use std::collections::BTreeSet;

use flagmeter_model::{Environment, Meter, Name, Series, SeriesKey, Tier, TimeRange, Timestamp, Window};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    InfluxStore, blocking,
    csv::{self, Row, damaged},
    ql::{METER, Where, tag},
    schema::{COUNT, COUNT_AGAIN, TOTAL, TOTAL_AGAIN, source},
};
use crate::{Dimension, Error, Result, answering::plus};

const SERIES_TAGS: [&str; 7] = [
    tag(Dimension::Customer),
    tag(Dimension::Project),
    tag(Dimension::Environment),
    METER,
    tag(Dimension::Name),
    tag(Dimension::Variant),
    tag(Dimension::Sdk),
];
const TOTALS_TAGS: [&str; 4] =
    [tag(Dimension::Customer), tag(Dimension::Project), tag(Dimension::Environment), METER];

/// Along which axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    /// Every series.
    Series,
    /// The totals per meter and environment.
    Totals,
}

impl Axis {
    pub(super) const BOTH: [Self; 2] = [Self::Series, Self::Totals];

    /// Where windows stand as they were rolled up first; for raw points where all of them stand.
    pub(super) const fn measurement(self) -> &'static str {
        match self {
            Self::Series => COUNT,
            Self::Totals => TOTAL,
        }
    }

    /// Where windows stand that were rolled up again.
    pub(super) const fn again(self) -> &'static str {
        match self {
            Self::Series => COUNT_AGAIN,
            Self::Totals => TOTAL_AGAIN,
        }
    }

    /// The tags of a point, in the order in which they are asked for: those of an environment and the meter come
    /// first.
    pub(super) const fn tags(self) -> &'static [&'static str] {
        match self {
            Self::Series => &SERIES_TAGS,
            Self::Totals => &TOTALS_TAGS,
        }
    }

    /// Asks for points as they stand, those that were rolled up again among them if there can be any.
    pub(super) fn points(self, store: &InfluxStore, tier: Tier, conditions: &Where) -> Vec<String> {
        let mut sources = vec![source(store.buckets.tier(tier), self.measurement())];
        if tier != Tier::Raw {
            sources.push(source(store.buckets.tier(tier), self.again()));
        }
        sources.iter().map(|source| self.points_of(source, "count", conditions)).collect()
    }

    /// Asks for the points of a measurement, in an answer that is told from others by its label.
    pub(super) fn points_of(self, source: &str, label: &str, conditions: &Where) -> String {
        format!("SELECT \"count\" AS \"{label}\"{} FROM {source} WHERE {conditions}", columns(self.tags()))
    }
}

/// Columns after the first.
pub(super) fn columns(tags: &[&str]) -> String {
    tags.iter().flat_map(|tag| [", \"", tag, "\""]).collect()
}

/// What a point is counted for: a series, or, where there is no name, the total of a meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) environment: Environment,
    pub(super) meter: Meter,
    name: Option<Name>,
    variant: Option<Name>,
    sdk: Option<Name>,
}

impl Counted {
    /// From the tags of a row, in the order of [`Axis::tags`], the first of them in column `first`.
    pub(super) fn of(row: &Row<'_>, first: usize) -> Result<Self> {
        let meter = row.text(first + 3);
        let meter = Meter::ALL.into_iter().find(|known| known.name() == meter);
        Ok(Self {
            environment: row.environment(first)?,
            meter: meter.ok_or_else(|| damaged("a point of an unknown meter"))?,
            name: row.name(first + 4)?,
            variant: row.name(first + 5)?,
            sdk: row.name(first + 6)?,
        })
    }

    /// The key of the series, if it is one.
    pub(super) fn key(&self) -> Option<SeriesKey> {
        let Self { meter, name, variant, sdk, .. } = self;
        let key = |name: &Name| SeriesKey {
            meter: *meter,
            name: name.clone(),
            variant: variant.clone(),
            sdk: sdk.clone(),
        };
        name.as_ref().map(key)
    }

    /// The series, if it is one.
    pub(super) fn into_series(self) -> Option<Series> {
        self.key().map(|key| Series { environment: self.environment, key })
    }

    pub(super) fn cell(&self, dimension: Dimension) -> Option<Name> {
        match dimension {
            Dimension::Customer => Some(self.environment.customer.clone()),
            Dimension::Project => Some(self.environment.project.clone()),
            Dimension::Environment => Some(self.environment.environment.clone()),
            Dimension::Name => self.name.clone(),
            Dimension::Variant => self.variant.clone(),
            Dimension::Sdk => self.sdk.clone(),
        }
    }
}

type Map<K, V> = HashMap<K, V, RandomState>;

/// Values by what is counted and by window, from points as they stand: raw points added up by minute, windows of
/// the other tiers as the greatest of what they were rolled up to.
#[derive(Debug)]
pub(super) struct Windows {
    tier: Tier,
    /// By the tags of a row, each with its end.
    places: Map<String, usize>,
    counted: Vec<Counted>,
    values: Map<(usize, Timestamp), u64>,
    rows: usize,
    key: String,
}

impl Windows {
    /// Nothing yet, of this tier.
    pub(super) fn of(tier: Tier) -> Self {
        Self {
            tier,
            places: Map::default(),
            counted: Vec::new(),
            values: Map::default(),
            rows: 0,
            key: String::new(),
        }
    }

    /// How many points it was made of.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// Takes a point.
    pub(super) fn take(&mut self, row: &Row<'_>) -> Result<()> {
        let count = row.count(0)?;
        let place = self.place(row)?;
        self.rows += 1;
        let start = row.time()?.floor_to(self.seconds());
        let value = self.values.entry((place, start)).or_default();
        *value = if self.tier == Tier::Raw { plus(*value, count)? } else { count.max(*value) };
        Ok(())
    }

    fn place(&mut self, row: &Row<'_>) -> Result<usize> {
        self.key.clear();
        for column in 1..=SERIES_TAGS.len() {
            self.key.push_str(row.text(column));
            // Names hold no control characters.
            self.key.push('\0');
        }
        if let Some(&place) = self.places.get(&self.key) {
            return Ok(place);
        }
        self.counted.push(Counted::of(row, 1)?);
        self.places.insert(self.key.clone(), self.counted.len() - 1);
        Ok(self.counted.len() - 1)
    }

    /// Length of a window: raw points come by minute.
    const fn seconds(&self) -> i64 {
        let seconds = self.tier.seconds();
        if seconds < Tier::Minute.seconds() { Tier::Minute.seconds() } else { seconds }
    }

    /// The windows that there are, whoever was counted in them.
    pub(super) fn starts(&self) -> BTreeSet<Timestamp> {
        self.values.keys().map(|&(_, start)| start).collect()
    }

    /// The environments that there are.
    pub(super) fn environments(&self) -> BTreeSet<Environment> {
        self.counted.iter().map(|counted| counted.environment.clone()).collect()
    }

    /// The values, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Counted, Timestamp, u64)> {
        self.values
            .iter()
            .filter_map(|(&(place, start), &value)| Some((self.counted.get(place)?, start, value)))
    }

    /// The values added up by windows of a coarser tier, in no order.
    pub(super) fn coarsened(&self, tier: Tier) -> Result<Vec<(&Counted, Window, u64)>> {
        let mut sums: Map<(usize, Window), u64> = Map::default();
        for (&(place, start), &value) in &self.values {
            let sum = sums.entry((place, Window::containing(tier, start))).or_default();
            *sum = plus(*sum, value)?;
        }
        Ok(sums
            .into_iter()
            .filter_map(|((place, window), sum)| Some((self.counted.get(place)?, window, sum)))
            .collect())
    }
}

/// What is done with a question whose answer would be too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// It fails: whoever asks has a better way to ask for less.
    Never,
    /// It is asked for in halves of its time, down to a part of a slot. That does no harm: raw points are added up,
    /// and of windows the greatest value is taken, wherever they come from.
    ByTime,
}

impl Split {
    fn halves(self, range: TimeRange) -> Option<[TimeRange; 2]> {
        let middle = range.from.plus_millis(range.to.millis_since(range.from) / 2);
        let halves = [TimeRange::new(middle, range.to), TimeRange::new(range.from, middle)];
        (self == Self::ByTime && halves.iter().all(|half| !half.is_empty())).then_some(halves)
    }
}

impl InfluxStore {
    /// Asks for the points of a range, and takes them in.
    pub(super) async fn fold(
        &self,
        range: TimeRange,
        split: Split,
        statements: impl Fn(TimeRange) -> Vec<String> + Send,
        mut into: Windows,
    ) -> Result<Windows> {
        let mut left = vec![range];
        while let Some(range) = left.pop() {
            let question = statements(range).join(";");
            let answer = match self.client.query(&question).await {
                Err(error @ Error::TooMany { .. }) => {
                    left.extend(split.halves(range).ok_or(error)?);
                    continue;
                }
                answer => answer?,
            };
            into = blocking(move || csv::visit(&answer, |row| into.take(row)).map(|()| into)).await?;
        }
        Ok(into)
    }
}
