//! `/v1/operator/bursts`: what is out of the ordinary, page by page.

use flagmeter_ledger::{AlertKind, Alerted, Contributor, Part, Said, Subject};
use flagmeter_model::Meter;
use serde_json::{Value, json};

use super::super::bench::{Bench, NOW, at, environment, name};

const BURSTS: &str = "/v1/operator/bursts";

/// A burst of a customer that began at 12:40.
pub(in crate::tests) fn began(customer: &str) -> Alerted {
    Alerted {
        of: environment(customer, "web", "production").into(),
        meter: Meter::Evaluations,
        kind: AlertKind::Burst,
        said: Said::Began,
        since: at("2026-11-20T12:40:00Z"),
        seen_at: at("2026-11-20T12:42:00Z"),
        observed: Some(512),
        expected: 100,
        low: 78,
        high: 122,
        percent: Some(512),
        excess: 824,
        peak: 512,
        is_learning: false,
        contributors: vec![Contributor {
            part: Part::Flag,
            name: Some(name("checkout")),
            count: 924,
            before: 100,
        }],
    }
}

/// Three that began, of which one is over.
async fn bursts() -> Bench {
    let bench = Bench::new();
    let over = Alerted {
        said: Said::Unknown,
        seen_at: at("2026-11-20T12:44:00Z"),
        observed: None,
        percent: None,
        contributors: Vec::new(),
        ..began("acme")
    };
    let dropped = Alerted { kind: AlertKind::Drop, ..began("initech") };
    bench.ledger.alert(vec![began("acme"), began("globex"), dropped, over], at(NOW)).await.unwrap();
    bench
}

/// Customer and what is said.
fn told(answer: &Value) -> Vec<(&str, &str)> {
    let alerts = answer["alerts"].as_array().unwrap().iter();
    alerts.map(|alert| (alert["customer"].as_str().unwrap(), alert["said"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn bursts_are_told_in_order_page_by_page_and_with_all_that_was_found() {
    let bench = bursts().await;
    let all = bench.get(BURSTS).await.json();
    assert_eq!(told(&all), [("acme", "began"), ("globex", "began"), ("initech", "began"), ("acme", "over")]);
    let expected = json!({
        "id": began("acme").id(), "customer": "acme", "project": "web", "environment": "production", "flag": null,
        "meter": "evaluations", "kind": "burst", "said": "began", "why": null, "since": "2026-11-20T12:40:00Z",
        "seen_at": "2026-11-20T12:42:00Z", "alerted_at": NOW, "observed": "512", "expected": "100", "low": "78",
        "high": "122", "ratio": 5.12, "excess": "824", "peak": "512", "learning": false,
        "contributors": [{"by": "flag", "name": "checkout", "count": "924", "before": "100"}],
        "chart": began("acme").chart(),
    });
    assert_eq!(all["alerts"][0], expected);
    let over = &all["alerts"][3];
    assert_eq!(
        (&over["why"], &over["observed"], &over["ratio"]),
        (&"unknown".into(), &().into(), &().into())
    );
    for limit in [1, 3, 4] {
        let (mut followed, mut after) = (Vec::new(), String::new());
        loop {
            let page = bench.get(&format!("{BURSTS}?limit={limit}{after}")).await.json();
            followed.extend(page["alerts"].as_array().unwrap().clone());
            after = format!("&after={}", page["next"].as_str().unwrap());
            if page["more"] == false {
                break;
            }
        }
        assert_eq!(&Value::from(followed), &all["alerts"]);
        let again = bench.get(&format!("{BURSTS}?{}", &after[1..])).await.json();
        assert_eq!(again, json!({"alerts": [], "next": &after["&after=".len()..], "more": false}));
    }
}

#[tokio::test]
async fn what_an_alert_is_of_all_of_is_null() {
    let bench = Bench::new();
    let (acme, web) = (name("acme"), name("web"));
    let subjects = [
        Subject::Customer(acme.clone()),
        Subject::Project { customer: acme, project: web },
        Subject::Flag(environment("acme", "web", "production"), name("checkout")),
    ];
    let alerts = subjects.map(|of| Alerted { of, ..began("acme") });
    bench.ledger.alert(alerts.to_vec(), at(NOW)).await.unwrap();
    let all = bench.get(BURSTS).await.json();
    let names = ["customer", "project", "environment", "flag"];
    let told: Vec<_> =
        all["alerts"].as_array().unwrap().iter().map(|told| names.map(|name| &told[name])).collect();
    let expected = json!([
        ["acme", null, null, null],
        ["acme", "web", null, null],
        ["acme", "web", "production", "checkout"]
    ]);
    assert_eq!(json!(told), expected);
    let page = bench.get("/operators?plain=1").await.body;
    let whole =
        ["acme", "web", "production", "checkout"].map(|name| format!("<bdi>{name}</bdi>")).join(" › ");
    assert!(page.contains(&whole), "{page}");
}

#[tokio::test]
async fn bursts_are_told_by_customer_by_kind_and_as_long_as_they_go_on() {
    let bench = bursts().await;
    for (query, expected) in [
        ("active=true", &[("globex", "began"), ("initech", "began")][..]),
        ("kind=drop", &[("initech", "began")]),
        ("kind=burst&active=true", &[("globex", "began")]),
        ("customer=acme", &[("acme", "began"), ("acme", "over")]),
        ("customer=acme&customer=initech&active=true", &[("initech", "began")]),
        ("customer=nobody", &[]),
    ] {
        let answer = bench.get(&format!("{BURSTS}?{query}")).await.json();
        assert_eq!(told(&answer), expected, "{query}");
    }
}

#[tokio::test]
async fn bursts_are_for_operators_and_what_is_asked_in_a_wrong_way_is_refused() {
    let bench = bursts().await;
    for token in [&bench.acme, &bench.billing] {
        bench.get_as(token, BURSTS).await.problem(403);
    }
    bench.get_as("", BURSTS).await.problem(401);
    let of_crossings = bench.get("/v1/billing/thresholds").await.json();
    let of_crossings = format!("after={}", of_crossings["next"].as_str().unwrap());
    for (query, parameter) in [
        ("kind=rise", "kind"),
        ("active=perhaps", "active"),
        ("limit=0", "limit"),
        ("after=made-up", "after"),
        (&of_crossings, "after"),
    ] {
        assert_eq!(bench.get(&format!("{BURSTS}?{query}")).await.problem(400)["parameter"], parameter);
    }
    let next = bench.get(BURSTS).await.json()["next"].as_str().unwrap().to_owned();
    let restored = Bench::new();
    let problem = restored.get(&format!("{BURSTS}?after={next}")).await.problem(409);
    assert_eq!(problem["type"], "urn:flagmeter:problem:ledger-behind");
}
