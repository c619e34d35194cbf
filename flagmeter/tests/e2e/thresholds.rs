//! A threshold of a plan is told once, however often the server is killed.

use std::fs;

use serde_json::json;

use crate::server::{DataFolder, Server, eventually};

const FEED: &str = "/v1/billing/thresholds";

/// What is told, in percent, in order.
fn told(server: &Server<'_>) -> Vec<u64> {
    let answer = server.get(FEED);
    let crossings = answer["crossings"].as_array().expect("crossings").iter();
    crossings.map(|crossing| crossing["percent"].as_u64().expect("percent")).collect()
}

#[test]
fn a_threshold_is_told_once_however_often_the_server_is_killed() {
    let folder = DataFolder::with(&["registry.poll_interval=50ms"]);
    let server = Server::start(&folder);
    let path = folder.path().join("registry.toml");
    let registry = fs::read_to_string(&path).expect("the registry");
    let post = |server: &Server<'_>, count: u64, total: u64| {
        assert_eq!(server.post_counts(&json!({"counts": [{"flag": "a", "count": count}]})), 202);
        eventually("it is counted", || server.usage("a", "-1h", "now", "1h"), |&counted| counted == total);
    };
    post(&server, 60, 60);
    assert_eq!(told(&server), [] as [u64; 0]);
    server.terminate();
    // From now on there is a plan.
    let plan = "[customer.plan]\nevaluations = 100\nthresholds = [50, 60, 100]\nhard_thresholds = [120]\n\n[[customer.project]]";
    fs::write(&path, registry.replacen("[[customer.project]]", plan, 1)).expect("written");
    for _ in 0..3 {
        let server = Server::start(&folder);
        eventually("both are told", || told(&server), |told| *told == [50, 60]);
        server.kill();
    }
    let server = Server::start(&folder);
    post(&server, 60, 120);
    server.kill();
    let server = Server::start(&folder);
    eventually("all are told", || told(&server), |told| *told == [50, 60, 100, 120]);
    let to_date = server.get("/v1/billing/usage-to-date?customer=acme");
    assert_eq!(to_date["meters"][0]["percent_used"], "120.00");
    assert_eq!(to_date["meters"][0]["thresholds"][3]["crossed"], true);
}
