//! `/v1/flags` over HTTP.

use serde_json::{Value, json};

use super::bench::{Bench, NOW, acme, at, environment, flag, globex};

async fn some_flags() -> Bench {
    let bench = Bench::new();
    let staging = environment("acme", "web", "staging");
    let counts = [
        (&acme(), flag("checkout"), at("2026-11-19T10:00:00Z"), 6),
        (&acme(), flag("checkout"), at("2026-10-10T10:00:00Z"), 4),
        (&staging, flag("checkout"), at("2026-11-20T10:00:00Z"), 2),
        (&acme(), flag("rogue"), at("2026-10-12T10:00:00Z"), 1),
        (&globex(), flag("banner"), at("2026-11-20T10:00:00Z"), 5),
    ];
    bench.seal(at("2026-09-01T00:00:00Z"), at(NOW), &counts).await;
    bench
}

fn names(answer: &Value) -> Vec<&str> {
    answer["flags"].as_array().unwrap().iter().map(|flag| flag["flag"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_flag_has_its_totals_its_trend_and_when_it_was_seen() {
    let bench = some_flags().await;
    let answer = bench.get("/v1/flags").await.json();
    assert_eq!(names(&answer), ["checkout", "never", "rogue", "banner"]);
    let checkout = &answer["flags"][0];
    assert_eq!(checkout["environments"], json!(["production", "staging"]));
    assert_eq!((&checkout["total"], &checkout["previous_total"]), (&json!(8), &json!(4)));
    assert_eq!(checkout["change"], 1.0);
    assert_eq!(checkout["first_seen"], "2026-10-10T10:00:00Z");
    assert_eq!(checkout["last_seen"], "2026-11-20T10:00:00Z");
    assert_eq!(checkout["in_registry"], true);
    let trend: Vec<_> = checkout["trend"].as_array().unwrap().iter().collect();
    assert_eq!(trend.len(), answer["buckets"].as_array().unwrap().len());
    assert_eq!(trend.iter().filter_map(|count| count.as_u64()).sum::<u64>(), 8);
    let never = &answer["flags"][1];
    assert_eq!((&never["total"], &never["last_seen"]), (&json!(0), &json!(null)));
    assert_eq!(never["change"], json!(null));
    let banner = &answer["flags"][3];
    assert_eq!((&banner["in_registry"], &banner["previous_total"]), (&json!(null), &json!(0)));
}

#[tokio::test]
async fn stale_flags_are_those_not_evaluated_for_so_long_or_never() {
    let bench = some_flags().await;
    assert_eq!(names(&bench.get("/v1/flags?stale_for=30d").await.json()), ["never", "rogue"]);
    assert_eq!(
        names(&bench.get("/v1/flags?stale_for=12h&environment=production").await.json()),
        ["checkout", "never", "rogue"]
    );
    assert_eq!(names(&bench.get("/v1/flags?stale_for=60d").await.json()), ["never"]);
}

#[tokio::test]
async fn flags_that_the_registry_does_not_list_can_be_asked_for() {
    let bench = some_flags().await;
    let answer = bench.get("/v1/flags?unknown_to_registry=true").await.json();
    assert_eq!(names(&answer), ["rogue"], "a project without a list says nothing about its flags");
    assert_eq!(answer["flags"][0]["in_registry"], false);
    let all = bench.get("/v1/flags?unknown_to_registry=false").await.json();
    assert_eq!(names(&all), ["checkout", "never", "rogue", "banner"]);
    assert_eq!(
        bench.get("/v1/flags?unknown_to_registry=no").await.problem(400)["parameter"],
        "unknown_to_registry"
    );
}

#[tokio::test]
async fn owners_and_days_of_removal_are_told_and_can_be_asked_for() {
    let bench = some_flags().await;
    let answer = bench.get("/v1/flags").await.json();
    let said = |flag: &Value| [&flag["owner"], &flag["remove_by"], &flag["past_removal"]].map(Clone::clone);
    assert_eq!(said(&answer["flags"][0]), [json!(null), json!(null), json!(false)]);
    assert_eq!(said(&answer["flags"][1]), [json!("web"), json!("2026-11-19"), json!(true)]);
    for (query, expected) in [
        ("past_removal=true", vec!["never"]),
        ("without_owner=true", vec!["checkout", "rogue", "banner"]),
        ("past_removal=false&without_owner=false", vec!["checkout", "never", "rogue", "banner"]),
        ("past_removal=true&without_owner=true", vec![]),
        ("q=NE", vec!["never", "banner"]),
        ("q=ne&customer=globex", vec!["banner"]),
        ("q=%25", vec![]),
    ] {
        assert_eq!(names(&bench.get(&format!("/v1/flags?{query}")).await.json()), expected, "{query}");
    }
    let long = "x".repeat(257);
    for (query, parameter) in [
        ("past_removal=1", "past_removal"),
        ("without_owner=", "without_owner"),
        ("q=", "q"),
        (&format!("q={long}"), "q"),
    ] {
        assert_eq!(bench.get(&format!("/v1/flags?{query}")).await.problem(400)["parameter"], parameter);
    }
}

#[tokio::test]
async fn a_day_of_removal_is_over_when_it_is_over_where_the_customer_is() {
    let bench = some_flags().await;
    // The 19th is over in Berlin an hour before it is over in UTC.
    for (now, is_past) in [("2026-11-19T22:59:59Z", false), ("2026-11-19T23:00:00Z", true)] {
        bench.clock.set(at(now));
        let answer = bench.get("/v1/flags?flag=never&tz=UTC").await.json();
        assert_eq!(answer["flags"][0]["past_removal"], is_past, "{now}");
    }
}

#[tokio::test]
async fn pages_lead_through_every_flag_once() {
    let bench = some_flags().await;
    let (mut seen, mut after) = (Vec::new(), String::new());
    for _ in 0..9 {
        let answer = bench.get(&format!("/v1/flags?limit=1{after}")).await.json();
        seen.extend(names(&answer).into_iter().map(str::to_owned));
        match answer["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["checkout", "never", "rogue", "banner"]);
}

#[tokio::test]
async fn filters_narrow_flags_and_their_counts() {
    let bench = some_flags().await;
    let staging = bench.get("/v1/flags?environment=staging&flag=checkout").await.json();
    assert_eq!(names(&staging), ["checkout"]);
    assert_eq!(staging["flags"][0]["total"], 2);
    let globex = bench.get("/v1/flags?customer=globex").await.json();
    assert_eq!(names(&globex), ["banner"]);
    let own = bench.get_as(&bench.acme, "/v1/flags").await.json();
    assert_eq!(names(&own), ["checkout", "never", "rogue"]);
    assert_eq!(own["tz"], "Europe/Berlin");
}

#[tokio::test]
async fn a_flag_of_which_nothing_is_known_has_no_total() {
    let answer = Bench::new().get("/v1/flags?customer=acme").await.json();
    assert_eq!(names(&answer), ["checkout", "never"]);
    assert_eq!((&answer["flags"][0]["total"], &answer["state"]), (&json!(null), &json!("unknown")));
    assert_eq!(answer["flags"][0]["trend"][0], json!(null));
}

#[tokio::test]
async fn a_range_before_of_which_not_all_is_known_is_not_compared_with() {
    let bench = Bench::new();
    let counts = [
        (&acme(), flag("checkout"), at("2026-10-15T10:00:00Z"), 10),
        (&acme(), flag("checkout"), at("2026-11-15T10:00:00Z"), 30),
    ];
    // Installed within the range before: its first weeks are unknown, not empty.
    bench.seal(at("2026-10-10T00:00:00Z"), at(NOW), &counts).await;
    let answer = bench.get("/v1/flags?flag=checkout").await.json();
    let checkout = &answer["flags"][0];
    assert_eq!((&checkout["total"], &checkout["previous_total"]), (&json!(30), &json!(10)));
    assert_eq!((&answer["previous_state"], &checkout["change"]), (&json!("partial"), &json!(null)));
    let week = bench.get("/v1/flags?flag=checkout&from=2026-11-01").await.json();
    assert_eq!((&week["previous_state"], &week["flags"][0]["change"]), (&json!("complete"), &json!(2.0)));
}

#[tokio::test]
async fn a_range_without_one_before_is_answered_without_a_comparison() {
    let bench = some_flags().await;
    let answer = bench.get("/v1/flags?from=1990-01-01&resolution=1mo").await.json();
    let checkout = &answer["flags"][0];
    assert_eq!((&answer["previous_state"], &checkout["previous_total"]), (&json!(null), &json!(null)));
    assert_eq!((&checkout["change"], &checkout["total"]), (&json!(null), &json!(12)));
}

#[tokio::test]
async fn more_series_than_are_looked_at_are_refused_with_what_to_do() {
    let bench = some_flags().await.with(crate::Config { series_max: 3, ..crate::Config::default() });
    let problem = bench.get("/v1/flags").await.problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("with a filter"), "{problem}");
    assert_eq!(names(&bench.get("/v1/flags?customer=globex").await.json()), ["banner"]);
}
