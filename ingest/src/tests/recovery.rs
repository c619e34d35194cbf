//! Crashes anywhere, and what is stored after them.

use flagmeter_model::ContentEncoding;
use proptest::prelude::*;

use super::{
    faults::Fault,
    world::{World, config, seal, seal_of},
};
use crate::Config;

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_write_and_commit_repeats_records_and_changes_nothing() {
    for keeps_positions in [true, false] {
        let mut world = World::new(1);
        world.keeps_positions = keeps_positions;
        for seq in 0..5 {
            world.append(0, &seal(seq), ContentEncoding::Zstd).await;
        }
        world.faults.put(Fault::DieBeforeCommit, 1);
        world.drain(config()).await.unwrap_err();
        assert_eq!(world.stored().await, world.sent(), "written");
        assert_eq!(world.lag().await, 5, "and not committed");
        let state = world.store.state().await.unwrap();

        world.drain(config()).await.unwrap();
        assert_eq!(world.stored().await, world.sent());
        assert_eq!(world.store.state().await.unwrap(), state);
        let repeated = if keeps_positions { 0 } else { 5 };
        assert_eq!(
            world.metric("flagmeter_ingest_records_total"),
            repeated,
            "seeking wins over the log's position"
        );
        assert_eq!(world.lag().await, 0, "the log hears of it, although nothing was left to store");
    }
}

/// As where several ingesters share the log.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_go_and_come_back_where_they_were_repeat_records_and_change_nothing() {
    let mut world = World::new(2);
    world.keeps_positions = false;
    for seq in 0..40 {
        world.append(seq % 2, &seal(seq), ContentEncoding::Zstd).await;
    }
    world.faults.put(Fault::CommitTooLate, 3);
    world.faults.put(Fault::PartitionsComeBack, 4);
    let config = Config { step_points_max: 5, read_bytes_max: 2_000, ..config() };
    world.drain(config).await.unwrap();
    assert!(world.metric("flagmeter_ingest_records_total") > 40, "some came again");
    assert_eq!(world.retries("commit") + world.retries("read"), 0, "neither is a failure");
    assert_eq!(world.stored().await, world.sent());
    assert_eq!(world.lag().await, 0);
    for partition in 0..2 {
        let committed = world.faults.committed();
        let positions: Vec<_> = committed.iter().filter_map(|it| it.get(&partition)).collect();
        assert!(!positions.is_empty());
    }
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        Just(Fault::WriteUnavailable),
        Just(Fault::WriteUnanswered),
        Just(Fault::DieBeforeWrite),
        Just(Fault::DieAfterWrite),
        Just(Fault::DieBeforeCommit),
        Just(Fault::ReadUnavailable),
        Just(Fault::CommitUnavailable),
        Just(Fault::CommitTooLate),
        Just(Fault::PartitionsComeBack),
    ];
    prop::collection::vec(fault, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Runs that die of this and that, with records in between, some of which cannot be decoded: then all that was
    /// sent is stored once, and all that was not a batch is among the dead letters.
    #[test]
    fn whatever_fails_each_count_is_stored_once(
        rounds in prop::collection::vec((faults(), prop::collection::vec((0..2_u32, 0..3_u16, any::<bool>()), 0..12)), 1..6),
        keeps_positions: bool,
        step_points_max in 1..20_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(2);
            world.keeps_positions = keeps_positions;
            let config = Config { step_points_max, read_bytes_max: 1_000, ..config() };
            let (mut seq, mut garbage) = (0_u32, 0);
            for (faults, records) in rounds {
                for (partition, node, good) in records {
                    seq += 1;
                    if good {
                        let batch = seal_of(node, seq, "checkout", seq.into());
                        world.append(partition, &batch, ContentEncoding::Zstd).await;
                    } else {
                        garbage += 1;
                        world.append_bytes(partition, vec![1, 2, 3]).await;
                    }
                }
                for fault in faults {
                    world.faults.put(fault, 1);
                }
                drop(world.drain(config.clone()).await);
            }
            world.faults.clear();
            world.drain(config).await.unwrap();
            assert_eq!(world.stored().await, world.sent());
            assert_eq!(world.store.dead_letters(None, 1_000).await.unwrap().len(), garbage);
            assert_eq!(world.store.state().await.unwrap().dead_letters, garbage as u64);
        });
    }
}
