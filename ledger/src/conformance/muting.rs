//! Planned mutes, and what they keep from being told.

use flagmeter_model::{Environment, Timestamp};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::{
    Harness,
    alerting::{all, began, over, told},
    fixture::{hour, name, production},
};
use crate::{
    Alert, AlertKind, Alerted, Alerts, Error, Ledger, Mute, MuteId, MuteState, Mutes, Muting, Notice, Result,
    Said, Subject,
};

/// The minute after [`hour`] 0.
fn minute(number: i64) -> Timestamp {
    hour(0).plus_seconds(60 * number)
}

/// A mute of all of a customer, between two minutes.
pub(super) fn muting(id: u128, customer: &str, (from, to): (i64, i64)) -> Muting {
    Muting {
        id: MuteId::new(id),
        of: Subject::Customer(name(customer)),
        from: minute(from),
        to: minute(to),
        reason: "a launch".into(),
        by: "0123456789ab".into(),
    }
}

fn asked(at: Timestamp) -> Mutes {
    Mutes { customers: Vec::new(), state: None, at, after: None, limit: 100 }
}

/// All of them, `asked.limit` at a time.
async fn kept(ledger: &dyn Ledger, mut asked: Mutes) -> Result<Vec<Mute>> {
    let mut all = Vec::new();
    loop {
        let page = ledger.mutes(asked.clone()).await?;
        assert!(page.mutes.len() <= asked.limit);
        all.extend(page.mutes);
        asked.after = page.looked_to;
        if !page.more {
            return Ok(all);
        }
    }
}

/// Whose each is, what is said, and by which mute it is muted.
fn said(alerts: &[Alert]) -> Vec<(&str, Said, Option<MuteId>)> {
    alerts
        .iter()
        .map(|alert| (alert.alerted.of.customer().as_str(), alert.alerted.said, alert.muted))
        .collect()
}

/// Who repeats itself makes no other one, whatever time it is; and the first end stands.
pub(crate) async fn a_mute_is_kept_once_and_ended_once<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let wanted = muting(1, "acme", (10, 70));
    let made = ledger.mute(wanted.clone(), minute(0)).await?;
    assert_eq!((made.number.get(), &made.muting, made.made_at), (1, &wanted, minute(0)));
    for at in [1, 100] {
        assert_eq!(
            ledger.mute(muting(1, "acme", (at, at + 9)), minute(at)).await?,
            made,
            "it is there already"
        );
    }
    assert_eq!(ledger.mute(muting(2, "acme", (10, 20)), minute(1)).await?.number.get(), 2);
    assert_eq!([5, 10, 69, 70].map(|at| made.state(minute(at))), {
        use MuteState::{Active, Over, Planned};
        [Planned, Active, Active, Over]
    });
    assert_eq!(ledger.end_mute(MuteId::new(3), "x".into(), minute(9)).await?, None, "there is none");
    let ended =
        ledger.end_mute(MuteId::new(1), "fedcba987654".into(), minute(30)).await?.expect("it is there");
    assert_eq!(
        (ended.until(), ended.state(minute(30)), &ended.muting),
        (minute(30), MuteState::Over, &wanted)
    );
    for _ in 0..2 {
        let again = ledger.end_mute(MuteId::new(1), "another".into(), minute(40)).await?;
        assert_eq!(again.as_ref(), Some(&ended));
    }
    // There is nothing to end of what is over by itself.
    let over = ledger.end_mute(MuteId::new(2), "x".into(), minute(20)).await?.expect("it is there");
    assert_eq!((over.ended.as_ref(), over.until()), (None, minute(20)));
    assert_eq!(kept(&*ledger, asked(minute(50))).await?, [ended, over]);
    Ok(())
}

/// What cannot be is not kept, and one sentence says why.
pub(crate) async fn a_mute_that_cannot_be_is_refused<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let good = muting(1, "acme", (10, 70));
    let day = 24 * 60;
    for (wrong, says) in [
        (muting(1, "acme", (10, 10)), "ends after it begins"),
        (muting(1, "acme", (10, 9)), "ends after it begins"),
        (muting(1, "acme", (-10, 0)), "ends in the future"),
        (
            Muting { to: good.from.plus_seconds(31 * 86_400).plus_millis(1), ..good.clone() },
            "31 days at most",
        ),
        (muting(1, "acme", (365 * day + 1, 366 * day)), "within a year"),
        (Muting { of: Subject::Flag(production("acme"), name("checkout")), ..good.clone() }, "not of a flag"),
        (Muting { reason: String::new(), ..good.clone() }, "The reason is told in 1 to 200"),
        (Muting { reason: " ".into(), ..good.clone() }, "The reason is told in 1 to 200"),
        (Muting { reason: "x".repeat(201), ..good.clone() }, "The reason is told in 1 to 200"),
        (Muting { reason: "two\nlines".into(), ..good.clone() }, "in one line"),
        (Muting { by: String::new(), ..good.clone() }, "Who makes a mute"),
    ] {
        match ledger.mute(wrong.clone(), minute(0)).await {
            Err(Error::Refused(why)) => assert!(why.contains(says) && why.ends_with('.'), "{why}"),
            other => panic!("{wrong:?}: {other:?}"),
        }
    }
    let refused = ledger.end_mute(MuteId::new(1), "x".into(), minute(0)).await?;
    assert_eq!((refused, kept(&*ledger, asked(minute(0))).await?), (None, Vec::new()));
    // What is just within bounds.
    let longest =
        Muting { to: good.from.plus_seconds(31 * 86_400), reason: "ü".repeat(200), ..good.clone() };
    ledger.mute(longest, minute(0)).await?;
    ledger.mute(muting(2, "acme", (365 * day, 366 * day)), minute(0)).await?;
    ledger.mute(muting(3, "acme", (-60, 1)), minute(0)).await?;
    let refused = ledger.end_mute(MuteId::new(1), "two\nlines".into(), minute(0)).await;
    assert!(matches!(&refused, Err(Error::Refused(why)) if why.contains("Who ends a mute")), "{refused:?}");
    Ok(())
}

/// Pages lead through all of them; those in force and to come are before all that are over.
pub(crate) async fn mutes_come_in_pages_those_that_are_over_last_first<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let times = [(0, 10), (5, 90), (60, 80), (70, 90), (0, 200), (1, 10)];
    for (id, (time, customer)) in (0..).zip(times.into_iter().zip(["acme", "beta"].into_iter().cycle())) {
        ledger.mute(muting(id, customer, time), minute(0)).await?;
    }
    ledger.end_mute(MuteId::new(4), "x".into(), minute(20)).await?;
    ledger.end_mute(MuteId::new(2), "x".into(), minute(30)).await?;
    let ids = |mutes: &[Mute]| -> Vec<u128> {
        let id = |mute: &Mute| (0..6).find(|id| mute.muting.id == MuteId::new(*id)).expect("one of ours");
        mutes.iter().map(id).collect()
    };
    let all = kept(&*ledger, asked(minute(40))).await?;
    assert_eq!(ids(&all), [3, 1, 2, 4, 5, 0]);
    for limit in [1, 2, 5, 6] {
        assert_eq!(kept(&*ledger, Mutes { limit, ..asked(minute(40)) }).await?, all);
    }
    for (state, expected) in
        [(MuteState::Active, &[1][..]), (MuteState::Planned, &[3]), (MuteState::Over, &[2, 4, 5, 0])]
    {
        let of = Mutes { state: Some(state), limit: 1, ..asked(minute(40)) };
        assert_eq!(ids(&kept(&*ledger, of).await?), expected, "{state:?}");
    }
    let own = Mutes { customers: vec![name("acme")], limit: 2, ..asked(minute(40)) };
    assert_eq!(ids(&kept(&*ledger, own).await?), [2, 4, 0]);
    assert_eq!(kept(&*ledger, Mutes { customers: vec![name("nobody")], ..asked(minute(40)) }).await?, []);
    Ok(())
}

/// Two that say the same at once, and a process that finds the ledger again.
pub(crate) async fn mutes_of_two_and_after_a_crash_are_kept_once<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let (one, other) = (harness.ledger(), harness.other().await?);
    for id in 0..3 {
        let same = || muting(id, "acme", (10, 70));
        let (first, second) = tokio::join!(one.mute(same(), minute(0)), other.mute(same(), minute(1)));
        assert_eq!(first?, second?);
        let end = |ledger: std::sync::Arc<dyn Ledger>, by: &'static str| async move {
            ledger.end_mute(MuteId::new(id), by.into(), minute(20)).await
        };
        let (first, second) = tokio::join!(end(one.clone(), "one"), end(other.clone(), "other"));
        assert_eq!(first?, second?);
    }
    one.mute(muting(7, "acme", (10, 70)), minute(0)).await?;
    // What one has said counts for what the other finds next.
    let alerts = other.alert(vec![began("acme", 10)], minute(12)).await?;
    assert_eq!(said(&alerts), [("acme", Said::Began, Some(MuteId::new(7)))]);
    one.standing().await?;
    let before = (kept(&*one, asked(minute(30))).await?, one.muted_alerts().await?);
    assert_eq!((before.0.len(), before.1.len()), (4, 1));
    drop((one, other));
    harness.crash().await?;
    let ledger = harness.ledger();
    ledger.standing().await?;
    assert_eq!((kept(&*ledger, asked(minute(30))).await?, ledger.muted_alerts().await?), before);
    assert_eq!(ledger.mute(muting(7, "acme", (10, 70)), minute(50)).await?.number.get(), 4);
    assert_eq!(ledger.mute(muting(8, "acme", (10, 70)), minute(50)).await?.number.get(), 5);
    Ok(())
}

/// Of whom it is meant, and of nobody else; what is found all at once as well.
pub(crate) async fn what_a_mute_covers_is_kept_muted_from_its_beginning_to_its_end<H: Harness>() -> Result<()>
{
    let harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.mute(muting(1, "acme", (0, 60)), minute(0)).await?;
    let environment = |customer: &str, project: &str, environment: &str| Environment {
        customer: name(customer),
        project: name(project),
        environment: name(environment),
    };
    let project = |customer, project| Subject::Project { customer: name(customer), project: name(project) };
    let of_beta = |id, of: Subject, to| Muting { of, ..muting(id, "beta", (0, to)) };
    let production = || Subject::from(environment("beta", "web", "production"));
    ledger.mute(of_beta(2, production(), 60), minute(0)).await?;
    // Of two that cover the same it is that which lasts longest.
    ledger.mute(of_beta(3, project("beta", "web"), 90), minute(0)).await?;
    ledger.mute(of_beta(4, project("beta", "web"), 80), minute(0)).await?;
    ledger.mute(of_beta(5, environment("beta", "shop", "production").into(), 99), minute(0)).await?;
    let found = |of: Subject| Alerted { of, ..began("acme", 10) };
    let of = |customer, project, own| found(environment(customer, project, own).into());
    let flag = Subject::Flag(environment("acme", "web", "production"), name("checkout"));
    let found = [
        (found(Subject::Customer(name("acme"))), Some(1)),
        (found(project("acme", "web")), Some(1)),
        (of("acme", "web", "production"), Some(1)),
        (found(flag), Some(1)),
        (Alerted { kind: AlertKind::Drop, ..of("acme", "shop", "test") }, Some(1)),
        (found(project("beta", "web")), Some(3)),
        (of("beta", "web", "production"), Some(3)),
        (of("beta", "web", "test"), Some(3)),
        (of("beta", "shop", "production"), Some(5)),
        // A part that is muted does not mute the whole.
        (found(Subject::Customer(name("beta"))), None),
        (found(project("beta", "shop")), None),
        (of("beta", "shop", "test"), None),
        (of("beta", "api", "production"), None),
        (of("gamma", "web", "production"), None),
    ];
    let expected: Vec<_> = found.iter().map(|(_, mute)| mute.map(MuteId::new)).collect();
    let muted = |alerts: &[Alert]| -> Vec<_> { alerts.iter().map(|alert| alert.muted).collect() };
    let both = |(began, _): &(Alerted, _)| [began.clone(), over(began, 9)];
    let alerts = ledger.alert(found.iter().flat_map(both).collect(), minute(20)).await?;
    let of_both: Vec<_> = expected.iter().flat_map(|mute| [*mute, *mute]).collect();
    assert_eq!(muted(&alerts), of_both);
    let told_ones = told(&*ledger, Alerts { muted: Some(false), limit: 2, ..all(&[]) }).await?;
    assert_eq!(told_ones.len(), 10);
    assert!(told_ones.iter().all(|alert| alert.muted.is_none()));
    let muted_ones = told(&*ledger, Alerts { muted: Some(true), limit: 5, ..all(&["acme"]) }).await?;
    assert_eq!(muted(&muted_ones), [Some(MuteId::new(1)); 10]);
    let ids: std::collections::BTreeSet<_> = alerts.iter().map(Alert::id).collect();
    assert_eq!(ids.len(), alerts.len());
    assert_eq!(ledger.muted_alerts().await?, [], "all of them are over");
    Ok(())
}

/// A mute is in force from its beginning, and is not any more at its end; by when something was seen, and by when it would
/// be told.
pub(crate) async fn times_of_a_mute_have_edges<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let is_muted = async |number: i64, seen_at: Timestamp, at: Timestamp| -> Result<bool> {
        let found = Alerted { seen_at, since: seen_at, ..began(&format!("c{number}"), 0) };
        ledger.mute(muting(number.unsigned_abs().into(), &format!("c{number}"), (10, 20)), minute(0)).await?;
        let alerts = ledger.alert(vec![found], at).await?;
        assert_eq!(alerts.len(), 1, "{seen_at} {at}");
        Ok(alerts.iter().all(|alert| alert.muted.is_some()))
    };
    let (from, to, last) = (minute(10), minute(20), minute(20).plus_millis(-1));
    let before = from.plus_millis(-1);
    for (number, (seen_at, at, expected)) in (1..).zip([
        (before, before, false),
        (before, from, true),
        (from, from, true),
        (from, to, true),
        (last, minute(90), true),
        (before, last, true),
        (to, to, false),
        (to, minute(90), false),
        // It was over before the mute began, and is found when that is over: somebody has to know.
        (before, to, false),
    ]) {
        assert_eq!(is_muted(number, seen_at, at).await?, expected, "{seen_at} {at}");
    }
    // One that was ended is over from then on, and was in force until then.
    for (number, seen, expected) in [(20, 14, true), (21, 15, false), (22, 16, false)] {
        let customer = format!("c{number}");
        ledger.mute(muting(number, &customer, (10, 20)), minute(0)).await?;
        ledger.end_mute(MuteId::new(number), "x".into(), minute(15)).await?;
        let found = Alerted { seen_at: minute(seen), since: minute(seen), ..began(&customer, 0) };
        let alerts = ledger.alert(vec![found], minute(16)).await?;
        assert_eq!(alerts.len(), 1, "{seen}");
        assert_eq!(alerts.iter().all(|alert| alert.muted.is_some()), expected, "{seen}");
    }
    // One that was ended before it began never is.
    ledger.mute(muting(30, "never", (10, 20)), minute(0)).await?;
    ledger.end_mute(MuteId::new(30), "x".into(), minute(5)).await?;
    assert_eq!(
        said(&ledger.alert(vec![began("never", 10)], minute(13)).await?),
        [("never", Said::Began, None)]
    );
    Ok(())
}

/// A mute that comes later does not leave somebody with a burst that is never over.
pub(crate) async fn what_somebody_was_told_to_have_begun_is_told_to_be_over<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let burst = began("acme", 0);
    assert_eq!(said(&ledger.alert(vec![burst.clone()], minute(3)).await?), [("acme", Said::Began, None)]);
    ledger.mute(muting(1, "acme", (3, 90)), minute(3)).await?;
    assert_eq!(ledger.alert(vec![Alerted { seen_at: minute(5), ..burst.clone() }], minute(5)).await?, []);
    let ended = ledger.alert(vec![over(&burst, 20)], minute(20)).await?;
    assert_eq!(said(&ended), [("acme", Said::Unknown, None)]);
    Ok(())
}

/// Told when its mute is over and it still goes on, with all that it has become; told once, under a name of its own.
pub(crate) async fn what_outlasts_its_mute_is_told_once<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.mute(muting(1, "acme", (0, 30)), minute(0)).await?;
    ledger.mute(muting(2, "acme", (0, 40)), minute(0)).await?;
    let burst = began("acme", 10);
    let seen = |at: i64| Alerted {
        since: burst.since.plus_seconds(10),
        seen_at: minute(at),
        peak: 900,
        ..burst.clone()
    };
    let first = ledger.alert(vec![burst.clone()], minute(13)).await?;
    assert_eq!(said(&first), [("acme", Said::Began, Some(MuteId::new(2)))]);
    assert_eq!(ledger.muted_alerts().await?.len(), 1);
    // The first mute is over, and the other one is not; nor is it for what was seen before its end.
    for (seen_at, at) in [(20, 20), (31, 31), (39, 45)] {
        assert_eq!(ledger.alert(vec![seen(seen_at)], minute(at)).await?, []);
    }
    let dropped = Alerted { kind: AlertKind::Drop, ..seen(40) };
    assert_eq!(ledger.alert(vec![dropped], minute(41)).await?, [], "it was a burst");
    drop(ledger);
    harness.crash().await?;
    let ledger = harness.ledger();
    ledger.standing().await?;
    let told_now = ledger.alert(vec![seen(40)], minute(40)).await?;
    assert_eq!(said(&told_now), [("acme", Said::Began, None)]);
    let (muted, new) = (&first[0], &told_now[0]);
    assert_eq!((new.alerted.since, new.alerted.peak), (muted.alerted.since, 900), "it began when it did");
    assert_ne!(new.id(), muted.id());
    assert_eq!(ledger.muted_alerts().await?, []);
    assert_eq!(ledger.alert(vec![seen(41)], minute(41)).await?, []);
    let active = told(&*ledger, Alerts { active: true, ..all(&[]) }).await?;
    assert_eq!(said(&active), [("acme", Said::Began, None)], "there is one burst, and not two");
    // Nothing of what comes later takes back that it was told.
    ledger.mute(muting(3, "acme", (42, 90)), minute(42)).await?;
    assert_eq!(ledger.alert(vec![seen(43)], minute(43)).await?, []);
    let ended = ledger.alert(vec![over(&burst, 60)], minute(70)).await?;
    assert_eq!(said(&ended), [("acme", Said::Unknown, None)]);
    // The next one is muted as a whole, where it is over before anyone looks again.
    let next = began("acme", 75);
    let alerts = ledger.alert(vec![next.clone(), over(&next, 60)], minute(140)).await?;
    assert_eq!(said(&alerts).iter().filter(|(_, _, mute)| *mute == Some(MuteId::new(3))).count(), 2);
    assert_eq!(ledger.alerts_end().borrow().get(), 5);
    ledger.deliver(Notice::Alert, crate::Position::new(5)).await?;
    Ok(())
}

/// What may happen, at the next minute.
#[derive(Debug, Clone)]
enum Step {
    Mute { minutes: i64 },
    End,
    Seen,
    Over,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (1..9_i64).prop_map(|minutes| Step::Mute { minutes }),
        1 => Just(Step::End),
        6 => Just(Step::Seen),
        2 => Just(Step::Over),
    ];
    prop::collection::vec(step, 1..25)
}

/// Whatever mutes are made and ended meanwhile: what is told takes turns as if nothing else were there, nobody is told of
/// anything while a mute is in force but the end of what was told, and what goes on beyond its mutes is told.
pub(crate) async fn any_history_tells_what_is_not_muted_and_each_once<H: Harness>() -> Result<()> {
    let mut runner = TestRunner::deterministic();
    for round in 0..12_u128 {
        let harness = H::new().await?;
        let ledger = harness.ledger();
        let steps = steps().new_tree(&mut runner).map_err(|why| Error::Refused(why.to_string()))?.current();
        // When each mute is over, and what is told to go on.
        let (mut mutes, mut going): (Vec<(u128, i64)>, Option<bool>) = (Vec::new(), None);
        for (now, step) in (1..).zip(&steps) {
            let is_muted = mutes.iter().any(|(_, until)| *until > now);
            let alerts = match step {
                Step::Mute { minutes } => {
                    let id = 100 * round + mutes.len() as u128;
                    ledger.mute(muting(id, "acme", (now, now + minutes)), minute(now)).await?;
                    mutes.push((id, now + minutes));
                    continue;
                }
                Step::End => {
                    if let Some((id, until)) = mutes.last_mut() {
                        ledger.end_mute(MuteId::new(*id), "x".into(), minute(now)).await?;
                        *until = (*until).min(now);
                    }
                    continue;
                }
                Step::Seen => {
                    let found = Alerted { since: minute(now), seen_at: minute(now), ..began("acme", 0) };
                    ledger.alert(vec![found], minute(now)).await?
                }
                Step::Over => ledger.alert(vec![over(&began("acme", 0), now)], minute(now)).await?,
            };
            let expected = match (step, going) {
                (Step::Seen, None) => Some(is_muted),
                (Step::Seen, Some(true)) if !is_muted => Some(false),
                (Step::Over, going) => going,
                _ => None,
            };
            let is_kept: Vec<bool> = alerts.iter().map(|alert| alert.muted.is_some()).collect();
            assert_eq!(is_kept, Vec::from_iter(expected), "{now} of {steps:?}");
            going = match (step, expected) {
                (Step::Over, _) => None,
                (_, Some(by_a_mute)) => Some(by_a_mute),
                (_, None) => going,
            };
            assert_eq!(
                ledger.muted_alerts().await?.len(),
                usize::from(going == Some(true)),
                "{now} of {steps:?}"
            );
        }
        let told_ones = told(&*ledger, Alerts { muted: Some(false), ..all(&[]) }).await?;
        let turns: Vec<bool> = told_ones.iter().map(|alert| alert.alerted.said.is_over()).collect();
        assert!(turns.iter().zip([false, true].iter().cycle()).all(|(one, turn)| one == turn), "{turns:?}");
        let ids: std::collections::BTreeSet<_> = told_ones.iter().map(Alert::id).collect();
        assert_eq!(ids.len(), told_ones.len());
    }
    Ok(())
}
