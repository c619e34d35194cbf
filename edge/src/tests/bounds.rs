//! What happens when there is no room.

use axum::http::StatusCode;
use flagmeter_model::{Clock, Meter};

use super::harness::{Rig, assert_every_count_has_a_fate, sums};
use crate::Ack;

/// A body of a thousand counts that takes some room, also when it is compressed.
fn wide(tag: u64) -> String {
    let noise = |n: u64| (n + 1_000 * tag + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    let flags: Vec<_> = (0..1_000).map(|n| format!("\"flag-{:x}-{:x}\":1", noise(n), noise(n * n))).collect();
    format!("{{{}}}", flags.join(","))
}

#[tokio::test]
async fn a_full_journal_asks_senders_to_wait_and_keeps_what_was_acknowledged() {
    let rig = Rig::with(|config| config.journal_bytes_max = 1 << 20);
    let mut taken = 0;
    let refused = loop {
        let answer = rig.flagsmith("key-1", wide(taken)).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        taken += 1;
        assert!(taken < 1_000, "it must be full at some time");
    };
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.reason(), "journal_full");
    assert!(refused.headers.contains_key("retry-after"));
    assert!(rig.metric("requests_total", &[("door", "flagsmith.v1"), ("outcome", "journal_full")]) >= 1);
    assert_eq!(sums(&rig.drained().await)[&Meter::Evaluations], taken * 1_000);
    // What was handed on is deleted with the next seal, and there is room again.
    rig.seal().await;
    assert_eq!(rig.flagsmith("key-1", r#"{"f":1}"#).await.status, StatusCode::OK);
    let batches = rig.drained().await;
    assert_eq!(sums(&batches)[&Meter::Evaluations], taken * 1_000 + 1);
    assert_every_count_has_a_fate(&batches);
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_recovers() {
    let rig = Rig::new();
    rig.flagsmith("key-1", r#"{"f":1}"#).await;
    rig.tamper(|journal| journal.limit_pages(Some(0))).await;
    let mut taken = 1;
    let refused = loop {
        let answer = rig.flagsmith("key-1", wide(taken)).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        taken += 1_000;
        assert!(taken < 1_000_000, "it must be full at some time");
    };
    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (503, "disk_failed"));
    assert!(refused.headers.contains_key("retry-after"));
    assert!(rig.metric("commit_failures_total", &[]) >= 1);
    rig.tamper(|journal| journal.limit_pages(None)).await;
    assert_eq!(rig.flagsmith("key-1", r#"{"f":1}"#).await.status, StatusCode::OK);
    let batches = rig.drained().await;
    assert_eq!(sums(&batches)[&Meter::Evaluations], taken + 1, "neither lost nor half-written");
    assert_every_count_has_a_fate(&batches);
}

#[tokio::test]
async fn a_seal_that_cannot_be_written_is_made_again_with_all_that_it_had() {
    let rig = Rig::new();
    rig.flagsmith("key-1", wide(0)).await;
    rig.tamper(|journal| journal.limit_pages(Some(0))).await;
    let error = rig.edge.seal(false).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(rig.metric("seal_failures_total", &[]), 1);
    rig.tamper(|journal| journal.limit_pages(None)).await;
    assert_eq!(sums(&rig.drained().await)[&Meter::Evaluations], 1_000);
}

#[tokio::test]
async fn a_seal_whose_free_pages_stay_in_the_file_is_made_once() {
    let rig = Rig::new();
    rig.flagsmith("key-1", r#"{"f":5}"#).await;
    rig.tamper(|journal| journal.vacuum_fails = true).await;
    rig.seal().await;
    assert_eq!(rig.metric("seal_failures_total", &[]), 0);
    assert_eq!(sums(&rig.drained().await)[&Meter::Evaluations], 5, "under one number");
}

#[tokio::test]
async fn seals_without_counts_do_not_fill_the_journal_while_the_log_is_away() {
    let rig = Rig::new();
    rig.seal().await;
    let waiting = || rig.metric("outbox_records", &[]);
    assert_eq!(waiting(), 3, "a watermark for each partition");
    for _ in 0..10 {
        rig.clock.advance(1);
        rig.seal().await;
    }
    assert_eq!(waiting(), 3);
    rig.flagsmith("key-1", r#"{"f":1}"#).await;
    rig.seal().await;
    assert_eq!(waiting(), 6, "counts are sealed all the same");
    rig.clock.advance(10);
    let batches = rig.drained().await;
    assert_eq!(batches.len(), 9, "the log is back, and hears of the time between");
    let newest = batches.last().unwrap();
    assert_eq!(newest.watermark, Some(rig.clock.now()));
    let last_before = batches.iter().filter(|batch| batch.seq < newest.seq).filter_map(|b| b.watermark).max();
    assert_eq!(Some(newest.covers_from), last_before);
}

#[tokio::test]
async fn too_many_points_wait_for_their_seal() {
    let rig = Rig::with(|config| config.points_waiting_max = 500);
    assert_eq!(rig.flagsmith("key-1", wide(0)).await.status, StatusCode::OK);
    assert_eq!(rig.flagsmith("key-2", r#"{"f":1}"#).await.reason(), "journal_full");
    rig.seal().await;
    assert_eq!(rig.flagsmith("key-2", r#"{"f":1}"#).await.status, StatusCode::OK);
}

#[tokio::test]
async fn one_environment_that_has_its_share_of_points_stops_no_other() {
    for ack in [Ack::Disk, Ack::Memory] {
        let rig = Rig::with(|config| (config.points_waiting_max, config.ack) = (4_000, ack));
        assert_eq!(rig.flagsmith("key-1", wide(0)).await.status, StatusCode::OK);
        // The committer has done what came before.
        rig.tamper(|_| {}).await;
        let refused = rig.flagsmith("key-1", r#"{"f":1}"#).await;
        assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (503, "environment_full"));
        assert!(refused.headers.contains_key("retry-after"));
        assert_eq!(rig.flagsmith("key-2", r#"{"f":1}"#).await.status, StatusCode::OK);
        rig.seal().await;
        assert_eq!(rig.flagsmith("key-1", r#"{"f":1}"#).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn counts_too_large_for_a_store_are_refused_before_they_are_acknowledged() {
    let rig = Rig::with(|config| config.entries_max = 50_000);
    let body = |entries| format!("{{{}}}", vec!["\"f\":1000000000"; entries].join(","));
    let refused = rig.flagsmith("key-1", body(40_000)).await;
    assert_eq!((refused.status.as_u16(), refused.reason().as_str()), (413, "counts_too_large"));
    for _ in 0..3 {
        assert_eq!(rig.flagsmith("key-1", body(30_000)).await.status, StatusCode::OK);
    }
    let next = rig.killed_with(|config| config.entries_max = 50_000);
    for rig in [&rig, &next] {
        assert_eq!(rig.flagsmith("key-1", r#"{"f":1}"#).await.reason(), "environment_full");
        assert_eq!(rig.flagsmith("key-2", r#"{"f":1}"#).await.status, StatusCode::OK);
    }
    let batches = next.drained().await;
    assert_eq!(sums(&batches)[&Meter::Evaluations], 90_000_000_000_001);
    assert_every_count_has_a_fate(&batches);
    assert_eq!(next.flagsmith("key-1", r#"{"f":1}"#).await.status, StatusCode::OK);
}

#[tokio::test]
async fn answers_from_memory_are_counted_all_the_same_and_what_is_lost_is_told() {
    let rig = Rig::with(|config| config.ack = Ack::Memory);
    assert_eq!(rig.flagsmith("key-1", r#"{"f":2}"#).await.status, StatusCode::OK);
    rig.seal().await;
    rig.tamper(|journal| journal.limit_pages(Some(0))).await;
    assert_eq!(rig.flagsmith("key-1", wide(1)).await.status, StatusCode::OK);
    let _ = rig.edge.seal(false).await;
    assert_eq!(rig.metric("memory_lost_total", &[]), 1_000);
    rig.tamper(|journal| journal.limit_pages(None)).await;
    assert_eq!(sums(&rig.drained().await)[&Meter::Evaluations], 2);
}
