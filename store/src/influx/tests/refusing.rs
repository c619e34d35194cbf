//! What the server refuses, and what it holds that cannot be read.

use std::sync::Arc;

use flagmeter_model::{ManualClock, Tier};

use super::{
    server::Buckets,
    stub::{END, Reply, Request, Stub},
};
use crate::{
    Error, Mark, Store, Write,
    conformance::fixture::{
        HOUR, MINUTE, Seal, assert_agree, at, environment, flag, roll_up, window, write_of,
    },
    influx::{
        Config, InfluxStore,
        line::Lines,
        schema::{TOTAL, nanoseconds},
    },
};

fn seal() -> Arc<Write> {
    let seal = Seal::new(1, 7).unwrap().covering(0, 60);
    let one = environment("one").unwrap();
    write_of(&[(0..12).fold(seal, |seal, slot| seal.count(&one, &flag("a").unwrap(), slot * 10, 1))]).unwrap()
}

fn is_total(request: &Request) -> bool {
    request.body.starts_with("total,")
}

/// Ingest takes `Error::Model` for a value of its own records, and would set every one of them aside.
#[tokio::test]
async fn what_is_stored_and_cannot_be_read_is_damage_and_no_fault_of_the_records() {
    let progress = |values: &str| format!("name,tags,time,progress,partition,node\nprogress,,0,{values}\n");
    let bad = [
        progress("1 0 9223372036854775807 0 0 ,0,1"),
        progress("1 0 0 0 2 ,0,1"),
        progress("1 0 0 0 0 \"a\tb\",0,1"),
        progress("1 0 0 0 0 ,0,60000"),
        progress(",0,1"),
        "name,tags,time,covered,from\ncovered,,0,9223372036854775807,0\n".to_owned(),
        "name,tags,time,covered,from\ncovered,,0,0,-9223372036854775807\n".to_owned(),
    ];
    for rows in bad {
        let answer = format!("{rows}\n{END}");
        let stub = Stub::new(move |request| {
            let is_it = request.question()?.contains("AS \"progress\"");
            is_it.then(|| Reply::Status(200, "", answer.clone()))
        });
        let store = stub.open().await.unwrap();
        for error in [store.state().await.unwrap_err(), store.write(seal()).await.unwrap_err()] {
            assert!(matches!(error, Error::Damaged(_)), "{rows}: {error:?}");
        }
    }
}

/// Whoever asks us has no part in how we ask InfluxDB.
#[tokio::test]
async fn a_question_that_is_refused_is_no_fault_of_who_asked() {
    for (status, is_long) in [(400, false), (422, false), (413, true)] {
        let stub = Stub::new(move |request| {
            request.question()?.contains("AS \"progress\"").then(|| Reply::refused(status, "parse error"))
        });
        match stub.open().await.unwrap().state().await.unwrap_err() {
            Error::Damaged(why) => assert!(!is_long && why.contains("parse error"), "{why}"),
            error => assert!(is_long && matches!(error, Error::TooMany { .. }), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn marks_that_the_server_forgets_anyway_are_cleared_as_far_as_it_goes() {
    let stub = Stub::new(|request| {
        let is_old = request.body.starts_with("mark,") && request.body.contains("environment=old");
        is_old.then(|| Reply::refused(422, "points beyond retention policy dropped=1"))
    });
    let config = Config { body_lines_max: 1, ..stub.config() };
    let store = InfluxStore::open(config, Arc::new(ManualClock::at(at(0)))).await.unwrap();
    let mark = |name: &str| {
        let mark = window(Tier::Minute, MINUTE, &environment(name).unwrap());
        Mark { window: mark.window, environment: mark.environment, tokens: vec![1 << 40] }
    };
    store.clear(&[mark("old"), mark("young")]).await.unwrap();
    assert_eq!(stub.written("flagmeter_state").len(), 2);
}

/// Totals that are refused, however few they are, belong to counts that are stored: all of it waits.
#[tokio::test]
async fn totals_go_in_bodies_like_counts_and_one_that_is_refused_repeats_the_write() {
    let (mut writes, old) = (0, (nanoseconds(at(40)) + (1 << 23) + 7).to_string());
    let stub = Stub::new(move |request| {
        writes += u32::from(request.body.starts_with("count,"));
        let is_it = writes == 1 && is_total(request) && request.body.contains(&old);
        is_it.then(|| Reply::refused(422, "points beyond retention policy dropped=1"))
    });
    let config = Config { body_lines_max: 20, ..stub.config() };
    let store = InfluxStore::open(config, Arc::new(ManualClock::at(at(0)))).await.unwrap();
    let error = store.write(seal()).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("not their totals"), "{error:?}");
    assert!(stub.requests().iter().all(|request| !request.body.contains("progress,")));
    assert_eq!(store.write(seal()).await.unwrap().points, 12);
    let bodies: Vec<_> = stub.requests().into_iter().filter(is_total).collect();
    assert!(bodies.len() > 2 && bodies.iter().all(|body| body.body.lines().count() <= 10), "{bodies:?}");
}

/// As by a proxy before it that bounds bodies: what counts come through, totals must as well.
#[tokio::test]
async fn totals_that_are_too_many_for_one_body_are_written_in_halves_each_once() {
    let stub = Stub::new(|request| {
        let is_it = is_total(request) && request.body.lines().count() > 3;
        is_it.then(|| Reply::refused(413, "too large"))
    });
    let store = stub.open().await.unwrap();
    assert_eq!(store.write(seal()).await.unwrap().points, 12);
    let totals = stub.requests().into_iter().filter(is_total).map(|request| request.body);
    let taken: Vec<String> = totals.filter(|body| body.lines().count() <= 3).collect();
    let mut lines: Vec<&str> = taken.iter().flat_map(|body| body.lines()).collect();
    assert_eq!(lines.len(), 12);
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 12);
}

/// Somebody else has given the field of totals another type. That can only be where there are none of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn totals_of_another_type_hold_the_write_up_until_they_are_deleted_and_nothing_is_lost() {
    let buckets = Buckets::new().await;
    let store = buckets.open(&ManualClock::at(at(0))).await.unwrap();
    let raw = store.buckets.tier(Tier::Raw);
    let mut lines = Lines::default();
    let mut line = lines.line(TOTAL);
    line.tag("customer", "nobody");
    line.text("count", "one");
    line.end(nanoseconds(at(0)));
    store.client.write(raw, &lines.finish()).await.unwrap();
    for _ in 0..2 {
        let error = store.write(seal()).await.unwrap_err();
        let told = error.to_string();
        assert!(error.is_retryable(), "{error:?}");
        assert!(told.contains("not their totals") && told.contains("field type conflict"), "{told}");
    }
    assert!(store.state().await.unwrap().progress.is_empty(), "nothing says that it is in");
    // As docs/scaling.md says.
    let config = &buckets.config;
    let told = serde_json::json!({
        "start": "1970-01-01T00:00:00Z",
        "stop": "2100-01-01T00:00:00Z",
        "predicate": "_measurement=\"total\"",
    });
    let url = format!("{}/api/v2/delete?org={}&bucket={raw}", config.url, config.org);
    let deleted = reqwest::Client::new()
        .post(url)
        .header("authorization", format!("Token {}", config.token))
        .body(told.to_string());
    assert_eq!(deleted.send().await.unwrap().status(), 204);
    assert_eq!(store.write(seal()).await.unwrap().points, 12);
    assert!(store.dead_letters(None, 9).await.unwrap().is_empty());
    roll_up(&*store, 0, HOUR).await.unwrap();
    assert_agree(&*store, &environment("one").unwrap()).await.unwrap();
}
