//! Partitions are added to the topic, as docs/scaling.md says, and edges are restarted: with the old setting and with
//! the new one, with Kafka and without.

use std::time::Duration;

use flagmeter_model::{Clock, SystemClock, Timestamp};
use serde_json::Value;

use super::{
    own::{KAFKA, OwnServers},
    scenario::{Scenario, Shape},
};

const ALL_IS_IN_KAFKA: &str = "everything that was acknowledged is in Kafka";
const PARTITIONS: &str = "FLAGMETER_KAFKA_PARTITIONS";
const BETWEEN: Duration = Duration::from_secs(6);
/// Answers that are farther behind stand still.
const BEHIND_SECONDS: i64 = 15;
/// Longer than silence may last before a node is missing, and than what waited takes to come in.
const STAYS: Duration = Duration::from_secs(25);

/// Whether the newest answer says that something is not in, or that somebody is missing.
fn is_open(scenario: &Scenario) -> Option<bool> {
    let answer = scenario.ask("/v1/usage?from=-1m").filter(|answer| answer.status == 200)?;
    let answer: Value = serde_json::from_str(&answer.body).ok()?;
    let until = answer["complete_until"].as_str().and_then(|until| Timestamp::parse_rfc3339(until).ok());
    let stands = until.is_none_or(|until| SystemClock.now().millis_since(until) > BEHIND_SECONDS * 1_000);
    Some(stands || answer["missing_nodes"].as_array().is_none_or(|missing| !missing.is_empty()))
}

/// Ingesters look for partitions twice a minute.
fn nothing_becomes_complete(scenario: &mut Scenario) {
    scenario.pass_until("answers are open", is_open, |is_open| *is_open == Some(true));
    scenario.pass(STAYS);
    assert_eq!(is_open(scenario), Some(true), "they stay so");
}

/// How much an edge has taken since it was started.
fn taken(scenario: &Scenario, edge: usize) -> f64 {
    scenario.edges[edge].metric("flagmeter_edge_taken_total").unwrap_or_default()
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn partitions_are_added_and_whatever_edges_are_set_to_nothing_is_lost() {
    let (own, servers) = OwnServers::up();
    let shape = Shape { servers: Some(servers), ..Shape::default() };
    let mut scenario = Scenario::begin("partitions are added", shape);
    scenario.pass(BETWEEN);
    scenario.wait_until_complete();

    // The old setting, with Kafka: the edge asks how many there are. The other one does not know of them yet.
    let edge = &mut scenario.edges[0];
    edge.stops_with(ALL_IS_IN_KAFKA);
    scenario.cluster.add_partitions(8);
    scenario.edges[0].start();
    scenario.edges[0].wait_until_ready();
    nothing_becomes_complete(&mut scenario);

    // The new setting.
    let edge = &mut scenario.edges[1];
    edge.kill();
    assert_eq!(edge.set(PARTITIONS, "8").as_deref(), Some("4"));
    edge.start();
    edge.wait_until_ready();
    scenario.wait_until_complete();

    // The old setting, without Kafka: what waits in the journal was cut for eight.
    own.act("pause", KAFKA);
    scenario.pass(BETWEEN);
    scenario.edges[0].kill();
    scenario.edges[0].start();
    scenario.edges[0].wait_until_ready();
    scenario.pass_until("it takes posts", |scenario| taken(scenario, 0), |&taken| taken > 100.0);
    own.act("resume", KAFKA);
    scenario.pass_until(
        "it says what is wrong, and how to mend it",
        |scenario| scenario.edges[0].printed(),
        |printed| {
            printed.contains("the topic has 8 partitions, and this edge began with 4 while Kafka was away")
                && printed.contains("until it is restarted; set kafka.partitions to 8")
        },
    );
    nothing_becomes_complete(&mut scenario);
    let edge = &mut scenario.edges[0];
    edge.stops_with(ALL_IS_IN_KAFKA);
    edge.set(PARTITIONS, "8");
    edge.start();
    scenario.notes.push("there are eight, and were four".to_owned());
    scenario.end();
}
