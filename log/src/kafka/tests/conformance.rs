//! The suite that every backend passes.

use async_trait::async_trait;
use flagmeter_model::ManualClock;
use rdkafka::{Offset, TopicPartitionList, admin::AdminOptions, consumer::Consumer as _};

use super::*;
use crate::{Consumer, Producer, conformance::Harness, log_conformance};

/// A log of a test's own on the real broker.
struct Kafka {
    topic: Topic,
    partitions: u32,
    producer: Arc<dyn Producer>,
}

#[async_trait]
impl Harness for Kafka {
    async fn new(partitions: u32) -> Result<Self> {
        let topic = Topic::new(partitions).await?;
        let producer = Arc::new(topic.producer().await?);
        Ok(Self { topic, partitions, producer })
    }

    fn clock(&self) -> Option<&ManualClock> {
        None
    }

    /// Kafka trims by age alone, days after; what it would do then is done now, up to what is committed.
    async fn pass_retention(&self) -> Result<()> {
        let mut client = self.topic.config.admin();
        client.set("group.id", &self.topic.config.topic);
        let partitions = i32::try_from(self.partitions).unwrap();
        let committed = tokio::task::spawn_blocking(move || {
            let asking: rdkafka::consumer::BaseConsumer = client.create().unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition_range(client.get("group.id").unwrap(), 0, partitions - 1);
            asking.committed_offsets(list, SOON).unwrap()
        });
        let mut trimmed = TopicPartitionList::new();
        for element in committed.await.unwrap().elements() {
            if let Offset::Offset(_) = element.offset() {
                trimmed.add_partition_offset(element.topic(), element.partition(), element.offset()).unwrap();
            }
        }
        let admin = self.topic.admin();
        admin.delete_records(&trimmed, &AdminOptions::new()).await.unwrap();
        Ok(())
    }

    async fn producer(&self) -> Result<Arc<dyn Producer>> {
        Ok(Arc::clone(&self.producer))
    }

    async fn consumer(&self) -> Result<Box<dyn Consumer>> {
        Ok(Box::new(self.topic.consumer(Some("the-one")).await?))
    }

    async fn reopen(&mut self) -> Result<()> {
        self.producer = Arc::new(self.topic.producer().await?);
        Ok(())
    }

    /// A dead producer's transaction ends when its number is taken over; a dead consumer's partitions go to the one
    /// that takes over its name.
    async fn crash(&mut self) -> Result<()> {
        self.reopen().await
    }
}

log_conformance!(
    #[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
    Kafka
);
