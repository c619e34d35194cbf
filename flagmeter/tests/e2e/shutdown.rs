//! Stopping in order.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::server::{DataFolder, Server, eventually};

#[test]
fn sigterm_and_sigint_lose_nothing_and_say_what_they_do() {
    let folder = DataFolder::new();
    let mut sent = 0;
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&folder);
        for _ in 0..50 {
            assert_eq!(server.post_counts(&json!({"counts": [{"flag": "a", "count": 7}]})), 202);
            sent += 7;
        }
        let said_before = folder.printed().1.len();
        server.signal(signal);
        let status = server.wait();
        let stderr = folder.printed().1.split_off(said_before);
        assert_eq!(status.code(), Some(0), "{stderr}");
        let steps = ["no new requests", "the edge", "ingest", "the downsampler", "closing", "stopped"];
        let mut rest = stderr.as_str();
        for step in steps {
            let at = rest.find(step).unwrap_or_else(|| panic!("{step:?} is not said in order:\n{stderr}"));
            rest = &rest[at..];
        }
        // Everything is in the store already: the audit of the stopped folder sees it.
        let audit = folder.run(&["audit"]);
        assert!(audit.success, "{audit:?}");
        assert!(audit.stdout.contains(&format!("received {sent} = stored {sent}")), "{}", audit.stdout);
    }
    let server = Server::start(&folder);
    assert_eq!(server.usage("a", "-1h", "now", "1h"), sent);
}

/// Begins a post and keeps its last byte back.
fn begin_post(folder: &DataFolder, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(folder.address()).expect("a connection");
    let (key, length) = (folder.environment_key(), body.len());
    let begun = &body[..length - 1];
    let head = "POST /v1/counts HTTP/1.1\r\nhost: test\r\ncontent-type: application/json";
    write!(stream, "{head}\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n{begun}")
        .expect("sent");
    stream
}

#[test]
fn a_request_that_is_open_when_the_signal_comes_is_finished_and_counted() {
    let folder = DataFolder::new();
    let mut server = Server::start(&folder);
    let body = json!({"counts": [{"flag": "open", "count": 3}]}).to_string();
    let mut open = begin_post(&folder, &body);
    // A second request on another connection: once it is answered, the first one has been taken.
    assert_eq!(server.post_counts(&json!({"counts": [{"flag": "other", "count": 1}]})), 202);
    server.signal("TERM");
    eventually("it stops listening", || TcpStream::connect(folder.address()).is_err(), |&closed| closed);
    open.write_all(&body.as_bytes()[body.len() - 1..]).expect("the last byte");
    let mut answer = String::new();
    open.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert_eq!(server.wait().code(), Some(0));
    assert!(folder.run(&["audit"]).stdout.contains("received 4 = stored 4"));
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_next_start_goes_on() {
    let folder = DataFolder::new();
    let mut server = Server::start(&folder);
    assert_eq!(server.post_counts(&json!({"counts": [{"flag": "a", "count": 5}]})), 202);
    let _open = begin_post(&folder, "{}");
    assert_eq!(server.post_counts(&json!({"counts": [{"flag": "a", "count": 5}]})), 202);
    server.signal("TERM");
    eventually("it stops listening", || TcpStream::connect(folder.address()).is_err(), |&closed| closed);
    let second_at = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(1));
    assert!(second_at.elapsed() < Duration::from_secs(5), "it did not wait for the open request");
    assert!(folder.printed().1.contains("stopped at once"));
    let server = Server::start(&folder);
    eventually("nothing is lost", || server.usage("a", "-1h", "now", "1h"), |&count| count == 10);
}

#[test]
fn the_folder_of_a_killed_server_can_be_audited_and_tells_what_is_in_flight() {
    let folder = DataFolder::new();
    let server = Server::start(&folder);
    for _ in 0..3 {
        assert_eq!(server.post_counts(&json!({"counts": [{"flag": "a", "count": 5}]})), 202);
    }
    server.kill();
    let audit = folder.run(&["audit"]);
    assert!(audit.success, "{audit:?}");
    let numbers = audit.stdout.lines().find(|line| line.starts_with("acme:")).unwrap_or_default();
    let number = |label: &str| -> u64 {
        let (_, rest) = numbers.split_once(label).unwrap_or_default();
        rest.split(|letter: char| !letter.is_ascii_digit())
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    };
    assert_eq!(number("received ") + number("in flight besides "), 15, "{audit:?}");
}

#[test]
fn an_audit_finds_what_was_lost_with_the_log_and_does_not_call_it_in_flight() {
    let folder = DataFolder::new();
    let server = Server::start(&folder);
    assert_eq!(server.post_counts(&json!({"counts": [{"flag": "a", "count": 5}]})), 202);
    assert!(server.terminate().success());
    // The journal knows what was received; what was made of it is gone.
    for entry in fs::read_dir(folder.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("store.sqlite") || name.starts_with("log.sqlite") {
            fs::remove_file(&path).expect("removed");
        }
    }
    let audit = folder.run(&["audit"]);
    assert_eq!(audit.status, Some(1), "{audit:?}");
    assert!(audit.stdout.contains("5 are lost") && audit.stdout.contains("in flight besides 0"), "{audit:?}");
}
