//! Spans on their way to the collector: a bounded queue, and who empties it.

use std::time::Duration;

use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prometheus::{IntCounter, IntCounterVec, Opts};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::Result;

/// Spans that wait at most, about a kilobyte each.
const QUEUE_SPANS: usize = 4_096;
/// Spans that are posted together at most.
const BATCH_SPANS: usize = 512;
/// How long the first of a batch waits for others.
const BATCH_DELAY: Duration = Duration::from_secs(1);
/// How long the end of the process waits for the collector.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// What became of spans.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    pub(super) vec: IntCounterVec,
    exported: IntCounter,
    not_taken: IntCounter,
    queue_full: IntCounter,
}

impl Counts {
    pub(super) fn new() -> prometheus::Result<Self> {
        let opts = Opts::new(
            "flagmeter_traces_spans_total",
            "Spans by what became of them: taken by the collector, not taken by it, or dropped because the queue was full.",
        );
        let vec = IntCounterVec::new(opts, &["outcome"])?;
        let of = |outcome| vec.with_label_values(&[outcome]);
        let (exported, not_taken, queue_full) = (of("exported"), of("not_taken"), of("queue_full"));
        Ok(Self { vec, exported, not_taken, queue_full })
    }
}

/// Where spans are left. It never waits.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<SpanData>,
    counts: Counts,
}

impl Queue {
    pub(super) fn push(&self, span: SpanData) {
        match self.sender.try_send(span) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.counts.queue_full.inc(),
            // The process ends.
            Err(TrySendError::Closed(_)) => self.counts.not_taken.inc(),
        }
    }
}

/// A queue, and its end from which spans are posted.
pub(super) fn queue<E: SpanExporter>(to: E, counts: &Counts) -> (Queue, Exporter<E>) {
    let (sender, spans) = mpsc::channel(QUEUE_SPANS);
    let queue = Queue { sender, counts: counts.clone() };
    (queue, Exporter { spans, to, counts: counts.clone(), is_failing: false, is_stopping: false })
}

/// Posts what is in the queue.
#[derive(Debug)]
pub(crate) struct Exporter<E = opentelemetry_otlp::SpanExporter> {
    spans: mpsc::Receiver<SpanData>,
    to: E,
    counts: Counts,
    is_failing: bool,
    is_stopping: bool,
}

impl<E: SpanExporter> Exporter<E> {
    /// Posts until `stop`, and then what is left, for a bounded time.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(FLUSH_MAX).await;
        };
        let flushed = tokio::select! {
            () = self.post_all(&stop) => true,
            () = late => false,
        };
        if !flushed {
            tracing::warn!(
                seconds = FLUSH_MAX.as_secs(),
                "the collector did not take the last spans in time: they are dropped"
            );
        }
        Ok(())
    }

    async fn post_all(&mut self, stop: &CancellationToken) {
        loop {
            let batch = self.next_batch(stop).await;
            if batch.is_empty() {
                return;
            }
            self.post(batch).await;
        }
    }

    /// The next batch: what has come until it is full or its first has waited long enough. Empty when none comes any more.
    async fn next_batch(&mut self, stop: &CancellationToken) -> Vec<SpanData> {
        let (mut batch, mut ready) = (Vec::new(), None);
        while batch.len() < BATCH_SPANS {
            let room = BATCH_SPANS - batch.len();
            tokio::select! {
                biased;
                () = stop.cancelled(), if !self.is_stopping => {
                    self.is_stopping = true;
                    self.spans.close();
                }
                came = self.spans.recv_many(&mut batch, room) => {
                    if came == 0 {
                        break;
                    }
                    ready.get_or_insert_with(|| Instant::now() + BATCH_DELAY);
                }
                () = until(ready) => break,
            }
        }
        batch
    }

    async fn post(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len() as u64;
        match self.to.export(batch).await {
            Ok(()) => {
                self.counts.exported.inc_by(spans);
                if std::mem::replace(&mut self.is_failing, false) {
                    tracing::info!("the collector takes spans again");
                }
            }
            Err(error) => {
                self.counts.not_taken.inc_by(spans);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(%error, "the collector does not take spans: they are dropped and counted");
                }
            }
        }
    }
}

async fn until(ready: Option<Instant>) {
    match ready {
        Some(ready) => tokio::time::sleep_until(ready).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::{
        InstrumentationScope,
        trace::{SpanContext, SpanId, SpanKind, Status},
    };
    use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

    use super::*;
    use crate::traces::layer::now;

    /// What a collector does with a batch.
    #[derive(Debug, Clone, Copy)]
    enum Does {
        Take,
        Refuse,
        Hang,
    }

    #[derive(Debug, Clone)]
    struct Collector {
        does: Arc<Mutex<Does>>,
        /// The sizes of batches that were posted.
        batches: Arc<Mutex<Vec<usize>>>,
        posted: Arc<tokio::sync::Notify>,
    }

    impl Collector {
        fn that(does: Does) -> Self {
            let (does, batches) = (Arc::new(Mutex::new(does)), Arc::default());
            Self { does, batches, posted: Arc::default() }
        }
    }

    impl SpanExporter for Collector {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.batches.lock().unwrap().push(batch.len());
            self.posted.notify_one();
            let does = *self.does.lock().unwrap();
            match does {
                Does::Take => Ok(()),
                Does::Refuse => Err(OTelSdkError::InternalFailure("it refuses".into())),
                Does::Hang => std::future::pending().await,
            }
        }
    }

    fn span() -> SpanData {
        SpanData {
            span_context: SpanContext::NONE,
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "span".into(),
            start_time: now(),
            end_time: now(),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: opentelemetry_sdk::trace::SpanEvents::default(),
            links: opentelemetry_sdk::trace::SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    fn counted(counts: &Counts) -> [u64; 3] {
        [counts.exported.get(), counts.not_taken.get(), counts.queue_full.get()]
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_posted_together_and_all_of_it_before_the_end() {
        let (counts, collector) = (Counts::new().unwrap(), Collector::that(Does::Take));
        let (queue, exporter) = queue(collector.clone(), &counts);
        for _ in 0..BATCH_SPANS + 3 {
            queue.push(span());
        }
        let stop = CancellationToken::new();
        stop.cancel();
        exporter.run(stop).await.unwrap();
        assert_eq!(*collector.batches.lock().unwrap(), [BATCH_SPANS, 3]);
        queue.push(span());
        assert_eq!(counted(&counts), [BATCH_SPANS as u64 + 3, 1, 0], "what comes after the end is counted");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_collector_refuses_is_counted_and_the_next_is_offered() {
        let (counts, collector) = (Counts::new().unwrap(), Collector::that(Does::Refuse));
        let (queue, exporter) = queue(collector.clone(), &counts);
        let stop = CancellationToken::new();
        let told = stop.clone();
        let sends = async move {
            queue.push(span());
            collector.posted.notified().await;
            *collector.does.lock().unwrap() = Does::Take;
            queue.push(span());
            collector.posted.notified().await;
            told.cancel();
        };
        let (ended, ()) = tokio::join!(exporter.run(stop), sends);
        ended.unwrap();
        assert_eq!(counted(&counts), [1, 1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_collector_that_hangs_holds_nothing_up_and_what_is_dropped_is_counted() {
        let (counts, collector) = (Counts::new().unwrap(), Collector::that(Does::Hang));
        let (queue, exporter) = queue(collector.clone(), &counts);
        let stop = CancellationToken::new();
        let told = stop.clone();
        let sends = async move {
            queue.push(span());
            collector.posted.notified().await;
            // Nobody empties the queue now.
            for _ in 0..QUEUE_SPANS + 7 {
                queue.push(span());
            }
            told.cancel();
            queue
        };
        let began = Instant::now();
        let (ended, queue) = tokio::join!(exporter.run(stop), sends);
        ended.unwrap();
        assert!(began.elapsed() < FLUSH_MAX + BATCH_DELAY * 2, "{:?}", began.elapsed());
        assert_eq!(counted(&counts), [0, 0, 7]);
        drop(queue);
    }
}
