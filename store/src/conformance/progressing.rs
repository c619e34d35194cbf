//! How far nodes and log have come.

use std::{collections::BTreeMap, sync::Arc};

use flagmeter_model::{Meter, NodeProgress, TimeRange};

use super::{
    Harness, NODE_TIMEOUT_MS,
    fixture::{HOUR, Seal, at, environment, flag, node, range, write},
};
use crate::{AxisChoice, Filter, Read, Result, Store, TierChoice, Write};

async fn only(store: &dyn Store) -> Result<NodeProgress> {
    let progress = store.state().await?.progress;
    assert_eq!(progress.len(), 1, "{progress:?}");
    Ok(progress[0].clone())
}

/// Each node has its own progress in each partition.
pub async fn progress_is_kept_by_partition_and_node<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let seals = [
        Seal::new(2, 5)?.place(1, 0).covering(0, 20).heard(21),
        Seal::new(1, 5)?.place(0, 0).covering(0, 30).heard(31),
        Seal::new(1, 5)?.place(1, 1).covering(0, 40).heard(41),
    ];
    write(&*store, &seals).await?;
    let told = |partition, number, watermark| {
        Ok::<_, crate::Error>(NodeProgress {
            partition,
            node: node(number)?,
            watermark: at(watermark),
            heard_at: at(watermark + 1),
            farewell: false,
            region: None,
        })
    };
    assert_eq!(store.state().await?.progress, [told(0, 1, 30)?, told(1, 1, 40)?, told(1, 2, 20)?]);
    Ok(())
}

/// A repeat of an older record changes nothing of its node's progress, and a newer one never lowers a watermark.
pub async fn progress_never_moves_back<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let old = Seal::new(1, 5)?.covering(0, 50).heard(51).farewell();
    let new = Seal::new(1, 6)?.covering(50, 60).heard(61);
    write(&*harness.store(), &[old.clone(), new.clone()]).await?;
    let before = only(&*harness.store()).await?;
    assert_eq!((before.watermark, before.heard_at, before.farewell), (at(60), at(61), false));
    for round in 0..2 {
        write(&*harness.store(), std::slice::from_ref(&old)).await?;
        write(&*harness.store(), &[old.clone().place(0, 99).heard(70)]).await?;
        assert_eq!(only(&*harness.store()).await?, before, "round {round}");
        harness.crash().await?;
    }
    let jumped_back = Seal::new(1, 7)?.covering(10, 20).heard(30);
    write(&*harness.store(), &[jumped_back]).await?;
    assert_eq!(only(&*harness.store()).await?, before);
    Ok(())
}

/// Where a node stands is what its newest seal says, also that it says nothing.
pub async fn the_region_of_a_node_is_that_of_its_newest_seal<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let region = async |harness: &H| -> Result<Option<String>> {
        Ok(only(&*harness.store()).await?.region.map(String::from))
    };
    let first = Seal::new(1, 5)?.covering(0, 10).region("eu-west")?;
    write(&*harness.store(), std::slice::from_ref(&first)).await?;
    assert_eq!(region(&harness).await?.as_deref(), Some("eu-west"));
    write(&*harness.store(), &[Seal::new(1, 6)?.covering(10, 20).region("Übersee \"2\", \\ =")?]).await?;
    write(&*harness.store(), &[first]).await?;
    harness.crash().await?;
    assert_eq!(region(&harness).await?.as_deref(), Some("Übersee \"2\", \\ ="));
    write(&*harness.store(), &[Seal::new(1, 7)?.covering(20, 30)]).await?;
    harness.crash().await?;
    assert_eq!(region(&harness).await?, None);
    Ok(())
}

/// Parts of a seal without a watermark are heard, but promise nothing. Of a node's first record it is known
/// that nothing was received before it was there.
pub async fn a_batch_without_a_watermark_leaves_it<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    write(&*store, &[Seal::new(1, 5)?.heard(1)]).await?;
    assert_eq!(only(&*store).await?.watermark, at(0));
    write(&*store, &[Seal::new(1, 5)?.part(1).place(0, 6).covering(0, 10).heard(11)]).await?;
    assert_eq!(only(&*store).await?.watermark, at(10));
    write(&*store, &[Seal::new(1, 6)?.place(0, 7).heard(21)]).await?;
    let progress = only(&*store).await?;
    assert_eq!((progress.watermark, progress.heard_at), (at(10), at(21)));
    Ok(())
}

/// A node that has said farewell is back with its next seal, and not with a repeat of an older one.
pub async fn a_farewell_holds_until_the_node_is_heard_again<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let first = Seal::new(1, 5)?.covering(0, 10);
    let last = Seal::new(1, 6)?.covering(10, 20).farewell();
    write(&*store, &[first.clone(), last]).await?;
    assert!(only(&*store).await?.farewell);
    write(&*store, &[first]).await?;
    assert!(only(&*store).await?.farewell);
    write(&*store, &[Seal::new(1, 7)?.covering(100, 110)]).await?;
    assert!(!only(&*store).await?.farewell);
    Ok(())
}

/// The time in which a node was there, whichever: spans that touch are one, gaps stay, and crashes change nothing.
pub async fn covered_spans_become_one_where_they_touch<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let spans = async |harness: &H| -> Result<Vec<TimeRange>> {
        Ok(harness.store().state().await?.covered.iter().collect())
    };
    write(&*harness.store(), &[Seal::new(1, 1)?.covering(0, 10), Seal::new(1, 2)?.covering(10, 20)]).await?;
    assert_eq!(spans(&harness).await?, [range(0, 20)]);
    write(&*harness.store(), &[Seal::new(2, 1)?.covering(40, 50), Seal::new(3, 1)?.covering(60, 70)]).await?;
    assert_eq!(spans(&harness).await?, [range(0, 20), range(40, 50), range(60, 70)]);
    harness.crash().await?;
    write(&*harness.store(), &[Seal::new(4, 1)?.covering(15, 40), Seal::new(4, 2)?]).await?;
    assert_eq!(spans(&harness).await?, [range(0, 50), range(60, 70)]);
    harness.crash().await?;
    assert_eq!(spans(&harness).await?, [range(0, 50), range(60, 70)]);
    // An older seal may cover what no other did: a journal that was moved hands on late.
    write(&*harness.store(), &[Seal::new(1, 1)?.covering(45, 60)]).await?;
    assert_eq!(spans(&harness).await?, [range(0, 70)]);
    Ok(())
}

/// A watermark from the future, and the time it claims to cover, are taken up to when the record was appended: what
/// comes after may be an outage.
pub async fn a_clock_that_is_ahead_promises_nothing_to_come<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    write(&*store, &[Seal::new(1, 1)?.covering(0, 10)]).await?;
    write(&*store, &[Seal::new(1, 2)?.covering(10, 10 + HOUR).heard(11)]).await?;
    assert_eq!(only(&*store).await?.watermark, at(11));
    // Back with its right time, the node repeats the watermark that it has claimed.
    write(&*store, &[Seal::new(1, 3)?.covering(10 + HOUR, 10 + HOUR).heard(12)]).await?;
    assert_eq!(only(&*store).await?.watermark, at(12));
    assert_eq!(store.state().await?.covered.iter().collect::<Vec<_>>(), [range(0, 12)]);
    // A node that is new and ahead has not been there yet.
    write(&*store, &[Seal::new(2, 1)?.place(0, 4).covering(HOUR, HOUR).heard(20)]).await?;
    let state = store.state().await?;
    assert_eq!(state.covered.iter().collect::<Vec<_>>(), [range(0, 12)]);
    assert_eq!(state.progress[1].watermark, at(20));
    Ok(())
}

/// A clock that is always ahead leaves no holes in the time in which its node was there, but for outages.
pub async fn a_node_whose_clock_is_ahead_was_there_all_the_same<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let longest = NODE_TIMEOUT_MS / 1_000;
    let heard = [1, 2, 3, 3 + longest, 4 + 2 * longest, 5 + 2 * longest];
    for (seq, heard) in (1..).zip(heard) {
        let ahead = heard + 1_000;
        write(&*store, &[Seal::new(1, seq)?.covering(ahead - 1, ahead).heard(heard)]).await?;
    }
    let covered: Vec<_> = store.state().await?.covered.iter().collect();
    assert_eq!(covered, [range(1, 3 + longest), range(4 + 2 * longest, 5 + 2 * longest)]);
    Ok(())
}

/// A store that keeps the log's positions keeps them with the points, each partition for itself, and never back.
pub async fn positions_are_kept_with_the_points<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let (one, a) = (environment("one")?, flag("a")?);
    if harness.store().positions().await?.is_none() {
        return Ok(());
    }
    assert_eq!(harness.store().positions().await?, Some(BTreeMap::new()));
    let seal = |partition, offset| {
        Ok::<_, crate::Error>(Seal::new(1, offset)?.place(partition, offset).count(&one, &a, 0, 1))
    };
    write(&*harness.store(), &[seal(0, 10)?, seal(1, 3)?]).await?;
    write(&*harness.store(), &[seal(1, 4)?]).await?;
    harness.crash().await?;
    assert_eq!(harness.store().positions().await?, Some(BTreeMap::from([(0, 11), (1, 5)])));
    write(&*harness.store(), &[seal(0, 10)?, seal(1, 3)?]).await?;
    assert_eq!(harness.store().positions().await?, Some(BTreeMap::from([(0, 11), (1, 5)])));
    Ok(())
}

/// A step of ingest with these seals, of a log of so many partitions.
async fn write_from(store: &dyn Store, partitions: u32, seals: &[Seal]) -> Result<()> {
    let batches = seals.iter().map(Seal::record).collect::<Result<Vec<_>>>()?;
    store.write(Arc::new(Write { batches, partitions, ..Write::default() })).await?;
    Ok(())
}

/// How many partitions the log has never shrinks, and is not forgotten.
pub async fn the_most_partitions_that_were_told_are_kept<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    for (told, kept) in [(0, 0), (3, 3), (0, 3), (2, 3), (4, 4)] {
        write_from(&*harness.store(), told, &[]).await?;
        assert_eq!(harness.store().state().await?.partitions, kept, "told {told}");
        harness.crash().await?;
        assert_eq!(harness.store().state().await?.partitions, kept, "told {told}, then crashed");
    }
    Ok(())
}

/// While one of the log's partitions was not read, nothing is complete: it may hold counts of any time.
pub async fn a_partition_that_was_not_read_holds_the_answers_open<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    harness.clock().advance(60);
    let store = harness.store();
    let read = Read {
        meter: Meter::Evaluations,
        edges: vec![at(0), at(10)],
        filter: Filter::default(),
        group_by: Vec::new(),
        tiers: TierChoice::Cover,
        axis: AxisChoice::Any,
        groups_max: 1,
    };
    write_from(&*store, 2, &[Seal::new(1, 5)?.covering(0, 20).heard(20)]).await?;
    assert_eq!(store.read(&read).await?.complete_until, None);
    write_from(&*store, 2, &[Seal::new(1, 5)?.part(1).place(1, 5).covering(0, 20).heard(20)]).await?;
    assert_eq!(store.read(&read).await?.complete_until, Some(at(20)));
    Ok(())
}
