//! `/v1/billing/usage-to-date`: what is used of a plan, and where that leads; and statements by a plan's calendar.

use flagmeter_model::Timestamp;
use serde_json::{Value, json};

use super::{
    super::bench::{Bench, Count, NOW, at, flag, globex},
    close, evaluations, hour, text,
};

const TO_DATE: &str = "/v1/billing/usage-to-date";

/// Every hour from one to the other.
fn hours(from: &str, to: Timestamp) -> Vec<Timestamp> {
    let from = at(from);
    let hours = to.millis_since(from) / 3_600_000;
    (0..hours).map(|hour| from.plus_seconds(hour * 3_600)).collect()
}

/// Globex counts ten evaluations in every hour since then; hours are final until 10:00.
async fn counted_since(from: &str) -> Bench {
    let (bench, globex) = (Bench::new(), globex());
    let count = |hour: &Timestamp| -> Count<'_> { (&globex, flag("checkout"), hour.plus_seconds(600), 10) };
    let counts: Vec<Count<'_>> = hours(from, hour(13)).iter().map(count).collect();
    bench.seal(at(from), at(NOW), &counts).await;
    let settled = hours(from, hour(10)).into_iter().map(|hour| evaluations(&globex, hour, 10));
    close(&*bench.ledger, hour(10), &settled.collect::<Vec<_>>()).await;
    bench
}

async fn asked(bench: &Bench) -> Value {
    bench.get(&format!("{TO_DATE}?customer=globex")).await.json()
}

#[tokio::test]
async fn usage_to_date_is_what_is_final_and_what_came_since_and_where_that_leads() {
    let bench = counted_since("2026-10-09T00:00:00Z").await;
    let answer = asked(&bench).await;
    // Billing day 31: the period began on the last day of October, and ends on that of November.
    assert_eq!((text(&answer, "tz"), &answer["billing_day"]), ("Europe/Berlin", &json!(31)));
    assert_eq!(
        ["from", "to", "final_until", "complete_until"].map(|member| text(&answer, member)),
        [
            "2026-10-31T00:00:00+01:00",
            "2026-11-30T00:00:00+01:00",
            "2026-11-20T11:00:00+01:00",
            "2026-11-20T13:44:50+01:00"
        ]
    );
    let evaluations = &answer["meters"][0];
    assert_eq!((text(evaluations, "meter"), text(evaluations, "state")), ("evaluations", "open"));
    // 491 hours are final; two more are over, and one runs.
    assert_eq!((text(evaluations, "used_final"), text(evaluations, "used")), ("4910", "4940"));
    assert_eq!((text(evaluations, "included"), text(evaluations, "percent_used")), ("9000", "54.88"));
    let expected = json!([
        {"percent": 50, "hard": false, "count": "4500", "crossed": true},
        {"percent": 80, "hard": false, "count": "7200", "crossed": false},
        {"percent": 100, "hard": false, "count": "9000", "crossed": false},
        {"percent": 120, "hard": true, "count": "10800", "crossed": false},
    ]);
    assert_eq!(evaluations["thresholds"], expected);
    // Ten an hour, and 720 hours.
    let projection = &evaluations["projection"];
    for (member, shown) in [
        ("count", "7200"),
        ("low", "7200"),
        ("high", "7200"),
        ("percent", "80.00"),
        ("counted_until", "2026-11-20T13:00:00+01:00"),
    ] {
        assert_eq!(text(projection, member), shown, "{member}");
    }
    let rests: Vec<_> =
        projection["weeks"].as_array().unwrap().iter().map(|week| text(week, "rest")).collect();
    assert_eq!(rests, ["2270"; 4]);
    assert!(text(projection, "method").contains("rest over weeks"));
    let requests = &answer["meters"][1];
    assert_eq!(
        (text(requests, "meter"), text(requests, "used"), text(requests, "state")),
        ("requests", "0", "open")
    );
    assert_eq!((&requests["included"], &requests["thresholds"]), (&Value::Null, &json!([])));
    assert_eq!((&requests["percent_used"], &requests["projection"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn what_comes_late_counts_and_nothing_twice() {
    let bench = counted_since("2026-10-09T00:00:00Z").await;
    let used = async || {
        let answer = asked(&bench).await;
        let meter = &answer["meters"][0];
        (text(meter, "used_final").to_owned(), text(meter, "used").to_owned())
    };
    // A correction of the ledger, and more hours that are final.
    let late = evaluations(&globex(), at("2026-11-01T00:00:00Z"), 110);
    close(&*bench.ledger, hour(10), &[late]).await;
    assert_eq!(used().await, ("5010".into(), "5040".into()));
    close(&*bench.ledger, hour(12), &[10, 11].map(|number| evaluations(&globex(), hour(number), 10))).await;
    assert_eq!(used().await, ("5030".into(), "5040".into()));
    // What lies before the period is not of it.
    close(&*bench.ledger, hour(12), &[evaluations(&globex(), at("2026-10-30T22:00:00Z"), 500)]).await;
    assert_eq!(used().await, ("5030".into(), "5040".into()));
}

#[tokio::test]
async fn an_outage_never_looks_like_zero_and_a_short_history_is_no_projection() {
    let nothing = asked(&Bench::new()).await;
    let meter = &nothing["meters"][0];
    assert_eq!((text(meter, "state"), text(meter, "included")), ("unknown", "9000"));
    for member in ["used", "percent_used", "projection"] {
        assert_eq!(meter[member], Value::Null, "{member}");
    }
    assert_eq!((&nothing["complete_until"], &nothing["final_until"]), (&Value::Null, &Value::Null));
    // A node was there from the middle of the period on.
    let answer = asked(&counted_since("2026-11-10T00:00:00Z").await).await;
    let meter = &answer["meters"][0];
    assert_eq!((text(meter, "state"), text(meter, "used")), ("partial", "2530"));
    assert_eq!(meter["projection"], Value::Null, "a week and a half");
}

#[tokio::test]
async fn periods_keep_to_the_calendar_of_the_plan() {
    let bench = counted_since("2026-11-10T00:00:00Z").await;
    for (now, from, to) in [
        ("2028-02-29T12:00:00Z", "2028-02-29T00:00:00+01:00", "2028-03-31T00:00:00+02:00"),
        ("2028-02-28T22:59:59Z", "2028-01-31T00:00:00+01:00", "2028-02-29T00:00:00+01:00"),
        ("2027-02-28T12:00:00Z", "2027-02-28T00:00:00+01:00", "2027-03-31T00:00:00+02:00"),
    ] {
        bench.clock.set(at(now));
        let answer = asked(&bench).await;
        assert_eq!((text(&answer, "from"), text(&answer, "to")), (from, to));
    }
    // So do statements, where the request does not say otherwise.
    let statement = async |query: &str| {
        let answer =
            bench.get(&format!("/v1/billing/statement?customer=globex&draft=true&{query}")).await.json();
        ["tz", "from", "to"].map(|member| text(&answer, member).to_owned())
    };
    let october = ["Europe/Berlin", "2026-10-31T00:00:00+01:00", "2026-11-30T00:00:00+01:00"];
    assert_eq!(statement("period=2026-10").await, october);
    let of_utc = ["UTC", "2026-10-31T00:00:00Z", "2026-11-30T00:00:00Z"];
    assert_eq!(statement("period=2026-10&tz=UTC").await, of_utc);
    let asked = ["Europe/Berlin", "2026-11-01T00:00:00+01:00", "2026-12-01T00:00:00+01:00"];
    assert_eq!(statement("from=2026-10-31T23:00:00Z&to=2026-11-30T23:00:00Z").await, asked);
}

#[tokio::test]
async fn a_customer_without_a_plan_has_months_and_sees_itself_alone() {
    let bench = counted_since("2026-11-10T00:00:00Z").await;
    let own = bench.get_as(&bench.acme, TO_DATE).await.json();
    assert_eq!((text(&own, "customer"), text(&own, "from")), ("acme", "2026-11-01T00:00:00+01:00"));
    assert_eq!((&own["meters"][0]["included"], text(&own["meters"][0], "used")), (&Value::Null, "0"));
    assert_eq!(bench.get_as(&bench.billing, &format!("{TO_DATE}?customer=acme")).await.json(), own);
    let refused = async |customer: &str| {
        let reply = bench.get_as(&bench.acme, &format!("{TO_DATE}?customer={customer}")).await;
        reply.problem(403);
        reply.body.replace(customer, "*")
    };
    assert_eq!(refused("globex").await, refused("nobody").await);
    for (query, parameter) in [
        ("", "customer"),
        ("?customer=acme&customer=globex", "customer"),
        ("?customer=nobody", "customer"),
        ("?customer=acme&project=web", "project"),
    ] {
        let problem = bench.get(&format!("{TO_DATE}{query}")).await.problem(400);
        assert_eq!(problem["parameter"], parameter, "{query}");
    }
    bench.get_as("", TO_DATE).await.problem(401);
}
