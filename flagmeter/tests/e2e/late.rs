//! Late data reaches every tier by itself.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use crate::server::{DataFolder, Server, eventually, run};

const TIERS: [&str; 4] = ["10s", "1m", "15m", "1h"];

/// The times below are read from the server, so that nothing depends on the clock of the test.
fn complete_until(server: &Server<'_>) -> Option<DateTime<Utc>> {
    let answer = server.get("/v1/usage?from=-1h&to=now");
    answer["complete_until"].as_str().and_then(|text| text.parse().ok())
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[test]
fn counts_for_windows_that_are_rolled_up_appear_in_every_tier() {
    let folder = DataFolder::new();
    let server = Server::start(&folder);
    assert_eq!(server.post_counts(&json!({"counts": [{"flag": "now", "count": 1}]})), 202);
    let until = eventually("something is complete", || complete_until(&server), Option::is_some).unwrap();

    // A minute, a quarter and an hour that are over, of five hours ago; each twice, the second time when the
    // first is rolled up already.
    let hour = until - chrono::TimeDelta::hours(5);
    let (from, to) = (text(hour - chrono::TimeDelta::hours(2)), text(hour + chrono::TimeDelta::hours(2)));
    let mut expected = 0;
    for (count, seconds) in [(10, 0), (100, 30), (1_000, 600), (10_000, 1_900), (100_000, 0)] {
        let at = text(hour + chrono::TimeDelta::seconds(seconds));
        let before = TIERS.map(|tier| sum(&server, &from, &to, tier));
        assert_eq!(before, [expected; 4], "the answers agree before");
        assert_eq!(server.post_counts(&json!({"counts": [{"flag": "late", "count": count, "at": at}]})), 202);
        expected += count;
        let stored = || sum(&server, &from, &to, "10s");
        eventually("the late count is there", stored, |&sum| sum == expected);
        let between = TIERS.map(|tier| sum(&server, &from, &to, tier));
        assert_eq!(between, [expected; 4], "the answers agree between, from whatever tier they come");
        let dirty = || server.metric("flagmeter_downsampler_dirty_windows");
        eventually("nothing waits to be rolled up", dirty, |&waiting| waiting == Some(0.0));
    }
    let after = TIERS.map(|tier| sum(&server, &from, &to, tier));
    assert_eq!(after, [expected; 4], "the answers agree after");

    let token = folder.operator_token().to_owned();
    let url = format!("http://{}", folder.address());
    let audit = run(&["audit", "--url", &url, "--token", &token], &[]);
    assert!(audit.success, "{audit:?}");
    server.terminate();
    let audit = folder.run(&["audit"]);
    assert!(audit.success && audit.stdout.contains("agrees"), "{audit:?}");
    assert!(audit.stdout.contains(" 0 windows waiting"), "late counts were not rolled up: {audit:?}");
}

/// Hours of the range are whole in every resolution: it is widened to the hour.
fn sum(server: &Server<'_>, from: &str, to: &str, resolution: &str) -> u64 {
    let floor = |text: &str| format!("{}:00:00Z", &text[..13]);
    server.usage("late", &floor(from), &floor(to), resolution)
}
