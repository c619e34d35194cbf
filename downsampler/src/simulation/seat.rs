//! A downsampler of the world, at work or dead.

use flagmeter_ledger::Ledger;
use flagmeter_model::Timestamp;
use flagmeter_store::{State, Store};

use crate::{
    Config,
    cycle::{Cycle, Half},
    metrics::Metrics,
};

/// What a call is made with.
#[derive(Clone, Copy)]
pub(super) struct With<'w> {
    pub(super) parts: (&'w dyn Store, Option<&'w dyn Ledger>),
    pub(super) config: &'w Config,
    pub(super) metrics: &'w Metrics,
    /// By the world's clock.
    pub(super) now: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Seat {
    pub(super) skew_seconds: i64,
    rolling: Option<Cycle>,
    closing: Option<Cycle>,
    /// Where the halves take turns: it is that of closing.
    closes: bool,
    /// What the last cycle of roll-ups has left.
    seen: Option<State>,
    /// What is remembered of the ledger.
    closed: Option<Timestamp>,
}

impl Seat {
    /// Another downsampler, on the machine of this one.
    pub(super) fn another(&self) -> Self {
        Self { skew_seconds: self.skew_seconds, ..Self::default() }
    }

    /// One call, of halves that take turns. True when both have ended a cycle.
    pub(super) async fn turn(&mut self, with: With<'_>) -> bool {
        let half = if self.closes { Half::Closing } else { Half::Rolling };
        let ended = self.turn_of(half, with).await;
        if ended {
            self.closes = half == Half::Rolling;
        }
        ended && half == Half::Closing
    }

    /// One call of one half. True when its cycle has ended.
    pub(super) async fn turn_of(&mut self, half: Half, with: With<'_>) -> bool {
        let With { parts, config, metrics, now } = with;
        let (seen, closed) = (&self.seen, self.closed);
        let cycle = match half {
            Half::Rolling => self.rolling.get_or_insert_with(|| Cycle::rolling(true)),
            Half::Closing => self.closing.get_or_insert_with(|| Cycle::closing(seen.clone(), closed)),
        };
        let now = now.plus_seconds(self.skew_seconds);
        let Some(report) = cycle.turn(parts, config, now, metrics).await.expect("the call") else {
            return false;
        };
        match half {
            Half::Rolling => (self.rolling, self.seen) = (None, Some(report.state)),
            Half::Closing => (self.closed, self.closing) = (cycle.closed(), None),
        }
        true
    }
}
