//! Partitions are added to the topic, as docs/scaling.md says, and edges are restarted: with the old setting and with
//! the new one.

use std::time::Duration;

use flagmeter_model::{Clock, SystemClock, Timestamp};
use serde_json::Value;

use super::{
    own::OwnServers,
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

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn partitions_are_added_and_whatever_edges_are_set_to_nothing_is_lost() {
    let (_own, servers) = OwnServers::up();
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

    scenario.notes.push("there are eight, and were four".to_owned());
    scenario.end();
}
