//! Partitions that come and go.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use tokio::sync::Notify;

use super::{broker, metrics::ConsumerMetrics, prefetch::Prefetched};
use crate::{Partition, Positions};

/// How long a broker may take to say where a partition begins, before it is asked again.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it is asked for partitions that have come. After that the consumer joins anew.
const COME_TIMEOUT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);

/// A client that is a member of the group.
pub(super) type Member = BaseConsumer<Membership>;

/// What the reading end and its thread share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Told when something has changed that a call may wait for. One call waits at a time.
    pub(super) changed: Notify,
    /// Nobody reads any more.
    pub(super) closing: AtomicBool,
    /// How many partitions the topic has, as far as is known. It never shrinks.
    pub(super) partitions: AtomicU32,
    pub(super) metrics: ConsumerMetrics,
}

/// How a member stands with its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// The group has not given it its partitions yet, or takes them back to share them out anew.
    #[default]
    Joining,
    /// It has its partitions, be they none.
    Joined,
    /// It cannot go on.
    Broken,
    /// Another consumer has its name.
    Taken,
}

/// The state of the reading end.
#[derive(Default)]
pub(super) struct State {
    pub(super) prefetched: Prefetched,
    pub(super) standing: Standing,
    /// Which member this is about: each new client is another one.
    pub(super) member: u64,
    /// Calls that wait until everything up to some end is fetched.
    pub(super) looks: usize,
    /// Whether fetching pauses, for all partitions, because enough waits to be read.
    pub(super) is_paused: bool,
    /// What the group or the brokers said last that was not good.
    pub(super) trouble: Option<String>,
}

impl Shared {
    pub(super) fn new(metrics: ConsumerMetrics) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            closing: AtomicBool::new(false),
            partitions: AtomicU32::new(0),
            metrics,
        }
    }

    /// The state. It is whole between any two calls: a panic beside it leaves nothing half done.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has changed.
    pub(super) fn tell(&self) {
        self.changed.notify_one();
    }
}

/// What a member is told by its group.
pub(super) struct Membership {
    pub(super) shared: Arc<Shared>,
    pub(super) topic: String,
    /// Which member this is.
    pub(super) member: u64,
}

/// Where a partition begins and ends, and what is committed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) committed: Option<u64>,
}

impl Place {
    /// The position to go on from, where `wanted` is. If that is not in the log, the first one that is.
    pub(super) fn reachable(
        &self,
        partition: Partition,
        wanted: Option<u64>,
        metrics: &ConsumerMetrics,
    ) -> u64 {
        match wanted {
            Some(wanted) if (self.first..=self.end).contains(&wanted) => wanted,
            Some(wanted) => {
                metrics.places_lost.inc();
                tracing::error!(
                    partition,
                    position = wanted,
                    first = self.first,
                    end = self.end,
                    "the position wanted is not in the log: going on with the first record that is kept. Either the \
                     topic's retention took records that were not stored, or the topic is a new one"
                );
                self.first
            }
            None => self.first,
        }
    }
}

impl Membership {
    /// Partitions have come: asks where to begin, and begins. `None` if that could not be found out.
    fn begin(&self, consumer: &Member, partitions: &[Partition]) -> Option<KafkaResult<()>> {
        let deadline = Instant::now() + COME_TIMEOUT;
        let places = loop {
            match places(consumer, &self.topic, partitions) {
                Ok(places) => break places,
                Err(error) => {
                    tracing::warn!(%error, ?partitions, "the brokers did not say where partitions begin: asking again");
                    if self.shared.closing.load(Ordering::Relaxed) || Instant::now() >= deadline {
                        return None;
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        };
        let metrics = &self.shared.metrics;
        let begins: Positions =
            places.iter().map(|(&at, place)| (at, place.reachable(at, place.committed, metrics))).collect();
        // The group may hear sooner than this consumer that there are more of them.
        let partitions = begins.keys().next_back().map_or(0, |last| last.saturating_add(1));
        self.shared.partitions.fetch_max(partitions, Ordering::Relaxed);
        let mut state = self.shared.state();
        if state.member == self.member {
            for (&partition, &begin) in &begins {
                state.prefetched.come(partition, begin, begin);
            }
        }
        let is_paused = state.is_paused;
        drop(state);
        Some(list(&self.topic, &begins).and_then(|list| {
            consumer.assign(&list)?;
            // With enough waiting to be read, those that have come wait like the others.
            if is_paused { consumer.pause(&list) } else { Ok(()) }
        }))
    }
}

impl ClientContext for Membership {
    /// A client that finds its place gone goes on elsewhere by itself, and says so here and nowhere else.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "OFFSET" && matches!(level, RDKafkaLogLevel::Warning) {
            self.shared.metrics.places_lost.inc();
            tracing::error!(
                target: "librdkafka",
                facility,
                "{message}: the log does not have the place any more where this consumer was. Either the topic's retention \
                 took records that were not stored, or the topic is a new one, or brokers lost records"
            );
        } else {
            broker::log(level, facility, message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        broker::told(&error, reason);
        let mut state = self.shared.state();
        if state.member == self.member {
            state.trouble = Some(format!("{error} ({reason})"));
        }
    }
}

impl ConsumerContext for Membership {
    fn rebalance(&self, consumer: &Member, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions: Vec<Partition> =
            list.elements().iter().filter_map(|element| element.partition().try_into().ok()).collect();
        let has_come = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let done = if has_come {
            self.begin(consumer, &partitions)
        } else {
            let mut state = self.shared.state();
            if state.member == self.member {
                for &partition in &partitions {
                    state.prefetched.go(partition);
                }
            }
            drop(state);
            // One that pauses would still pause when it comes again.
            Some(consumer.resume(list).and_then(|()| consumer.unassign()))
        };
        let mut state = self.shared.state();
        if state.member == self.member {
            self.shared.metrics.rebalances.inc();
            state.trouble = None;
            match done {
                Some(Ok(())) => {
                    tracing::info!(?partitions, has_come, "partitions of the log have changed hands");
                    match (has_come, state.standing) {
                        (true, Standing::Joining) => state.standing = Standing::Joined,
                        // All have gone, and which of them come back is not known yet.
                        (false, Standing::Joined) => state.standing = Standing::Joining,
                        _ => {}
                    }
                }
                Some(Err(error)) => {
                    tracing::error!(%error, ?partitions, has_come, "partitions of the log could not change hands");
                    state.standing = Standing::Broken;
                }
                None => state.standing = Standing::Broken,
            }
        }
        drop(state);
        self.shared.tell();
    }
}

/// Where partitions begin and end, and what is committed of them. It blocks.
pub(super) fn places(
    consumer: &Member,
    topic: &str,
    partitions: &[Partition],
) -> KafkaResult<BTreeMap<Partition, Place>> {
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let firsts = edges(consumer, topic, partitions, Offset::Beginning)?;
    let ends = edges(consumer, topic, partitions, Offset::End)?;
    let mut asked = TopicPartitionList::new();
    for &partition in partitions {
        asked.add_partition(topic, i32::try_from(partition).unwrap_or(i32::MAX));
    }
    let committed = read(&consumer.committed_offsets(asked, ASK_TIMEOUT)?)?;
    let place = |&partition: &Partition| {
        let first = firsts.get(&partition).copied().unwrap_or(0);
        let end = ends.get(&partition).copied().unwrap_or(first);
        (partition, Place { first, end, committed: committed.get(&partition).copied() })
    };
    Ok(partitions.iter().map(place).collect())
}

/// The ends of partitions: everything before them can be read. It blocks.
pub(super) fn ends(consumer: &Member, topic: &str, partitions: &[Partition]) -> KafkaResult<Positions> {
    if partitions.is_empty() { Ok(Positions::new()) } else { edges(consumer, topic, partitions, Offset::End) }
}

/// The question for a time answers with the first or the last position as well, of all partitions at once.
fn edges(consumer: &Member, topic: &str, partitions: &[Partition], edge: Offset) -> KafkaResult<Positions> {
    let mut asked = TopicPartitionList::new();
    for &partition in partitions {
        asked.add_partition_offset(topic, i32::try_from(partition).unwrap_or(i32::MAX), edge)?;
    }
    read(&consumer.offsets_for_times(asked, ASK_TIMEOUT)?)
}

/// The positions of a list, without the partitions that have none.
pub(super) fn read(list: &TopicPartitionList) -> KafkaResult<Positions> {
    let mut positions = Positions::new();
    for element in list.elements() {
        element.error()?;
        if let (Ok(partition), Offset::Offset(offset)) = (element.partition().try_into(), element.offset())
            && let Ok(offset) = offset.try_into()
        {
            positions.insert(partition, offset);
        }
    }
    Ok(positions)
}

/// A list of positions.
pub(super) fn list(topic: &str, positions: &Positions) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (&partition, &position) in positions {
        let offset = Offset::Offset(i64::try_from(position).unwrap_or(i64::MAX));
        list.add_partition_offset(topic, i32::try_from(partition).unwrap_or(i32::MAX), offset)?;
    }
    Ok(list)
}
