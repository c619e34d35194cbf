//! Reading the store: within a time, not too many at once, and only what was scoped.

use std::{future::Future, sync::Arc, time::Duration};

use flagmeter_model::{Meter, Timestamp};
use flagmeter_store::{
    Answer, Axis, Dimension, Error as StoreError, Read, SeriesSeen, State, Store, TierChoice,
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{Config, Error, Result, access::Scoped, metrics::Metrics};

/// What is asked of the store.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// What is counted.
    pub(crate) meter: Meter,
    /// The edges of the buckets.
    pub(crate) edges: Vec<Timestamp>,
    /// Which series.
    pub(crate) scope: Scoped,
    /// What to tell apart.
    pub(crate) group_by: Vec<Dimension>,
    /// Groups at most.
    pub(crate) groups_max: usize,
}

/// The store, as queries see it.
pub(crate) struct Reader {
    store: Arc<dyn Store>,
    permits: Semaphore,
    reads_max: usize,
    read_timeout: Duration,
    metrics: Metrics,
}

impl Reader {
    /// A reader of `store`.
    pub(crate) fn new(store: Arc<dyn Store>, config: &Config, metrics: Metrics) -> Self {
        Self {
            store,
            permits: Semaphore::new(config.reads_max),
            reads_max: config.reads_max,
            read_timeout: config.read_timeout,
            metrics,
        }
    }

    /// Answers a question.
    pub(crate) async fn read(&self, question: Question) -> Result<Answer> {
        let read = Read {
            meter: question.meter,
            edges: question.edges,
            filter: question.scope.filter().clone(),
            group_by: question.group_by,
            tiers: TierChoice::Cover,
            axis: Axis::Any,
            groups_max: question.groups_max,
        };
        self.within(self.read_timeout, self.store.read(&read)).await
    }

    /// The series that were ever counted.
    pub(crate) async fn catalogue(&self, meter: Meter, scope: &Scoped) -> Result<Vec<SeriesSeen>> {
        self.within(self.read_timeout, self.store.catalogue(meter, scope.filter())).await
    }

    /// What is known of nodes, frontiers and floors, within `patience`.
    pub(crate) async fn state(&self, patience: Duration) -> Result<State> {
        self.within(patience, self.store.state()).await
    }

    async fn within<T>(
        &self,
        patience: Duration,
        answer: impl Future<Output = flagmeter_store::Result<T>> + Send,
    ) -> Result<T> {
        let mut waits_for_turn = true;
        let turn_and_answer = async {
            // The semaphore is never closed.
            let _turn = self.permits.acquire().await;
            waits_for_turn = false;
            answer.await
        };
        match timeout(patience, turn_and_answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                // A question that is too large is the asker's error, not the store's.
                if !matches!(error, StoreError::Unanswerable(_) | StoreError::TooMany { .. }) {
                    self.metrics.store_failed(error.is_retryable());
                }
                Err(error.into())
            }
            Err(_) if waits_for_turn => Err(Error::Busy { at_once: self.reads_max }),
            Err(_) => {
                self.metrics.store_failed(true);
                Err(Error::Timeout { seconds: patience.as_secs() })
            }
        }
    }
}
