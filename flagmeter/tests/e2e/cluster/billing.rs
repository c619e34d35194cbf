//! Bills of stages on real servers: hours that are over are counted in, closed and corrected, while whoever has to do with
//! it is killed.
//!
//! `FLAGMETER_BILLING_SEED` repeats a run's choices.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::PathBuf,
    thread,
    time::Duration,
};

use flagmeter_model::{Clock, SystemClock, Timestamp};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    servers::Servers,
    stages::{Cluster, KEY, OTHER_KEY, REGISTRY, Stage, start_all},
};
use crate::{
    billing::Table,
    http,
    server::{eventually, run},
};

/// How often someone is killed at least, and at most.
const ROUNDS: [u32; 2] = [12, 60];
/// Until rows were appended at so many times: what is killed is at work.
const APPENDS: usize = 8;
/// Posts before each.
const POSTS: u32 = 8;
/// Hours that are counted in, all of them over: so many are closed in more than one step.
const HOURS: i64 = 30;
const HOUR_SECONDS: i64 = 3_600;
/// Customers by their keys.
const CUSTOMERS: [(&str, &str); 2] = [(KEY, "acme"), (OTHER_KEY, "globex")];

/// Thresholds of the first one's plan, of which all are crossed.
const THRESHOLDS: [u64; 3] = [50, 80, 100];

/// What the hours of each customer come to.
type Hours = BTreeMap<(String, String), u64>;

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn each_hour_is_final_once_and_billed_to_the_last_count_whoever_is_killed() {
    let seed: u64 = env::var("FLAGMETER_BILLING_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| rand::rng().random());
    println!("FLAGMETER_BILLING_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let cluster = Cluster::on(Servers::from_environment(), &[("FLAGMETER_BILLING_GRACE", "1s")]);
    cluster.set_up();
    give_a_plan(&cluster);
    let mut others = [cluster.edge(1, "eu-west"), cluster.ingest("ingest-1")];
    let mut queries = [cluster.queries("queries-1"), cluster.queries("queries-2")];
    start_all(others.iter_mut().chain(&mut queries));
    let tokens = queries.each_ref().map(|queries| cluster.operator_token(queries));
    let table = Table::new(queries[0].url(), &tokens[0], PathBuf::from(cluster.path("billing.sqlite")));
    let this_hour = SystemClock.now().floor_to(HOUR_SECONDS);

    // Nothing is rolled up or closed before there is something in all these hours.
    let mut sent = count(&others[0], &mut rng, this_hour, 4 * POSTS);
    let mut downsamplers = [cluster.downsampler("downsampler-1"), cluster.downsampler("downsampler-2")];
    downsamplers.iter_mut().for_each(Stage::start);
    let mut following = table.follow();
    let mut kills = 0;
    while kills < ROUNDS[0] || (kills < ROUNDS[1] && appends(&feed(&queries[1], &tokens[1])) < APPENDS) {
        kills += 1;
        for (key, more) in count(&others[0], &mut rng, this_hour, POSTS) {
            *sent.entry(key).or_default() += more;
        }
        thread::sleep(Duration::from_millis(rng.random_range(50..3_000)));
        match rng.random_range(0..6) {
            0 => again([&mut queries[0]]),
            1 => {
                drop(following);
                following = table.follow();
            }
            2 => again(downsamplers.each_mut()),
            which => again([&mut downsamplers[which % 2]]),
        }
    }
    drop(following);
    for stage in downsamplers.iter_mut().chain(&mut queries) {
        stage.wait_until_ready();
    }
    let total: u64 = sent.values().sum();
    let billed = || {
        table.catch_up();
        table.totals().values().map(|(_, count)| count).sum::<u64>()
    };
    eventually("every count is billed", billed, |&billed| billed == total);

    let rows = feed(&queries[0], &tokens[0]);
    assert_eq!(rows, feed(&queries[1], &tokens[1]), "both tell the same");
    assert_eq!(newest(&rows), sent);
    for (customer, (hours, count)) in table.totals() {
        let of_customer = sent.iter().filter(|((of, _), _)| *of == customer).map(|(_, count)| count);
        assert_eq!((hours, count), (of_customer.clone().count() as u64, of_customer.sum()), "{customer}");
    }
    each_threshold_is_told_once(&queries, &tokens);
    the_same_bytes_come_from_each_and_from_a_book_that_is_made_again(
        &cluster,
        &mut queries,
        &tokens,
        this_hour,
    );
    let audited = audited(&queries[0], &tokens[0]);
    println!(
        "{kills} kills, {} rows of {} hours, appended at {} times; {audited}",
        rows.len(),
        sent.len(),
        appends(&rows)
    );
    for stage in downsamplers.iter().chain(&queries).chain(&others) {
        assert!(!stage.printed().contains("panicked"), "{}", stage.printed());
    }
}

fn give_a_plan(cluster: &Cluster) {
    let plan = "id = \"acme\"\n[customer.plan]\nevaluations = 1_000\n";
    let registry = REGISTRY.replacen("id = \"acme\"\n", plan, 1);
    fs::write(cluster.path("registry.toml"), registry).expect("a registry");
}

/// What the audit says in the end. It has compared the ledger.
fn audited(queries: &Stage, token: &str) -> String {
    let audit = run(&["audit", "--url", &queries.url(), "--token", token], &[]);
    assert!(audit.success && audit.stdout.contains("= ledger ("), "{audit:?}");
    audit.stdout.lines().last().unwrap_or_default().to_owned()
}

/// Posts counts of hours that are over; what was acknowledged.
fn count(edge: &Stage, rng: &mut StdRng, this_hour: Timestamp, posts: u32) -> Hours {
    let mut sent = Hours::new();
    for _ in 0..posts {
        let (key, customer) = CUSTOMERS[rng.random_range(0..CUSTOMERS.len())];
        let hour = this_hour.plus_seconds(-rng.random_range(1..=HOURS) * HOUR_SECONDS);
        let (at, count) =
            (hour.plus_seconds(rng.random_range(0..HOUR_SECONDS)), rng.random_range(1..1_000_u64));
        let post = json!({"counts": [{"flag": "billed", "count": count, "at": at.to_string()}]}).to_string();
        let authorization = format!("Bearer {key}");
        let answer = http::post(edge.address(), "/v1/counts", &[("authorization", &authorization)], &post);
        assert_eq!(answer.expect("an answer").status, 202);
        *sent.entry((customer.to_owned(), hour.to_string())).or_default() += count;
    }
    sent
}

/// SIGKILL, and a start; it is not waited for that.
fn again<const N: usize>(stages: [&mut Stage; N]) {
    for stage in stages {
        stage.kill();
        stage.start();
    }
}

/// The rows of evaluations of the whole feed.
fn feed(queries: &Stage, token: &str) -> Vec<Value> {
    let page = queries
        .eventually("the feed is told", |stage| stage.get("/v1/billing/closed-hours?limit=10000", token));
    assert_eq!(page["more"], false);
    let rows = page["rows"].as_array().expect("rows").iter();
    rows.filter(|row| row["meter"] == "evaluations").cloned().collect()
}

/// At how many times these rows were appended.
fn appends(rows: &[Value]) -> usize {
    rows.iter().map(|row| row["closed_at"].as_str()).collect::<BTreeSet<_>>().len()
}

/// What the hours come to, read as who bills does: each is final once, and each revision follows on the one before.
fn newest(rows: &[Value]) -> Hours {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok()).expect("digits");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut newest: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for row in rows {
        assert_eq!(row["state"], "final");
        let (revision, count) = newest.entry((text(&row["customer"]), text(&row["hour"]))).or_default();
        *revision += 1;
        assert_eq!(row["revision"], *revision, "revisions have no gap and none comes twice: {row}");
        assert_eq!(number(&row["count"]), *count + number(&row["difference"]), "{row}");
        assert!(number(&row["difference"]) > 0 && (*revision == 1 || row["correction"] == true), "{row}");
        *count = number(&row["count"]);
    }
    assert!(newest.values().any(|(revision, _)| *revision > 1), "nothing came late");
    newest.into_iter().map(|(key, (_, count))| (key, count)).collect()
}

/// Whichever downsampler found it, and whoever was killed over it. At a month's edge, once for each of two periods.
fn each_threshold_is_told_once(queries: &[Stage; 2], tokens: &[String; 2]) {
    let told = |stage: &Stage, token: &String| {
        let answer = stage.get("/v1/billing/thresholds", token)?;
        let crossings = answer["crossings"].as_array().expect("crossings").clone();
        let percent: BTreeSet<u64> = crossings.iter().filter_map(|told| told["percent"].as_u64()).collect();
        percent.is_superset(&THRESHOLDS.into()).then_some(crossings)
    };
    for (queries, token) in queries.iter().zip(tokens) {
        let crossings = queries.eventually("all thresholds are told", |stage| told(stage, token));
        let ids: BTreeSet<&str> = crossings.iter().filter_map(|told| told["id"].as_str()).collect();
        assert_eq!(ids.len(), crossings.len(), "{crossings:?}");
        assert!(crossings.iter().all(|told| told["customer"] == "acme"), "{crossings:?}");
    }
}

/// The body and the tag of a bill that is final.
fn bill(queries: &Stage, token: &str, path: &str) -> (String, Option<String>) {
    let authorization = format!("Bearer {token}");
    queries.eventually("the bill is told", |stage| {
        let answer = http::get(stage.address(), path, &[("authorization", &authorization)])?;
        let tag = answer.header("etag").map(ToOwned::to_owned);
        (answer.status == 200).then_some((answer.body, tag))
    })
}

fn the_same_bytes_come_from_each_and_from_a_book_that_is_made_again(
    cluster: &Cluster,
    queries: &mut [Stage; 2],
    tokens: &[String; 2],
    this_hour: Timestamp,
) {
    let range = format!("from={}&to={this_hour}", this_hour.plus_seconds(-HOURS * HOUR_SECONDS));
    let path = format!("/v1/billing/hours?{range}&limit=10000");
    let now = queries[0].get(&path, &tokens[0]).expect("an answer");
    let path = format!("{path}&as_of={}", now["as_of"].as_str().expect("a cursor"));
    let told = bill(&queries[0], &tokens[0], &path);
    assert!(told.1.is_some(), "what is final has a tag");
    assert_eq!(bill(&queries[1], &tokens[1], &path), told);
    queries[1].kill();
    let data = PathBuf::from(cluster.path(queries[1].name()));
    for file in ["ledger-1.sqlite", "ledger-1.sqlite-wal", "ledger-1.sqlite-shm"] {
        fs::remove_file(data.join(file)).expect("its book");
    }
    queries[1].start();
    queries[1].wait_until_ready();
    assert_eq!(bill(&queries[1], &tokens[1], &path), told);
}
