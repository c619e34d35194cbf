//! What a real server keeps of nodes, marks and registers, however long the store lives.

use std::time::Duration;

use flagmeter_model::{ManualClock, Tier, Timestamp};
use serde_json::json;

use super::{Influx, server::Buckets};
use crate::{
    Frontier, Result, Store,
    conformance::{
        Harness,
        fixture::{HOUR, Held, MINUTE, Seal, at, environment, flag, range, seq_at, series, window, write},
    },
    influx::{
        InfluxStore, csv, init,
        registers::{self, Register},
        schema::nanoseconds,
    },
};

/// A seal as a node makes it: numbered by its second.
fn seal(node: u16, second: i64) -> Seal {
    Seal::new(node, seq_at(second)).unwrap().covering(second - 10, second).heard(second + 1)
}

/// Rows that a bucket holds of a measurement.
async fn rows(store: &InfluxStore, bucket: &str, select: &str) -> usize {
    let source = crate::influx::schema::source(bucket, select.split(' ').next().unwrap());
    let field = select.split(' ').nth(1).unwrap();
    let answer = store.client.query(&format!("SELECT \"{field}\" AS \"row\" FROM {source}")).await.unwrap();
    let mut rows = 0;
    csv::visit(&answer, |_| {
        rows += 1;
        Ok(())
    })
    .unwrap();
    rows
}

/// Has the server forget what lies before a time in the state bucket, as its retention does.
async fn forget(harness: &Influx, before: Timestamp) {
    let config = &harness.buckets.config;
    let url =
        format!("{}/api/v2/delete?org={}&bucket={}", config.url, config.org, harness.store.buckets.state);
    let range = json!({ "start": "1970-01-01T00:00:00Z", "stop": before.to_string() });
    let http = crate::influx::connection::http(config).unwrap().build().unwrap();
    let deleted = http
        .post(url)
        .header("authorization", format!("Token {}", config.token))
        .body(range.to_string())
        .send()
        .await
        .unwrap();
    assert!(deleted.status().is_success(), "{deleted:?}");
}

#[tokio::test]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn nodes_and_covered_time_outlive_the_state_bucket() {
    let mut harness = Influx::new().await.unwrap();
    for second in (10..100).step_by(10) {
        write(&*harness.store, &[seal(1, second), seal(2, second)]).await.unwrap();
    }
    write(&*harness.store, &[seal(2, 100).farewell()]).await.unwrap();
    let state = harness.store.buckets.state.clone();
    assert!(rows(&harness.store, &state, "progress told").await > 10, "what is young is told there");
    let before = harness.store.state().await.unwrap();
    assert_eq!(before.covered.iter().collect::<Vec<_>>(), [range(0, 100)]);

    harness.clock.set(at(HOUR / 2));
    harness.store.advance(Tier::Hour, at(0)).await.unwrap();
    let meta = harness.store.buckets.meta.clone();
    assert_eq!(rows(&harness.store, &meta, "progress told").await, 0, "nothing is kept after half an hour");
    // One node goes on.
    for hours in 1..=30 {
        harness.clock.set(at(hours * HOUR));
        write(&*harness.store, &[seal(1, hours * HOUR)]).await.unwrap();
        harness.store.advance(Tier::Hour, at(hours * HOUR)).await.unwrap();
    }
    let before = harness.store.state().await.unwrap();
    assert_eq!((before.progress.len(), before.progress[1].farewell), (2, true));
    assert_eq!(before.covered.iter().count(), 31);
    forget(&harness, at(28 * HOUR)).await;
    harness.crash().await.unwrap();
    assert_eq!(harness.store.state().await.unwrap(), before);
    let kept = harness.store.known().time(Register::Kept).unwrap();
    assert_eq!(kept, at(29 * HOUR), "readers begin there");
}

/// The server stores the fields of a point one after the other, and answers meanwhile.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn what_is_told_of_nodes_is_told_whole_while_it_is_written() {
    const SEALS: i64 = 200;
    let harness = Influx::new().await.unwrap();
    write(&*harness.store, &[seal(1, 10)]).await.unwrap();
    let writing = async {
        for second in 11..11 + SEALS {
            let nodes: Vec<_> = (1..=8).map(|node| seal(node, second)).collect();
            write(&*harness.store, &nodes).await.unwrap();
        }
    };
    let (mut asked, mut writing) = (0, std::pin::pin!(writing));
    let asking = async {
        loop {
            harness.store.state().await.unwrap();
            asked += 1;
        }
    };
    tokio::select! {
        () = &mut writing => {}
        () = asking => {}
    }
    assert!(asked > 0);
}

#[tokio::test]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn what_ingest_catches_up_with_is_kept_at_once() {
    let harness = Influx::new().await.unwrap();
    harness.clock.set(at(5 * HOUR));
    let store = &harness.store;
    for minute in 0..150 {
        write(&**store, &[seal(1, minute * MINUTE), seal(1, minute * MINUTE + 10)]).await.unwrap();
    }
    let state = store.buckets.state.clone();
    assert_eq!(rows(store, &state, "progress told").await, 0);
    assert_eq!(rows(store, &state, "covered until").await, 0);
    let told = store.state().await.unwrap();
    assert_eq!(told.progress[0].watermark, at(149 * MINUTE + 10));
    assert_eq!(told.covered.iter().count(), 150);
}

#[tokio::test]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn marks_are_swept_once_they_are_old_and_none_is_open() {
    let harness = Influx::new().await.unwrap();
    let (store, one) = (&harness.store, environment("one").unwrap());
    let marked = async |store: &InfluxStore| store.marks(Tier::Minute, Timestamp::MAX, 9).await.unwrap();
    store.mark(&[window(Tier::Minute, 0, &one)]).await.unwrap();
    let first = marked(store).await;
    harness.clock.advance(600);
    store.mark(&[window(Tier::Minute, MINUTE, &one)]).await.unwrap();
    let all = marked(store).await;
    assert_eq!((first.len(), all.len()), (1, 2));

    harness.clock.set(at(4 * HOUR));
    let upkeep = async || {
        store.retain(crate::Floors::default()).await.unwrap();
        registers::read(store).await.unwrap()
    };
    assert_eq!(upkeep().await.time(Register::Swept), Some(at(0)), "the first mark is open");
    assert_eq!(marked(store).await, all);
    store.clear(&first).await.unwrap();
    assert_eq!(upkeep().await.time(Register::Sweeping), Some(at(600)), "up to the second one");
    assert_eq!(marked(store).await, all[1..]);
    store.clear(&all[1..]).await.unwrap();
    assert_eq!(upkeep().await.time(Register::Swept), Some(at(3 * HOUR)));
    store.mark(&[window(Tier::Minute, 0, &one)]).await.unwrap();
    assert_eq!(marked(store).await.len(), 1);
}

#[tokio::test]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn whoever_marks_behind_a_sweeper_marks_again() {
    let harness = Influx::new().await.unwrap();
    let (store, one) = (&harness.store, environment("one").unwrap());
    // The clock of the downsampler that swept was ahead by an hour.
    let ahead = nanoseconds(at(HOUR));
    registers::raise(store, &[(Register::Sweeping, ahead), (Register::Swept, ahead)]).await.unwrap();
    store.mark(&[window(Tier::Minute, 0, &one), window(Tier::Minute, 60, &one)]).await.unwrap();
    let marks = store.marks(Tier::Minute, Timestamp::MAX, 9).await.unwrap();
    assert_eq!(marks.len(), 2, "seen by who begins where was swept");
    store.clear(&marks).await.unwrap();
    assert_eq!(store.state().await.unwrap().dirty, 0);
}

#[tokio::test]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn registers_hold_times_that_are_still_to_come() {
    let harness = Influx::new().await.unwrap();
    let (store, late) = (&harness.store, at(800_000 * HOUR));
    store.announce(late).await.unwrap();
    store.advance(Tier::Minute, at(HOUR)).await.unwrap();
    let minute = store.state().await.unwrap().frontiers.minute;
    assert_eq!(minute, Frontier { announced: Some(late), whole: Some(at(HOUR)) });
}

/// The server forgets raw points sooner than we think: its clock is a year ahead of ours.
#[tokio::test]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn points_that_the_server_does_not_keep_are_dead_letters() {
    let buckets = Buckets::made(|config| config.retain_raw = Some(Duration::from_hours(48))).await;
    assert!(init(&buckets.config).await.unwrap().is_empty(), "done again, it does nothing");
    let clock = ManualClock::at(at(0));
    let result: Result<()> = async {
        let store = buckets.open(&clock).await?;
        let (one, a) = (environment("one")?, flag("a")?);
        let seal = Seal::new(1, 1)?.count(&one, &a, 0, 5).count(&one, &flag("b")?, 70, 6);
        let written = write(&*store, &[seal]).await?;
        assert_eq!((written.points, written.dead_letters["refused"]), (0, 1));
        assert_eq!(series(&*store, &one, Tier::Raw).await?, Held::new());
        let letters = store.dead_letters(None, 9).await?;
        assert_eq!((letters.len(), letters[0].count), (1, Some(11)));
        assert!(letters[0].detail.contains("retention"), "{}", letters[0].detail);
        // Four days ago by our clock, the server would have forgotten it: it is not even sent.
        let old = Seal::new(1, 2)?.place(0, 2).count(&one, &a, -96 * HOUR, 7);
        assert_eq!(write(&*store, &[old]).await?.past_retention, 1);
        Ok(())
    }
    .await;
    result.unwrap();

    let longer =
        crate::influx::Config { retain_raw: Some(Duration::from_hours(96)), ..buckets.config.clone() };
    let error = InfluxStore::open(longer.clone(), std::sync::Arc::new(clock)).await.unwrap_err();
    assert!(error.to_string().contains("_raw of InfluxDB keeps 4 days, and must keep 8 days"), "{error}");
    let done = init(&longer).await.unwrap();
    assert_eq!(done.len(), 2, "{done:?}");
    assert!(done[0].ends_with("_raw keeps 8 days from now on"), "{done:?}");
    assert!(init(&buckets.config).await.unwrap().is_empty(), "never shortened");
}
