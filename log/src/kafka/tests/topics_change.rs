//! A topic that changes while it is read.

use rdkafka::admin::{AdminOptions, NewPartitions};

use super::*;

/// Reads until so many records have come.
async fn read_some(consumer: &mut Consumer, wanted: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let reading = async {
        while records.len() < wanted {
            records.extend(consumer.read(usize::MAX, Duration::from_millis(100)).await.unwrap());
        }
    };
    let done = tokio::time::timeout(SOON, reading).await;
    assert!(done.is_ok(), "only {:?}", numbers(&records));
    records
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn partitions_that_are_added_are_read_and_committed() {
    let mut topic = Topic::new(1).await.unwrap();
    topic.config.properties.insert("topic.metadata.refresh.interval.ms".into(), "500".into());
    let mut consumer = topic.consumer(None).await.unwrap();
    until_owns(&mut consumer, 1).await;
    let more = NewPartitions::new(&topic.config.topic, 3);
    topic.admin().create_partitions([&more], &AdminOptions::new()).await.unwrap();
    until_owns(&mut consumer, 3).await;
    let producer = topic.producer().await.unwrap();
    append(&producer, 0..6).await;
    let records = read_some(&mut consumer, 6).await;
    assert_eq!(numbers(&records), (0..6).collect());
    consumer.commit(&after(&records)).await.unwrap();
    assert_eq!(consumer.partitions(), 3);
    assert_eq!(consumer.lag().await.unwrap().records, 0);
}

/// The offsets begin again, and belong to other records.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_topic_that_is_made_anew_is_read_from_its_beginning() {
    let topic = Topic::new(1).await.unwrap();
    let mut consumer = topic.consumer(None).await.unwrap();
    append(&topic.producer().await.unwrap(), 0..5).await;
    let records = read_some(&mut consumer, 5).await;
    consumer.commit(&after(&records)).await.unwrap();
    topic.admin().delete_topics(&[&topic.config.topic], &AdminOptions::new()).await.unwrap();
    while topic::create(&topic.config, &settings(1)).await.is_err() {}
    append(&topic.producer().await.unwrap(), 5..8).await;
    let records = read_some(&mut consumer, 3).await;
    assert_eq!(numbers(&records), (5..8).collect());
    consumer.commit(&after(&records)).await.unwrap();
    assert_eq!(consumer.lag().await.unwrap().records, 0);
}
