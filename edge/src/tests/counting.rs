//! What is sent is what is counted.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use flagmeter_model::{Meter, Registry, Slot};
use tokio_util::sync::CancellationToken;

use super::harness::{REGISTRY, Rig, assert_every_count_has_a_fate, flagsmith, named, start, stored, sums};

#[tokio::test]
async fn a_flagsmith_v1_post_is_counted_at_its_arrival() {
    let rig = Rig::new();
    let request = Request::post("/api/v1/analytics/flags/")
        .header("x-environment-key", "key-1")
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "flagsmith-nodejs-sdk/6.1.0")
        .body(Body::from(r#"{"checkout": 12, "dark-mode": 3}"#))
        .unwrap();
    let answer = rig.send(request).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    let batches = rig.drained().await;
    let slot = Slot::containing(start()).number();
    let seq = batches[0].seq.get();
    let points = stored(&batches);
    let point = |meter, name: &str| points[&("production".into(), meter, name.into(), None, slot, seq)];
    assert_eq!(point(Meter::Evaluations, "checkout"), 12);
    assert_eq!(point(Meter::Evaluations, "dark-mode"), 3);
    assert_eq!(point(Meter::Received, "flagsmith.v1"), 15);
    let sdks: Vec<_> = batches.iter().flat_map(|b| &b.environments).flat_map(|e| &e.series).collect();
    assert!(sdks.iter().any(|key| key.sdk.as_deref() == Some("flagsmith-nodejs-sdk/6.1.0")));
    assert_every_count_has_a_fate(&batches);
}

#[tokio::test]
async fn every_door_answers_as_its_sdk_wants() {
    let rig = Rig::new();
    let v2 = r#"{"evaluations":[{"feature_name":"f","enabled_when_evaluated":true,"count":3}]}"#;
    let proxy = r#"[{"client_side_key":"key-1","resource":"flags","count":4},
                    {"client_side_key":"key-2","resource":"flags","count":5},
                    {"client_side_key":"nobody","resource":"flags","count":6}]"#;
    let own = r#"{"counts":[{"flag":"f","count":1}]}"#;
    for (path, header, key, body, status, reply) in [
        ("/api/v1/analytics/flags", "x-environment-key", "key-1", r#"{"f":2}"#, 200, ""),
        ("/api/v2/analytics/flags/", "x-environment-key", "key-1", v2, 204, ""),
        ("/api/v2/analytics/flags", "x-environment-key", "key-1", v2, 204, ""),
        ("/api/proxy/usage/", "x-proxy-key", "any", proxy, 204, ""),
        ("/v1/counts", "authorization", "Bearer key-1", own, 202, r#"{"accepted":1,"rejected":[]}"#),
    ] {
        let request = Request::post(path).header(header, key).body(Body::from(body)).unwrap();
        let answer = rig.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (status, reply), "{path}");
    }
    let batches = rig.drained().await;
    assert_eq!(sums(&batches)[&Meter::Evaluations], 2 + 3 + 3 + 1);
    assert_eq!(sums(&batches)[&Meter::Requests], 4 + 5, "each row for its own environment");
    let doors = named(&batches, Meter::Received);
    assert_eq!(doors["flagsmith.proxy"], 9, "a row of nobody is counted as such, not for anyone");
    assert_eq!(rig.metric("unknown_key_rows_total", &[]), 1);
    assert_eq!(rig.metric("requests_total", &[("door", "flagsmith.v2"), ("outcome", "accepted")]), 2);
    assert_every_count_has_a_fate(&batches);
}

#[tokio::test]
async fn a_proxy_that_names_no_known_environment_leaves_no_idempotency_key() {
    let rig = Rig::new();
    let post = |row: &str| {
        let request = Request::post("/api/proxy/usage/").header("x-proxy-key", "any");
        request.header("idempotency-key", "k").body(Body::from(format!("[{row}]"))).unwrap()
    };
    for row in ["", "1", r#"{"client_side_key":"nobody","resource":"flags","count":6}"#] {
        assert_eq!(rig.send(post(row)).await.status, StatusCode::NO_CONTENT);
    }
    rig.seal().await;
    assert_eq!(rig.metric("idempotency_keys", &[]), 0);
    assert_eq!(rig.metric("requests_total", &[("door", "flagsmith.proxy"), ("outcome", "accepted")]), 3);
    rig.send(post(r#"{"client_side_key":"key-1","resource":"flags","count":4}"#)).await;
    assert_eq!(sums(&rig.drained().await)[&Meter::Requests], 4);
    assert_eq!(rig.metric("idempotency_keys", &[]), 1);
}

#[tokio::test]
async fn a_browser_may_send_from_any_page() {
    let rig = Rig::new();
    let asked = "content-type,traceparent,tracestate,x-environment-key,flagsmith-application-name,flagsmith-application-version,\
                 flagsmith-sdk-user-agent,user-agent";
    let preflight = Request::options("/api/v1/analytics/flags/")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", asked)
        .body(Body::empty())
        .unwrap();
    let answer = rig.send(preflight).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert!(answer.headers["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    let allowed = answer.headers["access-control-allow-headers"].to_str().unwrap().to_ascii_lowercase();
    for header in asked.split(',') {
        assert!(allowed.split(',').any(|allowed| allowed.trim() == header), "{header} in {allowed}");
    }
    let mut post = flagsmith("key-1", r#"{"f":1}"#);
    post.headers_mut().insert("origin", "https://shop.example".parse().unwrap());
    assert_eq!(rig.send(post).await.headers["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn a_count_with_a_time_lies_at_its_time() {
    let rig = Rig::new();
    let body = r#"{"counts":[{"flag":"f","variant":"on","count":7,"at":"2026-11-20T10:00:00+01:00"}]}"#;
    rig.counts(None, body).await;
    let batches = rig.drained().await;
    let at = flagmeter_model::Timestamp::parse_rfc3339("2026-11-20T09:00:00Z").unwrap();
    let point =
        stored(&batches).into_iter().find(|((_, meter, ..), _)| *meter == Meter::Evaluations).unwrap();
    assert_eq!((point.0.4, point.0.3.as_deref(), point.1), (Slot::containing(at).number(), Some("on"), 7));
}

#[tokio::test]
async fn counts_of_zero_are_taken_and_leave_nothing() {
    let rig = Rig::new();
    let answer = rig.counts(None, r#"{"counts":[{"flag":"f","count":0}]}"#).await;
    assert_eq!(answer.text(), r#"{"accepted":1,"rejected":[]}"#);
    assert_eq!(rig.flagsmith("key-1", "{}").await.status, StatusCode::OK);
    assert!(stored(&rig.drained().await).is_empty());
}

#[tokio::test]
async fn a_change_of_the_registry_takes_effect_at_once() {
    let rig = Rig::new();
    assert_eq!(rig.flagsmith("key-3", r#"{"f":1}"#).await.status, StatusCode::UNAUTHORIZED);
    let changed = REGISTRY.replace("key-2", "key-3");
    rig.registry.send_replace(Arc::new(Registry::parse(&changed).unwrap()));
    assert_eq!(rig.flagsmith("key-3", r#"{"f":1}"#).await.status, StatusCode::OK);
    assert_eq!(rig.flagsmith("key-2", r#"{"f":1}"#).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn many_requests_share_one_commit() {
    let rig = Rig::new();
    let sends = (0..64).map(|_| rig.flagsmith("key-1", r#"{"f":1}"#));
    let answers = futures(sends).await;
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    let families = rig.metrics.gather();
    let group = families.iter().find(|family| family.name() == "flagmeter_edge_commit_requests").unwrap();
    let histogram = group.get_metric()[0].get_histogram();
    assert_eq!(rig.metric("commit_requests", &[]), 64);
    assert!(histogram.get_sample_count() < 32, "{} commits", histogram.get_sample_count());
    assert_eq!(sums(&rig.drained().await)[&Meter::Evaluations], 64);
}

/// Polls all of them together on this thread: each leaves its request before the first is answered.
async fn futures<F: Future>(sends: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut sends: Vec<_> = sends.map(|send| (Box::pin(send), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (send, output) in &mut sends {
            if output.is_none() {
                match send.as_mut().poll(context) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    sends.into_iter().filter_map(|(_, output)| output).collect()
}

#[tokio::test]
async fn a_second_copy_in_flight_is_the_duplicate() {
    let rig = Rig::new();
    let body = r#"{"counts":[{"flag":"f","count":5},{"flag":"f","count":-1}]}"#;
    let answers = futures((0..8).map(|_| rig.counts(Some("retry-1"), body))).await;
    for answer in &answers {
        assert_eq!(answer, &answers[0], "answered byte for byte like the first");
    }
    let batches = rig.drained().await;
    let sums = sums(&batches);
    assert_eq!(sums[&Meter::Evaluations], 5);
    assert_eq!((sums[&Meter::Received], sums[&Meter::Duplicate]), (8 * 6, 7 * 6));
    assert_eq!(sums[&Meter::Rejected], 1);
    assert_every_count_has_a_fate(&batches);
}

#[tokio::test]
async fn a_duplicate_is_told_by_environment_and_key_and_answered_like_the_first() {
    let rig = Rig::new();
    let first = rig.counts(Some("k"), r#"{"counts":[{"flag":"f","count":5},{"flag":"","count":2}]}"#).await;
    rig.seal().await;
    let again = rig.counts(Some("k"), r#"{"counts":[{"flag":"other","count":9}]}"#).await;
    assert_eq!(again, first);
    let mut elsewhere = flagsmith("key-2", r#"{"f":1}"#);
    elsewhere.headers_mut().insert("idempotency-key", "k".parse().unwrap());
    rig.send(elsewhere).await;
    let batches = rig.drained().await;
    assert_eq!(named(&batches, Meter::Evaluations)["f"], 6, "another environment's key is another key");
    assert_eq!(named(&batches, Meter::Duplicate)["counts.v1"], 9);
    assert_every_count_has_a_fate(&batches);
}

#[tokio::test]
async fn a_key_is_forgotten_after_its_time() {
    let rig = Rig::new();
    let body = r#"{"counts":[{"flag":"f","count":5}]}"#;
    rig.counts(Some("k"), body).await;
    rig.clock.advance(24 * 3_600 - 1);
    rig.seal().await;
    rig.counts(Some("k"), body).await;
    rig.clock.advance(2);
    rig.seal().await;
    rig.counts(Some("k"), body).await;
    let sums = sums(&rig.drained().await);
    assert_eq!((sums[&Meter::Evaluations], sums[&Meter::Duplicate]), (10, 5));
}

#[tokio::test]
async fn too_many_keys_push_out_the_oldest_and_say_so() {
    let rig = Rig::with(|config| config.idempotency_keys_max = 2);
    for key in ["a", "b", "c"] {
        rig.counts(Some(key), r#"{"counts":[{"flag":"f","count":1}]}"#).await;
        rig.clock.advance(1);
    }
    rig.seal().await;
    assert_eq!(rig.metric("idempotency_keys_forgotten_early_total", &[]), 1);
    rig.counts(Some("a"), r#"{"counts":[{"flag":"f","count":1}]}"#).await;
    rig.counts(Some("c"), r#"{"counts":[{"flag":"f","count":1}]}"#).await;
    assert_eq!(sums(&rig.drained().await)[&Meter::Duplicate], 1);
}

#[tokio::test]
async fn a_run_hands_on_everything_and_says_farewell() {
    let rig = Rig::new();
    rig.flagsmith("key-1", r#"{"f":3}"#).await;
    let stop = CancellationToken::new();
    stop.cancel();
    rig.edge.run(stop).await.unwrap();
    let batches = rig.log.batches();
    assert_eq!(sums(&batches)[&Meter::Evaluations], 3);
    assert!(batches.iter().filter(|batch| batch.watermark.is_some()).all(|batch| batch.farewell));
    let answer = rig.flagsmith("key-1", r#"{"f":3}"#).await;
    assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "closing"));
    assert!(answer.headers.contains_key("retry-after"));
    let next = rig.killed();
    assert_eq!(next.metric("outbox_records", &[]), 0, "what the log has is forgotten");
    assert_eq!(next.edge.received().values().sum::<u64>(), 3, "the totals of all time stay");
}
