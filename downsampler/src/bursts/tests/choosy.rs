//! A store that keeps what it is asked, and answers what it likes to.

use std::collections::BTreeMap;

use async_trait::async_trait;
use flagmeter_model::{Meter, Tier};
use flagmeter_store::{
    Answer, ByNode, DeadLetter, Error, Filter, Floors, Frontiers, Mark, NewMark, NodeCounts, Read, Result,
    Retained, Rolled, Rolling, Scan, ScanRow, SeriesSeen, State, Write, Written,
};
use parking_lot::Mutex;

use super::*;

/// Answers like another one, and nobody who `is_refused`.
pub(super) struct Choosy {
    store: Arc<dyn Store>,
    is_refused: Box<dyn Fn(&Filter) -> bool + Send + Sync>,
    pub(super) reads: Mutex<Vec<Read>>,
    pub(super) by_node: Mutex<Vec<ByNode>>,
}

impl Choosy {
    pub(super) fn new(
        store: &Arc<dyn Store>,
        is_refused: impl Fn(&Filter) -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (reads, by_node) = (Mutex::default(), Mutex::default());
        Arc::new(Self { store: Arc::clone(store), is_refused: Box::new(is_refused), reads, by_node })
    }
}

fn not_asked<T>() -> Result<T> {
    Err(Error::Damaged("nobody who watches asks this".into()))
}

#[async_trait]
impl Store for Choosy {
    async fn read(&self, read: &Read) -> Result<Answer> {
        self.reads.lock().push(read.clone());
        if (self.is_refused)(&read.filter) {
            return Err(Error::Unavailable("it does not like to".into()));
        }
        self.store.read(read).await
    }
    async fn by_node(&self, asked: &ByNode) -> Result<Vec<NodeCounts>> {
        self.by_node.lock().push(asked.clone());
        self.store.by_node(asked).await
    }
    async fn write(&self, _: Arc<Write>) -> Result<Written> {
        not_asked()
    }
    async fn positions(&self) -> Result<Option<BTreeMap<u32, u64>>> {
        not_asked()
    }
    async fn state(&self) -> Result<State> {
        not_asked()
    }
    async fn frontiers(&self) -> Result<Frontiers> {
        not_asked()
    }
    async fn marks(&self, _: Tier, _: Timestamp, _: usize) -> Result<Vec<Mark>> {
        not_asked()
    }
    async fn announce(&self, _: Timestamp) -> Result<()> {
        not_asked()
    }
    async fn roll(&self, _: &Rolling) -> Result<Rolled> {
        not_asked()
    }
    async fn advance(&self, _: Tier, _: Timestamp) -> Result<()> {
        not_asked()
    }
    async fn mark(&self, _: &[NewMark]) -> Result<()> {
        not_asked()
    }
    async fn clear(&self, _: &[Mark]) -> Result<()> {
        not_asked()
    }
    async fn retain(&self, _: Floors) -> Result<Retained> {
        not_asked()
    }
    async fn scan(&self, _: &Scan) -> Result<Vec<ScanRow>> {
        not_asked()
    }
    async fn environments(&self) -> Result<Vec<Environment>> {
        not_asked()
    }
    async fn catalogue(&self, _: Meter, _: &Filter, _: usize) -> Result<Vec<SeriesSeen>> {
        not_asked()
    }
    async fn dead_letters(&self, _: Option<(u32, u64)>, _: usize) -> Result<Vec<DeadLetter>> {
        not_asked()
    }
}
