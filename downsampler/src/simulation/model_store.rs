//! The contract of the store, in a few maps. It exists because it can be stopped between any two calls and
//! looked into; backends prove themselves against the conformance suite, and against the same driver.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use flagmeter_model::{
    Environment, Meter, NodeId, NodeProgress, Seq, SeriesKey, Slot, Tier, Timestamp, Window,
};
use flagmeter_store::{
    Answer, ByNode, DeadLetter, Error, Filter, Floors, Frontiers, GroupKey, Mark, NewMark, NodeCounts, Read,
    Result, Retained, Rolled, Rolling, Row, RowState, Scan, ScanRow, SeriesSeen, State, Store, TierChoice,
    Write, Written,
};
use parking_lot::Mutex;

/// What makes a raw point itself.
pub(super) type PointKey = (Environment, SeriesKey, Slot, NodeId, Seq);
type Series = BTreeMap<SeriesKey, u64>;

#[derive(Debug, Default)]
struct Kept {
    raw: BTreeMap<PointKey, u64>,
    windows: BTreeMap<(Tier, Environment, Timestamp), Series>,
    progress: BTreeMap<(u32, NodeId), (u64, NodeProgress)>,
    partitions: u32,
    frontiers: Frontiers,
    floors: Floors,
    marks: BTreeMap<(Window, Environment), u64>,
    token: u64,
    failure: Option<Error>,
    is_away: bool,
}

#[derive(Debug, Default)]
pub(crate) struct ModelStore(Mutex<Kept>);

impl ModelStore {
    /// The next time it is asked for its state it fails.
    pub(crate) fn fail_next_state(&self, error: Error) {
        self.0.lock().failure = Some(error);
    }

    /// From now on it cannot be read.
    pub(crate) fn go_away(&self) {
        self.0.lock().is_away = true;
    }
}

impl Kept {
    fn mark(&mut self, window: Window, environment: &Environment) {
        self.token += 1;
        self.marks.insert((window, environment.clone()), self.token);
    }

    fn state(&self) -> State {
        let first = |tier| self.marks.keys().map(|(window, _)| window).filter(|w| w.tier() == tier).min();
        State {
            progress: self.progress.values().map(|(_, progress)| progress.clone()).collect(),
            partitions: self.partitions,
            frontiers: self.frontiers,
            floors: self.floors,
            raw_first: self.raw.keys().map(|key| key.2.start().floor_to(60)).min(),
            dirty: self.marks.len() as u64,
            dirty_first: Tier::ROLLED.map(|tier| first(tier).map(|window| window.start())),
            ..State::default()
        }
    }

    /// What the finer tier holds of a window.
    fn below(&self, window: Window, environment: &Environment) -> Series {
        let mut sum = Series::new();
        let inside = |at| window.range().contains(at);
        if window.tier() == Tier::Minute {
            let raw = self.raw.iter().filter(|(key, _)| key.0 == *environment && inside(key.2.start()));
            raw.for_each(|((_, series, ..), count)| *sum.entry(series.clone()).or_default() += count);
        } else {
            let finer = window.tier().finer().expect("a rolled tier");
            let rows = self
                .windows
                .iter()
                .filter(|((tier, of, start), _)| *tier == finer && of == environment && inside(*start));
            for (key, count) in rows.flat_map(|(_, series)| series) {
                *sum.entry(key.clone()).or_default() += count;
            }
        }
        sum
    }

    fn roll(&mut self, window: Window, environment: &Environment) -> u64 {
        let finer = window.tier().finer().expect("a rolled tier");
        if self.floors.of(finer).is_some_and(|floor| window.start() < floor) {
            return 0;
        }
        let series = self.below(window, environment);
        let key = (window.tier(), environment.clone(), window.start());
        if series.is_empty() {
            self.windows.remove(&key);
            return 0;
        }
        self.windows.insert(key, series);
        1
    }

    fn environments(&self) -> Vec<Environment> {
        let mut all: Vec<_> = self.raw.keys().map(|key| key.0.clone()).collect();
        all.extend(self.windows.keys().map(|(_, environment, _)| environment.clone()));
        all.sort();
        all.dedup();
        all
    }
}

fn raise(frontier: &mut Option<Timestamp>, until: Timestamp) {
    *frontier = (*frontier).max(Some(until));
}

#[async_trait]
impl Store for ModelStore {
    async fn write(&self, write: Arc<Write>) -> Result<Written> {
        let mut kept = self.0.lock();
        let mut written = Written::default();
        kept.partitions = kept.partitions.max(write.partitions);
        for positioned in &write.batches {
            let batch = &positioned.batch;
            for (environment, (series, slot, count)) in batch
                .environments
                .iter()
                .flat_map(|counts| counts.points().map(move |point| (&counts.environment, point)))
            {
                let minute = Window::containing(Tier::Minute, slot.start());
                if kept.floors.raw.is_some_and(|floor| minute.start() < floor) {
                    written.past_retention += 1;
                    continue;
                }
                let key = (environment.clone(), series.clone(), slot, batch.node, batch.seq);
                kept.raw.insert(key, count);
                written.points += 1;
                if kept.frontiers.minute.announced.is_some_and(|announced| minute.end() <= announced) {
                    kept.mark(minute, environment);
                    written.dirty += 1;
                }
            }
            let key = (positioned.partition, batch.node);
            let before = kept.progress.get(&key).cloned();
            let watermark = positioned.watermark().max(before.as_ref().map(|(_, before)| before.watermark));
            if let Some(watermark) = watermark
                && before.is_none_or(|(offset, _)| offset < positioned.offset)
            {
                let progress = NodeProgress {
                    partition: positioned.partition,
                    node: batch.node,
                    watermark,
                    heard_at: positioned.appended_at,
                    farewell: batch.farewell,
                    region: batch.region.clone(),
                };
                kept.progress.insert(key, (positioned.offset, progress));
            }
        }
        Ok(written)
    }

    async fn positions(&self) -> Result<Option<BTreeMap<u32, u64>>> {
        Ok(None)
    }

    async fn state(&self) -> Result<State> {
        let mut kept = self.0.lock();
        kept.failure.take().map_or_else(|| Ok(kept.state()), Err)
    }

    async fn frontiers(&self) -> Result<Frontiers> {
        Ok(self.0.lock().frontiers)
    }

    async fn marks(&self, tier: Tier, until: Timestamp, limit: usize) -> Result<Vec<Mark>> {
        let kept = self.0.lock();
        let due = kept.marks.iter().filter(|((window, _), _)| window.tier() == tier && window.end() <= until);
        let mark = |((window, environment), token): (&(Window, Environment), &u64)| Mark {
            window: *window,
            environment: environment.clone(),
            tokens: vec![*token],
        };
        Ok(due.map(mark).take(limit).collect())
    }

    async fn announce(&self, until: Timestamp) -> Result<()> {
        raise(&mut self.0.lock().frontiers.minute.announced, until);
        Ok(())
    }

    async fn roll(&self, rolling: &Rolling) -> Result<Rolled> {
        let mut kept = self.0.lock();
        let mut windows = 0;
        match rolling {
            Rolling::Range(tier, range) => {
                assert_eq!(range.from.floor_to(tier.seconds()), range.from, "the range must be aligned");
                assert_eq!(range.to.floor_to(tier.seconds()), range.to, "the range must be aligned");
                let environments = kept.environments();
                let mut start = range.from;
                while start < range.to {
                    let window = Window::containing(*tier, start);
                    windows +=
                        environments.iter().map(|environment| kept.roll(window, environment)).sum::<u64>();
                    start = window.end();
                }
            }
            Rolling::Windows(list) => {
                windows =
                    list.iter().map(|NewMark { window, environment }| kept.roll(*window, environment)).sum();
            }
        }
        Ok(Rolled { windows, points: 0 })
    }

    async fn advance(&self, tier: Tier, until: Timestamp) -> Result<()> {
        let frontiers = &mut self.0.lock().frontiers;
        match tier {
            Tier::Raw => panic!("raw points have no frontier"),
            Tier::Minute => {
                assert!(
                    frontiers.minute.announced >= Some(until),
                    "minutes are announced before they are whole"
                );
                raise(&mut frontiers.minute.whole, until);
            }
            Tier::Quarter => raise(&mut frontiers.quarter.whole, until),
            Tier::Hour => raise(&mut frontiers.hour.whole, until),
        }
        Ok(())
    }

    async fn mark(&self, marks: &[NewMark]) -> Result<()> {
        let mut kept = self.0.lock();
        for mark in marks {
            kept.mark(mark.window, &mark.environment);
        }
        Ok(())
    }

    async fn clear(&self, marks: &[Mark]) -> Result<()> {
        let mut kept = self.0.lock();
        for mark in marks {
            let key = (mark.window, mark.environment.clone());
            if kept.marks.get(&key).is_some_and(|token| mark.tokens.contains(token)) {
                kept.marks.remove(&key);
            }
        }
        Ok(())
    }

    async fn retain(&self, floors: Floors) -> Result<Retained> {
        let mut kept = self.0.lock();
        let deletable = kept.state().deletable();
        let raised = |tier| kept.floors.of(tier).max(floors.of(tier).min(deletable.of(tier)));
        // No floor passes the one of the finer tier.
        let raw = raised(Tier::Raw);
        let minute = raised(Tier::Minute).min(raw).max(kept.floors.minute);
        let quarter = raised(Tier::Quarter).min(minute).max(kept.floors.quarter);
        kept.floors = Floors { raw, minute, quarter };
        let floors = kept.floors;
        let before = kept.raw.len() + kept.windows.len();
        kept.raw.retain(|key, _| floors.raw.is_none_or(|floor| key.2.start() >= floor));
        kept.windows.retain(|(tier, _, start), _| floors.of(*tier).is_none_or(|floor| *start >= floor));
        let rows = (before - kept.raw.len() - kept.windows.len()) as u64;
        Ok(Retained { rows, more: false })
    }

    /// The totals of one tier, in edges on the hour.
    async fn read(&self, read: &Read) -> Result<Answer> {
        if self.0.lock().is_away {
            return Err(Error::Unavailable("away".into()));
        }
        let TierChoice::Only(tier) = read.tiers else {
            return Err(Error::Unanswerable("the model answers for one tier alone".into()));
        };
        let kept = self.0.lock();
        let buckets = read.edges.len() - 1;
        let mut rows: BTreeMap<GroupKey, Vec<u64>> = BTreeMap::new();
        for ((of, environment, start), series) in &kept.windows {
            let bucket = read.edges.partition_point(|edge| edge <= start).checked_sub(1);
            let Some(bucket) = bucket.filter(|&bucket| bucket < buckets && *of == tier) else { continue };
            let count: u64 =
                series.iter().filter(|(key, _)| key.meter == read.meter).map(|(_, count)| count).sum();
            if count > 0 && read.filter.takes_environment(environment) {
                let Environment { customer, project, environment } = environment.clone();
                let names = [customer, project, environment].map(Some);
                let group = if read.group_by.is_empty() { Vec::new() } else { names.to_vec() };
                rows.entry(group).or_insert_with(|| vec![0; buckets])[bucket] += count;
            }
        }
        let rows = rows.into_iter().map(|(group, counts)| Row { group, counts }).collect();
        let states = vec![RowState::Complete; buckets];
        let (complete_until, missing, parts) = (None, Vec::new(), Vec::new());
        Ok(Answer { rows, states, complete_until, missing, parts, beyond_retention: None })
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<ScanRow>> {
        let kept = self.0.lock();
        let mut rows: BTreeMap<Timestamp, Series> = BTreeMap::new();
        if scan.tier == Tier::Raw {
            for ((environment, series, slot, ..), count) in &kept.raw {
                let start = slot.start().floor_to(60);
                if *environment == scan.environment && scan.range.contains(start) {
                    *rows.entry(start).or_default().entry(series.clone()).or_default() += count;
                }
            }
        } else {
            for ((tier, environment, start), series) in &kept.windows {
                if *tier == scan.tier && *environment == scan.environment && scan.range.contains(*start) {
                    rows.insert(*start, series.clone());
                }
            }
        }
        let row = |(start, series): (Timestamp, Series)| {
            let mut totals = [0; Meter::ALL.len()];
            for (key, count) in &series {
                totals[usize::from(key.meter.number())] += count;
            }
            ScanRow { start, series: series.into_iter().collect(), totals }
        };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn environments(&self) -> Result<Vec<Environment>> {
        Ok(self.0.lock().environments())
    }

    async fn by_node(&self, _: &ByNode) -> Result<Vec<NodeCounts>> {
        Ok(Vec::new())
    }

    async fn catalogue(&self, _: Meter, _: &Filter, _: usize) -> Result<Vec<SeriesSeen>> {
        Ok(Vec::new())
    }

    async fn dead_letters(&self, _: Option<(u32, u64)>, _: usize) -> Result<Vec<DeadLetter>> {
        Ok(Vec::new())
    }
}
