//! A store and a consumer that fail on demand. All else they hand on to the real ones.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use flagmeter_log::{Consumer, Lag, Positions, Record};
use flagmeter_model::{Environment, Meter, Tier, Timestamp};
use flagmeter_store::{
    Answer, ByNode, DeadLetter, Error, Filter, Floors, Frontiers, Mark, NewMark, NodeCounts, Read, Result,
    Retained, Rolled, Rolling, Scan, ScanRow, SeriesSeen, State, Store, Write, Written,
};
use tokio::sync::{Notify, watch};

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A write is not taken, this time.
    WriteUnavailable,
    /// A write is taken, but its answer is lost.
    WriteUnanswered,
    /// A write finds the store damaged.
    WriteDamaged,
    /// The process dies before a write.
    DieBeforeWrite,
    /// The process dies after a write.
    DieAfterWrite,
    /// The process dies before a commit.
    DieBeforeCommit,
    /// A write waits until it is let go.
    WriteHangs,
    /// What is done ahead of a write with this seal waits until it is let go.
    AheadOfSeqHangs(u64),
    /// The store refuses a value of this seal.
    RefuseSeq(u64),
    /// A read fails, this time.
    ReadUnavailable,
    /// A read fails, this time, if records were read before.
    NextReadUnavailable,
    /// The log does not tell its lag, this time.
    LagUnavailable,
    /// A commit fails, this time.
    CommitUnavailable,
    /// A commit comes too late: the partitions have gone to another consumer.
    CommitTooLate,
    /// The partitions have come back before a read, where they were committed last.
    PartitionsComeBack,
}

#[derive(Default)]
struct Told {
    faults: Vec<(Fault, usize)>,
    written: Vec<Arc<Write>>,
    committed: Vec<Positions>,
}

/// What is to fail, and what has happened.
pub(super) struct Faults {
    told: Mutex<Told>,
    /// Writes that were taken, and those that failed.
    counts: watch::Sender<(usize, usize)>,
    go: Notify,
}

impl Faults {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { told: Mutex::default(), counts: watch::Sender::new((0, 0)), go: Notify::new() })
    }

    /// The fault happens at the next `times` occasions.
    pub(super) fn put(&self, fault: Fault, times: usize) {
        self.told.lock().unwrap().faults.push((fault, times));
    }

    pub(super) fn clear(&self) {
        self.told.lock().unwrap().faults.clear();
    }

    /// A hanging write goes on.
    pub(super) fn let_go(&self) {
        self.go.notify_one();
    }

    pub(super) fn written(&self) -> Vec<Arc<Write>> {
        self.told.lock().unwrap().written.clone()
    }

    pub(super) fn committed(&self) -> Vec<Positions> {
        self.told.lock().unwrap().committed.clone()
    }

    pub(super) async fn until_written(&self, writes: usize) {
        self.counts.subscribe().wait_for(|(written, _)| *written >= writes).await.unwrap();
    }

    pub(super) async fn until_failed(&self, writes: usize) {
        self.counts.subscribe().wait_for(|(_, failed)| *failed >= writes).await.unwrap();
    }

    /// Waits until the fault has happened as often as it was to.
    pub(super) async fn until_over(&self, fault: Fault) {
        let is_over = |_: &(usize, usize)| {
            let told = self.told.lock().unwrap();
            told.faults.iter().all(|&(other, times)| other != fault || times == 0)
        };
        self.counts.subscribe().wait_for(is_over).await.unwrap();
    }

    /// Whether the fault happens now.
    fn strikes(&self, fault: Fault) -> bool {
        let mut told = self.told.lock().unwrap();
        let Some((_, times)) = told.faults.iter_mut().find(|(other, times)| *other == fault && *times > 0)
        else {
            return false;
        };
        *times -= 1;
        drop(told);
        self.counts.send_modify(|_| {});
        true
    }
}

/// The store with faults.
pub(super) struct FaultyStore {
    pub(super) inner: Arc<dyn Store>,
    pub(super) faults: Arc<Faults>,
    /// Whether the positions are kept with the data, or only by the log.
    pub(super) keeps_positions: bool,
}

impl FaultyStore {
    async fn write_or_fail(&self, write: &Arc<Write>) -> Result<Written> {
        let strikes = |fault| self.faults.strikes(fault);
        if strikes(Fault::DieBeforeWrite) {
            return Err(Error::Closed);
        }
        if strikes(Fault::WriteUnavailable) {
            return Err(Error::Unavailable("on demand".into()));
        }
        if strikes(Fault::WriteDamaged) {
            return Err(Error::Damaged("on demand".into()));
        }
        if strikes(Fault::WriteHangs) {
            self.faults.go.notified().await;
        }
        if write.batches.iter().any(|record| strikes(Fault::RefuseSeq(record.batch.seq.get()))) {
            return Err(Error::Model(flagmeter_model::Error::Overflow));
        }
        let written = self.inner.write(Arc::clone(write)).await?;
        self.faults.told.lock().unwrap().written.push(Arc::clone(write));
        if strikes(Fault::WriteUnanswered) {
            return Err(Error::Unavailable("taken, but on demand".into()));
        }
        if strikes(Fault::DieAfterWrite) {
            return Err(Error::Closed);
        }
        Ok(written)
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn write(&self, write: Arc<Write>) -> Result<Written> {
        let answer = self.write_or_fail(&write).await;
        self.faults.counts.send_modify(|(written, failed)| {
            *(if answer.is_ok() { written } else { failed }) += 1;
        });
        answer
    }

    async fn ahead(&self, write: &Arc<Write>) {
        // Not done at once, so that something happens beside it.
        tokio::task::yield_now().await;
        let mut seqs = write.batches.iter().map(|record| record.batch.seq.get());
        if seqs.any(|seq| self.faults.strikes(Fault::AheadOfSeqHangs(seq))) {
            self.faults.go.notified().await;
        }
        self.inner.ahead(write).await;
    }

    async fn positions(&self) -> Result<Option<BTreeMap<u32, u64>>> {
        if self.keeps_positions { self.inner.positions().await } else { Ok(None) }
    }

    async fn state(&self) -> Result<State> {
        self.inner.state().await
    }

    async fn frontiers(&self) -> Result<Frontiers> {
        self.inner.frontiers().await
    }

    async fn marks(&self, tier: Tier, until: Timestamp, limit: usize) -> Result<Vec<Mark>> {
        self.inner.marks(tier, until, limit).await
    }

    async fn announce(&self, until: Timestamp) -> Result<()> {
        self.inner.announce(until).await
    }

    async fn roll(&self, rolling: &Rolling) -> Result<Rolled> {
        self.inner.roll(rolling).await
    }

    async fn advance(&self, tier: Tier, until: Timestamp) -> Result<()> {
        self.inner.advance(tier, until).await
    }

    async fn mark(&self, marks: &[NewMark]) -> Result<()> {
        self.inner.mark(marks).await
    }

    async fn clear(&self, marks: &[Mark]) -> Result<()> {
        self.inner.clear(marks).await
    }

    async fn retain(&self, floors: Floors) -> Result<Retained> {
        self.inner.retain(floors).await
    }

    async fn read(&self, read: &Read) -> Result<Answer> {
        self.inner.read(read).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<ScanRow>> {
        self.inner.scan(scan).await
    }

    async fn by_node(&self, asked: &ByNode) -> Result<Vec<NodeCounts>> {
        self.inner.by_node(asked).await
    }

    async fn environments(&self) -> Result<Vec<Environment>> {
        self.inner.environments().await
    }

    async fn catalogue(&self, meter: Meter, filter: &Filter, series_max: usize) -> Result<Vec<SeriesSeen>> {
        self.inner.catalogue(meter, filter, series_max).await
    }

    async fn dead_letters(&self, after: Option<(u32, u64)>, limit: usize) -> Result<Vec<DeadLetter>> {
        self.inner.dead_letters(after, limit).await
    }
}

/// The consumer with faults. It checks the promise at every commit: the store has all before it.
pub(super) struct FaultyConsumer {
    pub(super) inner: Box<dyn Consumer>,
    /// What this one has committed.
    pub(super) committed: Positions,
    pub(super) has_read: bool,
    pub(super) faults: Arc<Faults>,
    pub(super) store: Arc<dyn Store>,
}

#[async_trait]
impl Consumer for FaultyConsumer {
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    async fn read(&mut self, bytes_max: usize, wait: Duration) -> flagmeter_log::Result<Vec<Record>> {
        if self.faults.strikes(Fault::ReadUnavailable)
            || self.has_read && self.faults.strikes(Fault::NextReadUnavailable)
        {
            return Err(flagmeter_log::Error::Unavailable("on demand".into()));
        }
        if self.faults.strikes(Fault::PartitionsComeBack) {
            let begin = |partition| (partition, self.committed.get(&partition).copied().unwrap_or(0));
            self.inner.seek(&(0..self.partitions()).map(begin).collect()).await?;
        }
        let records = self.inner.read(bytes_max, wait).await?;
        self.has_read |= !records.is_empty();
        Ok(records)
    }

    async fn seek(&mut self, positions: &Positions) -> flagmeter_log::Result<Positions> {
        self.inner.seek(positions).await
    }

    async fn commit(&mut self, positions: &Positions) -> flagmeter_log::Result<()> {
        let stored = self.store.positions().await.unwrap().unwrap();
        for (partition, position) in positions {
            assert!(
                stored.get(partition) >= Some(position),
                "committed {positions:?}, but stored {stored:?}"
            );
        }
        if self.faults.strikes(Fault::DieBeforeCommit) {
            return Err(flagmeter_log::Error::Closed);
        }
        if self.faults.strikes(Fault::CommitUnavailable) {
            return Err(flagmeter_log::Error::Unavailable("on demand".into()));
        }
        if self.faults.strikes(Fault::CommitTooLate) {
            return Ok(());
        }
        self.inner.commit(positions).await?;
        for (&partition, &position) in positions {
            let committed = self.committed.entry(partition).or_default();
            *committed = position.max(*committed);
        }
        self.faults.told.lock().unwrap().committed.push(positions.clone());
        Ok(())
    }

    async fn lag(&mut self) -> flagmeter_log::Result<Lag> {
        if self.faults.strikes(Fault::LagUnavailable) {
            return Err(flagmeter_log::Error::Unavailable("on demand".into()));
        }
        self.inner.lag().await
    }
}
