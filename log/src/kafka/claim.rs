//! Whose a node's number is.
//!
//! The broker tells a producer that it is fenced in two cases, and does not say which: another edge with its number
//! has started, or it took too long over a transaction, such as when the machine slept, and the broker gave the
//! transaction up. In the first case it must stop, in the second it must go on. So each producer, before it takes
//! the number over, leaves a sign of its own at the broker; one that is told that it is fenced looks whose sign is
//! there.
//!
//! Beside the sign stands who had the number, so that journals that meet under one number keep to lanes of their own.
//! Kafka keeps a note without a look at the one before, so two that start at once may both find nobody. Each looks again
//! once it has the number: one of them finds the other's sign then, unless the other was already done when it left its
//! own, which it had begun before. That takes two first starts within milliseconds, and the same lane drawn by both.
//!
//! The sign is kept as the note that Kafka lets a group of consumers keep beside a position. Nobody ever reads by
//! that group, named `<topic>-edge-<node>-claim`.

use std::time::{Duration, Instant};

use flagmeter_model::NodeId;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code},
    topic_partition_list::TopicPartitionListElem,
};

use super::{
    Config,
    broker::{self, ASK_TIMEOUT, Plain},
    lane::{History, Place},
};
use crate::Result;

/// How long until a coordinator that was not ready is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// A producer's claim on its number.
#[derive(Debug)]
pub(super) struct Claim {
    group: String,
    sign: String,
}

impl Claim {
    /// A claim that differs from every other one.
    pub(super) fn new(config: &Config, node: NodeId) -> Self {
        Self {
            group: format!("{}-claim", config.transactional_id(node)),
            sign: format!("{:016x}", rand::random::<u64>()),
        }
    }

    /// Leaves the sign, and before that finds the journal a lane. Before the number is taken over: whoever is fenced
    /// by that must find it.
    pub(super) fn leave(&self, config: &Config, place: &Place) -> Result<()> {
        let failed = |error| broker::failed("claiming the node's number", config, &error);
        let client = self.client(config)?;
        let note = note(&client, config).map_err(failed)?;
        let mut history = History::read(&note);
        place.settle(&mut history);
        self.write(&client, config, &history).map_err(failed)?;
        place.keep()
    }

    /// Leaves the sign again if another has left its own meanwhile, as when two start at once: each finds what the other
    /// left, and so neither keeps a lane that both found free. After the number was taken over: who does so last is
    /// the one that has it.
    pub(super) fn confirm(&self, config: &Config, place: &Place) -> Result<()> {
        if self.holds(config)? { Ok(()) } else { self.leave(config, place) }
    }

    fn write(&self, client: &BaseConsumer<Plain>, config: &Config, history: &History) -> KafkaResult<()> {
        let mut left = TopicPartitionList::new();
        left.add_partition_offset(&config.topic, 0, Offset::Offset(0))?;
        for mut element in left.elements() {
            element.set_metadata(format!("{} {history}", self.sign));
        }
        once_coordinated(|| client.commit(&left, CommitMode::Sync))
    }

    /// As another does that found these when this one had not left its sign yet.
    #[cfg(test)]
    pub(super) fn leave_over(&self, config: &Config, found: &History) {
        self.write(&self.client(config).unwrap(), config, found).unwrap();
    }

    /// Whether nobody else has left a sign since.
    pub(super) fn holds(&self, config: &Config) -> Result<bool> {
        let failed = |error| broker::failed("asking whose the node's number is", config, &error);
        let note = note(&self.client(config)?, config).map_err(failed)?;
        // Kafka forgets a sign after a week or so. A younger one of another producer would be there.
        let sign = note.split(' ').next().unwrap_or_default();
        Ok(matches!(sign, "" | "\0") || sign == self.sign)
    }

    fn client(&self, config: &Config) -> Result<BaseConsumer<Plain>> {
        let mut client = config.admin();
        client.set("group.id", &self.group);
        client.set("enable.auto.commit", "false");
        client.create_with_context(Plain).map_err(|error| broker::not_made(&error))
    }
}

/// What was left by the last one: its sign, and who had the number with which lane.
fn note(client: &BaseConsumer<Plain>, config: &Config) -> KafkaResult<String> {
    let mut place = TopicPartitionList::new();
    place.add_partition(&config.topic, 0);
    once_coordinated(|| {
        let found = client
            .committed_offsets(place.clone(), ASK_TIMEOUT)
            .map_err(|error| told_beside(client).unwrap_or(error))?;
        let note = |element: &TopicPartitionListElem<'_>| {
            element.error()?;
            Ok(element.metadata().to_owned())
        };
        found.elements().iter().map(note).collect()
    })
}

/// What a client was told beside, whose question was not answered in time: so it learns that it may not ask for the
/// group.
fn told_beside(client: &BaseConsumer<Plain>) -> Option<KafkaError> {
    std::iter::from_fn(|| client.poll(PAUSE))
        .filter_map(Result::err)
        .find(|error| broker::code(error) == Some(Code::GroupAuthorizationFailed))
}

/// Asks until the group has a coordinator that is ready: brokers that have just started, or that leave, say so instead
/// of answering, and librdkafka hands that on.
fn once_coordinated<T>(ask: impl Fn() -> KafkaResult<T>) -> KafkaResult<T> {
    let began = Instant::now();
    loop {
        match ask() {
            Err(error) if is_not_ready(&error) && began.elapsed() < ASK_TIMEOUT => std::thread::sleep(PAUSE),
            answer => return answer,
        }
    }
}

fn is_not_ready(error: &KafkaError) -> bool {
    let moving =
        [Code::NotCoordinator, Code::CoordinatorLoadInProgress, Code::CoordinatorNotAvailable].map(Some);
    moving.contains(&broker::code(error))
}
