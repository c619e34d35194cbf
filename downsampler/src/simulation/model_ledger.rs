//! The contract of the ledger, in a list. It exists because a thousand worlds are made in a second; backends prove
//! themselves against the conformance suite.

use std::sync::Arc;

use async_trait::async_trait;
use flagmeter_ledger::{
    Alert, AlertPage, Alerted, Alerts, Append, Appended, Closing, Crossed, Crossing, CrossingPage, Crossings,
    EpisodePage, Episodes, Error, Feed, Hours, Latest, Ledger, Mute, MuteId, MutePage, Mutes, Muting, Notice,
    Page, Position, Result, Row, Standing, decide,
};
use flagmeter_model::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{RwLock, RwLockWriteGuard, watch};

#[derive(Debug, Default)]
pub(crate) struct ModelLedger {
    kept: Mutex<(Standing, Vec<Row>)>,
    /// Whoever holds it keeps the ledger from answering.
    away: RwLock<()>,
    failure: Mutex<Option<Error>>,
}

impl ModelLedger {
    /// It does not answer until what this returns is dropped.
    pub(crate) async fn take_away(&self) -> RwLockWriteGuard<'_, ()> {
        self.away.write().await
    }

    /// The next time it is asked how it stands it fails.
    pub(crate) fn fail_next_standing(&self, error: Error) {
        *self.failure.lock() = Some(error);
    }
}

#[async_trait]
impl Ledger for ModelLedger {
    async fn standing(&self) -> Result<Standing> {
        let _here = self.away.read().await;
        self.failure.lock().take().map_or_else(|| Ok(self.kept.lock().0), Err)
    }

    async fn announce(&self, until: Timestamp) -> Result<()> {
        let _here = self.away.read().await;
        let standing = &mut self.kept.lock().0;
        standing.announced = standing.announced.max(Some(until));
        Ok(())
    }

    async fn append(&self, append: Append) -> Result<Appended> {
        let _here = self.away.read().await;
        let (standing, rows) = &mut *self.kept.lock();
        let mut appended = Appended::default();
        for counted in &append.counted {
            if Some(counted.hour.plus_seconds(3_600)) > standing.announced {
                return Err(Error::NotAnnounced { hour: counted.hour });
            }
            let same = |row: &&Row| {
                (&*row.environment, row.meter, row.hour)
                    == (&counted.environment, counted.meter, counted.hour)
            };
            let newest = rows.iter().rev().find(same);
            let latest = newest.map(|row| Latest { revision: row.revision, count: row.count });
            let environment = Arc::new(counted.environment.clone());
            let place = (standing.end.next(), append.at);
            if let Some(row) = decide(counted, &environment, latest, standing.closed, place) {
                *(if row.correction { &mut appended.corrections } else { &mut appended.closings }) += 1;
                standing.end = row.position;
                rows.push(row);
            }
        }
        standing.closed = standing.closed.max(append.closed);
        Ok(Appended { end: standing.end, ..appended })
    }

    fn end(&self) -> watch::Receiver<Position> {
        watch::channel(self.kept.lock().0.end).1
    }

    async fn closing(&self, _: Position) -> Result<Option<Closing>> {
        Ok(None)
    }

    async fn feed(&self, _: Feed) -> Result<Page> {
        let (standing, rows) = &*self.kept.lock();
        Ok(Page { rows: rows.clone(), looked_to: standing.end, more: false })
    }

    async fn hours(&self, _: Hours) -> Result<Page> {
        Ok(Page::default())
    }

    async fn settled(&self, _: Hours) -> Result<Option<Position>> {
        Ok(None)
    }

    // Cycles have nothing to do with plans and bursts.

    async fn cross(&self, _: Vec<Crossed>, _: Timestamp) -> Result<Vec<Crossing>> {
        Ok(Vec::new())
    }

    async fn delivered(&self, _: Notice) -> Result<Position> {
        Ok(Position::START)
    }

    async fn deliver(&self, _: Notice, _: Position) -> Result<()> {
        Ok(())
    }

    fn crossed_end(&self) -> watch::Receiver<Position> {
        watch::channel(Position::START).1
    }

    async fn crossings(&self, _: Crossings) -> Result<CrossingPage> {
        Ok(CrossingPage::default())
    }

    async fn alert(&self, _: Vec<Alerted>, _: Timestamp) -> Result<Vec<Alert>> {
        Ok(Vec::new())
    }

    async fn standing_alerts(&self, _: Timestamp) -> Result<Vec<Alert>> {
        Ok(Vec::new())
    }

    async fn muted_alerts(&self) -> Result<Vec<Alert>> {
        Ok(Vec::new())
    }

    async fn mute(&self, muting: Muting, made_at: Timestamp) -> Result<Mute> {
        Ok(Mute { number: Position::START.next(), muting, made_at, ended: None })
    }

    async fn end_mute(&self, _: MuteId, _: String, _: Timestamp) -> Result<Option<Mute>> {
        Ok(None)
    }

    fn alerts_end(&self) -> watch::Receiver<Position> {
        watch::channel(Position::START).1
    }

    async fn alerts(&self, _: Alerts) -> Result<AlertPage> {
        Ok(AlertPage::default())
    }

    async fn mutes(&self, _: Mutes) -> Result<MutePage> {
        Ok(MutePage::default())
    }

    async fn episodes(&self, _: Episodes) -> Result<EpisodePage> {
        Ok(EpisodePage::default())
    }
}
