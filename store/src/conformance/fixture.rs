//! What the checks are made of: seals, a downsampler in small, and what a store holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use flagmeter_model::{
    Batch, Environment, EnvironmentCounts, Lane, Name, NodeId, Seq, SeriesKey, Slot, SlotCounts, Tier,
    TimeRange, Timestamp, Window,
};

use crate::{NewMark, Positioned, Result, Rolling, Scan, State, Store, Totals, Write, Written};

/// When the checks take place, in seconds since the epoch: on the hour.
pub const START: i64 = 490_000 * HOUR;
/// A minute, in seconds.
pub const MINUTE: i64 = 60;
/// A quarter hour, in seconds.
pub const QUARTER: i64 = 900;
/// An hour, in seconds.
pub const HOUR: i64 = 3_600;

/// The instant this many seconds after [`START`].
pub const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds_clamped(START + seconds)
}

/// The number of the seal that a node makes so many seconds after [`START`].
pub fn seq_at(second: i64) -> u64 {
    Seq::next(None, at(second), Lane::default()).get()
}

/// A range in seconds after [`START`].
pub const fn range(from: i64, to: i64) -> TimeRange {
    TimeRange::new(at(from), at(to))
}

/// All the time that the checks speak of.
pub const ALWAYS: TimeRange = range(-100 * HOUR, 100 * HOUR);

/// An environment of one project.
pub fn environment(name: &str) -> Result<Environment> {
    Ok(Environment {
        customer: Name::new("acme")?,
        project: Name::new("web")?,
        environment: Name::new(name)?,
    })
}

/// A flag without variant and SDK.
pub fn flag(name: &str) -> Result<SeriesKey> {
    Ok(SeriesKey::flag(Name::new(name)?))
}

/// A node.
pub fn node(number: u16) -> Result<NodeId> {
    Ok(NodeId::new(number)?)
}

/// A seal in the making: one record, heard at [`START`], in partition 0, at the offset of its number.
#[derive(Debug, Clone)]
pub struct Seal {
    record: Positioned,
    counts: BTreeMap<Environment, BTreeMap<Slot, BTreeMap<SeriesKey, u64>>>,
}

impl Seal {
    /// The seal with this number of this node, without counts and without a watermark.
    pub fn new(node_number: u16, seq: u64) -> Result<Self> {
        let batch = Batch {
            node: node(node_number)?,
            seq: Seq::new(seq),
            part: 0,
            sealed_at: at(0),
            covers_from: at(0),
            watermark: None,
            farewell: false,
            region: None,
            environments: Vec::new(),
        };
        let record = Positioned { partition: 0, offset: seq, appended_at: at(0), batch };
        Ok(Self { record, counts: BTreeMap::new() })
    }

    /// With a count in the slot at `second` after [`START`]; of several for one series there the last one.
    #[must_use]
    pub fn count(mut self, environment: &Environment, key: &SeriesKey, second: i64, count: u64) -> Self {
        let slots = self.counts.entry(environment.clone()).or_default();
        slots.entry(Slot::containing(at(second))).or_default().insert(key.clone(), count);
        self
    }

    /// As this part of its seal.
    #[must_use]
    pub const fn part(mut self, part: u16) -> Self {
        self.record.batch.part = part;
        self
    }

    /// With a watermark, and since when the node was there, in seconds after [`START`]; heard no earlier than that.
    #[must_use]
    pub fn covering(mut self, from: i64, watermark: i64) -> Self {
        self.record.appended_at = self.record.appended_at.max(at(watermark));
        self.record.batch.covers_from = at(from);
        self.record.batch.watermark = Some(at(watermark));
        self
    }

    /// As the node's last words.
    #[must_use]
    pub const fn farewell(mut self) -> Self {
        self.record.batch.farewell = true;
        self
    }

    /// Of a node that stands there.
    pub fn region(mut self, region: &str) -> Result<Self> {
        self.record.batch.region = Some(Name::new(region)?);
        Ok(self)
    }

    /// At this place in the log.
    #[must_use]
    pub const fn place(mut self, partition: u32, offset: u64) -> Self {
        self.record.partition = partition;
        self.record.offset = offset;
        self
    }

    /// Appended this many seconds after [`START`].
    #[must_use]
    pub const fn heard(mut self, second: i64) -> Self {
        self.record.appended_at = at(second);
        self
    }

    /// The record, with everything in the order that [`Batch`] promises.
    pub fn record(&self) -> Result<Positioned> {
        let mut record = self.record.clone();
        for (environment, slots) in &self.counts {
            let mut series: Vec<_> = slots.values().flat_map(BTreeMap::keys).cloned().collect();
            series.sort();
            series.dedup();
            let position =
                |key| u32::try_from(series.partition_point(|other| other < key)).unwrap_or(u32::MAX);
            let slots = slots
                .iter()
                .map(|(&slot, counts)| SlotCounts {
                    slot,
                    series: counts.keys().map(position).collect(),
                    counts: counts.values().copied().collect(),
                })
                .collect();
            let environment = environment.clone();
            record.batch.environments.push(EnvironmentCounts { environment, series, slots });
        }
        record.batch.validate()?;
        Ok(record)
    }
}

/// A write of these seals, with the positions after them.
pub fn write_of(seals: &[Seal]) -> Result<Arc<Write>> {
    let batches = seals.iter().map(Seal::record).collect::<Result<Vec<_>>>()?;
    let mut positions = BTreeMap::new();
    for record in &batches {
        let next = positions.entry(record.partition).or_default();
        *next = record.offset.saturating_add(1).max(*next);
    }
    Ok(Arc::new(Write { batches, positions, ..Write::default() }))
}

/// Writes these seals in one step.
pub async fn write(store: &dyn Store, seals: &[Seal]) -> Result<Written> {
    store.write(write_of(seals)?).await
}

/// What one tier holds of an environment: counts by the window's start, in seconds after [`START`], and series.
pub type Held = BTreeMap<(i64, SeriesKey), u64>;

/// Totals by the window's start, in seconds after [`START`], in the order of [`Meter::ALL`](flagmeter_model::Meter::ALL).
pub type HeldTotals = BTreeMap<i64, Totals>;

/// What a tier holds of an environment, along both axes.
pub async fn held(store: &dyn Store, environment: &Environment, tier: Tier) -> Result<(Held, HeldTotals)> {
    let scan = Scan { environment: environment.clone(), tier, range: ALWAYS };
    let (mut held, mut totals) = (Held::new(), HeldTotals::new());
    for row in store.scan(&scan).await? {
        let start = row.start.as_seconds() - START;
        totals.insert(start, row.totals);
        for (key, count) in row.series {
            assert!(held.insert((start, key), count).is_none(), "a series stands twice in a window");
        }
    }
    Ok((held, totals))
}

/// The series axis alone.
pub async fn series(store: &dyn Store, environment: &Environment, tier: Tier) -> Result<Held> {
    Ok(held(store, environment, tier).await?.0)
}

/// What a tier's windows add up to, by windows of `seconds`.
fn coarsened(held: &Held, seconds: i64) -> Held {
    let mut sums = Held::new();
    for ((start, key), count) in held {
        *sums.entry((start - start.rem_euclid(seconds), key.clone())).or_default() += count;
    }
    sums
}

/// The totals that the series of a tier add up to.
pub fn totals_of(held: &Held) -> HeldTotals {
    let mut totals = HeldTotals::new();
    for ((start, key), count) in held {
        totals.entry(*start).or_default()[usize::from(key.meter.number())] += count;
    }
    totals
}

/// Every tier holds what the raw points add up to, series and totals.
pub async fn assert_agree(store: &dyn Store, environment: &Environment) -> Result<()> {
    let (raw, raw_totals) = held(store, environment, Tier::Raw).await?;
    assert_eq!(totals_of(&raw), raw_totals, "totals of raw points of {environment}");
    for tier in Tier::ROLLED {
        let expected = coarsened(&raw, tier.seconds());
        let (series, totals) = held(store, environment, tier).await?;
        assert_eq!(series, expected, "series of {tier} of {environment}");
        assert_eq!(totals, totals_of(&expected), "totals of {tier} of {environment}");
    }
    Ok(())
}

/// Rolls up every tier from `from` to `until` (seconds after [`START`], on the hour), as the downsampler does.
pub async fn roll_up(store: &dyn Store, from: i64, until: i64) -> Result<()> {
    store.announce(at(until)).await?;
    for tier in Tier::ROLLED {
        store.roll(&Rolling::Range(tier, range(from, until))).await?;
        store.advance(tier, at(until)).await?;
    }
    Ok(())
}

/// Rolls marked windows up again until no mark is left, as the downsampler does.
pub async fn settle(store: &dyn Store) -> Result<()> {
    for tier in Tier::ROLLED {
        loop {
            let marks = store.marks(tier, Timestamp::MAX, 3).await?;
            if marks.is_empty() {
                break;
            }
            let windows: Vec<_> = marks
                .iter()
                .map(|mark| NewMark { window: mark.window, environment: mark.environment.clone() })
                .collect();
            store.roll(&Rolling::Windows(windows.clone())).await?;
            let parents: Vec<_> = windows
                .into_iter()
                .filter_map(|mark| Some(NewMark { window: mark.window.parent()?, ..mark }))
                .collect();
            store.mark(&parents).await?;
            store.clear(&marks).await?;
        }
    }
    Ok(())
}

/// A window of an environment to mark or to roll up; `second` after [`START`] lies in it.
pub fn window(tier: Tier, second: i64, environment: &Environment) -> NewMark {
    NewMark { window: Window::containing(tier, at(second)), environment: environment.clone() }
}

/// Everything that a store holds of some environments, and its state: for comparing before with after.
pub async fn everything(
    store: &dyn Store,
    environments: &[Environment],
) -> Result<(State, Vec<(Held, HeldTotals)>, Option<BTreeMap<u32, u64>>)> {
    let mut tiers = Vec::new();
    for environment in environments {
        for tier in Tier::ALL {
            tiers.push(held(store, environment, tier).await?);
        }
    }
    Ok((store.state().await?, tiers, store.positions().await?))
}
