//! Killed at any instant, opened again.

use std::{future::poll_fn, pin::pin, task::Poll};

use flagmeter_model::Tier;

use super::{
    Harness,
    fixture::{
        HOUR, MINUTE, Seal, assert_agree, at, environment, everything, flag, range, roll_up, settle, window,
        write,
    },
};
use crate::{Floors, Result, Rolling};

/// Whatever a write has returned for is there after a crash: points, progress, marks, positions.
pub async fn what_was_written_survives<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let environments = [environment("one")?, environment("two")?];
    harness.store().announce(at(10 * MINUTE)).await?;
    for seq in 1..=5_u64 {
        let second = i64::try_from(seq).unwrap_or_default() * 3 * MINUTE;
        let mut seal = Seal::new(1, seq)?.covering(second - 3 * MINUTE, second).heard(second);
        for environment in &environments {
            seal = seal.count(environment, &flag("every")?, second, seq).count(
                environment,
                &flag(&format!("only-{seq}"))?,
                second,
                seq,
            );
        }
        write(&*harness.store(), &[seal]).await?;
        let before = everything(&*harness.store(), &environments).await?;
        harness.crash().await?;
        assert_eq!(everything(&*harness.store(), &environments).await?, before, "after seal {seq}");
    }
    settle(&*harness.store()).await?;
    roll_up(&*harness.store(), 0, HOUR).await?;
    for environment in &environments {
        assert_agree(&*harness.store(), environment).await?;
    }
    Ok(())
}

/// Each step of the downsampler that has returned is still done after a crash.
pub async fn every_step_of_the_downsampler_survives<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let environments = [environment("one")?];
    let one = &environments[0];
    write(&*harness.store(), &[Seal::new(1, 1)?.count(one, &flag("a")?, 0, 1)]).await?;
    for step in 0..9 {
        let store = harness.store();
        match step {
            0 => store.announce(at(HOUR)).await?,
            1 => drop(store.roll(&Rolling::Range(Tier::Minute, range(0, HOUR))).await?),
            2 => store.advance(Tier::Minute, at(HOUR)).await?,
            3 => drop(store.roll(&Rolling::Range(Tier::Quarter, range(0, HOUR))).await?),
            4 => drop(store.roll(&Rolling::Range(Tier::Hour, range(0, HOUR))).await?),
            5 => store.mark(&[window(Tier::Hour, 0, one), window(Tier::Quarter, 0, one)]).await?,
            6 => store.clear(&store.marks(Tier::Hour, at(HOUR), 1).await?).await?,
            7 => settle(&*store).await?,
            _ => {
                store.advance(Tier::Quarter, at(HOUR)).await?;
                store.advance(Tier::Hour, at(HOUR)).await?;
                store.retain(Floors { raw: Some(at(HOUR)), ..Floors::default() }).await?;
            }
        }
        let before = everything(&*store, &environments).await?;
        drop(store);
        harness.crash().await?;
        assert_eq!(everything(&*harness.store(), &environments).await?, before, "after step {step}");
    }
    assert_eq!(harness.store().state().await?.floors.raw, Some(at(HOUR)));
    Ok(())
}

/// Whatever a downsampler had begun when it was killed, beginning again comes to the same end.
pub async fn a_step_that_was_cut_off_can_be_repeated<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let environments = [environment("one")?, environment("two")?];
    for (seq, environment) in (1..).zip(&environments) {
        let seal = Seal::new(1, seq)?.count(environment, &flag("a")?, 0, seq).count(
            environment,
            &flag("b")?,
            59 * MINUTE,
            seq,
        );
        write(&*harness.store(), &[seal]).await?;
    }
    // Announced and rolled up, but the frontier has not moved.
    harness.store().announce(at(HOUR)).await?;
    harness.store().roll(&Rolling::Range(Tier::Minute, range(0, HOUR))).await?;
    harness.crash().await?;
    let late = Seal::new(1, 3)?.count(&environments[0], &flag("c")?, 0, 9);
    assert_eq!(write(&*harness.store(), &[late]).await?.dirty, 1);
    roll_up(&*harness.store(), 0, HOUR).await?;
    // Rolled up again, but the mark was not cleared.
    let marks = harness.store().marks(Tier::Minute, at(HOUR), 9).await?;
    assert_eq!(marks.len(), 1);
    harness.store().roll(&Rolling::Windows(vec![window(Tier::Minute, 0, &environments[0])])).await?;
    harness.crash().await?;
    assert_eq!(harness.store().marks(Tier::Minute, at(HOUR), 9).await?, marks);
    settle(&*harness.store()).await?;
    for environment in &environments {
        assert_agree(&*harness.store(), environment).await?;
    }
    Ok(())
}

/// A roll-up of many windows may take a store several steps. Given up after any of them, and the process killed, it
/// can be begun again.
pub async fn a_roll_up_that_was_cut_off_can_be_repeated<H: Harness>() -> Result<()> {
    let environments = [environment("one")?, environment("two")?];
    for turns in [1, 3, 9, 100] {
        let mut harness = H::new().await?;
        for (seq, environment) in (1..).zip(&environments) {
            let mut seal = Seal::new(1, seq)?;
            for minute in 0..5 * 60 {
                seal = seal.count(environment, &flag("a")?, minute * MINUTE, seq);
            }
            write(&*harness.store(), &[seal]).await?;
        }
        let store = harness.store();
        store.announce(at(5 * HOUR)).await?;
        cut_off(store.roll(&Rolling::Range(Tier::Minute, range(0, 5 * HOUR))), turns).await;
        // What had begun is over before this returns: the copy that is opened is not made in the middle of a step.
        store.announce(at(5 * HOUR)).await?;
        drop(store);
        harness.crash().await?;
        roll_up(&*harness.store(), 0, 5 * HOUR).await?;
        for environment in &environments {
            assert_agree(&*harness.store(), environment).await?;
        }
    }
    Ok(())
}

/// Lets a call go on for so many turns, and then drops it wherever it is.
async fn cut_off<T>(call: impl Future<Output = T>, turns: usize) {
    let mut call = pin!(call);
    for _ in 0..turns {
        if poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready())).await {
            return;
        }
        tokio::task::yield_now().await;
    }
}
