//! `flagmeter top` against a running server.

use serde_json::{Value, json};

use crate::server::{DataFolder, Output, Server, eventually, run};

fn top(folder: &DataFolder, token: &str, args: &[&str]) -> Output {
    let url = format!("http://{}", folder.address());
    let args = [&["top", "--url", &url], args].concat();
    run(&args, &[("FLAGMETER_TOKEN", token)])
}

fn table(folder: &DataFolder, token: &str, args: &[&str]) -> Value {
    let output = top(folder, token, &[&["--once", "--json"], args].concat());
    assert!(output.success, "{output:?}");
    serde_json::from_str(&output.stdout).expect("JSON")
}

#[test]
fn one_table_tells_what_was_counted_by_customer_for_operators_and_by_flag_for_customers() {
    let folder = DataFolder::new();
    let server = Server::start(&folder);
    let counts = json!({"counts": [{"flag": "結帳", "count": 12}, {"flag": "ميزة", "count": 5}]});
    let operator = folder.operator_token();
    // A rate is of the last 10 seconds: it is counted on until one is seen.
    let rate = || {
        assert_eq!(server.post_counts(&counts), 202);
        table(&folder, operator, &[])["total"]["now"].as_f64()
    };
    eventually("a rate is shown", rate, |rate| rate.is_some_and(|rate| rate > 0.0));
    let by_customer = table(&folder, operator, &[]);
    assert_eq!(by_customer["by"], "customer");
    assert_eq!(by_customer["missing_nodes"], json!([]));
    let customers = by_customer["lines"].as_array().expect("lines");
    assert_eq!(customers.len(), 1, "{by_customer}");
    let name = customers[0]["name"].as_str().expect("a name");
    assert_eq!(customers[0]["sparkline"].as_array().map(Vec::len), Some(60));
    assert!(customers[0]["sparkline"][0].is_null(), "an hour ago nobody was there: {by_customer}");

    let made = folder.run(&["token", "create", "customer", "--customer", name]);
    let token = made.stdout.trim();
    let by_flag = eventually(
        "the token is taken",
        || top(&folder, token, &["--once", "--json"]),
        |output| output.success,
    );
    let by_flag: Value = serde_json::from_str(&by_flag.stdout).expect("JSON");
    let names: Vec<_> = by_flag["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| line["name"].as_str().unwrap_or_default())
        .collect();
    assert_eq!((by_flag["by"].as_str(), names), (Some("flag"), vec!["ميزة", "結帳"]));

    let printed = top(&folder, token, &[]);
    assert!(printed.success && printed.stdout.starts_with("flagmeter top  "), "{printed:?}");
    assert!(printed.stdout.contains("結帳") && !printed.stdout.contains('\u{1b}'), "{printed:?}");
    drop(server);
}

#[test]
fn what_is_wrong_is_said_in_a_sentence() {
    let folder = DataFolder::new();
    let server = Server::start(&folder);
    let none = run(&["top", "--once"], &[("FLAGMETER_TOKEN", "")]);
    assert_eq!(none.status, Some(2), "{none:?}");
    assert!(none.stderr.contains("--token-file"), "{none:?}");
    let refused = top(&folder, "fm_0123456789ab_guess", &["--once"]);
    assert!(!refused.success && refused.stderr.contains("needs a token"), "{refused:?}");
    server.terminate();
    let away = top(&folder, "fm_0123456789ab_guess", &["--once"]);
    assert!(!away.success && away.stderr.contains("cannot connect"), "{away:?}");
}
