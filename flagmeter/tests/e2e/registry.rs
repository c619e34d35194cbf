//! The registry's file under a running server.

use std::fs;

use serde_json::json;

use crate::server::{DataFolder, Server, eventually, run};

#[test]
fn a_bad_edit_is_refused_and_a_good_one_taken_while_the_server_runs() {
    let folder = DataFolder::with(&["registry.poll_interval=50ms"]);
    let server = Server::start(&folder);
    let path = folder.path().join("registry.toml");
    let good = fs::read_to_string(&path).unwrap();
    let (key, count) = (folder.environment_key(), json!({"counts": [{"flag": "a", "count": 1}]}));

    fs::write(&path, good.replace("id = \"web\"", "id = web")).unwrap();
    let refused = || server.metric("flagmeter_registry_refused_total");
    eventually("the bad edit is refused", refused, |&times| times == Some(1.0));
    let (_, stderr) = folder.printed();
    assert!(stderr.contains("line 11"), "{stderr}");
    assert_eq!(server.post_counts_with(&key, &count), 202);

    fs::write(&path, good.replace(&key, "another-key")).unwrap();
    eventually(
        "the new key is taken",
        || server.post_counts_with("another-key", &count),
        |&status| status == 202,
    );
    assert_eq!(server.post_counts_with(&key, &count), 401);
    server.terminate();

    fs::write(&path, "nonsense").unwrap();
    let server = Server::start(&folder);
    assert_eq!(server.post_counts_with("another-key", &count), 202, "the good copy goes on");
}

#[test]
fn a_registry_can_be_checked_before_it_is_used() {
    let folder = DataFolder::new();
    Server::start(&folder).terminate();
    let path = folder.path().join("registry.toml");
    let checked = run(&["registry", "check", path.to_str().unwrap()], &[]);
    assert_eq!(checked.stdout, "ok: 1 customer, 1 project, 1 environment, 1 key, 0 plans\n");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("time_zone = \"UTC\"", "time_zone = \"Mars\"")).unwrap();
    let refused = run(&["registry", "check", path.to_str().unwrap()], &[]);
    assert_eq!(refused.status, Some(1));
    assert!(refused.stderr.contains("line 8") && refused.stderr.contains("Mars"), "{}", refused.stderr);
}
