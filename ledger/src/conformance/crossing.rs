//! Thresholds of plans: each once in a period.

use flagmeter_model::Meter;

use super::{
    Harness,
    fixture::{all, append, counted, hour, name},
};
use crate::{Crossed, Crossing, Crossings, Error, Ledger, Notice, Position, Result};

/// That half of what is included is used.
fn half(customer: &str, period: i64) -> Crossed {
    Crossed {
        customer: name(customer),
        meter: Meter::Evaluations,
        period: hour(period),
        percent: 50,
        hard: false,
        included: 100,
        used: 50,
    }
}

/// All of them, `limit` at a time.
async fn told(ledger: &dyn Ledger, customers: &[&str], limit: usize) -> Result<Vec<Crossing>> {
    let customers: Vec<_> = customers.iter().map(|customer| name(customer)).collect();
    let (mut all, mut after) = (Vec::new(), Position::START);
    loop {
        let page = ledger.crossings(Crossings { customers: customers.clone(), after, limit }).await?;
        assert!(page.crossings.len() <= limit && page.looked_to >= after);
        all.extend(page.crossings);
        after = page.looked_to;
        if !page.more {
            assert_eq!(after, *ledger.crossed_end().borrow(), "everything was looked at");
            return Ok(all);
        }
    }
}

/// Found again, with more used or told in another way, it stays as it was.
pub(crate) async fn a_crossing_is_kept_once<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let first = half("acme", 0);
    let others = [
        Crossed { percent: 49, ..first.clone() },
        Crossed { meter: Meter::Requests, ..first.clone() },
        half("acme", 744),
        half("beta", 0),
    ];
    assert_eq!(ledger.cross(vec![first.clone(), first.clone()], hour(3)).await?.len(), 1);
    let later = Crossed { used: 70, included: 120, hard: true, ..first.clone() };
    let all_of_them: Vec<_> = [later].into_iter().chain(others.clone()).collect();
    assert_eq!(ledger.cross(all_of_them.clone(), hour(4)).await?.len(), 4);
    assert_eq!(ledger.cross(all_of_them, hour(5)).await?, []);
    let kept = told(&*ledger, &[], 100).await?;
    let crossed: Vec<_> = kept.iter().map(|crossing| crossing.crossed.clone()).collect();
    assert_eq!(crossed, [first].into_iter().chain(others).collect::<Vec<_>>());
    let numbers: Vec<_> = kept.iter().map(|crossing| crossing.number.get()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let times: Vec<_> = kept.iter().map(|crossing| crossing.crossed_at).collect();
    assert_eq!(times, [hour(3), hour(4), hour(4), hour(4), hour(4)]);
    let ids: std::collections::BTreeSet<_> = kept.iter().map(|crossing| crossing.crossed.id()).collect();
    assert_eq!(ids.len(), 5);
    Ok(())
}

/// Pages lead through all of them, and past those of others.
pub(crate) async fn crossings_come_in_pages<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let mut end = ledger.crossed_end();
    for period in 0..6 {
        ledger.cross(vec![half("acme", period), half("beta", period)], hour(9)).await?;
    }
    assert!(end.has_changed().is_ok_and(|changed| changed) && end.borrow_and_update().get() == 12);
    let kept = told(&*ledger, &[], 100).await?;
    for limit in [1, 5, 12] {
        assert_eq!(told(&*ledger, &[], limit).await?, kept);
    }
    let own = told(&*ledger, &["beta"], 2).await?;
    assert_eq!(own.len(), 6);
    assert!(own.iter().all(|crossing| &*crossing.crossed.customer == "beta"));
    assert_eq!(told(&*ledger, &["nobody"], 2).await?, []);
    Ok(())
}

/// Two that watch at once, and a process that finds the ledger again.
pub(crate) async fn crossings_of_two_and_after_a_crash_are_kept_once<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let (one, other) = (harness.ledger(), harness.other().await?);
    for period in 0..5 {
        let crossed = || vec![half("acme", period), half("beta", period)];
        let (first, second) = tokio::join!(one.cross(crossed(), hour(9)), other.cross(crossed(), hour(9)));
        assert_eq!(first?.len() + second?.len(), 2);
    }
    // Rows have positions of their own.
    one.announce(hour(1)).await?;
    append(&*one, &[counted("acme", 0, 1)], Some(1)).await?;
    other.standing().await?;
    let kept = told(&*one, &[], 100).await?;
    assert_eq!((kept.len(), told(&*other, &[], 100).await?), (10, kept.clone()));
    drop((one, other));
    harness.crash().await?;
    let ledger = harness.ledger();
    ledger.standing().await?;
    assert_eq!(told(&*ledger, &[], 100).await?, kept);
    assert_eq!(all(&*ledger).await?.len(), 1);
    assert_eq!(ledger.cross(vec![half("acme", 0), half("acme", 5)], hour(9)).await?.len(), 1);
    assert_eq!(ledger.crossed_end().borrow().get(), 11);
    Ok(())
}

/// What was not crossed is not kept, nor is anything that stands beside it.
pub(crate) async fn what_was_not_crossed_is_refused<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let good = half("acme", 0);
    for wrong in [
        Crossed { used: 49, ..good.clone() },
        Crossed { percent: 0, ..good.clone() },
        Crossed { included: 0, ..good.clone() },
        Crossed { meter: Meter::Rejected, ..good.clone() },
        Crossed { used: u64::MAX, ..good.clone() },
    ] {
        let refused = ledger.cross(vec![half("beta", 0), wrong], hour(9)).await;
        assert!(matches!(refused, Err(Error::NotBillable(_))), "{refused:?}");
    }
    let many = (0..=500).map(|period| half("acme", period)).collect();
    assert!(matches!(ledger.cross(many, hour(9)).await, Err(Error::NotBillable(_))));
    assert_eq!(told(&*ledger, &[], 100).await?, []);
    Ok(())
}

/// How far they were delivered only moves forward, is known to all, and outlives a process.
pub(crate) async fn what_was_delivered_is_kept<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let (one, other) = (harness.ledger(), harness.other().await?);
    assert_eq!(one.delivered(Notice::Crossing).await?, Position::START);
    one.cross(vec![half("acme", 0), half("beta", 0), half("gamma", 0)], hour(9)).await?;
    one.deliver(Notice::Crossing, Position::new(2)).await?;
    assert_eq!(
        (one.delivered(Notice::Crossing).await?.get(), other.delivered(Notice::Crossing).await?.get()),
        (2, 2)
    );
    other.deliver(Notice::Crossing, Position::new(1)).await?;
    assert_eq!(one.delivered(Notice::Crossing).await?.get(), 2, "it never moves back");
    let beyond = one.deliver(Notice::Crossing, Position::new(4)).await;
    assert!(matches!(beyond, Err(Error::Refused(_))), "{beyond:?}");
    drop((one, other));
    harness.crash().await?;
    assert_eq!(harness.ledger().delivered(Notice::Crossing).await?.get(), 2);
    Ok(())
}
