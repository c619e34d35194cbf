//! `/v1/billing/hours`: states, revisions, and bytes that stay.

use std::sync::Arc;

use flagmeter_ledger::{Config as LedgerConfig, EmbeddedLedger};
use flagmeter_model::Meter;
use serde_json::{Value, json};

use super::{
    super::bench::{Bench, NOW, acme, at, each, flag, globex, of},
    Mute, close, counted, evaluations, get_unless, header, hour, node, text,
};
const DAY: &str = "/v1/billing/hours?from=2026-11-20T00:00:00Z&to=2026-11-20T13:00:00Z";

/// Closed until 11:00; the counts of the hours after are in the store.
async fn billed() -> Bench {
    let bench = Bench::new();
    let mut partial = counted(&acme(), Meter::Requests, hour(9), 5);
    (partial.complete, partial.missing) = (false, vec![node(3), node(7)]);
    close(
        &*bench.ledger,
        hour(10),
        &[evaluations(&globex(), hour(9), 7), evaluations(&acme(), hour(9), 3), partial],
    )
    .await;
    close(&*bench.ledger, hour(11), &[evaluations(&acme(), hour(10), 30), evaluations(&acme(), hour(9), 4)])
        .await;
    let counts = [
        (&acme(), flag("checkout"), at("2026-11-20T10:05:00Z"), 99),
        (&acme(), flag("checkout"), at("2026-11-20T11:05:00Z"), 11),
        (&acme(), flag("checkout"), at("2026-11-20T12:05:00Z"), 12),
        (&globex(), of(Meter::Requests, "flags"), at("2026-11-20T11:59:50Z"), 2),
    ];
    bench.seal(at("2026-11-20T10:00:00Z"), at(NOW), &counts).await;
    bench
}

/// Customer, hour, meter, state, revision, count, difference, whether it corrects.
fn told(answer: &Value) -> Vec<Value> {
    let members = ["customer", "hour", "meter", "state", "revision", "count", "difference", "correction"];
    let rows = answer["rows"].as_array().unwrap().iter();
    rows.map(|row| members.iter().map(|member| row[member].clone()).collect()).collect()
}

#[tokio::test]
async fn each_hour_is_open_closing_or_final() {
    let bench = billed().await;
    let answer = bench.get(DAY).await.json();
    let (nine, ten, eleven) = ("2026-11-20T09:00:00Z", "2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z");
    let expected = json!([
        ["acme", nine, "evaluations", "final", 1, "3", "3", false],
        ["acme", nine, "evaluations", "final", 2, "4", "1", true],
        ["acme", nine, "requests", "final", 1, "5", "5", false],
        ["acme", ten, "evaluations", "final", 1, "30", "30", false],
        ["globex", nine, "evaluations", "final", 1, "7", "7", false],
        ["acme", eleven, "evaluations", "closing", null, "11", null, false],
        ["acme", "2026-11-20T12:00:00Z", "evaluations", "open", null, "12", null, false],
        ["globex", eleven, "requests", "closing", null, "2", null, false],
    ]);
    assert_eq!(Value::from(told(&answer)), expected);
    let missing: Vec<_> =
        each(&answer, "missing_nodes").into_iter().filter(|nodes| **nodes != json!([])).collect();
    assert_eq!(missing, [&json!([3, 7])]);
    assert_eq!(answer["rows"][2]["complete"], false);
    assert_eq!(answer["rows"][0]["closed_at"], "2026-11-20T10:15:04Z");
    assert_eq!((&answer["state"], &answer["final_until"]), (&json!("open"), &json!(eleven)));
    assert_eq!((&answer["complete_until"], &answer["next"]), (&json!("2026-11-20T12:44:50Z"), &Value::Null));
    let state = async |to: &str| {
        let range = DAY.replace("to=2026-11-20T13", &format!("to=2026-11-20T{to}"));
        bench.get(&range).await.json()["state"].clone()
    };
    assert_eq!((state("11").await, state("12").await), (json!("final"), json!("closing")));
}

#[tokio::test]
async fn filters_narrow_both_what_is_final_and_what_is_not() {
    let bench = billed().await;
    for (query, rows) in [
        ("customer=acme", 6),
        ("customer=globex", 2),
        ("customer=acme&customer=globex", 8),
        ("project=shop", 2),
        ("environment=production", 8),
        ("environment=staging", 0),
        ("meter=requests", 2),
        ("meter=requests&customer=globex", 1),
    ] {
        let answer = bench.get(&format!("{DAY}&{query}")).await.json();
        assert_eq!(answer["rows"].as_array().unwrap().len(), rows, "{query}: {answer}");
    }
}

#[tokio::test]
async fn csv_has_the_rows_of_json_with_and_without_pages() {
    let bench = billed().await;
    let json = bench.get(DAY).await.json();
    for query in ["format=csv", "format=csv&limit=1000"] {
        let reply = bench.get(&format!("{DAY}&{query}")).await;
        assert_eq!(header(&reply, "content-type"), "text/csv; charset=utf-8; header=present");
        for (name, member) in [
            ("flagmeter-state", "state"),
            ("flagmeter-as-of", "as_of"),
            ("flagmeter-final-until", "final_until"),
            ("flagmeter-complete-until", "complete_until"),
        ] {
            assert_eq!(header(&reply, name), text(&json, member), "{query}");
        }
        let mut read = csv::Reader::from_reader(reply.body.as_bytes());
        let columns = read.headers().unwrap().clone();
        let rows: Vec<_> = read.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), json["rows"].as_array().unwrap().len());
        for (row, expected) in rows.iter().zip(json["rows"].as_array().unwrap()) {
            for (column, cell) in columns.iter().zip(row) {
                let expected = match &expected[column] {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    Value::Array(nodes) => nodes.iter().map(Value::to_string).collect::<Vec<_>>().join(" "),
                    other => other.to_string(),
                };
                assert_eq!(cell, expected, "{column}");
            }
        }
    }
}

#[tokio::test]
async fn as_of_a_snapshot_the_same_request_has_the_same_bytes_for_ever() {
    let bench = billed().await;
    let final_range = DAY.replace("to=2026-11-20T13", "to=2026-11-20T11");
    let live = bench.get(&final_range).await;
    let as_of = text(&live.json(), "as_of").to_owned();
    let requests: Vec<String> = [&final_range[..], DAY]
        .iter()
        .flat_map(|range| {
            ["", "&limit=2", "&format=csv", "&format=csv&limit=3"].map(|more| format!("{range}{more}"))
        })
        .map(|request| format!("{request}&as_of={as_of}"))
        .collect();
    let mut before = Vec::new();
    for request in &requests {
        before.push(bench.get(request).await);
    }
    assert_eq!(before[0].body, live.body, "what is final is told without a word of this moment");
    assert_eq!(told(&before[4].json()).len(), 5, "what is not final is left out");
    // Hours are closed without a row, corrections come, the ledger is closed and opened again, and time goes on.
    close(&*bench.ledger, hour(12), &[]).await;
    close(&*bench.ledger, hour(13), &[evaluations(&acme(), hour(9), 40), evaluations(&globex(), hour(8), 1)])
        .await;
    let Bench { ledger, .. } = &bench;
    assert_eq!(Arc::strong_count(ledger), 2, "the router's and the bench's");
    let path = bench.folder.path().join("ledger.sqlite");
    let bench = bench.over_ledger(Arc::new(Mute::default()));
    let ledger = EmbeddedLedger::open(&LedgerConfig { path }).unwrap();
    let bench = bench.over_ledger(Arc::new(ledger));
    bench.clock.set(at("2027-02-01T00:00:00Z"));
    for (request, before) in requests.iter().zip(&before) {
        let after = bench.get(request).await;
        assert_eq!(after.body, before.body, "{request}");
        for name in ["etag", "cache-control"] {
            assert_eq!(header(&after, name), header(before, name), "{request}");
        }
        assert_eq!(header(&after, "cache-control"), "private, max-age=31536000, immutable");
        let same = get_unless(&bench, request, header(before, "etag")).await;
        assert_eq!((same.status.as_u16(), same.body.as_str()), (304, ""), "{request}");
        assert_eq!(header(&same, "etag"), header(before, "etag"));
    }
    assert_ne!(bench.get(&final_range).await.body, live.body, "as it stands now, it is corrected");
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let bench = billed().await;
    for query in ["", "&limit=2", "&limit=2&format=csv"] {
        let request = format!("{DAY}{query}");
        let first = bench.get(&request).await;
        assert_eq!(header(&first, "cache-control"), "private, no-cache");
        assert_eq!(header(&first, "vary"), "authorization, cookie, accept");
        let tag = header(&first, "etag");
        assert_eq!(get_unless(&bench, &request, &format!("\"x\", {tag}")).await.status, 304, "{query}");
        assert_eq!(get_unless(&bench, &request, "\"x\"").await.body, first.body, "{query}");
    }
    let tag = header(&bench.get(DAY).await, "etag").to_owned();
    close(&*bench.ledger, hour(12), &[evaluations(&acme(), hour(11), 11)]).await;
    let changed = get_unless(&bench, DAY, &tag).await;
    assert_eq!(told(&changed.json())[4][3], "final");
    assert!(
        !bench.get(&format!("{DAY}&format=csv")).await.headers.contains_key("etag"),
        "it is of the moment"
    );
    // All of a final range has a tag, too, and it is another one for another asker.
    let all = format!("{}&format=csv", DAY.replace("T13:", "T11:"));
    let (ours, theirs) = (bench.get(&all).await, bench.get_as(&bench.acme, &all).await);
    assert_ne!(header(&ours, "etag"), header(&theirs, "etag"));
    assert_eq!(get_unless(&bench, &all, header(&ours, "etag")).await.status, 304);
}

#[tokio::test]
async fn a_ledger_without_a_row_says_that_nothing_is_final() {
    let bench = Bench::new();
    let answer = bench.get(DAY).await.json();
    assert_eq!((&answer["rows"], &answer["final_until"]), (&json!([]), &Value::Null));
    assert_eq!(answer["state"], "open");
    let again = bench.get(&format!("{DAY}&as_of={}", text(&answer, "as_of"))).await.json();
    assert_eq!(again["rows"], json!([]));
}
