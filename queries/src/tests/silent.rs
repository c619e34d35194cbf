//! A store that does not answer, or not always: the only store here that is not a real one.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use flagmeter_model::{Environment, Meter, Tier, Timestamp};
use flagmeter_store::{
    Answer, ByNode, DeadLetter, Error, Filter, Floors, Frontiers, Mark, NewMark, NodeCounts, Read, Result,
    Retained, Rolled, Rolling, Row, RowState, Scan, ScanRow, SeriesSeen, State, Store, Write, Written,
};
use tokio::time::sleep;

/// How it does not answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Silent {
    /// With an error that may pass.
    Unavailable,
    /// With damage.
    Damaged,
    /// Never.
    Never,
    /// It breaks.
    Panics,
    /// After 15 seconds: with its state, and else with damage.
    Slow,
    /// As it is told to, question by question.
    Told(&'static Told),
}

/// What a store is told to answer: one more at each question, in every bucket.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(super) reads: AtomicU64,
    /// The same again.
    pub(super) stands_still: AtomicBool,
    /// Nothing: it is not there.
    pub(super) is_away: AtomicBool,
    pub(super) count: AtomicU64,
}

impl Told {
    pub(super) fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    fn answer(&self, read: &Read) -> Result<Answer> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.is_away.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("/secret/path: disk I/O error".into()));
        }
        if !self.stands_still.load(Ordering::SeqCst) {
            self.count.fetch_add(1, Ordering::SeqCst);
        }
        let buckets = read.edges.len() - 1;
        let mut counts = vec![7; buckets];
        counts[buckets - 1] = self.count.load(Ordering::SeqCst);
        Ok(Answer {
            rows: vec![Row { group: read.group_by.iter().map(|_| None).collect(), counts }],
            states: vec![RowState::Open; buckets],
            complete_until: None,
            missing: vec![],
            parts: vec![],
            beyond_retention: None,
        })
    }
}

impl Silent {
    async fn answer<T>(self) -> Result<T> {
        match self {
            Self::Unavailable => Err(Error::Unavailable("/secret/path: disk I/O error".into())),
            Self::Damaged => Err(Error::Damaged("/secret/path: page 7".into())),
            Self::Never => pending().await,
            Self::Panics => panic!("a bug"),
            Self::Slow => {
                sleep(Duration::from_secs(15)).await;
                Err(Error::Damaged("page 7".into()))
            }
            Self::Told(_) => Err(Error::Damaged("nobody told it what to answer to this".into())),
        }
    }
}

#[async_trait]
impl Store for Silent {
    async fn write(&self, _: Arc<Write>) -> Result<Written> {
        self.answer().await
    }
    async fn positions(&self) -> Result<Option<BTreeMap<u32, u64>>> {
        self.answer().await
    }
    async fn state(&self) -> Result<State> {
        let answer = self.answer().await;
        if matches!(self, Self::Slow | Self::Told(_)) { Ok(State::default()) } else { answer }
    }
    async fn frontiers(&self) -> Result<Frontiers> {
        self.answer().await
    }
    async fn marks(&self, _: Tier, _: Timestamp, _: usize) -> Result<Vec<Mark>> {
        self.answer().await
    }
    async fn announce(&self, _: Timestamp) -> Result<()> {
        self.answer().await
    }
    async fn roll(&self, _: &Rolling) -> Result<Rolled> {
        self.answer().await
    }
    async fn advance(&self, _: Tier, _: Timestamp) -> Result<()> {
        self.answer().await
    }
    async fn mark(&self, _: &[NewMark]) -> Result<()> {
        self.answer().await
    }
    async fn clear(&self, _: &[Mark]) -> Result<()> {
        self.answer().await
    }
    async fn retain(&self, _: Floors) -> Result<Retained> {
        self.answer().await
    }
    async fn read(&self, read: &Read) -> Result<Answer> {
        if let Self::Told(told) = self { told.answer(read) } else { self.answer().await }
    }
    async fn scan(&self, _: &Scan) -> Result<Vec<ScanRow>> {
        self.answer().await
    }
    async fn by_node(&self, _: &ByNode) -> Result<Vec<NodeCounts>> {
        self.answer().await
    }
    async fn environments(&self) -> Result<Vec<Environment>> {
        self.answer().await
    }
    async fn catalogue(&self, _: Meter, _: &Filter, _: usize) -> Result<Vec<SeriesSeen>> {
        self.answer().await
    }
    async fn dead_letters(&self, _: Option<(u32, u64)>, _: usize) -> Result<Vec<DeadLetter>> {
        self.answer().await
    }
}
