//! The writing end.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use async_trait::async_trait;
use flagmeter_model::{Lane, NodeId};

use super::{Config, lane::Place, metrics::ProducerMetrics, transactions::Transactions};
use crate::{Error, NewRecord, Result};

/// The producer of one edge node: each append is a transaction.
pub struct Producer {
    node: NodeId,
    partitions: u32,
    lane: Arc<AtomicU8>,
    /// Calls of librdkafka block, so they are made on blocking threads, one after the other.
    transactions: Arc<Mutex<Transactions>>,
    _closing: Closing,
}

impl Producer {
    /// Takes over the node's number: a producer that had it before, in this process or in another, never appends
    /// again, and what it left unfinished is given up. Where [`Config::partitions`] is set, no broker is asked, and the
    /// first append does so.
    ///
    /// [`Error::Config`] and [`Error::Topic`] say what to set or to mend; [`Error::Unavailable`] if the brokers do
    /// not answer within about [`Config::append_timeout`]. The metrics are registered once it is open.
    pub async fn open(config: Config, node: NodeId, metrics: &prometheus::Registry) -> Result<Self> {
        config.check()?;
        let measured = ProducerMetrics::new()?;
        let closing = Closing::default();
        let (of_producer, closed) = (measured.clone(), Arc::clone(&closing.0));
        let (partitions, transactions, lane) = tokio::task::spawn_blocking(move || {
            let assumed = config.partitions;
            let place = Place::open(config.lane_path.clone())?;
            let lane = place.lane();
            let mut transactions = Transactions::new(config, node, of_producer, closed, place);
            let partitions = if let Some(assumed) = assumed {
                assumed
            } else {
                transactions.take_over()?;
                transactions.partitions().ok_or(Error::Closed)?
            };
            Ok::<_, Error>((partitions, transactions, lane))
        })
        .await
        // The runtime is shutting down.
        .map_err(|_| Error::Closed)??;
        measured.register(metrics)?;
        Ok(Self {
            node,
            partitions,
            lane,
            transactions: Arc::new(Mutex::new(transactions)),
            _closing: closing,
        })
    }

    /// Sends records and stops there, as one does whose process ends or whose machine sleeps before the commit; goes
    /// on after `sleep`.
    #[cfg(test)]
    pub(super) async fn begin_and_wait(&self, records: Vec<NewRecord>, sleep: std::time::Duration) {
        let transactions = Arc::clone(&self.transactions);
        let work = move || {
            transactions.lock().unwrap().begin_only(&records);
            std::thread::sleep(sleep);
        };
        tokio::task::spawn_blocking(work).await.unwrap();
    }
}

#[async_trait]
impl crate::Producer for Producer {
    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn lane(&self) -> Lane {
        Lane::new(self.lane.load(Ordering::Relaxed)).unwrap_or_default()
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<()> {
        let transactions = Arc::clone(&self.transactions);
        tokio::task::spawn_blocking(move || {
            // A panic beside it leaves its state as it was: the next call goes on from there.
            transactions.lock().unwrap_or_else(PoisonError::into_inner).append(&records)
        })
        .await
        .map_err(|_| Error::Closed)?
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("node", &self.node)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

/// Tells the blocking threads that nobody waits for them any more.
#[derive(Debug, Default)]
struct Closing(Arc<AtomicBool>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Checks that a partition is there.
pub(super) fn check_partition(partition: u32, partitions: u32) -> Result<()> {
    if partition < partitions { Ok(()) } else { Err(Error::NoSuchPartition { partition, partitions }) }
}
