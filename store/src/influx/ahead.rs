//! Counts that are stored before it is their turn.
//!
//! A write ends with a few small requests, one after the other, in which the server has little to do. Meanwhile it
//! gets the counts of the next write. All of these share a number of places, one for each body on its way; and the
//! places go to the older write as long as it has bodies to send, so that it ends first.

use std::{collections::VecDeque, sync::Arc};

use flagmeter_model::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{MutexGuard, OwnedSemaphorePermit, Semaphore};

use super::plan::{Plan, Points};
use crate::Write;

/// Writes whose counts are stored and that are remembered. One that never comes makes room for a newer one.
const KEPT_MAX: usize = 4;

/// What was done of a write when its counts were stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) write: Arc<Write>,
    pub(super) plan: Plan,
    /// The points that the server refuses, and why.
    pub(super) refused: Vec<(Points, String)>,
    /// Where raw points began then.
    pub(super) floor: Option<Timestamp>,
    /// When it was begun.
    pub(super) began: Timestamp,
}

/// Writes whose counts are stored, and whose turn it is to send.
#[derive(Debug)]
pub(super) struct Ahead {
    stored: Mutex<VecDeque<Stored>>,
    sending: tokio::sync::Mutex<()>,
    places: Arc<Semaphore>,
}

impl Ahead {
    /// With so many places.
    pub(super) fn new(places: usize) -> Self {
        let places = Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS)));
        Self { stored: Mutex::default(), sending: tokio::sync::Mutex::default(), places }
    }

    /// Waits until nobody who came before has more to send.
    pub(super) async fn turn(&self) -> Room<'_> {
        Room { turn: Some(self.sending.lock().await), places: Arc::clone(&self.places) }
    }

    /// Room for a write whose turn it is: nobody is waited for but for the places.
    pub(super) fn room(&self) -> Room<'_> {
        Room { turn: None, places: Arc::clone(&self.places) }
    }

    /// Remembers what was done.
    pub(super) fn keep(&self, done: Stored) {
        let mut stored = self.stored.lock();
        stored.push_back(done);
        while stored.len() > KEPT_MAX {
            stored.pop_front();
        }
    }

    /// What was done of this very write, and is not taken yet.
    pub(super) fn take(&self, write: &Arc<Write>) -> Option<Stored> {
        let mut stored = self.stored.lock();
        let place = stored.iter().position(|stored| Arc::ptr_eq(&stored.write, write))?;
        stored.remove(place)
    }
}

/// Where bodies take their places.
#[derive(Debug)]
pub(super) struct Room<'a> {
    places: Arc<Semaphore>,
    turn: Option<MutexGuard<'a, ()>>,
}

impl Room<'_> {
    /// Waits for a place. It is free again when it is dropped.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // `None` when there are no places any more, which nobody ever says.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Lets the next one send: all that there is to send here has its place.
    pub(super) fn pass_on(&mut self) {
        self.turn = None;
    }
}
