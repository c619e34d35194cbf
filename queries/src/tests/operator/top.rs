//! The largest customers over HTTP.

use flagmeter_model::{Environment, Meter, SeriesKey, Timestamp};
use serde_json::{Value, json};

use super::super::bench::{Bench, NOW, acme, at, environment, flag, globex, of};

const TOP: &str = "/v1/operator/top";

fn initech() -> Environment {
    environment("initech", "tps", "production")
}

/// In the five minutes up to 12:44, and in the five before: acme 600 and 300, globex 3,000 and 3,000, initech 0 and 900.
async fn three_customers() -> Bench {
    let bench = Bench::new();
    let now = at("2026-11-20T12:40:30Z");
    let before = at("2026-11-20T12:34:00Z");
    let (acme, globex, initech) = (acme(), globex(), initech());
    let count = |whose, at: Timestamp, count| (whose, flag("checkout"), at, count);
    let counts: [(&Environment, SeriesKey, Timestamp, u64); 7] = [
        count(&acme, now, 600),
        count(&acme, before, 300),
        count(&globex, now, 3_000),
        count(&globex, before, 3_000),
        count(&initech, before, 900),
        // Still filling, and before the hour.
        count(&acme, at("2026-11-20T12:44:20Z"), 9_000_000),
        count(&acme, at("2026-11-20T11:43:50Z"), 8_000_000),
    ];
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    bench
}

fn names(answer: &Value) -> Vec<&str> {
    let customers = answer["customers"].as_array().unwrap();
    customers.iter().map(|line| line["customer"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn rates_are_those_of_the_last_whole_minutes() {
    let answer = three_customers().await.get(TOP).await.json();
    assert_eq!(names(&answer), ["globex", "acme", "initech"]);
    let window = json!({"from": "2026-11-20T12:39:00Z", "to": "2026-11-20T12:44:00Z", "state": "complete"});
    assert_eq!(answer["window"], window);
    assert_eq!(answer["window_before"]["from"], "2026-11-20T12:34:00Z");
    assert_eq!(
        (&answer["minutes"]["from"], &answer["minutes"]["to"]),
        (&json!("2026-11-20T11:44:00Z"), &json!("2026-11-20T12:44:00Z"))
    );
    assert_eq!(answer["minutes"]["states"].as_array().unwrap().len(), 60);
    let acme = &answer["customers"][1];
    let told = ["rate", "rate_before", "difference", "change", "hour_total"].map(|name| acme[name].clone());
    assert_eq!(json!(told), json!([2.0, 1.0, 1.0, 1.0, 900]));
    let line = acme["sparkline"].as_array().unwrap();
    assert_eq!((line.len(), &line[50], &line[56], &line[59]), (60, &json!(300), &json!(600), &json!(0)));
    let initech = &answer["customers"][2];
    assert_eq!((&initech["rate"], &initech["change"]), (&json!(0.0), &json!(-1.0)));
    assert_eq!((&answer["total"]["rate"], &answer["total"]["hour_total"]), (&json!(12.0), &json!(7_800)));
    assert_eq!(answer["others"], Value::Null);
}

#[tokio::test]
async fn the_largest_change_comes_first_whether_up_or_down() {
    let bench = three_customers().await;
    let answer = bench.get(&format!("{TOP}?by=change")).await.json();
    assert_eq!(names(&answer), ["initech", "acme", "globex"]);
    assert_eq!(answer["customers"][0]["difference"], -3.0);
    // In ten minutes and the ten before, nobody counted anything before.
    let wider = bench.get(&format!("{TOP}?by=change&window=10m")).await.json();
    assert_eq!(names(&wider), ["globex", "acme", "initech"]);
    assert_eq!(wider["customers"][2]["difference"], 1.5);
    assert_eq!(wider["customers"][2]["change"], Value::Null, "there was nothing to grow from");
}

#[tokio::test]
async fn what_is_beyond_the_limit_is_added_up_and_never_hidden() {
    let answer = three_customers().await.get(&format!("{TOP}?limit=1")).await.json();
    assert_eq!(names(&answer), ["globex"]);
    let others = &answer["others"];
    assert_eq!(
        (&others["customers"], &others["rate"], &others["hour_total"]),
        (&json!(2), &json!(2.0), &json!(1_800))
    );
    assert_eq!(others["sparkline"][50], 1_200);
}

#[tokio::test]
async fn a_time_without_knowledge_is_null_and_compared_with_nothing() {
    let bench = Bench::new();
    let count = |at: Timestamp| (acme(), flag("checkout"), at, 300);
    let (before, now) = (count(at("2026-11-20T12:00:00Z")), count(at("2026-11-20T12:43:00Z")));
    bench
        .seal(at("2026-11-20T11:00:00Z"), at("2026-11-20T12:10:00Z"), &[(&before.0, before.1, before.2, 300)])
        .await;
    // Nobody was there for half an hour.
    bench.seal(at("2026-11-20T12:39:00Z"), at(NOW), &[(&now.0, now.1, now.2, 300)]).await;
    let answer = bench.get(TOP).await.json();
    assert_eq!(answer["window_before"]["state"], "unknown");
    let acme = &answer["customers"][0];
    let told = ["rate", "rate_before", "difference", "change", "hour_total"].map(|name| acme[name].clone());
    assert_eq!(json!(told), json!([1.0, null, null, null, 600]));
    assert_eq!(answer["minutes"]["states"][40], "unknown");
    assert_eq!((&acme["sparkline"][40], &acme["sparkline"][17]), (&Value::Null, &json!(0)));
}

#[tokio::test]
async fn before_the_first_seal_there_is_nobody_and_no_rate() {
    let answer = Bench::new().get(TOP).await.json();
    assert_eq!((&answer["customers"], &answer["total"]["rate"]), (&json!([]), &Value::Null));
    assert_eq!((&answer["window"]["to"], &answer["window"]["state"]), (&Value::Null, &json!("unknown")));
}

#[tokio::test]
async fn each_meter_has_a_top_of_its_own() {
    let bench = Bench::new();
    let requests = (&acme(), of(Meter::Requests, "flags"), at("2026-11-20T12:43:00Z"), 60);
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &[requests]).await;
    let answer = bench.get(&format!("{TOP}?meter=requests&window=1m")).await.json();
    assert_eq!((names(&answer), &answer["total"]["rate"]), (vec!["acme"], &json!(1.0)));
    assert_eq!(names(&bench.get(TOP).await.json()), Vec::<&str>::new());
    for wrong in ["window=3m", "window=1h", "by=name", "limit=0", "meter=received"] {
        bench.get(&format!("{TOP}?{wrong}")).await.problem(400);
    }
}
