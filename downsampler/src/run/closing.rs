//! The half that closes hours, as a task.

use std::time::Duration;

use flagmeter_model::Timestamp;
use flagmeter_store::State;
use tokio::sync::watch;
use tracing::{error, warn};

use super::{BACKOFF_MAX, BACKOFF_MIN, With};
use crate::{Closed, CycleReport, Error, Result, cycle::Cycle};

/// How long hours that are due may wait before that is spoken of, in seconds.
const WAITING_SECONDS_MAX: i64 = 60;

/// How often the lag is told while roll-ups fail, and so no hour can be closed.
const LAG_EVERY: Duration = Duration::from_secs(15);

/// What it remembers.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// Until when hours are closed, as it was last seen.
    closed: Option<Timestamp>,
    /// Since when hours that are due have waited, and when that was told.
    waiting: Option<(Timestamp, Option<Timestamp>)>,
}

impl Closing {
    /// One cycle, from what `state` tells.
    pub(super) async fn pass(&mut self, with: &With, state: State) -> Result<CycleReport> {
        let began = with.clock.now();
        let mut cycle = Cycle::closing(Some(state), self.closed);
        let parts = (with.store.as_ref(), with.ledger.as_deref());
        let outcome = loop {
            match cycle.turn(parts, &with.config, began, &with.metrics).await {
                Ok(None) => {}
                Ok(Some(report)) => break Ok(report),
                Err(error) => break Err(error),
            }
        };
        self.closed = cycle.closed();
        let ended = with.clock.now();
        // While the ledger is away, it is the lag that tells.
        with.metrics.closed(self.closed, ended);
        let report = outcome.inspect_err(|error| with.metrics.failed(error))?;
        with.metrics.dirty(&report.state);
        self.tell(&report.closed, ended);
        Ok(report)
    }

    /// A cycle whenever there is a state that was not seen, until no more will come.
    pub(super) async fn run(mut self, with: &With, mut states: watch::Receiver<State>) -> Result<()> {
        let mut backoff = BACKOFF_MIN;
        while let Some(mut state) = self.next(with, &mut states).await {
            let met = loop {
                match self.pass(with, state).await {
                    Ok(CycleReport { more: true, state: left, .. }) => state = left,
                    Ok(_) => break None,
                    Err(error) => break Some(error),
                }
            };
            backoff = match met {
                None => BACKOFF_MIN,
                Some(error) => {
                    tokio::time::sleep(pause_after(error, backoff)?).await;
                    backoff.saturating_mul(2).min(BACKOFF_MAX)
                }
            };
        }
        Ok(())
    }

    /// The next state that was not seen; `None` when no more will come. While none comes the lag goes on being told, also where no
    /// cycle of this process has asked yet until when hours are closed.
    async fn next(&mut self, with: &With, states: &mut watch::Receiver<State>) -> Option<State> {
        loop {
            if let Ok(changed) = tokio::time::timeout(LAG_EVERY, states.changed()).await {
                changed.ok()?;
                return Some(states.borrow_and_update().clone());
            }
            let closed = match (self.closed, &with.ledger) {
                (None, Some(ledger)) => ledger.standing().await.ok().and_then(|standing| standing.closed),
                (closed, _) => closed,
            };
            with.metrics.closed(closed, with.clock.now());
        }
    }

    fn tell(&mut self, closed: &Closed, now: Timestamp) {
        if !closed.waits {
            self.waiting = None;
            return;
        }
        let (since, told) = self.waiting.unwrap_or((now, None));
        let is_long = |since: Timestamp| now.millis_since(since) >= WAITING_SECONDS_MAX * 1_000;
        let tells = is_long(told.unwrap_or(since));
        if tells {
            warn!(
                %since,
                "hours that are due are not closed: late counts for them go on coming in, or an hour does not agree with \
                 its quarters, which flagmeter audit would show"
            );
        }
        self.waiting = Some((since, told.filter(|_| !tells).or(tells.then_some(now))));
    }
}

/// How long an error is waited out, which is told. One that no waiting mends comes back.
fn pause_after(error: Error, backoff: Duration) -> Result<Duration> {
    if error.is_retryable() {
        warn!(%error, "hours wait to be closed, and late ones for their corrections: tried again in {} ms", backoff.as_millis());
        Ok(backoff)
    } else if error.is_damage() {
        error!(
            %error,
            "no hour is closed and no late one corrected until this is put right; it is tried again every {} s",
            BACKOFF_MAX.as_secs()
        );
        Ok(BACKOFF_MAX)
    } else {
        Err(error)
    }
}

#[cfg(test)]
mod tests;
