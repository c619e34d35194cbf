//! Several consumers of one log.

use std::collections::BTreeMap;

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    topic_partition_list::TopicPartitionListElem,
};

use super::*;
use crate::{Partition, conformance::read_all};

/// What consumers have read, record after record. Numbers were appended by [`append`], so each has one before it in its
/// partition.
struct Readings {
    partitions: u32,
    /// All that were read, by whomever.
    seen: BTreeSet<u32>,
    /// After these somebody has committed, or tried to.
    committed: BTreeSet<u32>,
    /// Nothing before these positions may come again to who has just begun with a partition.
    floor: Positions,
}

/// The number that one consumer read last of each partition.
type Last = BTreeMap<Partition, u32>;

impl Readings {
    fn of(partitions: u32) -> Self {
        let (seen, committed, floor) = (BTreeSet::new(), BTreeSet::new(), Positions::new());
        Self { partitions, seen, committed, floor }
    }

    /// One consumer has read these. Within a partition it goes on without a gap, or begins where somebody has committed
    /// (at the beginning, where nobody has), and with nothing that was committed before partitions changed hands.
    fn read(&mut self, last: &mut Last, records: &[Record]) {
        for record in records {
            let number = number(record);
            assert_eq!(record.partition, number % self.partitions);
            let before = number.checked_sub(self.partitions);
            let goes_on = before.is_some() && last.get(&record.partition).copied() == before;
            if !goes_on {
                let is_committed = before.is_none_or(|before| self.committed.contains(&before));
                assert!(is_committed, "{number} after {last:?}: nobody has committed there");
                let floor = self.floor.get(&record.partition).copied().unwrap_or(0);
                assert!(record.offset >= floor, "{number} at {} comes again after {floor}", record.offset);
            }
            last.insert(record.partition, number);
            self.seen.insert(number);
        }
    }

    /// One consumer commits what it has read.
    fn commit(&mut self, records: &[Record]) {
        let last: Last = records.iter().map(|record| (record.partition, number(record))).collect();
        self.committed.extend(last.into_values());
    }
}

/// Where the group stands, as the broker has it.
fn committed(topic: &Topic) -> Positions {
    let mut client = topic.config.admin();
    client.set("group.id", &topic.config.topic);
    let client: BaseConsumer<Plain> = client.create_with_context(Plain).unwrap();
    let metadata = client.fetch_metadata(Some(&topic.config.topic), SOON).unwrap();
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        list.add_partition(&topic.config.topic, partition.id());
    }
    let found = client.committed_offsets(list, SOON).unwrap();
    let position = |element: TopicPartitionListElem<'_>| match element.offset() {
        Offset::Offset(offset) => Some((element.partition().cast_unsigned(), offset.cast_unsigned())),
        _ => None,
    };
    found.elements().into_iter().filter_map(position).collect()
}

/// Reads until these numbers were read, in order within each partition; returns what was read.
async fn read_until(consumer: &mut Consumer, wanted: &BTreeSet<u32>) -> Vec<Record> {
    let mut records = Vec::new();
    let reading = async {
        while !wanted.is_subset(&numbers(&records)) {
            records.extend(consumer.read(usize::MAX, Duration::from_millis(200)).await.unwrap());
        }
    };
    let done = tokio::time::timeout(SOON, reading).await;
    assert!(done.is_ok(), "only {:?} of {wanted:?}", numbers(&records));
    records
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn two_share_the_partitions_and_one_takes_all_when_the_other_leaves() {
    let topic = Topic::new(4).await.unwrap();
    let producer = topic.producer().await.unwrap();
    let mut one = topic.consumer(None).await.unwrap();
    append(&producer, 0..8).await;
    let records = read_all(&mut one).await.unwrap();
    assert_eq!(numbers(&records), (0..8).collect());
    one.commit(&after(&records)).await.unwrap();

    let mut two = topic.consumer(None).await.unwrap();
    until_owns(&mut two, 2).await;
    until_owns(&mut one, 2).await;
    append(&producer, 8..16).await;
    let (of_one, of_two) = (read_all(&mut one).await.unwrap(), read_all(&mut two).await.unwrap());
    assert_eq!(of_one.len() + of_two.len(), 8, "each record once, and the committed ones not again");
    let all: Vec<_> = of_one.iter().chain(&of_two).cloned().collect();
    assert_eq!(numbers(&all), (8..16).collect());
    assert_eq!(one.lag().await.unwrap().records, 4);

    // It leaves without a commit: what it read comes again.
    one.commit(&after(&of_one)).await.unwrap();
    drop(two);
    until_owns(&mut one, 4).await;
    let again = read_all(&mut one).await.unwrap();
    assert_eq!(numbers(&again), numbers(&of_two));
}

/// A partition is handed over while its records wait here, are read and not committed; then it comes back at an
/// older position than was read.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_commit_for_a_partition_that_has_gone_is_no_failure_and_moves_nothing_back() {
    let topic = Topic::new(2).await.unwrap();
    let producer = topic.producer().await.unwrap();
    append(&producer, 0..20).await;
    let mut one = topic.consumer(None).await.unwrap();
    let first = read_all(&mut one).await.unwrap();
    assert_eq!(first.len(), 20);
    let early: Vec<_> = first.iter().filter(|record| record.offset < 10).cloned().collect();
    one.commit(&after(&early)).await.unwrap();
    let uncommitted: BTreeSet<_> = numbers(&first).difference(&numbers(&early)).copied().collect();

    let mut two = topic.consumer(None).await.unwrap();
    until_owns(&mut two, 1).await;
    until_owns(&mut one, 1).await;
    let of_two = read_all(&mut two).await.unwrap();
    let gone = of_two[0].partition;
    assert!(of_two.iter().all(|record| record.partition == gone));
    assert!(numbers(&of_two).is_subset(&uncommitted), "it begins where the first one had committed");

    // The first one's store has taken everything it read by now, also of the partition that has gone.
    one.commit(&after(&first)).await.unwrap();
    assert_eq!(one.lag().await.unwrap().records, 0, "of the one that it has");
    assert_eq!(two.lag().await.unwrap().records, of_two.len() as u64, "of the other one");
    two.commit(&after(&of_two[..2])).await.unwrap();
    drop(two);

    until_owns(&mut one, 2).await;
    let again = read_all(&mut one).await.unwrap();
    assert_eq!(again, of_two[2..], "from where the other one had committed, once");
    one.commit(&after(&early)).await.unwrap();
    assert_eq!(one.lag().await.unwrap().records, again.len() as u64, "an older commit moves nothing");
    one.commit(&after(&again)).await.unwrap();
    assert_eq!(one.lag().await.unwrap().records, 0);
}

/// Consumers come and go in the middle of reading and committing; in the end everything was read, and nothing that
/// was committed comes again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn nothing_is_skipped_while_partitions_change_hands() {
    let topic = Arc::new(Topic::new(6).await.unwrap());
    let producer = Arc::new(topic.producer().await.unwrap());
    let mut one = topic.consumer(None).await.unwrap();
    let appending = tokio::task::spawn_blocking({
        let (producer, runtime) = (Arc::clone(&producer), tokio::runtime::Handle::current());
        move || runtime.block_on(append(&producer, 0..200))
    });
    let (mut readings, mut last_of_one) = (Readings::of(6), Last::new());
    let standing = || tokio::task::block_in_place(|| committed(&topic));
    for _ in 0..3 {
        readings.floor = standing();
        let mut two = topic.consumer(None).await.unwrap();
        let mut last_of_two = Last::new();
        until_owns(&mut two, 3).await;
        for _ in 0..5 {
            for (consumer, last) in [(&mut one, &mut last_of_one), (&mut two, &mut last_of_two)] {
                let records = consumer.read(300, Duration::from_millis(50)).await.unwrap();
                readings.read(last, &records);
                readings.commit(&records);
                consumer.commit(&after(&records)).await.unwrap();
            }
        }
        // What it has fetched and not read goes with it.
        drop(two);
    }
    appending.await.unwrap();
    readings.floor = standing();
    until_owns(&mut one, 6).await;
    let rest: BTreeSet<u32> = (0..200).filter(|number| !readings.seen.contains(number)).collect();
    let records = read_until(&mut one, &rest).await;
    readings.read(&mut last_of_one, &records);
    assert_eq!(readings.seen, (0..200).collect());
    one.commit(&after(&records)).await.unwrap();
    assert_eq!(one.lag().await.unwrap().records, 0);
}

/// A name keeps the partitions for a consumer that restarts, and is taken over by a second one. The first takes it back
/// once, as one does that only stood still; the second as well; and then the first knows.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_second_consumer_with_the_same_instance_name_takes_over_and_the_first_is_told() {
    let topic = Topic::new(2).await.unwrap();
    let producer = topic.producer().await.unwrap();
    let mut one = topic.consumer(Some("ingest-1")).await.unwrap();
    append(&producer, 0..4).await;
    assert_eq!(read_all(&mut one).await.unwrap().len(), 4);
    let mut two = topic.consumer(Some("ingest-1")).await.unwrap();
    let mut readings = Readings::of(2);
    let mut last = Last::new();
    let records = read_all(&mut two).await.unwrap();
    readings.read(&mut last, &records);
    assert_eq!(readings.seen, (0..4).collect(), "nothing was committed");
    let told = async {
        let (mut of_one, mut last) = (Readings::of(2), Last::new());
        loop {
            match one.read(usize::MAX, Duration::from_millis(100)).await {
                // From the beginning, if any: it has taken its name back.
                Ok(records) => of_one.read(&mut last, &records),
                Err(error) => return error,
            }
        }
    };
    let error = tokio::time::timeout(SOON, told).await.unwrap();
    assert!(matches!(&error, crate::Error::InstanceTaken { instance } if instance == "ingest-1"), "{error}");
    assert!(!error.is_retryable());
    drop(one);
    append(&producer, 4..6).await;
    // It goes on, or it begins again where the name was taken back: nothing was committed.
    let records = read_until(&mut two, &[4, 5].into()).await;
    readings.read(&mut last, &records);
    two.commit(&after(&records)).await.unwrap();
    assert_eq!(two.lag().await.unwrap().records, 0);
}

/// More waits in the log than a consumer may hold.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_consumer_holds_no_more_than_it_may_and_skips_nothing_by_that() {
    let topic = Topic::new(3).await.unwrap();
    let producer = topic.producer().await.unwrap();
    for number in 0..90_u32 {
        let mut payload = number.to_string().into_bytes();
        payload.resize(20_000, b' ');
        producer.append(vec![record(number % 3, payload)]).await.unwrap();
    }
    let mut config = topic.config.clone();
    (config.record_bytes_max, config.prefetch_bytes_max) = (64 << 10, 64 << 10);
    config.properties.insert("queued.max.messages.kbytes".into(), "100".into());
    let metrics = prometheus::Registry::new();
    let mut consumer = Consumer::open(config, &topic.config.topic, None, &metrics).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 90 {
        let records = consumer.read(50_000, Duration::ZERO).await.unwrap();
        assert!(!records.is_empty(), "{}", seen.len());
        for record in records {
            let number: u32 = String::from_utf8_lossy(&record.payload).trim().parse().unwrap();
            seen.push((record.partition, number));
        }
        let held = metrics.gather();
        let held = held.iter().find(|it| it.name() == "flagmeter_log_prefetched_bytes").unwrap();
        let held = held.get_metric()[0].get_gauge().get_value();
        assert!(held <= f64::from(64_u32 << 10) + 20_000.0, "{held}");
    }
    for partition in 0..3 {
        let order: Vec<_> = seen.iter().filter(|it| it.0 == partition).map(|it| it.1).collect();
        assert_eq!(order, (0..90).filter(|number| number % 3 == partition).collect::<Vec<_>>());
    }
}

/// Partitions change hands while fetching pauses, because nobody reads.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn a_consumer_that_is_full_hands_over_partitions_and_goes_on_with_the_others() {
    let topic = Topic::new(4).await.unwrap();
    let producer = topic.producer().await.unwrap();
    let records = (0..80_u32).map(|number| {
        let mut payload = number.to_string().into_bytes();
        payload.resize(10_000, b' ');
        record(number % 4, payload)
    });
    producer.append(records.collect()).await.unwrap();
    let mut config = topic.config.clone();
    (config.record_bytes_max, config.prefetch_bytes_max) = (64 << 10, 64 << 10);
    let mut one = topic.consumer_with(config.clone(), None).await.unwrap();
    until_owns(&mut one, 4).await;
    // One record: the rest waits, and more than it may hold is in the log.
    let mut seen = one.read(1, Duration::ZERO).await.unwrap();
    assert!(one.lag().await.unwrap().records >= 64);
    let mut two = topic.consumer_with(config, None).await.unwrap();
    until_owns(&mut two, 2).await;
    until_owns(&mut one, 2).await;
    let kept = [read_all(&mut one).await.unwrap(), read_all(&mut two).await.unwrap()];
    assert_eq!(kept[1].len(), 40, "all of its two, from the beginning");
    // All of them change hands once more, and what is committed does not come again.
    one.commit(&after(&kept[0])).await.unwrap();
    drop(two);
    until_owns(&mut one, 4).await;
    let again = read_all(&mut one).await.unwrap();
    assert_eq!(again.len(), 40, "and back again");
    seen.extend(kept.into_iter().flatten().chain(again));
    let numbers: BTreeSet<u32> =
        seen.iter().map(|it| String::from_utf8_lossy(&it.payload).trim().parse().unwrap()).collect();
    assert_eq!(numbers, (0..80).collect());
}

/// They come to a consumer that nobody reads from, and that holds as much as it may.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn partitions_that_come_to_a_full_consumer_wait_like_the_others() {
    let topic = Topic::new(4).await.unwrap();
    let producer = topic.producer().await.unwrap();
    let records = (0..80_u32).map(|number| record(number % 4, vec![b' '; 10_000]));
    producer.append(records.collect()).await.unwrap();
    let mut config = topic.config.clone();
    (config.record_bytes_max, config.prefetch_bytes_max) = (64 << 10, 64 << 10);
    let metrics = prometheus::Registry::new();
    let mut one = Consumer::open(config.clone(), &topic.config.topic, None, &metrics).await.unwrap();
    let mut two = topic.consumer_with(config, None).await.unwrap();
    until_owns(&mut two, 2).await;
    until_owns(&mut one, 2).await;
    let held = || {
        let families = metrics.gather();
        let held = families.iter().find(|it| it.name() == "flagmeter_log_prefetched_bytes").unwrap();
        held.get_metric()[0].get_gauge().get_value()
    };
    let full = f64::from(64_u32 << 10);
    let fills = async {
        while held() < full {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, fills).await.unwrap();
    drop(two);
    until_owns(&mut one, 4).await;
    // What is not to come has no end: long enough for all of it to have come.
    for _ in 0..100 {
        assert!(held() < full + 20_000.0, "{}", held());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(read_all(&mut one).await.unwrap().len(), 80);
}
