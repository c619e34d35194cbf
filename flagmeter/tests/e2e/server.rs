//! The binary as a process, with a data folder of its own.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::http;

const READY_WITHIN: Duration = Duration::from_mins(4);
const STOPPED_WITHIN: Duration = Duration::from_mins(4);
const POLL_EVERY: Duration = Duration::from_millis(10);

/// A data folder and the addresses of the server that works on it, the same over all its starts.
pub(crate) struct DataFolder {
    folder: tempfile::TempDir,
    address: String,
    metrics_address: String,
    token: OnceLock<String>,
    settings: Vec<String>,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running server. Killed when it is dropped.
pub(crate) struct Server<'a> {
    folder: &'a DataFolder,
    child: Child,
}

impl DataFolder {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With settings such as `edge.node=3`.
    pub(crate) fn with(settings: &[&str]) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            address: free_address(),
            metrics_address: free_address(),
            token: OnceLock::new(),
            settings: settings.iter().map(ToString::to_string).collect(),
        }
    }

    /// With further settings for its next starts.
    pub(crate) fn and_with(mut self, settings: &[&str]) -> Self {
        self.settings.extend(settings.iter().map(ToString::to_string));
        self
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// `host:port` of the doors and the API.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// `host:port` of the metrics.
    pub(crate) fn metrics_address(&self) -> &str {
        &self.metrics_address
    }

    /// The key of the registry that the first start has made.
    pub(crate) fn environment_key(&self) -> String {
        let registry = fs::read_to_string(self.path().join("registry.toml")).expect("a registry");
        let (_, rest) = registry.split_once("keys = [\"").expect("keys");
        rest.split('"').next().expect("a key").to_owned()
    }

    /// A token that reads everything: the one that the first start shows.
    pub(crate) fn operator_token(&self) -> &str {
        self.token.get_or_init(|| {
            let shown = || self.printed().0.split_once("sign in with\n  ").map(|(_, rest)| rest.to_owned());
            let rest = eventually("the first start shows a token", shown, Option::is_some);
            rest.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
        })
    }

    /// Runs a command of the binary on this folder, to its end.
    pub(crate) fn run(&self, command: &[&str]) -> Output {
        let mut args = command.to_vec();
        let path = self.path();
        args.extend(["--data", path.to_str().expect("a readable path")]);
        run(&args, &[])
    }

    /// All that its servers have written to stdout and stderr.
    pub(crate) fn printed(&self) -> (String, String) {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        (read("stdout"), read("stderr"))
    }

    fn append_to(&self, name: &str) -> Stdio {
        let path = self.folder.path().join(name);
        fs::File::options().create(true).append(true).open(path).expect("a file for output").into()
    }
}

impl<'a> Server<'a> {
    /// Starts it and waits until it says that it is ready.
    pub(crate) fn start(folder: &'a DataFolder) -> Self {
        let mut command = binary();
        command.args(["serve", "--listen", &folder.address, "--metrics", &folder.metrics_address]);
        command.arg("--data").arg(folder.path());
        for setting in &folder.settings {
            command.args(["--set", setting]);
        }
        command.stdout(folder.append_to("stdout")).stderr(folder.append_to("stderr"));
        let mut server = Self { folder, child: command.spawn().expect("the binary starts") };
        let until = Instant::now() + READY_WITHIN;
        while http::get(&folder.address, "/readyz", &[]).is_none_or(|answer| answer.status != 200) {
            let ended = server.child.try_wait().expect("a child");
            let (_, stderr) = folder.printed();
            assert!(ended.is_none(), "the server ended with {ended:?}:\n{stderr}");
            assert!(Instant::now() < until, "the server is not ready:\n{stderr}");
            thread::sleep(POLL_EVERY);
        }
        server
    }

    /// SIGKILL: no step of any shutdown happens.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + STOPPED_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < until, "the server does not stop:\n{}", self.folder.printed().1);
            thread::sleep(POLL_EVERY);
        }
    }

    /// A GET with the operator's token; the answer must be 200 and JSON.
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.ask(path, self.folder.operator_token()).expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// A GET with any token.
    pub(crate) fn ask(&self, path: &str, token: &str) -> Option<http::Answer> {
        http::get(&self.folder.address, path, &[("authorization", &format!("Bearer {token}"))])
    }

    /// Posts to `/v1/counts` with the folder's key; the status.
    pub(crate) fn post_counts(&self, body: &Value) -> u16 {
        self.post_counts_with(&self.folder.environment_key(), body)
    }

    /// Posts to `/v1/counts` with any key; the status.
    pub(crate) fn post_counts_with(&self, key: &str, body: &Value) -> u16 {
        let headers = [("authorization", format!("Bearer {key}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = http::post(&self.folder.address, "/v1/counts", &headers, &body.to_string());
        answer.expect("an answer").status
    }

    /// The sum over all labels of a metric; `None` if there is none of that name.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        metric(&self.folder.metrics_address, name)
    }

    /// Counts stored for one flag over a range, at a resolution.
    pub(crate) fn usage(&self, flag: &str, from: &str, to: &str, resolution: &str) -> u64 {
        let path = format!("/v1/usage?from={from}&to={to}&resolution={resolution}&flag={flag}");
        let answer = self.get(&path);
        let rows = answer["rows"].as_array().expect("rows");
        rows.iter().filter_map(|row| row["count"].as_u64()).sum()
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The sum over all labels of a metric that is shown at an address; `None` if there is none of that name.
pub(crate) fn metric(address: &str, name: &str) -> Option<f64> {
    let text = http::get(address, "/metrics", &[])?.body;
    let samples = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let named = series == name || series.strip_prefix(name)?.starts_with('{');
        named.then(|| value.parse::<f64>().ok()).flatten()
    });
    samples.reduce(|sum, value| sum + value)
}

/// Sends a signal by its name. The shell's own `kill` does: no program of that name need be there.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
    assert!(sent.expect("a shell").success());
}

/// Waits until something holds; fails with `what` and the last that was seen if it never does.
pub(crate) fn eventually<T: std::fmt::Debug>(
    what: &str,
    mut look: impl FnMut() -> T,
    holds: impl Fn(&T) -> bool,
) -> T {
    let until = Instant::now() + Duration::from_mins(8);
    loop {
        let seen = look();
        if holds(&seen) {
            return seen;
        }
        assert!(Instant::now() < until, "{what}: still {seen:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Runs the binary to its end.
pub(crate) fn run(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = binary();
    command.args(args).envs(environment.iter().copied());
    Output::of(command)
}

impl Output {
    /// Runs a command to its end.
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.output().expect("the binary runs");
        Self {
            success: output.status.success(),
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The binary, in a folder without a configuration file and without variables of whoever runs the tests.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flagmeter"));
    command.current_dir(std::env::temp_dir()).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FLAGMETER_")) {
        command.env_remove(name);
    }
    command
}

/// A port that is free now, outside the range from which the system gives ports to connections: a server that
/// is started again finds it free again.
pub(crate) fn free_address() -> String {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU16::new(u16::try_from(process::id() % 10_000).unwrap_or(0)));
    loop {
        let port = 20_000 + next.fetch_add(1, Ordering::SeqCst) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return format!("127.0.0.1:{port}");
        }
    }
}
