//! Projects and customers: told where they say what none of their parts says.

use std::slice::from_ref;

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// An environment of each project, or of one project each of these.
fn of(project: &str, environment: &str) -> Environment {
    Environment { customer: name("acme"), project: name(project), environment: name(environment) }
}

/// As many counts in ten seconds of a flag of each of these.
fn each(environments: &[Environment], count: u64) -> Vec<(Environment, SeriesKey, u64)> {
    environments.iter().map(|one| (one.clone(), flag("checkout").unwrap(), count)).collect()
}

fn parts(alert: &Alert) -> Vec<(Part, Option<&str>)> {
    alert.alerted.contributors.iter().map(|one| (one.part, one.name.as_ref().map(Name::as_str))).collect()
}

#[tokio::test]
async fn what_none_of_five_environments_says_alone_is_told_once_of_their_project() {
    let environments = ["a", "b", "c", "d", "e"].map(|environment| of("web", environment));
    let mut world = World::new();
    world.count(180, &each(&environments, 1)).await;
    let mut bursts = world.bursts();
    bursts.look().await;
    let watched = bursts.watching.as_ref().unwrap().panel.watched();
    assert_eq!((watched["environment"].learning, watched["project"].learning), (5, 1));
    assert_eq!(watched.get("customer"), None, "it has one project");
    world.count(5, &each(&environments, 7)).await;
    bursts.look().await;
    let began = ["burst of acme/web: began"];
    assert_eq!(world.told_of().await, began);
    for _ in 0..2 {
        world.bursts().look().await;
    }
    assert_eq!(world.told_of().await, began);
    let alerts = world.alerts().await;
    let alerted = &alerts[0].alerted;
    assert_eq!((alerted.observed, alerted.expected, alerted.percent), (Some(210), 30, Some(700)));
    assert_eq!(alerted.since, at(180 * 60 + 10));
    // It is seen after 170 seconds, and then waits a minute.
    assert_eq!(alerted.seen_at, at(180 * 60 + 230));
    assert_eq!(alerted.excess, 22 * 30);
    let named: Vec<_> =
        parts(&alerts[0]).into_iter().filter(|(part, _)| *part == Part::Environment).collect();
    assert_eq!(named, ["a", "b", "c", "d", "e"].map(|one| (Part::Environment, Some(one))));
    world.count(20, &each(&environments, 1)).await;
    world.bursts().look().await;
    bursts.look().await;
    let over = [began[0], "burst of acme/web: calm"];
    assert_eq!(world.told_of().await, over);
    assert_eq!(bursts.metrics.alerts.with_label_values(&["project", "burst", "began"]).get(), 1);
}

#[tokio::test]
async fn what_is_spread_over_projects_is_told_of_the_customer() {
    let environments = ["a", "b", "c", "d", "e"].map(|project| of(project, "live"));
    let mut world = World::new();
    world.count(180, &each(&environments, 1)).await;
    let mut bursts = world.bursts();
    bursts.look().await;
    world.count(5, &each(&environments, 7)).await;
    bursts.look().await;
    assert_eq!(world.told_of().await, ["burst of acme: began"]);
    let alerts = world.alerts().await;
    let expected = [(Part::Project, Some("a")), (Part::Project, Some("b"))];
    assert_eq!(parts(&alerts[0])[..2], expected);
    assert_eq!(parts(&alerts[0])[5..], [(Part::Flag, Some("checkout")), (Part::Sdk, None)]);
    let watched = bursts.watching.as_ref().unwrap().panel.watched();
    assert_eq!((watched["customer"].bursts, watched["environment"].bursts), (1, 0));
}

#[tokio::test]
async fn what_one_environment_says_its_project_does_not_say_again() {
    let (live, test) = (of("web", "live"), of("web", "test"));
    let counts = |live_counts: u64| [each(from_ref(&live), live_counts), each(from_ref(&test), 10)].concat();
    let mut world = World::new();
    world.count(180, &counts(20)).await;
    let mut bursts = world.bursts();
    bursts.look().await;
    let mut expected = Vec::new();
    // While it learns, a second one must be many times the first.
    for high in [200, 1_400] {
        world.count(5, &counts(high)).await;
        bursts.look().await;
        world.bursts().look().await;
        expected.push("burst of acme/web/live: began");
        assert_eq!(world.told_of().await, expected);
        let watched = bursts.watching.as_ref().unwrap().panel.watched();
        assert_eq!((watched["environment"].bursts, watched["project"].bursts), (1, 0));
        world.count(22, &counts(20)).await;
        bursts.look().await;
        expected.push("burst of acme/web/live: calm");
        // Who comes now finds both again, and of the ledger the last one alone stands.
        world.bursts().look().await;
        assert_eq!(world.told_of().await, expected);
    }
    assert_eq!(bursts.metrics.failures.get(), 0);
}

/// One of its parts is over: what goes on beside it is told then.
#[tokio::test]
async fn a_whole_that_goes_on_when_its_part_is_over_is_told() {
    let environments = ["a", "b", "c", "d", "e"].map(|environment| of("web", environment));
    let counts = |first: u64, others: u64| {
        [each(&environments[..1], first), each(&environments[1..], others)].concat()
    };
    let mut world = World::new();
    world.count(180, &counts(1, 1)).await;
    let mut bursts = world.bursts();
    bursts.look().await;
    world.count(5, &counts(30, 1)).await;
    bursts.look().await;
    world.count(4, &counts(1, 8)).await;
    bursts.look().await;
    let first = "burst of acme/web/a: began";
    assert_eq!(world.told_of().await, [first]);
    world.count(10, &counts(1, 8)).await;
    bursts.look().await;
    let told = [first, "burst of acme/web/a: calm", "burst of acme/web: began"];
    assert_eq!(world.told_of().await, told);
    world.bursts().look().await;
    assert_eq!(world.told_of().await, told);
}

/// Until it has a second part a whole is not watched; it knows what its first one knew.
#[tokio::test]
async fn a_project_is_watched_from_its_second_environment_on() {
    let (live, test) = (of("web", "live"), of("web", "test"));
    let mut world = World::new();
    world.count(180, &each(from_ref(&live), 20)).await;
    let mut bursts = world.bursts();
    bursts.look().await;
    assert_eq!(bursts.watching.as_ref().unwrap().panel.watched().get("project"), None);
    world.count(2, &[each(from_ref(&live), 20), each(from_ref(&test), 5)].concat()).await;
    bursts.look().await;
    assert_eq!(bursts.watching.as_ref().unwrap().panel.watched()["project"].learning, 1);
    // What is new says nothing by itself: an hour of it must be known.
    world.count(5, &[each(&[live], 20), each(&[test], 200)].concat()).await;
    bursts.look().await;
    assert_eq!(world.told_of().await, ["burst of acme/web: began"]);
}
