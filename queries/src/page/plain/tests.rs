//! Names of strangers on pages, without a server.

use axum::http::HeaderMap;
use flagmeter_ledger::{Alert, AlertKind, Alerted, Episode, Position, Said, Subject};
use flagmeter_model::{Environment, Meter, Name, Timestamp};
use flagmeter_store::{Answer, Row, RowState};
use proptest::prelude::*;

use super::{fields::Names, flags, layout, order, usage, view::View};
use crate::{
    Config,
    access::{Principal, Role},
    answer::Known,
    bursts::marks::Marks,
    flags::{FlagPage, FlagUse},
    usage::{self as api, plan::KNOWN},
};

const NOW: &str = "2026-11-20T12:44:54Z";

fn operator() -> Principal {
    Principal { token_id: "abc".into(), role: Role::Operator }
}

fn now() -> Timestamp {
    Timestamp::parse_rfc3339(NOW).unwrap()
}

/// The tags of a page with the names of their attributes: all that is markup.
fn markup(page: &str) -> String {
    let (mut is_tag, mut is_value) = (false, false);
    let mut kept = String::new();
    for char in page.chars() {
        match char {
            '<' if !is_tag => is_tag = true,
            '>' if is_tag && !is_value => is_tag = false,
            '"' if is_tag => is_value = !is_value,
            _ => {}
        }
        if is_tag && !is_value {
            kept.push(char);
        }
    }
    kept
}

/// A page of flags whose names are all this one.
fn of_flags(name: &str) -> String {
    let flag = Name::new(name).unwrap();
    let mut page = FlagPage {
        from: NOW.into(),
        to: NOW.into(),
        resolution: "1d",
        tz: "UTC",
        complete_until: Some(NOW.into()),
        missing_nodes: Vec::new(),
        state: Known::Complete,
        previous_state: None,
        buckets: Vec::new(),
        flags: vec![FlagUse {
            customer: flag.clone(),
            project: flag.clone(),
            flag: flag.clone(),
            environments: vec![flag.clone()],
            first_seen: Some(NOW.into()),
            last_seen: Some(NOW.into()),
            in_registry: Some(false),
            owner: Some(flag),
            remove_by: None,
            past_removal: false,
            total: Some(3),
            previous_total: None,
            change: None,
            trend: vec![Some(1), None, Some(2)],
        }],
        next: None,
    };
    let view = viewed("/flags", name, "q");
    let asked = flags::Asked::of(&view).unwrap();
    let told = std::mem::take(&mut page.flags);
    let mut listed = flags::Listed::new(page);
    listed.take(told, &asked, &order::Names::of(&HeaderMap::new()), now());
    assert_eq!(listed.flags.len(), 1);
    flags::form(&view, &operator(), &Names::default(), "UTC").into_string()
        + &flags::shown(&view, &asked, &listed).into_string()
}

/// A page of usage by a name, which is asked for as well.
fn of_usage(name: &str) -> String {
    let view = viewed("/usage", name, "flag");
    let more = [("from", "-2h"), ("resolution", "1h"), ("group_by", "flag,variant")];
    let parameters = view.parameters(&[], &more, KNOWN).unwrap();
    let asked = api::plan::ask(&parameters, &operator(), chrono_tz::Tz::UTC, &Config::default()).unwrap();
    let usage = api::shaped(&asked, now(), |buckets| Answer {
        rows: vec![Row { group: vec![Some(Name::new(name).unwrap()), None], counts: vec![1; buckets] }],
        states: vec![RowState::Complete; buckets],
        complete_until: Some(now()),
        missing: vec![],
        parts: vec![],
        beyond_retention: None,
    });
    let name = Name::new(name).unwrap();
    let environment =
        Environment { customer: name.clone(), project: name.clone(), environment: name.clone() };
    let since = now().plus_seconds(-600);
    let began = Alerted {
        of: Subject::Flag(environment, name),
        meter: Meter::Evaluations,
        kind: AlertKind::Burst,
        said: Said::Began,
        since,
        seen_at: since,
        observed: Some(500),
        expected: 100,
        low: 80,
        high: 120,
        percent: Some(500),
        excess: 400,
        peak: 500,
        is_learning: true,
        contributors: Vec::new(),
    };
    let began = Alert { number: Position::new(1), alerted: began, alerted_at: now(), muted: None };
    let marks = Marks { episodes: vec![Episode { began, over: None }], more: true, are_unknown: true };
    usage::form(&view, &operator(), &Names::default(), "UTC").into_string()
        + &usage::shown(&view, &operator(), &usage, &marks).into_string()
}

fn viewed(path: &str, name: &str, parameter: &str) -> View {
    let address = super::view::address(path, [(parameter, name), ("customer", name)]);
    View::read(&address.parse().unwrap()).unwrap()
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{1,40}",
        "[<>&\"'/a-z =!-]{1,30}",
        "[\u{4e00}-\u{4fff}]{1,60}",
        "[\u{621}-\u{64a}\u{202e}\u{2066}]{1,60}",
        Just("<script>alert(1)</script>".to_owned()),
        Just("\" onload=\"x".to_owned()),
        Just("x".repeat(200)),
    ]
    .prop_filter("a name", |name| {
        Name::new(name).is_ok() && !matches!(name.as_str(), "." | ".." | "__other__")
    })
}

proptest! {
    #[test]
    fn no_name_becomes_markup(name in any_name()) {
        prop_assert_eq!(markup(&of_flags(&name)), markup(&of_flags("x")));
        prop_assert_eq!(markup(&of_usage(&name)), markup(&of_usage("x")));
        let titled = |name: &str| markup(&layout::page(name, &maud::html! {}, &layout::refusal(name)).into_string());
        prop_assert_eq!(titled(&name), titled("x"));
    }
}

#[test]
fn what_is_markup_is_seen_to_be() {
    assert_eq!(markup("<p class=\"a>b\">text</p>"), "<p class=\"</p");
    assert_ne!(markup(&of_flags("x").replace('x', "<b>")), markup(&of_flags("x")));
}

#[test]
fn nothing_on_a_page_runs_or_comes_from_elsewhere() {
    for page in
        [of_flags("x"), of_usage("x"), layout::page("x", &maud::html! {}, &maud::html! {}).into_string()]
    {
        for forbidden in ["<script", " on", "style=", "http:", "https:", "javascript:"] {
            assert!(!markup(&page).contains(forbidden), "{forbidden} in {page}");
        }
        assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "{page}");
    }
}

/// How bright a colour is (WCAG 2.2).
fn luminance(hex: &str) -> f64 {
    let part = |at: usize| {
        let short = hex.len() == 4;
        let text = if short { hex[at + 1..at + 2].repeat(2) } else { hex[1 + at * 2..3 + at * 2].to_owned() };
        let part = f64::from(u8::from_str_radix(&text, 16).unwrap()) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(1) + 0.0722 * part(2)
}

#[test]
fn all_text_can_be_read_in_light_and_dark() {
    let themes: Vec<_> =
        super::STYLE.split(":root {").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(themes.len(), 2);
    for theme in themes {
        let colour = |name: &str| {
            let (_, rest) = theme.split_once(&format!("--{name}: ")).unwrap();
            luminance(rest.split(';').next().unwrap())
        };
        for (text, ground) in [
            ("text", "ground"),
            ("text", "raised"),
            ("soft", "ground"),
            ("soft", "raised"),
            ("link", "ground"),
            ("link", "raised"),
            ("on-mark", "mark"),
            ("warn", "ground"),
            ("warn", "warn-ground"),
            ("bad", "bad-ground"),
            ("good", "ground"),
        ] {
            let (one, other) = (colour(text), colour(ground));
            let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
            assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2} in {theme}");
        }
    }
}
