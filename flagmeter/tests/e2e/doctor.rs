//! `flagmeter doctor` on one machine: what is well is said to be, and what is wrong is told with what mends it.

use std::fs;

use serde_json::Value;

use crate::server::{DataFolder, Output, Server};

fn doctor(folder: &DataFolder, more: &[&str]) -> Output {
    let metrics = format!("listen.metrics={}", folder.metrics_address());
    folder.run(&[&["doctor", "--set", &metrics], more].concat())
}

/// A line about something says this.
pub(crate) fn says(output: &Output, state: &str, about: &str, what: &str) {
    let starts = format!("{state:<8} {about} ");
    let found = output.stdout.lines().any(|line| line.starts_with(&starts) && line.contains(what));
    assert!(found, "no line says {what:?} of {about:?} ({state}): {output:?}");
}

#[test]
fn a_server_that_is_well_is_said_to_be_and_one_that_is_gone_is_missed() {
    let folder = DataFolder::new();
    let missing = doctor(&folder, &[]);
    assert_eq!(missing.status, Some(1));
    says(&missing, "WRONG", "data folder", "start `flagmeter serve`");

    let server = Server::start(&folder);
    let url = format!("http://{}", folder.address());
    let more = ["--url", &url, "--token", folder.operator_token()];
    let well = doctor(&folder, &more);
    assert_eq!(
        (well.status, well.stdout.lines().last()),
        (Some(0), Some("nothing is wrong with what was looked at"))
    );
    says(&well, "ok", "data folder", "in use by a flagmeter that runs");
    says(&well, "ok", "registry", "1 customer");
    says(&well, "ok", "runtime flags", "no definition is configured");
    says(&well, "note", "the way", "No hour was ever closed");
    for what in ["ready", "its clock agrees with this machine's", "as this program"] {
        says(&well, "ok", folder.metrics_address(), what);
    }
    assert_eq!(server.metric("flagmeter_build_info"), Some(1.0));
    assert!(server.metric("process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));

    let json = doctor(&folder, &[&more[..], &["--json"]].concat());
    let found: Vec<Value> = serde_json::from_str(&json.stdout).expect("JSON");
    let wrong = found.iter().filter(|finding| finding["state"] == "wrong").count();
    assert!(found.len() > 5 && wrong == 0, "{found:?}");

    server.terminate();
    let gone = doctor(&folder, &[]);
    assert_eq!(gone.status, Some(1));
    says(&gone, "note", "data folder", "no flagmeter runs on it");
    says(&gone, "WRONG", folder.metrics_address(), "start it");
    assert!(gone.stderr.contains("1 thing is to be mended"), "{gone:?}");
    Server::start(&folder).terminate();
}

#[test]
fn one_look_tells_everything_that_is_wrong() {
    let folder = DataFolder::with(&["registry.poll_interval=50ms"]);
    let _server = Server::start(&folder);
    fs::write(folder.path().join("registry.toml"), "nonsense").unwrap();
    let url = format!("http://{}", folder.address());
    let wrong = doctor(&folder, &["--url", &url, "--token", "fm_none_0"]);
    assert_eq!(wrong.status, Some(1));
    says(&wrong, "WRONG", "registry", "line 1");
    says(&wrong, "WRONG", "the way", "401");

    let flags = folder.path().join("flags.json");
    let with_flags = |text: &str| {
        fs::write(&flags, text).unwrap();
        doctor(&folder, &["--set", &format!("runtime_flags.file={}", flags.display())])
    };
    says(&with_flags("nonsense"), "WRONG", "runtime flags", "what was last good goes on");
    let one = |variant: &str| {
        format!(
            r#"{{"flags":{{"log-compression":{{"state":"ENABLED","variants":{{"on":"{variant}"}},"defaultVariant":"on"}}}}}}"#
        )
    };
    let misfit = with_flags(&one("rar"));
    says(&misfit, "note", "runtime flags", "its variant \"on\" is \"rar\", and it takes one of");
    says(&misfit, "WRONG", "runtime flags", "1 of its flags or variants would be errors");
    let well = with_flags(&one("gzip"));
    says(&well, "note", "runtime flags", "owner");
    says(&well, "ok", "runtime flags", "1 flag, 1 of them flagmeter's own");

    let refused = doctor(&folder, &["--set", "retention.raw=1s"]);
    assert_eq!(refused.status, Some(1));
    says(&refused, "WRONG", "configuration", "retention.raw");
}
