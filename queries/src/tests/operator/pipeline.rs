//! The way of a count over HTTP.

use std::sync::Arc;

use flagmeter_ledger::Append;
use flagmeter_model::{Meter, Tier, TimeRange, Timestamp};
use flagmeter_store::{
    Rolling,
    conformance::fixture::{self, Seal},
};
use serde_json::{Value, json};

use super::super::{
    bench::{Bench, NOW, acme, after_start, at, flag, of},
    billing::Mute,
    silent::Silent,
};
use crate::Config;

const PIPELINE: &str = "/v1/operator/pipeline";
const STAGES: [&str; 7] = ["edges", "log", "ingest", "store", "downsampler", "ledger", "queries"];

/// The figure of this name, wherever it stands.
#[track_caller]
fn figure<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let stages = answer["stages"].as_array().unwrap();
    let figures = stages.iter().flat_map(|stage| stage["figures"].as_array().unwrap());
    let mut named = figures.filter(|figure| figure["name"] == name);
    let figure = named.next().unwrap_or_else(|| panic!("{name}: {answer}"));
    assert!(named.next().is_none(), "{name} stands twice");
    &figure["value"]
}

#[track_caller]
fn stage<'a>(answer: &'a Value, id: &str) -> (&'a str, &'a Value) {
    let stages = answer["stages"].as_array().unwrap();
    let stage = stages.iter().find(|stage| stage["id"] == id).unwrap();
    (stage["state"].as_str().unwrap(), &stage["says"])
}

/// All others are as they should be.
#[track_caller]
fn only(answer: &Value, id: &str, state: &str, says: &str) {
    for other in STAGES.into_iter().filter(|other| *other != id) {
        assert_eq!(stage(answer, other), ("ok", &Value::Null), "{other}");
    }
    assert_eq!(stage(answer, id), (state, &json!(says)));
}

async fn roll(bench: &Bench, until: &[(Tier, &str)]) {
    for (tier, until) in until {
        let until = at(until);
        let range = TimeRange::new(at("2026-11-20T11:00:00Z"), until);
        if *tier == Tier::Minute {
            bench.store.announce(until).await.unwrap();
        }
        bench.store.roll(&Rolling::Range(*tier, range)).await.unwrap();
        bench.store.advance(*tier, until).await.unwrap();
    }
}

async fn close(bench: &Bench, until: Timestamp) {
    bench.ledger.announce(until).await.unwrap();
    let append = Append { counted: Vec::new(), closed: Some(until), at: until.plus_seconds(904) };
    bench.ledger.append(append).await.unwrap();
}

/// One node that is heard, with 120 counts in the last whole minute, of which 6 were rejected.
async fn counted() -> Bench {
    let bench = Bench::new();
    let second = at("2026-11-20T12:43:10Z");
    let counts = [
        (&acme(), flag("checkout"), second, 114),
        (&acme(), of(Meter::Received, "counts.v1"), second, 120),
        (&acme(), of(Meter::Rejected, "name"), second, 6),
        (&acme(), flag("checkout"), at("2026-11-20T11:10:00Z"), 1),
    ];
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    bench
}

const MINUTES: (Tier, &str) = (Tier::Minute, "2026-11-20T12:44:00Z");
const QUARTERS: (Tier, &str) = (Tier::Quarter, "2026-11-20T12:30:00Z");
const HOURS: (Tier, &str) = (Tier::Hour, "2026-11-20T12:00:00Z");

async fn well() -> Bench {
    let bench = counted().await;
    roll(&bench, &[MINUTES, QUARTERS, HOURS]).await;
    close(&bench, at("2026-11-20T12:00:00Z")).await;
    bench
}

#[tokio::test]
async fn where_all_is_well_each_stage_says_so_and_has_its_figures() {
    let answer = well().await.get(PIPELINE).await.json();
    assert_eq!((&answer["at"], &answer["complete_until"]), (&json!(NOW), &json!("2026-11-20T12:44:50Z")));
    let ids: Vec<_> = answer["stages"].as_array().unwrap().iter().map(|stage| &stage["id"]).collect();
    assert_eq!(ids, STAGES);
    for id in STAGES {
        assert_eq!(stage(&answer, id), ("ok", &Value::Null), "{id}");
    }
    for (name, value) in [
        ("received_per_second", json!(2.0)),
        ("rejected_per_second", json!(0.1)),
        ("nodes_live", json!(1)),
        ("nodes_missing", json!(0)),
        ("nodes_stopped", json!(0)),
        ("furthest_node", json!(1)),
        ("furthest_node_behind", json!(0.0)),
        ("newest_record", json!(NOW)),
        ("newest_record_age", json!(0.0)),
        ("complete_until", json!("2026-11-20T12:44:50Z")),
        ("complete_behind", json!(4.0)),
        ("dead_letters", json!(0)),
        ("dead_letter_counts", json!(0)),
        ("raw_since", json!("2026-11-20T11:10:00Z")),
        ("minutes_until", json!("2026-11-20T12:44:00Z")),
        ("minutes_behind", json!(54.0)),
        ("quarters_behind", json!(894.0)),
        ("hours_until", json!("2026-11-20T12:00:00Z")),
        ("dirty_windows", json!(0)),
        ("dirty_first", json!(null)),
        ("closed_until", json!("2026-11-20T12:00:00Z")),
        ("closed_behind", json!(2694.0)),
        ("ledger_rows", json!(0)),
        ("live_viewers", json!(0)),
        ("live_viewers_max", json!(5_000)),
    ] {
        assert_eq!(figure(&answer, name), &value, "{name}");
    }
    let berlin = well().await.get(&format!("{PIPELINE}?tz=Europe/Berlin")).await.json();
    assert_eq!(figure(&berlin, "hours_until"), "2026-11-20T13:00:00+01:00");
}

#[tokio::test]
async fn a_downsampler_that_stands_still_is_told_by_the_finest_tier_that_waits() {
    let bench = counted().await;
    roll(&bench, &[(Tier::Minute, "2026-11-20T12:31:00Z"), QUARTERS, HOURS]).await;
    close(&bench, at("2026-11-20T12:00:00Z")).await;
    let says = "Windows of 1m are rolled up until 2026-11-20T12:31:00Z only, although everything is in until \
                2026-11-20T12:44:50Z.";
    only(&bench.get(PIPELINE).await.json(), "downsampler", "stuck", says);
    roll(&bench, &[(Tier::Minute, "2026-11-20T12:43:00Z")]).await;
    let answer = bench.get(PIPELINE).await.json();
    assert_eq!(stage(&answer, "downsampler").0, "late");
}

#[tokio::test]
async fn a_downsampler_that_never_ran_is_stuck_and_its_tiers_are_unknown() {
    let answer = counted().await.get(PIPELINE).await.json();
    assert_eq!(stage(&answer, "downsampler").0, "stuck");
    for name in ["minutes_until", "minutes_behind", "hours_behind"] {
        assert_eq!(figure(&answer, name), &Value::Null, "{name}");
    }
}

#[tokio::test]
async fn a_node_that_fell_silent_is_told_with_where_it_stood() {
    let bench = well().await;
    let second = |time| after_start(at(time));
    let until = "2026-11-20T12:30:00Z";
    let silent = Seal::new(2, 7).unwrap().covering(second("2026-11-20T11:00:00Z"), second(until));
    let silent = silent.heard(second(until)).region("us-east").unwrap();
    fixture::write(&*bench.store, &[silent]).await.unwrap();
    let answer = bench.get(PIPELINE).await.json();
    let says =
        "Node 2 (us-east) is silent, since 2026-11-20T12:30:00Z: what was received there is not known.";
    only(&answer, "edges", "late", says);
    assert_eq!((figure(&answer, "nodes_live"), figure(&answer, "nodes_missing")), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn dirty_windows_are_counted_and_too_many_of_them_are_late() {
    let bench = well().await;
    let mark = |minute: i64| {
        fixture::window(Tier::Minute, after_start(at("2026-11-20T11:00:00Z")) + 60 * minute, &acme())
    };
    bench.store.mark(&[mark(7)]).await.unwrap();
    let answer = bench.get(PIPELINE).await.json();
    assert_eq!(figure(&answer, "dirty_windows"), 1);
    assert_eq!(figure(&answer, "dirty_first"), "2026-11-20T11:07:00Z");
    assert_eq!(stage(&answer, "downsampler"), ("ok", &Value::Null), "the next cycle takes it");
    let marks: Vec<_> = (-400..101).map(mark).collect();
    bench.store.mark(&marks).await.unwrap();
    let answer = bench.get(PIPELINE).await.json();
    let says = "501 windows wait to be rolled up again, because counts for them came late; answers read the finer \
                ones until then.";
    only(&answer, "downsampler", "late", says);
}

#[tokio::test]
async fn a_ledger_that_lags_says_since_when() {
    let bench = counted().await;
    roll(&bench, &[MINUTES, QUARTERS]).await;
    close(&bench, at("2026-11-20T11:00:00Z")).await;
    let answer = bench.get(PIPELINE).await.json();
    assert_eq!(stage(&answer, "ledger").0, "ok", "it waits for the downsampler: {answer}");
    roll(&bench, &[HOURS]).await;
    let says = "Hours are closed until 2026-11-20T11:00:00Z only: the next one has been due since \
                2026-11-20T12:15:00Z.";
    let answer = bench.get(PIPELINE).await.json();
    only(&answer, "ledger", "stuck", says);
    assert_eq!(figure(&answer, "closed_behind"), 6294.0);
    let patient = bench.with(Config { grace: std::time::Duration::from_hours(1), ..Config::default() });
    assert_eq!(stage(&patient.get(PIPELINE).await.json(), "ledger").0, "ok", "it is not due yet");
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_hides_no_other_stage() {
    let bench = well().await.over_ledger(Arc::new(Mute::default()));
    let reply = bench.get(PIPELINE).await;
    assert!(!reply.body.contains("/secret"), "{}", reply.body);
    let answer = reply.json();
    only(&answer, "ledger", "unknown", "It does not answer: that says nothing about the bills, ask again.");
    assert_eq!(figure(&answer, "closed_until"), &Value::Null);
}

#[tokio::test]
async fn where_nothing_comes_any_more_it_is_not_said_that_all_is_well() {
    let bench = well().await;
    bench.clock.advance(600);
    let answer = bench.get(PIPELINE).await.json();
    let says =
        format!("Nothing was heard of any edge since {NOW}: none runs, or the log or ingest stands still.");
    assert_eq!(stage(&answer, "edges"), ("stuck", &json!(says)));
    assert_eq!(stage(&answer, "log").0, "unknown");
    assert_eq!(stage(&answer, "ingest").0, "stuck");
    assert_eq!(stage(&answer, "downsampler").0, "ok", "it has done what it could");
    assert_eq!(figure(&answer, "complete_behind"), 604.0);
}

#[tokio::test]
async fn before_the_first_seal_nothing_is_known_and_nothing_is_zero() {
    let answer = Bench::new().get(PIPELINE).await.json();
    assert_eq!(answer["complete_until"], Value::Null);
    for id in ["edges", "log", "ingest", "downsampler", "ledger"] {
        let (state, says) = stage(&answer, id);
        assert_eq!((state, says.is_string()), ("unknown", true), "{id}");
    }
    for name in [
        "received_per_second",
        "rejected_per_second",
        "furthest_node",
        "furthest_node_behind",
        "partitions",
        "newest_record",
        "complete_until",
        "complete_behind",
        "minutes_until",
        "hours_behind",
        "closed_until",
    ] {
        assert_eq!(figure(&answer, name), &Value::Null, "{name}");
    }
}

#[tokio::test]
async fn a_store_that_fails_is_a_problem() {
    for (store, status) in [(Silent::Unavailable, 503), (Silent::Damaged, 500)] {
        let bench = super::super::problems::bench_over(store);
        for address in [PIPELINE, "/v1/operator/top"] {
            bench.get(address).await.problem(status);
        }
    }
}

#[tokio::test]
async fn the_pipeline_and_the_top_are_for_operators_only() {
    let bench = well().await;
    for address in [PIPELINE, "/v1/operator/top"] {
        for token in [&bench.acme, &bench.billing] {
            let reply = bench.get_as(token, address).await;
            reply.problem(403);
            assert!(!reply.body.contains("globex"));
        }
        bench.get(&format!("{address}?from=-1h")).await.problem(400);
    }
}
