//! Steps that are decoded and not written yet.

use std::{collections::VecDeque, pin::pin, sync::Arc};

use flagmeter_log::Record;
use flagmeter_model::Timestamp;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesOrdered};

use crate::{aggregate::Step, pipeline::Pipeline};

/// Steps after which no further one is decoded before one is written.
const STEPS_MAX: usize = 2;

/// The steps in hand, in their order. The store may do of each what it can ahead of its turn, while another one is
/// written, and while records are read and decoded.
#[derive(Default)]
pub(crate) struct InHand {
    ahead: FuturesOrdered<BoxFuture<'static, Step>>,
    /// Those of which the store has done so.
    ready: VecDeque<Step>,
    /// When the oldest record of each was appended.
    appended_at: VecDeque<Timestamp>,
}

impl InHand {
    pub(crate) fn is_empty(&self) -> bool {
        self.appended_at.is_empty()
    }

    /// Takes what was decoded after all that is in hand.
    pub(crate) fn extend(&mut self, pipeline: &Pipeline<'_>, step: Option<Step>) {
        let Some(step) = step else { return };
        self.appended_at.push_back(step.oldest);
        let store = Arc::clone(&pipeline.store);
        let ahead = async move {
            store.ahead(&step.write).await;
            step
        };
        self.ahead.push_back(ahead.boxed());
    }

    /// The step to be written next. Waits until the store has done what it can ahead only if there is nothing else to
    /// do: when as many are in hand as may be, or there is nothing `to_decode`.
    pub(crate) async fn oldest(&mut self, nothing_to_decode: bool) -> Option<Step> {
        let step = match self.ready.pop_front() {
            Some(step) => Some(step),
            None if nothing_to_decode || self.appended_at.len() >= STEPS_MAX => self.ahead.next().await,
            None => self.ahead.next().now_or_never().flatten(),
        };
        if step.is_some() {
            self.appended_at.pop_front();
        }
        step
    }

    /// Does some work, while the store goes on with what is in hand.
    pub(crate) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                Some(step) = self.ahead.next(), if !self.ahead.is_empty() => self.ready.push_back(step),
                done = &mut work => return done,
            }
        }
    }

    /// When the oldest record was appended that is not stored yet.
    pub(crate) fn waiting_since(&self, records: &VecDeque<Record>) -> Option<Timestamp> {
        self.appended_at.iter().copied().chain(records.iter().map(|record| record.appended_at)).min()
    }
}
