//! The detector of one series.

mod watch;

use flagmeter_model::Timestamp;
use watch::{Found, Watch};

use crate::{
    SLOT_SECONDS,
    event::{Event, Kind, Over},
    expected::{Expected, Weeks},
    learned::{Highest, Level, NOISE_FIVES, NOISE_MINUTES, Noise},
    recent::{Count, Grain, Recent, of},
    rule::Rule,
};

/// Watches one series.
#[derive(Debug, Clone)]
pub struct Detector {
    rule: Rule,
    grain: Grain,
    recent: Recent,
    slot: Option<Slot>,
    level: Level,
    minutes: Noise,
    pairs: Noise,
    fives: Noise,
    highest: Highest,
    state: State,
}

/// The five minutes that run.
#[derive(Debug, Clone)]
struct Slot {
    start: Timestamp,
    expected: Option<Expected>,
    counted: u64,
    known: i64,
}

/// What is going on.
#[derive(Debug, Clone)]
enum State {
    /// Nothing.
    Watching,
    /// Something was told that is not over.
    Going(Going),
    /// Something was over a moment ago.
    Cooling { until: Timestamp },
}

#[derive(Debug, Clone)]
struct Going {
    found: Found,
    since: Timestamp,
    extreme: u64,
    /// The last time that it was not calm.
    last_at: Timestamp,
    /// The last time that anything was known.
    known_at: Timestamp,
    /// What is expected beside the level, when it began.
    level: f64,
}

/// What was told of a series before a detector of it came to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Before {
    /// Nothing, or nothing that matters now.
    Nothing,
    /// Something that is not over.
    Going {
        /// What it is.
        kind: Kind,
        /// When it began.
        since: Timestamp,
        /// The highest minute of it; of a drop, the lowest.
        extreme: u64,
        /// What was expected of a minute, where that was decided without weeks to compare with.
        learned: Option<f64>,
    },
    /// Something that was over then.
    Over {
        /// When.
        at: Timestamp,
    },
}

/// Shortest part of a slot that must be known for its mean to be, in seconds.
const SLOT_KNOWN_MIN: i64 = 240;

impl Detector {
    /// A detector that has seen nothing.
    pub const fn new(rule: Rule, grain: Grain) -> Self {
        Self {
            rule,
            grain,
            recent: Recent::new(grain),
            slot: None,
            level: Level::new(),
            minutes: Noise::of(NOISE_MINUTES),
            pairs: Noise::of(NOISE_MINUTES),
            fives: Noise::of(NOISE_FIVES),
            highest: Highest::new(),
            state: State::Watching,
        }
    }

    /// Whether it still learns what is ordinary.
    pub fn is_learning(&self) -> bool {
        self.slot.as_ref().is_none_or(|slot| slot.expected.is_none())
    }

    /// Counts of the last minute, if it is known.
    pub fn last_minute(&self) -> Count {
        self.recent.minutes(0, 1)
    }

    /// Whether something was told that is not over.
    pub const fn is_going(&self) -> bool {
        matches!(self.state, State::Going(_))
    }

    /// The highest minute (of a drop the lowest) of what was told and goes on; `None` where nothing does, or was calm in the
    /// last minute that is known.
    pub fn worst(&self) -> Option<u64> {
        match &self.state {
            State::Going(going) if going.last_at == going.known_at => Some(going.extreme),
            State::Going(_) | State::Watching | State::Cooling { .. } => None,
        }
    }

    /// Goes on from what was told by another one until `now`, the end of the last grain. What this one has found of
    /// that time by itself counts for nothing.
    pub fn go_on_from(&mut self, before: Before, now: Timestamp) {
        let cool_down = self.rule.cool_down_minutes * 60;
        self.state = match before {
            Before::Nothing => State::Watching,
            Before::Going { kind, since, extreme, learned } => State::Going(Going {
                found: Found { kind, learned },
                since,
                extreme,
                last_at: now,
                known_at: now,
                level: self.level.either(),
            }),
            Before::Over { at } => State::Cooling { until: at.plus_seconds(cool_down) },
        };
    }

    /// Takes the count of the grain that began at `start`, which must follow the one before. `weeks` is asked once in
    /// five minutes, with the start of the slot, for what the same slot of earlier weeks was.
    pub fn take(
        &mut self,
        start: Timestamp,
        count: Count,
        weeks: impl FnOnce(Timestamp) -> Weeks,
    ) -> Option<Event> {
        let slot_start = start.floor_to(SLOT_SECONDS);
        if self.slot.as_ref().is_none_or(|slot| slot.start != slot_start) {
            self.end_slot();
            let expected = Expected::of(&weeks(slot_start));
            self.slot = Some(Slot { start: slot_start, expected, counted: 0, known: 0 });
        }
        self.recent.push(count);
        if let (Some(slot), Some(count)) = (&mut self.slot, count) {
            slot.counted = slot.counted.saturating_add(count);
            slot.known += self.grain.seconds();
        }
        let end = start.plus_seconds(self.grain.seconds());
        if end.as_seconds() % 60 == 0 {
            self.end_minute();
        }
        self.decide(end)
    }

    fn end_slot(&mut self) {
        let Some(slot) = self.slot.take().filter(|slot| slot.known >= SLOT_KNOWN_MIN) else { return };
        #[expect(clippy::cast_precision_loss, reason = "at most 300")]
        let mean = of(slot.counted) * 60.0 / slot.known as f64;
        self.highest.push(mean);
        if let Some(expected) = slot.expected {
            if matches!(self.state, State::Watching) {
                self.fives.push(mean, expected.mean * self.level.up());
            }
            // One more of both: a series that is silent at night has no ratio of nothing to nothing.
            self.level.push((mean + 1.0) / (expected.mean + 1.0));
        }
        self.minutes.look();
        self.pairs.look();
        self.fives.look();
    }

    fn end_minute(&mut self) {
        // What is out of the ordinary says nothing of how uneven the ordinary is.
        let expected = self.slot.as_ref().and_then(|slot| slot.expected);
        let (Some(expected), State::Watching) = (expected, &self.state) else { return };
        let mean = expected.mean * self.level.up();
        if let Some(count) = self.recent.minutes(0, 1) {
            self.minutes.push(of(count), mean);
        }
        if let Some(count) = self.recent.minutes(0, 2) {
            self.pairs.push(of(count), 2.0 * mean);
        }
    }

    fn watch(&self) -> Watch<'_> {
        Watch {
            rule: &self.rule,
            recent: &self.recent,
            expected: self.slot.as_ref().and_then(|slot| slot.expected),
            up: self.level.up(),
            either: self.level.either(),
            minutes: self.minutes.share(),
            pairs: self.pairs.share(),
            fives: self.fives.share(),
            highest: self.highest.get(),
        }
    }

    fn decide(&mut self, now: Timestamp) -> Option<Event> {
        match std::mem::replace(&mut self.state, State::Watching) {
            State::Going(going) => self.go_on(going, now),
            State::Cooling { until } if now < until => {
                self.state = State::Cooling { until };
                None
            }
            State::Cooling { .. } | State::Watching => self.look(now),
        }
    }

    fn look(&mut self, now: Timestamp) -> Option<Event> {
        let watch = self.watch();
        let found = watch.find()?;
        let grains = watch.lasts(&found);
        let since = now.plus_seconds(-self.grain.seconds() * i64::try_from(grains).unwrap_or(0));
        let alert = watch.alert(&found, since, now);
        let level = self.level.either();
        let extreme = alert.observed;
        self.state = State::Going(Going { found, since, extreme, last_at: now, known_at: now, level });
        Some(Event::Begins(alert))
    }

    fn go_on(&mut self, mut going: Going, now: Timestamp) -> Option<Event> {
        let watch = self.watch();
        if let Some(minute) = self.recent.minutes(0, 1) {
            going.known_at = now;
            going.extreme = going.found.worse(going.extreme, minute);
            if !watch.is_calm(&going.found, minute) {
                going.last_at = now;
            }
        }
        let calm_ms = i64::try_from(self.rule.calm_minutes).unwrap_or(0) * 60_000;
        let over = if now.millis_since(going.known_at) >= self.rule.unknown_minutes * 60_000 {
            Over::Unknown
        } else if going.known_at == now && now.millis_since(going.last_at) >= calm_ms {
            let is_new = self.level.either() / going.level;
            if (0.5..=2.0).contains(&is_new) { Over::Calm } else { Over::NewLevel }
        } else {
            self.state = State::Going(going);
            return None;
        };
        self.state = State::Cooling { until: now.plus_seconds(self.rule.cool_down_minutes * 60) };
        let Going { found, since, extreme, .. } = going;
        Some(Event::Ends { kind: found.kind, since, at: now, extreme, over })
    }
}

#[cfg(test)]
mod tests;
