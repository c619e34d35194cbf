//! From the answers to what is shown: rates, totals, sparklines and bursts. Pure.
//!
//! Two questions are asked: two hours by minute, and two minutes in slots of 10 s, from which the newest rates come. What
//! is not known is nothing here, and never zero.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
};

use flagmeter_model::Timestamp;
use serde::Serialize;

use super::board::{Board, Known, OTHERS};

const SLOT_SECONDS: i64 = 10;
const MINUTE_SECONDS: i64 = 60;
/// Minutes of a sparkline, and of what bursts are measured by.
const HOUR: usize = 60;
/// A median of fewer minutes says nothing.
const KNOWN_MIN: usize = 10;
/// A burst has so many times the median, and so many counts more.
const BURST_TIMES: u64 = 3;
const BURST_EXCESS: u64 = 60;

/// What a burst is here, in words.
pub(super) const BURST_RULE: &str =
    "burst: a minute with 3 times the median of the hour before it, and 60 counts more";

/// What is known of the minutes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// All is in.
    Complete,
    /// A node is missing in some of them.
    Partial,
    /// Nothing is known of some of them.
    Gaps,
    /// Nothing is known of any.
    Unknown,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Gaps => "gaps",
            Self::Unknown => "unknown",
        }
    }
}

/// A minute that stands out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Burst {
    /// Its start, as the server writes it.
    pub(super) at: String,
    /// Its count.
    pub(super) count: u64,
    /// The median of the hour before it.
    pub(super) median: u64,
}

/// What is shown of a group, or of all together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Line {
    pub(super) name: String,
    /// Counts per second in the last whole 10 s.
    pub(super) now: Option<f64>,
    /// Counts per second in the last whole minute of such slots.
    pub(super) minute: Option<f64>,
    /// Counts in the last 60 whole minutes, as far as they are known.
    pub(super) hour: Option<u64>,
    /// By which share that is more than in the 60 before: only where all of both are in.
    pub(super) change: Option<f64>,
    pub(super) state: State,
    /// The last 60 whole minutes.
    pub(super) sparkline: Vec<Option<u64>>,
    pub(super) bursts: Vec<Burst>,
}

/// All that is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Table {
    pub(super) by: String,
    pub(super) complete_until: Option<String>,
    /// That as a time.
    #[serde(skip)]
    pub(super) complete_at: Option<Timestamp>,
    pub(super) missing_nodes: Vec<String>,
    pub(super) burst_rule: &'static str,
    pub(super) total: Line,
    pub(super) lines: Vec<Line>,
}

/// The table of these answers.
pub(super) fn table(by: &str, hours: &Board, slots: &Board) -> Table {
    let groups: BTreeSet<&String> = hours.groups.keys().chain(slots.groups.keys()).collect();
    let of = |name: &String| line(name, (hours, counts(hours, name)), (slots, counts(slots, name)));
    // The newer of two answers tells until when all is in.
    let newest = hours.complete_until.as_ref().max(slots.complete_until.as_ref());
    Table {
        by: by.to_owned(),
        complete_until: newest.map(|(_, text)| text.clone()),
        complete_at: newest.map(|(at, _)| *at),
        missing_nodes: hours.missing.clone(),
        burst_rule: BURST_RULE,
        total: line("all", (hours, Some(&sums(hours))), (slots, Some(&sums(slots)))),
        lines: groups.into_iter().map(of).collect(),
    }
}

/// What a group counted. One that is not there has counted nothing, unless it may be one of all others.
fn counts<'a>(board: &'a Board, name: &str) -> Option<&'a BTreeMap<i64, u64>> {
    static NOTHING: BTreeMap<i64, u64> = BTreeMap::new();
    board.groups.get(name).or_else(|| (!board.groups.contains_key(OTHERS)).then_some(&NOTHING))
}

/// All groups together.
fn sums(board: &Board) -> BTreeMap<i64, u64> {
    let mut sums = BTreeMap::new();
    for (start, count) in board.groups.values().flatten() {
        let sum: &mut u64 = sums.entry(*start).or_default();
        *sum = sum.saturating_add(*count);
    }
    sums
}

type Counts<'a> = (&'a Board, Option<&'a BTreeMap<i64, u64>>);

fn line(name: &str, hours: Counts<'_>, slots: Counts<'_>) -> Line {
    let minutes = whole(hours, MINUTE_SECONDS);
    let (before, hour) = minutes.split_at(minutes.len().saturating_sub(HOUR));
    let slots: Vec<Option<u64>> = whole(slots, SLOT_SECONDS).into_iter().map(|cell| cell.count).collect();
    let counts = |cells: &[Cell<'_>]| cells.iter().map(|cell| cell.count).collect::<Vec<_>>();
    // Where all is in only until long ago, the hour before that begins before what was asked for.
    let not_asked = HOUR.saturating_sub(hour.len());
    let is_comparable = before.len() >= HOUR && minutes.iter().all(|cell| cell.state == Known::Complete);
    let change =
        is_comparable.then(|| growth(known_sum(&counts(before))?, known_sum(&counts(hour))?)).flatten();
    Line {
        name: name.to_owned(),
        now: rate(&slots, 1),
        minute: rate(&slots, 6),
        hour: known_sum(&counts(hour)),
        change,
        state: state(hour),
        sparkline: iter::repeat_n(None, not_asked).chain(counts(hour)).collect(),
        bursts: bursts(&minutes),
    }
}

/// A whole bucket.
#[derive(Debug, Clone, Copy)]
struct Cell<'a> {
    start: &'a str,
    state: Known,
    count: Option<u64>,
}

/// The buckets before the time until which all is in, with what a group counted in them.
fn whole((board, counts): Counts<'_>, seconds: i64) -> Vec<Cell<'_>> {
    let until = board.complete_until.as_ref().map_or(i64::MIN, |(at, _)| at.as_seconds());
    let is_whole = board.buckets.iter().take_while(|(start, _)| **start + seconds <= until);
    is_whole
        .map(|(start, bucket)| {
            // A group without a row in a bucket of which something is known has counted nothing there.
            let count = |counts: &BTreeMap<_, _>| counts.get(start).copied().unwrap_or(0);
            let known = counts.filter(|_| bucket.state != Known::Unknown).map(count);
            Cell { start: &bucket.start, state: bucket.state, count: known }
        })
        .collect()
}

/// Counts per second over the last so many slots; nothing unless all of them are known.
fn rate(slots: &[Option<u64>], last: usize) -> Option<f64> {
    let slots = slots.get(slots.len().checked_sub(last)?..)?;
    let sum = slots.iter().copied().try_fold(0_u64, |sum, count| Some(sum.saturating_add(count?)))?;
    let seconds = i64::try_from(last).ok()?.checked_mul(SLOT_SECONDS)?;
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
    let rate = sum as f64 / seconds as f64;
    Some(rate)
}

fn known_sum(counts: &[Option<u64>]) -> Option<u64> {
    counts.iter().flatten().copied().reduce(u64::saturating_add)
}

fn growth(before: u64, now: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a change is shown with three digits")]
    let growth = (before > 0).then(|| (now as f64 - before as f64) / before as f64);
    growth
}

fn state(hour: &[Cell<'_>]) -> State {
    let is = |cell: &Cell<'_>, state| cell.state == state;
    if hour.iter().all(|cell| is(cell, Known::Unknown)) {
        State::Unknown
    } else if hour.len() < HOUR || hour.iter().any(|cell| is(cell, Known::Unknown)) {
        State::Gaps
    } else if hour.iter().any(|cell| is(cell, Known::Partial)) {
        State::Partial
    } else {
        State::Complete
    }
}

/// Minutes of the last hour that have [`BURST_TIMES`] the median of the known ones among the [`HOUR`] before.
fn bursts(minutes: &[Cell<'_>]) -> Vec<Burst> {
    let first = minutes.len().saturating_sub(HOUR);
    let found = minutes.iter().enumerate().skip(first).filter_map(|(place, cell)| {
        let count = cell.count?;
        let before = minutes.get(place.saturating_sub(HOUR)..place)?;
        let median = median(before.iter().filter_map(|cell| cell.count).collect())?;
        let is_burst =
            count >= median.saturating_mul(BURST_TIMES) && count - median.min(count) >= BURST_EXCESS;
        is_burst.then(|| Burst { at: cell.start.to_owned(), count, median })
    });
    found.collect()
}

/// The upper one of the two in the middle.
fn median(mut counts: Vec<u64>) -> Option<u64> {
    counts.sort_unstable();
    counts.get(counts.len() / 2).copied().filter(|_| counts.len() >= KNOWN_MIN)
}

#[cfg(test)]
mod tests;
