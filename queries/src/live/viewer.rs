//! One viewer: a place on the track of its question, and nothing that could grow.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::{sync::watch, time::timeout};

use super::{
    Shared,
    frame::{Coding, Frame},
    seats::{Owner, Query},
    track::{Kind, Next, Place, Track, problem_event},
};
use crate::{Error, access::Refusal};

/// What a stream says when there is nothing to say: a comment, so that nobody on the way takes it for dead.
pub(super) const HEARTBEAT: &str = ":\n\n";
/// When a browser comes back by itself: not all at once, because all may have lost the same server.
const RETRY_MS: u64 = 2_000;
const RETRY_SPREAD_MS: u64 = 4_000;

/// A viewer's seat. It is given back when the stream is dropped.
pub(super) struct Seat {
    pub(super) shared: Arc<Shared>,
    pub(super) query: Arc<Query>,
    pub(super) owner: Owner,
    pub(super) token_id: String,
    pub(super) is_good: watch::Receiver<bool>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.shared.seats.lock();
        seats.leave(&self.query, &self.owner, &self.token_id);
        self.shared.metrics.live.viewers(seats.viewers());
    }
}

/// Where a stream is.
enum Phase {
    /// Nothing was sent. Something is at once, so that whoever is on the way passes the head on.
    Greeting {
        number: u64,
    },
    Watching,
    /// There is nothing more to say.
    Ending,
    Over,
}

struct Viewer {
    seat: Seat,
    track: watch::Receiver<Track>,
    place: Place,
    phase: Phase,
    coding: Coding,
    heartbeat: Duration,
}

/// The stream of a viewer, from a place on.
pub(super) fn body(seat: Seat, place: Place, number: u64, coding: Coding) -> Body {
    let viewer = Viewer {
        track: seat.query.track.subscribe(),
        heartbeat: seat.shared.config.live.heartbeat,
        seat,
        place,
        phase: Phase::Greeting { number },
        coding,
    };
    Body::from_stream(stream::unfold(viewer, |mut viewer| async move {
        let bytes = viewer.next().await?;
        Some((Ok::<_, Infallible>(bytes), viewer))
    }))
}

impl Viewer {
    async fn next(&mut self) -> Option<Bytes> {
        let frame = match self.phase {
            Phase::Greeting { number } => {
                self.phase = Phase::Watching;
                // By a large step, so that those who came one after the other come back far from each other.
                let after_ms = RETRY_MS + number.wrapping_mul(2_654_435_761) % RETRY_SPREAD_MS;
                Some(Frame::new(format!("retry: {after_ms}\n\n")))
            }
            Phase::Watching => self.watch().await,
            Phase::Ending => None,
            Phase::Over => return None,
        };
        let Some(frame) = frame else {
            self.phase = Phase::Over;
            return self.coding.end();
        };
        Some(self.coding.next(&frame))
    }

    /// What comes next for it, once there is something.
    async fn watch(&mut self) -> Option<Arc<Frame>> {
        loop {
            if !*self.seat.is_good.borrow_and_update() {
                self.phase = Phase::Ending;
                // Which reason it was is not told: nor is it to those who ask anew.
                let ended = problem_event(&Error::Unauthenticated(Refusal::Revoked));
                return Some(self.sent(Kind::Problem, ended));
            }
            let next = self.track.borrow_and_update().next(&mut self.place);
            match next {
                Next::Whole(kind, answer) => return Some(self.sent(kind, answer.event())),
                Next::Event(kind, event) => return Some(self.sent(kind, event)),
                Next::End => return None,
                Next::Nothing => {}
            }
            tokio::select! {
                biased;
                _ = self.seat.is_good.changed() => {}
                changed = timeout(self.heartbeat, self.track.changed()) => {
                    if changed.is_err() {
                        let heartbeat = Arc::clone(&self.seat.shared.heartbeat);
                        return Some(self.sent(Kind::Heartbeat, heartbeat));
                    }
                }
            }
        }
    }

    fn sent(&self, kind: Kind, frame: Arc<Frame>) -> Arc<Frame> {
        self.seat.shared.metrics.live.sent(kind);
        frame
    }
}
