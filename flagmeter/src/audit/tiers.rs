//! Promise 3: each tier is the sum of the finer one, and the totals are the sum of the series.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use flagmeter_model::{Environment, Meter, SeriesKey, Tier, TimeRange, Timestamp};
use flagmeter_store::{Filter, Mark, Result, Scan, ScanRow, State, Store};

use super::Report;

/// How often a difference is looked at again before it counts: a running server rolls late counts up between
/// the look at one tier and the look at the other.
pub(super) const LOOKS: u32 = 8;
/// The first wait between two looks; each next one is twice as long.
pub(super) const PAUSE: Duration = Duration::from_millis(200);
/// How long one audit waits for differences to go, in all. In InfluxDB late counts, their totals and their marks are
/// stored one after the other; where an ingester ends in between, the next one goes on once the log has given it up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Marks that are read to explain differences.
const MARKS_MAX: usize = 100_000;

/// What is left of the time that an audit may wait.
#[derive(Debug)]
pub(super) struct Patience(Duration);

impl Patience {
    /// All of it.
    pub(super) const fn new() -> Self {
        Self(PATIENCE)
    }

    /// Waits, if anything is left.
    pub(super) async fn pause(&mut self, pause: Duration) {
        let pause = pause.min(self.0);
        self.0 = self.0.saturating_sub(pause);
        tokio::time::sleep(pause).await;
    }
}

/// Compares all tiers of one environment pair by pair, where both are kept and whole.
pub(super) async fn compare(
    store: &dyn Store,
    state: &State,
    environment: &Environment,
    range: TimeRange,
    patience: &mut Patience,
    report: &mut Report,
) -> Result<()> {
    let Some(seen) = seen(store, environment).await? else { return Ok(()) };
    let range = range.intersection(seen);
    for coarse in Tier::ROLLED {
        let Some(fine) = coarse.finer() else { continue };
        let both = comparable(state, fine, coarse, range);
        let step = chunk_seconds(coarse);
        let mut from = both.from;
        while from < both.to {
            let chunk = TimeRange::new(from, from.plus_seconds(step).min(both.to));
            compare_chunk(store, environment, Pair { fine, coarse }, chunk, patience, report).await?;
            from = chunk.to;
        }
    }
    Ok(())
}

/// Series of one environment and meter that are looked at, at most: far more than an edge tells apart.
const SERIES_MAX: usize = 10_000_000;

/// From the first to after the last hour in which the environment was counted, in any meter.
pub(super) async fn seen(store: &dyn Store, environment: &Environment) -> Result<Option<TimeRange>> {
    let filter = Filter {
        customers: vec![environment.customer.clone()],
        projects: vec![environment.project.clone()],
        environments: vec![environment.environment.clone()],
        ..Filter::default()
    };
    let mut seen: Option<TimeRange> = None;
    for meter in Meter::ALL {
        for series in store.catalogue(meter, &filter, SERIES_MAX).await? {
            let hours = TimeRange::new(
                series.first_seen.floor_to(Tier::Hour.seconds()),
                series.last_seen.plus_seconds(1).ceil_to(Tier::Hour.seconds()),
            );
            seen = Some(
                seen.map_or(hours, |all| TimeRange::new(all.from.min(hours.from), all.to.max(hours.to))),
            );
        }
    }
    Ok(seen)
}

/// The part of `range` in which both tiers are kept and whole, on the coarser one's grid.
fn comparable(state: &State, fine: Tier, coarse: Tier, range: TimeRange) -> TimeRange {
    let kept_from = [state.floors.of(fine), state.floors.of(coarse)].into_iter().flatten().max();
    let from = kept_from.map_or(range.from, |kept| range.from.max(kept));
    let whole = |tier| state.frontiers.whole(tier).unwrap_or(Timestamp::EPOCH);
    let to = range.to.min(whole(fine)).min(whole(coarse));
    TimeRange::new(from.ceil_to(coarse.seconds()), to.floor_to(coarse.seconds()))
}

/// How much is held in memory at once: about sixty to a hundred rows of the finer tier.
const fn chunk_seconds(coarse: Tier) -> i64 {
    match coarse {
        Tier::Raw | Tier::Minute => 3_600,
        Tier::Quarter => 6 * 3_600,
        Tier::Hour => 24 * 3_600,
    }
}

/// A tier and what is made from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) fine: Tier,
    pub(super) coarse: Tier,
}

/// One series in one window, and the two numbers that should be one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Difference {
    pub(super) start: Timestamp,
    pub(super) what: String,
    pub(super) fine: u64,
    pub(super) coarse: u64,
}

async fn compare_chunk(
    store: &dyn Store,
    environment: &Environment,
    pair: Pair,
    chunk: TimeRange,
    patience: &mut Patience,
    report: &mut Report,
) -> Result<()> {
    let scan = |tier| Scan { environment: environment.clone(), tier, range: chunk };
    let (fine, coarse) = (store.scan(&scan(pair.fine)).await?, store.scan(&scan(pair.coarse)).await?);
    report.windows = report.windows.saturating_add(count(coarse.len()));
    let points = coarse.iter().map(|row| count(row.series.len())).sum();
    report.points = report.points.saturating_add(points);
    // A difference counts when every look shows it, and its window waits neither between nor after them.
    let mut found = differences(pair, &fine, &coarse);
    let mut excused = BTreeSet::new();
    let waiting = || Waiting::read(store, environment, pair, chunk.to);
    for look in 1..LOOKS {
        if found.is_empty() {
            break;
        }
        patience.pause(PAUSE * (1 << (look - 1))).await;
        waiting().await?.excuse(pair.coarse, &mut found, &mut excused);
        let (fine, coarse) = (store.scan(&scan(pair.fine)).await?, store.scan(&scan(pair.coarse)).await?);
        let again = differences(pair, &fine, &coarse);
        found.retain(|difference| again.contains(difference));
    }
    if !found.is_empty() {
        waiting().await?.excuse(pair.coarse, &mut found, &mut excused);
        // Retention has gone on while we looked.
        let floor = store.state().await?.floors.of(pair.fine);
        found.retain(|difference| floor.is_none_or(|floor| difference.start >= floor));
    }
    for difference in found {
        report.differs(|| {
            format!(
                "{environment} {}: {} is {} in {} and {} in {}",
                difference.start, difference.what, difference.fine, pair.fine, difference.coarse, pair.coarse
            )
        });
    }
    report.waiting = report.waiting.saturating_add(count(excused.len()));
    Ok(())
}

/// The coarser windows of a pair that wait to be rolled up again.
#[derive(Debug)]
pub(super) struct Waiting {
    starts: BTreeSet<Timestamp>,
    /// From here on there are more marks than were read: each window may wait.
    unknown_from: Option<Timestamp>,
}

impl Waiting {
    /// Reads the marks of both tiers: a finer window that has one may be written anew already, while the one above it
    /// is not marked yet.
    pub(super) async fn read(
        store: &dyn Store,
        environment: &Environment,
        pair: Pair,
        until: Timestamp,
    ) -> Result<Self> {
        let mut waiting = Self { starts: BTreeSet::new(), unknown_from: None };
        for tier in [pair.fine, pair.coarse].into_iter().filter(|&tier| tier != Tier::Raw) {
            let marks = store.marks(tier, until, MARKS_MAX).await?;
            let coarse = |mark: &Mark| mark.window.start().floor_to(pair.coarse.seconds());
            if marks.len() >= MARKS_MAX {
                waiting.unknown_from = waiting.unknown_from.into_iter().chain(marks.last().map(coarse)).min();
            }
            let here = marks.iter().filter(|mark| mark.environment == *environment);
            waiting.starts.extend(here.map(coarse));
        }
        Ok(waiting)
    }

    /// Takes the differences away that are explained by it, and remembers where they were.
    pub(super) fn excuse(
        &self,
        tier: Tier,
        found: &mut BTreeSet<Difference>,
        excused: &mut BTreeSet<Timestamp>,
    ) {
        found.retain(|difference| {
            let start = difference.start.floor_to(tier.seconds());
            let waits =
                self.starts.contains(&start) || self.unknown_from.is_some_and(|unknown| start >= unknown);
            if waits {
                excused.insert(start);
            }
            !waits
        });
    }
}

fn differences(pair: Pair, fine: &[ScanRow], coarse: &[ScanRow]) -> BTreeSet<Difference> {
    let mut found = BTreeSet::new();
    for (tier, rows) in [(pair.fine, fine), (pair.coarse, coarse)] {
        for row in rows {
            totals_of_series(tier, row, &mut found);
        }
    }
    let (summed, kept) = (by_window(pair.coarse, fine), by_window(pair.coarse, coarse));
    for key in summed.keys().chain(kept.keys()).collect::<BTreeSet<_>>() {
        let (fine, coarse) =
            (summed.get(key).copied().unwrap_or_default(), kept.get(key).copied().unwrap_or_default());
        if fine != coarse {
            let (start, what) = key;
            found.insert(Difference { start: *start, what: spoken(what), fine, coarse });
        }
    }
    found
}

/// What of a window is compared: a series, or the total of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What<'a> {
    Series(&'a SeriesKey),
    Total(Meter),
}

/// Sums by window of `tier`, of each series and of the totals.
fn by_window(tier: Tier, rows: &[ScanRow]) -> BTreeMap<(Timestamp, What<'_>), u64> {
    let mut sums: BTreeMap<(Timestamp, What<'_>), u64> = BTreeMap::new();
    for row in rows {
        let start = row.start.floor_to(tier.seconds());
        let series = row.series.iter().map(|(key, count)| (What::Series(key), *count));
        let totals = Meter::ALL.into_iter().zip(row.totals).map(|(meter, count)| (What::Total(meter), count));
        for (what, count) in series.chain(totals) {
            let sum = sums.entry((start, what)).or_default();
            *sum = sum.saturating_add(count);
        }
    }
    sums
}

/// Within one window of one tier, the totals are the sums of the series.
fn totals_of_series(tier: Tier, row: &ScanRow, found: &mut BTreeSet<Difference>) {
    for (meter, total) in Meter::ALL.into_iter().zip(row.totals) {
        let of_meter = row.series.iter().filter(|(key, _)| key.meter == meter);
        let sum = of_meter.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        if sum != total {
            let what = format!("the sum of the series of {meter} (and then their total) within {tier}");
            found.insert(Difference { start: row.start, what, fine: sum, coarse: total });
        }
    }
}

fn spoken(what: &What<'_>) -> String {
    match what {
        What::Total(meter) => format!("the total of {meter}"),
        What::Series(key) => {
            let part = |label: &str, value: &Option<flagmeter_model::Name>| {
                value.as_ref().map_or(String::new(), |value| format!(" {label} {value}"))
            };
            format!("{} {}{}{}", key.meter, key.name, part("variant", &key.variant), part("sdk", &key.sdk))
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
