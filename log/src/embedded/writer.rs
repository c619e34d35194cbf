//! The one thread that writes: group commit of appends and committed positions.

use std::sync::Arc;

use flagmeter_model::Clock;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Config,
    file::{self, End},
    trim,
};
use crate::{Error, NewRecord, Partition, Positions, Result};

/// Commands that share a transaction at most.
const GROUP_MAX: usize = 1_024;
/// Bytes after which a transaction takes no further command.
const GROUP_BYTES_MAX: u64 = 32 << 20;

/// What the ends of the log ask of the writer. The partitions in it exist.
pub(super) enum Command {
    /// Append all records, together.
    Append { records: Vec<NewRecord>, reply: oneshot::Sender<Result<()>> },
    /// Keep these positions, where they are ahead of what is kept.
    Commit { positions: Positions, reply: oneshot::Sender<Result<()>> },
}

impl Command {
    fn bytes(&self) -> u64 {
        match self {
            Self::Append { records, .. } => bytes(records),
            Self::Commit { .. } => 0,
        }
    }

    fn reply(self) -> oneshot::Sender<Result<()>> {
        match self {
            Self::Append { reply, .. } | Self::Commit { reply, .. } => reply,
        }
    }
}

/// What a transaction changes; taken over when it is durable.
#[derive(Clone)]
pub(super) struct State {
    /// By partition.
    pub(super) ends: Vec<End>,
    /// Bytes of payload kept.
    pub(super) bytes: u64,
}

pub(super) struct Writer {
    connection: Connection,
    state: State,
    config: Config,
    clock: Arc<dyn Clock>,
    wake: watch::Sender<()>,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        ends: Vec<End>,
        bytes: u64,
        config: Config,
        clock: Arc<dyn Clock>,
        wake: watch::Sender<()>,
    ) -> Self {
        Self { connection, state: State { ends, bytes }, config, clock, wake }
    }

    /// Works until all ends of the log are dropped and what they asked is done.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        while let Some(first) = queue.blocking_recv() {
            let group = gather(first, &mut queue);
            self.turn(group);
        }
    }

    /// One transaction for all commands of a group.
    pub(super) fn turn(&mut self, group: Vec<Command>) {
        match self.apply(&group) {
            Ok((state, answers)) => {
                self.state = state;
                if group.iter().any(|command| matches!(command, Command::Append { .. })) {
                    self.wake.send_replace(());
                }
                for (command, answer) in group.into_iter().zip(answers) {
                    // Whoever does not wait for the answer any more has no need of it.
                    drop(command.reply().send(answer));
                }
            }
            Err(error) => {
                tracing::warn!(%error, commands = group.len(), "a transaction of the log failed and was rolled back");
                for command in group {
                    drop(command.reply().send(Err(Error::Unavailable(error.to_string()))));
                }
            }
        }
        if let Err(error) = trim::give_back(&self.connection) {
            tracing::warn!(%error, "the log could not give free pages back; it will be tried again");
        }
    }

    fn apply(&mut self, group: &[Command]) -> rusqlite::Result<(State, Vec<Result<()>>)> {
        let mut state = self.state.clone();
        let mut answers = Vec::with_capacity(group.len());
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for command in group {
            answers.push(match command {
                Command::Append { records, .. } => {
                    append(&transaction, &mut state, records, &self.config, self.clock.as_ref())?
                }
                Command::Commit { positions, .. } => {
                    commit(&mut state, positions);
                    Ok(())
                }
            });
        }
        trim::aged(&transaction, &mut state, self.config.retain_committed, self.clock.now())?;
        for (partition, end) in (0..).zip(&state.ends) {
            if self.state.ends.get(partition as usize) != Some(end) {
                file::write_end(&transaction, partition, *end)?;
            }
        }
        transaction.commit()?;
        Ok((state, answers))
    }
}

/// The first command and all that wait behind it, up to the bounds of a transaction.
pub(super) fn gather(first: Command, queue: &mut mpsc::Receiver<Command>) -> Vec<Command> {
    let mut bytes = first.bytes();
    let mut group = vec![first];
    while group.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
        let Ok(command) = queue.try_recv() else { break };
        bytes = bytes.saturating_add(command.bytes());
        group.push(command);
    }
    group
}

/// Puts the records in, or refuses all of them for want of room. An error fails the whole transaction.
fn append(
    transaction: &Transaction<'_>,
    state: &mut State,
    records: &[NewRecord],
    config: &Config,
    clock: &dyn Clock,
) -> rusqlite::Result<Result<()>> {
    let new = bytes(records);
    let bytes_max = config.bytes_max;
    if state.bytes.saturating_add(new) > bytes_max {
        trim::to_make_room(transaction, state, bytes_max.saturating_sub(new))?;
        if state.bytes.saturating_add(new) > bytes_max {
            return Ok(Err(Error::Full { bytes: state.bytes, bytes_max }));
        }
    }
    let now = clock.now();
    let mut insert =
        transaction.prepare_cached("INSERT INTO records (place, appended_at, payload) VALUES (?, ?, ?)")?;
    for record in records {
        let Some(end) = state.ends.get_mut(record.partition as usize) else { continue };
        end.appended_at = end.appended_at.max(now);
        insert.execute(params![
            file::place(record.partition, end.next),
            end.appended_at.as_millis(),
            record.payload.as_ref(),
        ])?;
        end.next = end.next.saturating_add(1);
    }
    state.bytes = state.bytes.saturating_add(new);
    Ok(Ok(()))
}

/// Moves positions forward, at most to the end: what is not there yet cannot be stored yet.
fn commit(state: &mut State, positions: &Positions) {
    for (&partition, &position) in positions {
        if let Some(end) = state.ends.get_mut(partition as usize) {
            end.committed = end.committed.max(position.min(end.next));
        }
    }
}

fn bytes(records: &[NewRecord]) -> u64 {
    records
        .iter()
        .fold(0, |sum, record| u64::try_from(record.payload.len()).unwrap_or(u64::MAX).saturating_add(sum))
}

/// Checks that a partition is there.
pub(super) fn check_partition(partition: Partition, partitions: u32) -> Result<()> {
    if partition < partitions { Ok(()) } else { Err(Error::NoSuchPartition { partition, partitions }) }
}
