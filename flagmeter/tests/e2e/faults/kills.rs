//! SIGKILL at random moments.

use rand::Rng;

use super::scenario::{Scenario, Shape, rounds};
use crate::cluster::stages::Stage;

/// Kills one of them after the other, and lets it be gone for a while; sometimes it is killed while it starts, too.
fn kill_at_random(name: &'static str, shape: Shape<'_>, which: fn(&mut Scenario) -> &mut Vec<Stage>) {
    let mut scenario = Scenario::begin(name, shape);
    let rounds = rounds();
    for _ in 0..rounds {
        scenario.pass_between(300, 4_000);
        let stages = which(&mut scenario).len();
        let at = scenario.rng.random_range(0..stages);
        which(&mut scenario)[at].kill();
        scenario.pass_between(0, 3_000);
        which(&mut scenario)[at].start();
        if scenario.rng.random_bool(0.7) {
            which(&mut scenario)[at].wait_until_ready();
        }
    }
    let refused = scenario.load.ledger.tally().refused;
    assert!(refused.is_empty(), "killing refuses nobody, nor does a start: {refused:?}");
    scenario.notes.push(format!("{rounds} kills"));
    scenario.end();
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn edges_are_killed() {
    kill_at_random("edges are killed", Shape::default(), |scenario| &mut scenario.edges);
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn ingesters_are_killed() {
    kill_at_random("ingesters are killed", Shape::default(), |scenario| &mut scenario.ingesters);
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn downsamplers_are_killed() {
    kill_at_random("downsamplers are killed", Shape::default(), |scenario| &mut scenario.downsamplers);
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn queries_are_killed() {
    let shape = Shape { queries: 2, ..Shape::default() };
    kill_at_random("queries are killed", shape, |scenario| &mut scenario.queries);
}
