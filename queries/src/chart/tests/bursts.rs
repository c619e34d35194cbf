//! What is drawn and said of bursts and drops.

use chrono_tz::Tz;
use flagmeter_ledger::{Alert, AlertKind, Alerted, Episode, Position, Said, Subject};
use flagmeter_model::{Environment, Meter, Name, Timestamp};
use flagmeter_store::RowState;
use proptest::prelude::*;

use super::{Counts, Element, Scene, at, drawn_with, has_class, is_sound, minutes};
use crate::{
    bursts::marks::Marks,
    chart::{Whose, bursts::Marked},
};

/// The range of `minutes(60)` is 10:44 to 11:44.
const HOUR: usize = 60;

fn alert(number: u64, alerted: Alerted) -> Alert {
    Alert { number: Position::new(number), alerted, alerted_at: at(super::NOW), muted: None }
}

/// One of 5.0 times what is expected (of a drop, 3 %), from here to there.
pub(super) fn episode(kind: AlertKind, since: Timestamp, until: Option<Timestamp>, of: Subject) -> Episode {
    let peak = if kind == AlertKind::Burst { 500 } else { 3 };
    let began = Alerted {
        of,
        meter: Meter::Evaluations,
        kind,
        said: Said::Began,
        since,
        seen_at: since.plus_seconds(120),
        observed: Some(400),
        expected: 100,
        low: 78,
        high: 122,
        percent: Some(400),
        excess: 800,
        peak,
        is_learning: false,
        contributors: Vec::new(),
    };
    let over = |seen_at| Alerted { said: Said::Calm, seen_at, ..began.clone() };
    Episode { over: until.map(over).map(|over| alert(2, over)), began: alert(1, began) }
}

pub(super) fn production(customer: &str, project: &str) -> Subject {
    let name = |text: &str| Name::new(text).unwrap();
    let environment =
        Environment { customer: name(customer), project: name(project), environment: name("production") };
    environment.into()
}

fn acme(kind: AlertKind, since: &str, until: Option<&str>) -> Episode {
    episode(kind, at(since), until.map(at), production("acme", "web"))
}

fn known(episodes: Vec<Episode>) -> Marks {
    Marks { episodes, ..Marks::default() }
}

/// An hour of minutes with these marks.
fn hour(marks: &Marks, whose: Whose) -> (Scene, Vec<Element>) {
    let counts = Counts {
        rows: vec![("evaluations".into(), vec![7; HOUR])],
        states: vec![RowState::Complete; HOUR],
        complete_until: Some(at("2026-11-20T11:44:00Z")),
    };
    let (scene, _, _, picture) = drawn_with(&minutes(HOUR), Tz::UTC, counts, marks, whose);
    (scene, is_sound(&picture))
}

fn description(elements: &[Element]) -> &str {
    &elements.iter().find(|element| element.name == "desc").unwrap().text
}

/// The titles that tell of a burst or a drop.
fn titles(elements: &[Element]) -> Vec<&str> {
    let titles = elements.iter().filter(|element| element.name == "title").map(|it| it.text.as_str());
    titles.filter(|text| text.starts_with("Burst") || text.starts_with("Drop")).collect()
}

/// Left and right of each rectangle of the bands.
fn bands(elements: &[Element]) -> Vec<(f64, f64)> {
    let band = elements.iter().find(|element| has_class(element, "fm-band"));
    let Some(path) = band.and_then(|band| band.attribute("d")) else { return Vec::new() };
    path.split('M').skip(1).map(left_and_right).collect()
}

fn left_and_right(rectangle: &str) -> (f64, f64) {
    let (left, rest) = rectangle.split_once(' ').unwrap();
    let width = rest.split(['h', 'v']).nth(1).unwrap();
    (left.parse().unwrap(), left.parse::<f64>().unwrap() + width.parse::<f64>().unwrap())
}

/// The corners of triangles, but for those of the legend.
fn triangles(elements: &[Element]) -> Vec<Vec<(f64, f64)>> {
    let paths = elements.iter().filter(|element| has_class(element, "fm-burst"));
    let paths = paths.filter_map(|element| element.attribute("d")).filter(|path| path.contains('L'));
    paths.flat_map(super::pieces).filter(|corners| corners[0].1 < 100.0).collect()
}

#[test]
fn a_burst_is_a_band_under_a_triangle_with_its_words() {
    let burst = acme(AlertKind::Burst, "2026-11-20T11:14:00Z", Some("2026-11-20T11:29:00Z"));
    let (_, elements) = hour(&known(vec![burst]), Whose::All);
    let words = "Burst of acme › web › production: up to 5.0 times what is expected, 20 Nov, 11:14 to 11:29";
    assert_eq!(titles(&elements), [words]);
    assert!(description(&elements).contains(&format!(" {words}.")), "{}", description(&elements));
    // It lies over the buckets from the 30th to the 45th.
    let bars: Vec<_> = elements.iter().filter(|element| element.parent_class == "fm-hover").collect();
    let place = |bucket: usize| left_and_right(&bars[bucket].attribute("d").unwrap()[1..]);
    let [(left, right)] = bands(&elements)[..] else { panic!("one band") };
    assert!((left - place(30).0).abs() < 0.2 && (right - place(44).1).abs() < 0.2, "{left} {right}");
    let [triangle] = &triangles(&elements)[..] else { panic!("one triangle") };
    assert!(triangle[2].1 < triangle[0].1, "it points up: {triangle:?}");
    assert!((triangle[2].0 - f64::midpoint(left, right)).abs() < 0.2);
    let top: f64 = bars[0].attribute("d").unwrap().split([' ', 'h']).nth(1).unwrap().parse().unwrap();
    assert!(triangle.iter().all(|(_, y)| *y < top), "it stands above the counts: {triangle:?} {top}");
    let legend: Vec<_> = elements.iter().filter(|it| it.text == "a burst: far more than expected").collect();
    assert_eq!(legend.len(), 1);
}

#[test]
fn a_drop_points_down_and_what_goes_on_has_no_end() {
    let drop = acme(AlertKind::Drop, "2026-11-20T11:00:00Z", None);
    let (_, elements) = hour(&known(vec![drop]), Whose::Own);
    assert_eq!(
        titles(&elements),
        ["Drop of web › production: down to 3 % of what is expected, since 20 Nov, 11:00"]
    );
    let [triangle] = &triangles(&elements)[..] else { panic!("one triangle") };
    assert!(triangle[2].1 > triangle[0].1, "it points down: {triangle:?}");
    let counts = elements.iter().find(|element| element.parent_class == "fm-hover").unwrap();
    let [(_, right)] = bands(&elements)[..] else { panic!("one band") };
    assert!(right > left_and_right(&counts.attribute("d").unwrap()[1..]).1, "to where it is now");
}

#[test]
fn a_date_has_its_year_where_that_is_not_this_one() {
    let burst = |since, until| {
        let marks = known(vec![acme(AlertKind::Burst, since, until)]);
        let marked = Marked::of(&marks, Whose::Nothing, at("2026-11-20T12:00:00Z"));
        let words = marked.marks[0].words(Tz::Europe__Berlin);
        words.strip_prefix("Burst: up to 5.0 times what is expected, ").unwrap().to_owned()
    };
    let over_new_year = burst("2025-12-31T22:30:00Z", Some("2025-12-31T23:30:00Z"));
    assert_eq!(over_new_year, "31 Dec 2025, 23:30 to 1 Jan, 00:30", "by the clocks of its zone");
    assert_eq!(burst("2024-02-29T10:00:00Z", None), "since 29 Feb 2024, 11:00");
    let day = burst("2025-06-01T10:00:00Z", Some("2025-06-01T11:00:00Z"));
    assert_eq!(day, "1 Jun 2025, 12:00 to 13:00");
}

#[test]
fn who_has_a_link_sees_that_there_was_a_burst_and_no_name() {
    let burst = acme(AlertKind::Burst, "2026-11-20T11:14:00Z", Some("2026-11-21T00:05:00Z"));
    let (_, elements) = hour(&known(vec![burst]), Whose::Nothing);
    let words = "Burst: up to 5.0 times what is expected, 20 Nov, 11:14 to 21 Nov, 00:05";
    assert_eq!(titles(&elements), [words]);
    for element in &elements {
        assert!(!element.text.contains("acme") && !element.text.contains("production"), "{}", element.text);
    }
}

#[test]
fn marks_that_stand_on_each_other_are_one_and_each_is_told() {
    let near = |seconds: i64| {
        let since = at("2026-11-20T11:14:00Z").plus_seconds(seconds);
        let of = production("acme", &format!("project-{seconds}"));
        episode(AlertKind::Burst, since, Some(since.plus_seconds(60)), of)
    };
    let far = acme(AlertKind::Burst, "2026-11-20T11:34:00Z", Some("2026-11-20T11:35:00Z"));
    let mut marks: Vec<_> = (0..8).map(near).collect();
    marks.push(far);
    let (_, elements) = hour(&known(marks), Whose::Own);
    let titles = titles(&elements);
    assert_eq!((titles.len(), triangles(&elements).len(), bands(&elements).len()), (2, 2, 9));
    assert!(titles[0].contains("project-4") && titles[0].ends_with("; and 3 more"), "{}", titles[0]);
    assert_eq!(description(&elements).matches("Burst of").count(), 9, "each is told in words");
}

#[test]
fn marks_that_could_not_be_read_are_not_none() {
    let (_, elements) = hour(&Marks { are_unknown: true, ..Marks::default() }, Whose::Own);
    assert!(description(&elements).contains("Bursts and drops could not be read"));
    assert!(elements.iter().any(|it| it.name == "text" && it.text.contains("could not be read")));
    let (_, elements) = hour(&Marks { more: true, ..Marks::default() }, Whose::Own);
    assert!(elements.iter().any(|it| it.name == "text" && it.text.contains("there are more")));
    let (scene, elements) = hour(&Marks::default(), Whose::Own);
    assert_eq!(scene.marked.note(), None);
    assert!(!elements.iter().any(|it| has_class(it, "fm-burst")));
    assert!(!description(&elements).contains("urst"));
}

/// Names, kinds, and minutes before and after the hour begins.
fn any_episode() -> impl Strategy<Value = Episode> {
    let of = prop_oneof![
        super::any_name().prop_map(|name| Subject::Customer(Name::new(&name).unwrap())),
        super::any_name().prop_map(|name| production("acme", &name)),
    ];
    let kind = prop::sample::select(vec![AlertKind::Burst, AlertKind::Drop]);
    (kind, of, -100_i64..200, prop::option::of(0_i64..100), any::<u32>()).prop_map(
        |(kind, of, since, length, peak)| {
            let since = at("2026-11-20T10:44:00Z").plus_seconds(60 * since);
            let until = length.map(|minutes| since.plus_seconds(60 * minutes));
            let mut episode = episode(kind, since, until, of);
            episode.began.alerted.peak = u64::from(peak);
            episode
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_began_its_picture_is_sound_and_its_marks_lie_in_it(
        episodes in prop::collection::vec(any_episode(), 0..60)
    ) {
        let (scene, elements) = hour(&known(episodes), Whose::All);
        let words = description(&elements);
        let told = titles(&elements);
        for mark in &scene.marked.marks {
            prop_assert!(words.contains(&mark.words(Tz::UTC)));
        }
        let hovers: Vec<_> = elements.iter().filter(|element| element.parent_class == "fm-hover").collect();
        let left = left_and_right(&hovers[0].attribute("d").unwrap()[1..]).0;
        let right = left_and_right(&hovers[HOUR - 1].attribute("d").unwrap()[1..]).1;
        for (from, to) in bands(&elements) {
            prop_assert!(left - 0.2 <= from && from < to && to <= right + 0.2, "{from} {to}");
        }
        prop_assert_eq!(triangles(&elements).len(), told.len());
        prop_assert!(told.len() <= bands(&elements).len());
    }
}
