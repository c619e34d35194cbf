//! `/v1/usage` over HTTP.

use axum::{body::Body, http::Request};
use flagmeter_model::{Meter, SeriesKey};
use flagmeter_store::{Floors, conformance::fixture};
use serde_json::json;

use super::bench::{Bench, NOW, acme, at, each, flag, globex, name, of};

/// An hour with a break: the node was away from :20 to :30.
async fn an_hour_with_a_break() -> Bench {
    let bench = Bench::new();
    let counts = [(&acme(), flag("checkout"), at("2026-11-20T11:05:00Z"), 7)];
    bench.seal(at("2026-11-20T11:00:00Z"), at("2026-11-20T11:20:00Z"), &counts).await;
    let counts = [(&acme(), flag("search"), at("2026-11-20T11:31:00Z"), 5)];
    bench.seal(at("2026-11-20T11:30:00Z"), at(NOW), &counts).await;
    bench
}

const THE_HOUR: &str = "from=2026-11-20T11:00:00Z&to=2026-11-20T12:00:00Z";

#[tokio::test]
async fn a_time_without_nodes_is_null_and_one_without_counts_is_zero() {
    let bench = an_hour_with_a_break().await;
    let answer = bench.get(&format!("/v1/usage?{THE_HOUR}&resolution=1m")).await.json();
    let rows = answer["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 60);
    assert_eq!((&rows[5]["count"], &rows[5]["state"]), (&json!(7), &json!("complete")));
    assert_eq!((&rows[6]["count"], &rows[6]["state"]), (&json!(0), &json!("complete")));
    assert_eq!((&rows[25]["count"], &rows[25]["state"]), (&json!(null), &json!("unknown")));
    assert_eq!(answer["total"], 12);
    assert_eq!(answer["state"], "partial");
    assert_eq!(answer["complete_until"], "2026-11-20T12:44:50Z");
}

#[tokio::test]
async fn csv_has_the_same_rows_and_nothing_where_nothing_is_known() {
    let bench = an_hour_with_a_break().await;
    let reply = bench.get(&format!("/v1/usage?{THE_HOUR}&resolution=15m&group_by=flag&format=csv")).await;
    assert_eq!(reply.headers["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(reply.headers["flagmeter-complete-until"], "2026-11-20T12:44:50Z");
    assert_eq!(reply.headers["flagmeter-total"], "12");
    assert_eq!(reply.headers["flagmeter-meter"], "evaluations");
    assert_eq!(reply.headers["flagmeter-from"], "2026-11-20T11:00:00Z");
    assert_eq!(reply.headers["flagmeter-to"], "2026-11-20T12:00:00Z");
    assert_eq!(reply.headers["flagmeter-resolution"], "15m");
    assert_eq!(reply.headers["flagmeter-tz"], "UTC");
    let lines: Vec<_> = reply.body.lines().collect();
    assert_eq!(lines[0], "start,end,state,count,flag");
    assert_eq!(lines[1], "2026-11-20T11:00:00Z,2026-11-20T11:15:00Z,complete,7,checkout");
    assert_eq!(lines[2], "2026-11-20T11:00:00Z,2026-11-20T11:15:00Z,complete,0,search");
    let minutes = bench.get(&format!("/v1/usage?{THE_HOUR}&resolution=1m&format=csv")).await;
    assert_eq!(minutes.body.lines().nth(26).unwrap(), "2026-11-20T11:25:00Z,2026-11-20T11:26:00Z,unknown,");
}

#[tokio::test]
async fn no_name_in_csv_is_a_formula() {
    let bench = Bench::new();
    let (owner, time) = (acme(), at("2026-11-20T11:05:00Z"));
    let names = ["=1+1", "+1", "-1", "@a", "a=b", "'a"];
    let counts: Vec<_> = names.iter().map(|name| (&owner, flag(name), time, 1)).collect();
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    let csv = bench.get(&format!("/v1/usage?{THE_HOUR}&resolution=1h&group_by=flag&format=csv")).await;
    let cells: Vec<_> = csv.body.lines().skip(1).map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!(cells, ["'a", "'+1", "'-1", "'=1+1", "'@a", "a=b"]);
}

#[tokio::test]
async fn the_accept_header_decides_where_no_format_is_asked() {
    let bench = an_hour_with_a_break().await;
    let request = Request::get("/v1/usage")
        .header("authorization", format!("Bearer {}", bench.operator))
        .header("accept", "text/csv");
    let reply = bench.send(request.body(Body::empty()).unwrap()).await;
    assert!(reply.body.starts_with("start,end,state,count\n"), "{}", reply.body);
}

#[tokio::test]
async fn groups_beyond_the_limit_are_added_up_and_the_total_stays() {
    let bench = Bench::new();
    let time = at("2026-11-20T11:05:00Z");
    let series: Vec<_> = (0..20_u64).map(|n| (flag(&format!("flag-{n:02}")), n + 1)).collect();
    let owner = acme();
    let counts: Vec<_> = series.iter().map(|(key, count)| (&owner, key.clone(), time, *count)).collect();
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    let whole = bench.get(&format!("/v1/usage?{THE_HOUR}&resolution=1h")).await.json();
    let top = bench.get(&format!("/v1/usage?{THE_HOUR}&resolution=1h&group_by=flag&limit=3")).await.json();
    assert_eq!(each(&top, "flag"), ["flag-19", "flag-18", "flag-17", "__other__"]);
    assert_eq!(each(&top, "count"), [20, 19, 18, 153]);
    assert_eq!((&top["total"], &whole["total"]), (&json!(210), &json!(210)));
}

#[tokio::test]
async fn more_groups_than_an_answer_holds_are_refused_with_what_to_do() {
    let bench = Bench::configured(crate::Config { groups_max: 3, ..crate::Config::default() });
    let owner = acme();
    let time = at("2026-11-20T11:05:00Z");
    let counts: Vec<_> = (0..4).map(|n| (&owner, flag(&format!("flag-{n}")), time, 1)).collect();
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    let problem = bench.get(&format!("/v1/usage?{THE_HOUR}&group_by=flag")).await.problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("limit="), "{problem}");
    let top = bench.get(&format!("/v1/usage?{THE_HOUR}&resolution=1h&group_by=flag&limit=2")).await.json();
    assert_eq!(top["total"], 4);
    assert_eq!(bench.metric("flagmeter_queries_store_errors_total", &["permanent"]), 0);
    let config = crate::Config { groups_ranked_max: 3, ..crate::Config::default() };
    let ranking = bench.with(config);
    let problem = ranking.get(&format!("/v1/usage?{THE_HOUR}&group_by=flag&limit=2")).await.problem(422);
    assert!(!problem["detail"].as_str().unwrap().contains("limit="), "{problem}");
    let problem = ranking.get(&format!("/v1/flags?{THE_HOUR}")).await.problem(422);
    assert!(!problem["detail"].as_str().unwrap().contains("group_by"), "{problem}");
}

#[tokio::test]
async fn the_range_before_is_compared_position_by_position() {
    let bench = Bench::new();
    let (day_before, day) = (at("2026-11-19T10:10:00Z"), at("2026-11-20T10:10:00Z"));
    let counts = [(&acme(), flag("checkout"), day_before, 4), (&acme(), flag("checkout"), day, 6)];
    bench.seal(at("2026-11-19T00:00:00Z"), at(NOW), &counts).await;
    let answer = bench
        .get("/v1/usage?from=2026-11-20&to=2026-11-20T12:00:00Z&resolution=1d&compare=previous&group_by=flag")
        .await
        .json();
    assert_eq!(answer["rows"].as_array().unwrap().len(), 1);
    let row = &answer["rows"][0];
    assert_eq!((&row["count"], &row["previous"]["count"]), (&json!(6), &json!(4)));
    assert_eq!(row["previous"]["start"], "2026-11-19T00:00:00Z");
    assert_eq!(row["previous"]["state"], "complete");
    assert_eq!(answer["previous"]["total"], 4);
    let csv = bench
        .get("/v1/usage?from=2026-11-20&to=2026-11-20T12:00:00Z&resolution=1d&compare=previous&format=csv")
        .await;
    let lines: Vec<_> = csv.body.lines().collect();
    assert_eq!(lines[0], "start,end,state,count,previous_start,previous_state,previous_count");
    assert_eq!(lines[1], "2026-11-20T00:00:00Z,2026-11-21T00:00:00Z,open,6,2026-11-19T00:00:00Z,complete,4");
}

#[tokio::test]
async fn meters_variants_and_sdks_are_told_apart() {
    let bench = Bench::new();
    let time = at("2026-11-20T11:05:00Z");
    let with = |variant: Option<&str>, sdk: Option<&str>| SeriesKey {
        variant: variant.map(name),
        sdk: sdk.map(name),
        ..flag("checkout")
    };
    let owner = acme();
    let counts = [
        (&owner, with(None, None), time, 1),
        (&owner, with(Some("on"), Some("py-1")), time, 2),
        (&owner, with(Some("off"), Some("py-1")), time, 4),
        (&owner, of(Meter::Requests, "flags"), time, 8),
        (&owner, of(Meter::Received, "counts.v1"), time, 16),
    ];
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    for (query, total) in [
        ("", 7),
        ("&variant=", 1),
        ("&variant=on&variant=", 3),
        ("&sdk=py-1", 6),
        ("&sdk=py-1&variant=off", 4),
        ("&meter=requests", 8),
        ("&meter=requests&flag=flags", 8),
        ("&flag=checkout&environment=production&project=web&customer=acme", 7),
        ("&environment=staging", 0),
    ] {
        let answer = bench.get(&format!("/v1/usage?{THE_HOUR}{query}")).await.json();
        assert_eq!(answer["total"], total, "{query}");
    }
    let by_variant = bench.get(&format!("/v1/usage?{THE_HOUR}&resolution=1h&group_by=variant")).await.json();
    assert_eq!(each(&by_variant, "variant"), [&json!("off"), &json!("on"), &json!(null)]);
}

#[tokio::test]
async fn the_answer_says_which_range_it_is_for() {
    let bench = an_hour_with_a_break().await;
    let answer = bench.get("/v1/usage?from=-90m&resolution=1h&tz=Asia/Kathmandu").await.json();
    assert_eq!(
        (&answer["from"], &answer["to"]),
        (&json!("2026-11-20T16:00:00+05:45"), &json!("2026-11-20T19:00:00+05:45"))
    );
    assert_eq!((&answer["resolution"], &answer["tz"]), (&json!("1h"), &json!("Asia/Kathmandu")));
    let auto = bench.get("/v1/usage").await.json();
    assert_eq!(auto["resolution"], "15m");
}

#[tokio::test]
async fn what_is_past_its_retention_is_said_and_not_rounded() {
    let bench = Bench::new();
    let (first, until) = (at("2026-11-10T00:00:00Z"), at("2026-11-18T00:00:00Z"));
    let counts = [(&acme(), flag("checkout"), at("2026-11-12T10:00:00Z"), 9)];
    bench.seal(first, at(NOW), &counts).await;
    bench.roll_up(first, until).await;
    let floor = Some(at("2026-11-16T00:00:00Z"));
    let floors = Floors { raw: floor, minute: floor, quarter: floor };
    while bench.store.retain(floors).await.unwrap().more {}
    let query = "/v1/usage?from=2026-11-12&to=2026-11-13&resolution=1d";
    let utc = bench.get(query).await.json();
    assert_eq!((&utc["total"], &utc["state"]), (&json!(9), &json!("complete")));
    assert!(utc.get("beyond_retention").is_none());
    let off_the_hour = bench.get(&format!("{query}&tz=Asia/Kathmandu")).await.json();
    assert_eq!((&off_the_hour["total"], &off_the_hour["state"]), (&json!(null), &json!("unknown")));
    assert_eq!(off_the_hour["beyond_retention"], "2026-11-12T00:00:00+05:45");
    assert_eq!(off_the_hour["rows"][0]["count"], json!(null));
    assert!(off_the_hour.get("finest_kept").is_none(), "its months begin off the hour as well");
    let auto = bench.get("/v1/usage?from=2026-11-12&to=2026-11-13").await.json();
    assert_eq!((&auto["resolution"], &auto["total"]), (&json!("1h"), &json!(9)));
}

#[tokio::test]
async fn where_it_is_not_kept_so_fine_the_finest_that_is_kept_is_named() {
    let bench = Bench::new();
    let (first, until) = (at("2026-11-10T00:00:00Z"), at("2026-11-18T00:00:00Z"));
    let counts = [(&acme(), flag("checkout"), at("2026-11-12T10:00:00Z"), 9)];
    bench.seal(first, at(NOW), &counts).await;
    bench.roll_up(first, until).await;
    let [raw, minute, quarter] =
        ["2026-11-16T00:00:00Z", "2026-11-12T10:00:00Z", "2026-11-11T00:00:00Z"].map(|floor| Some(at(floor)));
    while bench.store.retain(Floors { raw, minute, quarter }).await.unwrap().more {}
    for (from, to, resolution, kept) in [
        ("2026-11-12T10:00:00Z", "2026-11-12T11:00:00Z", "10s", json!("1m")),
        ("2026-11-12T09:59:59Z", "2026-11-12T11:00:00Z", "10s", json!("15m")),
        ("2026-11-12T09:00:00Z", "2026-11-12T11:00:00Z", "1m", json!("15m")),
        ("2026-11-10T12:00:00Z", "2026-11-12T11:00:00Z", "15m", json!("1h")),
        ("2026-11-17T00:00:00Z", "2026-11-17T01:00:00Z", "10s", json!(null)),
    ] {
        let query = format!("from={from}&to={to}&resolution={resolution}");
        let answer = bench.get(&format!("/v1/usage?{query}")).await.json();
        assert_eq!(answer["finest_kept"], kept, "{query}");
        assert_eq!(answer.get("beyond_retention").is_some(), kept.is_string(), "{query}");
        if let Some(kept) = kept.as_str() {
            let kept = bench.get(&format!("/v1/usage?from={from}&to={to}&resolution={kept}")).await.json();
            assert_eq!((&kept["total"], &kept["beyond_retention"]), (&json!(9), &json!(null)), "{query}");
            let page = bench.get(&format!("/usage?plain=1&{query}")).await;
            let way = format!("resolution={}\">Show by", answer["finest_kept"].as_str().unwrap());
            assert!(page.body.contains(&way), "{way}: {}", page.body);
        }
    }
}

#[tokio::test]
async fn a_silent_node_is_named() {
    let bench = Bench::new();
    bench.seal(at("2026-11-20T11:00:00Z"), at("2026-11-20T11:30:00Z"), &[]).await;
    let later = |text| at(text).as_seconds() - fixture::START;
    let seal = fixture::Seal::new(2, 1).unwrap();
    let seal = seal.covering(later("2026-11-20T11:00:00Z"), later(NOW)).heard(later(NOW));
    fixture::write(&*bench.store, &[seal]).await.unwrap();
    let answer = bench.get(&format!("/v1/usage?{THE_HOUR}&resolution=15m")).await.json();
    assert_eq!(
        answer["missing_nodes"],
        json!([{"node": 1, "region": null, "since": "2026-11-20T11:30:00Z"}])
    );
    assert_eq!(each(&answer, "state"), ["complete", "complete", "partial", "partial"]);
    assert_eq!(each(&answer, "count"), [0, 0, 0, 0]);
}

#[tokio::test]
async fn customers_are_told_apart_for_those_who_may_see_them() {
    let bench = Bench::new();
    let time = at("2026-11-20T11:05:00Z");
    let counts = [(&acme(), flag("a"), time, 3), (&globex(), flag("b"), time, 5)];
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    let query = format!("/v1/usage?{THE_HOUR}&resolution=1h&group_by=customer,project");
    for token in [&bench.operator, &bench.billing] {
        let answer = bench.get_as(token, &query).await.json();
        assert_eq!(each(&answer, "customer"), ["globex", "acme"]);
        assert_eq!(each(&answer, "project"), ["shop", "web"]);
        assert_eq!(each(&answer, "count"), [5, 3]);
    }
}
