//! `/v1/bursts`: what was out of the ordinary within a range, for whoever may see it.

use std::sync::{Arc, atomic::Ordering};

use axum::{body::Body, http::Request};
use flagmeter_ledger::{AlertKind, Alerted, Said, Subject};
use flagmeter_model::Meter;
use serde_json::{Value, json};

use super::{
    bench::{Bench, NOW, Reply, acme, at, environment, flag, name},
    billing::Mute,
    operator::bursts::began,
};
use crate::Config;

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
    let whole = began("acme");
    let of_flag = Alerted {
        of: Subject::Flag(environment("acme", "web", "production"), name("checkout")),
        since: at("2026-11-20T12:41:00Z"),
        ..whole.clone()
    };
    let requests = Alerted {
        meter: Meter::Requests,
        of: environment("acme", "web", "staging").into(),
        seen_at: at("2026-11-20T12:43:00Z"),
        since: at("2026-11-20T12:41:30Z"),
        is_learning: true,
        ..whole.clone()
    };
    let globex = Alerted {
        kind: AlertKind::Drop,
        of: environment("globex", "shop", "production").into(),
        observed: Some(1),
        percent: Some(1),
        peak: 0,
        ..began("globex")
    };
    let alerts = vec![globex, whole.clone(), of_flag, requests, over(&whole)];
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
        "learning": false, "muted": false, "chart": over(&began("acme")).chart(),
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
    // By the clocks of its zone.
    assert_eq!(answer["bursts"][0]["since"], "2026-11-20T13:40:00+01:00");
    bench.get_as(&bench.acme, &format!("{BURSTS}?customer=globex")).await.problem(403);
    assert_eq!(told(&bench.get_as(&bench.billing, BURSTS).await.json()), [OTHER, WHOLE, OF_FLAG, REQUESTS]);
    bench.get_as("", BURSTS).await.problem(401);
}

#[tokio::test]
async fn what_is_muted_is_told_and_marked_as_such() {
    let bench = Bench::new();
    bench.mute("acme", "launch").await;
    bench.ledger.alert(vec![began("acme"), began("globex")], at(NOW)).await.unwrap();
    let answer = bench.get(BURSTS).await.json();
    let muted = answer["bursts"].as_array().unwrap().iter().map(|burst| &burst["muted"]).collect::<Vec<_>>();
    assert_eq!(muted, [true, false]);
    let picture = bench.get(CHART).await;
    assert_eq!(described(&picture).matches(", muted.").count(), 1, "{}", picture.body);
    let page = bench.get("/usage?plain=1").await;
    assert_eq!(page.body.matches("burst, muted").count(), 1, "{}", page.body);
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
async fn that_nothing_is_new_is_said_without_reading_while_the_clock_goes_on() {
    let bench = Bench::new();
    bench.ledger.alert(vec![began("acme")], at(NOW)).await.unwrap();
    let tag = |reply: &Reply| reply.headers["etag"].to_str().unwrap().to_owned();
    let first = tag(&bench.get(BURSTS).await);
    // Until the minute is over, from and to both move along.
    bench.clock.advance(5);
    assert_eq!(tag(&bench.get(BURSTS).await), first);
    for other in ["?limit=7", "?tz=Europe/Berlin", "?meter=requests", "?from=-48h", "?to=-1s", "?flag=x"] {
        assert_ne!(tag(&bench.get(&format!("{BURSTS}{other}")).await), first, "{other}");
    }
    assert_ne!(tag(&bench.get_as(&bench.acme, &format!("{BURSTS}?tz=UTC")).await), first, "it sees less");
    bench.clock.advance(60);
    assert_ne!(tag(&bench.get(BURSTS).await), first);
    // This one answers no question at all.
    let bench = bench.over_ledger(Arc::new(Mute::default()));
    let request = Request::get(BURSTS)
        .header("authorization", format!("Bearer {}", bench.operator))
        .header("if-none-match", "*");
    assert_eq!(bench.send(request.body(Body::empty()).unwrap()).await.status, 304);
    bench.get(BURSTS).await.problem(503);
}

#[tokio::test]
async fn what_the_ledger_alone_knows_waits_for_no_turn_at_the_store() {
    let bench = Bench::configured(Config { reads_max: 0, customer_reads_max: 0, ..Config::default() });
    bench.ledger.alert(vec![began("acme")], at(NOW)).await.unwrap();
    for token in [&bench.operator, &bench.acme] {
        assert_eq!(bench.get_as(token, BURSTS).await.json()["bursts"].as_array().unwrap().len(), 1);
    }
    assert_eq!(bench.get("/v1/operator/mutes").await.json()["mutes"], json!([]));
    let send = async |method: &str, path: &str, body: &Value| {
        let request = Request::builder().method(method).uri(path);
        let request = request
            .header("authorization", format!("Bearer {}", bench.operator))
            .header("content-type", "application/json");
        bench.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let wanted = json!({"customer": "acme", "for": "2h", "reason": "launch"});
    let made = send("POST", "/v1/operator/mutes", &wanted).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let made: Value = serde_json::from_str(&made.body).unwrap();
    let path = format!("/v1/operator/mutes/{}", made["id"].as_str().unwrap());
    assert_eq!(send("DELETE", &path, &json!({})).await.status, 200);
}

/// What `desc` of a picture says.
fn described(picture: &Reply) -> &str {
    assert_eq!(picture.status, 200, "{}", picture.body);
    picture.body.split("</desc>").next().unwrap()
}

const CHART: &str = "/v1/chart.svg?from=2026-11-20T12:00:00Z&to=2026-11-20T13:00:00Z&resolution=1m";

#[tokio::test]
async fn a_picture_marks_what_its_question_is_about_to_whom_it_may() {
    let bench = bursts().await;
    let burst = "Burst of acme › web › production: up to 6.4 times what is expected, 20 Nov, 12:40 to 12:44.";
    let drop = "Drop of globex › shop › production: down to 0 % of what is expected, since 20 Nov, 12:40.";
    let of_flag =
        "Burst of acme › web › production › checkout: up to 5.1 times what is expected, since 20 Nov, 12:41.";
    for (query, meant) in [
        ("", vec![drop, burst, of_flag]),
        ("&customer=acme", vec![burst, of_flag]),
        ("&flag=checkout", vec![of_flag]),
        ("&meter=requests", vec!["Burst of acme › web › staging"]),
        // Nothing is alerted of these.
        ("&variant=on", vec![]),
        ("&sdk=python", vec![]),
        ("&flag=other", vec![]),
        // Those of the range before are not of this one.
        ("&compare=previous&flag=checkout", vec![of_flag]),
    ] {
        let picture = bench.get(&format!("{CHART}{query}")).await;
        let words = described(&picture);
        for mark in &meant {
            assert!(words.contains(mark), "{query}: {mark}: {words}");
        }
        let told = words.matches("Burst of").count() + words.matches("Drop of").count();
        assert_eq!(told, meant.len(), "{query}: {words}");
    }
    let own = bench.get_as(&bench.acme, CHART).await;
    let words = described(&own);
    assert!(
        words
            .contains("Burst of web › production: up to 6.4 times what is expected, 20 Nov, 13:40 to 13:44.")
    );
    assert!(!own.body.contains("Drop") && !own.body.contains("globex"), "{}", own.body);
    let earlier = bench.get("/v1/chart.svg?from=2026-11-20T11:00:00Z&to=2026-11-20T12:00:00Z").await;
    assert!(!described(&earlier).contains("Burst"));
}

#[tokio::test]
async fn what_a_link_marks_tells_no_name() {
    let bench = bursts().await;
    let link = async |token: &str, query: &str| {
        let body = json!({"query": query}).to_string();
        let request = Request::post("/v1/embed")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let answer = bench.send(request.body(Body::from(body)).unwrap()).await;
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        answer["url"].as_str().unwrap().strip_prefix("/embed?").unwrap().to_owned()
    };
    let range = "from=2026-11-20T12:00:00Z&to=2026-11-20T13:00:00Z&resolution=1m&tz=UTC";
    let own = link(&bench.acme, range).await;
    let picture = bench.get_as("", &format!("/embed/chart.svg?{own}")).await;
    let words = described(&picture);
    assert!(words.contains("Burst: up to 6.4 times what is expected, 20 Nov, 12:40 to 12:44."), "{words}");
    for name in ["acme", "web", "production", "checkout", "Drop", "globex"] {
        assert!(!words.contains(name), "{name}: {words}");
    }
    let told = bench.get_as("", &format!("/embed/bursts?{own}")).await.json();
    let expected = json!({"bursts": [
        {"kind": "burst", "since": "2026-11-20T12:40:00Z", "until": "2026-11-20T12:44:00Z", "ratio": 6.4, "muted": false},
        {"kind": "burst", "since": "2026-11-20T12:41:00Z", "until": null, "ratio": 5.12, "muted": false},
    ], "more": false});
    assert_eq!(told, expected);
    bench.get_as("", "/embed/bursts?link=made-up").await.problem(401);
    let by_sdk = link(&bench.acme, &format!("{range}&sdk=python")).await;
    assert_eq!(bench.get_as("", &format!("/embed/bursts?{by_sdk}")).await.json()["bursts"], json!([]));
    let of_flag = link(&bench.operator, &format!("{range}&flag=checkout")).await;
    let picture = bench.get_as("", &format!("/embed/chart.svg?{of_flag}")).await;
    assert_eq!(described(&picture).matches("Burst").count(), 1, "of the flag alone");
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_takes_no_picture_away_and_marks_are_said_not_to_be_known() {
    let bench = Bench::new().over_ledger(Arc::new(Mute::default()));
    let picture = bench.get(CHART).await;
    assert!(described(&picture).contains("could not be read"), "{}", picture.body);
    assert!(!picture.body.contains("/secret/path"));
    let page = bench.get("/usage?plain=1").await;
    assert!(page.body.contains("Bursts and drops could not be read"), "{}", page.body);
}

#[tokio::test]
async fn where_no_ledger_is_kept_there_are_no_marks() {
    let bench = Bench::new().without_ledger();
    let picture = bench.get(CHART).await;
    assert!(!described(&picture).contains("Burst"), "{}", picture.body);
    assert_eq!(bench.get(BURSTS).await.problem(404)["type"], "urn:flagmeter:problem:no-ledger");
    let page = bench.get("/usage?plain=1").await;
    assert!(page.status == 200 && !page.body.contains("Out of the ordinary"), "{}", page.body);
}

#[tokio::test]
async fn plain_pages_have_a_table_of_what_their_picture_marks() {
    let bench = bursts().await;
    let reply = bench.get_as(&bench.acme, "/usage?plain=1").await;
    let (_, table) = reply.body.split_once("Bursts and drops, Europe/Berlin").expect(&reply.body);
    let table = table.split("</table>").next().unwrap();
    for told in [
        "▲ burst",
        "web",
        "production",
        "checkout",
        "13:44",
        "it goes on",
        "up to 6.4 times what is expected",
        "78 – 122",
        "&amp;plain=1",
    ] {
        assert!(table.contains(told), "{told}: {table}");
    }
    assert!(!reply.body.contains("globex") && !table.contains("▼"), "{table}");
    let all = bench.get("/usage?plain=1").await.body;
    assert!(all.contains("down to 0 % of what is expected") && !all.contains("0.0"), "{all}");
    assert!(!table.contains("acme<"), "its own name says nothing to a customer: {table}");
    let at_time = at("2026-11-20T12:30:00Z");
    bench.seal(at_time, at(NOW), &[(&acme(), flag("checkout"), at_time, 3)]).await;
    let reply = bench.get_as(&bench.acme, "/flags/acme/web/checkout?plain=1&from=-24h").await;
    let (_, table) = reply.body.split_once("Bursts and drops,").expect(&reply.body);
    let table = table.split("</table>").next().unwrap();
    assert_eq!(
        (table.matches("▲").count(), table.contains("up to 5.1 times what is expected")),
        (1, true),
        "{table}"
    );
}

#[tokio::test]
async fn a_page_with_several_tables_reads_its_marks_once() {
    let ledger = Arc::new(Mute::default());
    let bench = Bench::new().over_ledger(Arc::clone(&ledger) as _);
    let at_time = at("2026-11-20T12:30:00Z");
    bench.seal(at_time, at(NOW), &[(&acme(), flag("checkout"), at_time, 3)]).await;
    let page = bench.get("/flags/acme/web/checkout?plain=1&from=-24h").await;
    assert!(page.status == 200 && page.body.contains("Bursts and drops could not be read"), "{}", page.body);
    assert_eq!(ledger.1.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_is_an_error_and_no_empty_list() {
    let bench = Bench::new().over_ledger(Arc::new(Mute::default()));
    let problem = bench.get(BURSTS).await.problem(503);
    assert_eq!(problem["type"], "urn:flagmeter:problem:ledger-unavailable");
}
