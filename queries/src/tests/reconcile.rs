//! `/v1/reconcile` over HTTP.

use flagmeter_model::Meter::{Duplicate, Received, Rejected, Requests};
use flagmeter_store::Floors;
use serde_json::json;

use super::bench::{Bench, NOW, acme, at, each, environment, flag, globex, of};

async fn fates() -> Bench {
    let bench = Bench::new();
    let time = at("2026-11-20T11:05:00Z");
    // An hour late: the fate is counted on arrival, the count at its own time.
    let event = at("2026-11-20T09:59:00Z");
    let (acme, globex) = (acme(), globex());
    let counts = [
        (&acme, flag("checkout"), event, 80),
        (&acme, of(Requests, "flags"), time, 5),
        (&acme, of(Received, "counts.v1"), time, 60),
        (&acme, of(Received, "flagsmith.v1"), time, 40),
        (&acme, of(Duplicate, "counts.v1"), time, 10),
        (&acme, of(Rejected, "count_negative"), time, 3),
        (&acme, of(Rejected, "time_too_old"), time, 2),
        (&globex, flag("banner"), time, 7),
        (&globex, of(Received, "counts.v1"), time, 8),
    ];
    bench.seal(at("2026-11-20T09:00:00Z"), at(NOW), &counts).await;
    bench.edges.received.lock().extend([(acme, 109), (globex, 8)]);
    bench
}

#[tokio::test]
async fn over_all_time_every_count_has_a_fate() {
    let bench = fates().await;
    let answer = bench.get("/v1/reconcile").await.json();
    let row = &answer["rows"][0];
    assert_eq!((&row["customer"], &row["received"]), (&json!("acme"), &json!(109)));
    assert_eq!(row["stored"], json!({"evaluations": 80, "requests": 5, "total": 85}));
    assert_eq!(row["duplicate"], 10);
    assert_eq!(row["rejected"], json!({"total": 5, "by_reason": {"count_negative": 3, "time_too_old": 2}}));
    assert_eq!((&row["in_flight"], &row["difference"]), (&json!(9), &json!(0)));
    assert_eq!((&row["balanced"], &answer["settled"]), (&json!(null), &json!(true)), "9 are in flight");
    let lost = &answer["rows"][1];
    assert_eq!((&lost["difference"], &lost["balanced"]), (&json!(1), &json!(false)));
    assert_eq!((&answer["from"], &answer["state"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn over_a_range_fates_are_those_of_what_arrived_in_it() {
    let bench = fates().await;
    let hour =
        bench.get("/v1/reconcile?from=2026-11-20T11:00:00Z&to=2026-11-20T11:30:30Z&customer=acme").await;
    let hour = hour.json();
    assert_eq!(hour["to"], "2026-11-20T11:31:00Z");
    let row = &hour["rows"][0];
    assert_eq!((&row["received"], &row["stored"]["total"]), (&json!(100), &json!(5)));
    assert_eq!((&row["balanced"], &row["in_flight"]), (&json!(null), &json!(null)));
    let days = bench.get("/v1/reconcile?from=-3d").await.json();
    assert_eq!(
        (&days["from"], &days["to"]),
        (&json!("2026-11-17T12:00:00Z"), &json!("2026-11-20T13:00:00Z"))
    );
    assert_eq!(days["rows"][0]["stored"]["total"], 85);
}

#[tokio::test]
async fn a_difference_counts_only_if_it_stays() {
    let bench = Bench::new();
    let (time, from) = (at("2026-11-20T11:05:00Z"), at("2026-11-20T09:00:00Z"));
    let acme = acme();
    // A seal of two records: what arrived is stored, what became of it comes with the second.
    bench.seal(from, at(NOW), &[(&acme, of(Received, "counts.v1"), time, 7)]).await;
    bench.edges.received.lock().insert(acme.clone(), 7);
    let first_look = bench.edges.asked.notified();
    let second_record = async {
        first_look.await;
        bench.seal(from, at(NOW), &[(&acme, flag("checkout"), time, 7)]).await;
    };
    let (answer, ()) = tokio::join!(bench.get("/v1/reconcile"), second_record);
    let answer = answer.json();
    assert_eq!(
        (each(&answer, "difference"), each(&answer, "balanced")),
        (vec![&json!(0)], vec![&json!(true)])
    );
}

#[tokio::test]
async fn a_range_past_the_retention_of_minutes_is_answered_from_what_is_kept() {
    let bench = fates().await;
    bench.roll_up(at("2026-11-20T09:00:00Z"), at("2026-11-20T12:00:00Z")).await;
    let asked = "/v1/reconcile?from=2026-11-20T11:02:00Z&to=2026-11-20T11:07:00Z&customer=acme";
    let floor = Some(at("2026-11-20T12:00:00Z"));
    for (floors, from, to) in [
        (Floors { raw: floor, ..Floors::default() }, "2026-11-20T11:02:00Z", "2026-11-20T11:07:00Z"),
        (Floors { raw: floor, minute: floor, quarter: None }, "2026-11-20T11:00:00Z", "2026-11-20T11:15:00Z"),
        (
            Floors { raw: floor, minute: floor, quarter: floor },
            "2026-11-20T11:00:00Z",
            "2026-11-20T12:00:00Z",
        ),
    ] {
        while bench.store.retain(floors).await.unwrap().more {}
        let answer = bench.get(asked).await.json();
        assert_eq!((&answer["from"], &answer["to"]), (&json!(from), &json!(to)));
        assert_eq!((&answer["state"], &answer["rows"][0]["received"]), (&json!("complete"), &json!(100)));
    }
}

#[tokio::test]
async fn fates_are_told_apart_as_far_as_asked() {
    let bench = fates().await;
    bench.edges.received.lock().insert(environment("acme", "web", "staging"), 4);
    let answer = bench.get("/v1/reconcile?group_by=environment&customer=acme").await.json();
    assert_eq!(each(&answer, "environment"), ["production", "staging"]);
    assert_eq!(each(&answer, "in_flight"), [9, 4]);
    let staging = bench.get("/v1/reconcile?environment=staging").await.json();
    assert_eq!(each(&staging, "received"), [4]);
    assert!(staging["rows"][0].get("project").is_none());
}

#[tokio::test]
async fn what_is_rolled_up_and_gone_from_the_finer_tiers_still_balances() {
    let bench = fates().await;
    bench.roll_up(at("2026-11-20T09:00:00Z"), at("2026-11-20T12:00:00Z")).await;
    let floor = Some(at("2026-11-20T12:00:00Z"));
    let floors = Floors { raw: floor, minute: floor, quarter: floor };
    while bench.store.retain(floors).await.unwrap().more {}
    let answer = bench.get("/v1/reconcile").await.json();
    assert_eq!(each(&answer, "difference"), [0, 1]);
    assert_eq!(answer["rows"][0]["received"], 109);
}
