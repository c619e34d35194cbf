//! Traffic that is out of the ordinary, by time: what goes on within a range.

use flagmeter_model::{Environment, Meter, TimeRange, Timestamp};

use super::{
    Harness,
    alerting::{began, over},
    fixture::{hour, name, production},
    muting::muting,
};
use crate::{Alerted, Episode, Episodes, Ledger, MuteId, Result, Scope, Subject};

/// The instant so many minutes after the first hour begins.
fn minute(minute: i64) -> Timestamp {
    hour(0).plus_seconds(60 * minute)
}

/// All of everyone, from a minute to another.
fn within(from: i64, to: i64) -> Episodes {
    Episodes {
        scope: Scope::default(),
        flags: Vec::new(),
        meter: None,
        range: TimeRange::new(minute(from), minute(to)),
        limit: 100,
    }
}

fn of(customers: &[&str]) -> Scope {
    Scope { customers: customers.iter().map(|customer| name(customer)).collect(), ..Scope::default() }
}

/// Customers, with the minutes in which each began and was over.
fn told(episodes: &[Episode]) -> Vec<(String, i64, Option<i64>)> {
    let minutes = |at: Timestamp| at.millis_since(hour(0)) / 60_000;
    let one = |episode: &Episode| {
        let alerted = &episode.began.alerted;
        let customer = alerted.of.customer().to_string();
        (customer, minutes(alerted.since), episode.until().map(minutes))
    };
    episodes.iter().map(one).collect()
}

fn expected(these: &[(&str, i64, Option<i64>)]) -> Vec<(String, i64, Option<i64>)> {
    these.iter().map(|(customer, since, until)| ((*customer).to_owned(), *since, *until)).collect()
}

async fn asked(ledger: &dyn Ledger, asked: Episodes) -> Result<Vec<(String, i64, Option<i64>)>> {
    let page = ledger.episodes(asked).await?;
    assert!(!page.more);
    Ok(told(&page.episodes))
}

/// A range is half-open; what goes on has no end.
pub(crate) async fn what_goes_on_in_a_range_is_found_by_its_edges<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let ledger = harness.ledger();
    let (short, again) = (began("acme", 100), began("acme", 200));
    let long = began("beta", -100_000);
    ledger.alert(vec![short.clone(), over(&short, 20), again.clone()], hour(9)).await?;
    ledger.alert(vec![long.clone(), over(&long, 100_150)], hour(9)).await?;
    ledger.standing().await?;
    let (first, open, old) = (("acme", 100, Some(120)), ("acme", 200, None), ("beta", -100_000, Some(150)));
    for (from, to, meant) in [
        (0, 100, vec![old]),
        (0, 101, vec![old, first]),
        (119, 120, vec![old, first]),
        (120, 130, vec![old]),
        (150, 200, vec![]),
        (149, 201, vec![old, open]),
        (90_000, 90_001, vec![open]),
        (-200_000, 90_000, vec![old, first, open]),
        (-200_000, -100_000, vec![]),
    ] {
        let found = asked(&*ledger, within(from, to)).await?;
        assert_eq!(found, expected(&meant), "{from} to {to}");
        let (own, beta): (Vec<_>, Vec<_>) = meant.into_iter().partition(|(customer, ..)| *customer == "acme");
        for (customer, meant) in [("acme", own), ("beta", beta), ("nobody", vec![])] {
            let scope = of(&[customer]);
            let found = asked(&*ledger, Episodes { scope, ..within(from, to) }).await?;
            assert_eq!(found, expected(&meant), "{from} to {to} of {customer}");
        }
    }
    let episode = ledger.episodes(within(110, 111)).await?.episodes.remove(1);
    assert_eq!(episode.began.alerted.contributors, []);
    assert_eq!((episode.last().observed, episode.percent()), (None, 500));
    assert_eq!(episode.over.as_ref().map(|over| over.alerted.said.why()), Some(Some("unknown")));
    drop(ledger);
    harness.crash().await?;
    let ledger = harness.ledger();
    ledger.standing().await?;
    assert_eq!(asked(&*ledger, within(0, 300)).await?, expected(&[old, first, open]));
    // And it is over in another process's life.
    ledger.alert(vec![over(&again, 30)], hour(10)).await?;
    ledger.standing().await?;
    assert_eq!(asked(&*ledger, within(229, 300)).await?, expected(&[("acme", 200, Some(230))]));
    assert_eq!(asked(&*ledger, within(230, 300)).await?, []);
    Ok(())
}

/// What is told once more when its mute is over has begun once, and is over once.
pub(crate) async fn what_outlasts_its_mute_is_one_episode<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.mute(muting(1, "acme", (0, 30)), minute(0)).await?;
    let burst = began("acme", 10);
    let muted = ledger.alert(vec![burst.clone()], minute(13)).await?;
    let told_now = Alerted { seen_at: minute(31), ..burst.clone() };
    ledger.alert(vec![told_now], minute(31)).await?;
    ledger.standing().await?;
    assert_eq!(asked(&*ledger, within(0, 60)).await?, expected(&[("acme", 10, None)]));
    ledger.alert(vec![over(&burst, 40)], minute(50)).await?;
    ledger.standing().await?;
    let episodes = ledger.episodes(within(0, 60)).await?.episodes;
    assert_eq!(told(&episodes), expected(&[("acme", 10, Some(50))]));
    assert_eq!((muted[0].muted, episodes[0].began.muted), (Some(MuteId::new(1)), None), "as it was told");
    // The next one is one of its own.
    ledger.alert(vec![began("acme", 55)], minute(58)).await?;
    ledger.standing().await?;
    let both = expected(&[("acme", 10, Some(50)), ("acme", 55, None)]);
    assert_eq!(asked(&*ledger, within(0, 60)).await?, both);
    Ok(())
}

/// A filter means those whose alert says one of its values.
pub(crate) async fn episodes_are_those_that_a_filter_means<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let whole = began("acme", 0);
    let checkout = Alerted { of: Subject::Flag(production("acme"), name("checkout")), ..began("acme", 1) };
    let requests = Alerted { meter: Meter::Requests, ..began("acme", 2) };
    let staging = Environment { environment: name("staging"), ..production("acme") };
    let staging = Alerted { of: staging.into(), ..began("acme", 3) };
    let shop = Environment { project: name("shop"), ..production("beta") };
    let shop = Alerted { of: shop.into(), ..began("beta", 4) };
    let customer = Alerted { of: Subject::Customer(name("acme")), ..began("acme", 5) };
    let project = Subject::Project { customer: name("acme"), project: name("web") };
    let project = Alerted { of: project, ..began("acme", 6) };
    let alerts = vec![whole.clone(), checkout.clone(), requests, staging, shop, customer, project];
    ledger.alert(alerts, hour(9)).await?;
    // Each series has an end of its own.
    ledger.alert(vec![over(&whole, 20), over(&checkout, 9)], hour(9)).await?;
    ledger.standing().await?;
    let all = within(0, 100);
    let scope = |projects: &[&str], environments: &[&str]| Scope {
        customers: Vec::new(),
        projects: projects.iter().map(|project| name(project)).collect(),
        environments: environments.iter().map(|environment| name(environment)).collect(),
    };
    for (question, minutes) in [
        (all.clone(), vec![0, 1, 2, 3, 4, 5, 6]),
        (Episodes { scope: of(&["acme"]), ..all.clone() }, vec![0, 1, 2, 3, 5, 6]),
        (Episodes { scope: of(&["acme", "beta", "nobody"]), ..all.clone() }, vec![0, 1, 2, 3, 4, 5, 6]),
        (Episodes { scope: scope(&["shop"], &[]), ..all.clone() }, vec![4]),
        (Episodes { scope: scope(&["web"], &[]), ..all.clone() }, vec![0, 1, 2, 3, 6]),
        (Episodes { scope: scope(&["web"], &["production"]), ..all.clone() }, vec![0, 1, 2]),
        (Episodes { flags: vec![name("checkout"), name("other")], ..all.clone() }, vec![1]),
        (Episodes { flags: vec![name("other")], ..all.clone() }, vec![]),
        (Episodes { meter: Some(Meter::Requests), ..all.clone() }, vec![2]),
        (Episodes { meter: Some(Meter::Evaluations), ..all.clone() }, vec![0, 1, 3, 4, 5, 6]),
    ] {
        let found = asked(&*ledger, question.clone()).await?;
        assert_eq!(found.iter().map(|(_, since, _)| *since).collect::<Vec<_>>(), minutes, "{question:?}");
        for (_, since, until) in found {
            assert_eq!(
                until,
                [Some(20), Some(10)].get(usize::try_from(since).unwrap_or(9)).copied().flatten()
            );
        }
    }
    Ok(())
}

/// Those that began last, wherever they lie.
pub(crate) async fn the_newest_episodes_are_kept_and_it_is_said_that_there_are_more<H: Harness>() -> Result<()>
{
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let mut all = Vec::new();
    for number in 0..12 {
        let began = began(&format!("customer-{number}"), 10 * number);
        all.push(began.clone());
        if number % 3 > 0 {
            all.push(over(&began, 500 * (number % 3)));
        }
    }
    ledger.alert(all, hour(9)).await?;
    ledger.standing().await?;
    // Of these, some began before the range, with ends near and far and none.
    for from in [0, 55, 200] {
        for limit in [1, 2, 5, 11, 12, 13] {
            let page = ledger.episodes(Episodes { limit, ..within(from, 400) }).await?;
            let minutes: Vec<_> = told(&page.episodes).iter().map(|(_, since, _)| *since / 10).collect();
            let kept = i64::try_from(limit).unwrap_or_default().min(12);
            assert_eq!(minutes, (12 - kept..12).collect::<Vec<_>>(), "{limit} from {from}");
            assert_eq!(page.more, limit < 12, "{limit} from {from}");
        }
    }
    Ok(())
}

/// Whatever began and ended, and whatever is asked.
pub(crate) async fn episodes_are_found_like_in_a_plain_list<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    // Numbers that are everywhere, and the same each time.
    let mut seed = 20_261_122_u64;
    let mut next = |below: i64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(seed >> 40).unwrap_or_default() % below
    };
    let (mut all, mut kept) = (Vec::new(), Vec::new());
    for customer in ["acme", "beta", "gamma"] {
        let mut at = next(50);
        for round in 0..12 {
            let began = began(customer, at);
            // From three minutes to three weeks.
            let longest = 1 << next(16).clamp(1, 15);
            let length = 3 + next(longest);
            all.push(began.clone());
            let goes_on = round == 11 && customer != "gamma";
            if !goes_on {
                all.push(over(&began, length));
            }
            kept.push((customer.to_owned(), at, (!goes_on).then_some(at + length)));
            at += length + next(300);
        }
    }
    for some in all.chunks(Alerted::AT_ONCE_MAX) {
        ledger.alert(some.to_vec(), hour(9)).await?;
    }
    ledger.standing().await?;
    let last = kept.iter().map(|(_, since, _)| *since).max().unwrap_or_default();
    for _ in 0..60 {
        let from = next(last) - 20;
        let to = from + 1 + next(3_000);
        for customers in [&[][..], &["beta"], &["acme", "gamma"]] {
            let mut meant: Vec<_> = kept
                .iter()
                .filter(|(customer, since, until)| {
                    (customers.is_empty() || customers.contains(&customer.as_str()))
                        && *since < to
                        && until.is_none_or(|until| until > from)
                })
                .cloned()
                .collect();
            let mut found = asked(&*ledger, Episodes { scope: of(customers), ..within(from, to) }).await?;
            assert!(found.is_sorted_by_key(|(_, since, _)| *since), "in the order in which they began");
            meant.sort();
            found.sort();
            assert_eq!(found, meant, "{customers:?} {from} to {to}");
        }
    }
    Ok(())
}
