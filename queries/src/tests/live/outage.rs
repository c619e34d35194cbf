//! What streams say when there is no answer.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::Value;

use super::{
    super::{
        bench::{NOW, at},
        silent::Silent,
    },
    eventually, over, quick, quick_live, refusal, told, watch,
};

/// That no row of an event says 0 or a number that was not counted.
fn is_no_zero(answer: &Value) -> bool {
    answer["rows"].as_array().unwrap().iter().all(|row| row["count"].as_u64().is_some_and(|count| count > 0))
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_an_event_that_says_so_and_never_zeros() {
    let (bench, told) = told(quick());
    let query = "from=-1h&resolution=1m";
    let mut watching = watch(&bench, &bench.operator, query).await;
    watching.until("delta").await;
    told.is_away.store(true, Ordering::SeqCst);
    let problem = watching.until("problem").await;
    assert_eq!(problem.json()["type"], "urn:flagmeter:problem:store-unavailable");
    assert_eq!(problem.json()["status"], 503);
    assert!(!problem.data.contains("/secret"), "{}", problem.data);
    assert_eq!(problem.id, None, "who comes back goes on after the last answer");
    let before = watching.client.answer.clone().unwrap();
    // Who comes now is shown what is known, and told that it is not of now.
    let mut other = watch(&bench, &bench.operator, query).await;
    assert_eq!(other.next().await.unwrap().json(), before);
    assert_eq!(other.next().await.unwrap().data, problem.data);
    // Where nothing is known there is no answer at all, and the stream is open all the same.
    let mut third = watch(&bench, &bench.operator, "from=-2h").await;
    assert_eq!(third.next().await.unwrap().name, "problem");
    let tries = bench.metric("flagmeter_queries_live_computed_total", &["failed"]);
    eventually("tries", || bench.metric("flagmeter_queries_live_computed_total", &["failed"]) > tries + 3)
        .await;
    told.stands_still.store(true, Ordering::SeqCst);
    told.is_away.store(false, Ordering::SeqCst);
    // The same trouble was told once; the first answer after it ends it, though it is the same as before.
    assert_eq!(watching.next().await.unwrap().name, "delta");
    assert_eq!(other.next().await.unwrap().name, "delta");
    assert_eq!(third.next().await.unwrap().name, "snapshot");
    for client in [&watching.client, &other.client, &third.client] {
        assert!(is_no_zero(client.answer.as_ref().unwrap()));
    }
    let usage = bench.get(&format!("/v1/usage?{query}")).await.json();
    assert_eq!(watching.client.answer.as_ref(), Some(&usage));
    assert_eq!(bench.metric("flagmeter_queries_live_events_total", &["problem"]), 3);
}

#[tokio::test(start_paused = true)]
async fn tries_grow_rarer_while_the_store_is_away() {
    let (bench, told) = told(quick_live(|live| live.interval = Duration::from_millis(20)));
    told.is_away.store(true, Ordering::SeqCst);
    let _watching = watch(&bench, &bench.operator, "").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    // At once, and after 40, 80 and 160 ms more, not every 20.
    assert_eq!(told.reads.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_told_of_and_holds_up_no_head() {
    let config = crate::Config { read_timeout: Duration::from_mins(1), ..quick() };
    let bench = over(Silent::Never, config);
    let head = watch(&bench, &bench.operator, "resolution=1h");
    let mut watching = tokio::time::timeout(Duration::from_secs(5), head).await.expect("a head");
    let problem = watching.next().await.unwrap();
    assert_eq!((problem.name.as_str(), &problem.json()["status"]), ("problem", &503.into()));
}

#[tokio::test]
async fn a_question_that_can_have_no_answer_is_refused_with_a_status() {
    let (bench, _) = told(quick_live(|live| live.rows_max = 5));
    let refused = refusal(&bench, &bench.operator, "from=-1h&resolution=1m", 422).await.problem(422);
    assert!(refused["detail"].as_str().unwrap().contains("more than 5 rows"), "{refused}");
    bench.get("/v1/usage?from=-1h&resolution=1m").await.json();
    refusal(&bench, &bench.operator, "from=-1h&resolution=5m", 400).await.problem(400);
    refusal(&bench, &bench.operator, "format=csv", 400).await.problem(400);
    refusal(&bench, &bench.operator, "from=now&to=-1h", 400).await.problem(400);
    assert_eq!(bench.metric("flagmeter_queries_live_viewers", &[]), 0);
    // One that has none any more says so, and ends.
    let mut watching = watch(&bench, &bench.operator, "from=-1m&to=2026-11-20T12:44:50Z&resolution=1m").await;
    watching.until("snapshot").await;
    bench.clock.set(at(NOW).plus_seconds(3_600));
    let problem = watching.until("problem").await.json();
    assert_eq!((&problem["status"], &problem["parameter"]), (&400.into(), &"from".into()));
    assert!(watching.next().await.is_none());
}

#[tokio::test]
async fn rows_that_are_kept_are_bounded_over_all_questions() {
    let (bench, _) = told(quick_live(|live| {
        live.rows_held_max = 100;
        live.linger = Duration::from_millis(5);
    }));
    let mut first = watch(&bench, &bench.operator, "from=-59m&resolution=1m").await;
    first.until("snapshot").await;
    let mut second = watch(&bench, &bench.operator, "from=-58m&resolution=1m").await;
    let problem = second.next().await.unwrap();
    assert_eq!(problem.json()["type"], "urn:flagmeter:problem:busy");
    drop(first);
    assert_eq!(second.until("snapshot").await.json()["rows"].as_array().unwrap().len(), 59);
}

#[tokio::test]
async fn a_bug_leaves_nobody_waiting() {
    let bench = over(Silent::Panics, quick());
    for _ in 0..2 {
        let mut watching = watch(&bench, &bench.operator, "resolution=1h").await;
        assert!(watching.next().await.is_none());
    }
    eventually("it is forgotten", || bench.metric("flagmeter_queries_live_queries", &[]) == 0).await;
}
