//! Who reads the log: too many, too often, from the beginning.

use super::scenario::{Scenario, Shape, rounds};
use crate::cluster::stages::Stage;

/// One that leaves gives its partitions up at once: those with a name of their own get them kept.
const NO_NAME: (&str, &str) = ("FLAGMETER_KAFKA_INSTANCE", "");

/// Partitions change hands again and again, while records are being stored; by one that leaves in order, and by one
/// that is killed and whose partitions wait for the end of its session.
#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn partitions_change_hands_in_the_middle_of_writes() {
    let mut scenario = Scenario::begin("partitions change hands", Shape::default());
    let mut third = scenario.cluster.ingest("ingest-3");
    third.set(NO_NAME.0, NO_NAME.1);
    let rounds = rounds();
    for round in 0..rounds {
        scenario.pass_between(500, 2_000);
        third.start();
        third.wait_until_ready();
        third.eventually("it has partitions", |third| {
            third.metric("flagmeter_log_partitions_owned").filter(|&owned| owned > 0.0)
        });
        scenario.pass_between(500, 4_000);
        if round % 2 == 0 {
            assert_eq!(third.terminate().code(), Some(0), "{}", third.printed());
        } else {
            third.kill();
        }
    }
    scenario.notes.push(format!("{rounds} times a third ingester came and went"));
    scenario.end();
}

/// As after a group's positions were lost, or set back by hand.
#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn the_log_is_replayed_from_its_beginning() {
    let mut scenario = Scenario::begin("the log is replayed", Shape::default());
    scenario.pass_until(
        "minutes are rolled up, behind whose frontier the replay comes",
        |scenario| {
            let rolled_up =
                |stage: &Stage| stage.metric("flagmeter_downsampler_windows_total").unwrap_or(0.0);
            scenario.downsamplers.iter().map(rolled_up).sum::<f64>()
        },
        |&rolled_up| rolled_up > 0.0,
    );
    for replay in 1..=2 {
        let name = format!("replay-{replay}");
        let mut again = scenario.cluster.ingest(&name);
        again.set("FLAGMETER_KAFKA_GROUP", &format!("{}-{name}", scenario.cluster.name()));
        again.start();
        again.wait_until_ready();
        let metrics = ["flagmeter_ingest_records_total", "flagmeter_ingest_lag_records"];
        scenario.pass_until(
            "the replay has caught up",
            |_| metrics.map(|name| again.metric(name).unwrap_or(f64::NAN)),
            |&[records, lag]| records > 100.0 && lag < 50.0,
        );
        let late = again.metric("flagmeter_ingest_late_marks_total");
        assert!(late.is_some_and(|late| late > 0.0), "it came behind no frontier");
        assert_eq!(again.terminate().code(), Some(0), "{}", again.printed());
    }
    scenario.notes.push("replayed twice".to_owned());
    scenario.end();
}
