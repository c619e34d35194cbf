//! `/v1/reconcile/billing`: each hour that differs says why.

use flagmeter_model::{Meter, Tier, Window};
use flagmeter_store::NewMark;
use serde_json::{Value, json};

use super::{
    super::bench::{Bench, NOW, acme, at, environment, flag, globex, of},
    close, counted, evaluations, hour, text,
};

const DAY: &str = "/v1/reconcile/billing?from=2026-11-20T00:00:00Z&to=2026-11-20T13:00:00Z&customer=acme";

/// Of each hour that differs: which, of what, both numbers, and why.
fn told(answer: &Value) -> Vec<Value> {
    let members = ["hour", "environment", "meter", "ledger", "store", "difference", "why"];
    let rows = answer["differences"].as_array().unwrap().iter();
    rows.map(|row| members.iter().map(|member| row[member].clone()).collect()).collect()
}

/// Final until 11:00; the store has more of some hours and less of one.
async fn differing() -> Bench {
    let bench = Bench::new();
    let staging = environment("acme", "web", "staging");
    let counts = [
        (&acme(), flag("checkout"), at("2026-11-20T08:05:00Z"), 8),
        (&acme(), flag("checkout"), at("2026-11-20T09:05:00Z"), 30),
        (&acme(), flag("checkout"), at("2026-11-20T10:05:00Z"), 10),
        (&acme(), flag("checkout"), at("2026-11-20T11:05:00Z"), 11),
        (&acme(), flag("checkout"), at("2026-11-20T12:05:00Z"), 12),
        (&staging, of(Meter::Requests, "flags"), at("2026-11-20T08:05:00Z"), 5),
        (&globex(), flag("checkout"), at("2026-11-20T08:05:00Z"), 1_000),
    ];
    bench.seal(at("2026-11-20T08:00:00Z"), at(NOW), &counts).await;
    let hours = [
        evaluations(&acme(), hour(8), 8),
        evaluations(&acme(), hour(9), 20),
        evaluations(&acme(), hour(10), 7),
        counted(&staging, Meter::Requests, hour(8), 6),
    ];
    close(&*bench.ledger, hour(11), &hours[..2]).await;
    close(&*bench.ledger, hour(11), &[evaluations(&acme(), hour(9), 27)]).await;
    close(&*bench.ledger, hour(11), &hours[2..]).await;
    bench
}

#[tokio::test]
async fn each_hour_that_differs_says_why() {
    let bench = differing().await;
    let window = Window::starting(Tier::Minute, at("2026-11-20T10:05:00Z")).unwrap();
    bench.store.mark(&[NewMark { window, environment: acme() }]).await.unwrap();
    let answer = bench.get(DAY).await.json();
    let (production, staging) = ("production", "staging");
    let expected = json!([
        ["2026-11-20T09:00:00Z", production, "evaluations", "27", "30", "3", "correction"],
        ["2026-11-20T10:00:00Z", production, "evaluations", "7", "10", "3", "late"],
        ["2026-11-20T11:00:00Z", production, "evaluations", "0", "11", "11", "closing"],
        ["2026-11-20T12:00:00Z", production, "evaluations", "0", "12", "12", "open"],
        ["2026-11-20T08:00:00Z", staging, "requests", "6", "5", "-1", "less"],
    ]);
    assert_eq!(Value::from(told(&answer)), expected);
    assert_eq!(
        (&answer["balanced"], &answer["final_until"]),
        (&json!(false), &json!("2026-11-20T11:00:00Z"))
    );
    let total = &answer["totals"][0];
    assert_eq!((text(total, "ledger"), text(total, "store"), text(total, "difference")), ("42", "71", "29"));
    for row in answer["differences"].as_array().unwrap() {
        assert!(text(row, "detail").ends_with('.'), "{row}");
    }
    assert!(!answer.to_string().contains("1000"), "what others counted is not told");
}

#[tokio::test]
async fn what_agrees_is_balanced_and_what_is_not_final_does_not_unbalance_it() {
    let bench = differing().await;
    let of = |range: &str| DAY.replace("from=2026-11-20T00:00:00Z&to=2026-11-20T13:00:00Z", range);
    let agrees = of("from=2026-11-20T08:00:00Z&to=2026-11-20T09:00:00Z&environment=production");
    let answer = bench.get(&agrees).await.json();
    assert_eq!((&answer["balanced"], told(&answer).len()), (&json!(true), 0));
    assert_eq!(answer["totals"][0]["ledger"], "8");
    let open = bench.get(&of("from=2026-11-20T11:00:00Z&to=2026-11-20T13:00:00Z")).await.json();
    assert_eq!((&open["balanced"], told(&open).len()), (&json!(true), 2));
    // Once the correction is appended, nothing differs any more.
    close(&*bench.ledger, hour(11), &[evaluations(&acme(), hour(9), 30)]).await;
    let corrected = bench.get(&of("from=2026-11-20T09:00:00Z&to=2026-11-20T10:00:00Z")).await.json();
    assert_eq!((&corrected["balanced"], told(&corrected).len()), (&json!(true), 0));
}

#[tokio::test]
async fn what_is_refused_says_what_to_change_and_tells_nothing_of_others() {
    let bench = differing().await;
    let all = DAY.replace("&customer=acme", "");
    for (request, parameter) in [
        (all.clone(), "customer"),
        (format!("{DAY}&customer=globex"), "customer"),
        (format!("{all}&customer=nobody"), "customer"),
        (DAY.replace("T13:00", "T12:30"), "to"),
        (DAY.replace("to=2026-11-20T13", "to=2026-11-20T00"), "from"),
        (format!("{DAY}&meter=requests"), "meter"),
    ] {
        assert_eq!(bench.get(&request).await.problem(400)["parameter"], parameter, "{request}");
    }
    assert_eq!(bench.get_as(&bench.acme, &all).await.json()["customer"], "acme");
    let asked = async |customer: &str| {
        let reply = bench.get_as(&bench.acme, &format!("{all}&customer={customer}")).await;
        reply.problem(403);
        reply.body.replace(customer, "*")
    };
    assert_eq!(asked("globex").await, asked("nobody").await);
}
