//! The verbs in their order.

use std::{collections::VecDeque, sync::Arc};

use flagmeter_log::{Consumer, Record};
use flagmeter_model::Clock;
use flagmeter_store::Store;
use tokio_util::sync::CancellationToken;

use crate::{
    AtStop, Config, Result,
    aggregate::{Step, aggregate},
    commit::Commit,
    decode::decode,
    metrics::Metrics,
    patience::Patience,
    read,
    stall::Progress,
    write::write,
};

/// What the verbs work with, beside the consumer.
pub(crate) struct Pipeline<'a> {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: &'a Metrics,
    pub(crate) progress: &'a Progress,
}

impl<'a> Pipeline<'a> {
    /// Runs until `stop`, and then until nothing is left of what is to be stored before the end.
    pub(crate) async fn run(self, mut consumer: Box<dyn Consumer>, stop: &CancellationToken) -> Result<()> {
        let consumer = consumer.as_mut();
        read::resume(&self, consumer).await?;
        let mut commit = Commit::default();
        let mut records = VecDeque::new();
        let mut pending: Option<Step> = None;
        loop {
            let stopping = stop.is_cancelled();
            if records.is_empty() && !(stopping && self.config.at_stop == AtStop::Leave) {
                let wait = !stopping && pending.is_none();
                records = read::read(&self, consumer, wait).await?;
            }
            if records.is_empty() && pending.is_none() {
                commit.tell_lag(&self, consumer).await;
                if stopping {
                    return Ok(());
                }
                continue;
            }
            // The store takes one step while the next one is decoded.
            let positions = pending.as_ref().map(|step| step.write.positions.clone());
            let (written, decoded) = tokio::join!(write(&self, pending), decode(&self, records));
            written?;
            let (decoded, rest) = decoded?;
            pending = aggregate(decoded, consumer.partitions(), self.clock.now());
            records = rest;
            if let Some(positions) = positions {
                commit.commit(&self, consumer, &positions).await?;
                self.progress.moved(waiting_since(pending.as_ref(), &records));
                commit.tell_lag(&self, consumer).await;
            }
        }
    }

    pub(crate) fn patience(&self, call: &'static str) -> Patience<'a> {
        Patience::new(call, &self.config, self.metrics)
    }
}

/// When the oldest record was appended that is not stored yet.
fn waiting_since(step: Option<&Step>, records: &VecDeque<Record>) -> Option<flagmeter_model::Timestamp> {
    step.map(|step| step.oldest).or_else(|| records.iter().map(|record| record.appended_at).min())
}
