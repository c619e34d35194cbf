//! README's commands for Kafka and InfluxDB, as they stand there.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use super::servers::Servers;

/// The section, and the language of the block that is run.
const SECTION: &str = "## Kafka and InfluxDB";
const FENCE: &str = "```sh";
/// How long all of it may take.
const WITHIN: Duration = Duration::from_mins(10);

/// The commands of the section.
fn commands(readme: &str) -> String {
    let (_, section) = readme.split_once(SECTION).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let (_, block) = section.split_once(FENCE).expect("a block of commands");
    block.split("\n```").next().unwrap_or_default().to_owned()
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn the_commands_of_the_readme_do_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the top level");
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    let binary = Path::new(env!("CARGO_BIN_EXE_flagmeter")).parent().expect("its folder");
    let path = env::join_paths(
        [binary.to_owned()].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
    );
    let servers = Servers::from_environment();
    // README leaves these as they are; other tests on the same servers must not meet its counts.
    let name = format!("readme-{:016x}", rand::random::<u64>());
    let script = format!(
        "set -euo pipefail\ntrap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT\n{}",
        commands(&readme)
    );
    let output = Command::new("timeout")
        .args(["--verbose", &WITHIN.as_secs().to_string(), "bash", "-c", &script])
        .current_dir(root)
        .env("PATH", path.expect("a path"))
        .env("FLAGMETER_KAFKA_TOPIC", &name)
        .env("FLAGMETER_INFLUX_PREFIX", &name)
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    servers.delete_buckets(&name);
    servers.delete_topics(&name);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let agreements = stdout.lines().filter(|line| line.starts_with("agrees: ")).count();
    assert_eq!(agreements, 2, "the load and the audit:\n{stdout}\n{stderr}");
    assert!(stdout.contains("\"region\":\"eu-west\""), "{stdout}");
}
