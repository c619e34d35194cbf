//! What every answer must show.

mod history;
mod nodes;
mod world;

use std::{collections::BTreeMap, sync::Arc};

use flagmeter_model::{Meter, Tier};

pub use self::history::history_answers_like_a_plain_list;
pub use self::nodes::{
    nodes_are_told_apart_by_what_they_handed_on, nodes_are_told_as_long_as_raw_points_are_kept,
};
use self::world::{World, environment, evaluations, key, name, question};
use super::{
    Harness,
    fixture::{HOUR, at, node, range},
};
use crate::{
    Answer, AxisChoice, CoveredPart, DeadLetter, Dimension, Error, Filter, Floors, Read, Result, RowState,
    Scan, TierChoice, Write,
};

const WEB: &str = "acme/web/production";
const APP: &str = "acme/app/production";
const OTHER: &str = "umbrella/web/staging";

fn tiers(answer: &Answer) -> Vec<Tier> {
    answer.parts.iter().map(|part| part.tier).collect()
}

/// Three environments with some series each, over two hours, all of it on time.
async fn two_hours<H: Harness>() -> Result<World<H>> {
    let mut world = World::new().await?;
    for second in (0..2 * HOUR).step_by(250) {
        let counted = [
            evaluations(WEB, "checkout/on/js", second, 3),
            evaluations(WEB, "checkout/off/js", second, 5),
            evaluations(WEB, "banner//python", second + 20, 7),
            evaluations(WEB, "banner", second, 11),
            evaluations(APP, "checkout/on", second, 13),
            evaluations(OTHER, "search", second, 17),
        ];
        world.send(1, (second - 250, second + 250), counted).await?;
    }
    Ok(world)
}

/// The same answer comes from raw points, from a mix of tiers, and from hours.
pub async fn answers_agree_before_between_and_after_every_roll_up<H: Harness>() -> Result<()> {
    let mut world = two_hours::<H>().await?;
    let questions = [
        question([0, 2 * HOUR]),
        Read { group_by: vec![Dimension::Name], ..question([0, HOUR, 2 * HOUR]) },
        Read { group_by: vec![Dimension::Environment], ..question((0..=8).map(|at| at * 900)) },
        Read { group_by: vec![Dimension::Sdk, Dimension::Customer], ..question([0, 70, 600, 2 * HOUR]) },
        question([10, 20, 250, 260, 5_000]),
    ];
    let mut seen = Vec::new();
    for until in [0, 120, 1_800, HOUR, HOUR + 1_860, 2 * HOUR] {
        world.store.announce(at(until)).await?;
        for tier in Tier::ROLLED {
            for question in &questions {
                world.assert_answer(question).await?;
                let series = Read { axis: AxisChoice::Series, ..question.clone() };
                world.assert_answer(&series).await?;
            }
            world.roll_up_tier(tier, at(until)).await?;
        }
        seen.push(tiers(&world.assert_answer(&question([0, 2 * HOUR])).await?));
    }
    assert_eq!(seen.first(), Some(&vec![Tier::Raw]));
    assert!(seen.contains(&vec![Tier::Hour, Tier::Quarter, Tier::Minute, Tier::Raw]), "{seen:?}");
    assert_eq!(seen.last(), Some(&vec![Tier::Hour]));
    world.send(1, (2 * HOUR, 2 * HOUR + 10), []).await?;
    world.assert_answer(&question([0, 2 * HOUR])).await?;
    Ok(())
}

/// A late count is in the next answer, before anything is rolled up again, and after it.
pub async fn late_counts_are_in_the_next_answer<H: Harness>() -> Result<()> {
    let mut world = two_hours::<H>().await?;
    world.roll_up(2 * HOUR).await?;
    let hours = Read { group_by: vec![Dimension::Name], ..question([0, HOUR, 2 * HOUR]) };
    let before = world.assert_answer(&hours).await?;

    let late = [evaluations(WEB, "checkout/on/js", 1_000, 40), evaluations(WEB, "new", 1_010, 2)];
    let written = world.send(2, (2 * HOUR, 2 * HOUR + 10), late).await?;
    assert_eq!(written.dirty, 1, "one minute of one environment");
    let after = world.assert_answer(&hours).await?;
    assert_ne!(before.rows, after.rows);
    let by_minute: Vec<i64> = (960..=1_080).step_by(60).collect();
    world.assert_answer(&question(by_minute.clone())).await?;
    world.assert_answer(&Read { axis: AxisChoice::Series, ..question(by_minute) }).await?;

    world.roll_up_marked().await?;
    assert_eq!(world.store.state().await?.dirty, 0);
    assert_eq!(world.assert_answer(&hours).await?.rows, after.rows);
    let only_hours = Read { tiers: TierChoice::Only(Tier::Hour), ..hours };
    assert_eq!(world.assert_answer(&only_hours).await?.rows, after.rows);
    Ok(())
}

/// Late counts of one environment send only its own windows to the finer tiers.
pub async fn one_environments_late_counts_leave_the_others_coarse<H: Harness>() -> Result<()> {
    let mut world = two_hours::<H>().await?;
    world.roll_up(2 * HOUR).await?;
    world.send(2, (0, 10), [evaluations(OTHER, "search", 1_000, 40)]).await?;
    let answer =
        world.assert_answer(&Read { group_by: vec![Dimension::Customer], ..question([0, 2 * HOUR]) }).await?;
    let whole = CoveredPart { tier: Tier::Hour, range: range(0, 2 * HOUR) };
    assert_eq!(answer.parts, [whole], "told for the environments without dirty windows");
    Ok(())
}

/// Filters leave out, groups tell apart, each by every dimension.
pub async fn filters_and_groups_take_apart_what_they_name<H: Harness>() -> Result<()> {
    let mut world = two_hours::<H>().await?;
    for until in [0, HOUR, 2 * HOUR] {
        world.roll_up(until).await?;
        for filter in filters()? {
            for group_by in [
                vec![],
                vec![Dimension::Customer],
                vec![Dimension::Environment, Dimension::Project],
                vec![Dimension::Variant, Dimension::Name],
                vec![Dimension::Sdk],
            ] {
                let read = question([0, HOUR, 2 * HOUR]);
                world.assert_answer(&Read { filter: filter.clone(), group_by, ..read }).await?;
            }
        }
    }
    world.send(1, (2 * HOUR, 2 * HOUR), []).await?;
    let requests = Read { meter: Meter::Requests, ..question([0, HOUR]) };
    assert_eq!(world.assert_answer(&requests).await?.rows[0].counts, [0], "another meter");
    let none = Filter { customers: vec![name("nobody")?], ..Filter::default() };
    let nobody = Read { filter: none, group_by: vec![Dimension::Name], ..question([0, HOUR]) };
    assert_eq!(world.assert_answer(&nobody).await?.rows, []);
    Ok(())
}

fn filters() -> Result<Vec<Filter>> {
    let all = Filter::default;
    Ok(vec![
        all(),
        Filter { customers: vec![name("acme")?], ..all() },
        Filter { projects: vec![name("web")?], ..all() },
        Filter { projects: vec![name("web")?, name("app")?], environments: vec![name("staging")?], ..all() },
        Filter { names: vec![name("checkout")?, name("never-seen")?], ..all() },
        Filter { variants: vec![None], ..all() },
        Filter { variants: vec![Some(name("on")?)], sdks: vec![None, Some(name("js")?)], ..all() },
    ])
}

/// Days of 23 and 25 hours are buckets like all others.
pub async fn days_of_23_and_25_hours_are_whole<H: Harness>() -> Result<()> {
    let mut world = World::<H>::new().await?;
    let edges = [0, 23 * HOUR, 48 * HOUR];
    let counted = (0..50).map(|hour| evaluations(WEB, "checkout", hour * HOUR + 10, 1));
    world.send(1, (0, 50 * HOUR), counted).await?;
    world.roll_up(50 * HOUR).await?;
    let answer = world.assert_answer(&question(edges)).await?;
    assert_eq!(answer.rows[0].counts, [23, 25]);
    assert_eq!(tiers(&answer), [Tier::Hour]);
    Ok(())
}

/// Days of a zone that is off by 30 or 45 minutes are read from quarters where hours would straddle.
pub async fn zones_off_the_full_hour_are_exact<H: Harness>() -> Result<()> {
    let mut world = World::<H>::new().await?;
    let counted = (0..4 * 30).map(|quarter| evaluations(WEB, "checkout", quarter * 900 + 890, 1));
    world.send(1, (0, 30 * HOUR), counted).await?;
    world.roll_up(30 * HOUR).await?;
    for off in [1_800, 2_700] {
        let answer = world.assert_answer(&question([off, 24 * HOUR + off])).await?;
        assert_eq!(answer.rows[0].counts, [96]);
        assert_eq!(tiers(&answer), [Tier::Quarter, Tier::Hour, Tier::Quarter]);
        assert_eq!(answer.states, [RowState::Complete]);
    }
    Ok(())
}

/// A read that would answer with too much, or that makes no sense, is refused with a sentence.
pub async fn what_cannot_be_answered_is_refused<H: Harness>() -> Result<()> {
    let world = two_hours::<H>().await?;
    let by_name = Read { group_by: vec![Dimension::Name], ..question([0, HOUR]) };
    world.assert_answer(&Read { groups_max: 3, ..by_name.clone() }).await?;
    let error = world.store.read(&Read { groups_max: 2, ..by_name.clone() }).await.err();
    assert!(matches!(error, Some(Error::TooMany { max: 2, .. })), "refused with {error:?}");
    let refused = [
        Read { axis: AxisChoice::Totals, ..by_name },
        Read { axis: AxisChoice::Totals, ..question([0, 10]) },
        Read { tiers: TierChoice::Only(Tier::Hour), ..question([0, 1_800]) },
        question([0]),
        question([0, 0]),
        question([0, 5]),
    ];
    for read in refused {
        let error = world.store.read(&read).await.err();
        assert!(matches!(error, Some(Error::Unanswerable(_))), "asked {read:?}, refused with {error:?}");
    }
    Ok(())
}

/// A bucket without counts and a bucket without knowledge are not the same.
pub async fn no_counts_and_no_knowledge_are_told_apart<H: Harness>() -> Result<()> {
    use RowState::{Complete, Open, Partial, Unknown};
    let mut world = World::<H>::new().await?;
    let hours = question((-2..=5).map(|hour| hour * HOUR));
    let empty = world.assert_answer(&hours).await?;
    assert_eq!(empty.states, [Unknown; 7], "before the first seal");
    assert_eq!(empty.complete_until, None);

    world.send(1, (0, 600), [evaluations(WEB, "checkout", 0, 1)]).await?;
    // Nobody was there for an hour and a half.
    world.send(1, (6_000, 3 * HOUR + 605), []).await?;
    let answer = world.assert_answer(&hours).await?;
    assert_eq!(answer.complete_until, Some(at(3 * HOUR + 600)));
    assert_eq!(answer.states, [Unknown, Unknown, Partial, Partial, Complete, Open, Unknown]);
    let outage = world.assert_answer(&question([600, 1_200, 6_000, 6_600])).await?;
    assert_eq!(outage.states, [Unknown, Unknown, Complete]);

    world.send(1, (3 * HOUR + 605, 3 * HOUR + 610), [evaluations(WEB, "ahead", 4 * HOUR, 1)]).await?;
    assert_eq!(world.assert_answer(&hours).await?.states[6], Open, "counts ahead of the watermark");
    Ok(())
}

/// A silent node is named, and what it may have received is not complete.
pub async fn missing_nodes_are_shown<H: Harness>() -> Result<()> {
    let mut world = World::<H>::new().await?;
    world.send(7, (0, HOUR), []).await?;
    world.send(1, (0, HOUR), []).await?;
    world.send(1, (HOUR, 3 * HOUR), [evaluations(WEB, "checkout", 2 * HOUR, 1)]).await?;
    let answer = world.assert_answer(&question([0, HOUR, 2 * HOUR, 3 * HOUR])).await?;
    assert_eq!(
        answer.missing.iter().map(|missing| (missing.node, missing.since)).collect::<Vec<_>>(),
        [(node(7)?, at(HOUR))]
    );
    assert_eq!(answer.states, [RowState::Complete, RowState::Partial, RowState::Partial]);
    world.send(7, (HOUR, 3 * HOUR), []).await?;
    let answer = world.assert_answer(&question([0, HOUR, 2 * HOUR, 3 * HOUR])).await?;
    assert_eq!(answer.missing, []);
    assert_eq!(answer.states, [RowState::Complete; 3]);
    Ok(())
}

/// Whatever the log says the time is, what is still to come is not complete.
pub async fn nothing_is_complete_beyond_the_stores_clock<H: Harness>() -> Result<()> {
    let mut world = World::<H>::new().await?;
    world.send(1, (0, HOUR), []).await?;
    let question = question([0, 600, HOUR]);
    assert_eq!(world.assert_answer(&question).await?.states, [RowState::Complete; 2]);
    world.harness.clock().set(at(619));
    let answer = world.assert_answer(&question).await?;
    assert_eq!(answer.complete_until, Some(at(610)));
    assert_eq!(answer.states, [RowState::Complete, RowState::Open]);
    Ok(())
}

/// Where the tier that a bucket needs is gone, the bucket is unknown and nothing is rounded.
pub async fn what_retention_took_is_not_rounded<H: Harness>() -> Result<()> {
    let mut world = World::<H>::new().await?;
    let counted = (0..4 * 6).map(|quarter| evaluations(WEB, "checkout/on", quarter * 900 + 890, 1));
    world.send(1, (0, 6 * HOUR), counted).await?;
    world.roll_up(6 * HOUR).await?;
    let floors = Floors { raw: Some(at(5 * HOUR)), minute: Some(at(4 * HOUR)), quarter: Some(at(2 * HOUR)) };
    while world.store.retain(floors).await?.more {}

    world
        .assert_answer(&Read { group_by: vec![Dimension::Variant], ..question([0, HOUR, 6 * HOUR]) })
        .await?;
    let halves = world.store.read(&question((0..=12).map(|half| half * 1_800))).await?;
    assert_eq!(halves.beyond_retention, Some(at(0)));
    assert_eq!(halves.states[..4], [RowState::Unknown; 4]);
    assert_eq!(halves.states[4..], [RowState::Complete; 8]);
    assert_eq!(halves.rows[0].counts, [0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2]);
    let from = 4 * HOUR - 60;
    let minutes = world.store.read(&question([from, from + 60, from + 120])).await?;
    assert_eq!(minutes.beyond_retention, Some(at(from)));
    assert_eq!(minutes.states, [RowState::Unknown, RowState::Complete]);
    let slots = world.store.read(&question([5 * HOUR - 20, 5 * HOUR - 10, 5 * HOUR, 5 * HOUR + 10])).await?;
    assert_eq!(slots.states, [RowState::Unknown, RowState::Unknown, RowState::Complete]);
    world.assert_answer(&question((20..=24).map(|quarter| quarter * 900 + 10).take(4))).await?;
    Ok(())
}

/// One tier alone and one axis alone answer with what they hold.
pub async fn audits_see_each_tier_and_axis_by_itself<H: Harness>() -> Result<()> {
    let mut world = two_hours::<H>().await?;
    world.roll_up(HOUR).await?;
    for tier in Tier::ALL {
        let rolled = if tier == Tier::Raw { 2 } else { 1 };
        for axis in [AxisChoice::Series, AxisChoice::Totals] {
            let read = Read { tiers: TierChoice::Only(tier), axis, ..question([0, HOUR, 2 * HOUR]) };
            let answer = world.store.read(&read).await?;
            let expected = world.rows(&read);
            assert_eq!(answer.rows[0].counts[..rolled], expected[0].counts[..rolled], "{tier}, {axis:?}");
            assert_eq!(answer.complete_until, Some(at(if rolled == 2 { 7_250 } else { HOUR })), "{tier}");
            if rolled == 1 {
                assert_eq!(answer.rows[0].counts[1], 0, "not rolled up");
                assert_eq!(answer.states, [RowState::Complete, RowState::Unknown], "and so not known");
            }
        }
    }
    // A tier answers with what it holds even where it is known to be behind.
    world.send(2, (0, 10), [evaluations(WEB, "checkout/on/js", 30, 1_000)]).await?;
    let read = Read { tiers: TierChoice::Only(Tier::Hour), ..question([0, HOUR]) };
    let behind = world.store.read(&read).await?.rows[0].counts[0];
    assert_eq!(behind + 1_000, world.rows(&read)[0].counts[0]);
    Ok(())
}

/// A scan tells every window as it is kept, series beside totals, raw points by minute.
pub async fn a_scan_shows_windows_as_they_are_kept<H: Harness>() -> Result<()> {
    let mut world = two_hours::<H>().await?;
    let mut requests = evaluations(WEB, "flags", 10, 2)?;
    requests.series.key.meter = Meter::Requests;
    world.send(1, (2 * HOUR, 2 * HOUR), [Ok(requests)]).await?;
    world.roll_up(2 * HOUR).await?;
    for tier in Tier::ALL {
        let scan = Scan { environment: environment(WEB)?, tier, range: range(0, HOUR) };
        let rows = world.store.scan(&scan).await?;
        let mut series = BTreeMap::new();
        let mut totals = [0; Meter::ALL.len()];
        for row in &rows {
            assert_eq!(row.start, row.start.floor_to(tier.seconds().max(60)), "{tier}");
            assert!(row.series.is_sorted(), "{tier}: {row:?}");
            row.series.iter().for_each(|(key, count)| *series.entry(key.clone()).or_insert(0) += count);
            totals.iter_mut().zip(row.totals).for_each(|(sum, total)| *sum += total);
        }
        assert!(rows.is_sorted_by(|a, b| a.start < b.start), "{tier}: each window once, in order");
        let sum =
            |meter| series.iter().filter(|(key, _)| key.meter == meter).map(|(_, count)| count).sum::<u64>();
        assert_eq!(totals, Meter::ALL.map(sum), "{tier}");
        assert_eq!(totals[..2], [15 * (3 + 5 + 7 + 11), 2], "{tier}");
        assert_eq!(series.len(), 5, "{tier}");
    }
    let nobody = Scan { environment: environment("no/such/one")?, tier: Tier::Hour, range: range(0, HOUR) };
    assert_eq!(world.store.scan(&nobody).await?, []);
    Ok(())
}

/// The catalogue knows every series with its first and last minute, whatever was rolled up or deleted; when minutes are
/// gone, with its first and last hour at least.
pub async fn the_catalogue_tells_first_and_last_seen<H: Harness>() -> Result<()> {
    let mut world = World::<H>::new().await?;
    world.send(1, (0, HOUR), [evaluations(WEB, "checkout", 130, 1), evaluations(APP, "b", 60, 1)]).await?;
    world.roll_up(HOUR).await?;
    world.send(1, (HOUR, HOUR + 60), [evaluations(WEB, "checkout", HOUR + 30, 1)]).await?;
    world.send(1, (HOUR, HOUR + 70), [evaluations(WEB, "checkout", 61, 1)]).await?;
    while world.store.retain(Floors { raw: Some(at(HOUR)), ..Floors::default() }).await?.more {}

    let seen = world.store.catalogue(Meter::Evaluations, &Filter::default(), 2).await?;
    let told: Vec<_> =
        seen.iter().map(|seen| (seen.series.clone(), seen.first_seen, seen.last_seen)).collect();
    let series = |path, name| -> Result<_> {
        Ok(flagmeter_model::Series { environment: environment(path)?, key: key(Meter::Evaluations, name)? })
    };
    assert_eq!(told, [(series(APP, "b")?, at(60), at(60)), (series(WEB, "checkout")?, at(60), at(HOUR))]);
    let one = Filter { names: vec![name("b")?], ..Filter::default() };
    assert_eq!(world.store.catalogue(Meter::Evaluations, &one, 1).await?.len(), 1);
    assert_eq!(world.store.catalogue(Meter::Requests, &Filter::default(), 0).await?, []);
    let refused = world.store.catalogue(Meter::Evaluations, &Filter::default(), 1).await;
    assert!(matches!(refused, Err(Error::TooMany { max: 1, .. })), "answered with {refused:?}");
    assert_eq!(world.store.environments().await?, [environment(APP)?, environment(WEB)?]);

    world.roll_up_marked().await?;
    world.roll_up(2 * HOUR).await?;
    let floors = Floors { raw: Some(at(2 * HOUR)), minute: Some(at(2 * HOUR)), quarter: None };
    while world.store.retain(floors).await?.more {}
    assert_eq!(world.store.state().await?.floors.minute, Some(at(2 * HOUR)));
    let later = world.store.catalogue(Meter::Evaluations, &Filter::default(), 2).await?;
    assert_eq!(later.len(), seen.len());
    for (later, exact) in later.iter().zip(&seen) {
        assert_eq!(later.series, exact.series);
        for (later, exact) in [(later.first_seen, exact.first_seen), (later.last_seen, exact.last_seen)] {
            assert!([exact, exact.floor_to(HOUR)].contains(&later), "{later} for {exact}");
        }
    }
    Ok(())
}

/// Dead letters come in the order of their places, a page at a time, with their bytes.
pub async fn dead_letters_come_in_pages<H: Harness>() -> Result<()> {
    let world = World::<H>::new().await?;
    let letter = |(partition, offset): (u32, u64)| DeadLetter {
        partition,
        offset,
        at: at(0),
        reason: "malformed".into(),
        detail: format!("record {offset}"),
        count: (offset == 0).then_some(3),
        payload: vec![0, 255, offset.to_le_bytes()[0]],
    };
    let letters: Vec<_> = [(0, 0), (0, 9), (1, 0), (2, 5)].map(letter).into();
    let dead_letters = letters.iter().rev().cloned().collect();
    world.store.write(Arc::new(Write { dead_letters, ..Write::default() })).await?;
    let first = world.store.dead_letters(None, 3).await?;
    assert_eq!(first, letters[..3]);
    assert_eq!(world.store.dead_letters(Some((1, 0)), 3).await?, letters[3..]);
    assert_eq!(world.store.dead_letters(Some((2, 5)), 3).await?, []);
    Ok(())
}

/// Random histories; each is told by its seed, see [`history_answers_like_a_plain_list`].
pub async fn any_history_answers_like_a_plain_list<H: Harness>() -> Result<()> {
    for seed in 0..16 {
        history_answers_like_a_plain_list::<H>(seed, 60).await?;
    }
    Ok(())
}
