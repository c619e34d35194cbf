use proptest::prelude::*;

use super::*;

fn instant() -> impl Strategy<Value = Timestamp> {
    (0..=Timestamp::MAX.as_millis()).prop_map(Timestamp::from_millis_clamped)
}

/// Ranges that are near enough to meet, empty and inside-out ones included.
fn range() -> impl Strategy<Value = TimeRange> {
    let near = || (0..40_i64).prop_map(Timestamp::from_millis_clamped);
    (near(), near()).prop_map(|(from, to)| TimeRange::new(from, to))
}

fn instants(range: TimeRange) -> Vec<i64> {
    (0..50).filter(|&at| range.contains(Timestamp::from_millis_clamped(at))).collect()
}

proptest! {
    #[test]
    fn floor_and_ceiling_are_the_nearest_multiples(at in instant(), seconds in 1..100_000_i64) {
        let (floor, ceiling) = (at.floor_to(seconds), at.ceil_to(seconds));
        let grid = seconds * 1_000;
        prop_assert_eq!(floor.as_millis() % grid, 0);
        prop_assert!(floor <= at && at.millis_since(floor) < grid);
        prop_assert!(at <= ceiling && ceiling.millis_since(at) < grid);
        prop_assert!(ceiling.as_millis() % grid == 0 || ceiling == Timestamp::MAX);
        prop_assert_eq!(floor.floor_to(seconds), floor);
        prop_assert_eq!(floor.ceil_to(seconds), floor);
    }

    #[test]
    fn arithmetic_stays_within_bounds_whatever_is_added(at in instant(), more: i64) {
        for moved in [at.plus_millis(more), at.plus_seconds(more), at.floor_to(more), at.ceil_to(more)] {
            prop_assert!((Timestamp::EPOCH..=Timestamp::MAX).contains(&moved));
        }
        let clamped = Timestamp::from_millis_clamped(more);
        prop_assert_eq!(Timestamp::from_millis(more).is_ok(), clamped.as_millis() == more);
        prop_assert_eq!(clamped, more.clamp(0, Timestamp::MAX.as_millis()).try_into().expect("within bounds"));
    }

    #[test]
    fn what_is_shown_reads_back(at in instant()) {
        prop_assert_eq!(Timestamp::parse_rfc3339(&at.to_string()), Ok(at));
        prop_assert_eq!(at.to_chrono().timestamp_millis(), at.as_millis());
    }

    #[test]
    fn arbitrary_text_never_panics(text: String) {
        let _ = Timestamp::parse_rfc3339(&text);
    }

    #[test]
    fn every_instant_lies_in_exactly_one_slot(at in instant()) {
        let slot = Slot::containing(at);
        prop_assert!(slot.start() <= at && at.millis_since(slot.start()) < Slot::SECONDS * 1_000);
        prop_assert_eq!(Slot::from_number(slot.number()), Ok(slot));
        prop_assert_eq!(Slot::containing(slot.start()), slot);
        prop_assert!(slot.end() == Timestamp::MAX || Slot::containing(slot.end()).number() == slot.number() + 1);
    }

    #[test]
    fn a_range_is_the_set_of_its_instants(a in range(), b in range()) {
        let (of_a, of_b) = (instants(a), instants(b));
        let both: Vec<i64> = of_a.iter().copied().filter(|at| of_b.contains(at)).collect();
        prop_assert_eq!(a.is_empty(), of_a.is_empty());
        prop_assert_eq!(a.overlaps(b), !both.is_empty());
        prop_assert_eq!(a.overlaps(b), b.overlaps(a));
        prop_assert_eq!(instants(a.intersection(b)), both);
    }
}

#[test]
fn offsets_and_fractions_are_read() {
    let at = Timestamp::from_millis(1_795_178_694_250).expect("in range");
    assert_eq!(Timestamp::parse_rfc3339("2026-11-20T12:44:54.25Z"), Ok(at));
    assert_eq!(Timestamp::parse_rfc3339("2026-11-20T18:14:54.250999+05:30"), Ok(at));
    assert_eq!(at.to_string(), "2026-11-20T12:44:54.250Z");
    assert_eq!(Timestamp::EPOCH.to_string(), "1970-01-01T00:00:00Z");
    assert_eq!(Timestamp::MAX.to_string(), "2261-01-01T00:00:00Z");
}

#[test]
fn times_out_of_range_are_refused_not_bent() {
    for text in ["1969-12-31T23:59:59Z", "2261-01-01T00:00:00.001Z", "9999-12-31T23:59:59Z"] {
        assert!(matches!(Timestamp::parse_rfc3339(text), Err(Error::TimeOutOfRange(_))), "{text}");
    }
    for text in ["", "yesterday", "2026-11-20", "2026-11-20T12:44:54", "2026-02-30T00:00:00Z"] {
        assert!(matches!(Timestamp::parse_rfc3339(text), Err(Error::TimeUnreadable(_))), "{text}");
    }
    assert!(serde_json::from_str::<Timestamp>("-1").is_err());
    assert!(Slot::from_number(u32::MAX).is_err());
}

#[test]
fn nanoseconds_of_every_instant_fit_an_i64() {
    assert!(Timestamp::MAX.as_millis().checked_mul(1_000_000).is_some());
}
