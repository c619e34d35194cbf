//! The conformance suite on SQLite, and what only a file can show.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use flagmeter_model::{ManualClock, Timestamp};
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Config, Log, file, writer};
use crate::{
    Consumer, Error, Positions, Producer, Result,
    conformance::{Harness, read_all, record, round_trip},
    log_conformance,
};

const PARTITIONS_MAX: u32 = Config::PARTITIONS_MAX;

struct Embedded {
    clock: ManualClock,
    partitions: u32,
    /// The folders of those that crashed before, and of the one that lives.
    folders: Vec<TempDir>,
    log: Option<Log>,
}

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::parse_rfc3339("2026-11-20T12:00:00Z").unwrap())
}

fn config(folder: &Path) -> Config {
    Config::at(folder.join("log.sqlite"))
}

impl Embedded {
    fn config(&self) -> Config {
        let folder = self.folders.last().unwrap();
        Config { partitions: self.partitions, ..config(folder.path()) }
    }

    fn open(&mut self) -> Result<()> {
        self.log = Some(Log::open(self.config(), Arc::new(self.clock.clone()))?);
        Ok(())
    }
}

#[async_trait]
impl Harness for Embedded {
    async fn new(partitions: u32) -> Result<Self> {
        let folders = vec![tempfile::tempdir().unwrap()];
        let mut harness = Self { clock: clock(), partitions, folders, log: None };
        harness.open()?;
        Ok(harness)
    }

    fn clock(&self) -> Option<&ManualClock> {
        Some(&self.clock)
    }

    async fn pass_retention(&self) -> Result<()> {
        let seconds = self.config().retain_committed.as_secs();
        self.clock.advance(i64::try_from(seconds).unwrap() + 1);
        Ok(())
    }

    async fn producer(&self) -> Result<Arc<dyn Producer>> {
        Ok(self.log.as_ref().unwrap().producer())
    }

    async fn consumer(&self) -> Result<Box<dyn Consumer>> {
        self.log.as_ref().unwrap().consumer()
    }

    async fn reopen(&mut self) -> Result<()> {
        self.log = None;
        self.open()
    }

    /// Copies the file and its WAL as they lie on the disk, with the writer alive.
    async fn crash(&mut self) -> Result<()> {
        let path = self.config().path;
        let wal = path.with_extension("sqlite-wal");
        let folder = tempfile::tempdir().unwrap();
        // While someone reads, the WAL is not begun anew, so that the file, copied first, and the WAL, copied
        // after it, are of one time.
        let mut reader = file::open_reader(&path).unwrap();
        let reading = reader.transaction().unwrap();
        file::ends(&reading).unwrap();
        std::fs::copy(&path, folder.path().join("log.sqlite")).unwrap();
        std::fs::copy(&wal, folder.path().join("log.sqlite-wal")).unwrap();
        drop(reading);
        self.folders.push(folder);
        self.open()
    }
}

log_conformance!(Embedded);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_payload_comes_back(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5_000), 1..20)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(round_trip::<Embedded>(payloads)).unwrap();
    }

    #[test]
    fn places_keep_the_order_and_give_the_offset_back(
        one in (0..PARTITIONS_MAX, 0..1_u64 << 52),
        two in (0..PARTITIONS_MAX, 0..1_u64 << 52),
    ) {
        let place = |(partition, offset)| file::place(partition, offset);
        prop_assert_eq!(one.cmp(&two), place(one).cmp(&place(two)));
        prop_assert_eq!(file::offset_at(place(one)), one.1);
        prop_assert!(place(one) < file::place(one.0 + 1, 0), "the last partition ends as well");
    }
}

/// The reason of an [`Error::Open`].
fn refused(opened: Result<Log>) -> String {
    match opened {
        Err(Error::Open { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

fn open(config: Config) -> Result<Log> {
    Log::open(config, Arc::new(clock()))
}

#[test]
fn a_file_in_use_is_refused_until_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(config(folder.path())).unwrap();
    let producer = log.producer();
    assert!(refused(open(config(folder.path()))).contains("another process is using it"));
    drop(log);
    assert!(refused(open(config(folder.path()))).contains("another process"), "a producer keeps it open");
    drop(producer);
    open(config(folder.path())).unwrap();
}

#[test]
fn a_file_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(config(folder.path())).unwrap());
    let file = Connection::open(config(folder.path()).path).unwrap();
    file.pragma_update(None, "user_version", 2).unwrap();
    drop(file);
    let reason = refused(open(config(folder.path())));
    assert!(reason.contains("by a newer flagmeter (version 2"), "{reason}");
}

#[test]
fn a_file_that_is_no_log_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path()).path;
    std::fs::write(
        &path,
        "a diary, and not a short one: more than a hundred bytes, as SQLite wants".repeat(20),
    )
    .unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(refused(open(config(folder.path()))).contains("not a log of flagmeter"));
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE diary (page)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(refused(open(config(folder.path()))).contains("not a log of flagmeter"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_whose_making_was_cut_off_is_made_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path()).path;
    // What is left by a kill, or a full disk, before the tables are there.
    Connection::open(&path).unwrap().execute_batch("PRAGMA journal_mode = WAL").unwrap();
    assert_ne!(std::fs::metadata(&path).unwrap().len(), 0);
    for kept in 1..3 {
        let log = open(config(folder.path())).unwrap();
        log.producer().append(vec![record(0, "kept")]).await.unwrap();
        assert_eq!(read_all(log.consumer().unwrap().as_mut()).await.unwrap().len(), kept);
    }
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let reason = refused(open(config(&folder.path().join("nowhere"))));
    assert!(reason.contains("nowhere") && reason.contains("see that the folder is there"), "{reason}");
}

#[tokio::test]
async fn partitions_can_be_added_but_not_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let with = |partitions| Config { partitions, ..config(folder.path()) };
    let log = open(with(2)).unwrap();
    log.producer().append(vec![record(1, "kept")]).await.unwrap();
    drop(log);
    let reason = refused(open(with(1)));
    assert_eq!(reason, "it has 2 partitions and 1 are set: set 2 or more");
    let log = open(with(3)).unwrap();
    assert_eq!(log.producer().partitions(), 3);
    log.producer().append(vec![record(2, "new")]).await.unwrap();
    assert_eq!(read_all(log.consumer().unwrap().as_mut()).await.unwrap().len(), 2);
    drop(log);
    assert!(refused(open(with(0))).contains("set 1 to 1024"));
    assert!(refused(open(with(PARTITIONS_MAX + 1))).contains("set 1 to 1024"));
}

#[test]
fn there_is_one_consumer_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(config(folder.path())).unwrap();
    let first = log.consumer().unwrap();
    assert!(matches!(log.consumer().err(), Some(Error::Taken)));
    drop(first);
    log.consumer().unwrap();
}

/// A writer without its thread, and its queue. Its file takes no more than 8 MiB.
fn writer(folder: &Path) -> (writer::Writer, mpsc::Sender<writer::Command>, mpsc::Receiver<writer::Command>) {
    let opened = file::open(&config(folder), &clock()).unwrap();
    opened.connection.pragma_update(None, "max_page_count", 1_000).unwrap();
    let (wake, _appended) = watch::channel(());
    let (connection, ends) = (opened.connection, opened.ends);
    let writer = writer::Writer::new(connection, ends, opened.bytes, config(folder), Arc::new(clock()), wake);
    let (commands, queue) = mpsc::channel(100);
    (writer, commands, queue)
}

/// Queues an append of `bytes` bytes.
async fn queue_append(
    commands: &mpsc::Sender<writer::Command>,
    bytes: usize,
) -> oneshot::Receiver<Result<()>> {
    let (reply, answer) = oneshot::channel();
    let records = vec![record(0, vec![7; bytes])];
    commands.send(writer::Command::Append { records, reply }).await.unwrap();
    answer
}

/// Commits in the write-ahead log beside a file: frames that tell the size of the file after them.
fn commits(path: &Path) -> usize {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-wal");
    let log = std::fs::read(beside).unwrap();
    let (header, frames) = log.split_at(32);
    let page_bytes = u32::from_be_bytes(header[8..12].try_into().unwrap()) as usize;
    // Frames of an earlier round have other salts.
    let is_commit = |frame: &&[u8]| frame[8..16] == header[16..24] && frame[4..8] != [0; 4];
    frames.chunks_exact(24 + page_bytes).filter(is_commit).count()
}

#[tokio::test]
async fn appends_that_wait_share_one_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, commands, mut queue) = writer(folder.path());
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(queue_append(&commands, 1).await);
    }
    let before = commits(&config(folder.path()).path);
    let first = queue.try_recv().unwrap();
    writer.turn(writer::gather(first, &mut queue));
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(commits(&config(folder.path()).path), before + 1, "one commit for all");
}

#[tokio::test]
async fn a_full_disk_refuses_the_append_and_leaves_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, commands, mut queue) = writer(folder.path());
    let mut turn = async |bytes| {
        let answer = queue_append(&commands, bytes).await;
        writer.turn(vec![queue.try_recv().unwrap()]);
        answer.await.unwrap()
    };
    turn(1).await.unwrap();
    // More than the file may grow by: SQLite finds it full in the middle of the record.
    let full = turn(20 << 20).await.unwrap_err();
    assert!(matches!(full, Error::Unavailable(_)) && full.is_retryable(), "{full}");
    turn(2).await.unwrap();
    drop(writer);
    let log = open(config(folder.path())).unwrap();
    let records = read_all(log.consumer().unwrap().as_mut()).await.unwrap();
    assert_eq!(records.iter().map(|record| record.payload.len()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(records[1].offset, records[0].offset + 1);
}

fn rows(config: &Config) -> i64 {
    let reader = file::open_reader(&config.path).unwrap();
    reader.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap()
}

/// Reads and commits all that is there.
async fn store_all(consumer: &mut dyn Consumer) {
    let records = read_all(consumer).await.unwrap();
    let positions: Positions = records.iter().map(|record| (record.partition, record.offset + 1)).collect();
    consumer.commit(&positions).await.unwrap();
}

#[tokio::test]
async fn what_is_committed_and_aged_is_trimmed_and_the_file_gets_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let (config, clock) = (config(folder.path()), clock());
    let log = Log::open(config.clone(), Arc::new(clock.clone())).unwrap();
    let (producer, mut consumer) = (log.producer(), log.consumer().unwrap());
    for _ in 0..100 {
        producer.append((0..50).map(|_| record(0, vec![7; 4_000])).collect()).await.unwrap();
    }
    store_all(consumer.as_mut()).await;
    assert_eq!(rows(&config), 5_000, "committed, but young");
    clock.advance(3_601);
    for _ in 0..40 {
        producer.append(vec![record(0, "x")]).await.unwrap();
        store_all(consumer.as_mut()).await;
    }
    assert_eq!(rows(&config), 40);
    drop((producer, consumer, log));
    let bytes = std::fs::metadata(&config.path).unwrap().len();
    assert!(bytes < 8 << 20, "20 MB were in it, {bytes} bytes are left");
}

#[tokio::test]
async fn under_a_steady_load_the_file_stays_as_large_as_what_it_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let (config, clock) = (config(folder.path()), clock());
    let log = Log::open(config.clone(), Arc::new(clock.clone())).unwrap();
    let (producer, mut consumer) = (log.producer(), log.consumer().unwrap());
    let mut sizes = Vec::new();
    for _ in 0..10 {
        for _ in 0..60 {
            clock.advance(60);
            producer.append(vec![record(0, vec![7; 20_000])]).await.unwrap();
            store_all(consumer.as_mut()).await;
        }
        sizes.push(std::fs::metadata(&config.path).unwrap().len());
    }
    assert!(rows(&config) <= 61, "an hour of one a minute");
    assert!(sizes.iter().all(|&size| size <= sizes[1].max(sizes[2])), "{sizes:?}");
}

#[tokio::test]
async fn a_full_log_refuses_and_takes_again_when_the_reader_has_gone_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(Config { bytes_max: 1_000, ..config(folder.path()) }).unwrap();
    let (producer, mut consumer) = (log.producer(), log.consumer().unwrap());
    for _ in 0..10 {
        producer.append(vec![record(0, vec![1; 100])]).await.unwrap();
    }
    let full = producer.append(vec![record(0, vec![2; 100])]).await.unwrap_err();
    assert!(matches!(full, Error::Full { bytes: 1_000, bytes_max: 1_000 }), "{full}");
    assert!(full.is_retryable());
    store_all(consumer.as_mut()).await;
    producer.append(vec![record(0, vec![3; 100])]).await.unwrap();
    let records = read_all(consumer.as_mut()).await.unwrap();
    assert_eq!(records.len(), 1, "the refused one left nothing");
    assert_eq!(records[0].payload, Bytes::from(vec![3; 100]));
}

#[tokio::test]
async fn a_reader_of_a_lost_log_begins_with_the_first_record_of_the_new_one() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let clock = clock();
    let log = Log::open(config(old.path()), Arc::new(clock.clone())).unwrap();
    log.producer().append(vec![record(0, "a"), record(0, "b")]).await.unwrap();
    let last = read_all(log.consumer().unwrap().as_mut()).await.unwrap().pop().unwrap();
    let remembered: Positions = [(0, last.offset + 1)].into();
    clock.advance(10);
    let log = Log::open(config(new.path()), Arc::new(clock)).unwrap();
    log.producer().append(vec![record(0, "c")]).await.unwrap();
    let mut consumer = log.consumer().unwrap();
    assert!(consumer.seek(&remembered).await.unwrap().is_empty());
    let records = read_all(consumer.as_mut()).await.unwrap();
    assert_eq!(records.iter().map(|record| &record.payload[..]).collect::<Vec<_>>(), [b"c"]);
    assert!(records[0].offset > last.offset);
}

#[tokio::test]
async fn a_read_that_is_dropped_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(config(folder.path())).unwrap();
    let mut consumer = log.consumer().unwrap();
    let mut seen = Vec::new();
    for number in 0..50_u8 {
        log.producer().append(vec![record(0, vec![number])]).await.unwrap();
        // Cut off after its first step, with the look at the file under way.
        let read = consumer.read(1_000, Duration::from_mins(1));
        tokio::select! { biased; read = read => seen.extend(read.unwrap()), () = std::future::ready(()) => {} }
    }
    seen.extend(read_all(consumer.as_mut()).await.unwrap());
    let seen: Vec<_> = seen.iter().map(|record| record.payload[0]).collect();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}
