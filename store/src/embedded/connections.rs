//! One writer and a few readers, each a thread with its own connection.
//!
//! SQLite has one writer at a time in any case; a thread of its own makes it a queue instead of a fight for the
//! lock. Readers never wait for it: each read sees the snapshot of its beginning.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, InterruptHandle};
use tokio::sync::{mpsc, oneshot};

use super::{schema, writer::Writer};
use crate::{Error, Result};

/// Calls that may wait for the writer, and for the readers; further ones wait in their callers.
const QUEUE_MAX: usize = 64;

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

/// The connections to one file. Dropping it interrupts the reads, lets the write that has begun finish, and
/// returns when the file is closed.
pub(super) struct Connections {
    writer: Option<mpsc::Sender<Job<Writer>>>,
    readers: Option<mpsc::Sender<Job<Connection>>>,
    interrupts: Vec<InterruptHandle>,
    threads: Vec<JoinHandle<()>>,
    /// Held until the last connection is closed.
    _lock: File,
}

impl Connections {
    /// Opens the file with one writer and `readers` readers, unless another process has it.
    pub(super) fn open(path: &Path, readers: usize, make: impl FnOnce(Connection) -> Writer) -> Result<Self> {
        let lock = lock(path)?;
        let writer = make(schema::open_writer(path)?);
        let (to_writer, for_writer) = mpsc::channel(QUEUE_MAX);
        let (to_readers, for_readers) = mpsc::channel(QUEUE_MAX);
        let mut opened = Self {
            writer: Some(to_writer),
            readers: Some(to_readers),
            interrupts: Vec::new(),
            threads: Vec::new(),
            _lock: lock,
        };
        let for_readers = Arc::new(Mutex::new(for_readers));
        for _ in 0..readers.max(1) {
            let connection = schema::open_reader(path)?;
            opened.interrupts.push(connection.get_interrupt_handle());
            opened.start(path, "store-reader", connection, Arc::clone(&for_readers))?;
        }
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
        // A deferred transaction takes its snapshot with the first read. Nothing is to be committed.
        ask(self.readers.as_ref(), move |connection: &mut Connection| work(&*connection.transaction()?)).await
    }
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
        self.interrupts.iter().for_each(InterruptHandle::interrupt);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}

/// Takes the lock beside the file. The file itself cannot be locked: SQLite locks it in its own ways.
fn lock(path: &Path) -> Result<File> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let refused = |reason: String| Error::Open { path: path.to_owned(), reason };
    let file = File::options().create(true).truncate(false).write(true).open(&beside).map_err(|error| {
        refused(format!(
            "{} cannot be written ({error}): its folder must exist and be writable",
            beside.display()
        ))
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(refused("another process has it open: stop that one first, or choose another folder".into()))
        }
        Err(TryLockError::Error(error)) => {
            Err(refused(format!("{} cannot be locked ({error}): use a local disk", beside.display())))
        }
    }
}
