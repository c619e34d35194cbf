//! Where requests wait for the committer. Bounded; it never blocks a sender.

use std::sync::Arc;

use bytes::Bytes;
use flagmeter_log::NewRecord;
use flagmeter_model::{Environment, Name, Timestamp};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tracing::Span;

use crate::{
    Result,
    requests::RequestName,
    shares::{NoRoom, Shares},
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
    /// This customer has as much of the room as is left for all others.
    CustomerFull,
    /// Too many large bodies are being read already.
    BodiesFull,
    /// The disk does not take it.
    DiskFailed,
    /// The edge is stopping.
    Closing,
}

impl From<NoRoom> for Turned {
    fn from(why: NoRoom) -> Self {
        match why {
            NoRoom::AtAll => Self::Full,
            NoRoom::ForThisOne => Self::CustomerFull,
        }
    }
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
    /// By what it is followed, where it is.
    pub(crate) request: Option<RequestName>,
    /// Its span, where it is traced.
    pub(crate) span: Span,
    /// `None` where nobody waits ([`crate::Ack::Memory`]).
    pub(crate) waiter: Option<oneshot::Sender<Outcome>>,
}

impl Part {
    fn bytes(&self) -> usize {
        self.taken.entries.bytes() + 128
    }
}

impl Submission {
    /// What it holds of the room for bytes, by whose it is. The reply that is kept for repeats is its first part's.
    fn bytes(&self) -> impl Iterator<Item = (&Name, usize)> {
        let reply = self.once.as_ref().map_or(0, |once| once.reply.body.len());
        let replies = std::iter::once(reply).chain(std::iter::repeat(0));
        self.parts.iter().zip(replies).map(|(part, reply)| (&part.environment.customer, part.bytes() + reply))
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
    /// The spans of the seals that end among them.
    pub(crate) seals: Vec<Span>,
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

#[derive(Debug)]
struct State {
    submissions: Vec<Submission>,
    /// Room for what requests give to environments, by their number.
    parts: Shares,
    bytes: Shares,
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
}

impl Inbox {
    pub(crate) fn new(requests_max: usize, bytes_max: usize) -> Self {
        let (parts, bytes) = (Shares::new(requests_max), Shares::new(bytes_max));
        let state =
            State { submissions: Vec::new(), parts, bytes, orders: Vec::new(), closed: false, dead: false };
        Self { state: Mutex::new(state), ready: Condvar::new() }
    }

    /// Leaves a request to be committed, or says why not.
    pub(crate) fn submit(&self, submission: Submission) -> Result<(), Turned> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Turned::Closing);
        }
        for (customer, bytes) in submission.bytes() {
            state.parts.check(Some(customer), 1)?;
            state.bytes.check(Some(customer), bytes)?;
        }
        for (customer, bytes) in submission.bytes() {
            state.parts.take(Some(customer), 1);
            state.bytes.take(Some(customer), bytes);
        }
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
        state.parts.clear();
        state.bytes.clear();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Bounds, flagsmith_v1};

    /// A request of one customer with so many flags.
    fn submission(customer: &str, flags: usize) -> Submission {
        let name = |text: &str| Name::new(text).unwrap();
        let environment =
            Environment { customer: name(customer), project: name("p"), environment: name("e") };
        let body: Vec<_> = (0..flags).map(|flag| format!("\"flag-{flag}\":1")).collect();
        let bounds = Bounds { entries_max: 10_000, ..Bounds::for_tests() };
        let taken = flagsmith_v1::parse(format!("{{{}}}", body.join(",")).as_bytes(), &bounds).unwrap();
        let parts = vec![Part { environment: Arc::new(environment), taken }];
        Submission {
            door: Door::FlagsmithV1,
            parts,
            once: None,
            request: None,
            span: Span::none(),
            waiter: None,
        }
    }

    /// Submits until it is turned away: how many were taken, and why no more.
    fn flood(inbox: &Inbox, customer: &str, flags: usize) -> (usize, Turned) {
        for taken in 0.. {
            if let Err(why) = inbox.submit(submission(customer, flags)) {
                return (taken, why);
            }
        }
        unreachable!()
    }

    #[test]
    fn a_flood_of_one_customer_leaves_room_for_the_others_and_for_itself_after_the_next_commit() {
        let (mut submissions, mut orders) = (Vec::new(), Vec::new());
        for (inbox, flags) in [(Inbox::new(64, 1 << 30), 1), (Inbox::new(1 << 30, 64 << 10), 100)] {
            let (loud, why) = flood(&inbox, "loud", flags);
            assert_eq!(why, Turned::CustomerFull);
            let (quiet, _) = flood(&inbox, "quiet", flags);
            assert!(
                loud / 3 < quiet && quiet < loud,
                "{loud} and {quiet}: half of the room, and half of the rest"
            );
            inbox.take(&mut submissions, &mut orders);
            assert_eq!(submissions.len(), loud + quiet, "what was taken is kept");
            submissions.clear();
            assert_eq!(flood(&inbox, "loud", flags), (loud, Turned::CustomerFull));
        }
    }
}
