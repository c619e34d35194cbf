//! A request is followed from its answer to the log line that says where it was stored.

use serde_json::{Value, json};

use crate::{
    http,
    server::{DataFolder, Server, eventually},
};

/// The first log line of which this holds.
fn line(folder: &DataFolder, holds: impl Fn(&Value) -> bool) -> Option<Value> {
    let (_, stderr) = folder.printed();
    stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).find(holds)
}

#[test]
fn a_name_leads_from_the_answer_to_the_line_that_stored_it() {
    let level = "logging.level=info,flagmeter_edge=debug,flagmeter_ingest=debug";
    let folder = DataFolder::with(&["logging.format=json", level]);
    let server = Server::start(&folder);
    let key = format!("Bearer {}", folder.environment_key());
    let post = |key: &str, name: &str| {
        let headers = [("authorization", key), ("x-request-id", name)];
        let body = json!({ "counts": [{ "flag": "checkout", "count": 3 }] }).to_string();
        http::post(&folder.address(), "/v1/counts", &headers, &body).expect("an answer")
    };
    let answer = post(&key, "from-an-sdk-7");
    assert_eq!((answer.status, answer.header("x-request-id")), (202, Some("from-an-sdk-7")));
    let is_in = |line: &Value| line["requests"].as_str().is_some_and(|names| names.contains("from-an-sdk-7"));
    let sealed =
        eventually("its seal is told", || line(&folder, is_in), Option::is_some).expect("it is there");
    let is_stored = |line: &Value| {
        line["target"].as_str().is_some_and(|target| target.starts_with("flagmeter_ingest"))
            && (&line["node"], &line["seq"]) == (&sealed["node"], &sealed["seq"])
    };
    eventually("that seal is told to be stored", || line(&folder, is_stored), Option::is_some);
    assert_eq!(post("Bearer nobody", "refused-8").status, 401);
    let refused = |line: &Value| line["request"] == "refused-8" && line["reason"] == "unknown_key";
    eventually("the refusal is told", || line(&folder, refused), Option::is_some);
    drop(server);
}
