//! Every bad input gets its answer and its reason, and nothing else is lost.

use std::io::Write;

use axum::{body::Body, http::Request};
use flagmeter_model::Meter;

use super::harness::{Answer, Rig, assert_every_count_has_a_fate, flagsmith, named, sums};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

async fn encoded(rig: &Rig, encoding: &str, body: Vec<u8>) -> Answer {
    let mut request = flagsmith("key-1", body);
    request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
    rig.send(request).await
}

#[tokio::test]
async fn a_whole_request_that_cannot_be_read_weighs_one_and_has_a_reason() {
    let rig = Rig::with(|config| {
        config.body_bytes_max = 1_000;
        config.body_decompressed_bytes_max = 2_000;
    });
    let good = br#"{"f": 5}"#;
    let bomb = gzip(&vec![b' '; 1_000_000]);
    assert!(bomb.len() < 8_000);
    let answers = [
        (rig.flagsmith("key-1", vec![b' '; 1_001]).await, 413, "body_too_large"),
        (encoded(&rig, "gzip", gzip(&[b' '; 3_000])).await, 413, "body_inflates"),
        (encoded(&rig, "gzip", gzip(good)[..20].to_vec()).await, 400, "body_damaged"),
        (encoded(&rig, "zstd", good.to_vec()).await, 400, "body_damaged"),
        (encoded(&rig, "br", good.to_vec()).await, 415, "content_encoding_unknown"),
        (rig.flagsmith("key-1", "flag=1").await, 400, "not_json"),
        (rig.flagsmith("key-1", r#"{"f": 1"#).await, 400, "not_json"),
        (rig.flagsmith("key-1", "[1]").await, 400, "wrong_shape"),
        (rig.counts(Some("k"), "{}").await, 400, "wrong_shape"),
    ];
    for (answer, status, reason) in &answers {
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (*status, *reason));
    }
    assert_eq!(encoded(&rig, "gzip", gzip(good)).await.status.as_u16(), 200);
    let answer = rig.counts(Some("k"), r#"{"counts":[]}"#).await;
    assert_eq!(answer.status.as_u16(), 202, "a key is not used up by a request that was refused");
    let batches = rig.drained().await;
    let rejected = named(&batches, Meter::Rejected);
    for (_, _, reason) in &answers {
        assert!(rejected[*reason] >= 1, "{reason}");
    }
    assert_eq!(rejected.values().sum::<u64>(), answers.len() as u64);
    assert_eq!(sums(&batches)[&Meter::Evaluations], 5);
    assert_every_count_has_a_fate(&batches);
    let labels = [("door", "flagsmith.v1"), ("outcome", "not_json")];
    assert_eq!(rig.metric("requests_total", &labels), 2);
    assert_eq!(rig.metric("rejected_total", &[("reason", "body_damaged")]), 2);
}

#[tokio::test]
async fn every_answer_has_the_name_of_its_request() {
    let rig = Rig::new();
    let name = |answer: &Answer| answer.headers["x-request-id"].to_str().unwrap().to_owned();
    let mut named = flagsmith("key-1", r#"{"f":1}"#);
    named.headers_mut().insert("x-request-id", "mine-1".parse().unwrap());
    assert_eq!(name(&rig.send(named).await), "mine-1");
    let good = name(&rig.flagsmith("key-1", r#"{"f":1}"#).await);
    let bad = name(&rig.flagsmith("nobody's", "{}").await);
    assert!(!good.is_empty() && !bad.is_empty() && good != bad, "{good} {bad}");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_at_the_limit() {
    let rig = Rig::with(|config| config.body_bytes_max = 100);
    let chunks = (0..50).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"          ")));
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    let answer = rig.flagsmith("key-1", body).await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (413, "body_too_large"));
    let broken = [Ok(bytes::Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))];
    let answer = rig.flagsmith("key-1", Body::from_stream(futures_util::stream::iter(broken))).await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (400, "body_broken_off"));
}

#[tokio::test]
async fn large_bodies_share_a_bounded_room_and_small_ones_pass() {
    let rig = Rig::with(|config| {
        config.body_bytes_max = 1 << 20;
        config.bodies_bytes_max = 1 << 20;
    });
    // A body of unknown length may become as large as the limit: it takes all the room while it is read.
    let stalled = futures_util::stream::pending::<std::io::Result<bytes::Bytes>>();
    let mut stalled = Box::pin(rig.flagsmith("key-1", Body::from_stream(stalled)));
    let waker = std::task::Waker::noop();
    assert!(stalled.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    let large = format!("{{\"f\":1{}}}", " ".repeat(20_000));
    let answer = rig.flagsmith("key-1", large.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (503, "bodies_full"));
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(rig.flagsmith("key-1", r#"{"f":1}"#).await.status.as_u16(), 200);
    drop(stalled);
    assert_eq!(rig.flagsmith("key-1", large).await.status.as_u16(), 200);
    assert_eq!(sums(&rig.drained().await)[&Meter::Received], 2, "who was asked to wait will come again");
}

#[tokio::test]
async fn large_bodies_of_one_customer_leave_room_for_those_of_others() {
    let rig = Rig::with(|config| {
        config.body_bytes_max = 1 << 20;
        config.bodies_bytes_max = 4 << 20;
    });
    let waker = std::task::Waker::noop();
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let never = futures_util::stream::pending::<std::io::Result<bytes::Bytes>>();
        let mut one = Box::pin(rig.flagsmith("key-1", Body::from_stream(never)));
        assert!(one.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        stalled.push(one);
    }
    let large = format!("{{\"f\":1{}}}", " ".repeat(20_000));
    let answer = rig.flagsmith("key-1", large.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (503, "customer_full"));
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(rig.flagsmith("key-other", large.clone()).await.status.as_u16(), 200, "of another customer");
    drop(stalled);
    assert_eq!(rig.flagsmith("key-1", large).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_room_for_one_body_takes_one_body() {
    let rig = Rig::with(|config| (config.body_bytes_max, config.bodies_bytes_max) = (20_001, 20_001));
    let body = Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("{\"f\":1}")]));
    assert_eq!(rig.flagsmith("key-1", body).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let rig = Rig::with(|config| config.body_timeout = std::time::Duration::ZERO);
    let never = futures_util::stream::pending::<std::io::Result<bytes::Bytes>>();
    let answer = rig.flagsmith("key-1", Body::from_stream(never)).await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (408, "body_slow"));
    assert!(sums(&rig.drained().await).is_empty(), "it will come again: nothing became of it yet");
}

#[tokio::test]
async fn another_method_is_told_which_one_is_meant() {
    let rig = Rig::new();
    for path in ["/v1/counts", "/api/v2/analytics/flags/", "/api/proxy/usage"] {
        let answer = rig.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (405, "method_not_allowed"));
        assert_eq!(answer.headers["allow"], "POST");
    }
}

#[tokio::test]
async fn keys_that_are_missing_unknown_or_in_the_wrong_header_are_told_apart() {
    let rig = Rig::new();
    let post = |path: &str, header: Option<(&str, &str)>| {
        let mut request = Request::post(path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        request.body(Body::from(r#"{"f": 5}"#)).unwrap()
    };
    let flags = "/api/v1/analytics/flags/";
    for (path, header, reason, says) in [
        (flags, None, "no_key", "X-Environment-Key"),
        (flags, Some(("x-environment-key", "nobody")), "unknown_key", "not known"),
        (flags, Some(("authorization", "Bearer key-1")), "wrong_header", "X-Environment-Key"),
        ("/v1/counts", None, "no_key", "Authorization: Bearer"),
        ("/v1/counts", Some(("x-environment-key", "key-1")), "wrong_header", "Authorization: Bearer"),
        ("/v1/counts", Some(("authorization", "Bearer nobody")), "unknown_key", "not known"),
        ("/api/proxy/usage/", Some(("x-environment-key", "key-1")), "wrong_header", "X-Proxy-Key"),
    ] {
        let answer = rig.send(post(path, header)).await;
        assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (401, reason));
        assert!(answer.text().contains(says), "{}", answer.text());
    }
    let labels = [("door", "flagsmith.v1"), ("outcome", "unknown_key")];
    assert_eq!(rig.metric("requests_total", &labels), 1);
    assert!(rig.drained().await.iter().all(|batch| batch.environments.is_empty()));
}

#[tokio::test]
async fn bad_entries_have_reasons_and_good_ones_are_taken() {
    let rig = Rig::new();
    let long = "x".repeat(10_240);
    let body = format!(
        r#"{{"good":5,"minus":-3,"half":1.5,"huge":99999999999999999999,"yes":true,"{long}":2,"a\u0000":3}}"#
    );
    assert_eq!(rig.flagsmith("key-1", body).await.status.as_u16(), 200);
    let body = r#"{"counts":[{"flag":"g","count":2},{"flag":"g","count":7,"at":"2025-11-20T12:00:00Z"},
                  {"flag":"g","count":8,"at":"2027-11-20T12:00:00Z"}]}"#;
    let answer = rig.counts(None, body).await;
    assert_eq!(
        answer.text(),
        r#"{"accepted":1,"rejected":[{"index":1,"reason":"too_old"},{"index":2,"reason":"too_new"}]}"#
    );
    let batches = rig.drained().await;
    let rejected = named(&batches, Meter::Rejected);
    for (reason, weight) in [
        ("negative_count", 1),
        ("fractional_count", 1),
        ("count_too_large", 1),
        ("not_a_number", 1),
        ("name_too_long", 2),
        ("name_control_character", 3),
        ("too_old", 7),
        ("too_new", 8),
    ] {
        assert_eq!(rejected.get(reason), Some(&weight), "{reason}");
    }
    assert_eq!(sums(&batches)[&Meter::Evaluations], 7);
    assert_every_count_has_a_fate(&batches);
}

#[tokio::test]
async fn a_thousand_new_series_a_second_fold_and_the_totals_stay_exact() {
    let rig = Rig::with(|config| config.series_per_environment_max = 100);
    for round in 0..10 {
        let flags: Vec<_> = (0..100).map(|n| format!("\"flag-{round}-{n}\":3")).collect();
        rig.flagsmith("key-1", format!("{{{}}}", flags.join(","))).await;
    }
    rig.flagsmith("key-2", r#"{"calm":1}"#).await;
    let batches = rig.drained().await;
    assert_eq!(sums(&batches)[&Meter::Evaluations], 3_001);
    let names = named(&batches, Meter::Evaluations);
    assert_eq!(names["__other__"], 2_700);
    assert_eq!(names["calm"], 1, "another environment is not touched");
    let labels = [("environment", "acme/web/production"), ("folded", "name")];
    assert_eq!(rig.metric("folds_total", &labels), 900);
    assert_every_count_has_a_fate(&batches);
}
