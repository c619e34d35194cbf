//! Killed at each step: what was acknowledged is there, and nothing is there twice.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use flagmeter_log::embedded;
use flagmeter_model::{Lane, Meter, Seq};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::harness::{Rig, assert_every_count_has_a_fate, flagsmith, journal_in, start, sums};
use crate::{Config, Error};

const FIVE: &str = r#"{"counts":[{"flag":"f","count":5}]}"#;

#[tokio::test]
async fn killed_after_the_commit_it_seals_what_was_acknowledged() {
    let rig = Rig::new();
    rig.counts(None, FIVE).await;
    let next = rig.killed();
    assert_eq!(next.edge.received().values().sum::<u64>(), 5);
    let batches = next.drained().await;
    assert_eq!(sums(&batches)[&Meter::Evaluations], 5);
    assert_every_count_has_a_fate(&batches);
}

#[tokio::test]
async fn killed_after_the_seal_it_hands_on_the_same_bytes() {
    let rig = Rig::new();
    rig.counts(None, FIVE).await;
    rig.seal().await;
    let next = rig.killed_with(|config| config.node = flagmeter_model::NodeId::new(8).unwrap());
    rig.append_all().await;
    let first = rig.log.records.lock().clone();
    rig.log.records.lock().clear();
    next.append_all().await;
    assert_eq!(*rig.log.records.lock(), first, "frozen, with the old node number too");
}

#[tokio::test]
async fn killed_between_the_append_and_the_deletion_it_repeats_itself_and_nothing_is_counted_twice() {
    let rig = Rig::new();
    rig.counts(None, FIVE).await;
    rig.seal().await;
    rig.append_all().await;
    let next = rig.killed();
    next.counts(None, FIVE).await;
    let batches = next.drained().await;
    assert!(batches.len() > 6, "the first seal came twice");
    assert_eq!(sums(&batches)[&Meter::Evaluations], 10);
    assert_every_count_has_a_fate(&batches);
}

#[tokio::test]
async fn a_duplicate_is_known_across_a_restart() {
    let rig = Rig::new();
    let first = rig.counts(Some("k"), FIVE).await;
    let before_seal = rig.killed();
    assert_eq!(before_seal.counts(Some("k"), FIVE).await, first);
    rig.seal().await;
    let after_seal = rig.killed();
    assert_eq!(after_seal.counts(Some("k"), FIVE).await, first);
    let sums = sums(&after_seal.drained().await);
    assert_eq!((sums[&Meter::Evaluations], sums[&Meter::Duplicate]), (5, 5));
}

#[tokio::test]
async fn seals_grow_in_number_and_cover_time_without_a_break_while_the_process_lives() {
    let rig = Rig::new();
    rig.seal().await;
    rig.hand_on().await;
    rig.clock.advance(-60);
    rig.seal().await;
    rig.clock.advance(120);
    rig.hand_on().await;
    let batches = rig.log.batches();
    let first = batches.iter().find(|batch| batch.part == 0).unwrap();
    assert_eq!((first.seq, first.covers_from), (Seq::next(None, start(), Lane::default()), start()));
    let second = batches.iter().rfind(|batch| batch.part == 0).unwrap();
    assert_eq!(
        second.seq,
        Seq::next(Some(first.seq), start(), Lane::default()),
        "a clock that jumps back never repeats a number"
    );
    assert_eq!((second.covers_from, second.watermark), (start(), Some(start())));
    rig.log.records.lock().clear();
    let next = rig.killed();
    next.clock.advance(1);
    next.hand_on().await;
    next.seal().await;
    next.append_all().await;
    let third = rig.log.batches().pop().unwrap();
    assert_eq!(third.covers_from, start().plus_seconds(60), "a new process covers from its start");
}

#[tokio::test]
async fn an_operator_may_assert_coverage_for_a_fresh_journal_only() {
    let from = start().plus_seconds(-86_400);
    let rig = Rig::with(|config| config.covers_from = Some(from));
    let batches = rig.drained().await;
    assert!(batches.iter().all(|batch| batch.covers_from == from));
    let next = rig.killed_with(|config| config.covers_from = Some(from));
    let batches = next.drained().await;
    assert!(batches.last().unwrap().covers_from > from);
}

#[tokio::test]
async fn a_watermark_never_passes_a_count_that_is_not_handed_on() {
    let rig = Rig::new();
    rig.counts(None, FIVE).await;
    rig.clock.advance(20);
    rig.counts(None, FIVE).await;
    rig.seal().await;
    rig.append_all().await;
    let batches = rig.log.batches();
    let watermark = batches.iter().filter_map(|batch| batch.watermark).max().unwrap();
    assert_eq!(watermark, start().plus_seconds(20));
    assert_eq!(sums(&batches)[&Meter::Evaluations], 10, "all that arrived before the watermark is in");
}

#[tokio::test]
async fn a_log_that_fails_gets_everything_in_order_once_it_is_back() {
    let rig = Rig::with(|config| config.drain_timeout = std::time::Duration::from_mins(1));
    rig.log.fails.store(true, Ordering::SeqCst);
    rig.counts(None, FIVE).await;
    rig.seal().await;
    rig.clock.advance(1);
    rig.counts(None, FIVE).await;
    rig.seal().await;
    let stop = CancellationToken::new();
    stop.cancel();
    let back = async {
        while rig.metric("hand_on_failures_total", &[]) < 1 {
            tokio::task::yield_now().await;
        }
        assert!(rig.log.records.lock().is_empty());
        rig.log.fails.store(false, Ordering::SeqCst);
    };
    let (ran, ()) = tokio::join!(rig.edge.run(stop), back);
    ran.unwrap();
    let batches = rig.log.batches();
    assert_eq!(sums(&batches)[&Meter::Evaluations], 10);
    assert!(batches.is_sorted_by_key(|batch| (batch.seq, batch.part)), "oldest first");
    let tries = rig.log.appends.lock().len() as u64 + rig.metric("hand_on_failures_total", &[]);
    assert_eq!(rig.times("hand_on_seconds"), tries, "each try is measured");
}

/// Each append is a transaction, and waits for the log: one for each seal would never catch up.
#[tokio::test]
async fn seals_that_have_waited_for_the_log_go_to_it_together() {
    let rig = Rig::new();
    for _ in 0..5 {
        rig.counts(None, FIVE).await;
        rig.seal().await;
        rig.clock.advance(1);
    }
    let stop = CancellationToken::new();
    stop.cancel();
    rig.edge.run(stop).await.unwrap();
    let together = rig.log.appends.lock()[0];
    let seals: BTreeSet<_> = rig.log.batches()[..together].iter().map(|batch| batch.seq).collect();
    assert!(seals.len() >= 5, "{seals:?}");
    assert_eq!(sums(&rig.log.batches())[&Meter::Evaluations], 25);
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_for_a_moment_does_not_end_the_run() {
    let rig = Rig::with(|config| config.drain_timeout = std::time::Duration::from_mins(1));
    rig.counts(None, FIVE).await;
    rig.seal().await;
    rig.tamper(|journal| journal.execute("ALTER TABLE outbox RENAME COLUMN record TO away")).await;
    let stop = CancellationToken::new();
    let back = async {
        while rig.metric("hand_on_failures_total", &[]) < 1 {
            tokio::task::yield_now().await;
        }
        rig.tamper(|journal| journal.execute("ALTER TABLE outbox RENAME COLUMN away TO record")).await;
        stop.cancel();
        Ok(())
    };
    tokio::try_join!(rig.edge.run(stop.clone()), back).unwrap();
    assert_eq!(sums(&rig.log.batches())[&Meter::Evaluations], 5);
}

#[tokio::test]
async fn a_log_that_refuses_for_good_ends_the_run_and_nothing_is_lost() {
    let rig = Rig::new();
    rig.log.closed.store(true, Ordering::SeqCst);
    rig.counts(None, FIVE).await;
    let error = rig.edge.run(CancellationToken::new()).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert!(error.to_string().starts_with("another edge with number 7 has started"), "{error}");
    assert_eq!(rig.counts(None, FIVE).await.reason(), "closing", "nothing more is taken");
    let wal = rig.folder.path().join("journal.sqlite-wal");
    assert!(!wal.exists(), "the journal is closed, and not left as a crash would");
    rig.log.closed.store(false, Ordering::SeqCst);
    assert_eq!(sums(&rig.killed().drained().await)[&Meter::Evaluations], 5);
}

#[tokio::test]
async fn a_log_that_stays_away_does_not_hold_up_the_stop_and_nothing_is_lost() {
    let rig = Rig::with(|config| config.drain_timeout = std::time::Duration::ZERO);
    rig.log.fails.store(true, Ordering::SeqCst);
    rig.counts(None, FIVE).await;
    let stop = CancellationToken::new();
    stop.cancel();
    rig.edge.run(stop).await.unwrap();
    rig.log.fails.store(false, Ordering::SeqCst);
    let next = rig.killed();
    assert_eq!(sums(&next.drained().await)[&Meter::Evaluations], 5);
}

#[tokio::test]
async fn the_embedded_log_takes_what_the_edge_hands_on() {
    let rig = Rig::new();
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(rig.clock.clone());
    let log =
        embedded::Log::open(embedded::Config::at(folder.path().join("log.sqlite")), clock.clone()).unwrap();
    let config = Config::new(flagmeter_model::NodeId::new(1).unwrap(), journal_in(folder.path()));
    let registry = rig.registry.subscribe();
    let edge =
        crate::Edge::open(config, log.producer(), registry, clock, &prometheus::Registry::new()).unwrap();
    let sent = tower::ServiceExt::oneshot(edge.router(), flagsmith("key-1", r#"{"f":4}"#)).await.unwrap();
    assert!(sent.status().is_success());
    let stop = CancellationToken::new();
    stop.cancel();
    edge.run(stop).await.unwrap();
    let mut consumer = log.consumer().unwrap();
    let records = consumer.read(1 << 20, std::time::Duration::ZERO).await.unwrap();
    let batches: Vec<_> =
        records.iter().map(|record| flagmeter_model::decode(&record.payload).unwrap()).collect();
    assert_eq!(sums(&batches)[&Meter::Evaluations], 4);
}

#[tokio::test]
async fn a_journal_in_use_or_of_another_kind_is_one_sentence() {
    let rig = Rig::new();
    let path = journal_in(rig.folder.path());
    let open = |path: &std::path::Path| {
        let config = Config::new(flagmeter_model::NodeId::new(1).unwrap(), path);
        let clock = Arc::new(rig.clock.clone());
        let registry = rig.registry.subscribe();
        crate::Edge::open(config, rig.log.clone(), registry, clock, &prometheus::Registry::new()).unwrap_err()
    };
    assert!(open(&path).to_string().contains("another process is using it"), "{}", open(&path));
    let nowhere = rig.folder.path().join("no/such/journal");
    assert!(open(&nowhere).to_string().contains("that its folder is there"), "{}", open(&nowhere));
    let text = rig.folder.path().join("text");
    std::fs::write(&text, "not a database, but longer than the header of one ".repeat(40)).unwrap();
    assert!(open(&text).to_string().contains("not a journal of flagmeter"), "{}", open(&text));
    let newer = rig.folder.path().join("newer");
    std::fs::copy(&path, &newer).unwrap();
    std::fs::copy(rig.folder.path().join("journal.sqlite-wal"), rig.folder.path().join("newer-wal")).unwrap();
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 9).unwrap();
    assert!(open(&newer).to_string().contains("by a newer flagmeter"), "{}", open(&newer));
    assert!(matches!(open(&newer), Error::Open { .. }));
}

/// One step of a life with crashes.
#[derive(Debug, Clone)]
enum Step {
    Count(u64),
    Repeat(u8, u64),
    Seal,
    Append,
    HandOn,
    Kill,
    Clock(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..100).prop_map(Step::Count),
        4 => ((0_u8..4), (1_u64..100)).prop_map(|(key, count)| Step::Repeat(key, count)),
        2 => Just(Step::Seal),
        2 => Just(Step::Append),
        1 => Just(Step::HandOn),
        2 => Just(Step::Kill),
        2 => (-30_i64..60).prop_map(Step::Clock),
    ]
}

async fn live(steps: Vec<Step>) {
    let mut rig = Rig::new();
    let (mut evaluations, mut received) = (0, 0);
    let mut seen = BTreeSet::new();
    for step in steps {
        match step {
            Step::Count(count) | Step::Repeat(_, count) => {
                let key = if let Step::Repeat(key, _) = step { Some(format!("key-{key}")) } else { None };
                let body = format!(r#"{{"counts":[{{"flag":"f","count":{count}}}]}}"#);
                assert!(rig.counts(key.as_deref(), &body).await.status.is_success());
                received += count;
                if key.is_none_or(|key| seen.insert(key)) {
                    evaluations += count;
                }
            }
            Step::Seal => rig.seal().await,
            Step::Append => drop(rig.append_all().await),
            Step::HandOn => rig.hand_on().await,
            Step::Kill => rig = rig.killed(),
            Step::Clock(seconds) => rig.clock.advance(seconds),
        }
    }
    assert_eq!(rig.edge.received().values().sum::<u64>(), received);
    let batches = rig.drained().await;
    let sums = sums(&batches);
    assert_eq!(sums.get(&Meter::Evaluations).copied().unwrap_or(0), evaluations);
    assert_eq!(sums.get(&Meter::Received).copied().unwrap_or(0), received);
    assert_every_count_has_a_fate(&batches);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_each_count_is_stored_once(steps in proptest::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(live(steps));
    }
}
