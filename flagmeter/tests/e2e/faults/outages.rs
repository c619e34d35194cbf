//! The servers: killed, standing still, and gone for a while, with SDKs that go on posting.

use std::time::Duration;

use super::{
    own::{INFLUXDB, KAFKA, OwnServers},
    scenario::{Scenario, Shape},
};
use crate::cluster::stages::Stage;

/// Long enough to be an outage, for everybody: nodes are missed after 12 s, groups of consumers end after 20 s,
/// transactions after 30 s.
const GONE: Duration = Duration::from_secs(45);
const STANDS_STILL: Duration = Duration::from_mins(1);
const BETWEEN: Duration = Duration::from_secs(6);

/// Killed and started again at once; standing still; killed and gone for a while.
fn lose(scenario: &mut Scenario, own: &OwnServers, server: &str, meanwhile: impl FnOnce(&mut Scenario)) {
    scenario.pass(BETWEEN);
    own.act("kill", server);
    own.act("start", server);
    scenario.pass(BETWEEN);
    own.act("pause", server);
    let before = scenario.load.ledger.tally().acknowledged;
    scenario.pass(STANDS_STILL / 2);
    meanwhile(scenario);
    scenario.pass(STANDS_STILL / 2);
    let acknowledged = scenario.load.ledger.tally().acknowledged - before;
    assert!(acknowledged > 0, "nothing was acknowledged while {server} stood still");
    own.act("resume", server);
    scenario.pass(BETWEEN);
    own.act("kill", server);
    scenario.pass(GONE);
    own.act("start", server);
    scenario.notes.push(format!("{server} was killed twice, stood still for 60 s and was gone for 45 s"));
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn kafka_is_killed_stands_still_and_is_gone() {
    let (own, servers) = OwnServers::up();
    let mut scenario = Scenario::begin("Kafka is lost", Shape { servers: Some(servers), ..Shape::default() });
    lose(&mut scenario, &own, KAFKA, |_| ());
    let refused = scenario.load.ledger.tally().refused;
    assert!(refused.is_empty(), "the journals had room for all: {refused:?}");
    scenario.end();
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn influxdb_is_killed_stands_still_and_is_gone() {
    let (own, servers) = OwnServers::up();
    let mut scenario =
        Scenario::begin("InfluxDB is lost", Shape { servers: Some(servers), ..Shape::default() });
    // Whoever tells Kafka that records are stored before they are loses them here.
    lose(&mut scenario, &own, INFLUXDB, |scenario| {
        for ingester in &mut scenario.ingesters {
            ingester.kill();
            ingester.start();
        }
    });
    let refused = scenario.load.ledger.tally().refused;
    assert!(refused.is_empty(), "a database that is away is nothing to an edge: {refused:?}");
    assert!(scenario.watch.seen().errors > 0, "nobody noticed that the database was away");
    scenario.end();
}

/// Whoever restarts an edge while Kafka is away has an edge all the same.
#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn an_edge_that_is_started_again_while_kafka_is_away_takes_posts() {
    let mut scenario =
        Scenario::begin("an edge starts without Kafka", Shape { edges: 1, ..Shape::default() });
    scenario.pass(BETWEEN);
    let edge = &mut scenario.edges[0];
    edge.kill();
    let brokers = edge.set("FLAGMETER_KAFKA_BROKERS", "127.0.0.1:1").expect("brokers");
    edge.start();
    edge.wait_until_ready();
    let before = scenario.load.ledger.tally().acknowledged;
    scenario.pass_until(
        "it takes posts",
        |scenario| scenario.load.ledger.tally().acknowledged - before,
        |&acknowledged| acknowledged > 1_000,
    );
    let edge = &mut scenario.edges[0];
    edge.stops_with("what Kafka has not taken is in the journal, for the next start with this data folder");
    edge.set("FLAGMETER_KAFKA_BROKERS", &brokers);
    edge.start();
    scenario.notes.push("it took posts into its journal".to_owned());
    scenario.end();
}

/// With journals so small that one is full before Kafka is back.
#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn a_full_journal_makes_senders_wait_and_loses_nothing() {
    let (own, servers) = OwnServers::up();
    let settings = [("FLAGMETER_EDGE_JOURNAL_BYTES_MAX", "1MiB")];
    let shape = Shape { servers: Some(servers), settings: &settings, ..Shape::default() };
    let mut scenario = Scenario::begin("a journal is full", shape);
    scenario.pass(BETWEEN);
    own.act("kill", KAFKA);
    // Also those who send little are asked to wait, and how long.
    let filling = scenario.load.fill(scenario.edges[0].address(), 1, "journal_full");
    scenario.pass_until(
        "a full edge says that it is not ready",
        |scenario| scenario.edges.iter().map(Stage::is_ready).collect::<Vec<_>>(),
        |ready| ready.contains(&false),
    );
    drop(filling);
    own.act("start", KAFKA);
    scenario.notes.push("the journal of an edge was full".to_owned());
    scenario.end();
}
