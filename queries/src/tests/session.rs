//! Signing in on the page, and what a cookie can do from then on.

use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, request::Builder},
};
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use serde_json::{Value, json};

use super::bench::{Bench, NOW, Reply, at, name};
use crate::access::{NewToken, Role};

const FORM: &str = "application/x-www-form-urlencoded";

fn to_session(method: Method) -> Builder {
    Request::builder().method(method).uri("/v1/session").header("host", "count.example")
}

async fn sign_in_with(bench: &Bench, headers: &[(&str, &str)], body: String) -> Reply {
    let kind = ("content-type", "application/json");
    let headers = if headers.iter().any(|(name, _)| *name == kind.0) {
        headers.to_vec()
    } else {
        [headers, &[kind]].concat()
    };
    let request =
        headers.iter().fold(to_session(Method::POST), |request, (name, value)| request.header(*name, *value));
    bench.send(request.body(Body::from(body)).unwrap()).await
}

async fn sign_in(bench: &Bench, token: &str) -> Reply {
    sign_in_with(bench, &[], json!({"token": token}).to_string()).await
}

fn cookie(reply: &Reply) -> &str {
    reply.headers["set-cookie"].to_str().unwrap()
}

/// Asks with a cookie and no other token.
async fn get_with(bench: &Bench, cookie: &str, address: &str) -> Reply {
    let request = Request::get(address).header("cookie", cookie.split(';').next().unwrap());
    bench.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn who_signs_in_has_a_cookie_that_reads_as_the_token_does() {
    let bench = Bench::new();
    let reply = sign_in(&bench, &bench.acme).await;
    assert_eq!((reply.status.as_u16(), reply.body.as_str()), (204, ""));
    let expected =
        format!("flagmeter_session={}; HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000", bench.acme);
    assert_eq!(cookie(&reply), expected);
    for address in ["/v1/usage?group_by=flag", "/v1/flags", "/v1/chart.svg", "/v1/billing/closed-hours"] {
        let by_cookie = get_with(&bench, cookie(&reply), address).await;
        let by_token = bench.get_as(&bench.acme, address).await;
        assert_eq!((by_cookie.status.as_u16(), &by_cookie.body), (200, &by_token.body), "{address}");
    }
    get_with(&bench, cookie(&reply), "/v1/usage?customer=globex").await.problem(403);
    get_with(&bench, cookie(&reply), "/v1/operator/nodes").await.problem(403);
    // The header is what is looked at first, whatever the cookie could do.
    let operator = sign_in(&bench, &bench.operator).await;
    for (token, status) in [(&*bench.acme, 403), ("fm_0123456789ab_guess", 401)] {
        let request = Request::get("/v1/operator/nodes")
            .header("authorization", format!("Bearer {token}"))
            .header("cookie", cookie(&operator));
        bench.send(request.body(Body::empty()).unwrap()).await.problem(status);
    }
}

#[tokio::test]
async fn a_cookie_lasts_as_long_as_its_token_and_is_secure_where_https_is_spoken() {
    let bench = Bench::new();
    let expires_at = Some(at(NOW).plus_seconds(3_600));
    let token = bench
        .tokens
        .create(
            NewToken { role: Role::Customer(name("acme")), note: Some("the wall".into()), expires_at },
            "test",
        )
        .unwrap();
    let reply = sign_in(&bench, &format!(" {}\n", token.text)).await;
    assert!(cookie(&reply).ends_with("; Max-Age=3600"), "{}", cookie(&reply));
    for header in [("x-forwarded-proto", "https"), ("forwarded", "for=1.2.3.4;proto=https")] {
        let reply = sign_in_with(&bench, &[header], json!({"token": token.text}).to_string()).await;
        assert!(cookie(&reply).ends_with("; Secure"), "{}", cookie(&reply));
    }
    let session = get_with(&bench, cookie(&reply), "/v1/session").await.json();
    assert_eq!(
        (&session["expires_at"], &session["note"]),
        (&json!("2026-11-20T13:44:54Z"), &json!("the wall"))
    );
    let cookie = cookie(&reply).to_owned();
    bench.clock.advance(3_600);
    get_with(&bench, &cookie, "/v1/session").await.problem(401);
    sign_in(&bench, &token.text).await.problem(401);
    assert_eq!(bench.metric("flagmeter_queries_authentication_failures_total", &["expired"]), 2);
}

#[tokio::test]
async fn a_revoked_token_ends_its_sessions() {
    let bench = Bench::new();
    let reply = sign_in(&bench, &bench.acme).await;
    get_with(&bench, cookie(&reply), "/v1/usage").await.json();
    bench.tokens.revoke(bench.acme.split('_').nth(1).unwrap(), "test").unwrap();
    get_with(&bench, cookie(&reply), "/v1/usage").await.problem(401);
    let again = sign_in(&bench, &bench.acme).await;
    again.problem(401);
    assert!(again.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn what_is_no_token_signs_nobody_in_and_says_what_is_wrong() {
    let bench = Bench::new();
    let unknown = format!("fm_0123456789ab_{}", "0".repeat(64));
    for token in ["", "x", "fm_a_b", "fm_é_ü", &unknown, &bench.acme[..20]] {
        let reply = sign_in(&bench, token).await;
        reply.problem(401);
        assert!(reply.headers.get("set-cookie").is_none(), "{token}");
    }
    let kind = |kind| [("content-type", kind)];
    for (headers, body) in [
        (kind("application/json"), "{}".to_owned()),
        (kind("application/json"), "{\"token\":5}".into()),
        (kind("application/json"), format!("{{\"token\":\"{}\",\"customer\":\"globex\"}}", bench.acme)),
        (kind("application/json"), "not json".into()),
        (kind("text/plain"), format!("{{\"token\":\"{}\"}}", bench.acme)),
        (kind(FORM), "next=/usage".into()),
        (kind("application/json"), format!("{{\"token\":\"{}\"}}", "x".repeat(40_000))),
    ] {
        let reply = sign_in_with(&bench, &headers, body.clone()).await;
        let problem = reply.problem(400);
        assert!(!problem["detail"].as_str().unwrap().contains(&bench.acme), "{problem}");
    }
}

#[tokio::test]
async fn another_site_signs_nobody_in_or_out() {
    let bench = Bench::new();
    let body = || json!({"token": bench.acme}).to_string();
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let reply = sign_in_with(&bench, &[foreign], body()).await;
        assert_eq!(reply.problem(403)["type"], "urn:flagmeter:problem:other-site", "{foreign:?}");
        let form = format!("token={}", bench.acme);
        sign_in_with(&bench, &[foreign, ("content-type", FORM)], form).await.problem(403);
        for request in [to_session(Method::DELETE), Request::post("/sign-out")] {
            let reply = bench.send(request.header(foreign.0, foreign.1).body(Body::empty()).unwrap()).await;
            reply.problem(403);
            assert!(reply.headers.get("set-cookie").is_none(), "{foreign:?}");
        }
    }
    for own in [("sec-fetch-site", "same-origin"), ("origin", "http://count.example")] {
        assert_eq!(sign_in_with(&bench, &[own], body()).await.status, 204, "{own:?}");
    }
}

#[tokio::test]
async fn signing_out_takes_the_cookie_away_also_that_of_a_token_that_has_ended() {
    let bench = Bench::new();
    for cookie_before in
        [format!("flagmeter_session={}", bench.acme), "flagmeter_session=gone".into(), String::new()]
    {
        let request = to_session(Method::DELETE).header("cookie", &cookie_before);
        let reply = bench.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, 204);
        assert_eq!(cookie(&reply), "flagmeter_session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0");
        let request = Request::post("/sign-out").header("cookie", &cookie_before);
        let reply = bench.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.headers["location"]),
            (303, &"/sign-in?plain=1".parse().unwrap())
        );
        assert!(cookie(&reply).contains("Max-Age=0"));
    }
    // The token itself is as it was.
    bench.get_as(&bench.acme, "/v1/usage").await.json();
}

#[tokio::test]
async fn a_form_leads_on_to_a_view_of_ours_and_nowhere_else() {
    let bench = Bench::new();
    for (next, leads_to) in [
        ("", "/usage"),
        ("&next=%2Fflags%3Fplain%3D1%26q%3Da", "/flags?plain=1&q=a"),
        ("&next=%2Fbilling", "/billing"),
        ("&next=%2F%2Fevil.example", "/usage"),
        ("&next=%2F%5Cevil.example", "/usage"),
        ("&next=https%3Aevil.example", "/usage"),
        ("&next=https%3A%2F%2Fevil.example%2Fusage", "/usage"),
        ("&next=%2Fusage%0d%0aset-cookie%3A%20a%3Db", "/usage"),
        ("&next=%2Fv1%2Fusage", "/usage"),
    ] {
        let form = format!("token={}{next}", bench.acme);
        let reply = sign_in_with(
            &bench,
            &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
            form,
        )
        .await;
        assert_eq!(
            (reply.status.as_u16(), reply.headers["location"].to_str().unwrap()),
            (303, leads_to),
            "{next}"
        );
        assert!(cookie(&reply).starts_with(&format!("flagmeter_session={}; HttpOnly", bench.acme)));
    }
    let reply = sign_in_with(&bench, &[("content-type", FORM)], "token=fm_a_b&next=/usage".into()).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.headers["content-type"]),
        (401, &"text/html; charset=utf-8".parse().unwrap())
    );
    assert!(reply.headers.get("set-cookie").is_none());
    assert_eq!(bench.metric("flagmeter_queries_authentication_failures_total", &["malformed"]), 1);
}

#[tokio::test]
async fn a_session_tells_what_its_token_may_read_and_no_more() {
    let bench = Bench::new();
    bench.send(to_session(Method::GET).body(Body::empty()).unwrap()).await.problem(401);
    let ids = |session: &Value| -> Vec<String> {
        session["customers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let own = bench.get_as(&bench.acme, "/v1/session").await.json();
    assert_eq!((&own["role"], &own["tz"]), (&json!("customer"), &json!("Europe/Berlin")));
    assert_eq!(own["token_id"], bench.acme.split('_').nth(1).unwrap());
    let projects = json!([{"id": "web", "environments": ["production", "staging"]}]);
    assert_eq!(
        own["customers"],
        json!([{"id": "acme", "name": null, "tz": "Europe/Berlin", "projects": projects}])
    );
    assert_eq!((&own["customers_total"], &own["expires_at"]), (&json!(1), &json!(null)));
    for (token, role) in [(&bench.operator, "operator"), (&bench.billing, "billing")] {
        let all = bench.get_as(token, "/v1/session").await.json();
        assert_eq!((&all["role"], ids(&all)), (&json!(role), vec!["acme".to_owned(), "globex".to_owned()]));
        assert_eq!(all["tz"], "UTC");
    }
    bench.get_as(&bench.acme, "/v1/session?customer=globex").await.problem(400);
}

#[tokio::test]
async fn a_cookie_of_anything_is_refused_and_nothing_breaks() {
    let bench = Bench::new();
    let (any, mut runner) = (proptest::collection::vec(32_u8..=255, 0..120), TestRunner::deterministic());
    for _ in 0..512 {
        let bytes = any.new_tree(&mut runner).unwrap().current();
        let Ok(value) = HeaderValue::from_bytes(&[b"flagmeter_session=", &bytes[..]].concat()) else {
            continue;
        };
        let request = Request::get("/v1/usage").header("cookie", value);
        bench.send(request.body(Body::empty()).unwrap()).await.problem(401);
    }
}
