//! What the tiers hold, told exactly.
//!
//! A window's first roll-up stands at its start, and sums inside the database find it there. What it was rolled up
//! to again stands beside it, in a measurement of its own that is nearly always empty. The value of a window is the
//! greatest of all of these. So a sum is made in two steps: first the windows are asked for that were rolled up
//! again, then the sums are asked for without them, and they themselves value by value. Whatever is written in
//! between, each window is counted once.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use flagmeter_model::{Environment, Meter, Name, Series, SeriesKey, Tier, TimeRange, Timestamp, Window};
use foldhash::fast::RandomState;
use futures_util::{StreamExt, TryStreamExt, stream};
use hashbrown::HashMap;

use super::{
    InfluxStore,
    csv::{self, Row, damaged},
    ql::{METER, Run, Where, runs, tag},
    schema::{COUNT, COUNT_AGAIN, TOTAL, TOTAL_AGAIN, source},
};
use crate::{
    CoveredPart, Dimension, Error, GroupKey, Read, Result,
    answering::{Sums, plus},
};

/// Statements in one request, which the server answers one after the other.
const STATEMENTS_MAX: usize = 50;
/// Requests on their way at once for one call.
const REQUESTS_MAX: usize = 4;
/// Buckets of one statement that groups. To put a group's bucket together costs the server more than to read its
/// points; so a long chart is asked for in pieces, side by side.
const GROUPED_BUCKETS_MAX: usize = 30;
/// Stretches of windows that are left out of the sums of one part. Beyond it the nearest ones become one.
const HOLES_MAX: usize = 32;

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

    fn points_of(self, source: &str, label: &str, conditions: &Where) -> String {
        format!("SELECT \"count\" AS \"{label}\"{} FROM {source} WHERE {conditions}", columns(self.tags()))
    }
}

/// Large answers are read where nobody waits for the thread.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?
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
        let named =
            |column| row.name(first + column)?.ok_or_else(|| damaged("a point without the tags of a series"));
        let environment = Environment { customer: named(0)?, project: named(1)?, environment: named(2)? };
        let meter = row.text(first + 3);
        let meter = Meter::ALL.into_iter().find(|known| known.name() == meter);
        Ok(Self {
            environment,
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

    fn cell(&self, dimension: Dimension) -> Option<Name> {
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

impl InfluxStore {
    /// Asks for points, and takes them in. One request, however many statements there are.
    pub(super) async fn fold(&self, statements: &[String], mut into: Windows) -> Result<Windows> {
        if statements.is_empty() {
            return Ok(into);
        }
        let answer = self.client.query(&statements.join(";")).await?;
        blocking(move || csv::visit(&answer, |row| into.take(row)).map(|()| into)).await
    }

    /// Asks statements, a few at a time, and gives their answers in no order.
    async fn ask(&self, statements: &[String]) -> Result<Vec<Bytes>> {
        let request = |statements: &[String]| {
            let request = statements.join(";");
            async move { self.client.query(&request).await }
        };
        let together = statements.len().div_ceil(REQUESTS_MAX).clamp(1, STATEMENTS_MAX);
        let requests: Vec<_> = statements.chunks(together).map(request).collect();
        stream::iter(requests).buffer_unordered(REQUESTS_MAX).try_collect().await
    }
}

/// Adds up what a read asks for, part by part.
pub(super) async fn add_up(
    store: &InfluxStore,
    read: &Arc<Read>,
    axis: Axis,
    parts: &[CoveredPart],
    sums: Sums,
) -> Result<Sums> {
    let windows: Vec<Windows> = parts.iter().map(|part| Windows::of(part.tier)).collect();
    let rolled = parts.iter().copied().enumerate().filter(|(_, part)| part.tier != Tier::Raw);
    let again = points(store, read, axis, axis.again(), rolled, windows).await?;

    let (mut questions, mut one_by_one) = (Vec::new(), Vec::new());
    for (place, (part, again)) in parts.iter().zip(&again).enumerate() {
        let mut ask_sums =
            |from, to| questions.extend(sums_of(store, read, axis, part.tier, TimeRange::new(from, to)));
        let mut from = part.range.from;
        for range in holes(&again.starts(), part.tier) {
            ask_sums(from, range.from);
            one_by_one.push((place, CoveredPart { tier: part.tier, range }));
            from = range.to;
        }
        ask_sums(from, part.range.to);
    }
    let values = points(store, read, axis, axis.measurement(), one_by_one.into_iter(), again).await?;
    let answers = store.ask(&questions).await?;

    let read = Arc::clone(read);
    blocking(move || {
        let mut sums = sums;
        let tags = group_tags(&read.group_by);
        for answer in answers {
            csv::visit(&answer, |row| add_sum(row, &read, &tags, &mut sums))?;
        }
        for (counted, start, value) in values.iter().flat_map(Windows::iter) {
            let group: GroupKey = read.group_by.iter().map(|&dimension| counted.cell(dimension)).collect();
            let group = sums.group(&group)?;
            sums.add(group, bucket(&read, start)?, value)?;
        }
        Ok(sums)
    })
    .await
}

/// Asks for the points of parts as they stand, and takes each into the windows at the place of its part.
async fn points(
    store: &InfluxStore,
    read: &Read,
    axis: Axis,
    measurement: &str,
    parts: impl Iterator<Item = (usize, CoveredPart)>,
    mut into: Vec<Windows>,
) -> Result<Vec<Windows>> {
    let question = |(place, part): (usize, CoveredPart)| {
        let source = source(store.buckets.tier(part.tier), measurement);
        axis.points_of(&source, &format!("p{place}"), &conditions(read, part.range))
    };
    let answers = store.ask(&parts.map(question).collect::<Vec<_>>()).await?;
    blocking(move || {
        for answer in answers {
            csv::visit(&answer, |row| {
                let place = row.label().strip_prefix('p').and_then(|place| place.parse::<usize>().ok());
                let windows = place.and_then(|place| into.get_mut(place));
                windows.ok_or_else(|| damaged("an answer that was not asked for"))?.take(row)
            })?;
        }
        Ok(into)
    })
    .await
}

fn conditions(read: &Read, range: TimeRange) -> Where {
    Where::within(range).meter(read.meter).filter(&read.filter)
}

/// The stretches that these windows take, in order, and at most [`HOLES_MAX`] of them.
fn holes(starts: &BTreeSet<Timestamp>, tier: Tier) -> Vec<TimeRange> {
    let mut holes: Vec<TimeRange> = Vec::new();
    for &start in starts {
        let end = start.plus_seconds(tier.seconds());
        match holes.last_mut() {
            Some(last) if last.to == start => last.to = end,
            _ => holes.push(TimeRange::new(start, end)),
        }
    }
    if holes.len() > HOLES_MAX {
        let gap = |pair: &[TimeRange]| pair[1].from.millis_since(pair[0].to);
        let mut gaps: Vec<i64> = holes.windows(2).map(gap).collect();
        gaps.sort_unstable_by(|a, b| b.cmp(a));
        // Gaps longer than this are few enough to stay.
        let kept = gaps.get(HOLES_MAX - 1).copied().unwrap_or_default();
        let mut merged: Vec<TimeRange> = Vec::with_capacity(HOLES_MAX);
        for hole in holes {
            match merged.last_mut() {
                Some(last) if hole.from.millis_since(last.to) <= kept => last.to = hole.to,
                _ => merged.push(hole),
            }
        }
        holes = merged;
    }
    holes
}

/// Asks for the sums of a stretch, run by run of equal buckets.
fn sums_of(store: &InfluxStore, read: &Read, axis: Axis, tier: Tier, range: TimeRange) -> Vec<String> {
    let source = source(store.buckets.tier(tier), axis.measurement());
    let tags = group_tags(&read.group_by);
    let sum = |run: Run| {
        let conditions = conditions(read, run.range);
        let group_by = run.group_by(&tags);
        let sum = format!("SELECT sum(\"count\") AS \"sum\" FROM {source} WHERE {conditions}{group_by}");
        if tags.is_empty() { sum } else { format!("SELECT \"sum\"{} FROM ({sum})", columns(&tags)) }
    };
    let buckets_max = if tags.is_empty() { usize::MAX } else { GROUPED_BUCKETS_MAX };
    runs(&read.edges, range, buckets_max).into_iter().map(sum).collect()
}

/// The tags to group by, each once.
fn group_tags(group_by: &[Dimension]) -> Vec<&'static str> {
    let dimensions: BTreeSet<Dimension> = group_by.iter().copied().collect();
    dimensions.into_iter().map(tag).collect()
}

fn add_sum(row: &Row<'_>, read: &Read, tags: &[&str], sums: &mut Sums) -> Result<()> {
    let cell = |&dimension: &Dimension| match tags.iter().position(|&asked| asked == tag(dimension)) {
        Some(at) => row.name(1 + at),
        None => Ok(None),
    };
    let group: GroupKey = read.group_by.iter().map(cell).collect::<Result<_>>()?;
    let count = row.count(0)?;
    if count > 0 {
        let group = sums.group(&group)?;
        sums.add(group, bucket(read, row.time()?)?, count)?;
    }
    Ok(())
}

/// The bucket that an instant of the range lies in.
fn bucket(read: &Read, at: Timestamp) -> Result<usize> {
    let after = read.edges.partition_point(|&edge| edge <= at);
    after.checked_sub(1).ok_or_else(|| damaged("a window before the range that was asked for"))
}
