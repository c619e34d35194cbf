//! Days, hours and months of many zones against a plain sum over what was counted.

use chrono::{Datelike as _, TimeZone as _};
use chrono_tz::Tz;
use flagmeter_model::Timestamp;
use serde_json::{Value, json};

use super::bench::{Bench, acme, at, each, flag};

/// Zones with a change of clocks, or with an offset off the hour, and a week of 2026 around the change.
const WEEKS: [(&str, &str); 8] = [
    ("Europe/Berlin", "2026-10-22T00:00:00Z"),
    ("Europe/Berlin", "2026-03-26T00:00:00Z"),
    ("America/New_York", "2026-03-05T00:00:00Z"),
    ("Asia/Kathmandu", "2026-06-01T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-02T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-01T00:00:00Z"),
    ("Pacific/Chatham", "2026-04-02T00:00:00Z"),
    ("Asia/Beirut", "2026-03-26T00:00:00Z"),
];

/// A count for every 17 minutes of a week, most of it rolled up.
async fn week(bench: &Bench, from: Timestamp) -> Vec<(Timestamp, u64)> {
    let to = from.plus_seconds(7 * 86_400);
    let points: Vec<_> =
        (0..593_u64).map(|n| (from.plus_seconds(i64::try_from(n).unwrap() * 1_020), n % 13 + 1)).collect();
    let owner = acme();
    let counts: Vec<_> =
        points.iter().map(|(time, count)| (&owner, flag("checkout"), *time, *count)).collect();
    bench.seal(from, to, &counts).await;
    bench.roll_up(from, from.plus_seconds(5 * 86_400)).await;
    points
}

fn sum(points: &[(Timestamp, u64)], is_meant: impl Fn(Timestamp) -> bool) -> u64 {
    points.iter().filter(|(time, _)| is_meant(*time)).map(|(_, count)| count).sum()
}

fn moment(row: &Value, member: &str) -> Timestamp {
    at(row[member].as_str().unwrap())
}

#[tokio::test]
async fn days_and_hours_of_every_zone_add_up_to_what_was_counted() {
    for (zone_name, from) in WEEKS {
        let bench = Bench::new();
        let from = at(from);
        let points = week(&bench, from).await;
        let zone: Tz = zone_name.parse().unwrap();
        let (first, last) = (from.plus_seconds(36 * 3_600), from.plus_seconds(132 * 3_600));
        for resolution in ["1d", "1h", "15m"] {
            let query = format!("/v1/usage?from={first}&to={last}&tz={zone_name}&resolution={resolution}");
            let answer = bench.get(&query).await.json();
            for row in answer["rows"].as_array().unwrap() {
                let (start, end) = (moment(row, "start"), moment(row, "end"));
                let expected = sum(&points, |time| start <= time && time < end);
                assert_eq!(row["count"], expected, "{zone_name} {resolution} {row}");
                assert_eq!(row["state"], "complete", "{zone_name} {resolution} {row}");
            }
            let (start, end) = (moment(&answer, "from"), moment(&answer, "to"));
            assert_eq!(answer["total"], sum(&points, |time| start <= time && time < end), "{zone_name}");
        }
        let days = bench.get(&format!("/v1/usage?from={first}&to={last}&tz={zone_name}&resolution=1d")).await;
        for row in days.json()["rows"].as_array().unwrap() {
            let date = row["start"].as_str().unwrap().get(..10).unwrap();
            let on_date = |time: Timestamp| {
                let local = zone.from_utc_datetime(&time.to_chrono().naive_utc());
                format!("{}-{:02}-{:02}", local.year(), local.month(), local.day()) == date
            };
            assert_eq!(row["count"], sum(&points, on_date), "{zone_name} {date}");
        }
    }
}

#[tokio::test]
async fn a_day_of_25_hours_is_one_row_and_25_rows() {
    let bench = Bench::new();
    week(&bench, at("2026-10-22T00:00:00Z")).await;
    let query = "/v1/usage?from=2026-10-25&to=2026-10-26&tz=Europe/Berlin";
    let day = bench.get(&format!("{query}&resolution=1d")).await.json();
    assert_eq!(each(&day, "start"), ["2026-10-25T00:00:00+02:00"]);
    assert_eq!(each(&day, "end"), ["2026-10-26T00:00:00+01:00"]);
    let hours = bench.get(&format!("{query}&resolution=1h")).await.json();
    assert_eq!(hours["rows"].as_array().unwrap().len(), 25);
    assert_eq!(hours["total"], day["total"]);
}

#[tokio::test]
async fn a_customer_sees_its_own_days_unless_it_asks_for_others() {
    let bench = Bench::new();
    week(&bench, at("2026-10-22T00:00:00Z")).await;
    let query = "/v1/usage?from=2026-10-25&to=2026-10-26&resolution=1d";
    let own = bench.get_as(&bench.acme, query).await.json();
    assert_eq!((&own["tz"], &own["from"]), (&json!("Europe/Berlin"), &json!("2026-10-25T00:00:00+02:00")));
    let asked = bench.get_as(&bench.acme, &format!("{query}&tz=UTC")).await.json();
    assert_eq!((&asked["tz"], &asked["from"]), (&json!("UTC"), &json!("2026-10-25T00:00:00Z")));
    assert_eq!(bench.get(query).await.json()["tz"], "UTC", "operators have no zone of their own");
}
