//! The verbs in their order.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use flagmeter_log::Consumer;
use flagmeter_model::Clock;
use flagmeter_store::Store;
use tokio_util::sync::CancellationToken;

use crate::{
    AtStop, Config, Result, aggregate::aggregate, commit::Commit, decode::decode, in_hand::InHand,
    metrics::Metrics, patience::Patience, read, stall::Progress, write::write,
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
        let mut in_hand = InHand::default();
        loop {
            let stopping = stop.is_cancelled();
            if records.is_empty() && !(stopping && self.config.at_stop == AtStop::Leave) {
                // What is in hand is stored whether the log answers or not.
                let insists = in_hand.is_empty();
                let wait = if stopping || !insists { Duration::ZERO } else { self.config.read_wait };
                records = in_hand.beside(read::read(&self, consumer, wait, insists)).await?;
            }
            if records.is_empty() && in_hand.is_empty() {
                commit.tell_lag(&self, consumer).await;
                if stopping {
                    return Ok(());
                }
                continue;
            }
            let oldest = in_hand.oldest(records.is_empty()).await;
            // The store takes one step while the next one is decoded.
            let positions = oldest.as_ref().map(|step| step.write.positions.clone());
            let both = async { tokio::join!(write(&self, oldest), decode(&self, records)) };
            let (written, decoded) = in_hand.beside(both).await;
            written?;
            let (decoded, rest) = decoded?;
            in_hand.extend(&self, aggregate(decoded, consumer.partitions(), self.clock.now()));
            records = rest;
            if let Some(positions) = positions {
                let insists = records.is_empty() && in_hand.is_empty();
                in_hand.beside(commit.commit(&self, consumer, positions, insists)).await?;
                self.progress.moved(in_hand.waiting_since(&records));
                in_hand.beside(commit.tell_lag(&self, consumer)).await;
            }
        }
    }

    pub(crate) fn patience(&self, call: &'static str) -> Patience<'a> {
        Patience::new(call, &self.config, self.metrics)
    }
}
