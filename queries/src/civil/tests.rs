use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn range(from: &str, to: &str) -> TimeRange {
    TimeRange::new(at(from), at(to))
}

fn zone(name: &str) -> Tz {
    name.parse().unwrap()
}

/// Lengths of the buckets, in minutes.
fn minutes(edges: &[Timestamp]) -> Vec<i64> {
    edges.windows(2).map(|pair| pair[1].millis_since(pair[0]) / 60_000).collect()
}

fn shown(zone: Tz, edges: &[Timestamp]) -> Vec<String> {
    edges.iter().map(|edge| rfc3339(zone, *edge)).collect()
}

#[test]
fn berlin_has_a_day_of_23_and_one_of_25_hours() {
    let berlin = zone("Europe/Berlin");
    let spring = Resolution::Day.edges(berlin, range("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"), 9);
    assert_eq!(minutes(&spring.unwrap()), [24 * 60, 23 * 60, 24 * 60]);
    let autumn = Resolution::Day.edges(berlin, range("2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"), 9);
    assert_eq!(minutes(&autumn.unwrap()), [24 * 60, 25 * 60, 24 * 60]);
}

#[test]
fn a_range_is_rounded_outward() {
    let berlin = zone("Europe/Berlin");
    let edges =
        Resolution::Day.edges(berlin, range("2026-11-20T11:00:00Z", "2026-11-20T11:00:01Z"), 9).unwrap();
    assert_eq!(shown(berlin, &edges), ["2026-11-20T00:00:00+01:00", "2026-11-21T00:00:00+01:00"]);
    let exact = Resolution::Day.edges(berlin, range("2026-11-19T23:00:00Z", "2026-11-20T23:00:00Z"), 9);
    assert_eq!(exact.unwrap(), edges);
}

#[test]
fn where_clocks_jump_over_midnight_the_day_begins_at_the_jump() {
    let sao_paulo = zone("America/Sao_Paulo");
    let date = NaiveDate::from_ymd_opt(2018, 11, 4).unwrap();
    assert_eq!(rfc3339(sao_paulo, day_start(sao_paulo, date)), "2018-11-04T01:00:00-02:00");
    let beirut = zone("Asia/Beirut");
    let date = NaiveDate::from_ymd_opt(2022, 3, 27).unwrap();
    assert_eq!(rfc3339(beirut, day_start(beirut, date)), "2022-03-27T01:00:00+03:00");
    let days =
        Resolution::Day.edges(beirut, range("2022-03-26T12:00:00Z", "2022-03-27T12:00:00Z"), 9).unwrap();
    assert_eq!(minutes(&days), [24 * 60, 23 * 60]);
}

#[test]
fn where_midnight_comes_twice_the_day_begins_at_the_first() {
    let havana = zone("America/Havana");
    let date = NaiveDate::from_ymd_opt(2024, 11, 3).unwrap();
    assert_eq!(rfc3339(havana, day_start(havana, date)), "2024-11-03T00:00:00-04:00");
    assert_eq!(Resolution::Day.next(havana, day_start(havana, date)), at("2024-11-04T05:00:00Z"));
}

#[test]
fn a_day_that_a_zone_left_out_has_no_bucket() {
    let apia = zone("Pacific/Apia");
    let days = Resolution::Day.edges(apia, range("2011-12-29T12:00:00Z", "2012-01-01T00:00:00Z"), 9).unwrap();
    assert_eq!(
        shown(apia, &days),
        [
            "2011-12-29T00:00:00-10:00",
            "2011-12-31T00:00:00+14:00",
            "2012-01-01T00:00:00+14:00",
            "2012-01-02T00:00:00+14:00"
        ]
    );
}

#[test]
fn lord_howe_has_hours_of_30_minutes() {
    let lord_howe = zone("Australia/Lord_Howe");
    let back = Resolution::Hour.edges(lord_howe, range("2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z"), 9);
    assert_eq!(minutes(&back.unwrap()), [60, 30, 60]);
    let forward = Resolution::Hour.edges(lord_howe, range("2026-10-03T14:30:00Z", "2026-10-03T17:00:00Z"), 9);
    assert_eq!(minutes(&forward.unwrap()), [60, 30, 60]);
    let days = Resolution::Day.edges(lord_howe, range("2026-10-03T12:00:00Z", "2026-10-04T14:00:00Z"), 9);
    assert_eq!(minutes(&days.unwrap()), [24 * 60, 24 * 60 - 30, 24 * 60]);
}

#[test]
fn an_hour_ends_where_the_clocks_jump_within_it() {
    // 23:30 became midnight.
    let pyongyang = zone("Asia/Pyongyang");
    let hours = Resolution::Hour.edges(pyongyang, range("2018-05-04T14:30:00Z", "2018-05-04T16:00:00Z"), 9);
    assert_eq!(minutes(&hours.unwrap()), [30, 60]);
    assert_eq!(Resolution::Day.floor(pyongyang, at("2018-05-04T15:10:00Z")), at("2018-05-04T15:00:00Z"));
}

#[test]
fn hours_of_zones_off_the_full_hour_begin_on_their_quarter() {
    let kathmandu = zone("Asia/Kathmandu");
    assert_eq!(Resolution::Hour.floor(kathmandu, at("2026-11-20T12:44:54Z")), at("2026-11-20T12:15:00Z"));
    assert_eq!(Resolution::Day.floor(kathmandu, at("2026-11-20T12:44:54Z")), at("2026-11-19T18:15:00Z"));
    let chatham = zone("Pacific/Chatham");
    assert_eq!(Resolution::Hour.floor(chatham, at("2026-11-20T12:44:54Z")), at("2026-11-20T12:15:00Z"));
}

#[test]
fn months_are_those_of_the_zone() {
    let berlin = zone("Europe/Berlin");
    let months =
        Resolution::Month.edges(berlin, range("2026-02-10T00:00:00Z", "2026-04-10T00:00:00Z"), 9).unwrap();
    assert_eq!(
        shown(berlin, &months),
        [
            "2026-02-01T00:00:00+01:00",
            "2026-03-01T00:00:00+01:00",
            "2026-04-01T00:00:00+02:00",
            "2026-05-01T00:00:00+02:00"
        ]
    );
}

#[test]
fn the_buckets_before_end_where_the_range_begins() {
    let berlin = zone("Europe/Berlin");
    let first = at("2026-03-29T22:00:00Z");
    let before = Resolution::Day.edges_before(berlin, first, 2).unwrap();
    assert_eq!(minutes(&before), [24 * 60, 23 * 60]);
    assert_eq!(before.last(), Some(&first));
    assert_eq!(Resolution::Month.edges_before(berlin, Timestamp::EPOCH, 1), None);
}

#[test]
fn more_buckets_than_allowed_are_refused() {
    let range = range("2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z");
    assert_eq!(Resolution::Minute.edges(Tz::UTC, range, 60).unwrap().len(), 61);
    assert_eq!(Resolution::Minute.edges(Tz::UTC, range, 59), None);
}

/// Every zone, a day of every week of 1970 to 2050, and every day of the weeks in which its clocks change.
#[test]
fn every_day_of_every_zone_begins_when_its_clocks_reach_midnight() {
    for zone in TZ_VARIANTS {
        let mut week = NaiveDate::from_ymd_opt(1970, 1, 3).unwrap();
        let mut offset = offset_seconds(zone, day_start(zone, week));
        while week.year() < 2050 {
            assert_midnight(zone, week);
            let next = week + Days::new(7);
            let offset_next = offset_seconds(zone, day_start(zone, next));
            if offset_next != offset {
                (1..7).for_each(|day| assert_midnight(zone, week + Days::new(day)));
            }
            (week, offset) = (next, offset_next);
        }
    }
}

/// By what the clocks show, not by how the start was found: it is the first instant at which they have reached
/// midnight, and within hours before they have not.
fn assert_midnight(zone: Tz, date: NaiveDate) {
    let start = day_start(zone, date);
    let midnight = date.and_time(NaiveTime::MIN);
    assert!(local(zone, start) >= midnight, "{zone} {date}");
    for seconds in [10, 600, 1_800, 3_600, 5_400, 7_200] {
        assert!(local(zone, start.plus_seconds(-seconds)) < midnight, "{zone} {date} {seconds} s before");
    }
    assert_eq!(start.floor_to(10), start, "{zone} {date}");
}

fn any_zone() -> impl Strategy<Value = Tz> {
    (0..TZ_VARIANTS.len()).prop_map(|at| TZ_VARIANTS[at])
}

fn any_resolution() -> impl Strategy<Value = Resolution> {
    (0..Resolution::ALL.len()).prop_map(|at| Resolution::ALL[at])
}

/// Instants of 1970 to 2060.
fn any_instant() -> impl Strategy<Value = Timestamp> {
    (1_i64..2_840_000_000_000).prop_map(Timestamp::from_millis_clamped)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn edges_grow_are_contiguous_and_cover(
        zone in any_zone(), resolution in any_resolution(), from in any_instant(), buckets in 1_i64..80,
    ) {
        let to = from.plus_seconds(buckets * resolution.seconds_about());
        let edges = resolution.edges(zone, TimeRange::new(from, to), 200).unwrap();
        prop_assert!(edges[0] <= from && *edges.last().unwrap() >= to);
        prop_assert!(edges[1] > from && edges[edges.len() - 2] < to, "rounded by more than a bucket");
        for pair in edges.windows(2) {
            prop_assert!(pair[0] < pair[1]);
            prop_assert_eq!(resolution.next(zone, pair[0]), pair[1]);
            prop_assert_eq!(resolution.floor(zone, pair[1]), pair[1]);
            prop_assert_eq!(resolution.floor(zone, pair[1].plus_millis(-1)), pair[0]);
            prop_assert_eq!(pair[1].floor_to(10), pair[1]);
        }
    }

    #[test]
    fn coarser_edges_are_edges_of_the_finer(zone in any_zone(), from in any_instant()) {
        let month = Resolution::Month.floor(zone, from);
        let day = Resolution::Day.floor(zone, from);
        let hour = Resolution::Hour.floor(zone, from);
        prop_assert!(month <= day && day <= hour && hour <= from);
        prop_assert_eq!(Resolution::Day.floor(zone, month), month);
        prop_assert_eq!(Resolution::Hour.floor(zone, day), day);
        prop_assert!(Resolution::Hour.next(zone, from).millis_since(hour) <= 3_600_000);
    }

    #[test]
    fn walking_back_is_walking_forward_reversed(
        zone in any_zone(), resolution in any_resolution(), from in any_instant(), buckets in 1_usize..40,
    ) {
        let last = resolution.floor(zone, from);
        if let Some(edges) = resolution.edges_before(zone, last, buckets) {
            let range = TimeRange::new(edges[0], last);
            prop_assert_eq!(resolution.edges(zone, range, buckets), Some(edges));
        }
    }

    #[test]
    fn what_is_shown_is_the_instant(zone in any_zone(), at in any_instant()) {
        prop_assert_eq!(Timestamp::parse_rfc3339(&rfc3339(zone, at)).unwrap(), at);
    }
}
