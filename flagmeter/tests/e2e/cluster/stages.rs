//! The stages as processes: described once, started as often as a test likes.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    fs,
    io::{ErrorKind, Write as _},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::servers::Servers;
use crate::{
    http,
    server::{Output, binary, free_address, metric, signal},
};

/// How long a stage may take for anything: machines that run tests may be busy with others.
const PATIENCE: Duration = Duration::from_mins(8);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// The key of the environment for counts that are known to the last.
pub(crate) const KEY: &str = "key-of-acme";

/// The key of the environment for anything else.
pub(crate) const OTHER_KEY: &str = "key-of-globex";

/// Two customers: one for counts that are known to the last, one for loads.
pub(crate) const REGISTRY: &str = r#"
[[customer]]
id = "acme"
[[customer.project]]
id = "web"
[[customer.project.environment]]
id = "production"
keys = ["key-of-acme"]

[[customer]]
id = "globex"
[[customer.project]]
id = "app"
[[customer.project.environment]]
id = "production"
keys = ["key-of-globex"]
"#;

/// A topic and buckets of its own on the real servers. They go when it is dropped.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    servers: Servers,
    name: String,
    /// Settings of all processes, besides those of docker-compose.yml.
    more: Vec<(&'static str, String)>,
}

impl Cluster {
    /// Nothing is made yet but names.
    pub(crate) fn new() -> Self {
        Self::on(Servers::from_environment(), &[])
    }

    /// On servers that are told, with settings for all processes such as `("FLAGMETER_EDGE_ACK", "disk")`.
    pub(crate) fn on(servers: Servers, more: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let name = format!("e2e-{:016x}", rand::random::<u64>());
        fs::write(folder.path().join("registry.toml"), REGISTRY).expect("a registry");
        fs::write(folder.path().join("influx_token"), format!("{}\n", servers.influx_token))
            .expect("a token");
        let more = more.iter().map(|&(name, value)| (name, value.to_owned())).collect();
        Self { folder, servers, name, more }
    }

    /// Makes the topic and the buckets.
    pub(crate) fn set_up(&self) {
        for command in [["topic", "create"], ["store", "init"]] {
            let done = self.run_with(&command, &[]);
            assert!(done.success && done.stdout.contains("made"), "{command:?}: {done:?}");
        }
    }

    /// Adds partitions to the topic: so many are there then.
    pub(crate) fn add_partitions(&self, partitions: i32) {
        self.servers.add_partitions(&self.name, partitions).expect("Kafka adds partitions");
    }

    /// Of the topic and of the buckets' prefix.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command of the binary with the settings of all processes, and more of them, to its end.
    pub(crate) fn run_with(&self, command: &[&str], more: &[(&str, &str)]) -> Output {
        let mut process = binary();
        process.args(command).envs(self.settings("command")).envs(more.iter().copied());
        process.env("FLAGMETER_LISTEN_METRICS", "127.0.0.1:0").env("FLAGMETER_LISTEN_HTTP", "127.0.0.1:0");
        Output::of(process)
    }

    /// An edge, with a data folder of its own.
    pub(crate) fn edge(&self, node: u16, region: &str) -> Stage {
        self.edge_in(&format!("edge-{node}"), node, region)
    }

    /// An edge with a data folder of this name.
    pub(crate) fn edge_in(&self, name: &str, node: u16, region: &str) -> Stage {
        let (node, region) = (node.to_string(), region.to_owned());
        self.stage("edge", name, [("FLAGMETER_EDGE_NODE", node), ("FLAGMETER_EDGE_REGION", region)])
    }

    pub(crate) fn ingest(&self, name: &str) -> Stage {
        let group = ("FLAGMETER_KAFKA_GROUP", self.name.clone());
        self.stage("ingest", name, [group, ("FLAGMETER_KAFKA_INSTANCE", name.to_owned())])
    }

    pub(crate) fn downsampler(&self, name: &str) -> Stage {
        self.stage("downsampler", name, [])
    }

    pub(crate) fn queries(&self, name: &str) -> Stage {
        self.stage("queries", name, [])
    }

    /// A token that reads everything, made beside the running stage.
    pub(crate) fn operator_token(&self, queries: &Stage) -> String {
        let data = self.path(&queries.name);
        let made = self.run_with(&["token", "create", "operator"], &[("FLAGMETER_DATA_PATH", &data)]);
        assert!(made.success, "{made:?}");
        made.stdout.trim().to_owned()
    }

    fn stage<const N: usize>(
        &self,
        command: &'static str,
        name: &str,
        own: [(&'static str, String); N],
    ) -> Stage {
        let (http, metrics) = (free_address(), free_address());
        let mut settings = self.settings(name);
        settings.extend(own);
        settings.extend([
            ("FLAGMETER_LISTEN_HTTP", http.clone()),
            ("FLAGMETER_LISTEN_METRICS", metrics.clone()),
            ("FLAGMETER_LOGGING_FORMAT", "json".to_owned()),
        ]);
        let output = self.folder.path().join(format!("{name}.output"));
        Stage {
            name: name.to_owned(),
            command,
            data: self.path(name),
            disk_bytes: None,
            settings,
            http,
            metrics,
            output,
            child: None,
        }
    }

    /// A file or folder in that of the cluster.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a readable path").to_owned()
    }

    /// What docker-compose.yml says to every process.
    fn settings(&self, name: &str) -> Vec<(&'static str, String)> {
        let servers = &self.servers;
        let mut settings = vec![
            ("FLAGMETER_DATA_PATH", self.path(name)),
            ("FLAGMETER_REGISTRY_FILE", self.path("registry.toml")),
            ("FLAGMETER_KAFKA_BROKERS", servers.kafka.clone()),
            ("FLAGMETER_KAFKA_TOPIC", self.name.clone()),
            ("FLAGMETER_KAFKA_PARTITIONS", "4".to_owned()),
            ("FLAGMETER_KAFKA_REPLICATION", "1".to_owned()),
            ("FLAGMETER_KAFKA_MIN_INSYNC_REPLICAS", "1".to_owned()),
            ("FLAGMETER_INFLUX_URL", servers.influx_url.clone()),
            ("FLAGMETER_INFLUX_ORG", servers.influx_org.clone()),
            ("FLAGMETER_INFLUX_TOKEN_FILE", self.path("influx_token")),
            ("FLAGMETER_INFLUX_PREFIX", self.name.clone()),
        ];
        settings.extend(self.more.iter().cloned());
        settings
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.servers.delete_buckets(&self.name);
        self.servers.delete_topics(&self.name);
    }
}

/// A stage of a cluster, running or not. Killed when it is dropped.
pub(crate) struct Stage {
    name: String,
    command: &'static str,
    data: String,
    disk_bytes: Option<u64>,
    settings: Vec<(&'static str, String)>,
    http: String,
    metrics: String,
    output: PathBuf,
    child: Option<Child>,
}

impl Stage {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `host:port` of what it listens on.
    pub(crate) fn address(&self) -> &str {
        &self.http
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Where its metrics are.
    pub(crate) fn metrics_url(&self) -> String {
        format!("http://{}", self.metrics)
    }

    /// All that it has written.
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// The same process with another setting from its next start on. What it was before.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) -> Option<String> {
        let before = self.settings.iter().rfind(|(known, _)| *known == name).map(|(_, value)| value.clone());
        self.settings.push((name, value.to_owned()));
        before
    }

    /// From its next start on its data folder is a disk of this size, that nobody else sees and that goes with it.
    pub(crate) fn put_on_a_disk_of(&mut self, bytes: u64) {
        self.disk_bytes = Some(bytes);
    }

    /// Leaves no room on its disk.
    pub(crate) fn fill_disk(&self) {
        let mut ballast = fs::File::create(self.ballast()).expect("a file on its disk");
        let full = std::iter::repeat_with(|| ballast.write_all(&[0; 4096])).find_map(Result::err);
        assert_eq!(full.map(|error| error.kind()), Some(ErrorKind::StorageFull));
    }

    /// Gives the room back.
    pub(crate) fn free_disk(&self) {
        fs::remove_file(self.ballast()).expect("the file that fills its disk");
    }

    /// A file on its disk, on the way that leads there from outside.
    fn ballast(&self) -> PathBuf {
        let child = self.child.as_ref().expect("it was started");
        PathBuf::from(format!("/proc/{}/root{}/ballast", child.id(), self.data))
    }

    fn process(&self) -> Command {
        let Some(bytes) = self.disk_bytes else { return binary() };
        let binary = binary();
        let mount = format!("mount -t tmpfs -o size={bytes} none \"$0\" && exec \"$@\"");
        fs::create_dir_all(&self.data).expect("a folder to mount at");
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &mount, &self.data]).arg(binary.get_program());
        for (name, value) in binary.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(std::env::temp_dir()).stdin(Stdio::null());
        command
    }

    /// Starts it, and does not wait.
    pub(crate) fn start(&mut self) {
        let output = || {
            let file = fs::File::options().create(true).append(true).open(&self.output);
            Stdio::from(file.expect("a file for output"))
        };
        let mut command = self.process();
        command.arg(self.command).envs(self.settings.iter().cloned()).stdout(output()).stderr(output());
        self.child = Some(command.spawn().expect("the binary starts"));
    }

    pub(crate) fn is_ready(&self) -> bool {
        http::get(&self.metrics, "/readyz", &[]).is_some_and(|answer| answer.status == 200)
    }

    pub(crate) fn wait_until_ready(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !self.is_ready() {
            let ended = self.child_mut().try_wait().expect("a child");
            assert!(ended.is_none(), "{} ended with {ended:?}:\n{}", self.name, self.printed());
            assert!(Instant::now() < until, "{} is not ready:\n{}", self.name, self.printed());
            thread::sleep(POLL_EVERY);
        }
    }

    /// Whether it has ended though nobody told it to.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().expect("a child").is_some())
    }

    /// SIGKILL: no step of any shutdown happens.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it was started");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// SIGSTOP: it stands still, and neither it nor whoever speaks to it knows.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// SIGCONT: it goes on as if no time had passed.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        signal(self.child.as_ref().expect("it was started"), name);
    }

    /// The sum over all labels of a metric; `None` if there is none of that name.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        metric(&self.metrics, name)
    }

    /// SIGTERM: it ends in order, and these are its last words.
    pub(crate) fn stops_with(&mut self, last_words: &str) {
        let status = self.terminate();
        let printed = self.printed();
        assert_eq!(status.code(), Some(0), "{}:\n{printed}", self.name);
        let last = printed.lines().rfind(|line| line.starts_with("stopped: ")).unwrap_or_default();
        assert_eq!(last, format!("stopped: {last_words}"), "{}:\n{printed}", self.name);
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        signal(self.child_mut(), "TERM");
        self.wait_for_end()
    }

    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child_mut().try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < until, "{} does not end:\n{}", self.name, self.printed());
            thread::sleep(POLL_EVERY);
        }
    }

    /// A GET that must be answered with 200 and JSON; `None` while it is not.
    pub(crate) fn get(&self, path: &str, token: &str) -> Option<Value> {
        let answer = http::get(&self.http, path, &[("authorization", &format!("Bearer {token}"))])?;
        (answer.status == 200).then(|| serde_json::from_str(&answer.body).expect("JSON"))
    }

    /// Waits until there is what is looked for.
    pub(crate) fn eventually<T: Debug>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(
                Instant::now() < until,
                "{}: never was it so that {what}:\n{}",
                self.name,
                self.printed()
            );
            thread::sleep(POLL_EVERY);
        }
    }

    /// What whoever has to find out why a test failed asks for first.
    fn tell_how_it_stands(&self) {
        let printed: Vec<String> = self.printed().lines().map(ToOwned::to_owned).collect();
        let printed = printed[printed.len().saturating_sub(LINES_TOLD)..].join("\n");
        let metrics =
            http::get(&self.metrics, "/metrics", &[]).map_or_else(String::new, |answer| answer.body);
        let is_told = |line: &&str| {
            line.starts_with("flagmeter_") && !line.ends_with(" 0") && !line.contains("_bucket{")
        };
        let metrics = metrics.lines().filter(is_told).collect::<Vec<_>>().join("\n");
        println!(
            "{name}, the last that it wrote:\n{printed}\n{name}, its metrics:\n{metrics}",
            name = self.name
        );
    }

    fn child_mut(&mut self) -> &mut Child {
        self.child.as_mut().expect("it was started")
    }
}

/// Of what a process has written, when its test fails.
const LINES_TOLD: usize = 80;

impl Drop for Stage {
    fn drop(&mut self) {
        if thread::panicking() {
            self.tell_how_it_stands();
        }
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// Starts them at once, as Compose does, and waits for all.
pub(crate) fn start_all<'a>(stages: impl Iterator<Item = &'a mut Stage>) {
    let mut started = Vec::new();
    for stage in stages {
        stage.start();
        started.push(stage);
    }
    for stage in started {
        stage.wait_until_ready();
    }
}

/// What an answer grouped by flag holds, over all its rows.
pub(crate) fn by_flag(answer: &Value) -> BTreeMap<String, u64> {
    let mut by_flag = BTreeMap::new();
    for row in answer["rows"].as_array().expect("rows") {
        if let (Some(flag), Some(count)) = (row["flag"].as_str(), row["count"].as_u64()) {
            *by_flag.entry(flag.to_owned()).or_default() += count;
        }
    }
    by_flag
}
