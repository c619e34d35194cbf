//! Retention that is faster than the consumer.

use rdkafka::{Offset, TopicPartitionList};

use super::*;
use crate::conformance::read_all;

/// It holds as much as it may, and the records that come next go meanwhile.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_consumer_that_retention_has_passed_skips_nothing_that_is_kept() {
    let topic = Topic::new(1).await.unwrap();
    let producer = topic.producer().await.unwrap();
    for number in 0..20_u32 {
        let mut payload = number.to_string().into_bytes();
        payload.resize(20_000, b' ');
        producer.append(vec![record(0, payload)]).await.unwrap();
    }
    let mut config = topic.config.clone();
    (config.record_bytes_max, config.prefetch_bytes_max) = (64 << 10, 64 << 10);
    let metrics = prometheus::Registry::new();
    let mut consumer = Consumer::open(config, &topic.config.topic, None, &metrics).await.unwrap();
    let mut seen = consumer.read(1, Duration::ZERO).await.unwrap();
    assert!(consumer.lag().await.unwrap().records >= 19, "it is full, and most lies beyond");

    let mut trimmed = TopicPartitionList::new();
    // Behind each record lies the mark of its transaction.
    let kept_from = seen[0].offset + 2 * 17;
    let kept_from = Offset::Offset(i64::try_from(kept_from).unwrap());
    trimmed.add_partition_offset(&topic.config.topic, 0, kept_from).unwrap();
    topic.admin().delete_records(&trimmed, &AdminOptions::new()).await.unwrap();

    seen.extend(read_all(&mut consumer).await.unwrap());
    let numbers: Vec<u32> =
        seen.iter().map(|it| String::from_utf8_lossy(&it.payload).trim().parse().unwrap()).collect();
    assert!(numbers.ends_with(&[17, 18, 19]) && numbers.len() < 20, "{numbers:?}");
    let families = metrics.gather();
    let lost = families.iter().find(|it| it.name() == "flagmeter_log_places_lost_total").unwrap();
    assert!(lost.get_metric()[0].get_counter().get_value() > 0.5, "and it is told");
}
