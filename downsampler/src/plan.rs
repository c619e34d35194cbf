//! Which windows are due. Pure: nothing here does anything.

use std::{collections::BTreeSet, time::Duration};

use flagmeter_model::{Tier, TimeRange, Timestamp, low_watermark};
use flagmeter_store::{Floors, Mark, NewMark, Rolling, State};

use crate::Config;

/// What a cycle goes through, in this order; the state is read again after each phase that did something. So
/// late data climbs from its minute to the mark of its hour in one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Says which minutes will be rolled up next.
    Announce,
    /// Rolls up the windows of a tier that are due for the first time.
    Roll(Tier),
    /// Rolls up the dirty windows of a tier.
    Reroll(Tier),
    /// Deletes what is past its retention.
    Retain,
}

impl Phase {
    /// Those that want nothing but the store, in order.
    pub const ROLLING: [Self; 7] = [
        Self::Announce,
        Self::Roll(Tier::Minute),
        Self::Reroll(Tier::Minute),
        Self::Roll(Tier::Quarter),
        Self::Reroll(Tier::Quarter),
        Self::Roll(Tier::Hour),
        Self::Retain,
    ];
    /// Those that want the ledger as well.
    pub const CLOSING: [Self; 1] = [Self::Reroll(Tier::Hour)];
}

/// One call to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Moves the announced minute frontier.
    Announce {
        /// The end of the last minute announced.
        until: Timestamp,
    },
    /// Rolls windows up.
    Roll(Rolling),
    /// Calls the windows of a tier whole.
    Advance {
        /// The tier.
        tier: Tier,
        /// The end of its last whole window.
        until: Timestamp,
    },
    /// Marks the windows above those that were rolled up again.
    Mark(Vec<NewMark>),
    /// Tells the ledger of hours that were rolled up again, as far as they may be closed.
    Correct(Vec<NewMark>),
    /// Takes the marks away that were dealt with.
    Clear(Vec<Mark>),
    /// Deletes what lies before these floors.
    Retain(Floors),
}

/// What a phase has to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The calls to make, in this order. None: the phase has nothing to do.
    pub steps: Vec<Step>,
    /// More of the same is due: it was cut to keep each call bounded.
    pub more: bool,
}

/// What `phase` has to do, as far as `state` tells. `marks` are the first marks of the tier of a
/// [`Phase::Reroll`], at most [`Bounds::dirty`](crate::Bounds::dirty) of them; other phases need none.
///
/// It is safe to make these calls however old `state` and `marks` have become, beside any other downsampler,
/// and to stop after any of them.
pub fn plan(phase: Phase, state: &State, marks: &[Mark], config: &Config, now: Timestamp) -> Plan {
    match phase {
        Phase::Announce => announce(state, config, now),
        Phase::Roll(tier) => roll(tier, state, config),
        Phase::Reroll(tier) => reroll(tier, state, marks, config),
        Phase::Retain => retain(state, config, now),
    }
}

/// Until when the marks of a tier may be dealt with; `None` while no mark of it needs to be.
pub(crate) fn marks_due(tier: Tier, state: &State) -> Option<Timestamp> {
    let first =
        Tier::ROLLED.iter().zip(state.dirty_first).find_map(|(&of, first)| first.filter(|_| of == tier))?;
    state.frontiers.whole(tier).filter(|&whole| first.plus_seconds(tier.seconds()) <= whole)
}

/// Minutes are due up to the low watermark, but never beyond our own clock: one node whose clock has jumped
/// ahead must not make everything after it late. They are announced in the pieces in which they are rolled up,
/// so that a point that comes in before its piece needs no mark.
fn announce(state: &State, config: &Config, now: Timestamp) -> Plan {
    let low = low_watermark(&state.progress, state.partitions, config.node_timeout_ms);
    let Some(low) = low.at else { return Plan::default() };
    let due = low.min(now).floor_to(Tier::Minute.seconds());
    let piece = config.bounds.seconds(Tier::Minute);
    let until = beginning(Tier::Minute, state).map_or(due, |from| due.min(from.plus_seconds(piece)));
    let announced = state.frontiers.minute.announced;
    let steps = if announced < Some(until) { vec![Step::Announce { until }] } else { Vec::new() };
    Plan { steps, more: announced.max(Some(until)) < Some(due) }
}

/// Minutes as far as they are announced, coarser windows as far as the finer tier is whole; a piece at a time.
fn roll(tier: Tier, state: &State, config: &Config) -> Plan {
    let frontiers = &state.frontiers;
    let below = match tier.finer() {
        None => return Plan::default(),
        Some(Tier::Raw) => frontiers.minute.announced,
        Some(finer) => frontiers.whole(finer),
    };
    let Some(due) = below.map(|below| below.floor_to(tier.seconds())) else { return Plan::default() };
    if frontiers.whole(tier) >= Some(due) {
        return Plan::default();
    }
    let Some(from) = beginning(tier, state).filter(|&from| from < due) else {
        return Plan { steps: vec![Step::Advance { tier, until: due }], more: false };
    };
    let until = due.min(from.plus_seconds(config.bounds.seconds(tier)));
    let rolling = Rolling::Range(tier, TimeRange::new(from, until));
    Plan { steps: vec![Step::Roll(rolling), Step::Advance { tier, until }], more: until < due }
}

/// The first window of a tier that is not whole and may hold something; `None` when there is no raw point.
///
/// What is not whole has all its raw points still ([`State::deletable`]), so before the first of them there is
/// nothing in any tier: days in which nothing was counted are stepped over.
fn beginning(tier: Tier, state: &State) -> Option<Timestamp> {
    let first = state.raw_first?.floor_to(tier.seconds());
    Some(state.frontiers.whole(tier).map_or(first, |whole| whole.max(first)))
}

/// The order is what keeps late data from being lost. Marking the parent first would let another downsampler
/// roll it up from the old window and clear that mark; clearing first would lose the parent in a crash. What is above
/// hours is the ledger.
fn reroll(tier: Tier, state: &State, marks: &[Mark], config: &Config) -> Plan {
    let whole = state.frontiers.whole(tier);
    let due: Vec<Mark> = marks.iter().filter(|mark| Some(mark.window.end()) <= whole).cloned().collect();
    if due.is_empty() {
        return Plan::default();
    }
    let more = marks.len() >= config.bounds.dirty;
    let windows: Vec<NewMark> = due
        .iter()
        .map(|mark| NewMark { window: mark.window, environment: mark.environment.clone() })
        .collect();
    let parents: BTreeSet<NewMark> = due
        .iter()
        .filter_map(|mark| {
            Some(NewMark { window: mark.window.parent()?, environment: mark.environment.clone() })
        })
        .collect();
    let mut steps = vec![Step::Roll(Rolling::Windows(windows.clone()))];
    if tier == Tier::Hour {
        steps.push(Step::Correct(windows));
    } else {
        steps.push(Step::Mark(parents.into_iter().collect()));
    }
    steps.push(Step::Clear(due));
    Plan { steps, more }
}

/// Floors lie on the hour and move forward only, as far as the settings allow and nothing is lost.
fn retain(state: &State, config: &Config, now: Timestamp) -> Plan {
    // Measured from the frontier where it lags: a clock that jumps ahead must not make anything old by itself.
    let Some(as_of) = state.frontiers.minute.whole.map(|whole| whole.min(now)) else {
        return Plan::default();
    };
    let deletable = state.deletable();
    let floor = |tier: Tier| {
        let kept = state.floors.of(tier);
        let wanted = config.retention.of(tier).map(|retention| before(as_of, retention));
        kept.max(wanted.min(deletable.of(tier)).filter(|&floor| floor > Timestamp::EPOCH))
    };
    let floors = Floors { raw: floor(Tier::Raw), minute: floor(Tier::Minute), quarter: floor(Tier::Quarter) };
    let steps = if floors == state.floors { Vec::new() } else { vec![Step::Retain(floors)] };
    Plan { steps, more: false }
}

fn before(as_of: Timestamp, retention: Duration) -> Timestamp {
    let millis = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    as_of.plus_millis(millis.saturating_neg()).floor_to(Tier::Hour.seconds())
}

#[cfg(test)]
mod tests;
