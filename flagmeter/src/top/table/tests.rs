use super::{super::board::Bucket, *};

/// 2026-11-20T10:44:00Z.
const FIRST: i64 = 1_795_171_440;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds_clamped(second)
}

/// Buckets from [`FIRST`] on; all is in until the end of the last but `open`.
fn board(seconds: i64, states: &[Known], open: i64, groups: &[(&str, &dyn Fn(usize) -> u64)]) -> Board {
    let starts: Vec<i64> = (0_i64..).take(states.len()).map(|place| FIRST + place * seconds).collect();
    let buckets = starts
        .iter()
        .zip(states)
        .map(|(start, state)| (*start, Bucket { state: *state, start: at(*start).to_string() }));
    let end = FIRST + seconds * (i64::try_from(states.len()).unwrap() - open);
    let counts = |count: &dyn Fn(usize) -> u64| {
        let known = starts.iter().zip(states).enumerate().filter(|(_, (_, state))| **state != Known::Unknown);
        known.map(|(place, (start, _))| (*start, count(place))).collect()
    };
    Board {
        complete_until: Some((at(end), at(end).to_string())),
        missing: Vec::new(),
        buckets: buckets.collect(),
        groups: groups.iter().map(|(name, count)| ((*name).to_owned(), counts(*count))).collect(),
    }
}

fn hours(count: &dyn Fn(usize) -> u64) -> Board {
    let mut states = vec![Known::Complete; 120];
    states.push(Known::Open);
    board(60, &states, 1, &[("acme", count)])
}

fn slots(count: &dyn Fn(usize) -> u64) -> Board {
    let mut states = vec![Known::Complete; 12];
    states.push(Known::Open);
    board(10, &states, 1, &[("acme", count)])
}

fn acme(hours: &Board, slots: &Board) -> Line {
    let table = table("customer", hours, slots);
    table.lines.into_iter().find(|line| line.name == "acme").unwrap()
}

#[test]
fn rates_are_those_of_whole_slots_and_totals_those_of_whole_minutes() {
    let hours = hours(&|place| if place < 60 { 100 } else { 150 });
    let slots = slots(&|place| if place == 11 { 50 } else { 20 });
    let line = acme(&hours, &slots);
    assert_eq!((line.now, line.minute, line.hour), (Some(5.0), Some(2.5), Some(9_000)));
    assert_eq!((line.change, line.state), (Some(0.5), State::Complete));
    assert_eq!((line.sparkline.len(), line.sparkline[0]), (60, Some(150)));
    assert_eq!(line.bursts, []);
}

#[test]
fn what_is_not_known_is_nothing_and_never_zero() {
    let mut states = vec![Known::Complete; 120];
    states[80] = Known::Unknown;
    let gaps = acme(&board(60, &states, 0, &[("acme", &|_| 10)]), &slots(&|_| 1));
    assert_eq!((gaps.sparkline[20], gaps.hour), (None, Some(590)));
    assert_eq!((gaps.change, gaps.state), (None, State::Gaps));
    states[80] = Known::Partial;
    let partial = acme(&board(60, &states, 0, &[("acme", &|_| 10)]), &slots(&|_| 1));
    assert_eq!((partial.change, partial.state), (None, State::Partial));
    // Nobody was there in the last 10 seconds.
    let mut slot_states = vec![Known::Complete; 12];
    slot_states[11] = Known::Unknown;
    let silent = acme(&hours(&|_| 10), &board(10, &slot_states, 0, &[("acme", &|_| 1)]));
    assert_eq!((silent.now, silent.minute), (None, None));
    let nothing = table("customer", &Board::default(), &Board::default());
    let total = nothing.total;
    assert_eq!(
        (total.now, total.hour, total.state, nothing.complete_until),
        (None, None, State::Unknown, None)
    );
}

#[test]
fn an_hour_of_which_a_part_was_asked_has_gaps_for_the_rest() {
    // All is in until 20 minutes after the beginning, 101 minutes ago.
    let hours = board(60, &[Known::Complete; 121], 101, &[("acme", &|_| 10)]);
    let line = acme(&hours, &slots(&|_| 1));
    assert_eq!(line.sparkline, [vec![None; 40], vec![Some(10); 20]].concat());
    assert_eq!((line.hour, line.state, line.change), (Some(200), State::Gaps, None));
}

#[test]
fn a_minute_with_three_times_the_median_is_a_burst_and_a_small_one_is_none() {
    let at_31 = |count: u64, usual: u64| move |place: usize| if place == 91 { count } else { usual };
    let line = acme(&hours(&at_31(300, 100)), &slots(&|_| 1));
    let burst = Burst { at: at(FIRST + 91 * 60).to_string(), count: 300, median: 100 };
    assert_eq!(line.bursts, [burst]);
    assert_eq!(acme(&hours(&at_31(299, 100)), &slots(&|_| 1)).bursts, []);
    assert_eq!(acme(&hours(&at_31(61, 2)), &slots(&|_| 1)).bursts, [], "59 more are none");
    assert_eq!(acme(&hours(&at_31(62, 2)), &slots(&|_| 1)).bursts.len(), 1);
    // A median of nine minutes says nothing.
    let mut states = vec![Known::Unknown; 120];
    states[110..].fill(Known::Complete);
    let young = board(60, &states, 0, &[("acme", &|place| if place == 119 { 900 } else { 1 })]);
    assert_eq!(acme(&young, &slots(&|_| 1)).bursts, []);
}

#[test]
fn who_is_in_one_answer_alone_is_shown_with_what_is_known_of_it() {
    let hours = board(60, &[Known::Complete; 120], 0, &[("acme", &|_| 10)]);
    let slots = board(10, &[Known::Complete; 12], 0, &[("acme", &|_| 1), ("newcomer", &|_| 70)]);
    let table = table("customer", &hours, &slots);
    let names: Vec<_> = table.lines.iter().map(|line| (line.name.as_str(), line.now, line.hour)).collect();
    assert_eq!(names, [("acme", Some(0.1), Some(600)), ("newcomer", Some(7.0), Some(0))]);
    assert_eq!((table.total.now, table.total.hour), (Some(7.1), Some(600)));
    let with_others = [("acme", &|_| 10_u64 as _), (OTHERS, &|_| 5)] as [(&str, &dyn Fn(usize) -> u64); 2];
    let hours = board(60, &[Known::Complete; 120], 0, &with_others);
    let newcomer = super::table("customer", &hours, &slots).lines.pop().unwrap();
    assert_eq!((newcomer.hour, newcomer.now), (None, Some(7.0)), "it is one of all others");
}
