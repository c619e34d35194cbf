//! The reading end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use flagmeter_model::Timestamp;
use rusqlite::Connection;
use tokio::{sync::watch, time::Instant};

use super::{ConsumerLease, file, writer::Command, writer::check_partition};
use crate::{Consumer, Error, Lag, Partition, Positions, Record, Result};

/// Reads from a connection of its own. Safe to drop in the middle of any call: positions move only with the
/// records that were handed out.
pub(super) struct EmbeddedConsumer {
    log: ConsumerLease,
    /// Reading is done on a blocking thread, which must own what it reads from.
    connection: Arc<Mutex<Connection>>,
    /// The next record wanted, of every partition.
    positions: Positions,
    /// The partition that the next read begins with: each has its turn.
    turn: Partition,
    appended: watch::Receiver<()>,
}

impl EmbeddedConsumer {
    pub(super) fn open(log: ConsumerLease) -> Result<Self> {
        let failed = |reason: String| Error::Open { path: log.0.path.clone(), reason };
        let connection = file::open_reader(&log.0.path).map_err(failed)?;
        let ends = file::ends(&connection).map_err(|error| failed(file::why(&error)))?;
        let positions = (0..).zip(ends).map(|(partition, end)| (partition, end.committed)).collect();
        let appended = log.0.appended.clone();
        Ok(Self { log, connection: Arc::new(Mutex::new(connection)), positions, turn: 0, appended })
    }

    /// Does `work` with the connection, off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_blocking(move || work(&mut lock(&connection)))
            .await
            // The runtime is shutting down.
            .map_err(|_| Error::Closed)?
            .map_err(|error| Error::Unavailable(error.to_string()))
    }

    async fn read_now(&mut self, bytes_max: usize) -> Result<Vec<Record>> {
        let wanted: Vec<_> = self
            .positions
            .range(self.turn..)
            .chain(self.positions.range(..self.turn))
            .map(|(&partition, &position)| (partition, position))
            .collect();
        let records = self.blocking(move |connection| select(connection, &wanted, bytes_max)).await?;
        for record in &records {
            self.positions.insert(record.partition, record.offset.saturating_add(1));
        }
        self.turn = (self.turn + 1) % self.log.0.partitions.max(1);
        Ok(records)
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    fn partitions(&self) -> u32 {
        self.log.0.partitions
    }

    async fn read(&mut self, bytes_max: usize, wait: Duration) -> Result<Vec<Record>> {
        let deadline = Instant::now().checked_add(wait);
        loop {
            // Before the look, so that an append after the look is not missed.
            self.appended.mark_unchanged();
            let records = self.read_now(bytes_max).await?;
            if !records.is_empty() || wait.is_zero() {
                return Ok(records);
            }
            let woken = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, self.appended.changed()).await,
                None => Ok(self.appended.changed().await),
            };
            match woken {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Error::Closed),
                Err(_) => return Ok(Vec::new()),
            }
        }
    }

    async fn seek(&mut self, positions: &Positions) -> Result<Positions> {
        for &partition in positions.keys() {
            check_partition(partition, self.log.0.partitions)?;
        }
        let wanted = positions.clone();
        let kept = self.blocking(move |connection| kept(connection, &wanted)).await?;
        let mut reached = Positions::new();
        for (&partition, &position) in positions {
            let Some(kept) = kept.get(&partition) else { continue };
            let reachable = kept.contains(&position) || kept.end == position;
            if reachable {
                reached.insert(partition, position);
            } else {
                tracing::error!(
                    partition,
                    position,
                    first = kept.start,
                    end = kept.end,
                    "the position wanted is not in the log: going on with the first record that is kept. Either the log's \
                     file is a new one, or the store was put back from a backup and lacks what was trimmed since"
                );
            }
            self.positions.insert(partition, if reachable { position } else { kept.start });
        }
        Ok(reached)
    }

    async fn commit(&mut self, positions: &Positions) -> Result<()> {
        for &partition in positions.keys() {
            check_partition(partition, self.log.0.partitions)?;
        }
        let positions = positions.clone();
        self.log.0.ask(|reply| Command::Commit { positions, reply }).await
    }

    async fn lag(&mut self) -> Result<Lag> {
        self.blocking(lag).await
    }
}

/// What is not committed, from one snapshot.
fn lag(connection: &mut Connection) -> rusqlite::Result<Lag> {
    let transaction = connection.transaction()?;
    let mut first = transaction
        .prepare_cached("SELECT appended_at FROM records WHERE place >= ? ORDER BY place LIMIT 1")?;
    let mut lag = Lag::default();
    for (partition, end) in (0..).zip(file::ends(&transaction)?) {
        let records = end.next.saturating_sub(end.committed);
        if records > 0 {
            let at = first.query_row([file::place(partition, end.committed)], |row| row.get(0))?;
            let at = Timestamp::from_millis_clamped(at);
            lag.records = lag.records.saturating_add(records);
            lag.oldest = Some(lag.oldest.map_or(at, |oldest| oldest.min(at)));
        }
    }
    Ok(lag)
}

/// Records from these positions on, from one snapshot: at least one if there is any, and no further one once
/// `bytes_max` would be passed.
fn select(
    connection: &mut Connection,
    wanted: &[(Partition, u64)],
    bytes_max: usize,
) -> rusqlite::Result<Vec<Record>> {
    let transaction = connection.transaction()?;
    let mut statement = transaction.prepare_cached(
        "SELECT place, appended_at, payload FROM records WHERE place >= ? AND place < ? ORDER BY place",
    )?;
    let mut records: Vec<Record> = Vec::new();
    let mut bytes: usize = 0;
    for &(partition, position) in wanted {
        let range = [file::place(partition, position), file::place(partition + 1, 0)];
        let mut rows = statement.query(range)?;
        while let Some(row) = rows.next()? {
            let payload = row.get_ref(2)?.as_blob()?;
            bytes = bytes.saturating_add(payload.len());
            if bytes > bytes_max && !records.is_empty() {
                return Ok(records);
            }
            records.push(Record {
                partition,
                offset: file::offset_at(row.get(0)?),
                appended_at: Timestamp::from_millis_clamped(row.get(1)?),
                payload: Bytes::copy_from_slice(payload),
            });
        }
    }
    Ok(records)
}

/// Per partition the offsets from the first record that is kept up to the end.
fn kept(
    connection: &mut Connection,
    wanted: &Positions,
) -> rusqlite::Result<BTreeMap<Partition, std::ops::Range<u64>>> {
    let transaction = connection.transaction()?;
    let ends = file::ends(&transaction)?;
    let mut first =
        transaction.prepare_cached("SELECT min(place) FROM records WHERE place >= ? AND place < ?")?;
    let mut kept = BTreeMap::new();
    for &partition in wanted.keys() {
        let Some(end) = ends.get(partition as usize) else { continue };
        let range = [file::place(partition, 0), file::place(partition + 1, 0)];
        let place: Option<i64> = first.query_row(range, |row| row.get(0))?;
        kept.insert(partition, place.map_or(end.next, file::offset_at)..end.next);
    }
    Ok(kept)
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A connection is sound whatever panicked beside it: its transaction was rolled back.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}
