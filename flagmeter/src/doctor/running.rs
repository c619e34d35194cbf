//! What runs: each process by its metrics' address, and the way of a count by what a server says of it.

use std::net::IpAddr;

use flagmeter_model::{Clock as _, SystemClock, Timestamp};
use serde::Deserialize;

use super::finding::{Finding, Report};
use crate::{
    config::Config,
    http::{Answer, Connection, Url},
};

/// Clocks that differ by less may only have been read at different moments: HTTP tells whole seconds.
const SKEW_MAX_MS: i64 = 2_500;
/// The version of this program: all of a deployment are to have one.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Signs of trouble in a process's metrics: from which value on, and what it means.
const SIGNS: &[(&str, f64, &str)] = &[
    (
        "flagmeter_ingest_stalled",
        1.0,
        "ingest stands still: see whether Kafka and InfluxDB answer, and its log",
    ),
    (
        "flagmeter_ingest_lag_seconds",
        60.0,
        "ingest is more than a minute behind: add an ingester, or see how long InfluxDB takes to write \
         (flagmeter_ingest_write_seconds)",
    ),
    (
        "flagmeter_edge_seal_lag_milliseconds",
        60_000.0,
        "what it took a minute ago is not in the log yet: see whether the log answers; nothing is lost while the \
         journal has room (flagmeter_edge_journal_bytes)",
    ),
    (
        "flagmeter_downsampler_missing_nodes",
        1.0,
        "an edge node fell silent without a farewell: start it again with its data folder, which holds what it took",
    ),
];
/// Those that are in trouble where they are 0.
const NOT_ZERO: &[(&str, &str)] = &[
    (
        "flagmeter_registry_file_good",
        "its registry's file cannot be used, and an older one goes on: see `flagmeter registry check`",
    ),
    (
        "flagmeter_flags_source_good",
        "its runtime flags cannot be used, and what was last good goes on: see `flagmeter flags check`",
    ),
];

/// A clock beside this machine's.
pub(super) fn clock(about: &str, there: Timestamp, here: Timestamp) -> Finding {
    // A time of whole seconds is half a second past, on average.
    let ahead_ms = there.millis_since(here) + 500;
    if ahead_ms.abs() <= SKEW_MAX_MS {
        return Finding::ok(about, "its clock agrees with this machine's");
    }
    let seconds = ahead_ms.unsigned_abs().div_ceil(1000);
    let way = if ahead_ms > 0 { "ahead of" } else { "behind" };
    Finding::wrong(
        about,
        format!(
            "its clock is {seconds} s {way} this machine's: let both follow the same NTP servers; counts are taken to be of the time \
             that the edges' clocks say"
        ),
    )
}

/// The process of this configuration, if its address can be known.
pub(super) fn own(config: &Config) -> Vec<Url> {
    let address = config.listen.metrics;
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip.to_string(),
        IpAddr::V4(_) => "127.0.0.1".to_owned(),
        IpAddr::V6(_) => "[::1]".to_owned(),
    };
    if address.port() == 0 {
        Vec::new()
    } else {
        vec![Url { authority: format!("{host}:{}", address.port()) }]
    }
}

/// A process: whether it is ready, which version it is, what its clock says, and signs of trouble.
pub(super) async fn process(url: &Url, report: &mut Report) {
    let mut connection = Connection::new(url.clone());
    let ready = match connection.answer("/readyz", None).await {
        Ok(ready) => ready,
        Err(error) => {
            let says = format!(
                "no process answers ({error}): start it, or name its metrics' address with --process"
            );
            return report.tell(Finding::wrong(url.authority.clone(), says));
        }
    };
    let name = url.authority.clone();
    report.tell(readiness(&name, &ready));
    if let Some(time) = ready.date {
        report.tell(clock(&name, time, SystemClock.now()));
    }
    match connection.get("/metrics", None).await {
        Ok(metrics) => {
            let metrics = String::from_utf8_lossy(&metrics);
            report.tell(version(&name, &metrics));
            for finding in signs(&name, &metrics) {
                report.tell(finding);
            }
        }
        Err(error) => report.tell(Finding::wrong(name, format!("its metrics cannot be read: {error}"))),
    }
}

fn readiness(name: &str, ready: &Answer) -> Finding {
    match ready.status {
        200 => Finding::ok(name, "ready"),
        _ => Finding::wrong(name, format!("not ready: {}", String::from_utf8_lossy(&ready.body).trim())),
    }
}

fn version(name: &str, metrics: &str) -> Finding {
    let told = metrics.lines().find_map(|line| {
        line.strip_prefix("flagmeter_build_info{")?.split_once("version=\"")?.1.split_once('"')
    });
    match told {
        Some((version, _)) if version == VERSION => {
            Finding::ok(name, format!("runs {version}, as this program"))
        }
        Some((version, _)) => Finding::wrong(
            name,
            format!("runs {version}, and this program is {VERSION}: bring all processes to the same version"),
        ),
        None => Finding::wrong(
            name,
            format!(
                "does not tell its version; this program is {VERSION}: is it an older flagmeter, or something else?"
            ),
        ),
    }
}

fn signs(name: &str, metrics: &str) -> Vec<Finding> {
    let highest = |metric: &str| values(metrics, metric).reduce(f64::max);
    let high = SIGNS.iter().filter(|(metric, from, _)| highest(metric).is_some_and(|value| value >= *from));
    let zero = NOT_ZERO.iter().filter(|(metric, _)| values(metrics, metric).any(|value| value == 0.0));
    let says = high.map(|(_, _, says)| says).chain(zero.map(|(_, says)| says));
    says.map(|says| Finding::wrong(name, *says)).collect()
}

/// The values of a metric in Prometheus' text form, whatever its labels.
fn values<'a>(metrics: &'a str, name: &'a str) -> impl Iterator<Item = f64> + 'a {
    metrics.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let value = rest
            .strip_prefix(' ')
            .or_else(|| rest.strip_prefix('{')?.split_once("} ").map(|(_, value)| value))?;
        value.trim().parse().ok()
    })
}

/// `/v1/operator/pipeline`, as far as it is read here.
#[derive(Debug, Deserialize)]
struct Pipeline {
    stages: Vec<Passed>,
}

#[derive(Debug, Deserialize)]
struct Passed {
    title: String,
    state: String,
    says: Option<String>,
}

/// The way of a count, as a server sees it.
pub(super) async fn pipeline(url: Option<&Url>, token: Option<&str>, report: &mut Report) {
    let about = "the way";
    let (Some(url), Some(token)) = (url, token) else {
        let says = "name a server with --url and an operator's token with --token to see each stage of a count's way";
        return report.tell(Finding::skipped(about, says));
    };
    let answer = Connection::new(url.clone()).get("/v1/operator/pipeline", Some(token)).await;
    let read = answer.map_err(|error| error.to_string()).and_then(|body| {
        serde_json::from_slice::<Pipeline>(&body)
            .map_err(|error| format!("{url} answers what is none: {error}"))
    });
    match read {
        Ok(pipeline) => judge_pipeline(about, &pipeline, report),
        Err(why) => report.tell(Finding::wrong(about, why)),
    }
}

fn judge_pipeline(about: &str, pipeline: &Pipeline, report: &mut Report) {
    let is_ok = |stage: &&Passed| stage.state == "ok";
    for stage in pipeline.stages.iter().filter(|stage| !is_ok(stage)) {
        let says = format!("{}: {}", stage.title, stage.says.as_deref().unwrap_or(&stage.state));
        report.tell(if stage.state == "unknown" {
            Finding::note(about, says)
        } else {
            Finding::wrong(about, says)
        });
    }
    let well = pipeline.stages.iter().filter(is_ok).count();
    if well == pipeline.stages.len() {
        report.tell(Finding::ok(about, format!("all {well} stages are as they should be")));
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::State, *};

    #[test]
    fn clocks_may_differ_by_what_reading_them_takes_and_not_by_more() {
        let here = Timestamp::from_seconds_clamped(1_000).plus_millis(900);
        let there = |seconds| clock("c", Timestamp::from_seconds_clamped(seconds), here);
        assert_eq!(
            (there(1_000).state, there(1_002).state, there(998).state),
            (State::Ok, State::Ok, State::Ok)
        );
        assert!(there(1_013).says.starts_with("its clock is 13 s ahead of"), "{:?}", there(1_013));
        assert!(there(988).says.starts_with("its clock is 13 s behind"), "{:?}", there(988));
    }

    #[test]
    fn a_version_is_the_same_or_another_or_not_told() {
        let told = |version: &str| {
            format!("# HELP x\nflagmeter_build_info{{rustc=\"1\",version=\"{version}\"}} 1\n")
        };
        assert_eq!(version("p", &told(VERSION)).state, State::Ok);
        assert!(version("p", &told("9.9.9")).says.contains("runs 9.9.9"));
        assert_eq!(version("p", "up 1\n").state, State::Wrong);
    }

    #[test]
    fn signs_of_trouble_are_told_and_nothing_else() {
        let metrics = "flagmeter_ingest_stalled 0\nflagmeter_ingest_lag_seconds{partition=\"0\"} 3\n\
            flagmeter_ingest_lag_seconds{partition=\"1\"} 75\nflagmeter_registry_file_good 0\n\
            flagmeter_downsampler_missing_nodes_of_another_name 4\n";
        let found = signs("p", metrics);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].says.starts_with("ingest is more than a minute behind"), "{found:?}");
        assert!(found[1].says.starts_with("its registry's file"), "{found:?}");
    }

    #[test]
    fn a_stage_that_is_not_well_is_told_in_its_own_words() {
        let stage = |title: &str, state: &str, says: Option<&str>| Passed {
            title: title.into(),
            state: state.into(),
            says: says.map(str::to_owned),
        };
        let states = |stages: Vec<Passed>| {
            let mut report = Report::new(true);
            judge_pipeline("the way", &Pipeline { stages }, &mut report);
            report.findings().iter().map(|found| (found.state, found.says.clone())).collect::<Vec<_>>()
        };
        assert_eq!(
            states(vec![stage("Edges", "ok", None), stage("Log", "ok", None)]),
            [(State::Ok, "all 2 stages are as they should be".to_owned())]
        );
        assert_eq!(
            states(vec![
                stage("Edges", "stuck", Some("node 3 is silent.")),
                stage("Log", "ok", None),
                stage("Ledger", "unknown", None)
            ]),
            [
                (State::Wrong, "Edges: node 3 is silent.".to_owned()),
                (State::Note, "Ledger: unknown".to_owned())
            ]
        );
    }
}
