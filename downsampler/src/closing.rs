//! Hours that are final: from the store into the ledger.
//!
//! An hour is closed once the low watermark has passed its end by the grace period, it is rolled up, no mark waits in
//! it, and it agrees with the quarters that it was made from. **Announce, look for marks, read, append**: whoever rolls
//! an hour up again afterwards finds the announcement, and appends what it came to ([`correct`]) before it clears the
//! mark. Two that do this at once append the same, or the one that has read more says more.

use std::collections::{BTreeMap, BTreeSet};

use flagmeter_ledger::{Append, Appended, Counted, Ledger};
use flagmeter_model::{Environment, Meter, NodeId, Tier, TimeRange, Timestamp, low_watermark};
use flagmeter_store::{
    Answer, AxisChoice, Dimension, Filter, NewMark, Read, RowState, State, Store, TierChoice,
};

use crate::{Config, Error, Result};

/// What is billed.
const METERS: [Meter; 2] = [Meter::Evaluations, Meter::Requests];
/// What tells environments apart.
const BY_ENVIRONMENT: [Dimension; 3] = [Dimension::Customer, Dimension::Project, Dimension::Environment];
/// Environments in one question.
const ENVIRONMENTS_MAX: usize = 1_000_000;
/// Before this nothing was counted.
const EARLIEST: Timestamp = Timestamp::from_seconds_clamped(1_577_836_800);
/// How it is looked for: months, then days, then hours; so many of them in one question.
const STRIDES: [i64; 3] = [30 * 24 * 3_600, 24 * 3_600, 3_600];
const STRIDES_AT_ONCE: i64 = 30;
/// Hours between two late ones that are read with them rather than asked for apart.
const GAP_HOURS: i64 = 24;
/// Hours in one question.
const HOURS_MAX: i64 = 24 * 31;

/// What closing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Closed {
    /// What was appended.
    pub appended: Appended,
    /// Every hour that ends at or before this is closed.
    pub until: Option<Timestamp>,
    /// Hours are due that wait for late counts to be rolled up, or for the tiers to agree.
    pub waits: bool,
    /// More hours are due: they were left for the next call.
    pub more: bool,
}

/// What comes next.
#[derive(Debug)]
enum Stage {
    /// Finding out what is due.
    Begin,
    /// These hours are due, or the first of them.
    Announce { until: Timestamp, more: bool },
    /// Nothing was ever closed: finding out where hours begin, in stretches that become shorter.
    First { until: Timestamp, more: bool, looked_to: Timestamp, strides: &'static [i64] },
    /// These tiers are looked through for marks.
    Marks { range: TimeRange, more: bool, tiers: &'static [Tier] },
    /// These meters are read.
    Count { range: TimeRange, more: bool, meters: &'static [Meter], counted: Vec<Counted> },
    /// All of it is known.
    Append { until: Timestamp, more: bool, counted: Vec<Counted> },
}

impl Stage {
    const fn marks(from: Timestamp, until: Timestamp, more: bool) -> Self {
        Self::Marks { range: TimeRange::new(from, until), more, tiers: &Tier::ROLLED }
    }
}

/// Closing what is due, on its way: some hours at most. It can be dropped between any two calls.
#[derive(Debug)]
pub(crate) struct Closing {
    stage: Stage,
    /// The closed frontier, as it was last seen; it only moves forward.
    closed: Option<Timestamp>,
}

impl Closing {
    /// Nothing is done yet. `closed` is the frontier as far as it is known.
    pub(crate) const fn new(closed: Option<Timestamp>) -> Self {
        Self { stage: Stage::Begin, closed }
    }

    /// The closed frontier, as far as it is known.
    pub(crate) const fn closed(&self) -> Option<Timestamp> {
        self.closed
    }

    /// Makes one step. What came of all of them, once the last one is made.
    pub(crate) async fn turn(
        &mut self,
        (store, ledger): (&dyn Store, &dyn Ledger),
        state: &State,
        config: &Config,
        now: Timestamp,
    ) -> Result<Option<Closed>> {
        let done = |closed, waits| Ok(Some(Closed { until: closed, waits, ..Closed::default() }));
        self.stage = match std::mem::replace(&mut self.stage, Stage::Begin) {
            Stage::Begin => {
                let due = due(state, config, now);
                if due <= self.closed {
                    return done(self.closed, false);
                }
                self.closed = self.closed.max(ledger.standing().await?.closed);
                let Some(due) = due.filter(|&due| Some(due) > self.closed) else {
                    return done(self.closed, false);
                };
                let bound = |from: Timestamp| from.plus_seconds(config.bounds.closing_seconds());
                let until = self.closed.map_or(due, |from| due.min(bound(from)));
                Stage::Announce { until, more: until < due }
            }
            Stage::Announce { until, more } => {
                ledger.announce(until).await?;
                match self.closed {
                    Some(from) => Stage::marks(from, until, more),
                    None => Stage::First { until, more, looked_to: EARLIEST, strides: &STRIDES },
                }
            }
            Stage::First { until, more, looked_to, strides } if looked_to < until => {
                if let Some((&stride, shorter)) = strides.split_first() {
                    let (found, looked_to) = first(store, looked_to, until, stride).await?;
                    let strides = if found { shorter } else { strides };
                    Stage::First { until, more, looked_to, strides }
                } else {
                    let bound = looked_to.plus_seconds(config.bounds.closing_seconds());
                    Stage::marks(looked_to, until.min(bound), more || bound < until)
                }
            }
            Stage::First { until, more, .. } => Stage::Append { until, more, counted: Vec::new() },
            Stage::Marks { range, more, tiers } => match tiers.split_first() {
                Some((&tier, _)) if marked(store, tier, range, config.bounds.dirty).await? => {
                    return done(self.closed, true);
                }
                Some((_, tiers)) => Stage::Marks { range, more, tiers },
                None => Stage::Count { range, more, meters: &METERS, counted: Vec::new() },
            },
            Stage::Count { range, more, meters, mut counted } => match meters.split_first() {
                Some((&meter, meters)) => match whole(store, meter, range, state).await? {
                    Some(found) => {
                        counted.extend(found);
                        Stage::Count { range, more, meters, counted }
                    }
                    None => return done(self.closed, true),
                },
                None => Stage::Append { until: range.to, more, counted },
            },
            Stage::Append { until, more, counted } => {
                let appended = ledger.append(Append { counted, closed: Some(until), at: now }).await?;
                self.closed = self.closed.max(Some(until));
                return Ok(Some(Closed { appended, until: self.closed, waits: false, more }));
            }
        };
        Ok(None)
    }
}

/// Looks for the first stretch in which anything was counted, from `from` on and not beyond `until`: whether there is one,
/// and where it begins; else how far was looked.
async fn first(
    store: &dyn Store,
    from: Timestamp,
    until: Timestamp,
    stride: i64,
) -> Result<(bool, Timestamp)> {
    let mut edges: Vec<Timestamp> =
        (0..=STRIDES_AT_ONCE).map(|number| from.plus_seconds(number * stride).min(until)).collect();
    edges.dedup();
    let looked_to = edges.last().copied().unwrap_or(until);
    let mut first: Option<Timestamp> = None;
    for meter in METERS {
        let answer = store.read(&read(meter, edges.clone(), Filter::default(), Vec::new())).await?;
        for row in &answer.rows {
            let found = edges.iter().zip(&row.counts).find(|(_, count)| **count > 0).map(|(edge, _)| *edge);
            first = first.into_iter().chain(found).min();
        }
    }
    Ok(first.map_or((false, looked_to), |first| (true, first)))
}

/// The end of the last hour that lies behind the grace period and is rolled up.
pub(crate) fn due(state: &State, config: &Config, now: Timestamp) -> Option<Timestamp> {
    let low = low_watermark(&state.progress, state.partitions, config.node_timeout_ms).at?;
    let grace = i64::try_from(config.grace.as_millis()).unwrap_or(i64::MAX);
    let passed = low.min(now).plus_millis(grace.saturating_neg()).floor_to(Tier::Hour.seconds());
    Some(passed.min(state.frontiers.whole(Tier::Hour)?))
}

/// Whether a mark of a tier waits in these hours, or may. Late counts climb from minutes to hours, and so do these looks:
/// what one misses below has been marked above by then, or is in the hour.
async fn marked(store: &dyn Store, tier: Tier, range: TimeRange, limit: usize) -> Result<bool> {
    let marks = store.marks(tier, range.to, limit).await?;
    Ok(marks.len() >= limit || marks.iter().any(|mark| mark.window.start() >= range.from))
}

/// What these hours came to; `None` while the quarters say otherwise.
async fn whole(
    store: &dyn Store,
    meter: Meter,
    range: TimeRange,
    state: &State,
) -> Result<Option<Vec<Counted>>> {
    let question = read(meter, hours_of(range), Filter::default(), BY_ENVIRONMENT.to_vec());
    let hours = store.read(&question).await?;
    // Where quarters are gone, there is nothing to compare with.
    if state.floors.quarter.is_none_or(|floor| floor <= range.from) {
        let quarters = Read { tiers: TierChoice::Only(Tier::Quarter), ..question.clone() };
        if store.read(&quarters).await?.rows != hours.rows {
            return Ok(None);
        }
    }
    counted(meter, &question.edges, &hours).map(Some)
}

/// Appends what hours came to that were rolled up again, as far as they were announced.
pub(crate) async fn correct(
    store: &dyn Store,
    ledger: &dyn Ledger,
    windows: &[NewMark],
    now: Timestamp,
) -> Result<Appended> {
    let announced = ledger.standing().await?.announced;
    let mut hours: BTreeMap<Timestamp, BTreeSet<&Environment>> = BTreeMap::new();
    for window in windows.iter().filter(|mark| Some(mark.window.end()) <= announced) {
        hours.entry(window.window.start()).or_default().insert(&window.environment);
    }
    let mut all = Vec::new();
    for range in stretches(hours.keys().copied()) {
        let of = |environment: &&Environment| environment.customer.clone();
        let meant = hours.range(range.from..range.to).flat_map(|(_, environments)| environments);
        let customers: BTreeSet<_> = meant.map(of).collect();
        let filter = Filter { customers: customers.into_iter().collect(), ..Filter::default() };
        for meter in METERS {
            let question = read(meter, hours_of(range), filter.clone(), BY_ENVIRONMENT.to_vec());
            let answer = store.read(&question).await?;
            let found = counted(meter, &question.edges, &answer)?;
            all.extend(found.into_iter().filter(|counted| {
                hours.get(&counted.hour).is_some_and(|late| late.contains(&counted.environment))
            }));
        }
    }
    if all.is_empty() {
        return Ok(Appended::default());
    }
    Ok(ledger.append(Append { counted: all, closed: None, at: now }).await?)
}

/// Hours that lie near each other, as ranges to ask for.
fn stretches(hours: impl Iterator<Item = Timestamp>) -> Vec<TimeRange> {
    let hour = Tier::Hour.seconds();
    let mut stretches: Vec<TimeRange> = Vec::new();
    for start in hours {
        let end = start.plus_seconds(hour);
        match stretches.last_mut() {
            Some(last)
                if start <= last.to.plus_seconds(GAP_HOURS * hour)
                    && end <= last.from.plus_seconds(HOURS_MAX * hour) =>
            {
                last.to = end;
            }
            _ => stretches.push(TimeRange::new(start, end)),
        }
    }
    stretches
}

/// The edges of the hours of a range.
fn hours_of(range: TimeRange) -> Vec<Timestamp> {
    let hour = Tier::Hour.seconds();
    let next = |edge: &Timestamp| Some(edge.plus_seconds(hour)).filter(|&next| next <= range.to);
    std::iter::successors(Some(range.from), next).collect()
}

/// A question for totals, to the hours alone.
const fn read(meter: Meter, edges: Vec<Timestamp>, filter: Filter, group_by: Vec<Dimension>) -> Read {
    let tiers = TierChoice::Only(Tier::Hour);
    Read { meter, edges, filter, group_by, tiers, axis: AxisChoice::Totals, groups_max: ENVIRONMENTS_MAX }
}

/// What an answer says of each hour.
fn counted(meter: Meter, edges: &[Timestamp], answer: &Answer) -> Result<Vec<Counted>> {
    let mut all = Vec::new();
    for row in &answer.rows {
        let [Some(customer), Some(project), Some(environment)] = row.group.as_slice() else {
            return Err(Error::Store(flagmeter_store::Error::Damaged(
                "a total belongs to no environment".into(),
            )));
        };
        let environment = Environment {
            customer: customer.clone(),
            project: project.clone(),
            environment: environment.clone(),
        };
        let hours = edges.iter().zip(edges.iter().skip(1)).zip(row.counts.iter().zip(&answer.states));
        for ((&hour, &end), (&count, state)) in hours.filter(|(_, (count, _))| **count > 0) {
            let missing = answer.missing.iter().filter(|missing| missing.since < end);
            let missing: BTreeSet<NodeId> = missing.map(|missing| missing.node).collect();
            all.push(Counted {
                environment: environment.clone(),
                meter,
                hour,
                count,
                complete: *state == RowState::Complete,
                missing: missing.into_iter().collect(),
            });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
