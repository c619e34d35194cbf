//! Every error has one shape, says what to do, and is counted.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Method, Request},
};
use flagmeter_model::ManualClock;
use http_body_util::BodyExt as _;

use super::{
    bench::{Bench, NOW, at},
    silent::Silent,
};
use crate::Config;

pub(super) fn bench_over(store: Silent) -> Bench {
    let config = Config { read_timeout: Duration::from_millis(20), ..Config::default() };
    let clock = ManualClock::at(at(NOW));
    Bench::over(Arc::new(store), config, &clock, tempfile::tempdir().unwrap())
}

#[tokio::test]
async fn what_is_not_served_is_a_problem_too() {
    let bench = Bench::new();
    let problem = bench.get("/v1/nothing").await.problem(404);
    assert!(problem["detail"].as_str().unwrap().contains("/v1/nothing"));
    for path in ["/v1/usage", "/", "/usage", "/openapi.json", "/icon.svg"] {
        let request = Request::builder().method(Method::POST).uri(path).body(Body::empty()).unwrap();
        let reply = bench.send(request).await;
        reply.problem(405);
        assert_eq!(reply.headers["allow"], "GET,HEAD");
    }
}

#[tokio::test]
async fn what_other_stages_serve_on_the_address_has_the_same_shape() {
    let bench = Bench::new();
    let reply = bench.get("/door").await;
    reply.problem(405);
    assert_eq!(
        (reply.headers["allow"].as_bytes(), reply.headers["access-control-allow-origin"].as_bytes()),
        (&b"POST"[..], &b"*"[..])
    );
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    let request = |method| {
        Request::builder()
            .method(method)
            .uri("/door")
            .header("origin", "https://x.example")
            .body(Body::empty())
            .unwrap()
    };
    bench.send(request(Method::POST)).await.problem(500);
    assert_eq!(bench.send(request(Method::OPTIONS)).await.status, 200, "a preflight is answered");
    assert_eq!(bench.metric("flagmeter_queries_requests_total", &["/door", "500"]), 0);
}

#[tokio::test]
async fn a_typo_in_a_parameter_is_refused_with_those_that_exist() {
    let bench = Bench::new();
    for path in ["/v1/usage", "/v1/flags", "/v1/reconcile"] {
        let problem = bench.get(&format!("{path}?client=acme")).await.problem(400);
        assert_eq!(problem["parameter"], "client");
        let known = problem["known_parameters"].as_array().unwrap();
        assert!(known.iter().any(|name| name == "customer"), "{problem}");
    }
    assert_eq!(bench.get("/v1/usage?tz=Mars").await.problem(400)["parameter"], "tz");
    assert_eq!(bench.get("/v1/flags?stale_for=x").await.problem(400)["parameter"], "stale_for");
    assert_eq!(bench.get("/v1/flags?after=xyz").await.problem(400)["parameter"], "after");
    assert_eq!(bench.get("/v1/reconcile?to=now").await.problem(400)["parameter"], "from");
    let problem = bench.get("/v1/usage?from=-30d&resolution=10s").await.problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("shorter range"));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_an_error_and_never_an_empty_list() {
    for store in [Silent::Unavailable, Silent::Never] {
        let bench = bench_over(store);
        for path in ["/v1/usage", "/v1/usage?resolution=1h", "/v1/flags", "/v1/reconcile"] {
            let reply = bench.get(path).await;
            reply.problem(503);
            assert_eq!(reply.headers["retry-after"], "5", "{path}");
            assert!(!reply.body.contains("/secret"), "{}", reply.body);
        }
        assert_eq!(bench.metric("flagmeter_queries_store_errors_total", &["retryable"]), 4);
    }
}

#[tokio::test]
async fn damage_and_bugs_are_told_to_the_log_and_not_to_the_caller() {
    for store in [Silent::Damaged, Silent::Panics] {
        let bench = bench_over(store);
        let reply = bench.get("/v1/usage?resolution=1h").await;
        reply.problem(500);
        assert!(
            !reply.body.contains("/secret") && !reply.headers.contains_key("retry-after"),
            "{}",
            reply.body
        );
    }
}

#[tokio::test]
async fn queries_beyond_those_at_once_are_told_to_wait() {
    let config = Config { reads_max: 0, read_timeout: Duration::from_millis(5), ..Config::default() };
    let bench = Bench::configured(config);
    let reply = bench.get("/v1/usage?resolution=1h").await;
    assert_eq!(reply.problem(503)["type"], "urn:flagmeter:problem:busy");
    assert!(reply.headers.contains_key("retry-after"));
}

#[tokio::test(start_paused = true)]
async fn all_reads_of_a_request_have_one_deadline() {
    let bench = Bench::over(
        Arc::new(Silent::Slow),
        Config::default(),
        &ManualClock::at(at(NOW)),
        tempfile::tempdir().unwrap(),
    );
    // The state after 15 s, and the counts after 30 s: too late for a timeout of 20 s.
    let problem = bench.get("/v1/usage").await.problem(503);
    assert!(problem["detail"].as_str().unwrap().contains("within 20 s"), "{problem}");
}

#[tokio::test]
async fn answers_take_room_until_they_are_sent_or_dropped() {
    let config = Config { rows_held_max: 30, read_timeout: Duration::from_millis(200), ..Config::default() };
    let bench = Bench::configured(config);
    let bench = &bench;
    let ask = async |minutes: u32| {
        bench.ask(&bench.operator, &format!("/v1/usage?from=-{minutes}m&resolution=1m")).await
    };
    let unsent = ask(19).await;
    assert_eq!(unsent.status(), 200);
    assert_eq!(ask(19).await.status(), 503);
    assert_eq!(ask(5).await.status(), 200, "there is room for a smaller one");
    // The connection may hold the bytes when it has let go of the body.
    let bytes = unsent.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(ask(19).await.status(), 503);
    drop(bytes);
    assert_eq!(ask(19).await.status(), 200);
    assert_eq!(ask(59).await.status(), 200, "a larger one than there is room for has it alone");
}

#[tokio::test]
async fn a_customer_whose_answers_are_not_sent_waits_and_no_other_does() {
    let config =
        Config { customer_reads_max: 1, read_timeout: Duration::from_millis(200), ..Config::default() };
    let bench = Bench::configured(config);
    let unsent = bench.ask(&bench.acme, "/v1/reconcile").await;
    assert_eq!(
        (unsent.status().as_u16(), bench.ask(&bench.acme, "/v1/flags").await.status().as_u16()),
        (200, 503)
    );
    assert_eq!(bench.ask(&bench.billing, "/v1/flags").await.status(), 200);
    drop(unsent);
    assert_eq!(bench.ask(&bench.acme, "/v1/flags").await.status(), 200);
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_it_to_itself() {
    let bench = Bench::new();
    for path in ["/", "/usage", "/icon.svg", "/v1/usage", "/v1/nothing", "/openapi.json"] {
        let headers = bench.get(path).await.headers;
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "same-origin", "{path}");
        assert!(
            headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"),
            "{path}"
        );
        assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
    }
    assert_eq!(bench.get("/v1/usage").await.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let bench = Bench::new();
    bench.get("/v1/usage").await.json();
    bench.get("/v1/usage?x=1").await.problem(400);
    bench.get("/some/path").await.problem(404);
    bench.get("/other/path").await.problem(404);
    let requests = |labels: &[&str]| bench.metric("flagmeter_queries_requests_total", labels);
    assert_eq!(requests(&["/v1/usage", "200"]), 1);
    assert_eq!(requests(&["/v1/usage", "400"]), 1);
    assert_eq!(requests(&["none", "404"]), 2);
    assert!(bench.metric("flagmeter_queries_rows_total", &[]) > 90);
    let families = bench.metrics.gather();
    let seconds =
        families.iter().find(|family| family.name() == "flagmeter_queries_request_seconds").unwrap();
    let samples: u64 =
        seconds.get_metric().iter().map(|metric| metric.get_histogram().get_sample_count()).sum();
    assert_eq!(samples, 4);
}
