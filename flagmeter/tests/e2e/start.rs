//! What a start does, and what stops it.

use std::{fs, net::TcpListener, process::Command};

use serde_json::{Value, json};

use crate::{
    http,
    server::{DataFolder, Server, eventually, run},
};

#[test]
fn the_first_start_prints_a_curl_that_counts_and_one_that_reads() {
    let folder = DataFolder::new();
    let server = Server::start(&folder);
    let curls = eventually("two curls", || curls(&folder.printed().0), |curls| curls.len() == 2);

    let counted = ask(&curls[0]);
    assert_eq!(counted["accepted"], json!(1), "{counted}");
    let read = || {
        ask(&curls[1])["rows"]
            .as_array()
            .map_or(0, |rows| rows.iter().filter_map(|row| row["count"].as_u64()).sum::<u64>())
    };
    eventually("the count can be read", read, |&count| count > 0);

    server.terminate();
    let again = Server::start(&folder);
    let (stdout, _) = folder.printed();
    let tokens = stdout.matches("Bearer fm_").count() - stdout.matches("Bearer fm_env_").count();
    assert_eq!(tokens, 1, "the token is shown once:\n{stdout}");
    again.terminate();
}

/// The commands of the output, each on lines of its own, continued by backslashes.
fn curls(stdout: &str) -> Vec<String> {
    let joined = stdout.replace("\\\n", " ");
    joined.lines().map(str::trim).filter(|line| line.starts_with("curl ")).map(ToOwned::to_owned).collect()
}

/// Sends what a curl would send. The shell takes the command apart, as it would for curl, which need not be there.
fn ask(command: &str) -> Value {
    let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}; {command}");
    let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    let words = String::from_utf8(output.stdout).expect("readable words");
    let (mut url, mut body, mut headers) = ("", None, Vec::new());
    let mut words = words.split_terminator('\0');
    while let Some(word) = words.next() {
        match word {
            "-sS" => {}
            "-X" => assert_eq!(words.next(), Some("POST")),
            "-H" => headers.push(words.next().and_then(|header| header.split_once(": ")).expect("a header")),
            "-d" => body = words.next(),
            _ => url = word,
        }
    }
    let (address, path) = url.strip_prefix("http://").and_then(|url| url.split_once('/')).expect("a URL");
    let path = format!("/{path}");
    // Our own client sends this header by itself.
    headers.retain(|header| *header != ("Content-Type", "application/json"));
    let answer = match body {
        Some(body) => http::post(address, &path, &headers, body),
        None => http::get(address, &path, &headers),
    };
    let answer = answer.expect("an answer").body;
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{command}: {error}: {answer}"))
}

#[test]
fn a_data_folder_in_use_is_told_in_one_sentence() {
    let folder = DataFolder::new();
    let server = Server::start(&folder);
    let second = folder.run(&["serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
    one_sentence(&second.stderr, second.status, &["in use", "--data"]);
    let audit = folder.run(&["audit"]);
    one_sentence(&audit.stderr, audit.status, &["in use", "--url"]);
    server.terminate();
    assert!(folder.run(&["audit"]).success);
}

#[test]
fn a_data_folder_of_a_newer_version_or_one_that_cannot_be_written_is_told_in_one_sentence() {
    let folder = DataFolder::new();
    Server::start(&folder).terminate();
    fs::write(folder.path().join("version"), "2\n").unwrap();
    let newer = folder.run(&["serve"]);
    one_sentence(&newer.stderr, newer.status, &["version \"2\"", "newer"]);

    let file = folder.path().join("a-file");
    fs::write(&file, "").unwrap();
    let below = file.join("data");
    let unwritable = run(&["serve", "--data", below.to_str().unwrap()], &[]);
    one_sentence(&unwritable.stderr, unwritable.status, &["cannot be written", "a-file"]);
}

#[test]
fn a_port_in_use_is_told_with_the_setting_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = DataFolder::new();
    let refused = folder.run(&["serve", "--listen", &address, "--metrics", "127.0.0.1:0"]);
    one_sentence(&refused.stderr, refused.status, &[&address, "listen.http"]);
}

#[test]
fn a_registry_that_is_configured_and_missing_is_told_and_not_made() {
    let folder = DataFolder::new();
    let missing = folder.path().with_extension("registry.toml");
    let setting = format!("registry.file={}", missing.display());
    let listen = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let refused = folder.run(&[&["serve", "--set", &setting], &listen[..]].concat());
    one_sentence(&refused.stderr, refused.status, &[missing.to_str().unwrap(), "cannot be read"]);
    assert!(!missing.exists());
}

#[test]
fn a_bad_configuration_stops_the_start_with_setting_value_and_fix() {
    let folder = DataFolder::new();
    let refused = folder.run(&["serve", "--set", "edge.node=5000"]);
    one_sentence(&refused.stderr, refused.status, &["edge.node", "\"5000\"", "1023"]);

    let file = folder.path().with_extension("toml");
    fs::write(&file, "[retention]\nraw = \"1d\"\n").unwrap();
    let path = file.to_str().unwrap();
    let refused = run(&["config", "check", path], &[]);
    one_sentence(
        &refused.stderr,
        refused.status,
        &["retention.raw", "\"1d\"", "line 2", "edge.accepted_lateness"],
    );

    fs::write(&file, "[edge]\nnoed = 1\n").unwrap();
    let refused = run(&["config", "check", path], &[]);
    one_sentence(&refused.stderr, refused.status, &["edge.noed", "did you mean edge.node?"]);

    let refused = run(&["config", "check"], &[("FLAGMETER_LISTEN_HTTP", "localhost")]);
    one_sentence(&refused.stderr, refused.status, &["listen.http", "\"localhost\"", "FLAGMETER_LISTEN_HTTP"]);

    fs::write(&file, run(&["config", "print"], &[]).stdout).unwrap();
    let taken = run(&["config", "check", path], &[]);
    assert_eq!((taken.success, taken.stdout.as_str()), (true, "ok\n"), "{taken:?}");
}

#[test]
fn a_wrong_command_line_ends_with_status_2() {
    assert_eq!(run(&["serve", "--no-such-flag"], &[]).status, Some(2));
    assert_eq!(run(&["config", "print", "--set", "edge.node"], &[]).status, Some(2));
    for range in [["--from", "-30s"], ["--to", "-9999w"]] {
        let nothing = run(&["audit", range[0], range[1]], &[]);
        assert_eq!(nothing.status, Some(2), "{nothing:?}");
        assert!(nothing.stderr.contains("nothing lies in this range"), "{nothing:?}");
    }
}

/// One line on stderr, exit status 1.
fn one_sentence(stderr: &str, status: Option<i32>, holds: &[&str]) {
    assert_eq!(status, Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in holds {
        assert!(stderr.contains(part), "{part:?} is not in {stderr:?}");
    }
}
