//! One question, answered again and again for as long as someone watches, for all of them at once.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, timeout},
};

use super::{
    Shared,
    seats::Query,
    track::{Step, Track},
};
use crate::{Config, Error, Result, room::Room, usage};

/// A question rests so many times as long as its answer took.
const REST: u32 = 9;
/// The longest rest.
const REST_MAX: Duration = Duration::from_mins(1);
/// After so many failures in a row the rest between tries grows no longer: 16 times the shortest.
const DOUBLINGS_MAX: u32 = 4;

/// What keeps the answers of one question new.
pub(super) struct Task {
    pub(super) shared: Arc<Shared>,
    pub(super) query: Arc<Query>,
    /// For the rows of the answer that is kept.
    held: Option<OwnedSemaphorePermit>,
    failures: u32,
}

impl Task {
    pub(super) const fn new(shared: Arc<Shared>, query: Arc<Query>) -> Self {
        Self { shared, query, held: None, failures: 0 }
    }

    /// Goes on until nobody watches, the question has no answer, or the process is told to stop.
    pub(super) async fn run(mut self) {
        let mut stopping = self.shared.stopping.clone();
        let stopped = async move { while stopping.changed().await.is_ok() {} };
        tokio::select! {
            biased;
            () = stopped => {}
            () = self.go_on() => {}
        }
        // What is left to do, however it ends, is done by `drop`.
    }

    async fn go_on(&mut self) {
        loop {
            let began = Instant::now();
            let is_over = match self.compute().await {
                Ok((usage, room)) => {
                    self.failures = 0;
                    self.tell(usage);
                    drop(room);
                    false
                }
                Err(error) => self.fail(&error),
            };
            if is_over {
                return;
            }
            sleep(self.rest(began.elapsed())).await;
            while !self.shared.seats.lock().wants(&self.query) {
                self.query.track.send_modify(Track::rest);
                if !self.is_called().await {
                    return;
                }
            }
        }
    }

    async fn compute(&mut self) -> Result<(usage::Usage, Room)> {
        let range = self.query.asked.range(self.shared.clock.now())?;
        let config = &self.shared.config;
        let config = Config { rows_max: config.rows_max.min(config.live.rows_max), ..config.clone() };
        let mut reading = self.shared.reader.begin_for_many().await?;
        let (_, usage, room) = usage::answer(&self.query.asked, range, &mut reading, &config).await?;
        self.hold(usage.rows.len())?;
        Ok((usage, room))
    }

    /// Takes room for the rows of the answer that is kept, or gives back what is more than that.
    fn hold(&mut self, rows: usize) -> Result<()> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if let Some(more) = rows.checked_sub(held) {
            let at_once = self.shared.config.live.rows_held_max;
            let refused = || Error::Streams { at_once, what: "rows are kept for live streams" };
            let more = u32::try_from(more).map_err(|_| refused())?;
            let more = Arc::clone(&self.shared.rows).try_acquire_many_owned(more).map_err(|_| refused())?;
            match &mut self.held {
                Some(held) => held.merge(more),
                none => *none = Some(more),
            }
        } else {
            drop(self.held.as_mut().and_then(|permits| permits.split(held - rows)));
        }
        Ok(())
    }

    fn tell(&self, usage: usage::Usage) {
        let (newest, in_trouble) = {
            let track = self.query.track.borrow();
            (track.newest(), track.is_in_trouble())
        };
        let step = Track::step(newest.as_deref(), in_trouble, usage);
        self.shared.metrics.live.computed(if matches!(step, Step::Same) { "same" } else { "changed" });
        self.query.track.send_if_modified(|track| track.go(step));
    }

    /// Whether it is over.
    fn fail(&mut self, error: &Error) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.shared.metrics.live.computed("failed");
        let mut is_final = false;
        self.query.track.send_modify(|track| is_final = track.fail(error));
        is_final
    }

    fn rest(&self, took: Duration) -> Duration {
        let shortest = self.shared.config.live.interval;
        let after_failures = match self.failures {
            0 => shortest,
            failures => shortest.saturating_mul(1 << failures.min(DOUBLINGS_MAX)),
        };
        after_failures.max(took.saturating_mul(REST)).min(REST_MAX.max(shortest))
    }

    /// Waits for someone to come; false if nobody did in time, or if the place is needed for another question.
    async fn is_called(&self) -> bool {
        let is_in_time = timeout(self.shared.config.live.linger, self.query.called.notified()).await.is_ok();
        let mut seats = self.shared.seats.lock();
        if is_in_time && seats.knows(&self.query) {
            return true;
        }
        // Who came in the last instant is not left behind.
        if seats.wants(&self.query) {
            return true;
        }
        seats.forget(&self.query);
        false
    }
}

impl Drop for Task {
    /// However it ends, also by a bug: nobody is left to wait for an answer that nobody computes.
    fn drop(&mut self) {
        let mut seats = self.shared.seats.lock();
        seats.forget(&self.query);
        self.shared.metrics.live.queries(seats.queries());
        drop(seats);
        self.query.track.send_modify(Track::end);
    }
}
