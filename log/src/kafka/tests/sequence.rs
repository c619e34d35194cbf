//! Writers of one sequence that take it from each other.

use std::time::Instant;

use crate::{
    Error,
    kafka::{
        Config,
        sequence::{self, Bounds, Reader, Writer},
        topic::Created,
    },
};

use super::{SOON, Topic, brokers};

/// A sequence of a test's own; it is deleted at the end.
async fn sequence() -> Topic {
    let config = Config::new(brokers(), format!("test-{:016x}", rand::random::<u64>()));
    let settings = sequence::settings(1, 1);
    assert_eq!(sequence::create(&config, &settings).await.unwrap(), Created::Made);
    assert_eq!(sequence::create(&config, &settings).await.unwrap(), Created::WasThere);
    Topic { config }
}

fn writer(topic: &Topic) -> Writer {
    let mut writer = Writer::new(topic.config.clone(), format!("{}-writer", topic.config.topic));
    writer.take_over(Instant::now() + SOON).unwrap();
    writer
}

fn append(writer: &mut Writer, text: &str) -> crate::Result<()> {
    writer.append(&[text.into()], Instant::now() + SOON)
}

/// All that is there.
fn all(topic: &Topic) -> Vec<String> {
    let end = Bounds::open(&topic.config).unwrap().ask().unwrap().end;
    let mut reader = Reader::open(&topic.config, 0).unwrap();
    let (mut found, deadline) = (Vec::new(), Instant::now() + SOON);
    while reader.position().unwrap() < end {
        assert!(Instant::now() < deadline, "{reader:?} does not come to {end}");
        if let Ok(Some(item)) = reader.next(std::time::Duration::from_millis(20)) {
            found.push(String::from_utf8(item.payload).unwrap());
        }
    }
    found
}

/// Does what blocks beside the runtime.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn one_that_slept_within_its_transaction_appends_nothing_once_another_took_over() {
    let topic = sequence().await;
    beside(move || {
        let mut sleeper = writer(&topic);
        append(&mut sleeper, "a").unwrap();
        sleeper.begin_only(&["never".into()]);
        let mut other = writer(&topic);
        append(&mut other, "b").unwrap();
        sleeper.commit_only().unwrap_err();
        append(&mut sleeper, "never").unwrap_err();
        assert!(!sleeper.has_taken_over());
        append(&mut other, "c").unwrap();
        assert_eq!(all(&topic), ["a", "b", "c"]);
        sleeper.take_over(Instant::now() + SOON).unwrap();
        append(&mut sleeper, "d").unwrap();
        assert!(matches!(append(&mut other, "never"), Err(Error::Unavailable(_))));
        assert_eq!(all(&topic), ["a", "b", "c", "d"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_place_that_is_not_there_is_told_and_not_stepped_over() {
    let topic = sequence().await;
    beside(move || {
        append(&mut writer(&topic), "a").unwrap();
        let mut ahead = Reader::open(&topic.config, 1_000).unwrap();
        let deadline = Instant::now() + SOON;
        loop {
            match ahead.next(std::time::Duration::from_millis(50)) {
                Err(Error::Topic { reason, .. }) => {
                    break assert!(reason.contains("the place 1000"), "{reason}");
                }
                Ok(Some(item)) => panic!("{item:?}"),
                _ => assert!(Instant::now() < deadline, "nothing is told"),
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_topic_that_forgets_or_has_partitions_is_no_sequence() {
    let settings = sequence::settings(1, 1);
    let several = Topic::new(2).await.unwrap();
    let wrong = sequence::check(&several.config, &settings).await.unwrap_err().to_string();
    assert!(
        wrong.contains("its retention.ms is 604800000, by which") && wrong.contains("retention.ms=-1"),
        "{wrong}"
    );
    let kept = super::topic::Settings { partitions: 2, ..settings.clone() };
    let config = Config::new(brokers(), format!("test-{:016x}", rand::random::<u64>()));
    let topic = Topic { config };
    super::topic::create(&topic.config, &kept).await.unwrap();
    let wrong = sequence::check(&topic.config, &settings).await.unwrap_err().to_string();
    assert!(wrong.contains("it has 2 partitions"), "{wrong}");
}
