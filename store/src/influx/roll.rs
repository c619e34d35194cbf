//! Windows from the finer tier.
//!
//! Points are read as they stand and added up here: that is faster than sums by series inside the database, and the
//! greatest of a window's values is taken on the way. Series are added up from series, totals from totals: the two
//! axes never lean on each other, so that an audit that compares them can find something.
//!
//! A first roll-up writes windows at their start. Windows that are rolled up again, because something came late, are
//! written beside them, each value a point of its own. So it does not matter who writes last: a downsampler that
//! slept between reading and writing writes a value that is smaller, or the same.

use std::collections::{BTreeMap, BTreeSet};

use flagmeter_model::{Environment, Name, Tier, TimeRange, Timestamp, Window};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    InfluxStore, blocking,
    csv::damaged,
    line::{LineBody, Lines},
    ql::Where,
    registers,
    schema::{again_time, nanoseconds},
    tiers::{Axis, Split, Windows},
};
use crate::{Dimension, Error, NewMark, Result, Rolled, Rolling};

/// Windows of a range that are read at a time, at first and at most.
const WINDOWS_FIRST: i64 = 8;
const WINDOWS_MAX: i64 = 240;
/// Named windows that are read at a time.
const NAMED_MAX: usize = 128;
/// Points that one request is meant to answer with.
const ROWS_AIM: usize = 100_000;
/// Customers that one request names.
const CUSTOMERS_MAX: usize = 500;
/// Requests on their way at once.
const REQUESTS_MAX: usize = 2;

/// Of a question that holds its times itself.
const ALL_AT_ONCE: TimeRange = TimeRange::new(Timestamp::EPOCH, Timestamp::MAX);

/// Rolls windows up.
pub(super) async fn roll(store: &InfluxStore, rolling: &Rolling) -> Result<Rolled> {
    match rolling {
        &Rolling::Range(tier, range) => {
            finer(tier)?;
            Window::starting(tier, range.from)?;
            Window::starting(tier, range.to)?;
            roll_range(store, tier, range).await
        }
        Rolling::Windows(windows) => roll_windows(store, windows).await,
    }
}

fn finer(tier: Tier) -> Result<Tier> {
    tier.finer().ok_or_else(|| Error::Unanswerable("raw points are not rolled up from anything".into()))
}

/// Rolls windows up for the first time, a stretch at a time: as long as the answers are of a good size.
async fn roll_range(store: &InfluxStore, tier: Tier, range: TimeRange) -> Result<Rolled> {
    let floor = registers::read(store).await?.floors().of(finer(tier)?);
    // Windows whose finer windows are gone stay as they are; floors are on the hour.
    let mut from = floor.map_or(range.from, |floor| floor.max(range.from));
    let mut rolled = Rolled::default();
    let mut pace = Pace { windows: WINDOWS_FIRST, rows_of_total: 600 };
    while from < range.to {
        let to = from.plus_seconds(tier.seconds() * pace.windows).min(range.to);
        let stretch = Stretch { tier, range: TimeRange::new(from, to) };
        let split = if pace.windows > 1 { Split::Never } else { Split::ByTime };
        let totals = match stretch.totals(store, split).await {
            Err(Error::TooMany { .. }) if split == Split::Never => {
                pace.windows /= 2;
                continue;
            }
            totals => totals?,
        };
        let done = stretch.series(store, &totals, &pace).await?;
        rolled.windows += totals.windows;
        rolled.points += done.points;
        pace.adapt(&totals, done.rows);
        from = to;
    }
    Ok(rolled)
}

/// How much is read at a time, learned from what was read before.
#[derive(Debug)]
struct Pace {
    windows: i64,
    /// Points of series for one total of one window.
    rows_of_total: usize,
}

impl Pace {
    fn adapt(&mut self, totals: &Totals, rows: usize) {
        let total: usize = totals.of_customers.values().sum();
        if total > 0 {
            self.rows_of_total = rows.div_ceil(total).max(1);
        }
        if rows > 4 * ROWS_AIM {
            self.windows = (self.windows / 2).max(1);
        } else if rows < ROWS_AIM {
            self.windows = (self.windows * 2).min(WINDOWS_MAX);
        }
    }
}

/// Windows in a row, of all environments.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    tier: Tier,
    range: TimeRange,
}

/// What the totals of a stretch tell.
#[derive(Debug, Default)]
struct Totals {
    /// Windows of environments that hold anything.
    windows: u64,
    /// How many totals each customer has there: what its series may cost.
    of_customers: BTreeMap<Name, usize>,
}

/// What was read and written of series.
#[derive(Debug, Default)]
struct Done {
    rows: usize,
    points: u64,
}

impl Stretch {
    /// Rolls the totals up.
    async fn totals(self, store: &InfluxStore, split: Split) -> Result<Totals> {
        let finer = finer(self.tier)?;
        let points = |range| Axis::Totals.points(store, finer, &Where::within(range));
        let windows = store.fold(self.range, split, points, Windows::of(finer)).await?;
        let mut totals = Totals::default();
        for (counted, ..) in windows.iter() {
            *totals.of_customers.entry(counted.environment.customer.clone()).or_default() += 1;
        }
        let (windows, bodies) = encoded(store, windows, self.tier, Axis::Totals, Written::First).await?;
        totals.windows = windows;
        store.client.write_all(store.buckets.tier(self.tier), bodies).await?;
        Ok(totals)
    }

    /// Rolls the series of the customers up that have totals.
    async fn series(self, store: &InfluxStore, totals: &Totals, pace: &Pace) -> Result<Done> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rows = 0;
        for (customer, count) in &totals.of_customers {
            let more = count.saturating_mul(pace.rows_of_total);
            match pieces.last_mut() {
                Some(piece) if rows + more <= ROWS_AIM && piece.customers.len() < CUSTOMERS_MAX => {
                    piece.customers.push(Some(customer.clone()));
                }
                _ => {
                    pieces.push(Piece { stretch: self, customers: vec![Some(customer.clone())] });
                    rows = 0;
                }
            }
            rows += more;
        }
        let rolls: Vec<_> = pieces.into_iter().map(|piece| piece.roll(store)).collect();
        let add = |sum: Done, done: Done| async move {
            Ok(Done { rows: sum.rows + done.rows, points: sum.points + done.points })
        };
        stream::iter(rolls).buffer_unordered(REQUESTS_MAX).try_fold(Done::default(), add).await
    }
}

/// The series of some customers in a stretch.
#[derive(Debug)]
struct Piece {
    stretch: Stretch,
    customers: Vec<Option<Name>>,
}

impl Piece {
    /// Rolls it up, in halves where an answer would be too long.
    async fn roll(self, store: &InfluxStore) -> Result<Done> {
        let mut done = Done::default();
        let mut left = vec![self];
        while let Some(piece) = left.pop() {
            let halves = piece.halves();
            let split = if halves.is_some() { Split::Never } else { Split::ByTime };
            match piece.roll_whole(store, split).await {
                Ok(more) => done = Done { rows: done.rows + more.rows, points: done.points + more.points },
                Err(error @ Error::TooMany { .. }) => left.extend(halves.ok_or(error)?),
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    async fn roll_whole(&self, store: &InfluxStore, split: Split) -> Result<Done> {
        let Stretch { tier, range } = self.stretch;
        let finer = finer(tier)?;
        let points = |range| {
            let conditions = Where::within(range).any(Dimension::Customer, &self.customers);
            Axis::Series.points(store, finer, &conditions)
        };
        let windows = store.fold(range, split, points, Windows::of(finer)).await?;
        let rows = windows.rows();
        let (points, bodies) = encoded(store, windows, tier, Axis::Series, Written::First).await?;
        store.client.write_all(store.buckets.tier(tier), bodies).await?;
        Ok(Done { rows, points })
    }

    /// By customers, or by windows; `None` for one window of one customer.
    fn halves(&self) -> Option<[Self; 2]> {
        let Stretch { tier, range } = self.stretch;
        if self.customers.len() > 1 {
            let (first, second) = self.customers.split_at(self.customers.len() / 2);
            return Some(
                [second, first].map(|some| Self { stretch: self.stretch, customers: some.to_vec() }),
            );
        }
        let windows = range.to.millis_since(range.from) / 1_000 / tier.seconds();
        let middle = range.from.plus_seconds(windows / 2 * tier.seconds());
        (windows > 1).then(|| {
            [TimeRange::new(range.from, middle), TimeRange::new(middle, range.to)]
                .map(|range| Self { stretch: Stretch { tier, range }, customers: self.customers.clone() })
        })
    }
}

/// A named window.
type Named = (Environment, Window);

/// Rolls named windows up again, also behind the floors: the server keeps more than the floors tell, a late count may
/// have been marked just when a floor passed it, and what comes out too small counts less.
async fn roll_windows(store: &InfluxStore, marks: &[NewMark]) -> Result<Rolled> {
    let mut rolled = Rolled::default();
    for tier in Tier::ALL {
        let of_tier = marks.iter().filter(|mark| mark.window.tier() == tier);
        let mut windows: BTreeSet<Named> =
            of_tier.map(|mark| (mark.environment.clone(), mark.window)).collect();
        if windows.is_empty() {
            continue;
        }
        let forgotten = store.config.forgotten(tier, store.clock.now());
        windows.retain(|(_, window)| Some(window.start()) >= forgotten);
        let windows: Vec<Named> = windows.into_iter().collect();
        let mut left: Vec<&[Named]> = windows.chunks(NAMED_MAX).collect();
        while let Some(some) = left.pop() {
            match roll_named(store, tier, some).await {
                Ok(done) => {
                    rolled.windows += done.windows;
                    rolled.points += done.points;
                }
                Err(Error::TooMany { .. }) if some.len() > 1 => {
                    let (first, second) = some.split_at(some.len() / 2);
                    left.extend([second, first]);
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(rolled)
}

async fn roll_named(store: &InfluxStore, tier: Tier, windows: &[Named]) -> Result<Rolled> {
    let finer = finer(tier)?;
    let mut rolled = Rolled::default();
    for axis in Axis::BOTH {
        let into = Windows::of(finer);
        let values = if let [(environment, window)] = windows {
            let points = |range| axis.points(store, finer, &Where::within(range).environments([environment]));
            store.fold(window.range(), Split::ByTime, points, into).await?
        } else {
            let conditions = conditions(windows);
            let points =
                |_| conditions.iter().flat_map(|conditions| axis.points(store, finer, conditions)).collect();
            store.fold(ALL_AT_ONCE, Split::Never, points, into).await?
        };
        let (count, bodies) = encoded(store, values, tier, axis, Written::Again).await?;
        match axis {
            Axis::Series => rolled.points = count,
            Axis::Totals => rolled.windows = count,
        }
        store.client.write_all(store.buckets.tier(tier), bodies).await?;
    }
    Ok(rolled)
}

/// Windows that lie side by side are one stretch, and environments with the same stretches stand in one question.
fn conditions(windows: &[Named]) -> Vec<Where> {
    let mut of_environment: BTreeMap<&Environment, Vec<TimeRange>> = BTreeMap::new();
    for (environment, window) in windows {
        let stretches = of_environment.entry(environment).or_default();
        match stretches.last_mut() {
            Some(last) if last.to == window.start() => last.to = window.end(),
            _ => stretches.push(window.range()),
        }
    }
    let mut together: BTreeMap<Vec<(Timestamp, Timestamp)>, Vec<&Environment>> = BTreeMap::new();
    for (environment, stretches) in of_environment {
        let stretches = stretches.iter().map(|range| (range.from, range.to)).collect();
        together.entry(stretches).or_default().push(environment);
    }
    let of_all = |(stretches, environments): (Vec<_>, Vec<&Environment>)| {
        stretches
            .into_iter()
            .map(|(from, to)| {
                Where::within(TimeRange::new(from, to)).environments(environments.iter().copied())
            })
            .collect::<Vec<_>>()
    };
    together.into_iter().flat_map(of_all).collect()
}

/// Where values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// At the start of the window, in place of what is there.
    First,
    /// Beside it, and beside all others.
    Again,
}

/// The values added up by windows of `tier`, as bodies; and how many there are: points of series, or for totals
/// windows of environments.
async fn encoded(
    store: &InfluxStore,
    windows: Windows,
    tier: Tier,
    axis: Axis,
    written: Written,
) -> Result<(u64, Vec<LineBody>)> {
    let lines_max = store.config.body_lines_max;
    let encode = move || encode(&windows, tier, axis, written, lines_max);
    blocking(encode).await
}

fn encode(
    windows: &Windows,
    tier: Tier,
    axis: Axis,
    written: Written,
    lines_max: usize,
) -> Result<(u64, Vec<LineBody>)> {
    let measurement = if written == Written::First { axis.measurement() } else { axis.again() };
    let sums = windows.coarsened(tier)?;
    let mut bodies = Vec::new();
    let mut environments: BTreeSet<(&Environment, Window)> = BTreeSet::new();
    for some in sums.chunks(lines_max.max(1)) {
        let mut lines = Lines::with_capacity(some.len());
        for &(counted, window, value) in some {
            let time = match written {
                Written::First => nanoseconds(window.start()),
                Written::Again => again_time(window, value),
            };
            match (axis, counted.key()) {
                (Axis::Series, Some(key)) => {
                    lines.count(measurement, &counted.environment, &key, value, time);
                }
                (Axis::Series, None) => return Err(damaged("a series without a name")),
                (Axis::Totals, _) => {
                    lines.total(measurement, &counted.environment, counted.meter, None, value, time);
                    environments.insert((&counted.environment, window));
                }
            }
        }
        bodies.push(lines.finish());
    }
    let count = if axis == Axis::Series { sums.len() } else { environments.len() };
    Ok((count as u64, bodies))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::fixture::{MINUTE, at, environment, range};

    fn named(name: &str, minute: i64) -> Named {
        (environment(name).unwrap(), Window::containing(Tier::Minute, at(minute * MINUTE)))
    }

    #[test]
    fn windows_side_by_side_are_one_stretch_and_environments_with_the_same_ones_one_question() {
        let mut windows: Vec<Named> =
            (0..5).flat_map(|minute| [named("one", minute), named("two", minute)]).collect();
        windows.extend([named("three", 0), named("three", 2)]);
        windows.sort();
        let [one, two, three] = ["one", "two", "three"].map(|name| environment(name).unwrap());
        let minutes = |from: i64, to: i64| Where::within(range(from * MINUTE, to * MINUTE));
        let expected = [
            minutes(0, 1).environments([&three]),
            minutes(2, 3).environments([&three]),
            minutes(0, 5).environments([&one, &two]),
        ];
        assert_eq!(conditions(&windows), expected);
    }

    #[test]
    fn a_piece_that_is_too_large_is_halved_down_to_one_window_of_one_customer() {
        let stretch = Stretch { tier: Tier::Minute, range: range(0, 3 * MINUTE) };
        let customers = ["a", "b", "c"].map(|name| Some(Name::new(name).unwrap())).to_vec();
        let mut left = vec![Piece { stretch, customers }];
        let mut smallest = BTreeSet::new();
        while let Some(piece) = left.pop() {
            let told = (piece.customers.clone(), piece.stretch.range.from);
            match piece.halves() {
                Some(halves) => left.extend(halves),
                None => assert!(smallest.insert(told), "each once"),
            }
        }
        assert_eq!(smallest.len(), 9);
    }

    #[test]
    fn the_pace_follows_what_was_read() {
        let mut pace = Pace { windows: WINDOWS_FIRST, rows_of_total: 600 };
        let totals = Totals { windows: 1, of_customers: BTreeMap::from([(Name::new("a").unwrap(), 1_000)]) };
        for _ in 0..9 {
            pace.adapt(&totals, 0);
        }
        assert_eq!((pace.windows, pace.rows_of_total), (WINDOWS_MAX, 1));
        for _ in 0..9 {
            pace.adapt(&totals, 6_000_000);
        }
        assert_eq!((pace.windows, pace.rows_of_total), (1, 6_000));
    }
}
