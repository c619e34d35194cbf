//! Reading a sequence, and where it ends.

use std::{fmt, ops::Range, time::Duration};

use flagmeter_model::Timestamp;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{
    Error, Result,
    kafka::{
        Config,
        broker::{self, ASK_TIMEOUT, Plain},
    },
};

/// A record of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its place: growing, not always by one.
    pub offset: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// The bytes, as they were given.
    pub payload: Vec<u8>,
}

/// Reads the records of a sequence in order, without a group. Its calls block.
pub struct Reader {
    config: Config,
    client: BaseConsumer<Plain>,
    position: u64,
}

impl Reader {
    /// Reads from this place on. No broker is asked yet.
    pub fn open(config: &Config, from: u64) -> Result<Self> {
        Ok(Self { config: config.clone(), client: consumer(config, from)?, position: from })
    }

    /// The next record that was committed; none if nothing comes for as long as this.
    ///
    /// [`Error::Topic`] if the place where it was to go on is not there, which does not mend itself.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Item>> {
        let item = match self.client.poll(wait) {
            None => return Ok(None),
            Some(Ok(message)) => Item {
                offset: message.offset().try_into().unwrap_or_default(),
                at: Timestamp::from_millis_clamped(message.timestamp().to_millis().unwrap_or_default()),
                payload: message.payload().unwrap_or_default().to_vec(),
            },
            Some(Err(error)) => return Err(self.failed(&error)),
        };
        self.position = item.offset.saturating_add(1);
        Ok(Some(item))
    }

    fn failed(&mut self, error: &KafkaError) -> Error {
        match error {
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => Error::Topic {
                topic: self.config.topic.clone(),
                reason: format!(
                    "it does not have the place {} any more, where reading was to go on: it was cut, or deleted and made \
                     again",
                    self.position
                ),
            },
            KafkaError::MessageConsumptionFatal(_) => match self.renew() {
                Ok(()) => broker::failed("reading", &self.config, error),
                Err(worse) => worse,
            },
            other => broker::failed("reading", &self.config, other),
        }
    }

    /// Everything that was committed before this was handed out. It moves with the log's own marks as well.
    pub fn position(&mut self) -> Result<u64> {
        let list = self.client.position().map_err(|error| broker::failed("reading", &self.config, &error))?;
        for element in list.elements() {
            if let Offset::Offset(offset) = element.offset() {
                self.position = self.position.max(offset.try_into().unwrap_or_default());
            }
        }
        Ok(self.position)
    }

    /// A new client in place of one that does not go on, at the same place.
    pub fn renew(&mut self) -> Result<()> {
        self.client = consumer(&self.config, self.position)?;
        Ok(())
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("topic", &self.config.topic)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

fn consumer(config: &Config, from: u64) -> Result<BaseConsumer<Plain>> {
    // librdkafka reads with the name of a group only. Nothing is committed in it, and nobody joins it.
    let mut client = config.consumer(&format!("{}-reader", config.topic), None);
    // Going on elsewhere would skip records, or read them again as if they were new.
    client.set("auto.offset.reset", "error");
    let client: BaseConsumer<Plain> =
        client.create_with_context(Plain).map_err(|error| broker::not_made(&error))?;
    let mut place = TopicPartitionList::new();
    let from = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
    place
        .add_partition_offset(&config.topic, 0, from)
        .and_then(|()| client.assign(&place))
        .map_err(|error| broker::failed("reading", config, &error))?;
    Ok(client)
}

/// Tells where a sequence begins and ends. Its calls block.
pub struct Bounds {
    config: Config,
    client: BaseConsumer<Plain>,
}

impl Bounds {
    /// One that can be asked. No broker is asked yet.
    pub fn open(config: &Config) -> Result<Self> {
        let mut client = config.admin();
        // With what is committed alone, a record would be left out whose append has returned: the mark of a commit comes
        // after the answer.
        client.set("isolation.level", "read_uncommitted");
        let client = client.create_with_context(Plain).map_err(|error| broker::not_made(&error))?;
        Ok(Self { config: config.clone(), client })
    }

    /// The first place that is kept, and the one behind the last record, whether that is committed, given up or neither
    /// yet.
    pub fn ask(&self) -> Result<Range<u64>> {
        // What it would tell else is said by the answer as well.
        drop(self.client.poll(Duration::ZERO));
        let asked = self.client.fetch_watermarks(&self.config.topic, 0, ASK_TIMEOUT);
        let (first, end) =
            asked.map_err(|error| broker::failed("asking for the end", &self.config, &error))?;
        Ok(first.try_into().unwrap_or_default()..end.try_into().unwrap_or_default())
    }
}

impl fmt::Debug for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounds").field("topic", &self.config.topic).finish_non_exhaustive()
    }
}
