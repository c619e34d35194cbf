//! `/v1/billing/thresholds`: the feed of crossings, and waiting for it.

use std::time::Duration;

use flagmeter_ledger::Crossed;
use flagmeter_model::Meter;
use serde_json::{Value, json};

use super::{
    super::bench::{Bench, NOW, at, name},
    text,
};

const FEED: &str = "/v1/billing/thresholds";

fn crossed(customer: &str, percent: u16) -> Crossed {
    Crossed {
        customer: name(customer),
        meter: Meter::Evaluations,
        period: at("2026-10-30T23:00:00Z"),
        percent,
        hard: percent > 100,
        included: 9_000,
        used: 90 * u64::from(percent),
    }
}

async fn crossings() -> Bench {
    let bench = Bench::new();
    let crossed = [crossed("acme", 50), crossed("globex", 50), crossed("globex", 120), crossed("acme", 80)];
    bench.ledger.cross(crossed.into(), at(NOW)).await.unwrap();
    bench
}

/// Customer and percent.
fn told(answer: &Value) -> Vec<(&str, u64)> {
    let crossings = answer["crossings"].as_array().unwrap().iter();
    crossings.map(|crossing| (text(crossing, "customer"), crossing["percent"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn crossings_are_told_in_order_and_once_to_who_follows() {
    let bench = crossings().await;
    let all = bench.get(FEED).await.json();
    assert_eq!(told(&all), [("acme", 50), ("globex", 50), ("globex", 120), ("acme", 80)]);
    let expected = json!({
        "id": crossed("globex", 120).id(), "customer": "globex", "meter": "evaluations",
        "period": "2026-10-30T23:00:00Z", "percent": 120, "hard": true, "included": "9000", "used": "10800",
        "crossed_at": NOW,
    });
    assert_eq!(all["crossings"][2], expected);
    for limit in [1, 3, 4] {
        let (mut followed, mut after) = (Vec::new(), String::new());
        loop {
            let page = bench.get(&format!("{FEED}?limit={limit}{after}")).await.json();
            followed.extend(page["crossings"].as_array().unwrap().clone());
            after = format!("&after={}", text(&page, "next"));
            if page["more"] == false {
                break;
            }
        }
        assert_eq!(&Value::from(followed), &all["crossings"]);
        let again = bench.get(&format!("{FEED}?{}", &after[1..])).await.json();
        assert_eq!(again, json!({"crossings": [], "next": &after["&after=".len()..], "more": false}));
    }
}

#[tokio::test]
async fn a_customer_is_told_its_own_and_cursors_are_its_own_too() {
    let bench = crossings().await;
    let own = bench.get_as(&bench.acme, FEED).await.json();
    assert_eq!(told(&own), [("acme", 50), ("acme", 80)]);
    let (own, all) = (text(&own, "next").to_owned(), bench.get_as(&bench.billing, FEED).await.json());
    let refused = async |token: &str, after: &str| {
        bench.get_as(token, &format!("{FEED}?after={after}")).await.problem(400)["parameter"].clone()
    };
    for (token, after) in [
        (&bench.acme, text(&all, "next")),
        (&bench.billing, &own),
        (&bench.billing, "made-up"),
        (&bench.billing, text(&bench.get("/v1/billing/closed-hours").await.json(), "next")),
    ] {
        assert_eq!(refused(token, after).await, "after", "{after}");
    }
    for (query, parameter) in [("customer=acme", "customer"), ("limit=0", "limit"), ("wait=2h", "wait")] {
        assert_eq!(bench.get(&format!("{FEED}?{query}")).await.problem(400)["parameter"], parameter);
    }
    bench.get_as("", FEED).await.problem(401);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_when_something_comes_and_a_restored_ledger_says_so() {
    let bench = crossings().await;
    let end = bench.get(FEED).await.json();
    let after = text(&end, "next");
    let own = bench.get_as(&bench.acme, FEED).await.json();
    let own = format!("{FEED}?wait=60s&after={}", text(&own, "next"));
    let meanwhile = async {
        for news in [crossed("globex", 150), crossed("acme", 100)] {
            tokio::time::sleep(Duration::from_secs(5)).await;
            bench.ledger.cross(vec![news], at(NOW)).await.unwrap();
        }
    };
    let waiting = format!("{FEED}?wait=60s&after={after}");
    let (all, own, ()) = tokio::join!(bench.get(&waiting), bench.get_as(&bench.acme, &own), meanwhile);
    assert_eq!((told(&all.json()), told(&own.json())), (vec![("globex", 150)], vec![("acme", 100)]));
    let newer = bench.get(FEED).await.json();
    let restored = crossings().await;
    let problem = restored.get(&format!("{FEED}?after={}", text(&newer, "next"))).await.problem(409);
    assert_eq!(problem["type"], "urn:flagmeter:problem:ledger-behind");
}
