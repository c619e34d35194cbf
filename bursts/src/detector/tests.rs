use proptest::prelude::*;

use super::*;
use crate::{Alert, Kind, Seen, WEEK_SECONDS};

/// A Monday at midnight.
fn start() -> Timestamp {
    Timestamp::from_seconds_clamped(1_795_996_800).floor_to(WEEK_SECONDS)
}

/// Earlier weeks that were all like this.
fn weeks_of(mean: f64) -> Weeks {
    Weeks([[Some(Seen { mean, highest: mean }); 5]; 4])
}

/// A detector that is given minute after minute.
struct Run {
    detector: Detector,
    at: Timestamp,
    weeks: Weeks,
    events: Vec<Event>,
}

impl Run {
    fn new(weeks: &Weeks) -> Self {
        let detector = Detector::new(Rule::default(), Grain::Minute);
        Self { detector, at: start(), weeks: *weeks, events: Vec::new() }
    }

    /// So many minutes with this count.
    fn minutes(&mut self, minutes: usize, count: Count) -> &mut Self {
        for _ in 0..minutes {
            self.events.extend(self.detector.take(self.at, count, |_| self.weeks));
            self.at = self.at.plus_seconds(60);
        }
        self
    }

    fn alerts(&self) -> Vec<&Alert> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Begins(alert) => Some(alert),
                Event::Ends { .. } => None,
            })
            .collect()
    }
}

#[test]
fn five_times_as_much_is_told_after_two_minutes_and_once() {
    let mut run = Run::new(&weeks_of(100.0));
    run.minutes(120, Some(100)).minutes(1, Some(500));
    assert!(run.events.is_empty());
    run.minutes(1, Some(500));
    let since = run.at.plus_seconds(-120);
    let [alert] = run.alerts()[..] else { panic!("{:?}", run.events) };
    assert_eq!((alert.kind, alert.since, alert.observed), (Kind::Burst, since, 500));
    assert!((4.9..5.1).contains(&alert.ratio) && (790.0..810.0).contains(&alert.excess), "{alert:?}");
    assert!(alert.expected.low < 100.0 && alert.expected.high > 100.0 && alert.expected.high < 200.0);
    run.minutes(20, Some(500));
    assert_eq!(run.events.len(), 1);
    run.minutes(30, Some(100));
    let Event::Ends { kind: Kind::Burst, over: Over::Calm, extreme: 500, at, .. } = run.events[1] else {
        panic!("{:?}", run.events)
    };
    assert_eq!(at.millis_since(since), (22 + 5) * 60_000, "five calm minutes");
    assert_eq!(run.events.len(), 2);
}

#[test]
fn ten_seconds_tell_within_two_minutes_wherever_in_the_minute_it_begins() {
    for offset in 0..6 {
        let mut detector = Detector::new(Rule::default(), Grain::TenSeconds);
        let mut told = None;
        for tick in 0_i64..(2_000 + offset) {
            let at = start().plus_seconds(tick * 10);
            let burst_at = 1_500 + offset;
            let count = if tick >= burst_at { 100 } else { 20 };
            if let Some(Event::Begins(alert)) = detector.take(at, Some(count), |_| weeks_of(120.0)) {
                told.get_or_insert((
                    tick + 1 - burst_at,
                    alert.since.millis_since(start()) / 10_000 - burst_at,
                ));
            }
        }
        let (after, since) = told.unwrap();
        assert!(after <= 12, "told {after} times ten seconds after it began");
        assert!((-6..=6).contains(&since), "it says that it began {since} times ten seconds after it did");
    }
}

#[test]
fn one_wild_minute_is_no_burst_wherever_it_begins() {
    for offset in 0..6 {
        let mut detector = Detector::new(Rule::default(), Grain::TenSeconds);
        for tick in 0_i64..2_000 {
            let is_wild = (1_500 + offset..1_506 + offset).contains(&tick);
            let at = start().plus_seconds(tick * 10);
            let event = detector.take(at, Some(if is_wild { 200 } else { 20 }), |_| weeks_of(120.0));
            assert_eq!(event, None, "{offset}");
        }
    }
}

#[test]
fn what_is_not_known_begins_nothing_and_ends_nothing() {
    let mut run = Run::new(&weeks_of(100.0));
    run.minutes(120, Some(100)).minutes(60, None).minutes(120, Some(100));
    assert!(run.events.is_empty(), "an outage is no drop: {:?}", run.events);
    run.minutes(2, Some(600)).minutes(20, None).minutes(3, Some(600));
    assert_eq!(run.events.len(), 1, "still the same: {:?}", run.events);
    run.minutes(30, None);
    assert!(matches!(run.events[1], Event::Ends { over: Over::Unknown, .. }), "{:?}", run.events);
}

#[test]
fn traffic_that_stops_is_a_drop_and_ends_when_it_is_back() {
    let mut run = Run::new(&weeks_of(200.0));
    run.minutes(120, Some(200)).minutes(7, Some(0));
    let [alert] = run.alerts()[..] else { panic!("{:?}", run.events) };
    assert_eq!((alert.kind, alert.observed), (Kind::Drop, 0));
    run.minutes(10, Some(200));
    assert!(matches!(run.events[1], Event::Ends { kind: Kind::Drop, over: Over::Calm, extreme: 0, .. }));
}

#[test]
fn what_goes_on_becomes_the_new_level() {
    let mut run = Run::new(&weeks_of(100.0));
    run.minutes(120, Some(100)).minutes(180, Some(350));
    assert!(
        matches!(run.events[..], [Event::Begins(_), Event::Ends { over: Over::NewLevel, .. }]),
        "{:?}",
        run.events
    );
}

#[test]
fn after_one_there_is_a_while_without_another() {
    let mut run = Run::new(&weeks_of(100.0));
    run.minutes(120, Some(100));
    for _ in 0..4 {
        run.minutes(3, Some(500)).minutes(6, Some(100));
    }
    assert_eq!(run.alerts().len(), 2, "{:?}", run.events);
}

#[test]
fn a_detector_that_learns_compares_with_the_last_day() {
    let mut run = Run::new(&Weeks::default());
    run.minutes(30, Some(100)).minutes(5, Some(5_000));
    assert!(run.events.is_empty(), "nothing is known yet");
    let mut run = Run::new(&Weeks::default());
    run.minutes(120, Some(100)).minutes(3, Some(400));
    assert!(run.events.is_empty(), "four times is not enough");
    run.minutes(120, Some(100)).minutes(3, Some(3_000));
    let [alert] = run.alerts()[..] else { panic!("{:?}", run.events) };
    assert!(alert.is_learning);
}

#[test]
fn one_that_comes_later_ends_what_was_told_and_tells_nothing_twice() {
    let mut run = Run::new(&weeks_of(100.0));
    run.minutes(120, Some(100)).minutes(10, Some(500));
    let [alert] = run.alerts()[..] else { panic!("{:?}", run.events) };
    let before = Before::Going { kind: Kind::Burst, since: alert.since, extreme: 500, learned: None };
    // Another one has seen ten of these minutes, and is told what was told.
    let mut later = Run::new(&weeks_of(100.0));
    later.minutes(120, Some(100)).minutes(4, Some(500));
    later.detector.go_on_from(before, later.at);
    later.events.clear();
    later.minutes(6, Some(500));
    assert_eq!(later.events, []);
    later.minutes(5, Some(100));
    let Event::Ends { kind: Kind::Burst, since, extreme: 500, .. } = later.events[0] else {
        panic!("{:?}", later.events)
    };
    assert_eq!(since, alert.since);
    // And one that is told that it was over keeps quiet for a while.
    let mut cooling = Run::new(&weeks_of(100.0));
    cooling.minutes(120, Some(100));
    cooling.detector.go_on_from(Before::Over { at: cooling.at }, cooling.at);
    cooling.minutes(14, Some(500));
    assert_eq!(cooling.events, []);
    cooling.minutes(3, Some(500));
    assert_eq!(cooling.alerts().len(), 1);
    cooling.detector.go_on_from(Before::Nothing, cooling.at);
    cooling.minutes(1, Some(500));
    assert_eq!(cooling.alerts().len(), 2, "nothing was told");
}

#[test]
fn small_numbers_are_no_burst() {
    let mut run = Run::new(&weeks_of(0.5));
    run.minutes(600, Some(0)).minutes(5, Some(15)).minutes(120, Some(1));
    assert!(run.events.is_empty(), "{:?}", run.events);
}

proptest! {
    /// Whatever comes: what begins ends before another begins, and nothing is told of what is not known.
    #[test]
    fn what_begins_ends_before_another_begins(
        runs in prop::collection::vec((1_usize..40, prop::option::of(0_u64..5_000)), 1..40),
        mean in 0.0_f64..2_000.0,
    ) {
        let mut run = Run::new(&weeks_of(mean));
        for (minutes, count) in runs {
            let before = run.events.len();
            run.minutes(minutes, count);
            if count.is_none() {
                prop_assert!(!run.events[before..].iter().any(|event| matches!(event, Event::Begins(_))));
            }
        }
        for (at, event) in run.events.iter().enumerate() {
            prop_assert_eq!(matches!(event, Event::Begins(_)), at % 2 == 0);
        }
        prop_assert_eq!(run.detector.is_going(), run.events.len() % 2 == 1);
    }

    /// In minutes or in tens of seconds: the same bursts, however the counts are spread in a minute.
    #[test]
    fn the_same_counts_say_the_same(factor in 6_u64..20) {
        let mut of_minutes = Run::new(&weeks_of(600.0));
        of_minutes.minutes(120, Some(600)).minutes(10, Some(600 * factor));
        let mut fine = Detector::new(Rule::default(), Grain::TenSeconds);
        let mut told = 0;
        for tick in 0..780_i64 {
            let count = if tick < 720 { 100 } else { 100 * factor };
            let event = fine.take(start().plus_seconds(tick * 10), Some(count), |_| weeks_of(600.0));
            told += usize::from(matches!(event, Some(Event::Begins(_))));
        }
        prop_assert_eq!((told, of_minutes.alerts().len()), (1, 1));
    }
}
