//! SIGSTOP for longer than anybody waits, then SIGCONT: whoever stood still does not know that time has passed.

use std::time::Duration;

use super::scenario::{Scenario, Shape};
use crate::cluster::stages::Stage;

/// Longer than a node may be silent, and than Kafka waits for a member of a group (20 s) or for a transaction (30 s).
const A_MINUTE: Duration = Duration::from_mins(1);

/// One of each, with a peer that goes on. The edge's windows close without it, and take its counts in when it
/// returns; the ingester returns to partitions that are the other one's by now.
#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn one_of_each_process_stands_still_for_a_minute() {
    let mut scenario = Scenario::begin("one of each stands still", Shape { queries: 2, ..Shape::default() });
    scenario.pass(Duration::from_secs(5));
    let first = |scenario: &mut Scenario, what: fn(&Stage)| {
        for stages in [&scenario.edges, &scenario.ingesters, &scenario.downsamplers, &scenario.queries] {
            what(&stages[0]);
        }
    };
    first(&mut scenario, Stage::pause);
    scenario.pass(A_MINUTE);
    first(&mut scenario, Stage::resume);
    scenario.pass(Duration::from_secs(5));
    let seen = scenario.watch.seen();
    assert!(seen.missing.contains(&1), "the edge that stood still was never missed: {seen:?}");
    scenario.notes.push("each stood still for 60 s".to_owned());
    scenario.end();
}
