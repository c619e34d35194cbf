//! One writer and a few readers, each a thread with its own connection.
//!
//! SQLite has one writer at a time in any case; a thread of its own makes it a queue instead of a fight for the
//! lock. Readers never wait for it: each read sees the snapshot of its beginning. A read ends when whoever asked has
//! left, so that long ones that nobody waits for do not keep the others waiting. The short ones that the stages live
//! by have a reader of their own, so that no question of a stranger stands before them.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use flagmeter_sqlite::Lock;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{schema, writer::Writer};
use crate::{Error, Result};

/// Calls that may wait for the writer, and for the readers; further ones wait in their callers.
const QUEUE_MAX: usize = 64;
/// Steps of SQLite's machine, some tens of microseconds, after which a read looks whether anybody waits for it.
const STEPS_UNSEEN: i32 = 1_000;

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

/// The connections to one file. Dropping it lets the write that has begun finish, and returns when the file is
/// closed.
pub(super) struct Connections {
    writer: Option<mpsc::Sender<Job<Writer>>>,
    readers: Option<mpsc::Sender<Job<Connection>>>,
    looker: Option<mpsc::Sender<Job<Connection>>>,
    threads: Vec<JoinHandle<()>>,
    /// Held until the last connection is closed.
    _lock: Lock,
}

impl Connections {
    /// Opens the file with one writer and `readers` readers, unless another process has it.
    pub(super) fn open(path: &Path, readers: usize, make: impl FnOnce(Connection) -> Writer) -> Result<Self> {
        let lock = Lock::take(path).map_err(|refusal| schema::refused(path, &refusal))?;
        let writer = make(schema::open_writer(path)?);
        let (to_writer, for_writer) = mpsc::channel(QUEUE_MAX);
        let (to_readers, for_readers) = mpsc::channel(QUEUE_MAX);
        let (to_looker, for_looker) = mpsc::channel(QUEUE_MAX);
        let mut opened = Self {
            writer: Some(to_writer),
            readers: Some(to_readers),
            looker: Some(to_looker),
            threads: Vec::new(),
            _lock: lock,
        };
        let for_readers = Arc::new(Mutex::new(for_readers));
        for _ in 0..readers.max(1) {
            opened.start(path, "store-reader", schema::open_reader(path)?, Arc::clone(&for_readers))?;
        }
        opened.start(path, "store-looker", schema::open_reader(path)?, Arc::new(Mutex::new(for_looker)))?;
        opened.start(path, "store-writer", writer, Arc::new(Mutex::new(for_writer)))?;
        Ok(opened)
    }

    fn start<C: Send + 'static>(
        &mut self,
        path: &Path,
        name: &str,
        mut with: C,
        jobs: Arc<Mutex<mpsc::Receiver<Job<C>>>>,
    ) -> Result<()> {
        // One idle thread waits for a job, the others for their turn to wait.
        let next = move || jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let work = move || {
            while let Some(job) = next() {
                job(&mut with);
            }
        };
        let thread = thread::Builder::new().name(name.into()).spawn(work).map_err(|error| Error::Open {
            path: path.to_owned(),
            reason: format!("no thread for it: {error}"),
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Runs `work` on the writer, after all that was asked before.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        ask(self.writer.as_ref(), work).await
    }

    /// Runs `work` on a reader, in one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        ask_snapshot(self.readers.as_ref(), work).await
    }

    /// Runs short `work` on the reader of its own, in one snapshot: it waits for no long read.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        ask_snapshot(self.looker.as_ref(), work).await
    }
}

/// Reads, until whoever asked has left.
async fn ask_snapshot<T: Send + 'static>(
    jobs: Option<&mpsc::Sender<Job<Connection>>>,
    work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
) -> Result<T> {
    // Dropped with this future, at the latest.
    let waiting = Arc::new(());
    let waits = Arc::downgrade(&waiting);
    let read = move |connection: &mut Connection| {
        // A deferred transaction takes its snapshot with the first read. Nothing is to be committed.
        let snapshot = connection.transaction()?;
        snapshot.progress_handler(STEPS_UNSEEN, Some(move || waits.strong_count() == 0));
        let answer = work(&snapshot);
        snapshot.progress_handler(STEPS_UNSEEN, None::<fn() -> bool>);
        answer
    };
    let answer = ask(jobs, read).await;
    drop(waiting);
    answer
}

async fn ask<C: 'static, T: Send + 'static>(
    jobs: Option<&mpsc::Sender<Job<C>>>,
    work: impl FnOnce(&mut C) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (answer, answered) = oneshot::channel();
    let job: Job<C> = Box::new(move |with| {
        // Whoever asked may have left while waiting.
        if !answer.is_closed() {
            let _ = answer.send(work(with));
        }
    });
    jobs.ok_or(Error::Closed)?.send(job).await.map_err(|_| Error::Closed)?;
    answered.await.map_err(|_| Error::Closed)?
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.writer = None;
        self.readers = None;
        self.looker = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, sync::mpsc as blocking, task::Poll};

    use flagmeter_model::{ManualClock, Timestamp};

    use super::*;
    use crate::embedded::Config;

    fn open(folder: &Path) -> Connections {
        let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
        let config = Config::new(folder.join("store.sqlite"));
        Connections::open(&config.path, 1, |connection| Writer::new(connection, clock, &config)).unwrap()
    }

    /// A read that never ends, begun.
    async fn endless(connections: &Connections) -> impl Future<Output = Result<i64>> + '_ {
        let (begun, has_begun) = blocking::channel();
        let mut read = Box::pin(connections.read(move |connection| {
            begun.send(()).unwrap();
            let endless =
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
            Ok(connection.query_row(endless, [], |row| row.get(0))?)
        }));
        std::future::poll_fn(|context| {
            assert!(read.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        has_begun.recv().unwrap();
        read
    }

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_any_more_makes_room_for_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let connections = open(folder.path());
        drop(endless(&connections).await);
        let next = connections.read(|connection| Ok(connection.query_row("SELECT 1", [], |row| row.get(0))?));
        assert_eq!(next.await.ok(), Some(1));
    }

    #[tokio::test]
    async fn a_look_waits_for_no_read() {
        let folder = tempfile::tempdir().unwrap();
        let connections = open(folder.path());
        let mut read = pin!(endless(&connections).await);
        let looked =
            connections.look(|connection| Ok(connection.query_row("SELECT 1", [], |row| row.get(0))?));
        tokio::select! {
            biased;
            read = &mut read => panic!("an endless read ended: {read:?}"),
            looked = looked => assert_eq!(looked.ok(), Some(1)),
        }
    }
}
