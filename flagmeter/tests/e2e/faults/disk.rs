//! A disk that is full.

use std::{process::Command, time::Duration};

use super::scenario::{Scenario, Shape};

/// A disk that holds a journal, with what it writes ahead (16 MB before it begins anew), and little else.
const DISK_BYTES: u64 = 40 << 20;

/// Nothing is acknowledged that could not be kept; whoever sends is told when to try again; and when there is room,
/// everything goes on by itself.
#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn an_edge_whose_disk_is_full_makes_senders_wait() {
    let may_mount = Command::new("unshare").args(["-rm", "true"]).status();
    assert!(
        may_mount.is_ok_and(|status| status.success()),
        "a full disk needs `unshare -rm`: user namespaces, or the right to mount; run this where they are allowed"
    );
    let mut scenario = Scenario::begin("a disk is full", Shape::default());
    let mut edge = scenario.cluster.edge(3, "eu-west");
    edge.put_on_a_disk_of(DISK_BYTES);
    edge.start();
    edge.wait_until_ready();
    scenario.load.on(edge.address(), 3);
    scenario.pass(Duration::from_secs(5));
    edge.fill_disk();
    let filling = scenario.load.fill(edge.address(), 3, "disk_failed");
    scenario.pass(Duration::from_secs(10));
    drop(filling);
    edge.free_disk();
    scenario.edges.push(edge);
    scenario.notes.push("the disk of an edge was full".to_owned());
    scenario.end();
}
