use proptest::prelude::*;

use super::*;

const TIMEOUT_MS: i64 = 60_000;

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_seconds_clamped(seconds)
}

fn node(number: u16) -> NodeId {
    NodeId::new(number).expect("a node")
}

fn progress(number: u16, partition: u32, watermark: i64, heard_at: i64) -> NodeProgress {
    let (watermark, heard_at) = (seconds(watermark), seconds(heard_at));
    NodeProgress { partition, node: node(number), watermark, heard_at, farewell: false, region: None }
}

fn farewell(number: u16, partition: u32, watermark: i64, heard_at: i64) -> NodeProgress {
    NodeProgress { farewell: true, ..progress(number, partition, watermark, heard_at) }
}

fn missing(number: u16, since: i64) -> MissingNode {
    MissingNode { node: node(number), since: seconds(since), region: None }
}

/// Of a log of which it is not known how many partitions it has.
fn low(progress: &[NodeProgress]) -> LowWatermark {
    low_watermark(progress, 0, TIMEOUT_MS)
}

fn at(progress: &[NodeProgress]) -> Option<i64> {
    low(progress).at.map(Timestamp::as_seconds)
}

#[test]
fn before_the_first_seal_nothing_is_known() {
    assert_eq!(low(&[]), LowWatermark::default());
}

#[test]
fn the_slowest_node_in_the_slowest_partition_counts() {
    assert_eq!(
        at(&[progress(1, 0, 500, 500), progress(1, 1, 490, 500), progress(2, 0, 495, 500)]),
        Some(490)
    );
}

#[test]
fn a_node_is_silent_when_it_is_more_than_the_timeout_behind_the_newest_record() {
    let just = [progress(1, 0, 500, 500), progress(2, 0, 400, 440)];
    assert_eq!((at(&just), low(&just).missing), (Some(400), vec![]));
    let over = [progress(1, 0, 500, 500), progress(2, 0, 400, 439)];
    assert_eq!(at(&over), Some(500));
    assert_eq!(low(&over).missing, [missing(2, 400)]);
}

#[test]
fn a_missing_node_is_missing_since_the_first_that_is_not_known_of_it() {
    let all = [
        progress(1, 0, 500, 500),
        progress(2, 0, 400, 400),
        progress(1, 1, 500, 500),
        progress(2, 1, 390, 400),
    ];
    assert_eq!(low(&all).missing, [missing(2, 390)]);
}

#[test]
fn the_last_node_standing_holds_the_windows_open() {
    assert_eq!(
        (at(&[progress(1, 0, 500, 500)]), low(&[progress(1, 0, 500, 500)]).missing),
        (Some(500), vec![])
    );
    let after_a_farewell = [progress(1, 0, 500, 500), farewell(2, 0, 480, 480)];
    assert_eq!(at(&after_a_farewell), Some(500), "who said farewell holds nothing up");
}

#[test]
fn when_all_stopped_in_good_order_everything_is_in() {
    assert_eq!(at(&[farewell(1, 0, 500, 500), farewell(2, 0, 480, 480)]), Some(500));
    let partly_read = [farewell(1, 0, 500, 500), progress(1, 1, 490, 499)];
    assert_eq!(at(&partly_read), Some(490), "the last words in the other partition are not read yet");
    let again = [farewell(1, 0, 500, 500), farewell(1, 1, 400, 400)];
    assert_eq!(at(&again), Some(400), "the second farewell is not read yet in the other partition");
}

#[test]
fn a_node_that_is_back_is_waited_for_where_its_farewell_is_the_last_that_was_read() {
    let other = [progress(2, 0, 900, 900), progress(2, 1, 900, 900)];
    let back = [farewell(1, 0, 500, 500), progress(1, 1, 890, 890)];
    let all = [&other[..], &back].concat();
    assert_eq!((at(&all), low(&all).missing), (Some(500), vec![]));
    assert_eq!(node_standings(&all, TIMEOUT_MS)[0].state, NodeState::Live);
    let read = [&other[..], &[progress(1, 0, 890, 890), progress(1, 1, 890, 890)]].concat();
    assert_eq!(at(&read), Some(890));
    // A partition that was read far past its return, and has nothing of it, has lost it.
    let lost = [&other[..], &[progress(2, 0, 960, 960)], &back].concat();
    assert_eq!(low(&lost).missing, [missing(1, 500)]);
}

#[test]
fn a_node_that_went_silent_before_the_last_farewell_stays_missing() {
    let all = [farewell(1, 0, 500, 500), progress(2, 0, 100, 100)];
    assert_eq!(at(&all), Some(500));
    assert_eq!(low(&all).missing, [missing(2, 100)]);
}

#[test]
fn a_partition_that_was_not_read_holds_the_windows_open() {
    let at = |progress: &[NodeProgress]| low_watermark(progress, 2, TIMEOUT_MS).at.map(Timestamp::as_seconds);
    assert_eq!(at(&[progress(1, 0, 500, 500)]), None);
    assert_eq!(at(&[progress(1, 0, 500, 500), progress(1, 1, 490, 500)]), Some(490));
    let one_is_new = [progress(1, 0, 500, 500), progress(1, 1, 500, 500), progress(2, 0, 495, 500)];
    assert_eq!(at(&one_is_new), None, "what node 2 has in partition 1 is not read yet");
    assert_eq!(at(&[farewell(1, 0, 500, 500)]), None, "nor are its last words there");
}

#[test]
fn a_partition_that_is_younger_than_a_node_is_not_waited_for() {
    let at = |progress: &[NodeProgress]| low_watermark(progress, 2, TIMEOUT_MS).at.map(Timestamp::as_seconds);
    let old = farewell(1, 0, 100, 100);
    assert_eq!(at(&[old.clone(), progress(2, 0, 160, 160), progress(2, 1, 160, 160)]), None);
    assert_eq!(at(&[old, progress(2, 0, 161, 161), progress(2, 1, 161, 161)]), Some(161));
    let missing = progress(1, 0, 100, 100);
    assert_eq!(at(&[missing, progress(2, 0, 161, 161), progress(2, 1, 161, 161)]), Some(161));
}

#[test]
fn a_node_stands_where_it_said_last_and_as_far_as_its_slowest_partition() {
    let said =
        |region: &str, at: NodeProgress| NodeProgress { region: Some(Name::new(region).unwrap()), ..at };
    let all = [
        said("us-east", progress(1, 0, 500, 480)),
        said("eu-west", progress(1, 1, 490, 500)),
        farewell(2, 0, 470, 470),
        farewell(2, 1, 470, 475),
        said("us-east", progress(3, 0, 400, 400)),
        progress(3, 1, 495, 495),
        farewell(4, 0, 495, 495),
        progress(4, 1, 494, 494),
    ];
    let standing = |number, region: Option<&str>, watermark, heard_at, state| NodeStanding {
        node: node(number),
        region: region.map(|region| Name::new(region).unwrap()),
        watermark: seconds(watermark),
        heard_at: seconds(heard_at),
        state,
    };
    assert_eq!(
        node_standings(&all, TIMEOUT_MS),
        [
            standing(1, Some("eu-west"), 490, 480, NodeState::Live),
            standing(2, None, 470, 470, NodeState::Stopped),
            standing(3, None, 400, 400, NodeState::Missing),
            standing(4, None, 494, 494, NodeState::Live),
        ]
    );
    let gone = [said("us-east", progress(1, 0, 100, 100)), progress(2, 0, 500, 500)];
    assert_eq!(low(&gone).missing[0].region, Some(Name::new("us-east").unwrap()));
}

fn any_progress() -> impl Strategy<Value = NodeProgress> {
    (0..4_u16, 0..3_u32, 0..300_i64, 0..300_i64, prop::bool::weighted(0.2)).prop_map(
        |(number, partition, watermark, heard_at, farewell)| NodeProgress {
            farewell,
            ..progress(number, partition, watermark, heard_at)
        },
    )
}

/// One entry per (partition, node), as a store keeps them.
fn any_fleet() -> impl Strategy<Value = Vec<NodeProgress>> {
    prop::collection::vec(any_progress(), 1..12).prop_map(|mut all| {
        all.sort_by_key(|at| (at.partition, at.node));
        all.dedup_by_key(|at| (at.partition, at.node));
        all
    })
}

fn newest(fleet: &[NodeProgress], partition: u32) -> Option<Timestamp> {
    fleet.iter().filter(|at| at.partition == partition).map(|at| at.heard_at).max()
}

/// Whether its farewell is the last that is known of the node.
fn is_stopped(fleet: &[NodeProgress], at: &NodeProgress) -> bool {
    at.farewell && fleet.iter().all(|other| other.node != at.node || other.watermark <= at.watermark)
}

fn is_live(fleet: &[NodeProgress], at: &NodeProgress) -> bool {
    let of_node = fleet.iter().filter(|other| other.node == at.node);
    let last_heard = of_node.map(|other| other.heard_at).max().unwrap();
    let heard_at = if at.farewell { last_heard } else { at.heard_at };
    let behind = newest(fleet, at.partition).map_or(0, |newest| newest.millis_since(heard_at));
    !is_stopped(fleet, at) && behind <= TIMEOUT_MS
}

/// How far each node was read in each partition, in seals of one a second; 0 for not at all. Nothing is so far
/// behind that it is silent.
fn any_reading() -> impl Strategy<Value = Vec<Vec<i64>>> {
    (1..4_usize)
        .prop_flat_map(|partitions| prop::collection::vec(prop::collection::vec(0..60_i64, partitions), 1..4))
}

proptest! {
    #[test]
    fn it_never_passes_a_record_that_was_not_read(reading in any_reading()) {
        let partitions = u32::try_from(reading[0].len()).unwrap();
        let heard = (0..).zip(&reading).filter(|(_, read)| read.iter().any(|&seals| seals > 0));
        let rows: Vec<NodeProgress> = heard
            .clone()
            .flat_map(|(node, read)| {
                let read = (0..).zip(read).filter(|(_, seals)| **seals > 0);
                read.map(move |(partition, &seals)| progress(node, partition, seals, seals))
            })
            .collect();
        // The first record of each (node, partition) that is not read holds counts from before its watermark.
        let least = heard.flat_map(|(_, read)| read).min().copied();
        let at = low_watermark(&rows, partitions, TIMEOUT_MS).at;
        prop_assert_eq!(at.map(Timestamp::as_seconds), least.filter(|&least| least > 0));
    }

    #[test]
    fn it_passes_no_live_node_and_stops_at_one(fleet in any_fleet()) {
        let least = fleet.iter().filter(|at| is_live(&fleet, at)).map(|at| at.watermark).min();
        if least.is_some() {
            prop_assert_eq!(low(&fleet).at, least);
        }
    }

    #[test]
    fn every_silent_node_is_shown_and_nobody_else(fleet in any_fleet()) {
        let mut silent: Vec<NodeId> =
            fleet.iter().filter(|at| !is_stopped(&fleet, at) && !is_live(&fleet, at)).map(|at| at.node).collect();
        silent.sort_unstable();
        silent.dedup();
        let missing: Vec<NodeId> = low(&fleet).missing.iter().map(|missing| missing.node).collect();
        prop_assert_eq!(missing, silent);
    }

    #[test]
    fn nodes_stand_as_the_low_watermark_has_them(fleet in any_fleet()) {
        let standings = node_standings(&fleet, TIMEOUT_MS);
        let numbers: BTreeSet<NodeId> = fleet.iter().map(|at| at.node).collect();
        prop_assert_eq!(standings.iter().map(|node| node.node).collect::<Vec<_>>(), Vec::from_iter(numbers));
        let is = |state| standings.iter().filter(move |node| node.state == state);
        let missing: Vec<NodeId> = low(&fleet).missing.iter().map(|missing| missing.node).collect();
        prop_assert_eq!(is(NodeState::Missing).map(|node| node.node).collect::<Vec<_>>(), missing);
        prop_assert!(is(NodeState::Live).all(|node| low(&fleet).at <= Some(node.watermark)));
        prop_assert!(is(NodeState::Stopped).all(|node| fleet.iter().all(|at| at.node != node.node || at.farewell)));
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter(fleet in any_fleet()) {
        let backwards: Vec<NodeProgress> = fleet.iter().rev().cloned().collect();
        prop_assert_eq!(low(&backwards), low(&fleet));
        prop_assert_eq!(node_standings(&backwards, TIMEOUT_MS), node_standings(&fleet, TIMEOUT_MS));
    }

    #[test]
    fn it_is_known_as_soon_as_anyone_was_heard(fleet in any_fleet()) {
        // Whoever was heard last is not silent: it is live, or it said farewell.
        prop_assert!(low(&fleet).at.is_some());
    }

    #[test]
    fn it_does_not_depend_on_what_the_time_is(fleet in any_fleet(), later in 0..1_000_000_i64) {
        let moved: Vec<NodeProgress> = fleet
            .iter()
            .map(|at| NodeProgress { heard_at: at.heard_at.plus_seconds(later), ..at.clone() })
            .collect();
        prop_assert_eq!(low(&moved), low(&fleet));
    }
}
