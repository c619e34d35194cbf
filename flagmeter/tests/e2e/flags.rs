//! Runtime flags under a running server: a file that changes, decisions that are counted, and the commands.

use std::fs;

use crate::server::{DataFolder, Server, eventually, run};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runtime-flags.example.json");

#[test]
fn a_change_is_taken_while_the_server_runs_a_bad_one_refused_and_the_last_good_one_outlives_a_restart() {
    let shared = tempfile::tempdir().unwrap();
    let path = shared.path().join("flags.json");
    let file = format!("runtime_flags.file={}", path.display());
    let folder = DataFolder::with(&[&file, "runtime_flags.poll_interval=50ms"]);
    let server = Server::start(&folder);
    assert_eq!(server.metric("flagmeter_flags_source_good"), Some(0.0), "there is no file yet");
    let example = fs::read_to_string(EXAMPLE).unwrap();
    fs::write(
        &path,
        example.replace(
            "\"owner\": \"on-call\", \"remove_by\": \"2027-06-30\"",
            "\"remove_by\": \"2026-01-01\"",
        ),
    )
    .unwrap();
    let changed = || server.metric("flagmeter_flags_last_change_timestamp_seconds{flag=\"log-compression\"}");
    eventually("the definition is taken", changed, |at| at.is_some_and(|at| at > 0.0));
    // Lines are written after what is measured.
    let printed = || folder.printed().1;
    for says in ["runtime flag log-sampling: it has no owner", "removed by 2026-01-01"] {
        eventually("a notice is told", printed, |stderr| stderr.contains(says));
    }
    eventually(
        "the starter's one customer is shown",
        || server.metric("flagmeter_flags_customers{flag=\"log-compression\",variant=\"gzip\"}"),
        |&customers| customers == Some(1.0),
    );
    // Whole at once: no look sees it empty.
    let broken = shared.path().join("broken.json");
    fs::write(&broken, "{").unwrap();
    fs::rename(&broken, &path).unwrap();
    let refused = || server.metric("flagmeter_flags_source_good");
    eventually("the bad one is refused", refused, |&good| good == Some(0.0));
    eventually("that is told", printed, |stderr| stderr.contains("those before go on: line 1 column 1"));
    server.terminate();
    let server = Server::start(&folder);
    eventually(
        "the last good one goes on",
        || server.metric("flagmeter_flags_customers{flag=\"log-compression\",variant=\"gzip\"}"),
        |&customers| customers == Some(1.0),
    );
}

#[test]
fn flagmeter_counts_the_decisions_of_its_own_flags() {
    let folder = DataFolder::new();
    Server::start(&folder).terminate();
    let key = format!("runtime_flags.exposures_key={}", folder.environment_key());
    let folder = folder.and_with(&[&key, "runtime_flags.poll_interval=200ms"]);
    let server = Server::start(&folder);
    let counted = || server.usage("log-sampling", "-1h", "now", "10s");
    eventually("decisions are counted like any evaluation", counted, |&count| count > 0);
    assert!(server.metric("flagmeter_flags_exposures_posted_total") > Some(0.0));
    assert_eq!(server.metric("flagmeter_flags_exposures_failures_total"), Some(0.0));
}

#[test]
fn a_definition_can_be_checked_and_asked_before_it_is_used() {
    let checked = run(&["flags", "check", EXAMPLE], &[]);
    assert_eq!(checked.stdout, "ok: 4 flags, 3 of them flagmeter's own\n", "{}", checked.stderr);
    let asked =
        |flag: &str, customer: &str| run(&["flags", "evaluate", EXAMPLE, flag, "--customer", customer], &[]);
    let gzip = r#"{"key":"log-compression","reason":"TARGETING_MATCH","value":"gzip","variant":"gzip"}"#;
    assert_eq!(asked("log-compression", "acme").stdout.trim(), gzip);
    let split = r#"{"key":"log-compression","reason":"SPLIT","value":"off","variant":"off"}"#;
    assert_eq!(asked("log-compression", "hooli").stdout.trim(), split);
    let absent = asked("absent", "acme");
    assert_eq!(absent.status, Some(1));
    assert!(absent.stdout.contains("\"errorCode\":\"FLAG_NOT_FOUND\""), "{}", absent.stdout);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    let example = fs::read_to_string(EXAMPLE).unwrap();
    fs::write(&path, example.replace("\"off\": \"off\"", "\"off\": false")).unwrap();
    let wrong = run(&["flags", "check", path.to_str().unwrap()], &[]);
    assert_eq!(wrong.status, Some(1));
    assert!(wrong.stdout.contains("its variant \"off\" is false, and it takes one of"), "{}", wrong.stdout);
    fs::write(&path, example.replacen("[\"off\", 80]", "[\"none\", 80]", 1)).unwrap();
    let wrong = run(&["flags", "check", path.to_str().unwrap()], &[]);
    assert_eq!(wrong.status, Some(1));
    assert!(
        wrong.stdout.contains("log-compression: it is the safe default, because its rule names \"none\""),
        "{}",
        wrong.stdout
    );
    fs::write(&path, example.replace("ENABLED", "DISABLED")).unwrap();
    let disabled =
        run(&["flags", "evaluate", path.to_str().unwrap(), "log-compression", "--customer", "acme"], &[]);
    assert_eq!(disabled.stdout.trim(), r#"{"holds":"off","key":"log-compression","reason":"DISABLED"}"#);
    fs::write(&path, "{").unwrap();
    let wrong = run(&["flags", "check", path.to_str().unwrap()], &[]);
    assert!(wrong.stderr.contains("line 1 column 1 is not JSON"), "{}", wrong.stderr);
    assert!(run(&["flags", "list"], &[]).stdout.contains("log-compression: how edges compress"));
}

#[cfg(feature = "tls")]
mod over_tls {
    use std::{
        net::TcpStream,
        path::Path,
        process::{Child, Command, Stdio},
    };

    use super::*;
    use crate::server::free_address;

    /// A server of files with TLS, which OpenSSL has. It ends when it is dropped.
    struct Files(Child);

    impl Drop for Files {
        fn drop(&mut self) {
            let _ended_already = self.0.kill();
            let _status = self.0.wait();
        }
    }

    fn openssl(folder: &Path, arguments: &str) -> Command {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(folder).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// `NAME.crt` and `NAME.key`: of localhost, by itself.
    fn certificate(folder: &Path, name: &str) {
        let made = openssl(
            folder,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name} \
                 -addext subjectAltName=DNS:localhost -keyout {name}.key -out {name}.crt"
            ),
        );
        assert!({ made }.status().expect("openssl is there: apt-get install openssl").success(), "{name}");
    }

    #[test]
    fn a_definition_comes_over_tls_from_a_server_that_is_trusted_and_from_no_other() {
        let folder = tempfile::tempdir().unwrap();
        certificate(folder.path(), "server");
        certificate(folder.path(), "other");
        fs::copy(EXAMPLE, folder.path().join("flags.json")).unwrap();
        let address = free_address();
        let (_, port) = address.split_once(':').unwrap();
        let serve = format!("s_server -accept {port} -cert server.crt -key server.key -WWW");
        let _files = Files(openssl(folder.path(), &serve).spawn().unwrap());
        eventually("it listens", || TcpStream::connect(&address).is_ok(), |&listens| listens);

        let url = format!("runtime_flags.url=https://localhost:{port}/flags.json");
        let doctor = |trusted: &str| {
            let trusted = folder.path().join(trusted);
            run(&["doctor", "--set", &url], &[("SSL_CERT_FILE", trusted.to_str().unwrap())]).stdout
        };
        let about = |told: &str| {
            let lines = told.lines().filter(|line| line.contains("runtime flags"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let trusted = about(&doctor("server.crt"));
        let says = "https://localhost:".to_owned() + port + "/flags.json: 4 flags, 3 of them flagmeter's own";
        assert!(trusted.iter().any(|line| line.starts_with("ok") && line.ends_with(&says)), "{trusted:?}");
        let other = about(&doctor("other.crt"));
        assert!(
            other.len() == 1
                && other[0].starts_with("WRONG")
                && other[0].contains("certificate verify failed"),
            "{other:?}"
        );
    }
}
