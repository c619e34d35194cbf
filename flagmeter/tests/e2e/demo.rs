//! `flagmeter demo`, from an empty folder to Ctrl-C.

use std::{fs, process::Child};

use serde_json::Value;

use crate::{
    http,
    server::{binary, eventually, free_address, run, signal},
};

/// Nothing is left running by an assertion that fails.
struct KilledWhenDropped(Child);

impl Drop for KilledWhenDropped {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn a_demo_has_history_a_fleet_and_addresses_and_stops_in_order() {
    let temp = tempfile::tempdir().unwrap();
    let (data, stdout) = (temp.path().join("demo"), temp.path().join("stdout"));
    let (address, metrics) = (free_address(), free_address());
    let demo = binary()
        .args(["demo", "--days", "2", "--listen", &address, "--metrics", &metrics, "--data"])
        .arg(&data)
        .stdout(fs::File::create(&stdout).unwrap())
        .stderr(fs::File::create(temp.path().join("stderr")).unwrap())
        .spawn()
        .unwrap();
    let mut demo = KilledWhenDropped(demo);
    let printed = || fs::read_to_string(&stdout).unwrap();
    let ready = eventually("it is ready", printed, |printed| printed.contains("Ready after"));
    let (_, token) = ready.split_once("sign in with\n\n  ").unwrap();
    let authorization = format!("Bearer {}", token.lines().next().unwrap());
    let get = |path: &str| -> Value {
        let answer = http::get(&address, path, &[("authorization", &authorization)]).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    };

    let history = get("/v1/usage?from=-36h&to=-2h&resolution=1h&group_by=customer");
    let rows = history["rows"].as_array().unwrap();
    assert!(rows.len() >= 34 * 4, "{} rows", rows.len());
    assert!(rows.iter().all(|row| row["state"] == "complete"), "history is known, not guessed");
    let flowing = || get("/v1/usage?from=-30s&to=now&resolution=10s")["total"].as_u64();
    eventually("the fleet counts", flowing, |total| total.is_some_and(|total| total > 0));

    signal(&demo.0, "INT");
    assert_eq!(demo.0.wait().unwrap().code(), Some(0));
    let audit = run(&["audit", "--data", data.to_str().unwrap()], &[]);
    assert!(audit.success && audit.stdout.contains("agrees"), "{audit:?}");
}
