//! Topics that are made, that are not there, and that are not as they should be.

use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};

use super::*;
use crate::Error;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_topic_is_made_once_and_found_afterwards() {
    let topic = Topic::new(3).await.unwrap();
    assert_eq!(topic::check(&topic.config, &settings(3)).await.unwrap(), 3);
    assert_eq!(topic::check(&topic.config, &settings(2)).await.unwrap(), 3, "more than asked for");
    assert_eq!(topic::create(&topic.config, &settings(3)).await.unwrap(), topic::Created::WasThere);
    let wrong = topic::check(&topic.config, &settings(4)).await.unwrap_err().to_string();
    assert!(wrong.contains("it has 3 partitions and 4 are set: set kafka.partitions to 3"), "{wrong}");
    let copies = topic::Settings { replication: 3, ..settings(3) };
    let wrong = topic::check(&topic.config, &copies).await.unwrap_err().to_string();
    assert!(wrong.contains("it has 1 copies and 3 are set"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_topic_that_is_not_there_is_said_to_be_made() {
    let config = Config::new(brokers(), format!("nowhere-{:016x}", rand::random::<u64>()));
    let metrics = prometheus::Registry::new();
    let errors = [
        topic::check(&config, &settings(1)).await.unwrap_err(),
        Producer::open(config.clone(), node(), &metrics).await.unwrap_err(),
        Consumer::open(config.clone(), "nobody", None, &metrics).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Topic { .. }), "{error}");
        assert!(error.to_string().contains("`flagmeter topic create`"), "{error}");
    }
    // More copies than there are brokers.
    let copies = topic::Settings { replication: 9, ..settings(1) };
    let error = topic::create(&config, &copies).await.unwrap_err().to_string();
    assert!(error.contains("fewer brokers than the 9 copies"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_topic_that_does_not_serve_is_said_to_be_mended_and_how() {
    let topic = Topic::new(1).await.unwrap();
    let admin = topic.admin();
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic.config.topic))
        .set("cleanup.policy", "compact")
        .set("message.timestamp.type", "LogAppendTime")
        .set("retention.ms", "604800000")
        .set("max.message.bytes", "1000");
    admin.alter_configs([&change], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    let wrong = topic::check(&topic.config, &settings(1)).await.unwrap_err().to_string();
    for part in [
        "its cleanup.policy is compact, by which compaction takes records that are not stored yet",
        "and its max.message.bytes is 1000",
        &format!(
            "--entity-name {} --add-config cleanup.policy=delete,max.message.bytes=",
            topic.config.topic
        ),
    ] {
        assert!(wrong.contains(part), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_record_that_the_topic_refuses_is_offered_until_the_topic_is_mended() {
    let topic = Topic::new(1).await.unwrap();
    let producer = topic.producer().await.unwrap();
    let bytes = |bytes: &'static str| {
        let topic = &topic;
        async move {
            let change = AlterConfig::new(ResourceSpecifier::Topic(&topic.config.topic))
                .set("message.timestamp.type", "LogAppendTime")
                .set("max.message.bytes", bytes);
            topic.admin().alter_configs([&change], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
        }
    };
    bytes("1000").await;
    let large = || vec![record(0, "1"), record(0, vec![b' '; 10_000])];
    // The broker may take a moment to know its own properties.
    let refused = loop {
        if let Err(error) = producer.append(large()).await {
            break error;
        }
    };
    assert!(refused.is_retryable() && refused.to_string().contains("Message size too large"), "{refused}");
    bytes("1000000").await;
    while let Err(error) = producer.append(large()).await {
        assert!(error.is_retryable(), "{error}");
    }
    append(&producer, 2..3).await;
    let bytes_max = topic.config.record_bytes_max;
    let never = producer.append(vec![record(0, vec![0; bytes_max + 1])]).await.unwrap_err();
    assert!(matches!(never, Error::TooLarge { bytes, .. } if bytes == bytes_max + 1), "{never}");
    assert!(!never.is_retryable());
    let mut consumer = topic.consumer(None).await.unwrap();
    let records = crate::conformance::read_all(&mut consumer).await.unwrap();
    let sizes: Vec<_> = records.iter().map(|record| record.payload.len()).collect();
    let (last, pairs) = sizes.split_last().unwrap();
    assert!(*last == 1 && !pairs.is_empty(), "{sizes:?}");
    assert!(pairs.chunks(2).all(|pair| pair == [1, 10_000]), "nothing of what was refused: {sizes:?}");
}
