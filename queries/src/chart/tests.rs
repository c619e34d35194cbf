mod bursts;
mod pictures;
mod xml;

use chrono_tz::Tz;
use flagmeter_model::{Limits, Name, Timestamp};
use flagmeter_store::{Answer, Floors, Row, RowState};
use proptest::prelude::*;
use xml::Element;

use super::{
    Whose, picture,
    plan::{Look, Style},
    scene::{Scene, Shown, scene},
    text::{grouped, isolated},
    words,
};
use crate::{
    Config,
    access::{Principal, Role},
    bursts::marks::Marks,
    parameters::Parameters,
    usage::{self, Usage, shape::shape},
};

const NOW: &str = "2026-11-20T12:44:54Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

/// What was counted of each flag, and what is known of each bucket.
struct Counts {
    rows: Vec<(String, Vec<u64>)>,
    states: Vec<RowState>,
    complete_until: Option<Timestamp>,
}

/// Asks for `query` and draws `counts`, whose buckets must be as many as the query has.
fn drawn(query: &str, zone: Tz, counts: Counts) -> (Scene, Usage, Look, String) {
    drawn_with(query, zone, counts, &Marks::default(), Whose::All)
}

/// The same with bursts and drops.
fn drawn_with(
    query: &str,
    zone: Tz,
    counts: Counts,
    marks: &Marks,
    whose: Whose,
) -> (Scene, Usage, Look, String) {
    let uri = format!("/v1/chart.svg?{query}").parse().unwrap();
    let parameters = Parameters::read(&uri, super::plan::KNOWN).unwrap();
    let principal = Principal { token_id: "abc".into(), role: Role::Operator };
    let config = Config::default();
    let asked = usage::plan::ask(&parameters, &principal, zone, &config).unwrap();
    let asked = asked.of_the_top(super::plan::LIMIT_DEFAULT);
    let plan = asked.plan(asked.range(at(NOW)).unwrap(), &Floors::default(), &config).unwrap();
    assert_eq!(plan.edges.len(), counts.states.len() + 1, "a state for each bucket");
    let row = |(name, counts): (String, Vec<u64>)| {
        let group = plan.group_by.iter().map(|_| Some(Name::new(&name).unwrap())).collect();
        Row { group, counts }
    };
    let answer = Answer {
        rows: counts.rows.into_iter().map(row).collect(),
        states: counts.states,
        complete_until: counts.complete_until,
        missing: vec![],
        parts: vec![],
        beyond_retention: None,
    };
    let usage = shape(&plan, answer);
    let look = Look::read(&parameters).unwrap();
    let scene = scene(&plan, &usage, at(NOW), look.title.clone()).marked_with(marks, whose, at(NOW));
    let picture = picture::draw(&scene, &look);
    (scene, usage, look, picture)
}

/// A range that ends an hour before now, by the minute.
fn minutes(buckets: usize) -> String {
    let to = at("2026-11-20T11:44:00Z");
    let from = to.plus_seconds(-60 * i64::try_from(buckets).unwrap());
    format!("from={from}&to={to}&resolution=1m")
}

fn any_state() -> impl Strategy<Value = RowState> {
    prop_oneof![
        3 => Just(RowState::Complete), 1 => Just(RowState::Open), 1 => Just(RowState::Partial), 2 => Just(RowState::Unknown)
    ]
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,12}",
        "\\PC{1,40}",
        "[<>&\"'/]{1,20}",
        "[\u{4e00}-\u{4fff}]{1,60}",
        "[\u{621}-\u{64a}\u{202e}\u{2066}]{1,60}",
        Just(Limits::OTHER.to_owned()),
        Just("x".repeat(200)),
    ]
    .prop_filter("a name", |name| Name::new(name).is_ok())
}

fn any_count() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0_u64), 0..100_u64, 0..10_000_000_u64, any::<u64>()]
}

type Case = (Vec<(String, Vec<u64>)>, Vec<RowState>, Option<i64>, String);

fn any_case() -> impl Strategy<Value = Case> {
    let look = (
        prop::sample::select(vec!["", "&style=lines", "&style=stacked"]),
        prop::sample::select(vec!["", "&theme=dark", "&theme=light"]),
        240_u16..=2_400,
        160_u16..=1_600,
        any::<bool>(),
    );
    (1_usize..40, 0_usize..9, any::<bool>(), look).prop_flat_map(|(buckets, groups, compares, look)| {
        let (style, theme, width, height, groups_by) = look;
        let cells = if compares { buckets * 2 } else { buckets };
        let names = prop::collection::btree_set(any_name(), if groups_by { groups } else { groups.min(1) });
        let rows = names.prop_flat_map(move |names| {
            let counts = prop::collection::vec(prop::collection::vec(any_count(), cells), names.len());
            counts.prop_map(move |counts| names.iter().cloned().zip(counts).collect::<Vec<_>>())
        });
        let states = prop::collection::vec(any_state(), cells);
        let query = format!(
            "{}{style}{theme}&width={width}&height={height}{}{}",
            minutes(buckets),
            if groups_by { "&group_by=flag&limit=4" } else { "" },
            if compares { "&compare=previous" } else { "" }
        );
        (rows, states, prop::option::of(-4_000_i64..4_000), Just(query))
    })
}

/// The numbers of a path, as pairs, piece by piece.
fn pieces(path: &str) -> Vec<Vec<(f64, f64)>> {
    let pair = |text: &str| {
        let (x, y) = text.split_once(' ').unwrap();
        (x.parse().unwrap(), y.parse().unwrap())
    };
    path.split('M').skip(1).map(|piece| piece.trim_end_matches('Z').split('L').map(pair).collect()).collect()
}

/// All `class` of an element.
fn has_class(element: &Element, class: &str) -> bool {
    element.attribute("class").is_some_and(|classes| classes.split(' ').any(|one| one == class))
}

/// A picture is well-formed, has no way to do anything, and refers to nothing that is not in it.
fn is_sound(picture: &str) -> Vec<Element> {
    let elements = xml::read(picture).unwrap_or_else(|reason| panic!("{reason}\n{picture}"));
    let ids: Vec<_> = elements.iter().filter_map(|element| element.attribute("id")).collect();
    let known = [
        "svg", "title", "desc", "style", "defs", "pattern", "path", "rect", "line", "circle", "text",
        "tspan", "g",
    ];
    for element in &elements {
        assert!(known.contains(&element.name.as_str()), "{}", element.name);
        for (name, value) in &element.attributes {
            assert!(!name.starts_with("on") && !name.contains("href") && name != "style", "{name}");
            if let Some(id) = value.strip_prefix("url(#") {
                assert!(ids.contains(&id.trim_end_matches(')')), "{value}");
            }
            if !["class", "role", "lang", "id", "xmlns", "fill"].contains(&name.as_str()) {
                assert!(!value.contains("NaN") && !value.contains("inf"), "{name}={value}");
            }
        }
    }
    let root = &elements[0];
    assert_eq!((root.name.as_str(), root.attribute("role")), ("svg", Some("img")));
    for id in root.attribute("aria-labelledby").unwrap().split(' ') {
        assert!(ids.contains(&id), "{id}");
    }
    elements
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_answer_a_picture_is_sound_and_tells_every_number((rows, states, until, query) in any_case()) {
        let complete_until = until.map(|seconds| at("2026-11-20T11:44:00Z").plus_seconds(seconds));
        let counts = Counts { rows, states, complete_until };
        let (scene, usage, look, picture) = drawn(&query, Tz::UTC, counts);
        let elements = is_sound(&picture);
        let words = &elements.iter().find(|element| element.name == "desc").unwrap().text;
        match usage.total {
            Some(total) => prop_assert!(words.contains(&grouped(total)), "{}", words),
            None => prop_assert!(words.contains("Not known, which") || words.contains("Not there yet"), "{}", words),
        }
        let titles: Vec<_> =
            elements.iter().filter(|element| element.name == "title").map(|element| element.text.as_str()).collect();
        if scene.is_grouped {
            for line in &scene.lines {
                let total = line.total.map_or_else(|| "not known".into(), grouped);
                let told = format!("{}: {total}", isolated(&line.name));
                prop_assert!(words.contains(&told), "{}: {}", told, words);
                prop_assert!(titles.contains(&told.as_str()), "{}: {:?}", told, titles);
            }
        }
        // Each bucket tells what its rows add up to.
        let groups = usage.rows.len() / scene.states.len();
        for (bucket, rows) in usage.rows.chunks(groups).enumerate() {
            let sum = rows.iter().filter_map(|row| row.count).reduce(u64::saturating_add);
            prop_assert_eq!(scene.sum(bucket), sum);
            prop_assert!(titles.contains(&words::bucket(&scene, bucket).as_str()));
        }
        let hatched = format!("fm-{}-", "unknown");
        let bands = elements.iter().filter(|element| {
            element.attribute("height") != Some("10")
                && element.attribute("fill").is_some_and(|fill| fill.contains(&hatched))
        });
        prop_assert_eq!(bands.count(), scene.runs(Shown::Unknown).len());
        let height: f64 = elements[0].attribute("height").unwrap().parse().unwrap();
        prop_assert!(height >= f64::from(look.height));
    }

    #[test]
    fn no_line_and_no_bar_stands_where_nothing_is_known((rows, states, until, query) in any_case()) {
        let complete_until = until.map(|seconds| at("2026-11-20T11:44:00Z").plus_seconds(seconds));
        let (scene, _, look, picture) = drawn(&query, Tz::UTC, Counts { rows, states, complete_until });
        let elements = is_sound(&picture);
        // Where buckets lie is what the places to point at say.
        let place = |path: &str| -> (f64, f64) {
            let (x, rest) = path.trim_start_matches('M').split_once(' ').unwrap();
            let width = rest.split(['h', 'v']).nth(1).unwrap();
            (x.parse().unwrap(), x.parse::<f64>().unwrap() + width.parse::<f64>().unwrap())
        };
        let hovers: Vec<_> = elements.iter().filter(|element| element.parent_class == "fm-hover").collect();
        prop_assert_eq!(hovers.len(), scene.states.len());
        let is_unknown = |at: usize| matches!(scene.states[at], Shown::Unknown | Shown::ToCome);
        let unknown: Vec<_> = (0..scene.states.len())
            .filter(|at| is_unknown(*at))
            .map(|at| place(hovers[at].attribute("d").unwrap()))
            .collect();
        let drawn = |class: &'static str| {
            elements.iter().filter(move |element| has_class(element, class) && element.name == "path")
        };
        for line in drawn("fm-line") {
            for piece in pieces(line.attribute("d").unwrap()) {
                for pair in piece.windows(2) {
                    let crossed = unknown.iter().find(|(from, to)| pair[0].0 < to - 0.2 && from + 0.2 < pair[1].0);
                    prop_assert_eq!(crossed, None, "{:?}", pair);
                }
            }
        }
        for bar in drawn("fm-bar").chain(drawn("fm-filling")) {
            for bar in bar.attribute("d").unwrap().split('M').skip(1) {
                let (left, right) = place(bar);
                let middle = f64::midpoint(left, right);
                let stands_in = unknown.iter().find(|(from, to)| *from + 0.2 < middle && middle < to - 0.2);
                prop_assert_eq!(stands_in, None, "{}", bar);
            }
        }
        if look.style_of(&scene) == Style::Stacked {
            prop_assert_eq!(drawn("fm-line").count(), 0);
        }
    }
}

#[test]
fn what_is_not_there_yet_is_no_gap_and_an_outage_of_now_is_one() {
    let counts = |complete_until| Counts {
        rows: vec![],
        states: vec![RowState::Complete, RowState::Unknown, RowState::Unknown],
        complete_until: Some(at(complete_until)),
    };
    let query = "from=2026-11-20T12:00:00Z&to=2026-11-20T15:00:00Z&resolution=1h";
    let (scene, ..) = drawn(query, Tz::UTC, counts("2026-11-20T13:00:00Z"));
    assert_eq!(scene.states, [Shown::Complete, Shown::ToCome, Shown::ToCome]);
    // All nodes have been silent for two hours.
    let query = "from=2026-11-20T10:00:00Z&to=2026-11-20T13:00:00Z&resolution=1h";
    let (scene, .., picture) = drawn(query, Tz::UTC, counts("2026-11-20T11:00:00Z"));
    assert_eq!(scene.states, [Shown::Complete, Shown::Unknown, Shown::ToCome]);
    assert!(picture.contains("All is in until 20 Nov, 11:00:00."), "{picture}");
}

#[test]
fn the_same_answer_is_the_same_bytes() {
    let counts = || Counts {
        rows: vec![("a".into(), vec![1, 2, 3])],
        states: vec![RowState::Complete; 3],
        complete_until: Some(at(NOW)),
    };
    let query = format!("{}&group_by=flag", minutes(3));
    let pictures = [(); 2].map(|()| drawn(&query, Tz::UTC, counts()).3);
    assert_eq!(pictures[0], pictures[1]);
}

#[test]
fn the_largest_group_stands_below_and_the_rest_on_top() {
    let rows = (0..7_u64).map(|group| (format!("flag-{group}"), vec![group * 10])).collect();
    let counts = Counts { rows, states: vec![RowState::Complete], complete_until: Some(at(NOW)) };
    let (scene, .., picture) = drawn(&format!("{}&group_by=flag&limit=3", minutes(1)), Tz::UTC, counts);
    let names: Vec<_> = scene.lines.iter().map(|line| (line.name.as_str(), line.total)).collect();
    let expected =
        [("flag-6", Some(60)), ("flag-5", Some(50)), ("flag-4", Some(40)), ("all others", Some(60))];
    assert_eq!(names, expected);
    let bars: Vec<_> = is_sound(&picture)
        .into_iter()
        .filter(|element| has_class(element, "fm-bar") && element.name == "path")
        .map(|bar| {
            let top = bar.attribute("d").unwrap().split(['M', ' ', 'h']).nth(2).unwrap();
            (bar.attribute("class").unwrap().to_owned(), top.parse::<f64>().unwrap())
        })
        .collect();
    let classes: Vec<_> = bars.iter().map(|(class, _)| class.as_str()).collect();
    assert_eq!(classes, ["fm-bar fm-0", "fm-bar fm-1", "fm-bar fm-2", "fm-bar fm-8"]);
    assert!(bars.is_sorted_by(|(_, below), (_, above)| below > above), "{bars:?}");
}
