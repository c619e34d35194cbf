use std::time::Duration;

use chrono_tz::Tz;
use flagmeter_model::{NodeId, NodeProgress, Timestamp};
use flagmeter_store::State;

use super::{
    judge::{Facts, Judge, LedgerStands, LiveStands},
    stage::{Stage, StageId, StageState},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds_clamped(1_800_000_000 + second)
}

fn progress(partition: u32, node: u16, watermark: i64, heard_at: i64) -> NodeProgress {
    NodeProgress {
        partition,
        node: NodeId::new(node).unwrap(),
        watermark: at(watermark),
        heard_at: at(heard_at),
        farewell: false,
        region: None,
    }
}

fn farewell(node: u16, watermark: i64) -> NodeProgress {
    NodeProgress { farewell: true, ..progress(0, node, watermark, watermark) }
}

/// It is second 1,000.
fn facts(progress: Vec<NodeProgress>) -> Facts {
    Facts {
        now: at(1_000),
        zone: Tz::UTC,
        state: State { progress, partitions: 2, ..State::default() },
        answered_in: Duration::from_millis(3),
        node_timeout_ms: 60_000,
        grace_ms: 900_000,
        received: None,
        rejected: None,
        ledger: LedgerStands::Absent,
        live: LiveStands { viewers: 4, viewers_max: 5, queries: 1, queries_max: 3 },
    }
}

#[track_caller]
fn stage(facts: Facts, id: StageId) -> (StageState, String) {
    let stages: Vec<Stage> = Judge::new(facts).stages();
    let stage = stages.into_iter().find(|stage| stage.id == id).unwrap();
    assert_eq!(stage.state == StageState::Ok, stage.says.is_none(), "{stage:?}");
    (stage.state, stage.says.unwrap_or_default())
}

#[test]
fn a_node_that_is_heard_and_holds_back_what_it_has_is_at_fault_and_not_ingest() {
    let of = |watermark| {
        let node = |node, watermark| [progress(0, node, watermark, 999), progress(1, node, watermark, 999)];
        facts([node(1, 999), node(3, watermark)].concat())
    };
    assert_eq!(stage(of(980), StageId::Edges).0, StageState::Ok);
    let (state, says) = stage(of(969), StageId::Edges);
    assert_eq!(state, StageState::Late);
    assert!(
        says.starts_with("Node 3 has handed on only what it received before 2027-01-15T08:16:09Z"),
        "{says}"
    );
    assert_eq!(stage(of(699), StageId::Edges).0, StageState::Stuck);
    assert_eq!(stage(of(699), StageId::Ingest).0, StageState::Ok);
}

#[test]
fn a_partition_that_is_read_behind_the_others_is_the_fault_of_ingest() {
    let of = |read_until| facts(vec![progress(0, 1, 999, 999), progress(1, 1, read_until, read_until)]);
    assert_eq!(stage(of(980), StageId::Ingest).0, StageState::Ok);
    let (state, says) = stage(of(960), StageId::Ingest);
    assert_eq!(
        (state, says.as_str()),
        (StageState::Late, "Partition 1 of the log was read until 2027-01-15T08:16:00Z only.")
    );
    assert_eq!(stage(of(600), StageId::Ingest).0, StageState::Stuck);
    assert_eq!(stage(of(960), StageId::Edges).0, StageState::Ok);
}

#[test]
fn a_partition_that_was_never_read_is_told_before_anything_is_complete() {
    let (state, says) = stage(facts(vec![progress(0, 1, 999, 999)]), StageId::Ingest);
    assert_eq!(state, StageState::Late);
    assert!(says.contains("was not read yet"), "{says}");
    assert_eq!(stage(facts(vec![progress(0, 1, 999, 999)]), StageId::Downsampler).0, StageState::Unknown);
}

#[test]
fn edges_that_all_stopped_in_good_order_leave_nothing_to_wait_for() {
    let stopped = || facts(vec![farewell(1, 200), farewell(2, 300)]);
    let (state, says) = stage(stopped(), StageId::Edges);
    assert_eq!(state, StageState::Stuck);
    assert!(says.contains("nobody takes what SDKs send"), "{says}");
    assert_eq!(stage(stopped(), StageId::Log).0, StageState::Ok);
    assert_eq!(stage(stopped(), StageId::Ingest).0, StageState::Ok);
}

#[test]
fn the_worse_of_a_silent_node_and_one_that_holds_back_is_told() {
    let heard = |node, watermark| [progress(0, node, watermark, 999), progress(1, node, watermark, 999)];
    let silent = [2, 5].map(|node| [progress(0, node, 100, 100), progress(1, node, 100, 100)]);
    let (state, says) = stage(facts([&heard(1, 999)[..], &silent.concat()].concat()), StageId::Edges);
    assert_eq!(state, StageState::Late);
    assert!(says.starts_with("2 nodes are silent, the first of them 2, since"), "{says}");
    let (state, says) = stage(facts([&heard(1, 600)[..], &silent.concat()].concat()), StageId::Edges);
    assert_eq!(state, StageState::Stuck);
    assert!(says.starts_with("Node 1 has handed on"), "{says}");
}

#[test]
fn a_store_that_answers_slowly_and_streams_without_a_free_place_are_late() {
    let slow = Facts { answered_in: Duration::from_millis(2_340), ..facts(Vec::new()) };
    let (state, says) = stage(slow, StageId::Store);
    assert_eq!(state, StageState::Late);
    assert!(says.starts_with("It took 2.3 s"), "{says}");
    let live = LiveStands { viewers: 5, viewers_max: 5, queries: 1, queries_max: 3 };
    assert_eq!(stage(Facts { live, ..facts(Vec::new()) }, StageId::Queries).0, StageState::Late);
    assert_eq!(stage(facts(Vec::new()), StageId::Queries).0, StageState::Ok);
}

#[test]
fn without_a_ledger_it_is_said_that_there_are_no_bills() {
    let (state, says) = stage(facts(Vec::new()), StageId::Ledger);
    assert_eq!((state, says.as_str()), (StageState::Unknown, "None is kept here, so there are no bills."));
}
