//! Appending: a takeover where it is needed, a plan, a transaction; and again, until it is known what became of it.

use std::{
    thread,
    time::{Duration, Instant},
};

use flagmeter_log::kafka::sequence::Writer;
use rusqlite::Connection;

use super::Inner;
use crate::{Entry, Error, Result, codec};

/// How long a transaction of another one is waited for, before it is given up by a takeover.
const OTHERS_WAIT: Duration = Duration::from_secs(5);
/// Before the second attempt, about; twice as long before each that follows.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

impl Inner {
    /// Waits until the book has everything whose append returned anywhere before this was called.
    pub(super) fn catch_up(&self, deadline: Instant) -> Result<()> {
        let known = self.seen.position();
        let end = self.bounds.ask()?.end;
        if end < known {
            return Err(Error::Unusable(format!(
                "the topic {} of the ledger ends with {end} and was read to {known} before: it was deleted and made again, or \
                 lost records; stop what uses it, and see which rows are wanted: the book {} has those that were read",
                self.config.topic(),
                self.path.display()
            )));
        }
        self.seen.until(end, deadline)
    }

    /// Appends the entry that `plan` makes of the book, if there is anything in it; the book has it when this returns.
    /// What `plan` returns beside it is that of the plan that was carried out.
    pub(super) fn change<T>(&self, plan: impl Fn(&Connection) -> Result<(Entry, T)>) -> Result<T> {
        let mut writer = self.writer.lock();
        let deadline = Instant::now() + self.config.log.append_timeout;
        let mut pause = PAUSE;
        loop {
            match self.attempt(&mut writer, &plan, deadline) {
                Err(error) if error.is_retryable() && Instant::now() + pause < deadline => {
                    tracing::debug!(%error, topic = self.config.topic(), "an append to the ledger begins anew");
                }
                done => return done,
            }
            // Two that take over from each other must not stay in step.
            thread::sleep(pause.mul_f64(rand::random_range(0.5..1.5)));
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn attempt<T>(
        &self,
        writer: &mut Writer,
        plan: &impl Fn(&Connection) -> Result<(Entry, T)>,
        deadline: Instant,
    ) -> Result<T> {
        // A transaction that is open for long is that of one that is gone. A takeover ends it, and nothing else does so
        // soon.
        match self.catch_up(deadline.min(Instant::now() + OTHERS_WAIT)) {
            Ok(()) if writer.has_taken_over() => {}
            Ok(()) => {
                let (entry, planned) = self.book.read_now(plan)?;
                if entry == Entry::default() {
                    return Ok(planned);
                }
                self.take_over(writer, deadline)?;
            }
            Err(error) if error.is_retryable() => self.take_over(writer, deadline)?,
            Err(error) => return Err(error),
        }
        let (entry, planned) = self.book.read_now(plan)?;
        if entry == Entry::default() {
            return Ok(planned);
        }
        let records = codec::encode(&entry).map_err(Error::Damaged)?;
        #[cfg(test)]
        if let Some(meanwhile) = self.before_append.lock().take() {
            meanwhile();
        }
        writer.append(&records, deadline)?;
        // From here on it is there, whatever is met: a new plan would make nothing of it, and say so.
        loop {
            match self.catch_up(deadline) {
                Err(error) if error.is_retryable() && Instant::now() < deadline => thread::sleep(PAUSE),
                done => return done.map(|()| planned),
            }
        }
    }

    /// Takes the topic over, and reads what others have appended until then.
    fn take_over(&self, writer: &mut Writer, deadline: Instant) -> Result<()> {
        writer.take_over(deadline)?;
        tracing::info!(topic = self.config.topic(), "this process appends to the ledger from now on");
        self.catch_up(deadline)
    }
}
