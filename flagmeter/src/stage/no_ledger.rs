//! A ledger that is not there: what is asked of it has no answer, rather than an empty one.

use async_trait::async_trait;
use flagmeter_ledger::{
    Append, Appended, Closing, Error, Feed, Hours, Ledger, Page, Position, Result, Standing,
};
use flagmeter_model::Timestamp;
use tokio::sync::watch;

/// See above.
#[derive(Debug)]
pub(super) struct NoLedger(pub(super) watch::Sender<Position>);

impl NoLedger {
    fn none<T>() -> Result<T> {
        Err(Error::Unavailable("this process has none".into()))
    }
}

#[async_trait]
impl Ledger for NoLedger {
    async fn standing(&self) -> Result<Standing> {
        Self::none()
    }
    async fn announce(&self, _: Timestamp) -> Result<()> {
        Self::none()
    }
    async fn append(&self, _: Append) -> Result<Appended> {
        Self::none()
    }
    fn end(&self) -> watch::Receiver<Position> {
        self.0.subscribe()
    }
    async fn closing(&self, _: Position) -> Result<Option<Closing>> {
        Self::none()
    }
    async fn feed(&self, _: Feed) -> Result<Page> {
        Self::none()
    }
    async fn hours(&self, _: Hours) -> Result<Page> {
        Self::none()
    }
}
