use std::collections::{BTreeMap, BTreeSet};

use flagmeter_model::Window;
use proptest::prelude::*;

use super::*;
use crate::Frontier;

const HOUR: i64 = 3_600;
/// Away from the epoch, so that a floor of zero is not a floor.
const BASE: i64 = 1_000 * HOUR;

/// `second` after the base.
fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds_clamped(BASE + second)
}

fn edges(seconds: impl IntoIterator<Item = i64>) -> Vec<Timestamp> {
    seconds.into_iter().map(at).collect()
}

fn frontier(second: i64) -> Frontier {
    Frontier { announced: Some(at(second)), whole: Some(at(second)) }
}

/// Rolled up to these seconds, nothing deleted.
fn rolled(minute: i64, quarter: i64, hour: i64) -> Kept {
    Kept {
        frontiers: Frontiers { minute: frontier(minute), quarter: frontier(quarter), hour: frontier(hour) },
        floors: Floors::default(),
    }
}

fn floors(kept: Kept, raw: i64, minute: i64, quarter: Option<i64>) -> Kept {
    let floors = Floors { raw: Some(at(raw)), minute: Some(at(minute)), quarter: quarter.map(at) };
    Kept { floors, ..kept }
}

fn dirty(windows: &[(Tier, i64)]) -> Dirty {
    windows.iter().map(|&(tier, second)| Window::containing(tier, at(second))).collect()
}

/// The parts, in seconds after the base.
fn parts(cover: &Cover) -> Vec<(Tier, i64, i64)> {
    let second = |at: Timestamp| at.as_seconds() - BASE;
    cover.parts.iter().map(|part| (part.tier, second(part.range.from), second(part.range.to))).collect()
}

fn covered(edges: &[Timestamp], kept: Kept, dirty: &Dirty) -> Cover {
    cover(edges, kept, dirty, TierChoice::Cover).unwrap()
}

#[test]
fn before_anything_is_rolled_up_raw_points_answer() {
    let cover = covered(&edges([0, HOUR]), Kept::default(), &Dirty::default());
    assert_eq!(parts(&cover), [(Tier::Raw, 0, HOUR)]);
    assert_eq!(cover.beyond, Vec::<usize>::new());
}

#[test]
fn each_part_takes_the_coarsest_tier_that_is_whole() {
    let kept = rolled(2 * HOUR + 1_860, 2 * HOUR + 1_800, 2 * HOUR);
    let cover = covered(&edges([0, HOUR, 3 * HOUR]), kept, &Dirty::default());
    assert_eq!(
        parts(&cover),
        [
            (Tier::Hour, 0, 2 * HOUR),
            (Tier::Quarter, 2 * HOUR, 2 * HOUR + 1_800),
            (Tier::Minute, 2 * HOUR + 1_800, 2 * HOUR + 1_860),
            (Tier::Raw, 2 * HOUR + 1_860, 3 * HOUR),
        ]
    );
}

#[test]
fn no_window_straddles_an_edge() {
    let kept = rolled(4 * HOUR, 4 * HOUR, 4 * HOUR);
    let cover = covered(&edges([1_800, HOUR + 1_800, 2 * HOUR, 2 * HOUR + 70]), kept, &Dirty::default());
    assert_eq!(
        parts(&cover),
        [
            (Tier::Quarter, 1_800, 2 * HOUR),
            (Tier::Minute, 2 * HOUR, 2 * HOUR + 60),
            (Tier::Raw, 2 * HOUR + 60, 2 * HOUR + 70),
        ]
    );
}

#[test]
fn a_dirty_minute_sends_its_quarter_and_hour_to_the_finer_tiers() {
    let kept = rolled(2 * HOUR, 2 * HOUR, 2 * HOUR);
    let cover = covered(&edges([0, 2 * HOUR]), kept, &dirty(&[(Tier::Minute, 960)]));
    assert_eq!(
        parts(&cover),
        [
            (Tier::Quarter, 0, 900),
            (Tier::Minute, 900, 960),
            (Tier::Raw, 960, 1_020),
            (Tier::Minute, 1_020, 1_800),
            (Tier::Quarter, 1_800, HOUR),
            (Tier::Hour, HOUR, 2 * HOUR),
        ]
    );
}

#[test]
fn a_dirty_hour_alone_is_read_from_its_quarters() {
    let kept = rolled(2 * HOUR, 2 * HOUR, 2 * HOUR);
    let cover = covered(&edges([0, 2 * HOUR]), kept, &dirty(&[(Tier::Hour, HOUR)]));
    assert_eq!(parts(&cover), [(Tier::Hour, 0, HOUR), (Tier::Quarter, HOUR, 2 * HOUR)]);
}

#[test]
fn a_dirty_window_whose_finer_tier_is_gone_is_used_as_it_is() {
    let kept = floors(rolled(4 * HOUR, 4 * HOUR, 4 * HOUR), 3 * HOUR, 3 * HOUR, None);
    let cover = covered(&edges([0, 2 * HOUR]), kept, &dirty(&[(Tier::Minute, 960)]));
    assert_eq!(parts(&cover), [(Tier::Quarter, 0, HOUR), (Tier::Hour, HOUR, 2 * HOUR)]);
}

#[test]
fn buckets_finer_than_what_is_kept_cannot_be_answered_and_are_not_rounded() {
    let kept = floors(rolled(4 * HOUR, 4 * HOUR, 4 * HOUR), 2 * HOUR, 2 * HOUR, Some(HOUR));
    // Days of a zone off by 30 minutes, shrunk: only hours are left before the first hour.
    let cover = covered(&edges([-1_800, 1_800, HOUR + 1_800, 2 * HOUR]), kept, &Dirty::default());
    assert_eq!(cover.beyond, [0, 1]);
    assert_eq!(parts(&cover), [(Tier::Quarter, HOUR + 1_800, 2 * HOUR)]);
}

#[test]
fn hours_answer_for_ever() {
    let kept = floors(rolled(4 * HOUR, 4 * HOUR, 4 * HOUR), 4 * HOUR, 4 * HOUR, Some(4 * HOUR));
    let cover = covered(&edges([-900 * HOUR, 0, 4 * HOUR]), kept, &Dirty::default());
    assert_eq!(parts(&cover), [(Tier::Hour, -900 * HOUR, 4 * HOUR)]);
    assert_eq!(cover.beyond, Vec::<usize>::new());
}

#[test]
fn one_tier_alone_answers_for_all_of_the_range_but_what_is_gone() {
    let kept = floors(rolled(HOUR, HOUR, HOUR), HOUR, HOUR, None);
    let only = TierChoice::Only(Tier::Minute);
    let cover = cover(&edges([0, 1_800, HOUR, 2 * HOUR]), kept, &Dirty::default(), only).unwrap();
    assert_eq!(cover.beyond, [0, 1]);
    assert_eq!(parts(&cover), [(Tier::Minute, HOUR, 2 * HOUR)]);
}

#[test]
fn a_range_as_wide_as_time_is_planned_at_once() {
    let kept = rolled(HOUR, HOUR, HOUR);
    let cover = covered(&[Timestamp::EPOCH, Timestamp::MAX], kept, &Dirty::default());
    assert_eq!(cover.parts.len(), 2);
}

#[test]
fn edges_that_make_no_buckets_are_refused_with_a_reason() {
    let refused = |edges: &[Timestamp], choice| {
        let error = cover(edges, Kept::default(), &Dirty::default(), choice).unwrap_err();
        assert!(!error.is_retryable());
        error.to_string()
    };
    assert_eq!(
        refused(&edges([0]), TierChoice::Cover),
        "a range needs two edges at least: give a start and an end"
    );
    assert!(refused(&edges([0, 0]), TierChoice::Cover).contains("is not before"));
    assert!(refused(&edges([0, 15]), TierChoice::Cover).contains("grid of 10 s"));
    assert!(refused(&edges([0, 60]), TierChoice::Only(Tier::Hour)).contains("grid of 3600 s"));
}

/// A store in miniature: sums of one series of one environment.
#[derive(Debug, Default)]
struct Miniature {
    raw: BTreeMap<i64, u64>,
    rolled: [BTreeMap<i64, u64>; 3],
    frontiers: [i64; 3],
    marks: [BTreeSet<i64>; 3],
    floors: [i64; 3],
    /// Everything ever written: what every answer must add up to.
    all: BTreeMap<i64, u64>,
}

#[derive(Debug, Clone)]
enum Step {
    Write { second: i64, count: u64 },
    Roll { tier: usize, windows: i64 },
    RollMarked { tier: usize },
    Retain { tier: usize, to: i64 },
}

const SPAN: i64 = 5 * HOUR;
const SECONDS: [i64; 4] = [10, 60, 900, HOUR];

fn sum(counts: &BTreeMap<i64, u64>, from: i64, to: i64) -> u64 {
    counts.range(from..to).map(|(_, count)| count).sum()
}

impl Miniature {
    fn finer(&self, tier: usize) -> &BTreeMap<i64, u64> {
        if tier == 0 { &self.raw } else { &self.rolled[tier - 1] }
    }

    fn roll(&mut self, tier: usize, start: i64) {
        let sum = sum(self.finer(tier), start, start + SECONDS[tier + 1]);
        self.rolled[tier].insert(start, sum);
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Write { second, count } => {
                let slot = second - second % 10;
                if slot < self.floors[0] {
                    return;
                }
                *self.raw.entry(slot).or_default() += count;
                *self.all.entry(slot).or_default() += count;
                let minute = slot - slot % 60;
                if minute + 60 <= self.frontiers[0] {
                    self.marks[0].insert(minute);
                }
            }
            Step::Roll { tier, windows } => {
                let finer = if tier == 0 { SPAN } else { self.frontiers[tier - 1] };
                for _ in 0..windows {
                    let start = self.frontiers[tier];
                    if start + SECONDS[tier + 1] <= finer {
                        self.roll(tier, start);
                        self.frontiers[tier] = start + SECONDS[tier + 1];
                    }
                }
            }
            Step::RollMarked { tier } => {
                if let Some(&start) = self.marks[tier].first() {
                    self.roll(tier, start);
                    let above = start - start % SECONDS[(tier + 2).min(3)];
                    if tier < 2 && above + SECONDS[tier + 2] <= self.frontiers[tier + 1] {
                        self.marks[tier + 1].insert(above);
                    }
                    self.marks[tier].remove(&start);
                }
            }
            Step::Retain { tier, to } => self.retain(tier, to),
        }
    }

    /// Deletes only what is rolled up and waits for nothing, as the downsampler does.
    fn retain(&mut self, tier: usize, to: i64) {
        let waiting = self.marks[..=tier].iter().filter_map(|marks| marks.first()).min();
        let kept = waiting.map_or(SPAN, |start| start - start % HOUR);
        let finer = if tier == 0 { SPAN } else { self.floors[tier - 1] };
        let to = to.min(kept).min(finer).min(self.frontiers[tier]);
        let to = to - to % SECONDS[tier + 1];
        if to > self.floors[tier] {
            self.floors[tier] = to;
            let tier_rows = if tier == 0 { &mut self.raw } else { &mut self.rolled[tier - 1] };
            *tier_rows = tier_rows.split_off(&to);
        }
    }

    fn kept(&self) -> Kept {
        let [minute, quarter, hour] = self.frontiers;
        let [raw, minute_floor, quarter_floor] = self.floors;
        floors(rolled(minute, quarter, hour), raw, minute_floor, Some(quarter_floor))
    }

    fn dirty(&self) -> Dirty {
        let windows = Tier::ROLLED.iter().zip(&self.marks).flat_map(|(&tier, marks)| {
            marks.iter().map(move |&start| Window::starting(tier, at(start)).unwrap())
        });
        windows.collect()
    }

    fn part(&self, part: &CoveredPart) -> u64 {
        let second = |at: Timestamp| at.as_seconds() - BASE;
        let counts = match part.tier {
            Tier::Raw => &self.raw,
            Tier::Minute => &self.rolled[0],
            Tier::Quarter => &self.rolled[1],
            Tier::Hour => &self.rolled[2],
        };
        sum(counts, second(part.range.from), second(part.range.to))
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..SPAN, 1..100_u64).prop_map(|(second, count)| Step::Write { second, count }),
        4 => (0..3_usize, 1..200_i64).prop_map(|(tier, windows)| Step::Roll { tier, windows }),
        2 => (0..3_usize).prop_map(|tier| Step::RollMarked { tier }),
        1 => (0..3_usize, 0..SPAN).prop_map(|(tier, to)| Step::Retain { tier, to }),
    ]
}

fn some_edges() -> impl Strategy<Value = Vec<i64>> {
    let grid = prop_oneof![Just(10_i64), Just(60), Just(900), Just(1_800), Just(HOUR)];
    (grid, prop::collection::btree_set(0..=SPAN / 10, 2..12)).prop_filter_map(
        "too few edges",
        |(grid, edges)| {
            let edges: BTreeSet<i64> = edges.into_iter().map(|edge| edge * 10 / grid * grid).collect();
            (edges.len() >= 2).then(|| edges.into_iter().collect())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn at_every_moment_the_cover_adds_up_to_all_that_was_written(
        steps in prop::collection::vec(step(), 1..60),
        seconds in some_edges(),
    ) {
        let mut store = Miniature::default();
        let edges = edges(seconds.iter().copied());
        for step in &steps {
            store.apply(step);
            let cover = covered(&edges, store.kept(), &store.dirty());
            for (position, pair) in seconds.windows(2).enumerate() {
                let range = bucket(&edges, position);
                let sum_of_parts: u64 = cover
                    .parts
                    .iter()
                    .map(|part| CoveredPart { range: part.range.intersection(range), ..*part })
                    .filter(|part| !part.range.is_empty())
                    .map(|part| store.part(&part))
                    .sum();
                let expected = if cover.beyond.contains(&position) { 0 } else { sum(&store.all, pair[0], pair[1]) };
                prop_assert_eq!(sum_of_parts, expected, "bucket {:?} after {:?}: {:?}", pair, step, cover);
            }
        }
    }

    #[test]
    fn parts_and_unanswerable_buckets_partition_the_range_and_every_part_is_fit_to_answer(
        seconds in some_edges(),
        frontiers in prop::array::uniform3(0..=SPAN / 60),
        floors_at in prop::array::uniform3(0..=SPAN / 60),
        marks in prop::collection::vec((0..3_usize, 0..SPAN), 0..8),
    ) {
        let [mut hour, mut quarter, mut minute] = frontiers.map(|at| at * 60);
        (quarter, minute) = (quarter.max(hour), minute.max(quarter.max(hour)));
        (hour, quarter) = (hour - hour % HOUR, quarter - quarter % 900);
        let mut floor = floors_at.map(|at| at * 60);
        floor.sort_unstable();
        let kept = floors(rolled(minute, quarter, hour), floor[2], floor[1], Some(floor[0]));
        let marks: Vec<(Tier, i64)> = marks.iter().map(|&(tier, at)| (Tier::ROLLED[tier], at)).collect();
        let dirty = dirty(&marks);
        let edges = edges(seconds);

        let cover = covered(&edges, kept, &dirty);

        let mut pieces: Vec<TimeRange> = cover.parts.iter().map(|part| part.range).collect();
        pieces.extend(cover.beyond.iter().map(|&position| bucket(&edges, position)));
        pieces.sort_unstable_by_key(|range| range.from);
        prop_assert_eq!(pieces.first().map(|range| range.from), edges.first().copied());
        prop_assert_eq!(pieces.last().map(|range| range.to), edges.last().copied());
        prop_assert!(pieces.windows(2).all(|pair| pair[0].to == pair[1].from), "{:?}", pieces);
        for &CoveredPart { tier, range } in &cover.parts {
            let seconds = tier.seconds();
            prop_assert!(range.from.floor_to(seconds) == range.from && range.to.floor_to(seconds) == range.to);
            prop_assert!(kept.frontiers.whole(tier).is_some_and(|whole| range.to <= whole));
            prop_assert!(kept.floors.of(tier).is_none_or(|floor| range.from >= floor));
            for edge in edges.iter().filter(|edge| range.contains(**edge)) {
                prop_assert_eq!(edge.floor_to(seconds), *edge, "{:?} is straddled in {:?}", edge, cover);
            }
            for start in dirty.starts(tier, range) {
                let finer_is_gone = kept.floors.of(tier.finer().unwrap()).is_some_and(|floor| *start < floor);
                prop_assert!(finer_is_gone, "{} is dirty in {:?}", start, cover);
            }
        }
        for &position in &cover.beyond {
            let raw_is_gone = kept.floors.raw.is_some_and(|floor| bucket(&edges, position).from < floor);
            prop_assert!(raw_is_gone, "bucket {} is kept as raw points: {:?}", position, cover);
        }
    }
}
