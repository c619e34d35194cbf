//! What every backend must show. A backend's tests implement [`Harness`] and call
//! [`log_conformance!`](crate::log_conformance), which makes a test of each check. Attributes in front of the type
//! stand on each test: a backend that needs a server calls
//! `log_conformance!(#[ignore = "needs …"] MyHarness)`.
//!
//! A check panics where the backend breaks the contract, and returns an error where it fails altogether.

#![expect(clippy::missing_panics_doc, reason = "a check panics where the backend breaks the contract")]

mod batches;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
pub use batches::batches_of_every_encoding_come_back_from_one_partition;
use bytes::Bytes;
use flagmeter_model::{Clock, ManualClock, Timestamp};
use tokio::time::{Instant, timeout};

use crate::{Consumer, Error, Lag, NewRecord, Partition, Positions, Producer, Record, Result};

/// A read of more bytes than any check appends.
const ALL: usize = usize::MAX;
/// Long enough to say that something never came.
const NEVER: Duration = Duration::from_mins(1);

/// A backend under test, with a log of its own that is empty at first.
#[async_trait]
pub trait Harness: Sized + Send + Sync {
    /// Makes an empty log.
    async fn new(partitions: u32) -> Result<Self>;
    /// The log's clock; `None` if it goes by itself.
    fn clock(&self) -> Option<&ManualClock>;
    /// Has the time gone by after which committed records may be trimmed.
    async fn pass_retention(&self) -> Result<()>;
    /// A writing end.
    async fn producer(&self) -> Result<Arc<dyn Producer>>;
    /// The reading end, at the committed positions. The one before was dropped.
    async fn consumer(&self) -> Result<Box<dyn Consumer>>;
    /// Stops in good order and opens again. All ends were dropped.
    async fn reopen(&mut self) -> Result<()>;
    /// Opens what a process leaves behind that is killed at this instant. Ends may still be there; they belong
    /// to the dead.
    async fn crash(&mut self) -> Result<()>;
}

/// Makes a `#[tokio::test]` of each check, for a type that implements [`Harness`], with the attributes in front of it.
#[macro_export]
macro_rules! log_conformance {
    // The attributes travel as one token tree, because each of the checks takes all of them.
    (@each $attributes:tt $harness:ty: $($check:ident,)+) => {
        $($crate::log_conformance! { @one $attributes $harness: $check })+
    };
    (@one [$(#[$attribute:meta])*] $harness:ty: $check:ident) => {
        $(#[$attribute])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            $crate::conformance::$check::<$harness>().await.unwrap();
        }
    };
    ($(#[$attribute:meta])* $harness:ty) => {
        $crate::log_conformance! { @each [$(#[$attribute])*] $harness:
            both_ends_know_how_many_partitions_there_are,
            records_come_in_the_order_of_their_appends,
            an_append_is_there_whole_or_not_at_all,
            an_append_to_a_missing_partition_leaves_nothing,
            what_was_acknowledged_survives_a_crash,
            uncommitted_records_come_again_and_committed_ones_do_not,
            a_seek_wins_over_the_committed_positions,
            a_commit_never_moves_back,
            lag_counts_what_is_not_committed,
            an_empty_read_waits_no_longer_than_told,
            an_append_wakes_a_read_that_waits,
            a_read_stays_within_its_bytes_but_brings_one_record,
            a_busy_partition_does_not_starve_the_others,
            payloads_come_back_byte_for_byte,
            batches_of_every_encoding_come_back_from_one_partition,
            append_times_never_go_back,
            trimming_takes_nothing_that_is_not_committed,
            offsets_are_not_used_again,
        }
    };
}

/// A record for a partition.
pub fn record(partition: Partition, payload: impl Into<Bytes>) -> NewRecord {
    NewRecord { partition, payload: payload.into() }
}

/// Reads until nothing more is there.
pub async fn read_all(consumer: &mut dyn Consumer) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    loop {
        let more = consumer.read(ALL, Duration::ZERO).await?;
        if more.is_empty() {
            return Ok(records);
        }
        records.extend(more);
    }
}

fn numbers(records: &[Record], partition: Partition) -> Vec<String> {
    records.iter().filter(|record| record.partition == partition).map(number_of).collect()
}

fn number_of(record: &Record) -> String {
    String::from_utf8_lossy(&record.payload).into_owned()
}

fn expected(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

/// The positions after these records.
fn after(records: &[Record]) -> Positions {
    let mut positions = Positions::new();
    for record in records {
        let position = positions.entry(record.partition).or_default();
        *position = record.offset.saturating_add(1).max(*position);
    }
    positions
}

async fn append(producer: &dyn Producer, partition: Partition, numbers: std::ops::Range<u32>) -> Result<()> {
    for number in numbers {
        producer.append(vec![record(partition, number.to_string())]).await?;
    }
    Ok(())
}

/// The reader must know which partitions it has not heard of yet: also of those in which nothing was ever written.
pub async fn both_ends_know_how_many_partitions_there_are<H: Harness>() -> Result<()> {
    for partitions in [1, 3] {
        let mut log = H::new(partitions).await?;
        for _ in 0..2 {
            assert_eq!(log.producer().await?.partitions(), partitions);
            assert_eq!(log.consumer().await?.partitions(), partitions);
            log.reopen().await?;
        }
    }
    Ok(())
}

/// Order within each partition, within an append and between appends; offsets grow.
pub async fn records_come_in_the_order_of_their_appends<H: Harness>() -> Result<()> {
    let log = H::new(2).await?;
    let (producer, mut consumer) = (log.producer().await?, log.consumer().await?);
    for number in (0..20_u32).step_by(2) {
        let one = record(number % 4 / 2, number.to_string());
        let two = record(number % 4 / 2, (number + 1).to_string());
        producer.append(vec![one, two]).await?;
    }
    let records = read_all(consumer.as_mut()).await?;
    assert_eq!(records.len(), 20);
    assert_eq!(numbers(&records, 0), ["0", "1", "4", "5", "8", "9", "12", "13", "16", "17"]);
    assert_eq!(numbers(&records, 1), ["2", "3", "6", "7", "10", "11", "14", "15", "18", "19"]);
    for partition in 0..2 {
        let offsets: Vec<_> = records.iter().filter(|r| r.partition == partition).map(|r| r.offset).collect();
        assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "{offsets:?}");
    }
    Ok(())
}

/// A crash in the middle of appends over two partitions leaves each of them whole, or nothing of it.
pub async fn an_append_is_there_whole_or_not_at_all<H: Harness>() -> Result<()> {
    for patience in 0..8 {
        let mut log = H::new(2).await?;
        let producer = log.producer().await?;
        let appends = async {
            for number in 0..200_u32 {
                producer.append(vec![record(0, number.to_string()), record(1, number.to_string())]).await?;
            }
            Ok::<_, Error>(())
        };
        let cut = async {
            tokio::time::sleep(Duration::from_millis(patience)).await;
        };
        tokio::select! { done = appends => done?, () = cut => {} }
        log.crash().await?;
        let mut consumer = log.consumer().await?;
        let records = read_all(consumer.as_mut()).await?;
        assert_eq!(numbers(&records, 0), numbers(&records, 1));
    }
    Ok(())
}

/// One record for a partition that is not there refuses the whole append.
pub async fn an_append_to_a_missing_partition_leaves_nothing<H: Harness>() -> Result<()> {
    let log = H::new(2).await?;
    let (producer, mut consumer) = (log.producer().await?, log.consumer().await?);
    let refused = producer.append(vec![record(0, "good"), record(2, "bad")]).await;
    assert!(matches!(refused, Err(Error::NoSuchPartition { partition: 2, partitions: 2 })), "{refused:?}");
    assert!(read_all(consumer.as_mut()).await?.is_empty());
    Ok(())
}

/// An append that returned is durable; so is a committed position.
pub async fn what_was_acknowledged_survives_a_crash<H: Harness>() -> Result<()> {
    let mut log = H::new(2).await?;
    let producer = log.producer().await?;
    append(producer.as_ref(), 0, 0..10).await?;
    append(producer.as_ref(), 1, 10..15).await?;
    log.crash().await?;
    let producer = log.producer().await?;
    append(producer.as_ref(), 0, 10..12).await?;
    let mut consumer = log.consumer().await?;
    let records = read_all(consumer.as_mut()).await?;
    assert_eq!(numbers(&records, 0), expected(0..12));
    assert_eq!(numbers(&records, 1), expected(10..15));
    consumer.commit(&after(&records)).await?;
    log.crash().await?;
    assert!(read_all(log.consumer().await?.as_mut()).await?.is_empty(), "the commit was lost");
    Ok(())
}

/// Reading is not committing: what was read and not committed comes again, after a stop and after a crash.
pub async fn uncommitted_records_come_again_and_committed_ones_do_not<H: Harness>() -> Result<()> {
    let mut log = H::new(1).await?;
    let producer = log.producer().await?;
    append(producer.as_ref(), 0, 0..10).await?;
    drop(producer);
    let mut consumer = log.consumer().await?;
    let records = read_all(consumer.as_mut()).await?;
    consumer.commit(&after(&records[..4])).await?;
    assert!(read_all(consumer.as_mut()).await?.is_empty(), "a commit does not move the reader");
    drop(consumer);
    assert_eq!(numbers(&read_all(log.consumer().await?.as_mut()).await?, 0), expected(4..10), "a new reader");
    log.reopen().await?;
    assert_eq!(numbers(&read_all(log.consumer().await?.as_mut()).await?, 0), expected(4..10), "a stop");
    log.crash().await?;
    assert_eq!(numbers(&read_all(log.consumer().await?.as_mut()).await?, 0), expected(4..10), "a crash");
    Ok(())
}

/// A seek goes back and forth, whatever is committed; partitions that it does not name stay where they are.
pub async fn a_seek_wins_over_the_committed_positions<H: Harness>() -> Result<()> {
    let log = H::new(2).await?;
    let (producer, mut consumer) = (log.producer().await?, log.consumer().await?);
    append(producer.as_ref(), 0, 0..10).await?;
    append(producer.as_ref(), 1, 0..10).await?;
    let records = read_all(consumer.as_mut()).await?;
    let offsets: Vec<_> = records.iter().filter(|r| r.partition == 0).map(|r| r.offset).collect();
    consumer.commit(&[(0, offsets[5]), (1, after(&records)[&1])].into()).await?;
    drop(consumer);

    let mut consumer = log.consumer().await?;
    assert_eq!(consumer.seek(&[(0, offsets[2])].into()).await?, [(0, offsets[2])].into());
    let again = read_all(consumer.as_mut()).await?;
    assert_eq!(numbers(&again, 0), expected(2..10), "back");
    assert_eq!(numbers(&again, 1), expected(0..0), "not named");
    consumer.seek(&[(0, offsets[8])].into()).await?;
    assert_eq!(numbers(&read_all(consumer.as_mut()).await?, 0), expected(8..10), "forth");
    consumer.seek(&[(0, after(&records)[&0])].into()).await?;
    append(producer.as_ref(), 0, 10..11).await?;
    assert_eq!(numbers(&read_all(consumer.as_mut()).await?, 0), expected(10..11), "the end");
    let nowhere = [(0, after(&records)[&0].saturating_add(1_000))].into();
    assert_eq!(consumer.seek(&nowhere).await?, Positions::new(), "it is not there");
    assert_eq!(numbers(&read_all(consumer.as_mut()).await?, 0), expected(0..11), "all that is kept");
    Ok(())
}

/// An older position, committed later, changes nothing.
pub async fn a_commit_never_moves_back<H: Harness>() -> Result<()> {
    let log = H::new(1).await?;
    let (producer, mut consumer) = (log.producer().await?, log.consumer().await?);
    append(producer.as_ref(), 0, 0..10).await?;
    let records = read_all(consumer.as_mut()).await?;
    consumer.commit(&after(&records[..8])).await?;
    consumer.commit(&after(&records[..3])).await?;
    assert_eq!(consumer.lag().await?.records, 2);
    drop(consumer);
    assert_eq!(numbers(&read_all(log.consumer().await?.as_mut()).await?, 0), expected(8..10));
    Ok(())
}

/// Reading does not lessen the lag, committing does. It knows how old it is.
pub async fn lag_counts_what_is_not_committed<H: Harness>() -> Result<()> {
    let log = H::new(2).await?;
    let (producer, mut consumer) = (log.producer().await?, log.consumer().await?);
    assert_eq!(consumer.lag().await?, Lag::default());
    for number in 0..7_u32 {
        producer.append(vec![record(number / 5, number.to_string())]).await?;
        if let Some(clock) = log.clock() {
            clock.advance(1);
        }
    }
    let unread = consumer.lag().await?;
    assert_eq!(unread.records, 7);
    let records = read_all(consumer.as_mut()).await?;
    let oldest = |records: &[Record]| records.iter().map(|record| record.appended_at).min();
    assert_eq!(unread.oldest, oldest(&records));
    assert_eq!(consumer.lag().await?, unread, "reading changes nothing");
    let (first, rest): (Vec<_>, Vec<_>) =
        records.iter().cloned().partition(|record| ["0", "1", "2"].contains(&number_of(record).as_str()));
    consumer.commit(&after(&first)).await?;
    assert_eq!(consumer.lag().await?, Lag { records: 4, oldest: oldest(&rest) });
    consumer.commit(&after(&records)).await?;
    assert_eq!(consumer.lag().await?, Lag::default());
    Ok(())
}

/// With nothing there, a read returns nothing, after the time it was given.
pub async fn an_empty_read_waits_no_longer_than_told<H: Harness>() -> Result<()> {
    let log = H::new(1).await?;
    let mut consumer = log.consumer().await?;
    let wait = Duration::from_millis(50);
    let began = Instant::now();
    let read = timeout(NEVER, consumer.read(ALL, wait)).await;
    assert!(matches!(&read, Ok(Ok(records)) if records.is_empty()), "{read:?}");
    assert!(began.elapsed() >= wait, "it waits for what may come");
    Ok(())
}

/// A read that waits has the record as soon as it is appended.
pub async fn an_append_wakes_a_read_that_waits<H: Harness>() -> Result<()> {
    let log = H::new(1).await?;
    let (producer, mut consumer) = (log.producer().await?, log.consumer().await?);
    let read = consumer.read(ALL, NEVER * 10);
    let append = async {
        // The reader is waiting by now, or will be: both must work.
        tokio::time::sleep(Duration::from_millis(50)).await;
        producer.append(vec![record(0, "0")]).await
    };
    let both = timeout(NEVER, async { tokio::join!(read, append) }).await;
    assert!(both.is_ok(), "the read was not woken");
    let Ok((records, appended)) = both else { return Ok(()) };
    appended?;
    assert_eq!(numbers(&records?, 0), expected(0..1));
    Ok(())
}

/// Bytes at most, one record at least, and nothing is left out between two reads.
pub async fn a_read_stays_within_its_bytes_but_brings_one_record<H: Harness>() -> Result<()> {
    let log = H::new(1).await?;
    let (producer, mut consumer) = (log.producer().await?, log.consumer().await?);
    for number in 0..10_u8 {
        producer.append(vec![record(0, vec![number; 100])]).await?;
    }
    let mut seen = Vec::new();
    let first = consumer.read(1, Duration::ZERO).await?;
    assert_eq!(first.len(), 1, "one record at least");
    seen.extend(first);
    loop {
        let records = consumer.read(350, Duration::ZERO).await?;
        if records.is_empty() {
            break;
        }
        let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
        assert!(bytes <= 350, "{bytes}");
        seen.extend(records);
    }
    let order: Vec<_> = seen.iter().map(|record| record.payload[0]).collect();
    assert_eq!(order, (0..10).collect::<Vec<_>>());
    Ok(())
}

/// With more in one partition than a read brings, the others still have their turn.
pub async fn a_busy_partition_does_not_starve_the_others<H: Harness>() -> Result<()> {
    let log = H::new(3).await?;
    let (producer, mut consumer) = (log.producer().await?, log.consumer().await?);
    append(producer.as_ref(), 0, 0..100).await?;
    append(producer.as_ref(), 2, 0..1).await?;
    // With all of it within reach.
    assert_eq!(consumer.lag().await?.records, 101);
    let mut heard = BTreeSet::new();
    for _ in 0..20 {
        heard.extend(consumer.read(1, Duration::ZERO).await?.iter().map(|record| record.partition));
    }
    assert!(heard.contains(&2), "{heard:?}");
    Ok(())
}

/// The bytes that come out are the bytes that went in.
pub async fn payloads_come_back_byte_for_byte<H: Harness>() -> Result<()> {
    let every: Vec<u8> = (0..=u8::MAX).collect();
    let large = every.iter().copied().cycle().take((1 << 20) + 1).collect();
    round_trip::<H>(vec![Vec::new(), vec![0], b"text".to_vec(), vec![0xff; 3], every, large]).await
}

/// As [`payloads_come_back_byte_for_byte`], for payloads of your choice: for property tests.
pub async fn round_trip<H: Harness>(payloads: Vec<Vec<u8>>) -> Result<()> {
    let mut log = H::new(1).await?;
    let producer = log.producer().await?;
    producer.append(payloads.iter().map(|payload| record(0, payload.clone())).collect()).await?;
    drop(producer);
    let records = read_all(log.consumer().await?.as_mut()).await?;
    let read: Vec<_> = records.iter().map(|record| record.payload.to_vec()).collect();
    assert_eq!(read, payloads);
    log.crash().await?;
    assert_eq!(read_all(log.consumer().await?.as_mut()).await?, records, "after a crash");
    Ok(())
}

/// Also when the log's clock is set back, and over a restart.
pub async fn append_times_never_go_back<H: Harness>() -> Result<()> {
    let mut log = H::new(1).await?;
    let start = log.clock().map(Clock::now);
    let producer = log.producer().await?;
    for seconds in [0, 10, -3_600] {
        if let Some(clock) = log.clock() {
            clock.advance(seconds);
        }
        producer.append(vec![record(0, "x")]).await?;
    }
    drop(producer);
    log.reopen().await?;
    log.producer().await?.append(vec![record(0, "x")]).await?;
    if let (Some(clock), Some(start)) = (log.clock(), start) {
        clock.set(start.plus_seconds(60));
    }
    log.producer().await?.append(vec![record(0, "x")]).await?;
    let records = read_all(log.consumer().await?.as_mut()).await?;
    let times: Vec<_> = records.iter().map(|record| record.appended_at).collect();
    assert_eq!(times.len(), 5);
    match start {
        Some(start) => assert_eq!(times, [0, 10, 10, 10, 60].map(|seconds| start.plus_seconds(seconds))),
        // A clock that goes by itself cannot be set back: that it goes on is what can be seen.
        None => assert!(times.is_sorted() && times[0] > Timestamp::EPOCH, "{times:?}"),
    }
    Ok(())
}

/// However old it is.
pub async fn trimming_takes_nothing_that_is_not_committed<H: Harness>() -> Result<()> {
    let mut log = H::new(2).await?;
    let (producer, mut consumer) = (log.producer().await?, log.consumer().await?);
    append(producer.as_ref(), 0, 0..10).await?;
    append(producer.as_ref(), 1, 0..10).await?;
    let records = read_all(consumer.as_mut()).await?;
    let some: Vec<_> = records.iter().filter(|record| record.partition == 0).take(4).cloned().collect();
    consumer.commit(&after(&some)).await?;
    log.pass_retention().await?;
    append(producer.as_ref(), 0, 10..12).await?;
    consumer.commit(&after(&some)).await?;
    drop((producer, consumer));
    log.reopen().await?;
    let records = read_all(log.consumer().await?.as_mut()).await?;
    assert_eq!(numbers(&records, 0), expected(4..12));
    assert_eq!(numbers(&records, 1), expected(0..10));
    Ok(())
}

/// Nor after everything was trimmed and the log was opened again.
pub async fn offsets_are_not_used_again<H: Harness>() -> Result<()> {
    let mut log = H::new(1).await?;
    let mut last = None;
    for round in 0..3_u32 {
        let (producer, mut consumer) = (log.producer().await?, log.consumer().await?);
        append(producer.as_ref(), 0, round..round + 1).await?;
        let records = read_all(consumer.as_mut()).await?;
        assert_eq!(numbers(&records, 0), expected(round..round + 1));
        let offset = records.first().map(|record| record.offset);
        assert!(offset > last, "{offset:?} after {last:?}");
        last = offset;
        consumer.commit(&after(&records)).await?;
        log.pass_retention().await?;
        consumer.commit(&after(&records)).await?;
        drop((producer, consumer));
        log.reopen().await?;
    }
    Ok(())
}
