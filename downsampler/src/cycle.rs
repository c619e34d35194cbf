//! One pass over the phases of one half of the work, one call at a time; and, in the half that closes, the closing of
//! hours.

use std::{collections::VecDeque, slice, time::Instant};

use flagmeter_ledger::{Appended, Ledger};
use flagmeter_model::{LowWatermark, Tier, Timestamp, low_watermark};
use flagmeter_store::{Frontiers, Mark, Rolling, State, Store};
use tracing::Instrument as _;

use crate::{
    Closed, Config, Phase, Plan, Result, Step,
    closing::{self, Closing},
    metrics::{Kind, Metrics},
    plan::{marks_due, plan},
    traces::Traced,
};

/// The halves go round beside each other, as two downsamplers do: so what rolls up waits for the store alone, and the
/// mark of a late hour for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// Rolls up, and deletes what is past its retention.
    Rolling,
    /// Rolls late hours up again, tells the ledger of them, and closes hours.
    Closing,
}

impl Half {
    fn phases(self) -> slice::Iter<'static, Phase> {
        match self {
            Self::Rolling => Phase::ROLLING.iter(),
            Self::Closing => Phase::CLOSING.iter(),
        }
    }
}

/// What a cycle did, and what it left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CycleReport {
    /// Windows of environments rolled up for the first time.
    pub on_time: u64,
    /// Windows of environments rolled up again because data came late.
    pub dirty: u64,
    /// Rows that retention deleted.
    pub deleted: u64,
    /// What the ledger took.
    pub closed: Closed,
    /// More is due already: the cycle ended to keep its calls bounded.
    pub more: bool,
    /// Until when everything is in, and who is missing.
    pub low_watermark: LowWatermark,
    /// The store's state at the end.
    pub state: State,
}

/// A cycle on its way. It can be dropped between any two calls.
#[derive(Debug)]
pub(crate) struct Cycle {
    half: Half,
    phases: slice::Iter<'static, Phase>,
    phase: Option<Phase>,
    state: Option<State>,
    /// How far the tiers were rolled up when the store last told.
    frontiers: Option<Frontiers>,
    marks: Option<Vec<Mark>>,
    steps: VecDeque<Step>,
    /// Retention had more to delete than one call does, in this cycle or an earlier one.
    leftovers: bool,
    closing: Closing,
    report: CycleReport,
    traced: Traced,
}

impl Cycle {
    /// A cycle of the rolling half, that has done nothing yet.
    pub(crate) fn rolling(leftovers: bool) -> Self {
        Self { leftovers, ..Self::of(Half::Rolling, None, None) }
    }

    /// A cycle of the closing half, that has done nothing yet. It begins with what `state` tells, if that is known.
    pub(crate) fn closing(state: Option<State>, closed: Option<Timestamp>) -> Self {
        Self::of(Half::Closing, state, closed)
    }

    fn of(half: Half, state: Option<State>, closed: Option<Timestamp>) -> Self {
        Self {
            half,
            phases: half.phases(),
            phase: None,
            frontiers: state.as_ref().map(|state| state.frontiers),
            state,
            marks: None,
            steps: VecDeque::new(),
            leftovers: false,
            closing: Closing::new(closed),
            report: CycleReport::default(),
            traced: Traced::new(half),
        }
    }

    /// Whether retention left rows behind its floors.
    pub(crate) fn leftovers(&self) -> bool {
        self.leftovers
    }

    /// How far the tiers are rolled up, as far as it is known.
    pub(crate) fn frontiers(&self) -> Option<Frontiers> {
        self.frontiers
    }

    /// Until when hours are closed, as far as it is known.
    pub(crate) fn closed(&self) -> Option<Timestamp> {
        self.closing.closed()
    }

    /// Makes one call to the store or the ledger. The report, once the last one is made.
    pub(crate) async fn turn(
        &mut self,
        (store, ledger): (&dyn Store, Option<&dyn Ledger>),
        config: &Config,
        now: Timestamp,
        metrics: &Metrics,
    ) -> Result<Option<CycleReport>> {
        loop {
            if let Some(step) = self.steps.pop_front() {
                // What was known before is not true any more.
                self.state = None;
                let span = self.traced.step(&step);
                let applied = self.apply((store, ledger), step, now, metrics).instrument(span.clone()).await;
                applied.inspect_err(|_| {
                    span.record("error.type", "store");
                })?;
                return Ok(None);
            }
            let Some(state) = &self.state else {
                let state = store.state().await?;
                self.frontiers = Some(state.frontiers);
                self.state = Some(state);
                return Ok(None);
            };
            let Some(phase) = self.phase.or_else(|| self.phases.next().copied()) else {
                if let (Half::Closing, Some(ledger)) = (self.half, ledger) {
                    let turned = self.closing.turn((store, ledger), state, config, now).await;
                    let closed = turned.inspect_err(|_| self.traced.hours_failed())?;
                    let Some(closed) = closed else {
                        self.traced.hours_are_due();
                        return Ok(None);
                    };
                    self.traced.hours_closed(&closed);
                    self.appended(closed.appended, metrics);
                    let appended = self.report.closed.appended;
                    self.report.closed = Closed { appended, ..closed };
                    self.report.more |= closed.more;
                }
                return Ok(Some(self.finish(config)));
            };
            if let (Phase::Reroll(tier), None) = (phase, &self.marks)
                && let Some(until) = marks_due(tier, state)
            {
                self.phase = Some(phase);
                self.marks = Some(store.marks(tier, until, config.bounds.dirty).await?);
                return Ok(None);
            }
            self.phase = None;
            let marks = self.marks.take().unwrap_or_default();
            let Plan { steps, more } = plan(phase, state, &marks, config, now);
            self.steps = steps.into();
            self.report.more |= more;
            if phase == Phase::Retain && self.steps.is_empty() && self.leftovers {
                self.steps.push_back(Step::Retain(state.floors));
            }
        }
    }

    fn finish(&mut self, config: &Config) -> CycleReport {
        let state = self.state.take().unwrap_or_default();
        let low_watermark = low_watermark(&state.progress, state.partitions, config.node_timeout_ms);
        CycleReport { low_watermark, state, ..std::mem::take(&mut self.report) }
    }

    fn appended(&mut self, appended: Appended, metrics: &Metrics) {
        let Appended { closings, corrections, end } = appended;
        metrics.appended(closings, corrections);
        let sum = &mut self.report.closed.appended;
        sum.closings = sum.closings.saturating_add(closings);
        sum.corrections = sum.corrections.saturating_add(corrections);
        sum.end = sum.end.max(end);
    }

    async fn apply(
        &mut self,
        (store, ledger): (&dyn Store, Option<&dyn Ledger>),
        step: Step,
        now: Timestamp,
        metrics: &Metrics,
    ) -> Result<()> {
        match step {
            Step::Announce { until } => store.announce(until).await?,
            Step::Roll(rolling) => {
                let (tier, kind) = kind_of(&rolling);
                let began = Instant::now();
                let windows = store.roll(&rolling).await?.windows;
                metrics.rolled(tier, kind, windows, began.elapsed());
                let sum = match kind {
                    Kind::OnTime => &mut self.report.on_time,
                    Kind::Dirty => &mut self.report.dirty,
                };
                *sum = sum.saturating_add(windows);
            }
            Step::Advance { tier, until } => store.advance(tier, until).await?,
            Step::Mark(marks) => store.mark(&marks).await?,
            Step::Correct(windows) => {
                if let Some(ledger) = ledger {
                    let appended = closing::correct(store, ledger, &windows, now).await?;
                    self.appended(appended, metrics);
                }
            }
            Step::Clear(marks) => store.clear(&marks).await?,
            Step::Retain(floors) => {
                let retained = store.retain(floors).await?;
                metrics.deleted(retained.rows);
                self.report.deleted = self.report.deleted.saturating_add(retained.rows);
                self.report.more |= retained.more;
                self.leftovers = retained.more;
            }
        }
        Ok(())
    }
}

fn kind_of(rolling: &Rolling) -> (Tier, Kind) {
    match rolling {
        Rolling::Range(tier, _) => (*tier, Kind::OnTime),
        Rolling::Windows(windows) => {
            (windows.first().map_or(Tier::Minute, |window| window.window.tier()), Kind::Dirty)
        }
    }
}
