//! Who bills by the ledger's feed has what the hours come to, however often anyone is killed.
//!
//! `FLAGMETER_BILLING_SEED` repeats a run's choices.

use std::{
    collections::BTreeMap,
    env,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use flagmeter_model::{Clock, SystemClock};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    http::Answer,
    server::{DataFolder, Output, Server, eventually},
};

/// How often someone is killed.
const ROUNDS: u32 = 12;
/// Hours that are counted in, all of them over.
const HOURS: i64 = 6;
const HOUR_SECONDS: i64 = 3_600;

/// What the billing job among the examples is written in.
#[derive(Debug, Clone, Copy)]
enum Language {
    Python,
    Rust,
}

impl Language {
    fn command(self) -> Command {
        match self {
            Self::Python => {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/billing-job");
                let mut python = Command::new("python3");
                python.arg(folder.join("billing_job.py"));
                python
            }
            Self::Rust => {
                let job = Path::new(env!("CARGO_BIN_EXE_flagmeter")).with_file_name("examples/billing_job");
                assert!(job.exists(), "cargo test builds it; where --test is told: cargo build --examples");
                Command::new(job)
            }
        }
    }
}

/// The table that the job in examples keeps.
pub(crate) struct Table {
    language: Language,
    url: String,
    token: String,
    database: PathBuf,
}

impl Table {
    /// One in this file, of what a server bills.
    pub(crate) fn new(url: String, token: &str, database: PathBuf) -> Self {
        Self { language: Language::Python, url, token: token.to_owned(), database }
    }

    /// The same table, kept by the other job.
    fn in_rust(&self) -> Self {
        let (url, token, database) = (self.url.clone(), self.token.clone(), self.database.clone());
        Self { language: Language::Rust, url, token, database }
    }

    fn job(&self, arguments: &[&str]) -> Command {
        let mut command = self.language.command();
        command.arg("--database").arg(&self.database).args(arguments).stdin(Stdio::null());
        command.env("FLAGMETER_URL", &self.url).env("FLAGMETER_TOKEN", &self.token);
        command
    }

    /// Starts the job, which goes on until it is killed.
    pub(crate) fn follow(&self) -> Job {
        let said = File::options().create(true).append(true).open(self.database.with_extension("log"));
        let said = said.expect("a file for what it says");
        let mut command = self.job(&[]);
        command.stdout(said.try_clone().expect("the same file")).stderr(said);
        Job(command.spawn().expect("it runs"))
    }

    /// Runs the job until there is nothing new.
    pub(crate) fn catch_up(&self) {
        let output = Output::of(self.job(&["--once"]));
        assert!(output.success, "{output:?}");
    }

    /// How many hours it has of each customer's evaluations, and what they add up to.
    pub(crate) fn totals(&self) -> BTreeMap<String, (u64, u64)> {
        let output = Output::of(self.job(&["--totals"]));
        assert!(output.success, "{output:?}");
        let read = |line: &str| {
            let mut values = line.split(',');
            let customer = values.next()?.to_owned();
            let mut numbers = values.skip_while(|value| *value != "evaluations").skip(1);
            Some((customer, (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?)))
        };
        output.stdout.lines().filter_map(read).collect()
    }
}

/// The job as it goes on until it is killed. Killed when it is dropped.
pub(crate) struct Job(Child);

impl Job {
    fn kill(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn who_bills_by_the_feed_has_every_count_once_however_often_anyone_is_killed() {
    let seed: u64 = env::var("FLAGMETER_BILLING_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| rand::rng().random());
    println!("FLAGMETER_BILLING_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = DataFolder::with(&["billing.grace=1s"]);
    let mut server = Server::start(&folder);
    let url = format!("http://{}", folder.address());
    let database = |name| folder.path().with_file_name(name);
    let table = |name| Table::new(url.clone(), folder.operator_token(), database(name));
    let tables = [table("python.sqlite"), table("rust.sqlite").in_rust()];
    // Counts of hours that are over, first and once more: they close, and are corrected.
    let this_hour = SystemClock.now().floor_to(HOUR_SECONDS);
    let mut following = tables.each_ref().map(Table::follow);
    let mut sent = 0;
    for _ in 0..ROUNDS {
        for _ in 0..8 {
            let at = this_hour.plus_seconds(300 - rng.random_range(1..=HOURS) * HOUR_SECONDS);
            let count = rng.random_range(1..1_000_u64);
            let post = json!({"counts": [{"flag": "billed", "count": count, "at": at.to_string()}]});
            assert_eq!(server.post_counts(&post), 202);
            sent += count;
        }
        thread::sleep(Duration::from_millis(rng.random_range(5..1_500)));
        match rng.random_range(0..3) {
            2 => {
                server.kill();
                server = Server::start(&folder);
            }
            at => {
                following[at].kill();
                following[at] = tables[at].follow();
            }
        }
    }
    drop(following);
    let (from, to) = (this_hour.plus_seconds(-HOURS * HOUR_SECONDS).to_string(), this_hour.to_string());
    let stored = || server.usage("billed", &from, &to, "1h");
    eventually("every count is stored", stored, |&stored| stored == sent);
    for table in &tables {
        let billed = || {
            table.catch_up();
            table.totals().values().map(|(_, count)| count).sum::<u64>()
        };
        eventually("every count is billed", billed, |&billed| billed == sent);
    }
    // They keep the same table: one goes on where the other one ended.
    tables[0].in_rust().catch_up();
    assert_eq!(tables[0].in_rust().totals(), tables[1].totals());

    each_revision_follows_on_the_one_before(&server, sent);
    let before = final_range(&server, &folder, &from, &to);
    server.kill();
    server = Server::start(&folder);
    assert_eq!(final_range(&server, &folder, &from, &to), before, "its bytes and its tag");
    assert!(server.terminate().success());
    let audit = folder.run(&["audit"]);
    assert!(audit.success && audit.stdout.contains("= ledger ("), "{audit:?}");
}

/// The bytes of a range that is final, and their tag.
fn final_range(server: &Server<'_>, folder: &DataFolder, from: &str, to: &str) -> (String, String) {
    let path = format!("/v1/billing/hours?from={from}&to={to}&format=csv");
    let ask = || server.ask(&path, folder.operator_token()).filter(|answer| answer.status == 200);
    let is_final = |answer: &Option<Answer>| {
        answer.as_ref().is_some_and(|answer| answer.header("flagmeter-state") == Some("final"))
    };
    let answer = eventually("the range is final", ask, is_final).expect("an answer");
    let tag = answer.header("etag").expect("a tag").to_owned();
    (answer.body, tag)
}

/// The whole feed: what each revision adds is what the hours come to.
fn each_revision_follows_on_the_one_before(server: &Server<'_>, sent: u64) {
    let page = server.get("/v1/billing/closed-hours?limit=10000");
    assert_eq!(page["more"], false);
    let rows = page["rows"].as_array().expect("rows");
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok()).expect("digits");
    let differences: u64 = rows.iter().map(|row| number(&row["difference"])).sum();
    assert_eq!(differences, sent);
    assert!(rows.iter().any(|row| row["revision"] == 2 && row["correction"] == true), "nothing came late");
    assert!(rows.iter().all(|row| row["state"] == "final"));
}
