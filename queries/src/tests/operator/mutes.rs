//! `/v1/operator/mutes`: made, seen and ended, by operators.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::super::bench::{Bench, NOW, Reply, at};
use crate::access::{NewToken, Role};

const MUTES: &str = "/v1/operator/mutes";

/// Asks with these headers, and no others.
async fn send(bench: &Bench, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> Reply {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    bench.send(request.body(Body::from(body)).unwrap()).await
}

async fn post(bench: &Bench, token: &str, body: &Value) -> Reply {
    let token = format!("Bearer {token}");
    send(bench, "POST", MUTES, &[("authorization", &token)], body.to_string()).await
}

async fn post_with_key(bench: &Bench, key: &str, body: &Value) -> Reply {
    let token = format!("Bearer {}", bench.operator);
    let headers = [("authorization", token.as_str()), ("idempotency-key", key)];
    send(bench, "POST", MUTES, &headers, body.to_string()).await
}

async fn end(bench: &Bench, token: &str, id: &str) -> Reply {
    let token = format!("Bearer {token}");
    send(bench, "DELETE", &format!("{MUTES}/{id}"), &[("authorization", &token)], String::new()).await
}

/// The mute of a 201.
#[track_caller]
fn made(reply: &Reply) -> Value {
    assert_eq!(reply.status, 201, "{}", reply.body);
    serde_json::from_str(&reply.body).unwrap()
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["mutes"].as_array().unwrap().iter().map(|mute| mute["id"].as_str().unwrap()).collect()
}

fn launch() -> Value {
    json!({"customer": "acme", "for": "2h", "reason": " launch of \"search\" "})
}

#[tokio::test]
async fn a_mute_is_made_seen_and_ended_and_says_by_whom() {
    let bench = Bench::new();
    let told = made(&post(&bench, &bench.operator, &launch()).await);
    let token = bench.operator.split('_').nth(1).unwrap();
    let (id, until) = (told["id"].as_str().unwrap(), "2026-11-20T14:44:54Z");
    let expected = json!({
        "id": id, "customer": "acme", "project": null, "environment": null, "registered": true, "state": "active",
        "from": NOW, "to": until, "until": until, "reason": "launch of \"search\"", "made_by": token, "made_at": NOW,
        "ended_by": null, "ended_at": null,
    });
    assert_eq!(told, expected);
    assert_eq!(bench.get(MUTES).await.json(), json!({"mutes": [expected], "next": null}));
    let note = Some("on call".to_owned());
    let other =
        bench.tokens.create(NewToken { role: Role::Operator, note, expires_at: None }, "test").unwrap();
    bench.clock.set(at("2026-11-20T13:00:00Z"));
    let ended = end(&bench, &other.text, id).await.json();
    assert_eq!(
        (&ended["state"], &ended["until"], &ended["ended_at"], &ended["to"]),
        (&"over".into(), &"2026-11-20T13:00:00Z".into(), &"2026-11-20T13:00:00Z".into(), &until.into())
    );
    assert_eq!(ended["ended_by"], format!("{}, on call", other.id));
    bench.clock.set(at("2026-11-20T13:01:00Z"));
    assert_eq!(end(&bench, &bench.operator, id).await.json(), ended, "the first end stands");
    assert_eq!(bench.get(MUTES).await.json()["mutes"], json!([ended]), "nothing is removed");
}

#[tokio::test]
async fn times_and_places_are_taken_as_they_are_said() {
    let bench = Bench::new();
    for (body, of, times, state, registered) in [
        (
            json!({"customer": "acme", "project": "web", "environment": "production", "from": "2026-11-20T20:00:00+01:00",
                   "to": "2026-11-20T20:00:00Z", "reason": "x"}),
            ["acme", "web", "production"],
            ("2026-11-20T19:00:00Z", "2026-11-20T20:00:00Z"),
            "planned",
            true,
        ),
        (
            json!({"customer": "acme", "project": "web", "environment": "canary", "from": "2026-11-20T12:00:00Z",
                   "for": "1d", "reason": "x"}),
            ["acme", "web", "canary"],
            ("2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z"),
            "active",
            false,
        ),
        (
            json!({"customer": "acme", "project": "wep", "environment": null, "to": "2026-11-20T13:00:00Z", "reason": "x"}),
            ["acme", "wep", ""],
            (NOW, "2026-11-20T13:00:00Z"),
            "active",
            false,
        ),
        (
            json!({"customer": "acne/1", "for": "90s", "reason": "x"}),
            ["acne/1", "", ""],
            (NOW, "2026-11-20T12:46:24Z"),
            "active",
            false,
        ),
    ] {
        let told = made(&post(&bench, &bench.operator, &body).await);
        let place =
            ["customer", "project", "environment"].map(|part| told[part].as_str().unwrap_or_default());
        assert_eq!(place, of);
        assert_eq!((told["from"].as_str(), told["to"].as_str()), (Some(times.0), Some(times.1)));
        assert_eq!((&told["state"], &told["registered"]), (&state.into(), &registered.into()), "{body}");
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_sentence_and_nothing_is_kept() {
    let bench = Bench::new();
    let with = |changes: Value| {
        let mut body = launch();
        for (member, value) in changes.as_object().unwrap() {
            body[member] = value.clone();
        }
        body
    };
    for (body, status, says) in [
        (json!({}), 400, "customer"),
        (with(json!({"flag": "checkout"})), 400, "unknown field `flag`"),
        (with(json!({"customer": ""})), 400, "customer:"),
        (with(json!({"project": "a\u{0}"})), 400, "project:"),
        (with(json!({"environment": "production"})), 400, "needs the project"),
        (with(json!({"for": null})), 400, "one of them"),
        (with(json!({"to": "2026-11-21T00:00:00Z"})), 400, "one of them"),
        (with(json!({"for": "2 hours"})), 400, "for: "),
        (with(json!({"for": "-2h"})), 400, "for: "),
        (with(json!({"from": "tomorrow"})), 400, "from: \"tomorrow\""),
        (with(json!({"for": null, "to": "20:00"})), 400, "to: \"20:00\""),
        (with(json!({"for": "0s"})), 422, "ends after it begins"),
        (with(json!({"for": "32d"})), 422, "31 days at most"),
        (with(json!({"from": "2026-11-20T10:00:00Z"})), 422, "ends in the future"),
        (with(json!({"from": "2027-11-20T12:44:55Z"})), 422, "within a year"),
        (with(json!({"reason": " "})), 422, "The reason"),
        (with(json!({"reason": "x".repeat(201)})), 422, "The reason"),
    ] {
        let problem = post(&bench, &bench.operator, &body).await.problem(status);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{body}: {detail}");
    }
    for key in ["", "ü", &"x".repeat(201)] {
        let problem = post_with_key(&bench, key, &launch()).await.problem(400);
        assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{problem}");
    }
    assert_eq!(bench.get(MUTES).await.json(), json!({"mutes": [], "next": null}));
    for id in ["mute_00000000000000000000000000000001", "acme", "%FF", &"x".repeat(3_000)] {
        assert_eq!(
            end(&bench, &bench.operator, id).await.problem(404)["type"],
            "urn:flagmeter:problem:mute-unknown"
        );
    }
    for (query, parameter) in [
        ("state=ended", "state"),
        ("limit=0", "limit"),
        ("after=made-up", "after"),
        ("project=web", "project"),
    ] {
        assert_eq!(bench.get(&format!("{MUTES}?{query}")).await.problem(400)["parameter"], parameter);
    }
}

/// A thousand that stand are enough; what is over makes room.
#[tokio::test]
async fn there_is_room_for_a_thousand_that_are_not_over() {
    let bench = Bench::new();
    let first = bench.mute("acme", "launch").await;
    for _ in 1..1_000 {
        bench.mute("acme", "launch").await;
    }
    let problem = post(&bench, &bench.operator, &launch()).await.problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("1000 mutes"), "{problem}");
    end(&bench, &bench.operator, &first.muting.id.to_string()).await.json();
    made(&post(&bench, &bench.operator, &launch()).await);
    post(&bench, &bench.operator, &launch()).await.problem(422);
}

#[tokio::test]
async fn a_repeat_with_its_key_makes_no_second_one() {
    let bench = Bench::new();
    let first = made(&post_with_key(&bench, "deploy-17", &launch()).await);
    bench.clock.set(at("2026-11-20T13:00:00Z"));
    assert_eq!(made(&post_with_key(&bench, "deploy-17", &launch()).await), first);
    // Another one of the same is another one.
    let mut until = launch();
    (until["for"], until["to"]) = (Value::Null, "2026-11-20T15:00:00Z".into());
    let second = made(&post_with_key(&bench, "deploy-18", &until).await);
    bench.clock.set(at("2026-11-20T13:10:00Z"));
    assert_eq!(made(&post_with_key(&bench, "deploy-18", &until).await), second);
    for (member, value) in
        [("for", "3h"), ("reason", "another"), ("project", "web"), ("from", "2026-11-20T13:00:00Z")]
    {
        let mut other = launch();
        other[member] = value.into();
        let problem = post_with_key(&bench, "deploy-17", &other).await.problem(409);
        assert_eq!(problem["type"], "urn:flagmeter:problem:key-reused", "{member}");
    }
    until["to"] = "2026-11-20T16:00:00Z".into();
    post_with_key(&bench, "deploy-18", &until).await.problem(409);
    // Once it is over, it is not made again either.
    bench.clock.set(at("2026-11-21T13:00:00Z"));
    assert_eq!(made(&post_with_key(&bench, "deploy-17", &launch()).await)["state"], "over");
    // A key is its owner's.
    let other =
        bench.tokens.create(NewToken { role: Role::Operator, note: None, expires_at: None }, "test").unwrap();
    let (token, body) = (format!("Bearer {}", other.text), launch().to_string());
    let headers = [("authorization", token.as_str()), ("idempotency-key", "deploy-17")];
    assert_ne!(made(&send(&bench, "POST", MUTES, &headers, body).await)["id"], first["id"]);
    assert_eq!(ids(&bench.get(MUTES).await.json()).len(), 3);
    // Without one each is a new one.
    for _ in 0..2 {
        made(&post(&bench, &bench.operator, &launch()).await);
    }
    assert_eq!(ids(&bench.get(MUTES).await.json()).len(), 5);
}

#[tokio::test]
async fn mutes_come_in_pages_by_state_and_by_customer() {
    let bench = Bench::new();
    let mut made_ones = Vec::new();
    for (customer, from) in [
        ("acme", "2026-11-20T11:00:00Z"),
        ("globex", "2026-11-20T12:00:00Z"),
        ("acme", "2026-11-20T20:00:00Z"),
    ] {
        let body = json!({"customer": customer, "from": from, "for": "2h", "reason": "x"});
        made_ones.push(made(&post(&bench, &bench.operator, &body).await)["id"].as_str().unwrap().to_owned());
    }
    bench.clock.set(at("2026-11-20T13:30:00Z"));
    let [over, active, planned] = [0, 1, 2].map(|place| made_ones[place].as_str());
    for (query, expected) in [
        ("", &[planned, active, over][..]),
        ("state=active", &[active]),
        ("state=planned", &[planned]),
        ("state=over", &[over]),
        ("customer=acme", &[planned, over]),
        ("customer=acme&state=active", &[]),
    ] {
        for limit in [1, 2, 3] {
            let (mut found, mut after) = (Vec::new(), String::new());
            loop {
                let page = bench
                    .get(&format!("{MUTES}?{query}&limit={limit}{after}").replace("?&", "?"))
                    .await
                    .json();
                found.extend(ids(&page).into_iter().map(str::to_owned));
                let Some(next) = page["next"].as_str() else { break };
                after = format!("&after={next}");
            }
            assert_eq!(found, expected, "{query}");
        }
    }
    let alerts = bench.get("/v1/operator/bursts").await.json();
    let of_alerts = format!("{MUTES}?after={}", alerts["next"].as_str().unwrap());
    bench.get(&of_alerts).await.problem(400);
}

/// By an operator's token; by the page's cookie only where the page itself asks.
#[tokio::test]
async fn mutes_are_for_operators_and_no_other_site_makes_one() {
    let bench = Bench::new();
    let id = bench.mute("acme", "launch").await.muting.id.to_string();
    for token in [&bench.acme, &bench.billing] {
        post(&bench, token, &launch()).await.problem(403);
        end(&bench, token, &id).await.problem(403);
        bench.get_as(token, MUTES).await.problem(403);
    }
    post(&bench, "", &launch()).await.problem(401);
    let cookie = format!("flagmeter_session={}", bench.operator);
    for others in [
        &[][..],
        &[("origin", "http://evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
    ] {
        let headers = [&[("cookie", cookie.as_str()), ("host", "count.example")], others].concat();
        for (method, path) in [("POST", MUTES.to_owned()), ("DELETE", format!("{MUTES}/{id}"))] {
            let problem = send(&bench, method, &path, &headers, launch().to_string()).await.problem(403);
            assert_eq!(problem["type"], "urn:flagmeter:problem:other-site");
        }
    }
    let kept = bench.get(MUTES).await.json();
    assert_eq!((ids(&kept), &kept["mutes"][0]["state"]), (vec![id.as_str()], &"active".into()));
    let ours = [("cookie", cookie.as_str()), ("host", "count.example"), ("origin", "http://count.example")];
    made(&send(&bench, "POST", MUTES, &ours, launch().to_string()).await);
}
