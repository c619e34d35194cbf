//! `/v1/bursts`: what was out of the ordinary within a range, for whoever may see it.

use std::sync::Arc;

use axum::{body::Body, http::Request};
use flagmeter_ledger::{AlertKind, Alerted, Said};
use flagmeter_model::Meter;
use serde_json::{Value, json};

use super::{
    bench::{Bench, NOW, at, environment, name},
    billing::Mute,
    operator::bursts::began,
};

const BURSTS: &str = "/v1/bursts";

/// That it is over at 12:44.
pub(super) fn over(began: &Alerted) -> Alerted {
    Alerted {
        said: Said::Calm,
        seen_at: at("2026-11-20T12:44:00Z"),
        observed: Some(101),
        expected: 103,
        low: 80,
        high: 126,
        percent: Some(98),
        excess: 1_648,
        peak: 640,
        contributors: Vec::new(),
        ..began.clone()
    }
}

/// Of one customer: a burst that is over, one of a flag, one of requests; and a drop of another one. It is 12:44:54.
async fn bursts() -> Bench {
    let bench = Bench::new();
    let acme = began("acme");
    let flag = Alerted { flag: Some(name("checkout")), since: at("2026-11-20T12:41:00Z"), ..acme.clone() };
    let requests = Alerted {
        meter: Meter::Requests,
        environment: environment("acme", "web", "staging"),
        seen_at: at("2026-11-20T12:43:00Z"),
        since: at("2026-11-20T12:41:30Z"),
        is_learning: true,
        ..acme.clone()
    };
    let globex = Alerted {
        kind: AlertKind::Drop,
        environment: environment("globex", "shop", "production"),
        observed: Some(1),
        percent: Some(1),
        peak: 0,
        ..began("globex")
    };
    let alerts = vec![globex, acme.clone(), flag, requests, over(&acme)];
    bench.ledger.alert(alerts, at(NOW)).await.unwrap();
    bench
}

/// Customer, flag and meter of each.
fn told(answer: &Value) -> Vec<(&str, &str, &str)> {
    fn text<'a>(burst: &'a Value, member: &str) -> &'a str {
        burst[member].as_str().unwrap_or("-")
    }
    let bursts = answer["bursts"].as_array().unwrap().iter();
    bursts.map(|burst| (text(burst, "customer"), text(burst, "flag"), text(burst, "meter"))).collect()
}

const WHOLE: (&str, &str, &str) = ("acme", "-", "evaluations");
const OF_FLAG: (&str, &str, &str) = ("acme", "checkout", "evaluations");
const REQUESTS: (&str, &str, &str) = ("acme", "-", "requests");
const OTHER: (&str, &str, &str) = ("globex", "-", "evaluations");

#[tokio::test]
async fn a_burst_is_told_with_its_end_and_a_drop_that_goes_on_without() {
    let bench = bursts().await;
    let answer = bench.get(BURSTS).await.json();
    assert_eq!(told(&answer), [OTHER, WHOLE, OF_FLAG, REQUESTS]);
    let expected = json!({
        "id": began("acme").id(), "customer": "acme", "project": "web", "environment": "production", "flag": null,
        "meter": "evaluations", "kind": "burst", "since": "2026-11-20T12:40:00Z", "until": "2026-11-20T12:44:00Z",
        "why": "calm", "expected": "100", "low": "78", "high": "122", "peak": "640", "ratio": 6.4, "excess": "1648",
        "learning": false, "chart": over(&began("acme")).chart(),
    });
    assert_eq!(answer["bursts"][1], expected);
    let drop = &answer["bursts"][0];
    assert_eq!((&drop["kind"], &drop["until"], &drop["why"]), (&"drop".into(), &().into(), &().into()));
    assert_eq!((&drop["peak"], &drop["ratio"]), (&"0".into(), &0.0.into()));
    assert_eq!((&answer["bursts"][3]["learning"], &answer["more"]), (&true.into(), &false.into()));
}

#[tokio::test]
async fn a_customer_is_told_its_own_alone_and_whose_token_may_is_told_all() {
    let bench = bursts().await;
    let answer = bench.get_as(&bench.acme, BURSTS).await.json();
    assert_eq!(told(&answer), [WHOLE, OF_FLAG, REQUESTS]);
    assert!(!answer.to_string().contains("globex"));
    bench.get_as(&bench.acme, &format!("{BURSTS}?customer=globex")).await.problem(403);
    assert_eq!(told(&bench.get_as(&bench.billing, BURSTS).await.json()), [OTHER, WHOLE, OF_FLAG, REQUESTS]);
    bench.get_as("", BURSTS).await.problem(401);
}

#[tokio::test]
async fn filters_mean_what_alerts_are_about() {
    let bench = bursts().await;
    for (query, expected) in [
        ("customer=globex", &[OTHER][..]),
        ("customer=globex&customer=acme&environment=production", &[OTHER, WHOLE, OF_FLAG]),
        ("project=shop", &[OTHER]),
        ("environment=staging", &[REQUESTS]),
        ("flag=checkout&flag=other", &[OF_FLAG]),
        ("flag=other", &[]),
        ("meter=requests", &[REQUESTS]),
        ("meter=evaluations&customer=acme", &[WHOLE, OF_FLAG]),
        ("limit=2", &[OF_FLAG, REQUESTS]),
        // A range is half-open.
        ("to=2026-11-20T12:40:00Z&from=2026-11-20", &[]),
        ("to=2026-11-20T12:41:00Z", &[OTHER, WHOLE]),
        ("from=2026-11-20T12:43:59Z&meter=evaluations", &[OTHER, WHOLE, OF_FLAG]),
        ("from=2026-11-20T12:44:00Z&meter=evaluations", &[OTHER, OF_FLAG]),
        ("from=-10s&customer=acme&meter=evaluations", &[OF_FLAG]),
    ] {
        let answer = bench.get(&format!("{BURSTS}?{query}")).await.json();
        assert_eq!(told(&answer), expected, "{query}");
        assert_eq!(answer["more"], query.starts_with("limit"), "{query}");
    }
    for (query, parameter) in [
        ("meter=received", "meter"),
        ("limit=1001", "limit"),
        ("variant=on", "variant"),
        ("from=now", "from"),
        ("tz=Mars", "tz"),
    ] {
        assert_eq!(bench.get(&format!("{BURSTS}?{query}")).await.problem(400)["parameter"], parameter);
    }
}

#[tokio::test]
async fn what_is_known_is_not_sent_again_until_something_is_new() {
    let bench = bursts().await;
    let answer = bench.get(BURSTS).await;
    let tag = answer.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(answer.headers["cache-control"], "private, no-cache");
    let again = || {
        let request = Request::get(BURSTS)
            .header("authorization", format!("Bearer {}", bench.operator))
            .header("if-none-match", &tag);
        bench.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(again().await.status, 304);
    bench.ledger.alert(vec![began("initech")], at(NOW)).await.unwrap();
    assert_eq!(again().await.json()["bursts"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_is_an_error_and_no_empty_list() {
    let bench = Bench::new().over_ledger(Arc::new(Mute::default()));
    let problem = bench.get(BURSTS).await.problem(503);
    assert_eq!(problem["type"], "urn:flagmeter:problem:ledger-unavailable");
}
