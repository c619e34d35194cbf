//! No fault at all: restarts and changes of size in the order that README has, while counts come in.

use super::scenario::{Scenario, Shape};
use crate::cluster::stages::Stage;

/// SIGTERM, and waits for an end in order.
fn stop(stage: &mut Stage) {
    let status = stage.terminate();
    assert_eq!(status.code(), Some(0), "{}:\n{}", stage.name(), stage.printed());
}

/// Nobody was missing: whoever stops in order says farewell, and who comes is waited for.
fn nobody_was_missing(scenario: &Scenario) {
    let seen = scenario.watch.seen();
    assert!(seen.missing.is_empty(), "{seen:?}");
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn all_processes_are_restarted_one_after_the_other() {
    let mut scenario = Scenario::begin("a rolling restart", Shape { queries: 2, ..Shape::default() });
    let kinds: [fn(&mut Scenario) -> &mut Vec<Stage>; 4] = [
        |scenario| &mut scenario.edges,
        |scenario| &mut scenario.ingesters,
        |scenario| &mut scenario.downsamplers,
        |scenario| &mut scenario.queries,
    ];
    for kind in kinds {
        for at in 0..kind(&mut scenario).len() {
            scenario.pass_between(200, 1_500);
            let stage = &mut kind(&mut scenario)[at];
            stop(stage);
            stage.start();
            stage.wait_until_ready();
        }
    }
    scenario.wait_until_complete();
    nobody_was_missing(&scenario);
    scenario.notes.push("each was restarted once".to_owned());
    scenario.end();
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn a_cluster_grows_and_shrinks_under_its_load() {
    let one_each = Shape { edges: 1, ingesters: 1, downsamplers: 1, ..Shape::default() };
    let mut scenario = Scenario::begin("a cluster grows and shrinks", one_each);
    let mut edge = scenario.cluster.edge(2, "us-east");
    let mut ingester = scenario.cluster.ingest("ingest-2");
    let mut downsampler = scenario.cluster.downsampler("downsampler-2");
    for stage in [&mut edge, &mut ingester, &mut downsampler] {
        stage.start();
        stage.wait_until_ready();
    }
    scenario.load.on(edge.address(), 2);
    scenario.edges.push(edge);
    scenario.pass_between(3_000, 6_000);
    scenario.wait_until_complete();
    // The first ones go: the new ones take over what they did.
    stop(&mut scenario.ingesters[0]);
    stop(&mut scenario.downsamplers[0]);
    scenario.ingesters = vec![ingester];
    scenario.downsamplers = vec![downsampler];
    scenario.pass_between(1_000, 3_000);
    scenario.wait_until_complete();
    nobody_was_missing(&scenario);
    scenario.notes.push("three came, and two went".to_owned());
    scenario.end();
}
