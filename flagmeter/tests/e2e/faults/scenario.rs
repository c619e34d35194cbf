//! A cluster under a load, watched, while something happens to it.
//!
//! A scenario begins with everything running, lets its test do what it likes to the stages and the servers, and ends
//! with all of them running again and every count where it belongs:
//!
//! ```ignore
//! let mut scenario = Scenario::begin("what happens", &Shape::default());
//! scenario.edges[0].kill();
//! scenario.edges[0].start();
//! scenario.end();
//! ```

use std::{
    env,
    fmt::Debug,
    time::{Duration, Instant},
};

use flagmeter_model::{Clock, SystemClock, Timestamp};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::{
    load::Load,
    watch::{Door, Seen, Watch},
};
use crate::{
    cluster::{
        servers::Servers,
        stages::{Cluster, Stage, by_flag, start_all},
    },
    http::{self, Answer},
    server::{self, Output},
};

/// Silence after which a node is missing: shorter than any fault that is meant to be noticed.
pub(super) const NODE_TIMEOUT: Duration = Duration::from_secs(12);
/// Machines that run tests may be busy with others.
const PATIENCE: Duration = Duration::from_mins(2);
const RESOLUTIONS: [&str; 4] = ["10s", "1m", "15m", "1h"];
const CUSTOMERS: [&str; 2] = ["acme", "globex"];
/// A process may say so much in a scenario, and on top in each round beyond those of CI. A fault is told,
/// and not once for everything that it touches.
const LINES_MAX: usize = 600;
const LINES_OF_A_ROUND: usize = 60;
/// How often something is done at random unless told.
const ROUNDS: u32 = 4;

/// What a cluster is made of.
pub(super) struct Shape<'a> {
    /// `None`: those that all tests share, which no scenario may harm.
    pub(super) servers: Option<Servers>,
    pub(super) edges: u16,
    pub(super) ingesters: u16,
    pub(super) downsamplers: u16,
    pub(super) queries: u16,
    /// Settings of all processes, by their variables.
    pub(super) settings: &'a [(&'static str, &'a str)],
    /// What its choices follow from.
    pub(super) seed: u64,
}

impl Default for Shape<'_> {
    fn default() -> Self {
        Self {
            servers: None,
            edges: 2,
            ingesters: 2,
            downsamplers: 2,
            queries: 1,
            settings: &[],
            seed: seed(),
        }
    }
}

/// See the page above.
pub(super) struct Scenario {
    name: &'static str,
    began: Instant,
    pub(super) rng: StdRng,
    /// Told beside the numbers at the end.
    pub(super) notes: Vec<String>,
    pub(super) load: Load,
    pub(super) watch: Watch,
    pub(super) edges: Vec<Stage>,
    pub(super) ingesters: Vec<Stage>,
    pub(super) downsamplers: Vec<Stage>,
    pub(super) queries: Vec<Stage>,
    doors: Vec<Door>,
    pub(super) cluster: Cluster,
}

impl Scenario {
    /// Everything runs, and counts are coming in.
    pub(super) fn begin(name: &'static str, shape: Shape<'_>) -> Self {
        let began = Instant::now();
        let seed = shape.seed;
        println!("{name}: FLAGMETER_FAULTS_SEED={seed}");
        let node_timeout = format!("{}s", NODE_TIMEOUT.as_secs());
        // Counts that come late correct hours that are closed, again and again.
        let always = [
            ("FLAGMETER_DOWNSAMPLER_NODE_TIMEOUT", node_timeout.as_str()),
            ("FLAGMETER_BILLING_GRACE", "1s"),
        ];
        let settings = [&always, shape.settings].concat();
        let cluster = Cluster::on(shape.servers.unwrap_or_else(Servers::from_environment), &settings);
        cluster.set_up();
        let numbered = |stages: u16, make: &dyn Fn(u16) -> Stage| (1..=stages).map(make).collect::<Vec<_>>();
        let mut edges = numbered(shape.edges, &|node| cluster.edge(node, "eu-west"));
        let mut ingesters = numbered(shape.ingesters, &|number| cluster.ingest(&format!("ingest-{number}")));
        let mut downsamplers =
            numbered(shape.downsamplers, &|number| cluster.downsampler(&format!("downsampler-{number}")));
        let mut queries = numbered(shape.queries, &|number| cluster.queries(&format!("queries-{number}")));
        let stages = edges.iter_mut().chain(&mut ingesters).chain(&mut downsamplers).chain(&mut queries);
        start_all(stages);
        let doors: Vec<Door> = queries
            .iter()
            .map(|queries| Door {
                address: queries.address().to_owned(),
                token: cluster.operator_token(queries),
            })
            .collect();
        for (queries, door) in queries.iter().zip(&doors) {
            queries.eventually("the token is in force", |stage| {
                stage.get("/v1/usage?from=-1m", &door.token).map(drop)
            });
        }
        let mut load = Load::new(seed);
        for (edge, node) in edges.iter().zip(1..) {
            load.on(edge.address(), node);
        }
        let watch = Watch::begin(&doors, &load.ledger);
        let rng = StdRng::seed_from_u64(seed);
        let notes = Vec::new();
        Self { name, began, rng, notes, load, watch, edges, ingesters, downsamplers, queries, doors, cluster }
    }

    fn stages(&mut self) -> impl Iterator<Item = &mut Stage> {
        self.edges
            .iter_mut()
            .chain(&mut self.ingesters)
            .chain(&mut self.downsamplers)
            .chain(&mut self.queries)
    }

    /// Lets time pass under the load, and looks whether all that is seen meanwhile can be.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.watch.check();
            std::thread::sleep(
                Duration::from_millis(50).min(until.saturating_duration_since(Instant::now())),
            );
        }
    }

    /// Lets time pass until something that is looked at is as it should be.
    pub(super) fn pass_until<T: Debug>(
        &mut self,
        what: &str,
        look: impl Fn(&Self) -> T,
        holds: impl Fn(&T) -> bool,
    ) {
        let until = Instant::now() + PATIENCE;
        loop {
            let seen = look(self);
            if holds(&seen) {
                return;
            }
            assert!(Instant::now() < until, "{}: never was it so that {what}: {seen:?}", self.name);
            self.pass(Duration::from_millis(200));
        }
    }

    /// A while between two times, in milliseconds, as the seed tells.
    pub(super) fn pass_between(&mut self, from: u64, to: u64) {
        let time = Duration::from_millis(self.rng.random_range(from..to));
        self.pass(time);
    }

    /// What the first queries process answers, whatever it is.
    pub(super) fn ask(&self, path: &str) -> Option<Answer> {
        let Door { address, token } = &self.doors[0];
        http::get(address, path, &[("authorization", &format!("Bearer {token}"))])
    }

    /// Waits until all that has been sent so far is in, with every node there.
    pub(super) fn wait_until_complete(&self) {
        let sent_until = SystemClock.now();
        let nodes = || self.ask("/v1/operator/nodes").map(|answer| answer.body);
        server::eventually("everything is complete, and no node is missing", nodes, |nodes| {
            let Some(body) = nodes else { return false };
            let answer: Value = serde_json::from_str(body).unwrap_or_default();
            let until =
                answer["complete_until"].as_str().and_then(|text| Timestamp::parse_rfc3339(text).ok());
            let is_missing = |node: &Value| node["state"] == "missing";
            let nodes = answer["nodes"].as_array();
            until >= Some(sent_until) && nodes.is_some_and(|nodes| !nodes.iter().any(is_missing))
        });
    }

    /// The fault is over: everything must come right by itself, to the last count.
    pub(super) fn end(mut self) {
        for stage in self.stages() {
            stage.wait_until_ready();
        }
        self.load.stop();
        self.wait_until_complete();
        let seen = self.watch.end();
        assert!(seen.answers > 0, "nobody was ever answered: {seen:?}");
        self.compare();
        for edge in &mut self.edges {
            edge.stops_with("everything that was acknowledged is in Kafka");
        }
        let audit = self.audit();
        self.look_at_processes();
        self.tell(&seen, &audit);
    }

    /// Every acknowledged count once, whatever tier tells it.
    fn compare(&self) {
        let expected = self.load.ledger.by_flag();
        for (queries, door) in self.queries.iter().zip(&self.doors) {
            for resolution in RESOLUTIONS {
                let path = format!("/v1/usage?from=-4h&to=now&resolution={resolution}&group_by=flag");
                let authorization = format!("Bearer {}", door.token);
                let ask = || http::get(&door.address, &path, &[("authorization", &authorization)]);
                let answer = server::eventually("there is an answer", ask, |answer| {
                    answer.as_ref().is_some_and(|answer| answer.status == 200)
                });
                let answer = answer.expect("it is there").body;
                let found = by_flag(&serde_json::from_str(&answer).expect("JSON"));
                assert_eq!(found, expected, "{}: found and acknowledged, at {resolution}", queries.name());
            }
        }
    }

    /// Everything agrees, once what came late is rolled up again, and every count has the fate that it must have.
    fn audit(&self) -> String {
        let Door { address, token } = &self.doors[0];
        let url = format!("http://{address}");
        let rolled_up = |_: &Stage| {
            let Output { success, stdout, stderr, .. } =
                server::run(&["audit", "--url", &url, "--token", token], &[]);
            assert!(success && stdout.contains("and every count has a fate: "), "{stdout}\n{stderr}");
            (stdout.contains(" 0 windows waiting") && stdout.contains(" = ledger (")).then_some(stdout)
        };
        let stdout = self.downsamplers[0].eventually("hours are billed, and no window waits", rolled_up);
        let tally = self.load.ledger.tally();
        let fates: Vec<Fates> = CUSTOMERS.iter().map(|customer| Fates::read(&stdout, customer)).collect();
        let sum = |of: fn(&Fates) -> u64| fates.iter().map(of).sum::<u64>();
        assert_eq!(sum(|fates| fates.stored), tally.acknowledged, "{stdout}");
        assert_eq!(sum(|fates| fates.rejected), 0, "{stdout}");
        // What was counted before its answer was lost is a duplicate as well when it is sent again.
        assert!(sum(|fates| fates.duplicate) >= tally.repeated, "{tally:?}: {stdout}");
        format!("{} duplicates", sum(|fates| fates.duplicate))
    }

    /// Nobody ended, panicked or talked too much.
    fn look_at_processes(&mut self) {
        let edges = self.edges.len();
        for (position, stage) in self.stages().enumerate() {
            let printed = stage.printed();
            let name = stage.name().to_owned();
            // The edges were told to stop just now.
            assert!(position < edges || !stage.has_ended(), "{name} has ended:\n{printed}");
            assert!(!printed.contains("panicked"), "{name}:\n{printed}");
            let lines = printed.lines().count();
            let lines_max = LINES_MAX + LINES_OF_A_ROUND * rounds().saturating_sub(ROUNDS) as usize;
            assert!(lines <= lines_max, "{name} wrote {lines} lines:\n{printed}");
        }
    }

    fn tell(&self, seen: &Seen, audit: &str) {
        let tally = self.load.ledger.tally();
        println!(
            "{}: {} s; {}; {} counts acknowledged, {audit}, posts unanswered: {}, refused for now: {:?}; \
             {} answers and {} errors, windows {:?}, missing {:?}",
            self.name,
            self.began.elapsed().as_secs(),
            self.notes.join(", "),
            tally.acknowledged,
            tally.unanswered,
            tally.refused,
            seen.answers,
            seen.errors,
            seen.windows,
            seen.missing
        );
    }
}

/// What repeats the choices of a run, as far as processes beside it let it.
pub(super) fn seed() -> u64 {
    let told = env::var("FLAGMETER_FAULTS_SEED").ok();
    told.map_or_else(rand::random, |text| text.parse().expect("FLAGMETER_FAULTS_SEED is a number"))
}

/// How often something is done at random.
pub(super) fn rounds() -> u32 {
    let told = env::var("FLAGMETER_FAULTS_ROUNDS").ok();
    told.map_or(ROUNDS, |text| text.parse().expect("FLAGMETER_FAULTS_ROUNDS is a number"))
}

/// What the audit says of a customer.
struct Fates {
    stored: u64,
    duplicate: u64,
    rejected: u64,
}

impl Fates {
    fn read(audit: &str, customer: &str) -> Self {
        let told = audit.lines().find_map(|line| line.strip_prefix(customer)?.strip_prefix(": received "));
        let told = told.unwrap_or_else(|| panic!("nothing of {customer}:\n{audit}"));
        let number = |word: &str| {
            let (_, rest) = told.split_once(word).expect("the word of a fate");
            let digits = rest.chars().take_while(|letter| letter.is_ascii_digit() || *letter == ',');
            digits.filter(char::is_ascii_digit).collect::<String>().parse().expect("a number")
        };
        Self { stored: number("stored "), duplicate: number("duplicate "), rejected: number("rejected ") }
    }
}
