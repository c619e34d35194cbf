//! A store beside a plain list of all that was written to it: both must give the same answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use flagmeter_model::{
    Clock, Environment, Meter, Name, NodeId, Seq, Series, SeriesKey, Slot, Tier, TimeRange, Timestamp,
};

use super::super::{
    Harness,
    fixture::{HOUR, Seal, at},
};
use crate::{
    Answer, AxisChoice, ByNode, Dimension, Filter, GroupKey, NewMark, NodeCounts, Positioned, Read, Result,
    Rolling, Row, Store, TierChoice, Write, Written,
};

pub(super) fn name(text: &str) -> Result<Name> {
    Ok(Name::new(text)?)
}

/// From `customer/project/environment`.
pub(super) fn environment(path: &str) -> Result<Environment> {
    let mut names = path.split('/').map(name);
    let mut next = || names.next().unwrap_or_else(|| name(""));
    Ok(Environment { customer: next()?, project: next()?, environment: next()? })
}

/// From `name/variant/sdk`, where the last two may be empty or left out.
pub(super) fn key(meter: Meter, path: &str) -> Result<SeriesKey> {
    let mut names = path.split('/').map(|part| if part.is_empty() { Ok(None) } else { name(part).map(Some) });
    let mut next = || names.next().transpose().map(Option::flatten);
    Ok(SeriesKey { meter, name: next()?.unwrap_or_else(Name::other), variant: next()?, sdk: next()? })
}

/// Some counts of a series in the slot of a second after the start.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) series: Series,
    pub(super) second: i64,
    pub(super) count: u64,
}

/// Evaluations of `name/variant/sdk` in `customer/project/environment`.
pub(super) fn evaluations(environment_path: &str, path: &str, second: i64, count: u64) -> Result<Counted> {
    let key = key(Meter::Evaluations, path)?;
    Ok(Counted { series: Series { environment: environment(environment_path)?, key }, second, count })
}

/// All evaluations between the edges.
pub(super) fn question(edges: impl IntoIterator<Item = i64>) -> Read {
    Read {
        meter: Meter::Evaluations,
        edges: edges.into_iter().map(at).collect(),
        filter: Filter::default(),
        group_by: Vec::new(),
        tiers: TierChoice::Cover,
        axis: AxisChoice::Any,
        groups_max: 1_000,
    }
}

/// What names a raw point.
type Identity = (Series, Slot, NodeId, Seq);

/// The store and the list.
pub(super) struct World<H> {
    /// Keeps what the store stands on.
    pub(super) harness: H,
    pub(super) store: Arc<dyn Store>,
    points: BTreeMap<Identity, u64>,
    sent: Vec<Positioned>,
}

impl<H: Harness> World<H> {
    pub(super) async fn new() -> Result<Self> {
        let harness = H::new().await?;
        let store = harness.store();
        Ok(Self { harness, store, points: BTreeMap::new(), sent: Vec::new() })
    }

    /// Writes a seal of a node that was there from `there.0` on, and has handed on all before `there.1`, in seconds
    /// after the start.
    pub(super) async fn send(
        &mut self,
        number: u16,
        there: (i64, i64),
        counted: impl IntoIterator<Item = Result<Counted>>,
    ) -> Result<Written> {
        let offset = self.sent.len() as u64;
        let (from, watermark) = there;
        let mut seal =
            Seal::new(number, offset + 1)?.place(0, offset).covering(from, watermark).heard(watermark);
        for counted in counted {
            let Counted { series: Series { environment, key }, second, count } = counted?;
            seal = seal.count(&environment, &key, second, count);
        }
        self.write(seal.record()?).await
    }

    /// Writes a record that was written before once more: replayed from its place in the log, or appended again.
    pub(super) async fn repeat(&mut self, which: usize, again: bool) -> Result<Written> {
        let Some(mut record) = self.sent.get(which).cloned() else { return Ok(Written::default()) };
        if again {
            record.offset = self.sent.len() as u64;
        }
        self.write(record).await
    }

    async fn write(&mut self, record: Positioned) -> Result<Written> {
        let clock = self.harness.clock();
        clock.set(clock.now().max(record.appended_at));
        let floor = self.store.state().await?.floors.raw;
        let batch = &record.batch;
        for counts in &batch.environments {
            for (key, slot, count) in counts.points() {
                if floor.is_none_or(|floor| slot.start() >= floor) {
                    let series = Series { environment: counts.environment.clone(), key: key.clone() };
                    self.points.insert((series, slot, batch.node, batch.seq), count);
                }
            }
        }
        let positions = BTreeMap::from([(record.partition, record.offset + 1)]);
        if record.offset == self.sent.len() as u64 {
            self.sent.push(record.clone());
        }
        self.store.write(Arc::new(Write { batches: vec![record], positions, ..Write::default() })).await
    }

    pub(super) fn records(&self) -> usize {
        self.sent.len()
    }

    /// Rolls every tier up to a second after the start.
    pub(super) async fn roll_up(&self, until: i64) -> Result<()> {
        self.store.announce(at(until)).await?;
        for tier in Tier::ROLLED {
            self.roll_up_tier(tier, at(until)).await?;
        }
        Ok(())
    }

    /// Rolls the new windows of one tier up, and advances.
    pub(super) async fn roll_up_tier(&self, tier: Tier, until: Timestamp) -> Result<()> {
        let state = self.store.state().await?;
        let first = state.raw_first.unwrap_or(until).floor_to(HOUR);
        let from = state.frontiers.whole(tier).unwrap_or(first);
        self.roll_up_tier_from(tier, from, until).await
    }

    /// Rolls windows of one tier up from where it has got to, and advances.
    pub(super) async fn roll_up_tier_from(
        &self,
        tier: Tier,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<()> {
        let to = until.floor_to(tier.seconds());
        if from < to {
            self.store.roll(&Rolling::Range(tier, TimeRange::new(from, to))).await?;
            self.store.advance(tier, to).await?;
        }
        Ok(())
    }

    /// Rolls marked windows up again, the coarser ones after the finer ones, until none is marked.
    pub(super) async fn roll_up_marked(&self) -> Result<()> {
        for tier in Tier::ROLLED {
            let marks = self.store.marks(tier, Timestamp::MAX, usize::MAX).await?;
            let windows: Vec<NewMark> = marks
                .iter()
                .map(|mark| NewMark { window: mark.window, environment: mark.environment.clone() })
                .collect();
            self.store.roll(&Rolling::Windows(windows.clone())).await?;
            self.store.mark(&parents(&windows)).await?;
            self.store.clear(&marks).await?;
        }
        Ok(())
    }

    /// The rows that the list gives, whatever is known of their buckets.
    pub(super) fn rows(&self, read: &Read) -> Vec<Row> {
        let buckets = read.edges.len() - 1;
        let mut rows: BTreeMap<GroupKey, Vec<u64>> = BTreeMap::new();
        if read.group_by.is_empty() {
            rows.insert(GroupKey::new(), vec![0; buckets]);
        }
        for ((series, slot, _, _), count) in &self.points {
            let meant = series.key.meter == read.meter
                && read.filter.takes_environment(&series.environment)
                && read.filter.takes_key(&series.key);
            let bucket = read.edges.partition_point(|&edge| edge <= slot.start());
            if meant && (1..=buckets).contains(&bucket) {
                let counts = rows.entry(group(series, &read.group_by)).or_insert_with(|| vec![0; buckets]);
                counts[bucket - 1] += count;
            }
        }
        rows.into_iter().map(|(group, counts)| Row { group, counts }).collect()
    }

    /// What the list gives by node.
    pub(super) fn by_node(&self, asked: &ByNode) -> Vec<NodeCounts> {
        let mut nodes: BTreeMap<NodeId, Vec<u64>> = BTreeMap::new();
        for ((series, slot, node, _), count) in &self.points {
            let meant = series.key.meter == asked.meter
                && asked.filter.takes_environment(&series.environment)
                && asked.filter.takes_key(&series.key);
            let bucket = asked.edges.partition_point(|&edge| edge <= slot.start());
            if meant && (1..asked.edges.len()).contains(&bucket) {
                nodes.entry(*node).or_insert_with(|| vec![0; asked.edges.len() - 1])[bucket - 1] += count;
            }
        }
        nodes.into_iter().map(|(node, counts)| NodeCounts { node, counts }).collect()
    }

    /// Asks the store, and panics where it does not answer like the list.
    pub(super) async fn assert_answer(&self, read: &Read) -> Result<Answer> {
        let answer = self.store.read(read).await?;
        assert_eq!(answer.rows, self.rows(read), "asked {read:?}, answered {answer:?}");
        assert_eq!(answer.states.len(), read.edges.len() - 1, "a state for each bucket");
        Ok(answer)
    }
}

/// The windows above, each once.
pub(super) fn parents(windows: &[NewMark]) -> Vec<NewMark> {
    let above = windows.iter().filter_map(|mark| {
        mark.window.parent().map(|window| NewMark { window, environment: mark.environment.clone() })
    });
    above.collect::<BTreeSet<_>>().into_iter().collect()
}

fn group(series: &Series, group_by: &[Dimension]) -> GroupKey {
    let Series { environment, key } = series;
    let cell = |dimension: &Dimension| match dimension {
        Dimension::Customer => Some(environment.customer.clone()),
        Dimension::Project => Some(environment.project.clone()),
        Dimension::Environment => Some(environment.environment.clone()),
        Dimension::Name => Some(key.name.clone()),
        Dimension::Variant => key.variant.clone(),
        Dimension::Sdk => key.sdk.clone(),
    };
    group_by.iter().map(cell).collect()
}
