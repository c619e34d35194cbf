//! The same questions in both languages of InfluxDB, asked of the server without the store between.

use std::time::{Duration, Instant};

use flagmeter_store::{
    conformance::fixture::{HOUR, MINUTE, at},
    influx::Config,
};

use crate::{DAYS, Result, median_and_worst};

/// One question in both.
struct Question {
    what: &'static str,
    influxql: String,
    flux: String,
    runs: usize,
}

impl Question {
    async fn ask(&self, config: &Config) -> Result<()> {
        let http = reqwest::Client::builder().http1_only().no_proxy().build()?;
        let ((mut influxql, mut flux), mut sums) = ((Vec::new(), Vec::new()), (0, 0));
        for _ in 0..self.runs {
            let began = Instant::now();
            let answer = send(config, influxql_request(&http, config, &self.influxql)).await?;
            influxql.push(began.elapsed());
            sums.0 = sum(&answer, "sum")?;
            let began = Instant::now();
            let answer = send(config, flux_request(&http, config, &self.flux)).await?;
            flux.push(began.elapsed());
            sums.1 = sum(&answer, "_value")?;
        }
        if sums.0 != sums.1 || sums.0 == 0 {
            return Err(format!("{}: {} in InfluxQL and {} in Flux", self.what, sums.0, sums.1).into());
        }
        let ((influxql, _), (flux, _)) = (median_and_worst(influxql), median_and_worst(flux));
        println!("{:<46} InfluxQL {influxql:>8.1} ms, Flux {flux:>8.1} ms", self.what);
        Ok(())
    }
}

fn influxql_request(http: &reqwest::Client, config: &Config, question: &str) -> reqwest::RequestBuilder {
    let db = format!("{}_meta", config.prefix);
    let request = http.post(format!("{}/query", config.url)).header("accept", "application/csv");
    request.form(&[("db", db.as_str()), ("epoch", "ns"), ("q", question)])
}

fn flux_request(http: &reqwest::Client, config: &Config, question: &str) -> reqwest::RequestBuilder {
    let request = http.post(format!("{}/api/v2/query?org={}", config.url, config.org));
    let request = request.header("accept", "application/csv").header("content-type", "application/vnd.flux");
    request.body(question.to_owned())
}

async fn send(config: &Config, request: reqwest::RequestBuilder) -> Result<String> {
    let request = request.header("authorization", format!("Token {}", config.token));
    let answer = request.timeout(Duration::from_mins(2)).send().await?.error_for_status()?;
    Ok(answer.text().await?)
}

/// Adds a column up over all tables of an answer, each of which begins with its header.
fn sum(answer: &str, column: &str) -> Result<u64> {
    let (mut place, mut sum) = (None, 0);
    let mut rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(answer.as_bytes());
    let mut row = csv::StringRecord::new();
    while rows.read_record(&mut row)? {
        if let Some(found) = row.iter().position(|cell| cell == column) {
            place = Some(found);
        } else if let Some(cell) = place.and_then(|place| row.get(place)) {
            sum += cell.parse::<u64>()?;
        }
    }
    Ok(sum)
}

/// The beginning of a question in Flux: the points of a measurement.
fn from(config: &Config, (tier, measurement): (&str, &str), (from, to): (i64, i64), filter: &str) -> String {
    format!(
        "from(bucket: \"{}_{tier}\") |> range(start: {}, stop: {}) |> filter(fn: (r) => r._measurement == \"{measurement}\" \
         and r._field == \"count\" and r.meter == \"evaluations\"{filter})",
        config.prefix,
        at(from).as_seconds(),
        at(to).as_seconds()
    )
}

/// The end of a question in InfluxQL: where its points are.
fn of(config: &Config, (tier, measurement): (&str, &str), (from, to): (i64, i64), filter: &str) -> String {
    let ns = |second| at(second).as_millis() * 1_000_000;
    format!(
        "FROM \"{}_{tier}\".\"autogen\".\"{measurement}\" WHERE time >= {} AND time < {} AND \"meter\" = 'evaluations'{filter}",
        config.prefix,
        ns(from),
        ns(to)
    )
}

/// Reads the points of a minute of 100,000 series, as a roll-up does.
pub(crate) async fn minute(config: &Config) -> Result<()> {
    let (points, range) = (("raw", "count"), (0, MINUTE));
    let tags = "\"customer\", \"project\", \"environment\", \"meter\", \"name\", \"variant\", \"sdk\"";
    let question = |what, influxql, flux| Question { what, influxql, flux, runs: 3 };
    let flux = format!("{} |> sum()", from(config, points, range, ""));
    let of_points = of(config, points, range, "");
    let as_points = format!("SELECT \"count\" AS \"sum\", {tags} {of_points}");
    question("a minute's points as they stand", as_points, flux.clone()).ask(config).await?;
    let as_sums = format!("SELECT sum(\"count\") {of_points} GROUP BY *");
    question("a minute's sums by series", as_sums, flux).ask(config).await
}

/// Charts of a customer, and the top customers.
pub(crate) async fn questions(config: &Config, last: i64) -> Result<()> {
    let days = (0, DAYS * 24 * HOUR);
    let (flux_customer, customer) =
        (" and r.customer == \"customer-0001\"", " AND \"customer\" = 'customer-0001'");
    let by_day = "aggregateWindow(every: 1d, fn: sum, createEmpty: false, timeSrc: \"_start\")";
    let question = |what, influxql, flux| Question { what, influxql, flux, runs: 21 };
    let totals = ("1h", "total");
    question(
        "a customer's 90 days by day, in total",
        format!("SELECT sum(\"count\") {} GROUP BY time(1d) fill(none)", of(config, totals, days, customer)),
        format!(
            "{} |> {by_day} |> group(columns: [\"_time\"]) |> sum()",
            from(config, totals, days, flux_customer)
        ),
    )
    .ask(config)
    .await?;
    let series = ("1h", "count");
    question(
        "the same by flag",
        format!(
            "SELECT sum(\"count\") {} GROUP BY time(1d), \"name\" fill(none)",
            of(config, series, days, customer)
        ),
        format!(
            "{} |> {by_day} |> group(columns: [\"name\", \"_time\"]) |> sum()",
            from(config, series, days, flux_customer)
        ),
    )
    .ask(config)
    .await?;
    let day = (last * HOUR, DAYS * 24 * HOUR);
    question(
        "all customers of a day, in total",
        format!("SELECT sum(\"count\") {} GROUP BY \"customer\"", of(config, totals, day, "")),
        format!("{} |> sum() |> group(columns: [\"customer\"]) |> sum()", from(config, totals, day, "")),
    )
    .ask(config)
    .await
}

/// Every total of the hours of a time, as it stands.
pub(crate) async fn month(config: &Config, seconds: i64) -> Result<()> {
    let (totals, range) = (("1h", "total"), (0, seconds));
    let whose = "\"customer\", \"project\", \"environment\"";
    Question {
        what: "all hours of 1,000 customers",
        influxql: format!("SELECT \"count\" AS \"sum\", {whose} {}", of(config, totals, range, "")),
        flux: from(config, totals, range, ""),
        runs: 5,
    }
    .ask(config)
    .await
}
