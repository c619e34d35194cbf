use chrono_tz::Tz;
use flagmeter_model::Timestamp;
use flagmeter_store::{Answer as Stored, Row, RowState};

use super::*;
use crate::{
    Config,
    access::{Principal, Role},
    live::KNOWN,
    parameters::Parameters,
    usage::{plan::ask, shaped},
};

fn usage(last: u64) -> Usage {
    let principal = Principal { token_id: "abc".into(), role: Role::Operator };
    let parameters = Parameters::read(&"/v1/live?from=-40s&resolution=10s".parse().unwrap(), KNOWN).unwrap();
    let asked = ask(&parameters, &principal, Tz::UTC, &Config::default()).unwrap();
    let answer = Stored {
        rows: vec![Row { group: vec![], counts: vec![1, 1, 1, last] }],
        states: vec![RowState::Complete; 4],
        complete_until: None,
        missing: vec![],
        parts: vec![],
        beyond_retention: None,
    };
    shaped(&asked, Timestamp::from_seconds_clamped(1_800_000_000), |_| answer)
}

fn go(track: &mut Track, last: u64) -> bool {
    let newest = track.newest();
    let step = Track::step(newest.as_deref(), track.is_in_trouble(), usage(last));
    track.go(step)
}

fn kind(next: &Next) -> Option<Kind> {
    match next {
        Next::Whole(kind, _) | Next::Event(kind, _) => Some(*kind),
        Next::Nothing | Next::End => None,
    }
}

/// What someone at this place takes until there is no more.
fn all(track: &Track, place: &mut Place) -> Vec<Kind> {
    std::iter::from_fn(|| kind(&track.next(place))).collect()
}

fn unavailable() -> Error {
    Error::Store(flagmeter_store::Error::Unavailable("gone".into()))
}

#[test]
fn who_comes_has_a_snapshot_and_then_each_delta() {
    let (mut track, mut place) = (Track::new("e".into()), Place::default());
    assert_eq!(all(&track, &mut place), []);
    assert!(go(&mut track, 1));
    assert_eq!(all(&track, &mut place), [Kind::Snapshot]);
    assert!(!go(&mut track, 1), "the same is no news");
    assert_eq!(all(&track, &mut place), []);
    assert!(go(&mut track, 2) && go(&mut track, 3));
    assert_eq!(all(&track, &mut place), [Kind::Delta, Kind::Delta]);
    assert_eq!(all(&track, &mut Place::default()), [Kind::Snapshot]);
}

#[test]
fn who_is_too_slow_takes_the_newest_answer_whole_and_nothing_grows() {
    let (mut track, mut place) = (Track::new("e".into()), Place::default());
    go(&mut track, 0);
    all(&track, &mut place);
    for last in 1..=DELTAS_MAX as u64 {
        go(&mut track, last);
    }
    let mut just_in_time = Place { seen: place.seen, told: 0 };
    assert_eq!(all(&track, &mut just_in_time), vec![Kind::Delta; DELTAS_MAX]);
    for last in 0..1_000 {
        go(&mut track, 1_000 + last);
    }
    assert_eq!(track.deltas.len(), DELTAS_MAX);
    assert_eq!(track.deltas_bytes, track.deltas.iter().map(|delta| delta.plain().len()).sum::<usize>());
    assert_eq!(all(&track, &mut place), [Kind::Caught]);
    assert_eq!(all(&track, &mut place), []);
}

#[test]
fn who_comes_back_goes_on_where_it_was_if_that_is_still_kept() {
    let mut track = Track::new("e".into());
    for last in 0..5 {
        go(&mut track, last);
    }
    for (id, kinds) in [
        ("e-3", vec![Kind::Delta, Kind::Delta]),
        ("e-1", vec![Kind::Delta; 4]),
        ("e-5", vec![]),
        ("e-0", vec![Kind::Snapshot]),
        ("e-6", vec![Kind::Snapshot]),
        ("f-3", vec![Kind::Snapshot]),
        ("e-", vec![Kind::Snapshot]),
        ("e--3", vec![Kind::Snapshot]),
        ("e-99999999999999999999999", vec![Kind::Snapshot]),
        ("", vec![Kind::Snapshot]),
    ] {
        assert_eq!(all(&track, &mut track.place_after(id)), kinds, "{id}");
    }
    for last in 10..1_000 {
        go(&mut track, last);
    }
    assert_eq!(all(&track, &mut track.place_after("e-3")), [Kind::Snapshot], "it is no slow viewer");
}

#[test]
fn trouble_is_told_once_and_its_end_always() {
    let (mut track, mut place) = (Track::new("e".into()), Place::default());
    go(&mut track, 1);
    all(&track, &mut place);
    assert!(!track.fail(&unavailable()));
    assert_eq!(all(&track, &mut place), [Kind::Problem]);
    assert!(!track.fail(&unavailable()));
    assert_eq!(all(&track, &mut place), [], "the same again");
    assert_eq!(all(&track, &mut Place::default()), [Kind::Snapshot, Kind::Problem]);
    track.fail(&Error::Timeout { seconds: 20 });
    assert_eq!(all(&track, &mut place), [Kind::Problem], "another one");
    assert!(go(&mut track, 1), "the same answer is news after that");
    assert_eq!(all(&track, &mut place), [Kind::Delta]);
    // Who was not there in between need not hear of it.
    let mut away = track.place_after("e-2");
    track.fail(&unavailable());
    go(&mut track, 2);
    assert_eq!(all(&track, &mut away), [Kind::Delta]);
}

#[test]
fn what_has_no_answer_is_refused_and_ends() {
    let (mut track, mut place) = (Track::new("e".into()), Place::default());
    track.fail(&unavailable());
    assert!(track.refusal().is_none());
    assert!(track.fail(&Error::TooMuch("more than 5 rows".into())));
    track.end();
    assert_eq!(all(&track, &mut place), [Kind::Problem]);
    assert!(matches!(track.next(&mut place), Next::End));
    assert_eq!(track.refusal().unwrap().status(), 422);
}
