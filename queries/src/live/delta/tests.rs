use std::sync::Arc;

use chrono_tz::Tz;
use flagmeter_model::{MissingNode, Name, NodeId, Timestamp};
use flagmeter_store::{Answer, Row, RowState};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::Value;

use super::*;
use crate::{
    Config,
    access::{Principal, Role},
    live::{
        KNOWN,
        track::{Next, Place, Track},
    },
    parameters::Parameters,
    tests::live::Client,
    usage::{
        plan::{Asked, ask},
        shaped,
    },
};

const START: i64 = 1_800_000_000;

fn asked(query: &str) -> Asked {
    let principal = Principal { token_id: "abc".into(), role: Role::Operator };
    let parameters = Parameters::read(&format!("/v1/live?{query}").parse().unwrap(), KNOWN).unwrap();
    ask(&parameters, &principal, Tz::UTC, &Config::default()).unwrap()
}

/// A store's answer, before it is known how many buckets there are.
#[derive(Debug, Clone)]
struct Drawn {
    /// How far the clock goes on.
    seconds: i64,
    /// Which flags were counted, and how much in the last, the one before, ...
    counts: Vec<(u8, Vec<u64>)>,
    states: Vec<RowState>,
    complete: Option<i64>,
    is_missing: bool,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    use RowState::{Complete, Open, Partial, Unknown};
    // The clock stands still, goes on within a bucket, over the edge of one, over many, and back.
    let seconds = select(vec![0, 1, 7, 10, 13, 60, 90, 600, -1, -10, -60]);
    let states = vec(select(vec![Complete, Complete, Complete, Open, Partial, Unknown]), 1..4);
    let counts = vec((0..4_u8, vec(0..3_u64, 0..3)), 0..4);
    (seconds, counts, states, option::of(-30..30_i64), any::<bool>()).prop_map(
        |(seconds, counts, states, complete, is_missing)| Drawn {
            seconds,
            counts,
            states,
            complete,
            is_missing,
        },
    )
}

impl Drawn {
    fn answer(&self, now: Timestamp, buckets: usize, grouped: bool) -> Answer {
        let mut rows: Vec<Row> = Vec::new();
        for (flag, newest) in &self.counts {
            let mut counts = vec![u64::from(*flag); buckets];
            for (count, new) in counts.iter_mut().rev().zip(newest) {
                *count = *new;
            }
            let group = if grouped {
                vec![(*flag > 0).then(|| Name::new(&format!("f{flag}")).unwrap())]
            } else {
                vec![]
            };
            if rows.iter().all(|row| row.group != group) {
                rows.push(Row { group, counts });
            }
        }
        rows.sort_by(|a, b| a.group.cmp(&b.group));
        let states = (0..buckets).rev().map(|ago| self.states[ago.min(self.states.len() - 1)]).collect();
        let missing = MissingNode { node: NodeId::new(3).unwrap(), region: None, since: now };
        Answer {
            rows,
            states,
            complete_until: self.complete.map(|seconds| now.plus_seconds(seconds)),
            missing: if self.is_missing { vec![missing] } else { vec![] },
            parts: vec![],
            beyond_retention: None,
        }
    }
}

/// A viewer of a track, at its own pace.
#[derive(Default)]
struct Viewer {
    place: Place,
    client: Client,
    last_id: String,
}

impl Viewer {
    /// Takes so many events at most, and says whether there are no more.
    fn take(&mut self, track: &Track, events: usize) -> bool {
        for _ in 0..events {
            let frame = match track.next(&mut self.place) {
                Next::Whole(_, answer) => answer.event(),
                Next::Event(_, frame) => frame,
                Next::Nothing | Next::End => return true,
            };
            let text = std::str::from_utf8(frame.plain()).unwrap();
            let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
            self.client.take(line("event: ").unwrap(), line("data: ").unwrap());
            self.last_id = line("id: ").unwrap().into();
        }
        false
    }
}

const QUERIES: [&str; 6] = [
    "from=-2m&resolution=10s&group_by=flag",
    "from=-2m&resolution=10s&group_by=flag&limit=2",
    "from=-90s&resolution=10s&group_by=flag&compare=previous",
    "from=-1h&resolution=15m",
    "from=-3h&resolution=1h&group_by=flag&tz=Europe/Berlin",
    "from=-2d&resolution=1d&tz=Australia/Lord_Howe",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whoever watches, at whatever pace, with breaks and coming back, has the answer of the moment once it has taken
    /// all there is: to the last member, in the same order.
    #[test]
    fn a_snapshot_and_its_deltas_are_the_answer_of_the_moment(
        query in select(&QUERIES[..]),
        steps in vec((drawn(), 0..4_usize, any::<bool>()), 1..25),
    ) {
        let asked = asked(query);
        let mut track = Track::new("e".into());
        let (mut quick, mut slow) = (Viewer::default(), Viewer::default());
        let mut now = Timestamp::from_seconds_clamped(START);
        for (drawn, pace, comes_back) in steps {
            now = now.plus_seconds(drawn.seconds);
            let is_grouped = query.contains("group_by");
            let usage = shaped(&asked, now, |buckets| drawn.answer(now, buckets, is_grouped));
            let expected: Value = serde_json::to_value(&usage).unwrap();
            let newest = track.newest();
            let step = Track::step(newest.as_deref(), track.is_in_trouble(), usage);
            track.go(step);
            prop_assert!(quick.take(&track, 9));
            prop_assert_eq!(quick.client.answer.as_ref().unwrap(), &expected);
            if slow.take(&track, pace) {
                prop_assert_eq!(slow.client.answer.as_ref().unwrap(), &expected);
            }
            if comes_back {
                slow.place = track.place_after(&slow.last_id);
            }
        }
        prop_assert!(slow.take(&track, 1_000));
        prop_assert_eq!(slow.client.answer, quick.client.answer);
    }
}

fn usage_of(query: &str, seconds: i64, groups: &[(&str, &[u64])]) -> Usage {
    let now = Timestamp::from_seconds_clamped(START + seconds);
    let rows: Vec<_> = groups
        .iter()
        .map(|(flag, counts)| Row { group: vec![Some(Name::new(flag).unwrap())], counts: counts.to_vec() })
        .collect();
    let states = vec![RowState::Complete; groups[0].1.len()];
    let answer =
        Answer { rows, states, complete_until: None, missing: vec![], parts: vec![], beyond_retention: None };
    shaped(&asked(query), now, |_| answer)
}

const FOUR: &str = "from=-40s&resolution=10s&group_by=flag";

#[test]
fn only_what_changed_is_told() {
    let before = usage_of(FOUR, 0, &[("a", &[9, 9, 9, 9]), ("b", &[1, 1, 1, 1])]);
    let now = usage_of(FOUR, 0, &[("a", &[9, 9, 9, 10]), ("b", &[1, 1, 1, 1])]);
    let delta = serde_json::to_value(Delta::between(&before, &now).unwrap()).unwrap();
    assert_eq!(delta["rows"].as_array().unwrap().len(), 1);
    assert_eq!((&delta["rows"][0]["count"], &delta["rows"][0]["flag"]), (&10.into(), &"a".into()));
    assert_eq!((&delta["total"], delta.get("groups")), (&41.into(), None));
    let next = usage_of(FOUR, 10, &[("a", &[9, 9, 10, 0]), ("b", &[1, 1, 1, 0])]);
    let delta = serde_json::to_value(Delta::between(&now, &next).unwrap()).unwrap();
    assert_eq!(delta["rows"].as_array().unwrap().len(), 2, "the new bucket");
}

#[test]
fn groups_are_told_when_there_are_others_or_in_another_order() {
    let before = usage_of(FOUR, 0, &[("a", &[9, 9, 9, 9]), ("b", &[9, 9, 9, 8])]);
    let now = usage_of(FOUR, 0, &[("a", &[9, 9, 9, 9]), ("b", &[9, 9, 9, 12])]);
    let delta = serde_json::to_value(Delta::between(&before, &now).unwrap()).unwrap();
    assert_eq!(delta["groups"], serde_json::json!([{"flag": "b"}, {"flag": "a"}]));
}

#[test]
fn what_changed_in_most_of_it_or_has_other_buckets_is_told_whole() {
    let before = usage_of(FOUR, 0, &[("a", &[1, 1, 1, 1])]);
    assert!(Delta::between(&before, &usage_of(FOUR, 0, &[("a", &[2, 2, 2, 1])])).is_none());
    assert!(Delta::between(&before, &usage_of(FOUR, 900, &[("a", &[1, 1, 1, 1])])).is_none());
    assert!(Delta::between(&before, &usage_of(FOUR, -10, &[("a", &[1, 1, 1, 1])])).is_none(), "back in time");
    let minutes = usage_of("from=-4m&resolution=1m&group_by=flag", 0, &[("a", &[1, 1, 1, 1])]);
    assert!(Delta::between(&before, &minutes).is_none());
    let mut same = usage_of(FOUR, 0, &[("a", &[1, 1, 1, 1])]);
    same.rows[0].start = Arc::clone(&before.rows[0].start);
    assert!(Delta::between(&before, &same).is_some());
}
