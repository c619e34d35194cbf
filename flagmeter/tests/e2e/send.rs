//! Loads through each door, held against what the server has.

use std::{fs, process::Stdio, thread};

use crate::server::{DataFolder, Output, Server, binary, eventually, run, signal};

fn send(folder: &DataFolder, more: &[&str]) -> Output {
    let (url, key) = (format!("http://{}", folder.address()), folder.environment_key());
    let mut args = vec!["send", "--url", &url, "--key", &key, "--rate", "300", "--duration", "1s"];
    args.extend(more);
    run(&args, &[("FLAGMETER_TOKEN", folder.operator_token())])
}

#[test]
fn what_each_door_acknowledges_is_there_to_the_last_count() {
    let folder = DataFolder::new();
    let _server = Server::start(&folder);
    // All at once: each load knows its own counts by the name it gives itself.
    thread::scope(|scope| {
        for (door, flags) in [("flagsmith-v1", "100"), ("flagsmith-v2", "100"), ("counts", "4000")] {
            let folder = &folder;
            scope.spawn(move || {
                // More flags than one answer of the API tells apart.
                let sent = send(folder, &["--door", door, "--flags", flags, "--entries", "50", "--compare"]);
                assert!(sent.success, "{door}: {sent:?}");
                let (_, agrees) = sent.stdout.split_once("agrees: ").unwrap_or_default();
                let acknowledged = agrees.split(' ').next().unwrap_or_default().replace(',', "");
                assert!(acknowledged.parse::<u64>().is_ok_and(|counts| counts > 0), "{}", sent.stdout);
                assert!(sent.stdout.contains("p99.9"), "{}", sent.stdout);
            });
        }
    });
}

#[test]
fn a_record_is_compared_and_what_is_missing_is_told() {
    let folder = DataFolder::new();
    let _server = Server::start(&folder);
    let record = folder.path().with_extension("jsonl");
    let path = record.to_str().expect("a readable path");
    let sent = send(&folder, &["--door", "counts", "--shape", "burst", "--flags", "5", "--record", path]);
    assert!(sent.success, "{sent:?}");

    let (url, token) = (format!("http://{}", folder.address()), folder.operator_token());
    let against = || run(&["audit", "--url", &url, "--token", token, "--against", path], &[]);
    let agrees = against();
    assert!(agrees.success && agrees.stdout.contains("agrees"), "{agrees:?}");

    // One acknowledgement more than there was.
    let mut text = fs::read_to_string(&record).unwrap();
    let line = text.lines().last().expect("a line").to_owned();
    text += &line;
    fs::write(&record, text).unwrap();
    let differs = against();
    assert_eq!(differs.status, Some(1), "{differs:?}");
    assert!(differs.stdout.contains("counts missing"), "{}", differs.stdout);
}

#[test]
fn a_wrong_key_is_refused_and_nothing_is_called_acknowledged() {
    let folder = DataFolder::new();
    let _server = Server::start(&folder);
    let url = format!("http://{}", folder.address());
    let record = folder.path().with_extension("jsonl");
    let path = record.to_str().expect("a readable path");
    let load = ["send", "--url", &url, "--key", "nobodys", "--rate", "50", "--duration", "200ms"];
    let token = folder.operator_token();
    for more in [&["--record", path][..], &["--compare", "--token", token]] {
        let sent = run(&[&load, more].concat(), &[]);
        assert!(sent.stdout.contains("acknowledged  0 ") && sent.stdout.contains("answered 40"), "{sent:?}");
        assert_eq!(sent.status, Some(1), "{sent:?}");
        assert!(sent.stderr.contains("nothing was acknowledged"), "{sent:?}");
    }
    let against = run(&["audit", "--url", &url, "--token", token, "--against", path], &[]);
    assert_eq!(against.status, Some(1), "{against:?}");
    assert!(against.stderr.contains("nothing to compare"), "{against:?}");
}

#[test]
fn a_signal_ends_a_comparison() {
    let folder = DataFolder::new();
    let server = Server::start(&folder);
    let (url, key) = (format!("http://{}", folder.address()), folder.environment_key());
    let stdout = folder.path().with_extension("stdout");
    let send = binary()
        .args(["send", "--url", &url, "--key", &key, "--duration", "300ms", "--compare"])
        .args(["--token", folder.operator_token()])
        .stdout(fs::File::create(&stdout).unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let printed = || fs::read_to_string(&stdout).unwrap();
    eventually("the load is over", printed, |printed| printed.contains("latency"));
    // From now on no answer comes: the comparison would go on for long.
    server.signal("STOP");
    signal(&send, "INT");
    let ended = send.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code() == Some(1) && stderr.contains("stopped before"), "{ended:?}");
}
