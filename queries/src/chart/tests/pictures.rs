//! Pictures that stand in `docs/charts/`, to the byte. Whoever changes how pictures look writes them anew with
//! `FLAGMETER_PICTURES=write cargo test -p flagmeter-queries pictures`, and looks at them.

use std::{fs, path::PathBuf};

use chrono_tz::Tz;
use flagmeter_ledger::AlertKind;
use flagmeter_store::RowState;

use super::{
    Counts, at,
    bursts::{episode, production},
    drawn, drawn_with, is_sound,
};
use crate::{bursts::marks::Marks, chart::Whose};

#[track_caller]
fn is_as_before(name: &str, picture: &str) {
    is_sound(picture);
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/charts")).join(name);
    if std::env::var_os("FLAGMETER_PICTURES").is_some_and(|value| value == "write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, picture).unwrap();
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    let differs = before.lines().zip(picture.lines()).find(|(before, now)| before != now);
    assert_eq!(differs, None, "{}", path.display());
    assert_eq!(before.len(), picture.len(), "{}", path.display());
}

/// Counts that rise and fall over 96 buckets, by whole numbers alone: the same on every machine.
fn wave(at: usize, height: u64, shift: usize) -> u64 {
    let part = u64::try_from((at + shift) % 96).unwrap();
    // A parabola up and one down are nearly a sine.
    let rise = part * (96 - part) * height / (48 * 48);
    let noise = u64::try_from((at * at * 31 + at * 17 + shift * 13) % 41).unwrap();
    height / 5 + rise + height * noise / 300
}

fn waves(names: &[(&str, u64)], buckets: usize) -> Vec<(String, Vec<u64>)> {
    let counts = |shift: usize, height| (0..buckets).map(|at| wave(at + 6, height, shift * 5)).collect();
    names.iter().enumerate().map(|(at, (name, height))| ((*name).to_owned(), counts(at, *height))).collect()
}

#[test]
fn a_day_by_flag() {
    let names = [
        ("checkout-v2", 900),
        ("search-ranking", 620),
        ("new-onboarding", 340),
        ("dark-mode", 180),
        ("beta-export", 90),
        ("legacy-login", 60),
        ("holiday-banner", 30),
    ];
    let mut states = vec![RowState::Complete; 96];
    states[30..38].fill(RowState::Unknown);
    states[62..66].fill(RowState::Partial);
    states[90] = RowState::Open;
    states[91..].fill(RowState::Unknown);
    let mut rows = waves(&names, 96);
    for (_, counts) in &mut rows {
        counts[90] /= 3;
        counts[91..].fill(0);
    }
    // What was counted before the node fell silent.
    let counts = Counts { rows, states, complete_until: Some(at("2026-11-20T12:33:00Z")) };
    let query = "from=2026-11-19T14:00:00Z&to=2026-11-20T14:00:00Z&resolution=15m&group_by=flag";
    is_as_before("day-by-flag.svg", &drawn(query, Tz::Europe__Berlin, counts).3);
}

#[test]
fn a_day_of_25_hours_with_the_day_before() {
    let mut states = vec![RowState::Complete; 50];
    states[39] = RowState::Unknown;
    let counts =
        (0..50).map(|at| wave(at * 4, 12_000, 0) * (150 - u64::try_from(at).unwrap()) / 150).collect();
    let counts = Counts {
        rows: vec![("evaluations".into(), counts)],
        states,
        complete_until: Some(at("2026-11-20T12:44:50Z")),
    };
    let query =
        "from=2026-10-25&to=2026-10-26&resolution=1h&compare=previous&theme=light&width=600&height=300";
    is_as_before("25-hours.svg", &drawn(query, Tz::Europe__Berlin, counts).3);
}

#[test]
fn names_of_strangers() {
    let long = "a-flag-with-a-name-that-somebody-went-on-writing-".repeat(5);
    let names = [
        ("<script>alert(1)</script>", 900),
        ("结账流程新版本灰度发布开关", 700),
        ("علم الميزة الجديدة في صفحة الدفع", 500),
        (long.get(..200).unwrap(), 300),
        ("🏳️‍🌈 & \"quotes\"", 100),
    ];
    let mut states = vec![RowState::Complete; 24];
    states[5] = RowState::Partial;
    states[9..11].fill(RowState::Unknown);
    states[23] = RowState::Open;
    let counts = Counts { rows: waves(&names, 24), states, complete_until: Some(at("2026-11-20T12:44:50Z")) };
    let query = "from=2026-11-19T13:00:00Z&to=2026-11-20T13:00:00Z&resolution=1h&group_by=flag&style=lines&theme=dark\
                 &width=420&height=420&title=%D8%AA%D9%82%D8%B1%D9%8A%D8%B1%20%3Cb%3E";
    is_as_before("names.svg", &drawn(query, Tz::UTC, counts).3);
}

#[test]
fn a_month_of_which_nothing_is_known() {
    let counts = Counts { rows: vec![], states: vec![RowState::Unknown; 31], complete_until: None };
    let query = "from=2026-10-01&to=2026-11-01&resolution=1d&width=360&height=240";
    is_as_before("unknown.svg", &drawn(query, Tz::America__New_York, counts).3);
}

#[test]
fn an_afternoon_with_a_burst_and_a_drop() {
    let names = [("checkout-v2", 900), ("search-ranking", 620)];
    let mut rows = waves(&names, 96);
    for (_, counts) in &mut rows {
        counts[40..48].iter_mut().for_each(|count| *count *= 5);
        counts[70..78].fill(3);
    }
    let counts = Counts {
        rows,
        states: vec![RowState::Complete; 96],
        complete_until: Some(at("2026-11-20T12:00:00Z")),
    };
    let minute = |minute: i64| at("2026-11-20T10:24:00Z").plus_seconds(60 * minute);
    let episodes = [(AlertKind::Burst, 40, 53), (AlertKind::Drop, 70, 82)];
    let episodes = episodes.map(|(kind, since, until)| {
        episode(kind, minute(since), Some(minute(until)), production("acme", "web"))
    });
    let marks = Marks { episodes: episodes.into(), ..Marks::default() };
    let query = "from=2026-11-20T10:24:00Z&to=2026-11-20T12:00:00Z&resolution=1m&group_by=flag";
    let (.., picture) = drawn_with(query, Tz::Europe__Berlin, counts, &marks, Whose::Own);
    is_as_before("bursts.svg", &picture);
}
