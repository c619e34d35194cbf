//! A consumer and a producer whose processes are killed.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::*;
use crate::conformance::read_all;

/// What the child is to do, and where.
const ROLE: &str = "FLAGMETER_TEST_CHILD";

/// This test program again, with a role; returns once the child has said that it is at its place.
fn child(role: &str, topic: &Topic) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kafka::tests::killed::the_child", "--exact", "--include-ignored", "--nocapture"])
        .env(ROLE, format!("{role} {}", topic.config.topic))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(std::result::Result::ok);
    assert!(lines.any(|line| line.contains("at its place")), "the child ended early");
    child
}

/// Not a test of its own: the process that is killed by those below.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "is the process that other tests kill"]
async fn the_child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (role, name) = role.split_once(' ').unwrap();
    let mut config = Config::new(brokers(), name);
    config.properties.insert("session.timeout.ms".into(), "6000".into());
    let topic = std::mem::ManuallyDrop::new(Topic { config });
    if role == "consumer" {
        let mut consumer = topic.consumer(None).await.unwrap();
        let records = read_all(&mut consumer).await.unwrap();
        consumer.commit(&after(&records[..3])).await.unwrap();
        println!("at its place");
        std::future::pending::<()>().await;
    } else {
        let producer = topic.producer().await.unwrap();
        producer.begin_and_wait(vec![record(0, "100"), record(1, "101")], Duration::ZERO).await;
        println!("at its place");
        std::future::pending::<()>().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn what_a_killed_consumer_had_not_committed_goes_to_the_next_one() {
    let topic = Topic::new(1).await.unwrap();
    let producer = topic.producer().await.unwrap();
    append(&producer, 0..10).await;
    let mut child = tokio::task::block_in_place(|| child("consumer", &topic));
    child.kill().unwrap();
    child.wait().unwrap();
    append(&producer, 10..12).await;
    let mut next = topic.consumer(None).await.unwrap();
    let read = async {
        loop {
            // The group finds out that a member is dead after its session's time.
            if let Ok(records) = read_all(&mut next).await
                && !records.is_empty()
            {
                return records;
            }
        }
    };
    let records = tokio::time::timeout(SOON, read).await.unwrap();
    assert_eq!(numbers(&records), (3..12).collect());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn what_a_killed_producer_left_unfinished_is_never_read_and_holds_nobody_up() {
    let topic = Topic::new(2).await.unwrap();
    let mut child = tokio::task::block_in_place(|| child("producer", &topic));
    child.kill().unwrap();
    child.wait().unwrap();
    let producer = topic.producer().await.unwrap();
    append(&producer, 0..4).await;
    let mut consumer = topic.consumer(None).await.unwrap();
    assert_eq!(numbers(&read_all(&mut consumer).await.unwrap()), (0..4).collect());
}
