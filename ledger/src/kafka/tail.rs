//! The thread that reads the topic and keeps the book.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use flagmeter_log::kafka::sequence::{Bounds, Item, Reader};
use parking_lot::{Condvar, Mutex};

use super::Config;
use crate::{
    Error, Result,
    book::{self, Book, Taken},
    codec::Gathering,
};

/// How long one look for records waits; so long may it take until it is known how far reading is.
const POLL: Duration = Duration::from_millis(20);
/// Until a book that could not be written is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// How far the thread is, for those who wait for it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The book has every record before this that was committed.
    position: u64,
    /// Whoever waited for longer than it should take: the client may not go on.
    is_stuck: bool,
    /// What was met last, and may pass.
    trouble: Option<String>,
    /// Why the thread has ended.
    broken: Option<String>,
    is_closing: bool,
}

impl Seen {
    /// Waits until the book has every committed record before `end`.
    pub(super) fn until(&self, end: u64, deadline: Instant) -> Result<()> {
        let mut state = self.state.lock();
        loop {
            if let Some(why) = &state.broken {
                return Err(Error::Damaged(why.clone()));
            }
            if state.position >= end {
                return Ok(());
            }
            if state.is_closing {
                return Err(Error::Closed);
            }
            if self.changed.wait_until(&mut state, deadline).timed_out() && state.position < end {
                state.is_stuck = true;
                let met = state.trouble.as_ref().map(|met| format!(", and met: {met}")).unwrap_or_default();
                return Err(Error::Unavailable(format!(
                    "reading its topic is at {} and was to come to {end}{met}; see that the brokers run and can be \
                     reached",
                    state.position
                )));
            }
        }
    }

    /// The book has every committed record before this.
    pub(super) fn position(&self) -> u64 {
        self.state.lock().position
    }

    pub(super) fn close(&self) {
        self.state.lock().is_closing = true;
        self.changed.notify_all();
    }

    fn is_closing(&self) -> bool {
        self.state.lock().is_closing
    }

    fn reach(&self, position: u64) {
        let mut state = self.state.lock();
        if position > state.position {
            state.position = position;
            (state.is_stuck, state.trouble) = (false, None);
            self.changed.notify_all();
        }
    }

    /// Waits a while for the end.
    fn pause(&self, met: String) {
        let mut state = self.state.lock();
        state.trouble = Some(met);
        if !state.is_closing {
            self.changed.wait_for(&mut state, PAUSE);
        }
    }
}

/// The thread's work.
pub(super) struct Tail {
    topic: String,
    book: Book,
    reader: Reader,
    gathering: Gathering,
    seen: Arc<Seen>,
}

impl Tail {
    /// Goes on where the book is, after it has seen that the book is of this topic. It blocks.
    pub(super) fn begin(
        config: &Config,
        (book, path): (&Book, &Path),
        bounds: &Bounds,
        seen: &Arc<Seen>,
        deadline: Instant,
    ) -> Result<Self> {
        let topic = config.log.topic.clone();
        let kept = bounds.ask()?;
        let taken = book.read_now(book::taken)?;
        let from = taken.map_or(0, |taken| taken.offset);
        if kept.start > from {
            return Err(Error::Unusable(format!(
                "the topic {topic} of the ledger begins with {} and not with {from}: its beginning was deleted; bring \
                 it back from a copy",
                kept.start
            )));
        }
        let mut reader = Reader::open(&config.log, from)?;
        if let Some(taken) = taken {
            let is_there = taken.offset < kept.end && finds(&mut reader, taken, deadline)?;
            if !is_there {
                let reason = format!(
                    "it has rows that the topic {topic} does not have: the topic was deleted and made again, or lost \
                     records. Where these rows are wanted, this file is what is left of them: keep it. To begin with what \
                     the topic has, delete the file"
                );
                return Err(Error::Open { path: path.to_owned(), reason });
            }
        }
        seen.reach(reader.position()?);
        Ok(Self {
            topic,
            book: book.clone(),
            reader,
            gathering: Gathering::default(),
            seen: Arc::clone(seen),
        })
    }

    /// Works until the ledger is closed, or damage is met.
    pub(super) fn run(mut self) {
        while !self.seen.is_closing() {
            match self.step() {
                Ok(()) => {}
                Err(error) if error.is_retryable() => {
                    self.seen.state.lock().trouble = Some(error.to_string());
                }
                Err(error) => {
                    tracing::error!(
                        %error,
                        topic = self.topic,
                        "the ledger's topic is read no more: what was read until now is answered, and nothing is appended"
                    );
                    let why = match error {
                        Error::Damaged(why) => why,
                        other => other.to_string(),
                    };
                    self.seen.state.lock().broken = Some(why);
                    self.seen.changed.notify_all();
                    return;
                }
            }
        }
    }

    fn step(&mut self) -> Result<()> {
        if std::mem::take(&mut self.seen.state.lock().is_stuck) {
            tracing::warn!(topic = self.topic, "reading the ledger's topic goes on with a new client");
            self.reader.renew()?;
        }
        match self.reader.next(POLL)? {
            Some(item) => self.take(&item)?,
            // The log's own marks move it as well.
            None => self.seen.reach(self.reader.position()?),
        }
        Ok(())
    }

    fn take(&mut self, item: &Item) -> Result<()> {
        let (offset, topic) = (item.offset, &self.topic);
        let told = |why| Error::Damaged(format!("record {offset} of the topic {topic}: {why}"));
        if let Some(entry) = self.gathering.take(&item.payload).map_err(told)? {
            let taken = Taken { offset, at: item.at };
            // The reader has stepped over it: it is taken into the book before anything else is.
            while let Err(error) = self.book.write_now(|step| {
                book::apply(step, &entry)?;
                book::take(step, taken)
            }) {
                match error {
                    Error::Damaged(why) => return Err(told(why)),
                    other if !other.is_retryable() => return Err(other),
                    other => {
                        tracing::error!(error = %other, "the ledger's book cannot be written: trying again");
                        self.seen.pause(other.to_string());
                    }
                }
                if self.seen.is_closing() {
                    return Ok(());
                }
            }
        }
        self.seen.reach(offset.saturating_add(1));
        Ok(())
    }
}

/// Whether the first record that is read is this one.
fn finds(reader: &mut Reader, taken: Taken, deadline: Instant) -> Result<bool> {
    loop {
        match reader.next(POLL) {
            Ok(Some(found)) => return Ok(found.offset == taken.offset && found.at == taken.at),
            Err(flagmeter_log::Error::Topic { .. }) => return Ok(false),
            Ok(None) | Err(flagmeter_log::Error::Unavailable(_)) if Instant::now() < deadline => {
                // Behind this place there are marks alone: another topic's.
                if reader.position()? > taken.offset {
                    return Ok(false);
                }
            }
            Ok(None) => {
                return Err(Error::Unavailable(
                    "its topic could not be read; see that the brokers run".into(),
                ));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
