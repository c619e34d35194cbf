//! Who may read what, over HTTP.

use axum::{body::Body, http::Request};
use serde_json::json;

use super::bench::{Bench, NOW, acme, at, each, environment, flag, globex};

const PROTECTED: [&str; 3] = ["/v1/usage", "/v1/flags", "/v1/reconcile"];

async fn two_customers() -> Bench {
    let bench = Bench::new();
    let time = at("2026-11-20T11:05:00Z");
    let counts = [(&acme(), flag("checkout"), time, 3), (&globex(), flag("globex-only"), time, 5)];
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    bench.edges.received.lock().extend([(acme(), 3), (globex(), 5), (environment("hooli", "x", "y"), 9)]);
    bench
}

#[tokio::test]
async fn without_a_good_token_there_is_no_answer() {
    let bench = two_customers().await;
    for path in PROTECTED {
        let none = bench.send(Request::get(path).body(Body::empty()).unwrap()).await;
        none.problem(401);
        assert!(none.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        bench.get_as("fm_0123456789ab_guess", path).await.problem(401);
        // Not even with the right token in the wrong place.
        let in_address = format!("{path}?token={}", bench.operator);
        bench.send(Request::get(in_address).body(Body::empty()).unwrap()).await.problem(401);
    }
    let failures = |reason| bench.metric("flagmeter_queries_authentication_failures_total", &[reason]);
    assert_eq!((failures("missing"), failures("malformed"), failures("unknown")), (6, 3, 0));
}

#[tokio::test]
async fn a_revoked_token_is_refused_like_an_unknown_one() {
    let bench = two_customers().await;
    let id = bench.tokens.list()[0].id.clone();
    let revoked = [&bench.operator, &bench.billing, &bench.acme].into_iter().find(|text| text.contains(&id));
    bench.tokens.revoke(&id, "test").unwrap();
    let problem = bench.get_as(revoked.unwrap(), "/v1/usage").await.problem(401);
    let unknown =
        bench.get_as(&format!("fm_0123456789ab_{}", "0".repeat(64)), "/v1/usage").await.problem(401);
    assert_eq!(problem, unknown, "the answer does not tell which tokens there are");
    assert_eq!(bench.metric("flagmeter_queries_authentication_failures_total", &["revoked"]), 1);
}

#[tokio::test]
async fn a_customer_cannot_name_another_one() {
    let bench = two_customers().await;
    for path in PROTECTED {
        for query in ["customer=globex", "customer=acme&customer=globex", "customer=nobody"] {
            bench.get_as(&bench.acme, &format!("{path}?{query}")).await.problem(403);
        }
    }
}

#[tokio::test]
async fn a_customer_sees_nothing_of_another_by_any_parameter() {
    let bench = two_customers().await;
    let queries = [
        "",
        "?from=-2h",
        "?environment=production",
        "?project=shop",
        "?project=shop&environment=production",
        "?from=-2h&tz=UTC",
    ];
    for path in PROTECTED {
        for query in queries {
            let reply = bench.get_as(&bench.acme, &format!("{path}{query}")).await;
            reply.json();
            for other in ["globex", "hooli", "shop\""] {
                assert!(!reply.body.contains(other), "{path}{query}: {}", reply.body);
            }
        }
    }
    for query in [
        "group_by=customer",
        "group_by=customer,project,environment,flag",
        "flag=globex-only",
        "project=shop",
    ] {
        let answer =
            bench.get_as(&bench.acme, &format!("/v1/usage?from=-2h&resolution=1d&{query}")).await.json();
        let total = if query.starts_with("group_by") { json!(3) } else { json!(0) };
        assert_eq!(answer["total"], total, "{query}");
        assert!(!answer.to_string().contains("globex\""), "{query}: {answer}");
    }
    for query in ["flag=globex-only", "unknown_to_registry=true", "stale_for=1m", "after=61630a610a61"] {
        let reply = bench.get_as(&bench.acme, &format!("/v1/flags?{query}")).await;
        reply.json();
        assert!(!reply.body.contains("globex"), "{query}: {}", reply.body);
    }
}

#[tokio::test]
async fn what_concerns_no_customer_is_not_shown_to_one() {
    let bench = two_customers().await;
    let own = bench.get_as(&bench.acme, "/v1/reconcile").await.json();
    assert!(own.get("dead_letters").is_none());
    assert_eq!(each(&own, "customer"), ["acme"]);
    for token in [&bench.operator, &bench.billing] {
        let all = bench.get_as(token, "/v1/reconcile").await.json();
        assert_eq!(all["dead_letters"], json!({"records": 0, "counts": 0}));
        assert_eq!(each(&all, "customer"), ["acme", "globex", "hooli"]);
    }
}
