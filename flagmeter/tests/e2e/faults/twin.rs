//! Two edges with one number.

use std::time::Duration;

use super::scenario::{Scenario, Shape};
use crate::cluster::stages::Stage;

/// The twin takes the number, and the first stops; started again it takes it back. Both hold seals then that the log
/// has not taken, and that were made in the same seconds for the same flags. The twin goes on under another number,
/// and hands on as well what it held.
#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn an_edge_is_fenced_by_its_twin_and_takes_its_number_back() {
    let mut scenario = Scenario::begin("an edge is fenced by its twin", Shape::default());
    scenario.pass(Duration::from_secs(5));
    // What waits in the journal of an edge that was fenced is awaited from nobody: its number is somebody else's.
    scenario.load.ledger.excuse(1);
    let mut twin = scenario.cluster.edge_in("twin", 1, "us-east");
    scenario.load.on(twin.address(), 1);
    twin.start();
    twin.wait_until_ready();
    let is_told = |stage: &mut Stage| {
        assert_eq!(stage.wait_for_end().code(), Some(1), "{}", stage.printed());
        let told = stage.printed().contains("another edge with number 1 has started");
        assert!(told, "{}", stage.printed());
    };
    is_told(&mut scenario.edges[0]);
    scenario.pass(Duration::from_secs(4));
    scenario.edges[0].start();
    scenario.edges[0].wait_until_ready();
    is_told(&mut twin);
    twin.set("FLAGMETER_EDGE_NODE", "3");
    twin.start();
    twin.wait_until_ready();
    scenario.edges.push(twin);
    scenario.notes.push("the number went there and back".to_owned());
    scenario.end();
}
