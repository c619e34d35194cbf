//! What streams say.

use std::{sync::atomic::Ordering, time::Duration};

use axum::{body::Body, http::Request};
use flagmeter_model::{ContentEncoding, decompress};
use http_body_util::BodyExt as _;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::json;
use tower::ServiceExt as _;

use super::{
    super::{
        bench::{Bench, NOW, acme, at, flag, globex},
        silent::Told,
    },
    eventually, quick, quick_live, told, watch, watch_after,
};

#[derive(Debug, Clone)]
enum Step {
    /// The node was there for so long, and counted these.
    Count(i64, Vec<(bool, u8, u64)>),
    /// Nobody was there for so long.
    Gap(i64),
    /// Time passes, and nothing is said.
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let counts = vec((any::<bool>(), 0..3_u8, 1..9_u64), 0..3);
    prop_oneof![
        3 => (5..70_i64, counts).prop_map(|(seconds, counts)| Step::Count(seconds, counts)),
        1 => (5..400_i64).prop_map(Step::Gap),
        1 => (1..90_i64).prop_map(Step::Wait),
    ]
}

const QUERIES: [&str; 4] = [
    "from=-10m&resolution=1m&group_by=flag&limit=1",
    "from=-3m&resolution=10s&group_by=customer,flag&compare=previous",
    "customer=acme",
    "from=2026-11-20&to=2026-11-21&resolution=1h&tz=Europe/Berlin",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// On the real store, whatever is counted, late or not at all.
    #[test]
    fn what_a_viewer_has_is_what_usage_answers(steps in vec(step(), 1..6), which in select(&QUERIES[..])) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::configured(quick());
            let (mut now, mut sealed) = (at(NOW), at("2026-11-20T12:30:00Z"));
            bench.seal(sealed.plus_seconds(-3_600), sealed, &[(&acme(), flag("f0"), sealed.plus_seconds(-600), 2)]).await;
            let mut watching = watch(&bench, &bench.operator, which).await;
            let (acme, globex) = (acme(), globex());
            for step in steps {
                match step {
                    Step::Count(seconds, counts) => {
                        let to = sealed.plus_seconds(seconds);
                        let counts: Vec<_> = counts.iter().map(|(of_acme, name, count)| {
                            let owner = if *of_acme { &acme } else { &globex };
                            (owner, flag(&format!("f{name}")), to.plus_seconds(-i64::from(*name)), *count)
                        }).collect();
                        now = now.max(to);
                        bench.clock.set(now);
                        bench.seal(sealed, to, &counts).await;
                        sealed = to;
                    }
                    Step::Gap(seconds) => sealed = sealed.plus_seconds(seconds),
                    Step::Wait(seconds) => {
                        now = now.plus_seconds(seconds);
                        bench.clock.set(now);
                    }
                }
                let usage = bench.get(&format!("/v1/usage?{which}")).await.json();
                watching.until_it_is(&usage).await;
            }
        });
    }
}

#[tokio::test]
async fn a_time_without_nodes_is_null_in_the_stream_and_stays_null() {
    let bench = Bench::configured(quick());
    bench.seal(at("2026-11-20T11:00:00Z"), at("2026-11-20T11:20:00Z"), &[]).await;
    let counts = [(&acme(), flag("search"), at("2026-11-20T11:31:00Z"), 5)];
    bench.seal(at("2026-11-20T11:30:00Z"), at(NOW), &counts).await;
    let query = "from=2026-11-20T11:00:00Z&to=2026-11-20T12:00:00Z&resolution=1m";
    let mut watching = watch(&bench, &bench.operator, query).await;
    let snapshot = watching.until("snapshot").await.json();
    let is_gap = |answer: &serde_json::Value| {
        let row = &answer["rows"][25];
        (&row["count"], &row["state"]) == (&json!(null), &json!("unknown"))
    };
    assert!(is_gap(&snapshot), "{snapshot}");
    assert_eq!(snapshot["state"], "partial");
    bench.seal(at(NOW), at(NOW), &[(&acme(), flag("search"), at("2026-11-20T11:32:00Z"), 2)]).await;
    let delta = watching.until("delta").await.json();
    assert_eq!((delta["rows"].as_array().unwrap().len(), &delta["total"]), (1, &json!(7)));
    assert!(is_gap(watching.client.answer.as_ref().unwrap()));
}

#[tokio::test]
async fn one_computation_and_one_encoding_are_for_all_who_ask_the_same() {
    let (bench, told) = told(quick_live(|live| live.interval = Duration::from_millis(50)));
    // Written in other words, and by a customer of what an operator asks for: the same.
    let asked = [
        (&bench.operator, "customer=acme&from=-60m&resolution=1m&tz=UTC&flag=a&flag=b"),
        (&bench.operator, "flag=b&flag=a&flag=a&resolution=1m&from=-1h&to=now&customer=acme"),
        (&bench.billing, "customer=acme&from=-1h&resolution=1m&meter=evaluations&flag=a&flag=b"),
        (&bench.acme, "from=-3600s&resolution=1m&tz=UTC&flag=a&flag=b"),
    ];
    let (began, mut bodies) = (std::time::Instant::now(), Vec::new());
    told.stands_still.store(true, Ordering::SeqCst);
    for _ in 0..25 {
        for (token, query) in asked {
            bodies.push(bench.ask(token, &format!("/v1/live?{query}")).await.into_body());
        }
    }
    assert_eq!(bench.metric("flagmeter_queries_live_viewers", &[]), 100);
    assert_eq!(bench.metric("flagmeter_queries_live_queries", &[]), 1);
    for (kind, stands_still) in [("event: snapshot", true), ("event: delta", false)] {
        told.stands_still.store(stands_still, Ordering::SeqCst);
        let mut first = None;
        for body in &mut bodies {
            let bytes = loop {
                let bytes = body.frame().await.unwrap().unwrap().into_data().unwrap();
                if std::str::from_utf8(&bytes).unwrap().contains(kind) {
                    break bytes;
                }
            };
            let is_same = first.get_or_insert_with(|| bytes.clone()).as_ptr() == bytes.as_ptr();
            assert!(is_same, "the bytes of an event are there once");
        }
    }
    let reads = told.reads.load(Ordering::SeqCst);
    assert!(
        u128::from(reads) <= began.elapsed().as_millis() / 50 + 1,
        "viewers do not make it more: {reads}"
    );
    assert_eq!(bench.metric("flagmeter_queries_live_events_total", &["snapshot"]), 100);
    assert_eq!(bench.metric("flagmeter_queries_live_events_total", &["delta"]), 100);
    drop(bodies);
    assert_eq!(bench.metric("flagmeter_queries_live_viewers", &[]), 0);
}

#[tokio::test]
async fn what_is_asked_differently_is_another_question() {
    let (bench, _) = told(quick());
    let mut streams = Vec::new();
    for query in ["", "tz=Asia/Tokyo", "flag=a", "from=-23h", "limit=3&group_by=flag", "meter=requests"] {
        streams.push(watch(&bench, &bench.operator, query).await);
    }
    streams.push(watch(&bench, &bench.acme, "").await);
    assert_eq!(bench.metric("flagmeter_queries_live_queries", &[]), 7);
}

#[tokio::test]
async fn who_comes_back_gets_what_it_missed_and_no_more() {
    let (bench, told) = told(quick());
    let query = "from=-1h&resolution=1m";
    let mut watching = watch_after(&bench, query, None).await;
    watching.until("delta").await;
    let (before, id) = watching.leave();
    let missed = told.reads.load(Ordering::SeqCst) + 3;
    let mut other = watch_after(&bench, query, None).await;
    eventually("news", || told.reads.load(Ordering::SeqCst) > missed).await;
    let mut back = watch_after(&bench, query, id.as_deref()).await;
    back.client = before;
    told.stands_still.store(true, Ordering::SeqCst);
    assert_eq!(back.next().await.unwrap().name, "delta");
    let usage = bench.get(&format!("/v1/usage?{query}")).await.json();
    back.until_it_is(&usage).await;
    other.until_it_is(&usage).await;
    assert_eq!(bench.metric("flagmeter_queries_live_events_total", &["snapshot"]), 2);
    // An id of elsewhere leads nowhere: from the beginning.
    let mut lost = watch_after(&bench, query, Some("0123456789abcdef-7")).await;
    assert_eq!(lost.next().await.unwrap().name, "snapshot");
}

/// Looks until nothing is computed any more: with someone there, it is every few milliseconds. Where time is told, a
/// computation takes none, and no question rests for longer.
async fn nobody_computes(told: &Told) {
    for _ in 0..20 {
        let reads = told.reads.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(1)).await;
        if told.reads.load(Ordering::SeqCst) == reads {
            return;
        }
    }
    panic!("it is computed though nobody watches");
}

#[tokio::test(start_paused = true)]
async fn who_comes_when_all_have_left_is_shown_what_is_now() {
    let (bench, told) = told(quick());
    watch(&bench, &bench.operator, "from=-1h").await.until("delta").await;
    nobody_computes(told).await;
    told.stands_still.store(true, Ordering::SeqCst);
    told.count.fetch_add(100, Ordering::SeqCst);
    let first = watch(&bench, &bench.operator, "from=-1h").await.next().await.unwrap();
    assert_eq!(
        (first.name.as_str(), first.json()),
        ("snapshot", bench.get("/v1/usage?from=-1h").await.json())
    );
    // Also where that is the same as before.
    nobody_computes(told).await;
    let first = watch(&bench, &bench.operator, "from=-1h").await.next().await.unwrap();
    assert_eq!(first.json(), bench.get("/v1/usage?from=-1h").await.json());
}

#[tokio::test(start_paused = true)]
async fn the_last_to_leave_finds_its_place_again() {
    let (bench, told) = told(quick());
    let mut watching = watch_after(&bench, "from=-1h", None).await;
    watching.until("delta").await;
    let (before, id) = watching.leave();
    eventually("rest", || bench.metric("flagmeter_queries_live_viewers", &[]) == 0).await;
    nobody_computes(told).await;
    let mut back = watch_after(&bench, "from=-1h", id.as_deref()).await;
    back.client = before;
    assert_eq!(back.next().await.unwrap().name, "delta");
    told.stands_still.store(true, Ordering::SeqCst);
    back.until_it_is(&bench.get("/v1/usage?from=-1h").await.json()).await;
}

#[tokio::test]
async fn a_question_that_nobody_watches_any_more_is_forgotten() {
    let (bench, _) = told(quick_live(|live| live.linger = Duration::from_millis(20)));
    let mut watching = watch(&bench, &bench.operator, "").await;
    watching.until("snapshot").await;
    drop(watching);
    eventually("it is forgotten", || bench.metric("flagmeter_queries_live_queries", &[]) == 0).await;
    watch(&bench, &bench.operator, "").await.until("delta").await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_viewer_gets_a_fresh_snapshot() {
    let (bench, told) = told(quick_live(|live| live.interval = Duration::from_millis(1)));
    let query = "from=-10m&resolution=10s";
    let mut slow = watch(&bench, &bench.operator, query).await;
    slow.until("snapshot").await;
    eventually("many deltas", || told.reads.load(Ordering::SeqCst) > 150).await;
    told.stands_still.store(true, Ordering::SeqCst);
    let usage = bench.get(&format!("/v1/usage?{query}")).await.json();
    assert_eq!(slow.next().await.unwrap().name, "snapshot");
    slow.until_it_is(&usage).await;
    assert_eq!(bench.metric("flagmeter_queries_live_slow_viewers_total", &[]), 1);
}

#[tokio::test]
async fn a_stream_with_nothing_to_say_says_that_it_is_there() {
    let (bench, told) = told(quick_live(|live| live.heartbeat = Duration::from_millis(20)));
    told.stands_still.store(true, Ordering::SeqCst);
    let mut watching = watch(&bench, &bench.operator, "").await;
    watching.until("snapshot").await;
    for _ in 0..3 {
        assert_eq!(watching.any().await.unwrap().name, "comment");
    }
    eventually("more of the same", || bench.metric("flagmeter_queries_live_computed_total", &["same"]) > 0)
        .await;
    assert!(bench.metric("flagmeter_queries_live_events_total", &["heartbeat"]) >= 3);
}

#[tokio::test]
async fn the_head_tells_whoever_is_on_the_way_to_keep_out() {
    let (bench, _) = told(quick());
    let response = bench.ask(&bench.operator, "/v1/live").await;
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "private, no-store, no-transform");
    assert_eq!(header("cdn-cache-control"), "no-store");
    assert_eq!(header("x-accel-buffering"), "no");
    assert_eq!(header("vary"), "accept-encoding, authorization, cookie, last-event-id");
    assert_eq!(header("x-content-type-options"), "nosniff");
    // Something is sent before there is any answer, so that nobody holds the head back; and not all come back at once.
    let mut after = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let first = watch(&bench, &bench.operator, "").await.any().await.unwrap();
        assert_eq!(first.name, "retry");
        let milliseconds: u64 = first.data.parse().unwrap();
        assert!((2_000..6_000).contains(&milliseconds));
        after.insert(milliseconds);
    }
    assert_eq!(after.len(), 5);
}

#[tokio::test]
async fn gzip_is_compressed_once_for_all_and_complete_at_its_end() {
    let (mut bench, told) = told(quick());
    let query = "/v1/live?from=-10m&resolution=10s";
    let request = || {
        let request = Request::get(query).header("authorization", format!("Bearer {}", bench.operator));
        request.header("accept-encoding", "gzip, br").body(Body::empty()).unwrap()
    };
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = bench.router.clone().oneshot(request()).await.unwrap();
        assert_eq!(answer.headers()["content-encoding"], "gzip");
        answers.push(answer.into_body());
    }
    eventually("news", || told.reads.load(Ordering::SeqCst) > 5).await;
    told.stands_still.store(true, Ordering::SeqCst);
    let usage = bench.get("/v1/usage?from=-10m&resolution=10s").await.json();
    let mut frames = Vec::new();
    for body in &mut answers {
        let mut next = async || body.frame().await.unwrap().unwrap().into_data().unwrap();
        frames.push((next().await, next().await));
    }
    assert_eq!(frames[0].1.as_ptr(), frames[1].1.as_ptr(), "the bytes of a snapshot are there once");
    drop(bench.awake.take());
    let rest = answers.remove(0).collect().await.unwrap().to_bytes();
    let sent = [&frames[0].0[..], &frames[0].1, &rest].concat();
    let plain = decompress(&sent, ContentEncoding::Gzip, 1 << 20).unwrap();
    let text = String::from_utf8(plain.to_vec()).unwrap();
    assert!(sent.len() * 3 < text.len(), "{} of {}", sent.len(), text.len());
    let mut client = super::Client::default();
    for event in text.split("\n\n").filter(|event| event.contains("event: ")) {
        let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        client.take(line("event: "), line("data: "));
    }
    assert_eq!(client.answer, Some(usage));
}
