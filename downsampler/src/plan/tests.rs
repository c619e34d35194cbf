//! Each rule of the design by example.

use flagmeter_model::{Environment, Name, NodeId, NodeProgress, Window};
use flagmeter_store::{Frontier, Frontiers};

use super::*;

/// An instant of 2026-11-20, as `h:mm` or `h:mm:ss`.
fn at(clock: &str) -> Timestamp {
    let text = if clock.len() <= 5 { format!("{clock:0>5}:00") } else { format!("{clock:0>8}") };
    Timestamp::parse_rfc3339(&format!("2026-11-20T{text}Z")).expect("a time")
}

fn node(number: u16, partition: u32, watermark: &str, heard_at: &str) -> NodeProgress {
    NodeProgress {
        partition,
        node: NodeId::new(number).expect("a node"),
        watermark: at(watermark),
        heard_at: at(heard_at),
        farewell: false,
        region: None,
    }
}

/// One live node at 12:07:30; minutes whole until 12:05, quarters until 12:00, hours until 12:00.
fn state() -> State {
    let whole = |clock| Frontier { announced: None, whole: Some(at(clock)) };
    State {
        progress: vec![node(1, 0, "12:07:30", "12:07:31")],
        frontiers: Frontiers {
            minute: Frontier { announced: Some(at("12:05")), whole: Some(at("12:05")) },
            quarter: whole("12:00"),
            hour: whole("12:00"),
        },
        raw_first: Some(at("9:00")),
        ..State::default()
    }
}

fn steps_at(now: &str, phase: Phase, state: &State) -> Vec<Step> {
    plan(phase, state, &[], &Config::default(), at(now)).steps
}

fn steps(phase: Phase, state: &State) -> Vec<Step> {
    steps_at("12:08", phase, state)
}

fn announce(until: &str) -> Vec<Step> {
    vec![Step::Announce { until: at(until) }]
}

fn roll_and_advance(tier: Tier, from: &str, until: &str) -> Vec<Step> {
    vec![
        Step::Roll(Rolling::Range(tier, TimeRange::new(at(from), at(until)))),
        Step::Advance { tier, until: at(until) },
    ]
}

fn environment(customer: &str) -> Environment {
    let name = |text| Name::new(text).expect("a name");
    Environment { customer: name(customer), project: name("web"), environment: name("live") }
}

fn new_mark(tier: Tier, start: &str, customer: &str) -> NewMark {
    NewMark {
        window: Window::starting(tier, at(start)).expect("aligned"),
        environment: environment(customer),
    }
}

fn mark(tier: Tier, start: &str, customer: &str, token: u64) -> Mark {
    let NewMark { window, environment } = new_mark(tier, start, customer);
    Mark { window, environment, tokens: vec![token] }
}

#[test]
fn before_the_first_seal_nothing_is_due() {
    let state = State { raw_first: Some(at("9:00")), ..State::default() };
    for phase in Phase::ROLLING.into_iter().chain(Phase::CLOSING) {
        assert_eq!(plan(phase, &state, &[], &Config::default(), at("12:00")), Plan::default(), "{phase:?}");
    }
}

#[test]
fn a_minute_is_announced_once_every_live_node_and_partition_has_passed_it() {
    let mut state = state();
    assert_eq!(steps(Phase::Announce, &state), announce("12:07"));
    state.progress.push(node(2, 0, "12:06:10", "12:07:31"));
    assert_eq!(steps(Phase::Announce, &state), announce("12:06"), "the slowest node counts");
    state.progress.push(node(1, 1, "12:05:59", "12:06:40"));
    assert_eq!(steps(Phase::Announce, &state), [], "the slowest partition counts");
}

#[test]
fn a_silent_node_is_left_out_and_a_node_that_said_farewell_is_not_waited_for() {
    let mut state = state();
    state.progress.push(node(2, 0, "11:00:00", "12:06:31"));
    assert_eq!(steps(Phase::Announce, &state), [], "60 s of silence is not too long");
    state.progress[1].heard_at = at("12:06:30");
    assert_eq!(steps(Phase::Announce, &state), announce("12:07"), "61 s is");
    state.progress[1] = NodeProgress { farewell: true, ..node(2, 0, "11:00:00", "12:07:00") };
    assert_eq!(steps(Phase::Announce, &state), announce("12:07"));
}

#[test]
fn the_last_node_standing_holds_the_windows_open_when_it_dies() {
    assert_eq!(
        steps_at("19:00", Phase::Announce, &state()),
        announce("12:07"),
        "no further, however late it is"
    );
}

#[test]
fn a_watermark_that_lies_behind_the_frontier_moves_nothing() {
    let mut state = state();
    // A node that returns after days.
    state.progress.push(node(2, 0, "10:00", "12:07:31"));
    for phase in Phase::ROLLING.into_iter().chain(Phase::CLOSING).filter(|&phase| phase != Phase::Retain) {
        assert_eq!(steps(phase, &state), [], "{phase:?}");
    }
}

#[test]
fn minutes_are_rolled_up_as_far_as_they_are_announced_and_then_called_whole() {
    let mut state = state();
    assert_eq!(steps(Phase::Roll(Tier::Minute), &state), [], "not before they are announced");
    state.frontiers.minute.announced = Some(at("12:07"));
    assert_eq!(
        steps(Phase::Roll(Tier::Minute), &state),
        roll_and_advance(Tier::Minute, "12:05", "12:07"),
        "in this order"
    );
}

#[test]
fn nothing_is_announced_before_every_partition_was_read() {
    let mut state = State { partitions: 2, ..state() };
    assert_eq!(steps(Phase::Announce, &state), []);
    state.progress.push(node(1, 1, "12:06:30", "12:07:31"));
    assert_eq!(steps(Phase::Announce, &state), announce("12:06"));
}

#[test]
fn the_first_time_minutes_begin_with_the_first_raw_point_as_read_after_the_announcement() {
    let mut state = State { frontiers: Frontiers::default(), ..state() };
    state.raw_first = Some(at("11:59"));
    assert_eq!(steps(Phase::Announce, &state), announce("12:07"));
    assert_eq!(
        steps(Phase::Roll(Tier::Minute), &state),
        [],
        "the announcement is not known to have been made"
    );
    state.frontiers.minute.announced = Some(at("12:07"));
    // It came in just before the announcement, and has no mark.
    state.raw_first = Some(at("11:58"));
    assert_eq!(steps(Phase::Roll(Tier::Minute), &state), roll_and_advance(Tier::Minute, "11:58", "12:07"));
}

#[test]
fn without_raw_points_the_frontiers_go_straight_to_the_low_watermark() {
    let mut state = State { frontiers: Frontiers::default(), raw_first: None, ..state() };
    assert_eq!(steps(Phase::Announce, &state), announce("12:07"));
    state.frontiers.minute.announced = Some(at("12:07"));
    let advance = |tier, until| vec![Step::Advance { tier, until: at(until) }];
    assert_eq!(steps(Phase::Roll(Tier::Minute), &state), advance(Tier::Minute, "12:07"));
    state.frontiers.minute.whole = Some(at("12:07"));
    assert_eq!(steps(Phase::Roll(Tier::Quarter), &state), advance(Tier::Quarter, "12:00"));
    state.frontiers.quarter.whole = Some(at("12:00"));
    assert_eq!(steps(Phase::Roll(Tier::Hour), &state), advance(Tier::Hour, "12:00"));
}

#[test]
fn a_quarter_is_due_once_its_minutes_are_whole_and_an_hour_once_its_quarters_are() {
    let mut state = state();
    state.frontiers.minute.whole = Some(at("12:14"));
    assert_eq!(steps(Phase::Roll(Tier::Quarter), &state), []);
    state.frontiers.minute.whole = Some(at("12:16"));
    assert_eq!(steps(Phase::Roll(Tier::Quarter), &state), roll_and_advance(Tier::Quarter, "12:00", "12:15"));
    state.frontiers.quarter.whole = Some(at("12:45"));
    assert_eq!(steps(Phase::Roll(Tier::Hour), &state), []);
    state.frontiers.quarter.whole = Some(at("13:00"));
    assert_eq!(steps(Phase::Roll(Tier::Hour), &state), roll_and_advance(Tier::Hour, "12:00", "13:00"));
}

#[test]
fn dirty_windows_are_rolled_up_then_their_parents_marked_then_their_own_marks_cleared() {
    let marks = [
        mark(Tier::Minute, "11:01", "acme", 4),
        mark(Tier::Minute, "11:02", "acme", 5),
        mark(Tier::Minute, "11:02", "zeta", 9),
    ];
    let plan = plan(Phase::Reroll(Tier::Minute), &state(), &marks, &Config::default(), at("12:08"));
    assert_eq!(
        plan.steps,
        [
            Step::Roll(Rolling::Windows(vec![
                new_mark(Tier::Minute, "11:01", "acme"),
                new_mark(Tier::Minute, "11:02", "acme"),
                new_mark(Tier::Minute, "11:02", "zeta"),
            ])),
            Step::Mark(vec![
                new_mark(Tier::Quarter, "11:00", "acme"),
                new_mark(Tier::Quarter, "11:00", "zeta")
            ]),
            Step::Clear(marks.to_vec()),
        ]
    );
    assert!(!plan.more);
}

#[test]
fn what_is_above_a_dirty_hour_is_the_ledger() {
    let marks = [mark(Tier::Hour, "10:00", "acme", 1)];
    let plan = plan(Phase::Reroll(Tier::Hour), &state(), &marks, &Config::default(), at("12:08"));
    assert_eq!(
        plan.steps,
        [
            Step::Roll(Rolling::Windows(vec![new_mark(Tier::Hour, "10:00", "acme")])),
            Step::Correct(vec![new_mark(Tier::Hour, "10:00", "acme")]),
            Step::Clear(marks.to_vec())
        ]
    );
}

#[test]
fn marks_on_windows_that_are_not_yet_whole_wait() {
    let mut state = state();
    state.frontiers.quarter.whole = Some(at("11:00"));
    let marks = [mark(Tier::Quarter, "10:45", "acme", 1), mark(Tier::Quarter, "11:00", "acme", 2)];
    let plan = plan(Phase::Reroll(Tier::Quarter), &state, &marks, &Config::default(), at("12:08"));
    assert_eq!(plan.steps.last(), Some(&Step::Clear(vec![mark(Tier::Quarter, "10:45", "acme", 1)])));
    state.dirty_first = [None, Some(at("11:00")), None];
    assert_eq!(marks_due(Tier::Quarter, &state), None);
    state.dirty_first = [None, Some(at("10:45")), None];
    assert_eq!(marks_due(Tier::Quarter, &state), Some(at("11:00")));
    assert_eq!(marks_due(Tier::Minute, &state), None);
}

#[test]
fn a_long_catch_up_goes_forward_in_pieces() {
    let mut state = state();
    let config = Config::default();
    state.progress = vec![node(1, 0, "23:00:30", "23:00:31")];
    let now = at("23:01");
    let announced = plan(Phase::Announce, &state, &[], &config, now);
    assert_eq!((announced.steps, announced.more), (announce("13:05"), true));
    state.frontiers.minute.announced = Some(at("14:00"));
    let rolled = plan(Phase::Roll(Tier::Minute), &state, &[], &config, now);
    assert_eq!((rolled.steps, rolled.more), (roll_and_advance(Tier::Minute, "12:05", "13:05"), true));
    // More is due, though everything announced is whole.
    state.frontiers.minute.whole = Some(at("14:00"));
    assert!(plan(Phase::Announce, &state, &[], &config, now).more);
    let few = Config { bounds: crate::Bounds { dirty: 1, ..config.bounds }, ..config };
    let marks = [mark(Tier::Minute, "11:01", "acme", 4)];
    assert!(plan(Phase::Reroll(Tier::Minute), &state, &marks, &few, now).more);
}

#[test]
fn time_in_which_nothing_was_counted_is_stepped_over() {
    let mut state = state();
    state.progress = vec![node(1, 0, "23:00:30", "23:00:31")];
    state.raw_first = Some(at("22:58"));
    assert_eq!(steps_at("23:01", Phase::Announce, &state), announce("23:00"), "at once, not in pieces");
    state.frontiers.minute.announced = Some(at("23:00"));
    assert_eq!(
        steps_at("23:01", Phase::Roll(Tier::Minute), &state),
        roll_and_advance(Tier::Minute, "22:58", "23:00")
    );
    state.frontiers.minute.whole = Some(at("23:00"));
    assert_eq!(
        steps_at("23:01", Phase::Roll(Tier::Quarter), &state),
        roll_and_advance(Tier::Quarter, "22:45", "23:00")
    );
    state.raw_first = None;
    assert_eq!(
        steps_at("23:01", Phase::Roll(Tier::Quarter), &state),
        [Step::Advance { tier: Tier::Quarter, until: at("23:00") }]
    );
}

#[test]
fn a_node_whose_clock_is_ahead_takes_no_window_beyond_our_own_clock() {
    assert_eq!(steps_at("12:06:59", Phase::Announce, &state()), announce("12:06"));
    assert_eq!(steps_at("10:00", Phase::Announce, &state()), [], "nor does ours go back");
}

mod retention {
    use super::*;

    /// Everything is whole until 2026-11-20T12:00, and retention is 2, 4 and 6 hours.
    fn kept() -> (State, Config) {
        let mut state = state();
        state.frontiers.minute = Frontier { announced: Some(at("12:35")), whole: Some(at("12:35")) };
        state.frontiers.quarter.whole = Some(at("12:30"));
        let hours = |hours| Some(Duration::from_hours(hours));
        let retention = crate::Retention { raw: hours(2), minute: hours(4), quarter: hours(6) };
        (state, Config { retention, ..Config::default() })
    }

    fn floors(raw: &str, minute: &str, quarter: &str) -> Floors {
        let at = |clock: &str| Some(clock).filter(|clock| !clock.is_empty()).map(at);
        Floors { raw: at(raw), minute: at(minute), quarter: at(quarter) }
    }

    fn retained(state: &State, config: &Config, now: Timestamp) -> Floors {
        match plan(Phase::Retain, state, &[], config, now).steps.as_slice() {
            [] => state.floors,
            [Step::Retain(floors)] => *floors,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn floors_lie_on_the_hour_and_move_only_forward() {
        let (mut state, config) = kept();
        assert_eq!(retained(&state, &config, at("12:36")), floors("10:00", "8:00", "6:00"));
        state.floors = floors("10:00", "8:00", "6:00");
        assert_eq!(
            plan(Phase::Retain, &state, &[], &config, at("12:59")).steps,
            [],
            "nothing to do until 13:00"
        );
        state.floors = floors("11:00", "8:00", "7:00");
        assert_eq!(plan(Phase::Retain, &state, &[], &config, at("12:36")).steps, [], "never back");
    }

    #[test]
    fn what_is_kept_for_ever_has_no_floor() {
        let (state, mut config) = kept();
        config.retention = crate::Retention { raw: config.retention.raw, minute: None, quarter: None };
        assert_eq!(retained(&state, &config, at("12:36")), floors("10:00", "", ""));
    }

    #[test]
    fn nothing_is_deleted_before_every_coarser_tier_has_it() {
        let (mut state, config) = kept();
        state.frontiers.hour.whole = Some(at("7:00"));
        assert_eq!(retained(&state, &config, at("12:36")), floors("7:00", "7:00", "6:00"));
        state.frontiers.hour.whole = None;
        assert_eq!(retained(&state, &config, at("12:36")), Floors::default());
    }

    #[test]
    fn nothing_is_deleted_that_a_dirty_window_still_needs() {
        let (mut state, config) = kept();
        state.dirty_first = [Some(at("9:59")), None, None];
        assert_eq!(
            retained(&state, &config, at("12:36")),
            floors("9:00", "8:00", "6:00"),
            "a minute needs its raw points"
        );
        state.dirty_first = [Some(at("5:59")), None, None];
        assert_eq!(
            retained(&state, &config, at("12:36")),
            floors("5:00", "5:00", "5:00"),
            "and all that lies above it will be rolled up again"
        );
        state.dirty_first = [None, Some(at("7:45")), None];
        assert_eq!(
            retained(&state, &config, at("12:36")),
            floors("10:00", "7:00", "6:00"),
            "a quarter needs its minutes, but no raw points"
        );
        state.dirty_first = [None, None, Some(at("4:00"))];
        assert_eq!(
            retained(&state, &config, at("12:36")),
            floors("10:00", "8:00", "4:00"),
            "an hour needs its quarters"
        );
    }

    #[test]
    fn a_clock_that_jumps_makes_nothing_old_that_is_not() {
        let (state, config) = kept();
        let next_year = at("12:36").plus_seconds(365 * 86_400);
        assert_eq!(retained(&state, &config, next_year), floors("10:00", "8:00", "6:00"));
        assert_eq!(retained(&state, &config, at("9:10")), floors("7:00", "5:00", "3:00"));
        assert_eq!(retained(&state, &config, Timestamp::EPOCH), Floors::default());
    }
}
