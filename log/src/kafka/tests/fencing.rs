//! Two edges with one number, and one that only took too long.

use super::*;
use crate::{Error, Producer as _, conformance::read_all};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_second_edge_with_the_same_number_takes_over_and_the_first_is_told() {
    let topic = Topic::new(2).await.unwrap();
    let first = topic.producer().await.unwrap();
    append(&first, 0..3).await;
    let second = topic.producer().await.unwrap();
    append(&second, 3..5).await;
    for _ in 0..2 {
        let fenced = first.append(vec![record(0, "100"), record(1, "101")]).await.unwrap_err();
        assert!(matches!(fenced, Error::Fenced { node: told } if told == node()), "{fenced}");
        assert!(!fenced.is_retryable());
        assert!(fenced.to_string().starts_with(&format!("another edge with number {} has started", node())));
    }
    append(&second, 5..7).await;
    let mut consumer = topic.consumer(None).await.unwrap();
    let records = read_all(&mut consumer).await.unwrap();
    assert_eq!(numbers(&records), (0..7).collect(), "nothing of the fenced append is there");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn edges_with_different_numbers_do_not_disturb_each_other() {
    let topic = Topic::new(1).await.unwrap();
    let other = NodeId::new((node().get() + 1) % NodeId::MAX).unwrap();
    let first = topic.producer().await.unwrap();
    let second = Producer::open(topic.config.clone(), other, &prometheus::Registry::new()).await.unwrap();
    for number in 0..5 {
        append(&first, 2 * number..2 * number + 1).await;
        append(&second, 2 * number + 1..2 * number + 2).await;
    }
    let mut consumer = topic.consumer(None).await.unwrap();
    assert_eq!(numbers(&read_all(&mut consumer).await.unwrap()), (0..10).collect());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn edges_with_one_number_and_topics_of_their_own_do_not_disturb_each_other() {
    let topics = [Topic::new(1).await.unwrap(), Topic::new(1).await.unwrap()];
    let mut producers = Vec::new();
    for topic in &topics {
        let producer = Producer::open(topic.config.clone(), node(), &prometheus::Registry::new()).await;
        producers.push(producer.unwrap());
    }
    for number in 0..5 {
        for producer in &producers {
            // At the first try: one that is fenced tells it, and would get through with the next one.
            producer.append(vec![record(0, number.to_string())]).await.unwrap();
        }
    }
}

/// Both hold seals that the log has not taken: their numbers must differ.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn whoever_takes_a_number_over_keeps_to_a_lane_of_its_own() {
    let topic = Topic::new(1).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let open = async |journal: &str| {
        let config = Config { lane_path: Some(folder.path().join(journal)), ..topic.config.clone() };
        let producer = Producer::open(config, node(), &prometheus::Registry::new()).await.unwrap();
        append(&producer, 0..1).await;
        producer.lane()
    };
    // With one lane drawn at random, two that knew nothing of each other would share it soon.
    let lanes = [open("a").await, open("b").await, open("c").await, open("d").await];
    assert_eq!(BTreeSet::from(lanes).len(), 4, "{lanes:?}");
    let again = [open("a").await, open("b").await, open("c").await, open("d").await];
    assert_eq!(again, lanes, "each keeps its own");
    assert_eq!(open("e").await, lanes[0], "the lane of the one that was longest ago");
    assert!(!lanes[1..].contains(&open("e").await));
}

/// As after a machine that slept: the broker gives up what takes too long, and says then that the producer is fenced.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_transaction_that_took_too_long_is_no_takeover() {
    let mut topic = Topic::new(1).await.unwrap();
    topic.config.properties.insert("transaction.timeout.ms".into(), "1000".into());
    topic.config.properties.insert("message.timeout.ms".into(), "1000".into());
    let metrics = prometheus::Registry::new();
    let producer = Producer::open(topic.config.clone(), node(), &metrics).await.unwrap();
    append(&producer, 0..1).await;
    // Brokers look every ten seconds whether a transaction is too old.
    producer.begin_and_wait(vec![record(0, "100")], Duration::from_secs(13)).await;
    let mut answers = Vec::new();
    while let Err(error) = producer.append(vec![record(0, "1")]).await {
        assert!(error.is_retryable(), "{error}");
        answers.push(error.to_string());
    }
    assert!(answers.len() <= 2, "{answers:?}");
    append(&producer, 2..4).await;
    let mut consumer = topic.consumer(None).await.unwrap();
    assert_eq!(
        numbers(&read_all(&mut consumer).await.unwrap()),
        (0..4).collect(),
        "what was given up is not there"
    );
    let renewals = metrics.gather();
    let renewals = renewals.iter().find(|it| it.name() == "flagmeter_log_producer_renewals_total").unwrap();
    assert!((renewals.get_metric()[0].get_counter().get_value() - 1.0).abs() < 0.1);
}

/// The same, with another edge that has taken the number over in the meantime.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn one_that_slept_while_another_took_over_stays_out() {
    let topic = Topic::new(1).await.unwrap();
    let sleeper = topic.producer().await.unwrap();
    append(&sleeper, 0..1).await;
    sleeper.begin_and_wait(vec![record(0, "100")], Duration::ZERO).await;
    let second = topic.producer().await.unwrap();
    append(&second, 1..2).await;
    let fenced = sleeper.append(vec![record(0, "101")]).await.unwrap_err();
    assert!(matches!(fenced, Error::Fenced { .. }), "{fenced}");
    append(&second, 2..3).await;
    let mut consumer = topic.consumer(None).await.unwrap();
    assert_eq!(numbers(&read_all(&mut consumer).await.unwrap()), (0..3).collect());
}
