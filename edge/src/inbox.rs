//! Where requests wait for the committer. Bounded; it never blocks a sender.

use std::sync::Arc;

use bytes::Bytes;
use flagmeter_log::NewRecord;
use flagmeter_model::{Environment, Timestamp};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::{
    Result,
    wire::{Door, Taken},
};

/// What a sender is answered, and answered again when it repeats itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// What one request gives to one environment.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) environment: Arc<Environment>,
    pub(crate) taken: Taken,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// On disk.
    Committed,
    /// Its idempotency key was seen before: this is what the first was answered.
    Repeated(Reply),
    /// Nothing of it was kept.
    Turned(Turned),
}

/// Why a submission was not kept, through no fault of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    /// Too much waits already.
    Full,
    /// Too much of this environment waits already.
    EnvironmentFull,
    /// Too many large bodies are being read already.
    BodiesFull,
    /// The disk does not take it.
    DiskFailed,
    /// The edge is stopping.
    Closing,
}

/// An idempotency key with its scope, hashed; and the reply to repeat.
#[derive(Debug, Clone)]
pub(crate) struct Once {
    pub(crate) key: [u8; 16],
    pub(crate) reply: Reply,
}

/// One request, ready to commit.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) door: Door,
    pub(crate) parts: Vec<Part>,
    pub(crate) once: Option<Once>,
    /// `None` where nobody waits ([`crate::Ack::Memory`]).
    pub(crate) waiter: Option<oneshot::Sender<Outcome>>,
}

impl Submission {
    fn bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(|part| part.taken.entries.bytes() + 128).sum();
        parts + self.once.as_ref().map_or(0, |once| once.reply.body.len())
    }
}

/// Records of the outbox, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) records: Vec<NewRecord>,
    /// The place of the last of them.
    pub(crate) through: i64,
    /// When the oldest was sealed.
    pub(crate) oldest_sealed_at: Option<Timestamp>,
}

/// What the committer is told to do between groups.
#[derive(Debug)]
pub(crate) enum Order {
    /// Seal what has been added up.
    Seal { farewell: bool, done: oneshot::Sender<Result<()>> },
    /// Give the next records of the outbox.
    Next { after: i64, bytes_max: usize, done: oneshot::Sender<Result<Waiting>> },
    /// The log has the records up to this one.
    HandedOn { through: i64 },
    /// Forget what the log has, close the journal, end.
    Close { done: oneshot::Sender<Result<()>> },
    /// End at once, as a crash would.
    Abandon,
    /// Do this to the journal, so that it fails, or works again.
    #[cfg(test)]
    Tamper { with: fn(&mut crate::journal::Journal), done: oneshot::Sender<()> },
}

#[derive(Debug, Default)]
struct State {
    submissions: Vec<Submission>,
    bytes: usize,
    orders: Vec<Order>,
    closed: bool,
    /// The committer has ended: orders would never be heard.
    dead: bool,
}

/// The inbox.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    ready: Condvar,
    requests_max: usize,
    bytes_max: usize,
}

impl Inbox {
    pub(crate) fn new(requests_max: usize, bytes_max: usize) -> Self {
        Self { state: Mutex::default(), ready: Condvar::new(), requests_max, bytes_max }
    }

    /// Leaves a request to be committed, or says why not.
    pub(crate) fn submit(&self, submission: Submission) -> Result<(), Turned> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Turned::Closing);
        }
        if state.submissions.len() >= self.requests_max || state.bytes >= self.bytes_max {
            return Err(Turned::Full);
        }
        state.bytes += submission.bytes();
        state.submissions.push(submission);
        // The committer looks again before it sleeps: only the first has to wake it.
        if state.submissions.len() == 1 {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Tells the committer something. When it has ended, the order is dropped, and with it the sender in it.
    pub(crate) fn order(&self, order: Order) {
        let mut state = self.state.lock();
        if !state.dead {
            state.orders.push(order);
            self.ready.notify_one();
        }
    }

    /// Takes no more requests from now on. Those that wait will be committed.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
    }

    /// Waits until there is something, and takes all of it: requests first, and orders that came with them.
    pub(crate) fn take(&self, submissions: &mut Vec<Submission>, orders: &mut Vec<Order>) {
        let mut state = self.state.lock();
        while state.submissions.is_empty() && state.orders.is_empty() {
            self.ready.wait(&mut state);
        }
        std::mem::swap(&mut state.submissions, submissions);
        std::mem::swap(&mut state.orders, orders);
        state.bytes = 0;
    }

    /// The committer has ended: whoever waits is told by the drop of what it waits for.
    pub(crate) fn die(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.dead = true;
        state.submissions.clear();
        state.orders.clear();
    }
}
