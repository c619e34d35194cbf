//! The ledger as a topic of Kafka, for downsamplers and queries in as many processes as needed.
//!
//! The topic has one partition and is kept for ever: it is the ledger. Each process has a *book* of what it
//! has read of it, which may be deleted while the process is down, and is made again from the topic.
//!
//! # The way of a row through this module
//!
//! Whoever appends reads the topic to its end and plans what to append against its own book. Where that comes to nothing,
//! it is done. Else it takes the topic over ([`Writer::take_over`](flagmeter_log::kafka::sequence::Writer::take_over)),
//! unless it did so last; reads to the end again, and plans again, because others may have appended until then; and
//! appends the entry in one transaction. A thread of each process reads what was committed, in order, and takes
//! it into the book, each entry in one step with its place in the topic.
//!
//! # Why no row is there twice, and none is missing
//!
//! - Between a takeover and a commit nobody else has appended, and the plan was made after the takeover. One that paused
//!   between its plan and its commit is fenced by whoever took over meanwhile: its transaction is given up.
//! - After any error, and after one that leaves open what became of the commit most of all, nothing is assumed: takeover,
//!   reading to the end, and a new plan. What was there after all makes no row again.
//! - What others append at once makes an append lose its place, never its rows: it takes over again after a pause that
//!   differs for each.
//! - The end that is read to lies behind everything whose append returned anywhere before it was asked, whether its mark
//!   of the commit was written by then or not.
//! - A process that ends between two steps leaves a transaction that is given up with the next takeover, or by the
//!   brokers after some seconds; or one that is committed whole.

mod config;
mod leader;
mod tail;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use async_trait::async_trait;
use flagmeter_log::kafka::{
    sequence::{self, Bounds, Writer},
    topic::Created,
};
use flagmeter_model::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

pub use self::config::Config;
use self::tail::{Seen, Tail};
use crate::{
    Alert, AlertPage, Alerted, Alerts, Append, Appended, Closing, Crossed, Crossing, CrossingPage, Crossings,
    Entry, EpisodePage, Episodes, Error, Feed, Hours, Ledger, Mute, MuteId, MutePage, Mutes, Muting, Notice,
    Page, Position, Result, Standing,
    book::{self, Book},
};

/// A ledger in a topic of Kafka.
#[derive(Clone)]
pub struct KafkaLedger(Arc<Inner>);

struct Inner {
    config: Config,
    /// Where the book is.
    path: PathBuf,
    book: Book,
    bounds: Bounds,
    writer: Mutex<Writer>,
    seen: Arc<Seen>,
    tail: Option<JoinHandle<()>>,
    /// Done once, between the next plan and its transaction.
    #[cfg(test)]
    before_append: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

/// Makes the topic, or checks the one that is there.
pub async fn create(config: &Config) -> Result<Created> {
    Ok(sequence::create(&config.log, &config.settings()).await?)
}

/// Checks that the topic is there, and as the ledger needs it.
pub async fn check(config: &Config) -> Result<()> {
    Ok(sequence::check(&config.log, &config.settings()).await?)
}

impl KafkaLedger {
    /// Opens the book, or makes it, and begins to read what the topic has beyond it. What is there already may take a
    /// while to come: [`Ledger::standing`] waits for it.
    ///
    /// Fails with [`Error::Unusable`] where the topic is not as it must be, with [`Error::InUse`] where another process
    /// has the file, with [`Error::Open`] where it cannot be used or is of another topic, and with
    /// [`Error::Unavailable`] while no broker answers.
    pub async fn open(config: Config, book: book::Config) -> Result<Self> {
        check(&config).await?;
        beside(move || Self::open_now(config, book)).await
    }

    fn open_now(config: Config, book::Config { path }: book::Config) -> Result<Self> {
        let book = Book::open_view(&book::Config { path: path.clone() }, &config.log.topic)?;
        let bounds = Bounds::open(&config.log)?;
        let seen = Arc::new(Seen::default());
        let deadline = Instant::now() + config.log.append_timeout;
        let tail = Tail::begin(&config, (&book, &path), &bounds, &seen, deadline)?;
        let tail = thread::Builder::new()
            .name("ledger".into())
            .spawn(move || tail.run())
            .map_err(|error| Error::Unavailable(format!("no thread could be made: {error}")))?;
        let writer = Mutex::new(Writer::new(config.log.clone(), &config.transactional_id));
        Ok(Self(Arc::new(Inner {
            config,
            path,
            book,
            bounds,
            writer,
            seen,
            tail: Some(tail),
            #[cfg(test)]
            before_append: Mutex::default(),
        })))
    }

    /// Does `work`, which blocks, beside the runtime: it goes on to its end when nobody waits for it any more.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        beside(move || work(&inner)).await
    }
}

async fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    // It fails when the runtime shuts down, or with a bug's panic, which its own report tells of.
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?
}

#[async_trait]
impl Ledger for KafkaLedger {
    async fn standing(&self) -> Result<Standing> {
        self.work(|inner| {
            inner.catch_up(Instant::now() + inner.config.log.append_timeout)?;
            inner.book.read_now(book::standing)
        })
        .await
    }

    async fn announce(&self, until: Timestamp) -> Result<()> {
        self.work(move |inner| {
            inner.change(|book| {
                let known = book::standing(book)?.announced;
                let announced = Some(until).filter(|_| known < Some(until));
                Ok((Entry { announced, ..Entry::default() }, ()))
            })
        })
        .await
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        self.work(move |inner| inner.change(|book| book::plan(book, &append))).await
    }

    async fn cross(&self, crossed: Vec<Crossed>, at: Timestamp) -> Result<Vec<Crossing>> {
        self.work(move |inner| inner.change(|book| book::plan_crossings(book, &crossed, at))).await
    }

    async fn alert(&self, alerted: Vec<Alerted>, at: Timestamp) -> Result<Vec<Alert>> {
        self.work(move |inner| inner.change(|book| book::plan_alerts(book, &alerted, at))).await
    }

    async fn standing_alerts(&self, since: Timestamp) -> Result<Vec<Alert>> {
        self.work(move |inner| {
            inner.catch_up(Instant::now() + inner.config.log.append_timeout)?;
            inner.book.read_now(|book| book::standing_alerts(book, since))
        })
        .await
    }

    async fn muted_alerts(&self) -> Result<Vec<Alert>> {
        self.0.book.read(book::muted_alerts).await
    }

    async fn delivered(&self, of: Notice) -> Result<Position> {
        self.work(move |inner| {
            inner.catch_up(Instant::now() + inner.config.log.append_timeout)?;
            inner.book.read_now(|book| book::delivered(book, of))
        })
        .await
    }

    async fn deliver(&self, of: Notice, until: Position) -> Result<()> {
        self.work(move |inner| inner.change(|book| Ok((book::plan_delivery(book, of, until)?, ())))).await
    }

    async fn mute(&self, muting: Muting, at: Timestamp) -> Result<Mute> {
        self.work(move |inner| inner.change(|book| book::plan_mute(book, &muting, at))).await
    }

    async fn end_mute(&self, id: MuteId, by: String, at: Timestamp) -> Result<Option<Mute>> {
        self.work(move |inner| inner.change(|book| book::plan_mute_end(book, id, &by, at))).await
    }

    fn end(&self) -> watch::Receiver<Position> {
        self.0.book.end()
    }

    async fn closing(&self, as_of: Position) -> Result<Option<Closing>> {
        self.0.book.read(move |book| book::closing(book, as_of)).await
    }

    async fn feed(&self, feed: Feed) -> Result<Page> {
        self.0.book.read(move |book| book::feed(book, &feed)).await
    }

    async fn hours(&self, hours: Hours) -> Result<Page> {
        self.0.book.read(move |book| book::hours(book, &hours)).await
    }

    async fn settled(&self, hours: Hours) -> Result<Option<Position>> {
        self.0.book.read(move |book| book::settled(book, &hours)).await
    }

    fn crossed_end(&self) -> watch::Receiver<Position> {
        self.0.book.crossed_end()
    }

    async fn crossings(&self, crossings: Crossings) -> Result<CrossingPage> {
        self.0.book.read(move |book| book::crossings(book, &crossings)).await
    }

    fn alerts_end(&self) -> watch::Receiver<Position> {
        self.0.book.alerts_end()
    }

    async fn alerts(&self, alerts: Alerts) -> Result<AlertPage> {
        self.0.book.read(move |book| book::alerts(book, &alerts)).await
    }

    async fn mutes(&self, mutes: Mutes) -> Result<MutePage> {
        self.0.book.read(move |book| book::mutes(book, &mutes)).await
    }

    async fn episodes(&self, episodes: Episodes) -> Result<EpisodePage> {
        self.0.book.read(move |book| book::episodes(book, &episodes)).await
    }
}

/// Waits until the thread has put the book down, which takes tenths of a second: the file may be opened again then.
impl Drop for Inner {
    fn drop(&mut self) {
        self.seen.close();
        if let Some(Err(_)) = self.tail.take().map(JoinHandle::join) {
            tracing::error!("the thread that read the ledger's topic had panicked");
        }
    }
}

impl fmt::Debug for KafkaLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLedger").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl From<flagmeter_log::Error> for Error {
    fn from(error: flagmeter_log::Error) -> Self {
        match error {
            flagmeter_log::Error::Unavailable(why) => Self::Unavailable(why),
            flagmeter_log::Error::Closed => Self::Closed,
            other => Self::Unusable(other.to_string()),
        }
    }
}
