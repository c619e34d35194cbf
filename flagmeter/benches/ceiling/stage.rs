//! The binary: commands that set up, and `ingest`, watched from outside.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{Result, http, load::PARTITIONS, servers::Servers};

/// How long ingest may stand.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL_EVERY: Duration = Duration::from_millis(10);

/// What ingest did, as seen from outside.
pub(crate) struct Used {
    /// From the first step that was stored to the last.
    pub(crate) took: Duration,
    /// Points that were stored in this time.
    pub(crate) points: u64,
    /// The same for all points.
    pub(crate) took_for_all: Duration,
    /// Seconds of the processors that it used in this time.
    pub(crate) processor: f64,
}

/// Where everything is.
pub(crate) fn settings(servers: &Servers, topic: &str) -> Vec<(&'static str, String)> {
    vec![
        ("FLAGMETER_KAFKA_BROKERS", servers.kafka.clone()),
        ("FLAGMETER_KAFKA_TOPIC", topic.to_owned()),
        ("FLAGMETER_KAFKA_PARTITIONS", PARTITIONS.to_string()),
        ("FLAGMETER_KAFKA_REPLICATION", "1".to_owned()),
        ("FLAGMETER_KAFKA_MIN_INSYNC_REPLICAS", "1".to_owned()),
        ("FLAGMETER_INFLUX_URL", servers.influx_url.clone()),
        ("FLAGMETER_INFLUX_ORG", servers.influx_org.clone()),
        ("FLAGMETER_INFLUX_TOKEN", servers.influx_token.clone()),
    ]
}

fn binary(settings: &[(&'static str, String)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flagmeter"));
    for (name, _) in env::vars().filter(|(name, _)| name.starts_with("FLAGMETER_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(settings.iter().cloned()).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn command(settings: &[(&'static str, String)], arguments: &[&str]) -> Result<()> {
    let output = binary(settings, arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("flagmeter {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)).into())
}

/// Kills it in the end: what it was asked to store is stored by then.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Lets ingest store so many points, and measures from the first step that is stored to the last: how long it takes
/// to join its group says nothing.
pub(crate) fn ingest(settings: &[(&'static str, String)], points: u64) -> Result<Used> {
    let mut command = binary(settings, &["ingest", "--metrics", "127.0.0.1:0"]);
    let mut running = Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
    let pid = running.0.id();
    let address = metrics_at(running.0.stdout.take().ok_or("its output is piped")?)?;
    let mut wait_for = |least: u64| -> Result<(u64, Instant)> {
        let until = Instant::now() + PATIENCE;
        loop {
            let (stored, at) = (stored(&address), Instant::now());
            if stored >= least {
                return Ok((stored, at));
            }
            if let Some(status) = running.0.try_wait()? {
                return Err(format!("flagmeter ingest ended: {status}").into());
            }
            if at > until {
                return Err(format!("flagmeter ingest has stored {stored} points of {points} only").into());
            }
            thread::sleep(POLL_EVERY);
        }
    };
    let (first, began) = wait_for(1)?;
    let before = cpu_seconds(pid);
    let (_, ended) = wait_for(points)?;
    let (took, measured) = (ended - began, points.saturating_sub(first));
    Ok(Used {
        took,
        points: measured,
        took_for_all: took.mul_f64(points as f64 / measured.max(1) as f64),
        processor: cpu_seconds(pid) - before,
    })
}

/// Where its metrics are, as it says in its greeting: the port is one that was free.
fn metrics_at(output: ChildStdout) -> Result<String> {
    let mut greeting = String::new();
    BufReader::new(output).read_line(&mut greeting)?;
    let told = greeting.split_once("metrics on http://").and_then(|(_, rest)| rest.split_once('/'));
    let (address, _) =
        told.ok_or_else(|| format!("flagmeter ingest says where no metrics are: {greeting:?}"))?;
    Ok(address.to_owned())
}

/// Points that the store took; 0 while nothing answers.
fn stored(address: &str) -> u64 {
    let value = || {
        let answer = http::get(address, "/metrics", &[])?;
        let value =
            answer.body.lines().find_map(|line| line.strip_prefix("flagmeter_ingest_points_total"))?;
        value.trim().parse().ok()
    };
    value().unwrap_or_default()
}

/// Seconds of the processors that a process has used; 0 where the system does not tell.
fn cpu_seconds(pid: u32) -> f64 {
    let used = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name in brackets, which may hold anything, user and system time are fields 11 and 12.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some((user + system) as f64 / 100.0)
    };
    used().unwrap_or_default()
}
