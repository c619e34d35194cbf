//! Traffic that is out of the ordinary: what began and what is over, each once.

use flagmeter_model::Meter;

use super::{
    Harness,
    fixture::{append, counted, hour, name, production, subjects},
};
use crate::{
    Alert, AlertKind, Alerted, Alerts, Contributor, Crossed, Error, Ledger, Notice, Part, Position, Result,
    Said, Subject,
};

/// A burst of a customer that began at this minute and is seen two minutes later.
pub(crate) fn began(customer: &str, minute: i64) -> Alerted {
    let since = hour(0).plus_seconds(60 * minute);
    Alerted {
        of: production(customer).into(),
        meter: Meter::Evaluations,
        kind: AlertKind::Burst,
        said: Said::Began,
        since,
        seen_at: since.plus_seconds(120),
        observed: Some(500),
        expected: 100,
        low: 78,
        high: 122,
        percent: Some(500),
        excess: 800,
        peak: 500,
        is_learning: false,
        contributors: vec![
            Contributor { part: Part::Flag, name: Some(name("checkout")), count: 900, before: 100 },
            Contributor { part: Part::Sdk, name: None, count: 1_000, before: 200 },
        ],
    }
}

/// That it is over, so many minutes after it began.
pub(crate) fn over(began: &Alerted, minutes: i64) -> Alerted {
    Alerted {
        said: Said::Unknown,
        observed: None,
        percent: None,
        seen_at: began.since.plus_seconds(60 * minutes),
        contributors: Vec::new(),
        ..began.clone()
    }
}

pub(crate) fn all(customers: &[&str]) -> Alerts {
    let customers = customers.iter().map(|customer| name(customer)).collect();
    Alerts { customers, kind: None, active: false, after: Position::START, limit: 100 }
}

/// All of them, `asked.limit` at a time.
async fn told(ledger: &dyn Ledger, mut asked: Alerts) -> Result<Vec<Alert>> {
    let mut all = Vec::new();
    loop {
        let page = ledger.alerts(asked.clone()).await?;
        assert!(page.alerts.len() <= asked.limit && page.looked_to >= asked.after);
        all.extend(page.alerts);
        asked.after = page.looked_to;
        if !page.more {
            assert_eq!(asked.after, *ledger.alerts_end().borrow(), "everything was looked at");
            return Ok(all);
        }
    }
}

fn said(alerts: &[Alert]) -> Vec<Said> {
    alerts.iter().map(|alert| alert.alerted.said).collect()
}

/// Who finds it again, somewhat earlier, later or larger, tells nothing new; and what is over is what was told to begin.
pub(crate) async fn what_begins_and_what_is_over_take_turns<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let first = began("acme", 0);
    assert_eq!(ledger.alert(vec![over(&first, 9)], hour(1)).await?, [], "nothing began");
    assert_eq!(ledger.alert(vec![first.clone(), first.clone()], hour(1)).await?.len(), 1);
    let again = Alerted { since: first.since.plus_seconds(10), observed: Some(700), ..first.clone() };
    let dropped = Alerted { kind: AlertKind::Drop, ..over(&first, 20) };
    // Nor does one that begins anew later, as long as nobody says that it is over.
    let anew = began("acme", 10);
    assert_eq!(ledger.alert(vec![again.clone(), dropped, anew], hour(2)).await?, []);
    // Whoever says that it is over saw it begin ten seconds later.
    let ended = ledger.alert(vec![over(&again, 20)], hour(3)).await?;
    assert_eq!(said(&ended), [Said::Unknown]);
    assert_eq!(ended.first().map(|alert| alert.alerted.since), Some(first.since));
    let behind = Alerted { since: first.since.plus_seconds(60), ..first.clone() };
    assert_eq!(ledger.alert(vec![over(&again, 21), behind, first.clone()], hour(4)).await?, []);
    let second = began("acme", 40);
    let new = ledger.alert(vec![second.clone(), over(&second, 9), began("acme", 60)], hour(5)).await?;
    assert_eq!(said(&new), [Said::Began, Said::Unknown, Said::Began]);
    let kept = told(&*ledger, all(&[])).await?;
    assert_eq!(kept.iter().map(|alert| alert.number.get()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(kept.first().map(|alert| &alert.alerted), Some(&first), "with all that was found");
    assert_eq!(kept.first().map(|alert| alert.alerted_at), Some(hour(1)));
    let ids: std::collections::BTreeSet<_> = kept.iter().map(|alert| alert.alerted.id()).collect();
    assert_eq!(ids.len(), 5);
    Ok(())
}

/// A whole, its parts, another meter, another customer: series of their own.
pub(crate) async fn series_have_nothing_to_do_with_each_other<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let first = began("acme", 0);
    let of = |subject: &Subject| Alerted { of: subject.clone(), ..first.clone() };
    let mut others: Vec<_> = subjects("acme").iter().map(of).collect();
    others.extend([
        of(&Subject::Flag(production("acme"), name("search"))),
        Alerted { meter: Meter::Requests, ..first.clone() },
        Alerted { kind: AlertKind::Drop, ..began("beta", 0) },
    ]);
    assert_eq!(ledger.alert(others.clone(), hour(1)).await?.len(), 7);
    assert_eq!(ledger.alert(others.clone(), hour(2)).await?, []);
    for (at, subject) in subjects("acme").iter().enumerate() {
        let ended = ledger.alert(vec![over(&of(subject), 9)], hour(3)).await?;
        assert_eq!(ended.iter().map(|alert| &alert.alerted.of).collect::<Vec<_>>(), [subject]);
        let active = told(&*ledger, Alerts { active: true, ..all(&[]) }).await?;
        assert_eq!(active.len(), 6 - at);
        assert!(active.iter().all(|alert| alert.alerted.series() != (subject, Meter::Evaluations)));
        let standing = ledger.standing_alerts(hour(4)).await?;
        assert_eq!(standing.len(), 6 - at, "what was over is long ago");
    }
    let drops = told(&*ledger, Alerts { kind: Some(AlertKind::Drop), ..all(&[]) }).await?;
    assert_eq!(drops.len(), 1);
    Ok(())
}

/// Pages lead through all of them, and past those of others.
pub(crate) async fn alerts_come_in_pages<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let mut end = ledger.alerts_end();
    for round in 0..3 {
        for customer in ["acme", "beta"] {
            let began = began(customer, 60 * round);
            let ended = over(&began, 9);
            ledger.alert(vec![began, ended], hour(9)).await?;
        }
    }
    assert!(end.has_changed().is_ok_and(|changed| changed) && end.borrow_and_update().get() == 12);
    let kept = told(&*ledger, all(&[])).await?;
    assert_eq!(kept.len(), 12);
    for limit in [1, 5, 12] {
        assert_eq!(told(&*ledger, Alerts { limit, ..all(&[]) }).await?, kept);
    }
    let own = told(&*ledger, Alerts { limit: 2, ..all(&["beta"]) }).await?;
    assert_eq!(own.len(), 6);
    assert!(own.iter().all(|alert| &**alert.alerted.of.customer() == "beta"));
    assert_eq!(told(&*ledger, all(&["nobody"])).await?, []);
    Ok(())
}

/// Two that watch at once, and a process that finds the ledger again.
pub(crate) async fn alerts_of_two_and_after_a_crash_are_kept_once<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let (one, other) = (harness.ledger(), harness.other().await?);
    for round in 0..3 {
        let began = || vec![began("acme", 60 * round), began("beta", 60 * round)];
        let (first, second) = tokio::join!(one.alert(began(), hour(9)), other.alert(began(), hour(9)));
        assert_eq!(first?.len() + second?.len(), 2);
        let ends = || began().iter().map(|began| over(began, 9)).collect();
        let (first, second) = tokio::join!(one.alert(ends(), hour(9)), other.alert(ends(), hour(9)));
        assert_eq!(first?.len() + second?.len(), 2);
    }
    // Rows and crossings have numbers of their own.
    one.announce(hour(1)).await?;
    append(&*one, &[counted("acme", 0, 1)], Some(1)).await?;
    other.alert(vec![began("gamma", 0)], hour(9)).await?;
    one.standing().await?;
    let kept = told(&*one, all(&[])).await?;
    other.standing().await?;
    assert_eq!((kept.len(), told(&*other, all(&[])).await?), (13, kept.clone()));
    drop((one, other));
    harness.crash().await?;
    let ledger = harness.ledger();
    ledger.standing().await?;
    assert_eq!(told(&*ledger, all(&[])).await?, kept);
    assert_eq!(ledger.alert(vec![began("gamma", 0), began("acme", 600)], hour(9)).await?.len(), 1);
    assert_eq!(ledger.alerts_end().borrow().get(), 14);
    Ok(())
}

/// Who begins to watch is told what goes on, and what was over a while ago.
pub(crate) async fn what_stands_is_told_to_who_begins_to_watch<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let old = began("old", 0);
    let recent = began("recent", 100);
    let goes_on = began("open", 0);
    let alerts = vec![old.clone(), goes_on.clone(), recent.clone(), over(&recent, 20), over(&old, 9)];
    ledger.alert(alerts, hour(9)).await?;
    let since = hour(0).plus_seconds(60 * 110);
    let standing: Vec<_> = ledger.standing_alerts(since).await?;
    let told: Vec<_> = standing
        .iter()
        .map(|alert| (alert.alerted.of.customer().to_string(), alert.alerted.said, alert.alerted.peak))
        .collect();
    assert_eq!(told, [("open".to_owned(), Said::Began, 500), ("recent".to_owned(), Said::Unknown, 500)]);
    Ok(())
}

/// What cannot be is not kept, nor is anything that stands beside it.
pub(crate) async fn what_is_no_alert_is_refused<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let good = began("acme", 0);
    let one = good.contributors.clone();
    for wrong in [
        Alerted { meter: Meter::Rejected, ..good.clone() },
        Alerted { seen_at: good.since.plus_seconds(-1), ..good.clone() },
        Alerted { low: 101, ..good.clone() },
        Alerted { high: 99, ..good.clone() },
        Alerted { excess: u64::MAX, ..good.clone() },
        Alerted { observed: Some(u64::MAX), ..good.clone() },
        Alerted { observed: None, ..good.clone() },
        Alerted { contributors: one.iter().cycle().take(21).cloned().collect(), ..good.clone() },
    ] {
        let refused = ledger.alert(vec![began("beta", 0), wrong], hour(9)).await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    }
    let many = (0..=50).map(|minute| began("acme", minute)).collect();
    assert!(matches!(ledger.alert(many, hour(9)).await, Err(Error::Refused(_))));
    assert_eq!(told(&*ledger, all(&[])).await?, []);
    Ok(())
}

/// Alerts and crossings are each delivered in their own order; what is kept of that outlives a process.
pub(crate) async fn alerts_are_delivered_beside_crossings<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let (one, other) = (harness.ledger(), harness.other().await?);
    let crossed = Crossed {
        customer: name("acme"),
        meter: Meter::Evaluations,
        period: hour(0),
        percent: 50,
        hard: false,
        included: 100,
        used: 50,
    };
    one.cross(vec![crossed], hour(9)).await?;
    one.alert(vec![began("acme", 0), began("beta", 0), began("gamma", 0)], hour(9)).await?;
    one.deliver(Notice::Alert, Position::new(2)).await?;
    other.deliver(Notice::Alert, Position::new(1)).await?;
    one.deliver(Notice::Crossing, Position::new(1)).await?;
    for ledger in [&one, &other] {
        assert_eq!(ledger.delivered(Notice::Alert).await?.get(), 2, "it never moves back");
        assert_eq!(ledger.delivered(Notice::Crossing).await?.get(), 1);
    }
    for (of, beyond) in [(Notice::Alert, 4), (Notice::Crossing, 2)] {
        let refused = one.deliver(of, Position::new(beyond)).await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    }
    drop((one, other));
    harness.crash().await?;
    assert_eq!(harness.ledger().delivered(Notice::Alert).await?.get(), 2);
    Ok(())
}
