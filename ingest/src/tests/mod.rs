//! Ingest between the embedded log and the embedded store, with faults put in between.

mod faults;
mod recovery;
mod world;

use std::time::Duration;

use flagmeter_model::{ContentEncoding, Meter, Tier};
use flagmeter_store::Floors;
use tokio_util::sync::CancellationToken;

use self::{
    faults::Fault,
    world::{World, config, payload, seal, seal_at, seal_of, start},
};
use crate::{AtStop, Error};

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_the_log_is_in_the_store_when_a_stopped_run_returns() {
    let world = World::new(2);
    for seq in 0..30_u16 {
        let batch = seal_of(seq % 3, seq.into(), &format!("flag-{}", seq % 5), u64::from(seq) + 1);
        world.append(u32::from(seq) % 2, &batch, ContentEncoding::ALL[usize::from(seq) % 3]).await;
    }
    world.drain(config()).await.unwrap();
    assert_eq!(world.stored().await, world.sent());
    assert_eq!(world.lag().await, 0);
    assert_eq!(world.store.state().await.unwrap().partitions, 2);
    assert_eq!(world.metric("flagmeter_ingest_records_total"), 30);
    assert_eq!(world.metric("flagmeter_ingest_points_total"), 30);
    assert_eq!(world.metric("flagmeter_ingest_lag_records"), 0);
    assert!(world.metric("flagmeter_ingest_write_seconds") > 0);
}

/// Fates stand at their arrival: they would make what is late look fresh.
#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_what_is_stored_is_that_of_its_slot_and_fates_are_not_asked() {
    let world = World::new(1);
    world.append(0, &seal_at(1, start().plus_seconds(-3_600)), ContentEncoding::Zstd).await;
    world.append(0, &seal(2), ContentEncoding::Zstd).await;
    let mut fate = seal(3);
    fate.environments[0].series[0].meter = Meter::Received;
    world.append(0, &fate, ContentEncoding::Zstd).await;
    world.clock.advance(12);
    world.drain(config()).await.unwrap();
    // One of an hour ago, and one of the slot that began 12 s ago.
    let name = "flagmeter_ingest_event_to_queryable_seconds";
    assert_eq!(world.metric(name), 2);
    let sum = world.histogram_sum(name);
    assert!((sum - 3_612.0 - 12.0).abs() < 1e-6, "{sum}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_ingest_stores_what_comes_and_drains_when_it_is_stopped() {
    let world = World::new(1);
    let stop = CancellationToken::new();
    let run = world.run(config(), stop.clone());
    let rest = async {
        world.append(0, &seal(1), ContentEncoding::Zstd).await;
        world.faults.until_written(1).await;
        for seq in 2..20 {
            world.append(0, &seal(seq), ContentEncoding::Zstd).await;
        }
        stop.cancel();
    };
    let (done, ()) = tokio::join!(run, rest);
    done.unwrap();
    assert_eq!(world.stored().await, world.sent());
    assert_eq!(world.lag().await, 0);
}

/// Edges go on writing, and others read on: a stop that waited for an empty log would never end.
#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_of_many_stores_what_it_has_read_and_leaves_the_rest_to_the_others() {
    let world = World::new(1);
    world.append(0, &seal(1), ContentEncoding::Zstd).await;
    let read = world.sent();
    world.faults.put(Fault::WriteHangs, 1);
    let stop = CancellationToken::new();
    let run = world.run(crate::Config { at_stop: AtStop::Leave, ..config() }, stop.clone());
    let rest = async {
        world.faults.until_over(Fault::WriteHangs).await;
        world.append(0, &seal(2), ContentEncoding::Zstd).await;
        stop.cancel();
        world.faults.let_go();
    };
    let (done, ()) = tokio::join!(run, rest);
    done.unwrap();
    assert_eq!(world.stored().await, read);
    assert_eq!(world.lag().await, 1);
}

/// The position that the store remembers is of another log: committed to this one, it could let records go that were
/// never read.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_not_in_the_log_is_not_committed_to_it() {
    let world = World::new(1);
    world.append(0, &seal(1), ContentEncoding::Zstd).await;
    let beyond = std::collections::BTreeMap::from([(0, u64::MAX >> 12)]);
    let write = flagmeter_store::Write { positions: beyond, ..flagmeter_store::Write::default() };
    world.store.write(std::sync::Arc::new(write)).await.unwrap();
    world.faults.put(Fault::ReadUnavailable, usize::MAX);
    world.drain(crate::Config { drain_max: Duration::from_millis(50), ..config() }).await.unwrap_err();
    assert!(world.faults.committed().is_empty());
    assert_eq!(world.lag().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_decoded_is_kept_with_its_bytes_and_the_next_one_is_stored() {
    let world = World::new(1);
    world.append_bytes(0, b"no batch at all".to_vec()).await;
    world.append(0, &seal(1), ContentEncoding::Zstd).await;
    let cut = &payload(&seal(2), ContentEncoding::Zstd)[..20];
    world.append_bytes(0, cut.to_vec()).await;
    world.append(0, &seal(3), ContentEncoding::Identity).await;
    world.drain(config()).await.unwrap();
    assert_eq!(world.stored().await, world.sent());
    let letters = world.store.dead_letters(None, 10).await.unwrap();
    let told: Vec<_> =
        letters.iter().map(|letter| (letter.reason.as_str(), letter.payload.as_slice())).collect();
    assert_eq!(told, [("malformed", &b"no batch at all"[..]), ("damaged", cut)]);
    assert!(letters[0].detail.contains("cannot be read"), "{}", letters[0].detail);
    assert_eq!(world.dead_letters("malformed"), 1);
    assert_eq!(world.dead_letters("damaged"), 1);
    assert_eq!(world.metric("flagmeter_ingest_records_total"), 4);
    assert_eq!(world.lag().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_newer_version_waits_among_the_dead_letters() {
    let world = World::new(1);
    let newer = br#"{"version":2,"batch":{"counts":"in a way of the future"}}"#;
    world.append_bytes(0, newer.to_vec()).await;
    world.append(0, &seal(1), ContentEncoding::Gzip).await;
    world.drain(config()).await.unwrap();
    assert_eq!(world.stored().await, world.sent());
    let letters = world.store.dead_letters(None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason.as_str(), letters[0].payload.as_slice()), ("version_unknown", &newer[..]));
    assert_eq!(world.dead_letters("version_unknown"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_written_in_the_order_of_the_log_whoever_decodes_them() {
    let world = World::new(2);
    for seq in 0..200 {
        world.append(seq % 2, &seal(seq), ContentEncoding::ALL[seq as usize % 3]).await;
    }
    let config = crate::Config { step_points_max: 7, decoders: 4.try_into().unwrap(), ..config() };
    world.drain(config).await.unwrap();
    let writes = world.faults.written();
    assert!(writes.len() > 20, "many steps: {}", writes.len());
    for partition in 0..2 {
        let seqs: Vec<_> = writes
            .iter()
            .flat_map(|write| &write.batches)
            .filter(|record| record.partition == partition)
            .map(|record| record.batch.seq.get())
            .collect();
        let expected: Vec<_> = (0..200).filter(|seq| *seq % 2 == u64::from(partition)).collect();
        assert_eq!(seqs, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_is_made_again_and_nothing_is_committed_past_it() {
    let world = World::new(1);
    world.append(0, &seal(1), ContentEncoding::Zstd).await;
    world.faults.put(Fault::WriteUnavailable, 4);
    let stop = CancellationToken::new();
    let run = world.run(config(), stop.clone());
    let rest = async {
        world.faults.until_failed(2).await;
        // These could be written; but what is before them is not.
        world.append(0, &seal(2), ContentEncoding::Zstd).await;
        world.append(0, &seal(3), ContentEncoding::Zstd).await;
        world.faults.until_failed(4).await;
        assert!(world.faults.committed().is_empty(), "nothing is stored yet");
        stop.cancel();
    };
    let (done, ()) = tokio::join!(run, rest);
    done.unwrap();
    assert_eq!(world.retries("write"), 4);
    assert_eq!(world.stored().await, world.sent());
    assert_eq!(world.lag().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_store_refuses_takes_only_its_own_record_with_it() {
    let world = World::new(1);
    for seq in 0..20 {
        if seq == 7 || seq == 8 {
            world.append_bytes(0, payload(&seal(seq), ContentEncoding::Zstd)).await;
        } else {
            world.append(0, &seal(seq), ContentEncoding::Zstd).await;
        }
    }
    world.faults.put(Fault::RefuseSeq(7), usize::MAX);
    world.faults.put(Fault::RefuseSeq(8), usize::MAX);
    world.drain(config()).await.unwrap();
    assert_eq!(world.stored().await, world.sent());
    let letters = world.store.dead_letters(None, 10).await.unwrap();
    let told: Vec<_> = letters.iter().map(|letter| (letter.reason.as_str(), letter.count)).collect();
    assert_eq!(told, [("overflow", Some(8)), ("overflow", Some(9))]);
    assert_eq!(letters[0].payload, payload(&seal(7), ContentEncoding::Zstd));
    assert_eq!(world.dead_letters("overflow"), 2);
    assert_eq!(world.metric("flagmeter_ingest_records_total"), 20);
    assert_eq!(world.lag().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_damaged_ends_the_run_and_the_records_stay_in_the_log() {
    let world = World::new(1);
    world.append(0, &seal(1), ContentEncoding::Zstd).await;
    world.faults.put(Fault::WriteDamaged, 1);
    let error = world.drain(config()).await.unwrap_err();
    assert!(matches!(error, Error::Store(flagmeter_store::Error::Damaged(_))), "{error}");
    assert!(!error.is_retryable());
    assert!(world.faults.committed().is_empty());
    assert_eq!(world.lag().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_ends_when_its_time_is_up() {
    let world = World::new(1);
    world.append(0, &seal(1), ContentEncoding::Zstd).await;
    world.faults.put(Fault::WriteUnavailable, usize::MAX);
    let config = crate::Config { drain_max: Duration::from_millis(50), ..config() };
    let error = world.drain(config).await.unwrap_err();
    assert!(matches!(error, Error::Undrained { .. }), "{error}");
    assert!(world.faults.committed().is_empty());
    assert_eq!(world.lag().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_answer_is_asked_again() {
    let world = World::new(1);
    world.append(0, &seal(1), ContentEncoding::Zstd).await;
    world.faults.put(Fault::ReadUnavailable, 2);
    world.faults.put(Fault::CommitUnavailable, 3);
    world.drain(config()).await.unwrap();
    assert_eq!((world.retries("read"), world.retries("commit")), (2, 3));
    assert_eq!(world.stored().await, world.sent());
    assert_eq!(world.lag().await, 0);
}

/// As when the network to the log breaks after a read.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_stored_while_the_log_does_not_answer_and_is_committed_afterwards() {
    let world = World::new(1);
    for seq in 0..4 {
        world.append(0, &seal(seq), ContentEncoding::Zstd).await;
    }
    world.faults.put(Fault::NextReadUnavailable, usize::MAX);
    world.faults.put(Fault::CommitUnavailable, usize::MAX);
    let stop = CancellationToken::new();
    let config = crate::Config { step_points_max: 1, decoders: 1.try_into().unwrap(), ..config() };
    let run = world.run(config, stop.clone());
    let rest = async {
        let stored = tokio::time::timeout(Duration::from_mins(1), world.faults.until_written(4));
        stored.await.expect("all four are stored");
        assert!(world.faults.committed().is_empty());
        world.faults.clear();
        stop.cancel();
    };
    let (done, ()) = tokio::join!(run, rest);
    done.unwrap();
    assert!(world.retries("read") > 0 && world.retries("commit") > 0);
    assert_eq!(world.stored().await, world.sent());
    assert_eq!(world.faults.written().len(), 4);
    assert_eq!(world.lag().await, 0);
}

/// It was caught up; what is appended meanwhile nobody sees.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_tell_what_waits_is_told_as_lag_and_as_a_stall() {
    let world = World::new(1);
    for seq in 0..2 {
        world.append(0, &seal(seq), ContentEncoding::Zstd).await;
    }
    let stop = CancellationToken::new();
    let config = crate::Config {
        stall_after: Duration::from_millis(40),
        step_points_max: 1,
        decoders: 1.try_into().unwrap(),
        ..config()
    };
    let run = world.run(config, stop.clone());
    let rest = async {
        world.until_metric("flagmeter_ingest_lag_records", 1).await;
        world.until_metric("flagmeter_ingest_lag_records", 0).await;
        world.faults.put(Fault::LagUnavailable, 1);
        world.faults.until_over(Fault::LagUnavailable).await;
        world.faults.put(Fault::LagUnavailable, usize::MAX);
        world.clock.advance(70);
        world.until_metric("flagmeter_ingest_lag_seconds", 70).await;
        world.until_metric("flagmeter_ingest_stalled", 1).await;
        world.faults.clear();
        world.until_metric("flagmeter_ingest_stalled", 0).await;
        world.until_metric("flagmeter_ingest_lag_seconds", 0).await;
        stop.cancel();
    };
    let (done, ()) = tokio::join!(run, rest);
    done.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn late_points_and_points_past_retention_are_counted() {
    let world = World::new(1);
    let (late, gone) = (start(), start().plus_seconds(-86_400));
    world.store.announce(late.plus_seconds(60)).await.unwrap();
    for tier in Tier::ROLLED {
        world.store.advance(tier, late).await.unwrap();
    }
    world.store.retain(Floors { raw: Some(late.plus_seconds(-3_600)), ..Floors::default() }).await.unwrap();
    world.append(0, &seal(1), ContentEncoding::Zstd).await;
    world.append_bytes(0, payload(&seal_at(2, gone), ContentEncoding::Zstd)).await;
    world.drain(config()).await.unwrap();
    assert_eq!(world.metric("flagmeter_ingest_late_marks_total"), 1);
    assert_eq!(world.metric("flagmeter_ingest_past_retention_points_total"), 1);
    assert_eq!(world.store.marks(Tier::Minute, late.plus_seconds(3_600), 10).await.unwrap().len(), 1);
    assert_eq!(world.store.dead_letters(None, 10).await.unwrap()[0].reason, "past_retention");
    assert_eq!(world.dead_letters("past_retention"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn points_that_add_up_too_far_are_counted() {
    let world = World::new(1);
    let too_much = seal_of(1, 1, "checkout", u64::MAX >> 1);
    world.append_bytes(0, payload(&too_much, ContentEncoding::Zstd)).await;
    world.drain(config()).await.unwrap();
    assert_eq!(world.metric("flagmeter_ingest_overflow_points_total"), 1);
    assert_eq!(world.metric("flagmeter_ingest_past_retention_points_total"), 0);
    assert_eq!(world.dead_letters("overflow"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nodes_clock_that_is_ahead_is_told() {
    let world = World::new(1);
    world.append(0, &seal(90), ContentEncoding::Zstd).await;
    world.drain(config()).await.unwrap();
    assert_eq!(world.metric("flagmeter_ingest_clock_ahead_seconds"), 90);
    world.clock.advance(100);
    world.append(0, &seal(91), ContentEncoding::Zstd).await;
    world.drain(config()).await.unwrap();
    assert_eq!(world.metric("flagmeter_ingest_clock_ahead_seconds"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_told_while_it_lasts() {
    let world = World::new(1);
    world.append(0, &seal(1), ContentEncoding::Zstd).await;
    world.clock.advance(90);
    world.faults.put(Fault::WriteHangs, 1);
    let stop = CancellationToken::new();
    let config = crate::Config { stall_after: Duration::from_millis(40), ..config() };
    let run = world.run(config, stop.clone());
    let rest = async {
        world.until_metric("flagmeter_ingest_stalled", 1).await;
        assert_eq!(world.metric("flagmeter_ingest_lag_seconds"), 90);
        world.faults.let_go();
        world.until_metric("flagmeter_ingest_stalled", 0).await;
        world.until_metric("flagmeter_ingest_lag_seconds", 0).await;
        stop.cancel();
    };
    let (done, ()) = tokio::join!(run, rest);
    done.unwrap();
    assert_eq!(world.stored().await, world.sent());
}

/// Broken by hand, with the next step waited for before one is written, it never ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_written_while_the_store_is_busy_ahead_with_the_next_one() {
    let world = World::new(1);
    for seq in 1..=4 {
        world.append(0, &seal(seq), ContentEncoding::Zstd).await;
    }
    world.faults.put(Fault::AheadOfSeqHangs(2), 1);
    let config = crate::Config { step_points_max: 1, decoders: 1.try_into().unwrap(), ..config() };
    let stop = CancellationToken::new();
    let run = world.run(config, stop.clone());
    let rest = async {
        world.faults.until_written(1).await;
        world.until_metric("flagmeter_ingest_lag_records", 3).await;
        assert_eq!(world.faults.written().len(), 1, "the second waits for what is done ahead of it");
        world.faults.let_go();
        stop.cancel();
    };
    let (done, ()) = tokio::join!(run, rest);
    done.unwrap();
    assert_eq!(world.stored().await, world.sent());
    assert_eq!(world.faults.written().len(), 4);
}

/// The future of a run can be put on a task.
#[test]
fn a_run_can_be_spawned() {
    fn spawnable<T: Send>(_: &T) {}
    let world = World::new(1);
    spawnable(&world.run(config(), CancellationToken::new()));
}
