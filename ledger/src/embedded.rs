//! The ledger of one process: the book is all there is.

use async_trait::async_trait;
use flagmeter_model::Timestamp;
use tokio::sync::watch;

use crate::{
    Append, Appended, Closing, Config, Entry, Feed, Hours, Ledger, Page, Position, Result, Standing,
    book::{self, Book},
};

/// A ledger in one SQLite file.
#[derive(Debug)]
pub struct EmbeddedLedger {
    book: Book,
}

impl EmbeddedLedger {
    /// Opens the file, or makes it. Fails with [`Error::Open`](crate::Error::Open) when another process has it, when
    /// it is of a newer version, damaged, read-only or not ours; nothing is changed then.
    pub fn open(config: &Config) -> Result<Self> {
        Ok(Self { book: Book::open(config)? })
    }
}

#[async_trait]
impl Ledger for EmbeddedLedger {
    async fn standing(&self) -> Result<Standing> {
        self.book.read(book::standing).await
    }

    async fn announce(&self, until: Timestamp) -> Result<()> {
        let entry = Entry { announced: Some(until), ..Entry::default() };
        self.book.write(move |step| book::apply(step, &entry)).await
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        self.book
            .write(move |step| {
                let (entry, appended) = book::plan(step, &append)?;
                book::apply(step, &entry)?;
                Ok(appended)
            })
            .await
    }

    fn end(&self) -> watch::Receiver<Position> {
        self.book.end()
    }

    async fn closing(&self, as_of: Position) -> Result<Option<Closing>> {
        self.book.read(move |book| book::closing(book, as_of)).await
    }

    async fn feed(&self, feed: Feed) -> Result<Page> {
        self.book.read(move |book| book::feed(book, &feed)).await
    }

    async fn hours(&self, hours: Hours) -> Result<Page> {
        self.book.read(move |book| book::hours(book, &hours)).await
    }
}
