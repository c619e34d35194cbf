//! Keeps a table of billed hours up to date from flagmeter's ledger. Copy it, and put your own database in its place.
//!
//! ```console
//! $ export FLAGMETER_URL=http://localhost:8080 FLAGMETER_TOKEN=...          # a token of the role billing
//! $ cargo run --example billing_job -- --database billing.sqlite            # goes on until it is stopped
//! $ cargo run --example billing_job -- --database billing.sqlite --once     # ends when there is nothing new
//! $ cargo run --example billing_job -- --database billing.sqlite --totals   # what the table adds up to, as CSV
//! ```
//!
//! Three rules make it exact, whenever it is killed and however often it is started:
//!
//! 1. The rows of a page and the cursor after it are kept in one transaction. If that is cut off, the same page comes again.
//! 2. A row takes the place of the one for its hour only if its revision is greater. So a page that comes again does nothing.
//! 3. The cursor is kept as it was given. What it says is the server's business.
//!
//! It needs the crates `clap`, `rusqlite`, `serde`, `serde_json`, `thiserror` and `ureq`; for `https://`, its feature
//! `rustls` as well.
//! `billing_job.py` beside it does the same in Python, on the same tables.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to whoever started it")]

use std::{env, path::PathBuf, process::ExitCode, thread::sleep, time::Duration};

use clap::Parser;
use rusqlite::{Connection, OptionalExtension as _, named_params, params};
use serde::Deserialize;
use ureq::Agent;

/// How long one request waits at the server for news, and for its answer at all.
const WAIT: &str = "30s";
const TIMEOUT: Duration = Duration::from_secs(90);
/// How long until a server that does not answer is asked again: at first, and at most.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// Rows of a page, and bytes of it at most.
const PAGE_ROWS: &str = "10000";
const PAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS billed_hours (
        customer TEXT NOT NULL,
        project TEXT NOT NULL,
        environment TEXT NOT NULL,
        meter TEXT NOT NULL,
        hour TEXT NOT NULL,            -- its start, RFC 3339, UTC
        revision INTEGER NOT NULL,
        count INTEGER NOT NULL,
        complete INTEGER NOT NULL,     -- 0: a node was silent; what it brings later is a correction
        PRIMARY KEY (customer, project, environment, meter, hour)
    );
    CREATE TABLE IF NOT EXISTS position (id INTEGER PRIMARY KEY CHECK (id = 1), after TEXT NOT NULL);
";

const UPSERT: &str = "
    INSERT INTO billed_hours (customer, project, environment, meter, hour, revision, count, complete)
    VALUES (:customer, :project, :environment, :meter, :hour, :revision, :count, :complete)
    ON CONFLICT (customer, project, environment, meter, hour) DO UPDATE
    SET revision = excluded.revision, count = excluded.count, complete = excluded.complete
    WHERE excluded.revision > billed_hours.revision
";

/// Keeps a table of billed hours from flagmeter's ledger.
#[derive(Debug, Parser)]
struct Arguments {
    /// SQLite file; made if it is not there.
    #[arg(long)]
    database: PathBuf,
    /// Where flagmeter answers.
    #[arg(long, env = "FLAGMETER_URL", default_value = "http://localhost:8080")]
    url: String,
    /// End when there is nothing new.
    #[arg(long)]
    once: bool,
    /// Print what the table adds up to, and end.
    #[arg(long)]
    totals: bool,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The same request may be answered later.
    #[error("{0}")]
    Later(String),
    /// The server says that this request will never be answered as it is.
    #[error("the server answers {status}: {detail}")]
    Refused { status: u16, detail: String },
    /// A page that says what this job does not understand.
    #[error("the answer does not say what it should: {0}")]
    Strange(String),
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("FLAGMETER_TOKEN is not set: make a token with `flagmeter token create --role billing`")]
    NoToken,
}

/// A page of the feed: what this job needs of it.
#[derive(Debug, Deserialize)]
struct Page {
    rows: Vec<Row>,
    next: String,
    more: bool,
}

#[derive(Debug, Deserialize)]
struct Row {
    customer: String,
    project: String,
    environment: String,
    meter: String,
    hour: String,
    revision: u32,
    /// In decimal digits, because JSON numbers lose some in many languages.
    count: String,
    complete: bool,
}

/// The feed, as one token reads it.
struct Feed {
    agent: Agent,
    address: String,
    authorization: String,
}

impl Feed {
    fn new(url: &str, token: &str) -> Self {
        let config = Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false);
        Self {
            agent: config.build().into(),
            address: format!("{}/v1/billing/closed-hours", url.trim_end_matches('/')),
            authorization: format!("Bearer {token}"),
        }
    }

    /// The next page.
    fn page(&self, after: Option<&str>, waits: bool) -> Result<Page, Error> {
        let mut request = self.agent.get(&self.address).header("authorization", &self.authorization);
        request = request.query("limit", PAGE_ROWS);
        if let Some(after) = after {
            request = request.query("after", after);
        }
        if waits {
            request = request.query("wait", WAIT);
        }
        let later = |error: ureq::Error| Error::Later(format!("the server does not answer: {error}"));
        let mut answer = request.call().map_err(later)?;
        let status = answer.status().as_u16();
        // An answer that was cut off comes again.
        let text = answer.body_mut().with_config().limit(PAGE_BYTES_MAX).read_to_string().map_err(later)?;
        match status {
            200 => serde_json::from_str(&text).map_err(|error| Error::Strange(error.to_string())),
            429 | 500.. => Err(Error::Later(format!("the server answers {status}"))),
            _ => {
                let problem: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                let detail = problem["detail"].as_str().unwrap_or("and says nothing more").to_owned();
                Err(Error::Refused { status, detail })
            }
        }
    }
}

/// Keeps a page and the place behind it, in one transaction.
fn take(database: &mut Connection, page: &Page) -> Result<(), Error> {
    let step = database.transaction()?;
    for row in &page.rows {
        // SQLite's integers have 63 bits, and so have the ledger's.
        let count: i64 =
            row.count.parse().map_err(|_| Error::Strange(format!("a count of {:?}", row.count)))?;
        step.prepare_cached(UPSERT)?.execute(named_params! {
            ":customer": row.customer,
            ":project": row.project,
            ":environment": row.environment,
            ":meter": row.meter,
            ":hour": row.hour,
            ":revision": row.revision,
            ":count": count,
            ":complete": row.complete,
        })?;
    }
    step.execute(
        "INSERT INTO position (id, after) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET after = excluded.after",
        [&page.next],
    )?;
    Ok(step.commit()?)
}

/// Reads on from where the last run ended.
fn follow(database: &mut Connection, feed: &Feed, once: bool) -> Result<(), Error> {
    let mut pause = PAUSE_MIN;
    loop {
        let after: Option<String> =
            database.query_row("SELECT after FROM position", [], |row| row.get(0)).optional()?;
        let page = match feed.page(after.as_deref(), !once) {
            Err(Error::Later(why)) if !once => {
                eprintln!("{why}; asking again in {} s", pause.as_secs());
                sleep(pause);
                pause = (2 * pause).min(PAUSE_MAX);
                continue;
            }
            page => page?,
        };
        pause = PAUSE_MIN;
        take(database, &page)?;
        if !page.rows.is_empty() {
            println!("{} rows", page.rows.len());
        }
        if once && !page.more {
            return Ok(());
        }
    }
}

/// What was billed, by customer, project, environment and meter.
fn tell_totals(database: &Connection) -> Result<(), Error> {
    println!("customer,project,environment,meter,hours,count");
    let mut statement = database.prepare(
        "SELECT customer, project, environment, meter, count(*), sum(count) FROM billed_hours
         GROUP BY customer, project, environment, meter ORDER BY customer, project, environment, meter",
    )?;
    let mut rows = statement.query(params![])?;
    while let Some(row) = rows.next()? {
        let names: [String; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
        println!("{},{},{}", names.join(","), row.get::<_, i64>(4)?, row.get::<_, i64>(5)?);
    }
    Ok(())
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let mut database = Connection::open(&arguments.database)?;
    database.busy_timeout(Duration::from_secs(30))?;
    database.execute_batch(TABLES)?;
    if arguments.totals {
        return tell_totals(&database);
    }
    // Not as an argument: everyone on a machine sees those.
    let token = env::var("FLAGMETER_TOKEN").ok().filter(|token| !token.is_empty()).ok_or(Error::NoToken)?;
    follow(&mut database, &Feed::new(&arguments.url, &token), arguments.once)
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("billing_job: {error}");
            ExitCode::FAILURE
        }
    }
}
