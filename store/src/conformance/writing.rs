//! Points, and what cannot become points.

use std::{collections::BTreeMap, sync::Arc};

use flagmeter_model::{EnvironmentCounts, Meter, Name, SeriesKey, Tier, decode};

use super::{
    Harness,
    fixture::{
        HOUR, Held, MINUTE, Seal, assert_agree, at, environment, everything, flag, held, roll_up, series,
        settle, totals_of, write, write_of,
    },
};
use crate::{DeadLetter, Result, Write};

/// A record's points of several environments, minutes and slots come back, each minute added up.
pub async fn points_are_kept_by_environment_minute_and_series<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let (one, two) = (environment("one")?, environment("two")?);
    let (a, b) = (flag("a")?, flag("b")?);
    let seal = Seal::new(1, 1)?
        .count(&one, &a, 0, 3)
        .count(&one, &b, 0, 1)
        .count(&one, &a, 50, 4)
        .count(&one, &a, MINUTE, 5)
        .count(&two, &b, 10, 6);
    let written = write(&*store, &[seal]).await?;
    assert_eq!((written.points, written.dirty, written.past_retention), (5, 0, 0));
    let expected = Held::from([((0, a.clone()), 7), ((0, b.clone()), 1), ((MINUTE, a), 5)]);
    assert_eq!(series(&*store, &one, Tier::Raw).await?, expected);
    assert_eq!(series(&*store, &two, Tier::Raw).await?, Held::from([((0, b), 6)]));
    assert_eq!(store.environments().await?, [one, two]);
    assert_eq!(store.state().await?.raw_first, Some(at(0)));
    Ok(())
}

/// A repeat, whole or in part, alone or with others, leaves everything as it was.
pub async fn writing_again_changes_nothing<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let (one, two) = (environment("one")?, environment("two")?);
    let seals: Vec<_> = (1..=4_u64)
        .map(|seq| {
            let second = i64::try_from(seq).unwrap_or_default() * 20;
            Ok(Seal::new(1, seq)?
                .count(&one, &flag("a")?, second, seq)
                .count(&two, &flag("b")?, 0, 10 * seq)
                .covering(second - 20, second))
        })
        .collect::<Result<_>>()?;
    write(&*store, &seals).await?;
    let environments = [one, two];
    let before = everything(&*store, &environments).await?;
    write(&*store, &seals).await?;
    write(&*store, &seals[1..3]).await?;
    write(&*store, &seals[..1]).await?;
    assert_eq!(everything(&*store, &environments).await?, before);
    Ok(())
}

/// Points of one series and slot are different points if node, seal or part differ: they add up.
pub async fn nodes_seals_and_parts_are_told_apart<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let (one, a) = (environment("one")?, flag("a")?);
    let seals = [
        Seal::new(1, 7)?.count(&one, &a, 0, 1),
        Seal::new(1, 8)?.count(&one, &a, 0, 10),
        Seal::new(2, 7)?.count(&one, &a, 0, 100),
        Seal::new(1_023, 7)?.count(&one, &a, 0, 1_000),
        // The parts of a seal share no point, so that a store may leave the part out of a point's identity.
        Seal::new(1, 7)?.part(1).count(&one, &flag("b")?, 0, 10_000),
        Seal::new(1, 7)?.part(2).count(&one, &a, 10, 100_000),
    ];
    for seal in &seals {
        write(&*store, std::slice::from_ref(seal)).await?;
    }
    let expected = Held::from([((0, a), 101_111), ((0, flag("b")?), 10_000)]);
    assert_eq!(series(&*store, &one, Tier::Raw).await?, expected);
    Ok(())
}

/// Meter, name, variant and SDK each make another series; so does having no variant.
pub async fn series_that_differ_in_one_word_are_told_apart<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let one = environment("one")?;
    let named = |meter, name: &str, variant: Option<&str>, sdk: Option<&str>| -> Result<SeriesKey> {
        let name = Name::new(name)?;
        let (variant, sdk) = (variant.map(Name::new).transpose()?, sdk.map(Name::new).transpose()?);
        Ok(SeriesKey { meter, name, variant, sdk })
    };
    let keys = [
        named(Meter::Evaluations, "a", None, None)?,
        named(Meter::Requests, "a", None, None)?,
        named(Meter::Evaluations, "A", None, None)?,
        named(Meter::Evaluations, "a", Some("b"), None)?,
        named(Meter::Evaluations, "a", None, Some("b"))?,
        named(Meter::Evaluations, "a", Some("b"), Some("b"))?,
        named(Meter::Evaluations, "a,b=c d\\e\"f/g\u{1f6a9}", Some(" "), Some("'; --"))?,
    ];
    let mut seal = Seal::new(1, 1)?;
    let mut expected = Held::new();
    for (count, key) in (1..).zip(&keys) {
        seal = seal.count(&one, key, 0, count);
        expected.insert((0, key.clone()), count);
    }
    write(&*store, &[seal]).await?;
    assert_eq!(series(&*store, &one, Tier::Raw).await?, expected);
    Ok(())
}

/// Every meter has a total of its own, fates included.
pub async fn totals_are_kept_by_meter<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let one = environment("one")?;
    let mut seal = Seal::new(1, 1)?;
    for (count, meter) in (1..).zip(Meter::ALL) {
        for name in ["a", "b"] {
            seal = seal.count(&one, &SeriesKey { meter, ..flag(name)? }, 0, count);
        }
    }
    write(&*store, &[seal]).await?;
    let (_, totals) = held(&*store, &one, Tier::Raw).await?;
    assert_eq!(totals, BTreeMap::from([(0, [2, 4, 6, 8, 10])]));
    Ok(())
}

/// Many seals of several nodes, with many series and some repeats, against plain addition.
pub async fn whatever_is_written_adds_up<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let environments = [environment("one")?, environment("two")?, environment("three")?];
    let mut expected = vec![Held::new(); environments.len()];
    // A generator as good as is needed here, and the same on every machine.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for seq in 0..40 {
        let mut seal = Seal::new(u16::try_from(random(3)).unwrap_or_default(), seq)?;
        let mut counts = BTreeMap::new();
        for _ in 0..random(60) {
            let environment = usize::try_from(random(3)).unwrap_or_default();
            let slot = i64::try_from(random(360)).unwrap_or_default() * 10;
            let key = flag(&format!("flag-{}", random(300)))?;
            let magnitude = 1 << random(30);
            counts.insert((environment, slot, key), 1 + random(magnitude));
        }
        for ((environment, slot, key), count) in counts {
            seal = seal.count(&environments[environment], &key, slot, count);
            *expected[environment].entry((slot - slot % MINUTE, key)).or_default() += count;
        }
        let repeated = if random(4) == 0 { 2 } else { 1 };
        for _ in 0..repeated {
            write(&*store, std::slice::from_ref(&seal)).await?;
        }
    }
    for (environment, expected) in environments.iter().zip(&expected) {
        let (series, totals) = held(&*store, environment, Tier::Raw).await?;
        assert_eq!(&series, expected, "{environment}");
        assert_eq!(totals, totals_of(expected), "{environment}");
    }
    roll_up(&*store, 0, HOUR).await?;
    for environment in &environments {
        assert_agree(&*store, environment).await?;
    }
    Ok(())
}

/// An empty batch leaves no point, no environment and no mark, but the node was heard.
pub async fn a_batch_without_counts_is_only_heard<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    store.announce(at(HOUR)).await?;
    let written = write(&*store, &[Seal::new(1, 1)?.covering(0, 10)]).await?;
    assert_eq!((written.points, written.dirty), (0, 0));
    assert_eq!(store.environments().await?, []);
    let state = store.state().await?;
    assert_eq!((state.progress.len(), state.raw_first, state.dirty), (1, None, 0));
    Ok(())
}

/// What could not be decoded is kept byte for byte, once per place in the log, and counted.
pub async fn dead_letters_are_kept_whole_and_replace_themselves<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let letter = |partition, offset, count| DeadLetter {
        partition,
        offset,
        at: at(5),
        reason: "malformed".into(),
        detail: "not a record: \u{1f4a5}".into(),
        count,
        payload: vec![0, 255, b'{', 10],
    };
    let mut letters = vec![letter(0, 9, Some(7)), letter(0, 10, None), letter(1, 2, Some(5))];
    let write = |dead_letters: &[DeadLetter]| {
        Arc::new(Write { dead_letters: dead_letters.to_vec(), ..Write::default() })
    };
    store.write(write(&letters)).await?;
    store.write(write(&letters)).await?;
    letters[1].reason = "version_unknown".into();
    store.write(write(&letters[1..2])).await?;
    assert_eq!(store.dead_letters(None, 10).await?, letters);
    assert_eq!(store.dead_letters(Some((0, 9)), 1).await?, letters[1..2]);
    assert_eq!(store.dead_letters(Some((0, 10)), 10).await?, letters[2..]);
    let state = store.state().await?;
    assert_eq!((state.dead_letters, state.dead_letter_counts), (3, 12));
    // Found again, with other counts known.
    letters[0].count = Some(100);
    letters[2].count = None;
    store.write(write(&letters)).await?;
    let state = store.state().await?;
    assert_eq!((state.dead_letters, state.dead_letter_counts), (3, 100));
    Ok(())
}

/// Counts that are each within bounds but not together become a dead letter that holds exactly them; the rest
/// of the record, and what comes after it, is stored.
pub async fn counts_too_large_to_add_up_are_set_aside_and_stop_nothing<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let store = harness.store();
    let (one, two, a) = (environment("one")?, environment("two")?, flag("a")?);
    let most = u64::MAX >> 1;
    let seal = Seal::new(1, 1)?
        .count(&one, &a, 0, most)
        .count(&one, &flag("b")?, 0, most)
        .count(&one, &a, MINUTE, 1)
        .count(&two, &a, 0, 2)
        .covering(0, 10);
    let written = store.write(write_of(&[seal, Seal::new(1, 2)?.count(&two, &a, 10, 3)])?).await?;
    assert_eq!((written.points, written.overflow, written.past_retention), (3, 2, 0));
    assert_eq!(written.dead_letters, BTreeMap::from([("overflow", 1)]));
    assert_eq!(series(&*store, &one, Tier::Raw).await?, Held::from([((MINUTE, a.clone()), 1)]));
    assert_eq!(series(&*store, &two, Tier::Raw).await?, Held::from([((0, a.clone()), 5)]));
    let letters = store.dead_letters(None, 10).await?;
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].offset, letters[0].reason.as_str()), (1, "overflow"));
    let kept = decode(&letters[0].payload)?;
    let kept: Vec<_> = kept.environments.iter().flat_map(EnvironmentCounts::points).collect();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|&(_, _, count)| count == most));
    roll_up(&*store, 0, HOUR).await?;
    assert_agree(&*store, &one).await?;
    assert_agree(&*store, &two).await
}

/// Writes that were stored ahead in any order, whole or cut off, or not at all, come to what they come to by
/// themselves; and where minutes were rolled up in between they are marked.
pub async fn what_is_stored_ahead_of_its_turn_is_stored_once<H: Harness>() -> Result<()> {
    let (harness, plain) = (H::new().await?, H::new().await?);
    let (store, plain) = (harness.store(), plain.store());
    let one = environment("one")?;
    let seals = (1..=5_u64).map(|seq| {
        let second = i64::try_from(seq).unwrap_or_default() * MINUTE;
        let seal = Seal::new(1, seq)?.covering(second, second + MINUTE).heard(second + MINUTE);
        write_of(&[seal.count(&one, &flag("a")?, second, seq).count(&one, &flag("b")?, second, 10 * seq)])
    });
    let writes: Vec<Arc<Write>> = seals.collect::<Result<_>>()?;
    store.ahead(&writes[1]).await;
    store.ahead(&writes[0]).await;
    // It was cut off after its counts; what follows is a repeat of the log, not the very same write.
    store.ahead(&Arc::new(Write::clone(&writes[2]))).await;
    let mut dirty = 0;
    for (number, write) in writes.iter().enumerate() {
        let ahead = async {
            if let Some(next) = writes.get(number + 1) {
                store.ahead(next).await;
            }
        };
        if number == 3 {
            ahead.await;
            roll_up(&*store, 0, HOUR).await?;
            dirty += store.write(Arc::clone(write)).await?.dirty;
        } else {
            let (written, ()) = tokio::join!(store.write(Arc::clone(write)), ahead);
            dirty += written?.dirty;
        }
        plain.write(Arc::clone(write)).await?;
    }
    assert_eq!(dirty, 2, "what was written after its minute was rolled up");
    for store in [&store, &plain] {
        roll_up(&**store, 0, HOUR).await?;
        settle(&**store).await?;
        assert_agree(&**store, &one).await?;
    }
    let environments = [one];
    assert_eq!(everything(&*store, &environments).await?, everything(&*plain, &environments).await?);
    Ok(())
}
