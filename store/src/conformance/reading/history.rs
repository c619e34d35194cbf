//! Random histories: whatever comes in whatever order, every answer is what a plain list would give.

use std::collections::VecDeque;

use flagmeter_model::{Meter, Tier, TimeRange, Timestamp};

use super::{
    super::{
        Harness,
        fixture::{HOUR, at},
    },
    world::{World, evaluations, name, parents, question},
};
use crate::{
    AxisChoice, Cell, Dimension, Filter, Floors, Mark, NewMark, Read, Result, Rolling, Row, RowState, Scan,
    TierChoice,
};

/// Time in which counts lie.
const SPAN: i64 = 4 * HOUR;
const ENVIRONMENTS: [&str; 3] = ["acme/web/production", "acme/app/production", "umbrella/web/staging"];
const SERIES: [&str; 5] = ["a", "a/on", "a/off/js", "b//js", "c/on/python"];

/// Writes of several nodes, late and repeated, roll-ups cut off between any two calls, and retention, in an
/// order that `seed` tells; after each step a random question. In the end all tiers and axes agree.
pub async fn history_answers_like_a_plain_list<H: Harness>(seed: u64, steps: usize) -> Result<()> {
    let mut history = History { world: World::<H>::new().await?, dice: Dice(seed), rerolls: VecDeque::new() };
    for _ in 0..steps {
        history.step().await?;
        history.ask().await?;
    }
    history.settle().await
}

struct History<H> {
    world: World<H>,
    dice: Dice,
    rerolls: VecDeque<Reroll>,
}

/// Marked windows on their way to be rolled up again, one call at a time.
#[derive(Debug)]
enum Reroll {
    Roll(Vec<Mark>),
    MarkAbove(Vec<Mark>),
    Clear(Vec<Mark>),
}

impl<H: Harness> History<H> {
    async fn step(&mut self) -> Result<()> {
        match self.dice.below(12) {
            0..=4 => self.write().await,
            5 if self.world.records() > 0 => {
                let which = self.dice.place(self.world.records());
                let again = self.dice.below(2) == 0;
                self.world.repeat(which, again).await.map(drop)
            }
            5 | 6 => self.announce().await,
            7 | 8 => self.roll_up().await,
            9 | 10 => self.reroll().await,
            _ => self.retain().await,
        }
    }

    async fn write(&mut self) -> Result<()> {
        let from = self.second();
        let counted: Vec<_> = (0..self.dice.below(8))
            .map(|_| {
                let environment = self.dice.one(&ENVIRONMENTS);
                let series = self.dice.one(&SERIES);
                // Near each other, mostly, as in a seal.
                let second = if self.dice.below(4) == 0 { self.second() } else { from + self.dice.span(60) };
                evaluations(environment, series, second, 1 + self.dice.below(1_000))
            })
            .collect();
        let number = self.dice.one(&[0, 1, 2]);
        self.world.send(number, (from, from + self.dice.span(600)), counted).await.map(drop)
    }

    async fn announce(&mut self) -> Result<()> {
        let announced = self.world.store.state().await?.frontiers.minute.announced.unwrap_or(at(0));
        let until = announced.plus_seconds(self.dice.span(HOUR)).min(at(SPAN));
        self.world.store.announce(until).await
    }

    /// Rolls a tier up as far as the finer one goes, or less far; sometimes without getting to the advance.
    async fn roll_up(&mut self) -> Result<()> {
        let frontiers = self.world.store.state().await?.frontiers;
        let tier = self.dice.one(&Tier::ROLLED);
        let finer = match tier {
            Tier::Minute => frontiers.minute.announced,
            tier => tier.finer().and_then(|finer| frontiers.whole(finer)),
        };
        let from = frontiers.whole(tier).unwrap_or(at(0));
        let Some(until) = finer.map(|finer| finer.min(from.plus_seconds(self.dice.span(2 * HOUR)))) else {
            return Ok(());
        };
        if self.dice.below(4) > 0 {
            return self.world.roll_up_tier_from(tier, from, until).await;
        }
        let to = until.floor_to(tier.seconds());
        let cut_off = Rolling::Range(tier, TimeRange::new(from, to.max(from)));
        self.world.store.roll(&cut_off).await.map(drop)
    }

    /// Makes the next call of a roll-up of marked windows, or begins one.
    async fn reroll(&mut self) -> Result<()> {
        let store = &self.world.store;
        let next = match self.rerolls.pop_front() {
            None => {
                let tier = self.dice.one(&Tier::ROLLED);
                let limit = 1 + self.dice.place(3);
                Some(Reroll::Roll(store.marks(tier, Timestamp::MAX, limit).await?))
            }
            Some(Reroll::Roll(marks)) => {
                store.roll(&Rolling::Windows(windows(&marks))).await?;
                Some(Reroll::MarkAbove(marks))
            }
            Some(Reroll::MarkAbove(marks)) => {
                store.mark(&parents(&windows(&marks))).await?;
                Some(Reroll::Clear(marks))
            }
            Some(Reroll::Clear(marks)) => {
                store.clear(&marks).await?;
                None
            }
        };
        // Two downsamplers, at times.
        if let Some(next) = next {
            if self.dice.below(3) == 0 {
                self.rerolls.push_back(next);
            } else {
                self.rerolls.push_front(next);
            }
        }
        Ok(())
    }

    async fn retain(&mut self) -> Result<()> {
        let mut floor = || Some(at(self.dice.span(SPAN)));
        let floors = Floors { raw: floor(), minute: floor(), quarter: floor() };
        self.world.store.retain(floors).await.map(drop)
    }

    /// Asks something, and compares what is not beyond retention.
    async fn ask(&mut self) -> Result<()> {
        let read = self.question()?;
        let answer = self.world.store.read(&read).await?;
        let expected = self.world.rows(&read);
        let floor = self.world.store.state().await?.floors.raw;
        for (bucket, &start) in read.edges.iter().enumerate().take(answer.states.len()) {
            let counts = |rows: &[Row]| -> Vec<(Vec<Cell>, u64)> {
                let counted = rows.iter().map(|row| (row.group.clone(), row.counts[bucket]));
                counted.filter(|(_, count)| *count > 0).collect()
            };
            let (answered, expected) = (counts(&answer.rows), counts(&expected));
            let told = format!("bucket {bucket} of {read:?} in {answer:?}");
            let may_be_gone = answer.beyond_retention.is_some_and(|beyond| start >= beyond);
            if answer.states[bucket] == RowState::Unknown && may_be_gone && !expected.is_empty() {
                assert!(answered.is_empty(), "{told}");
                assert!(floor.is_some_and(|floor| start < floor), "{told}");
            } else {
                assert_eq!(answered, expected, "{told}");
                assert!(expected.is_empty() || answer.states[bucket] != RowState::Unknown, "{told}");
            }
        }
        Ok(())
    }

    fn question(&mut self) -> Result<Read> {
        let grid = self.dice.one(&[10, 60, 900, 1_800, HOUR]);
        let mut edges: Vec<i64> = (0..2 + self.dice.below(8)).map(|_| self.second() / grid * grid).collect();
        edges.push(edges[0] + grid);
        edges.sort_unstable();
        edges.dedup();
        let mut filter = Filter::default();
        if self.dice.below(3) == 0 {
            filter.projects.push(name(self.dice.one(&["web", "app"]))?);
        }
        if self.dice.below(3) == 0 {
            filter.names.push(name(self.dice.one(&["a", "b", "nobody"]))?);
        }
        if self.dice.below(4) == 0 {
            filter.sdks.push(None);
        }
        let dimensions = [
            Dimension::Customer,
            Dimension::Project,
            Dimension::Environment,
            Dimension::Name,
            Dimension::Variant,
            Dimension::Sdk,
        ];
        let group_by = (0..self.dice.below(3)).map(|_| self.dice.one(&dimensions)).collect();
        let axis = self.dice.one(&[AxisChoice::Any, AxisChoice::Series]);
        Ok(Read { filter, group_by, axis, ..question(edges) })
    }

    /// Rolls everything up, and compares every tier and axis with the list.
    async fn settle(mut self) -> Result<()> {
        let store = &self.world.store;
        store.announce(at(SPAN)).await?;
        for tier in Tier::ROLLED {
            let from = store.state().await?.frontiers.whole(tier).unwrap_or(at(0));
            self.world.roll_up_tier_from(tier, from, at(SPAN)).await?;
        }
        self.world.roll_up_marked().await?;
        let state = store.state().await?;
        assert_eq!(state.dirty, 0, "nothing waits any more");
        for tier in Tier::ALL {
            let from = state.floors.of(tier).unwrap_or(at(0)).max(at(0));
            let edges = vec![from, at(SPAN)];
            for axis in [AxisChoice::Series, AxisChoice::Totals] {
                let group_by = vec![Dimension::Environment, Dimension::Project];
                let all = Read { tiers: TierChoice::Only(tier), axis, group_by, ..question([0, SPAN]) };
                if from < at(SPAN) {
                    self.world.assert_answer(&Read { edges: edges.clone(), ..all }).await?;
                }
            }
            self.assert_axes_agree(tier).await?;
        }
        self.ask().await
    }

    async fn assert_axes_agree(&self, tier: Tier) -> Result<()> {
        for environment in self.world.store.environments().await? {
            let range = TimeRange::new(at(0), at(SPAN));
            for row in self.world.store.scan(&Scan { environment, tier, range }).await? {
                let sum = |meter| {
                    let of_meter = row.series.iter().filter(|(key, _)| key.meter == meter);
                    of_meter.map(|(_, count)| count).sum::<u64>()
                };
                assert_eq!(row.totals, Meter::ALL.map(sum), "{tier} at {}", row.start);
            }
        }
        Ok(())
    }

    fn second(&mut self) -> i64 {
        self.dice.span(SPAN - 60)
    }
}

fn windows(marks: &[Mark]) -> Vec<NewMark> {
    let window = |mark: &Mark| NewMark { window: mark.window, environment: mark.environment.clone() };
    marks.iter().map(window).collect()
}

/// A small generator whose throws are told by its seed (`SplitMix64`).
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    fn span(&mut self, seconds: i64) -> i64 {
        self.below(seconds.unsigned_abs()).cast_signed()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.place(of.len())]
    }

    fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }
}
