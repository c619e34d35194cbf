//! A burst on real servers, with two that watch for it.

use std::sync::Arc;

use chrono::TimeDelta;
use flagmeter_model::{Clock as _, SystemClock};
use flagmeter_store::{
    Store as _,
    influx::{Config, InfluxStore},
};
use serde_json::{Value, json};

use super::{
    servers::Servers,
    stages::{Cluster, KEY, Stage, start_all},
};
use crate::{
    bursts::{burst, history, wait_for},
    http,
    server::run,
};

/// What is said, in order, with its ids.
fn told(queries: &Stage, token: &str, number: usize) -> Vec<(Value, Value)> {
    let all = |stage: &Stage| {
        let answer = stage.get("/v1/operator/bursts", token)?;
        let alerts = answer["alerts"].as_array().expect("alerts").clone();
        (alerts.len() >= number).then_some(alerts)
    };
    let alerts = queries.eventually("it is told", all);
    alerts.iter().map(|alert| (alert["said"].clone(), alert["id"].clone())).collect()
}

/// What takes counts and answers.
struct Running {
    _edge: Stage,
    _ingest: Stage,
    queries: Stage,
    token: String,
}

/// Starts all but those that watch, with a history; a burst comes by the door, late.
fn with_a_burst(cluster: &Cluster, influx: Config) -> Running {
    cluster.set_up();
    let now = SystemClock.now().to_chrono();
    let config = Config { prefix: cluster.name().to_owned(), ..influx };
    wait_for(async {
        let store = InfluxStore::open(config, Arc::new(SystemClock)).await.expect("the store");
        store.write(Arc::new(history(now.timestamp(), 4))).await.expect("written");
    });
    let (mut edge, mut ingest) = (cluster.edge(1, "eu-west"), cluster.ingest("ingest-1"));
    let mut queries = [cluster.queries("queries-1")];
    start_all([&mut edge, &mut ingest].into_iter().chain(&mut queries));
    let [queries] = queries;
    let token = cluster.operator_token(&queries);
    let authorization = format!("Bearer {KEY}");
    let post = burst(now - TimeDelta::minutes(25)).to_string();
    let answer = http::post(edge.address(), "/v1/counts", &[("authorization", &authorization)], &post);
    assert_eq!(answer.expect("an answer").status, 202);
    queries.eventually("it is counted", |stage| {
        let answer = stage.get("/v1/usage?from=-2h&resolution=1m&flag=a", &token)?;
        let counts = answer["rows"].as_array()?.iter().filter_map(|row| row["count"].as_u64());
        (counts.sum::<u64>() > 120_000).then_some(())
    });
    Running { _edge: edge, _ingest: ingest, queries, token }
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn a_burst_is_told_once_by_two_that_watch_and_are_killed() {
    let servers = Servers::from_environment();
    let influx = Config::new(&servers.influx_url, &servers.influx_org, &servers.influx_token);
    let cluster = Cluster::on(servers, &[]);
    let Running { queries, token, .. } = &with_a_burst(&cluster, influx);
    let mut watching = [cluster.downsampler("downsampler-1"), cluster.downsampler("downsampler-2")];
    start_all(watching.iter_mut());
    let first = told(queries, token, 2);
    let said: Vec<_> = first.iter().map(|(said, _)| said.clone()).collect();
    assert_eq!(said, [json!("began"), json!("over")]);
    for stage in &mut watching {
        stage.kill();
        stage.start();
        stage.wait_until_ready();
    }
    for stage in &watching {
        let looks = |stage: &Stage| {
            let looks = stage.metric("flagmeter_downsampler_bursts_look_seconds_count")?;
            let watched = stage.metric("flagmeter_downsampler_bursts_watched")?;
            (looks >= 3.0 && watched >= 1.0).then_some(())
        };
        stage.eventually("it looks", looks);
    }
    assert_eq!(told(queries, token, 2), first, "nothing is told twice");
}

/// Three processes, of which each has a book of the ledger: one takes the mute, and two find the burst.
#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn a_mute_that_queries_take_mutes_what_downsamplers_find() {
    let servers = Servers::from_environment();
    let influx = Config::new(&servers.influx_url, &servers.influx_org, &servers.influx_token);
    let cluster = Cluster::on(servers, &[]);
    let Running { queries, token, .. } = &with_a_burst(&cluster, influx);
    let mute = |args: &[&str]| {
        let url = format!("http://{}", queries.address());
        let output = run(&[&["mute"], args, &["--url", &url]].concat(), &[("FLAGMETER_TOKEN", token)]);
        assert!(output.success, "{output:?}");
        output.stdout
    };
    let made = mute(&["acme/web", "--for", "2h", "--reason", "load test"]);
    let id = made.trim_end().rsplit(' ').next().expect("an id");
    let mut watching = [cluster.downsampler("downsampler-1"), cluster.downsampler("downsampler-2")];
    start_all(watching.iter_mut());
    told(queries, token, 2);
    let answer = queries.get("/v1/operator/bursts?muted=true", token).expect("an answer");
    let muted: Vec<_> =
        answer["alerts"].as_array().expect("alerts").iter().map(|one| &one["muted"]).collect();
    assert_eq!(muted, [id, id]);
    for stage in &watching {
        let in_force =
            |stage: &Stage| stage.metric("flagmeter_downsampler_mutes_in_force").filter(|it| *it > 0.0);
        stage.eventually("it knows of the mute", in_force);
    }
    assert!(mute(&["end", id]).contains("is muted no more"));
    for stage in &watching {
        let in_force =
            |stage: &Stage| stage.metric("flagmeter_downsampler_mutes_in_force").filter(|it| *it < 1.0);
        stage.eventually("it knows that it was ended", in_force);
    }
}
