//! The ledger of one process: the book is all there is.

use async_trait::async_trait;
use flagmeter_model::Timestamp;
use tokio::sync::watch;

use crate::{
    Alert, AlertPage, Alerted, Alerts, Append, Appended, Closing, Config, Crossed, Crossing, CrossingPage,
    Crossings, Entry, EpisodePage, Episodes, Feed, Hours, Ledger, Mute, MuteId, MutePage, Mutes, Muting,
    Notice, Page, Position, Result, Standing,
    book::{self, Book},
};

/// A ledger in one SQLite file.
#[derive(Debug)]
pub struct EmbeddedLedger {
    book: Book,
}

impl EmbeddedLedger {
    /// Opens the file, or makes it. Fails with [`Error::InUse`](crate::Error::InUse) when another process has it, with
    /// [`Error::Open`](crate::Error::Open) when it is of a newer version, damaged, read-only or not ours; nothing is
    /// changed then.
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

    async fn cross(&self, crossed: Vec<Crossed>, at: Timestamp) -> Result<Vec<Crossing>> {
        self.book
            .write(move |step| {
                let (entry, new) = book::plan_crossings(step, &crossed, at)?;
                book::apply(step, &entry)?;
                Ok(new)
            })
            .await
    }

    async fn alert(&self, alerted: Vec<Alerted>, at: Timestamp) -> Result<Vec<Alert>> {
        self.book
            .write(move |step| {
                let (entry, new) = book::plan_alerts(step, &alerted, at)?;
                book::apply(step, &entry)?;
                Ok(new)
            })
            .await
    }

    async fn standing_alerts(&self, since: Timestamp) -> Result<Vec<Alert>> {
        self.book.read(move |book| book::standing_alerts(book, since)).await
    }

    async fn muted_alerts(&self) -> Result<Vec<Alert>> {
        self.book.read(book::muted_alerts).await
    }

    async fn delivered(&self, of: Notice) -> Result<Position> {
        self.book.read(move |book| book::delivered(book, of)).await
    }

    async fn deliver(&self, of: Notice, until: Position) -> Result<()> {
        self.book
            .write(move |step| {
                let entry = book::plan_delivery(step, of, until)?;
                book::apply(step, &entry)
            })
            .await
    }

    async fn mute(&self, muting: Muting, at: Timestamp) -> Result<Mute> {
        self.book
            .write(move |step| {
                let (entry, mute) = book::plan_mute(step, &muting, at)?;
                book::apply(step, &entry)?;
                Ok(mute)
            })
            .await
    }

    async fn end_mute(&self, id: MuteId, by: String, at: Timestamp) -> Result<Option<Mute>> {
        self.book
            .write(move |step| {
                let (entry, mute) = book::plan_mute_end(step, id, &by, at)?;
                book::apply(step, &entry)?;
                Ok(mute)
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

    async fn settled(&self, hours: Hours) -> Result<Option<Position>> {
        self.book.read(move |book| book::settled(book, &hours)).await
    }

    fn crossed_end(&self) -> watch::Receiver<Position> {
        self.book.crossed_end()
    }

    async fn crossings(&self, crossings: Crossings) -> Result<CrossingPage> {
        self.book.read(move |book| book::crossings(book, &crossings)).await
    }

    fn alerts_end(&self) -> watch::Receiver<Position> {
        self.book.alerts_end()
    }

    async fn alerts(&self, alerts: Alerts) -> Result<AlertPage> {
        self.book.read(move |book| book::alerts(book, &alerts)).await
    }

    async fn mutes(&self, mutes: Mutes) -> Result<MutePage> {
        self.book.read(move |book| book::mutes(book, &mutes)).await
    }

    async fn episodes(&self, episodes: Episodes) -> Result<EpisodePage> {
        self.book.read(move |book| book::episodes(book, &episodes)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Error,
        conformance::{Harness, alerting as told, ledger_conformance},
    };

    struct Folder {
        folder: tempfile::TempDir,
        ledger: Option<Arc<EmbeddedLedger>>,
    }

    impl Folder {
        fn open(&mut self) -> Result<()> {
            let path = self.folder.path().join("ledger.sqlite");
            self.ledger = Some(Arc::new(EmbeddedLedger::open(&Config { path })?));
            Ok(())
        }
    }

    #[async_trait]
    impl Harness for Folder {
        async fn new() -> Result<Self> {
            let folder = tempfile::tempdir().expect("a folder");
            let mut made = Self { folder, ledger: None };
            made.open()?;
            Ok(made)
        }

        fn ledger(&self) -> Arc<dyn Ledger> {
            self.ledger.clone().expect("it is open")
        }

        async fn other(&self) -> Result<Arc<dyn Ledger>> {
            Ok(self.ledger())
        }

        async fn crash(&mut self) -> Result<()> {
            // A copy of the files as they are at this instant is what a killed process leaves.
            let left = tempfile::tempdir().expect("a folder");
            for file in ["ledger.sqlite", "ledger.sqlite-wal"] {
                let (from, to) = (self.folder.path().join(file), left.path().join(file));
                if from.exists() {
                    std::fs::copy(from, to).expect("copied");
                }
            }
            self.ledger = None;
            self.folder = left;
            self.open()
        }
    }

    ledger_conformance!(Folder);

    /// More are over than one question looks at.
    #[tokio::test]
    async fn what_goes_on_is_told_at_once_behind_all_that_is_over() {
        let harness = Folder::new().await.unwrap();
        let ledger = harness.ledger();
        let pair = |at: i64| {
            let began = Alerted { contributors: Vec::new(), ..told::began("acme", 10 * at) };
            [told::over(&began, 5), began].into_iter().rev()
        };
        for step in 0..402 {
            let pairs = (25 * step..25 * (step + 1)).flat_map(pair).collect();
            assert_eq!(ledger.alert(pairs, Timestamp::EPOCH).await.unwrap().len(), 50);
        }
        ledger.alert(vec![told::began("beta", 0)], Timestamp::EPOCH).await.unwrap();
        let page = ledger.alerts(Alerts { active: true, ..told::all(&[]) }).await.unwrap();
        assert_eq!((page.alerts.len(), page.more, page.looked_to), (1, false, Position::new(20_101)));
    }

    #[tokio::test]
    async fn a_file_of_the_first_version_is_read_and_takes_crossings_and_alerts() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { path: folder.path().join("ledger.sqlite") };
        let ledger = EmbeddedLedger::open(&config).unwrap();
        ledger.announce(Timestamp::from_seconds_clamped(7_200)).await.unwrap();
        drop(ledger);
        let old = "DROP TABLE alerts; DROP TABLE episodes; DROP TABLE contributors; DROP TABLE crossings; DROP TABLE deliveries;
                   DROP TABLE mutes;
                   PRAGMA user_version = 1";
        rusqlite::Connection::open(&config.path).unwrap().execute_batch(old).unwrap();
        let ledger = EmbeddedLedger::open(&config).unwrap();
        assert_eq!(ledger.standing().await.unwrap().announced, Some(Timestamp::from_seconds_clamped(7_200)));
        let crossed = Crossed {
            customer: flagmeter_model::Name::new("acme").unwrap(),
            meter: flagmeter_model::Meter::Requests,
            period: Timestamp::EPOCH,
            percent: 80,
            hard: true,
            included: 10,
            used: 8,
        };
        for new in [1, 0] {
            assert_eq!(ledger.cross(vec![crossed.clone()], Timestamp::EPOCH).await.unwrap().len(), new);
        }
        drop(ledger);
        let again = EmbeddedLedger::open(&config).unwrap();
        assert_eq!(again.cross(vec![crossed], Timestamp::EPOCH).await.unwrap(), []);
        assert_eq!(again.delivered(Notice::Alert).await.unwrap(), Position::START);
    }

    #[tokio::test]
    async fn a_file_of_the_third_version_keeps_how_far_crossings_were_delivered() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { path: folder.path().join("ledger.sqlite") };
        drop(EmbeddedLedger::open(&config).unwrap());
        // As version 3 had it.
        let old = "DROP TABLE alerts; DROP TABLE episodes; DROP TABLE contributors; DROP TABLE deliveries; DROP TABLE mutes;
                   CREATE TABLE deliveries (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL) STRICT;
                   INSERT INTO deliveries VALUES (1, 7);
                   PRAGMA user_version = 3";
        rusqlite::Connection::open(&config.path).unwrap().execute_batch(old).unwrap();
        for _ in 0..2 {
            let ledger = EmbeddedLedger::open(&config).unwrap();
            assert_eq!(ledger.delivered(Notice::Crossing).await.unwrap().get(), 7);
            assert_eq!(ledger.delivered(Notice::Alert).await.unwrap().get(), 0);
        }
    }

    #[test]
    fn a_file_has_one_process_and_is_a_ledger_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { path: folder.path().join("ledger.sqlite") };
        let first = EmbeddedLedger::open(&config).unwrap();
        let second = EmbeddedLedger::open(&config).unwrap_err().to_string();
        assert!(second.contains("another process is using it"), "{second}");
        drop(first);
        EmbeddedLedger::open(&config).unwrap();
        let strange = Config { path: folder.path().join("other.sqlite") };
        rusqlite::Connection::open(&strange.path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        let refused = EmbeddedLedger::open(&strange).unwrap_err();
        assert!(
            matches!(&refused, Error::Open { reason, .. } if reason.contains("not a ledger")),
            "{refused}"
        );
    }
}
