//! Each stage as a process of its own, on real Kafka and InfluxDB, with the settings of docker-compose.yml.

mod billing;
mod bursts;
mod compression;
mod doctor;
mod readme;
pub(crate) mod servers;
pub(crate) mod stages;
#[cfg(feature = "tls")]
mod tls;
mod traffic;

use std::collections::BTreeMap;

use flagmeter_model::{Clock, SystemClock, Timestamp};
use serde_json::Value;

use self::{
    stages::{Cluster, Stage, by_flag, start_all},
    traffic::{Sent, grouped},
};
use crate::server::{Output, run};

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn every_count_comes_out_once_of_many_edges_ingesters_downsamplers_and_queries() {
    let cluster = Cluster::new();
    cluster.set_up();
    let mut edges = [cluster.edge(1, "eu-west"), cluster.edge(2, "us-east")];
    let mut ingesters = [cluster.ingest("ingest-1"), cluster.ingest("ingest-2")];
    let mut downsamplers = [cluster.downsampler("downsampler-1"), cluster.downsampler("downsampler-2")];
    let mut queries = [cluster.queries("queries-1"), cluster.queries("queries-2")];
    start_all(edges.iter_mut().chain(&mut ingesters).chain(&mut downsamplers).chain(&mut queries));
    let sent = traffic::keyed(&edges, stages::KEY, 100);
    println!("{} counts acknowledged, {} of them sent again", sent.total(), sent.duplicate);

    for queries in &queries {
        let token = cluster.operator_token(queries);
        complete(queries, &token);
        for resolution in ["10s", "1m", "15m", "1h"] {
            assert_eq!(
                counted(queries, &token, resolution),
                sent.by_flag,
                "{}: {resolution}",
                queries.name()
            );
        }
        nodes_are_shown(queries, &token);
        compare_a_load(&edges[0], queries, &token);
    }
    stop_in_order(&mut edges, "everything that was acknowledged is in Kafka");
    // The downsamplers go on until all that the edges have handed on is rolled up.
    let token = cluster.operator_token(&queries[0]);
    audit(&cluster, &queries[0], &token, &sent);
    stop_in_order(&mut ingesters, "what is not stored yet waits in Kafka");
    stop_in_order(&mut downsamplers, "what is not rolled up yet waits in InfluxDB");
    stop_in_order(&mut queries, "nothing was left undone");
}

fn stop_in_order(stages: &mut [Stage], last_words: &str) {
    for stage in stages {
        stage.stops_with(last_words);
    }
}

/// Waits until all that has been sent so far is in.
fn complete(queries: &Stage, token: &str) {
    let sent_until = SystemClock.now();
    queries.eventually("it is complete", |stage| {
        let answer = stage.get("/v1/usage?from=-1m", token)?;
        let until = Timestamp::parse_rfc3339(answer["complete_until"].as_str()?).ok()?;
        (until >= sent_until).then_some(())
    });
}

fn counted(queries: &Stage, token: &str, resolution: &str) -> BTreeMap<String, u64> {
    let path = format!("/v1/usage?from=-6h&to=now&resolution={resolution}&group_by=flag&sdk=keyed");
    by_flag(&queries.get(&path, token).expect("an answer"))
}

fn nodes_are_shown(queries: &Stage, token: &str) {
    let answer = queries.get("/v1/operator/nodes", token).expect("an answer");
    let nodes = answer["nodes"].as_array().expect("nodes");
    let shown: Vec<_> =
        nodes.iter().map(|node| (&node["node"], node["region"].as_str(), node["state"].as_str())).collect();
    let (one, two) = (Value::from(1), Value::from(2));
    assert_eq!(
        shown,
        [(&one, Some("eu-west"), Some("live")), (&two, Some("us-east"), Some("live"))],
        "{answer}"
    );
}

/// `flagmeter send` at an edge, compared with what queries has.
fn compare_a_load(edge: &Stage, queries: &Stage, token: &str) {
    let (to, from) = (edge.url(), queries.url());
    let load = ["send", "--url", &to, "--key", stages::OTHER_KEY, "--rate", "200", "--duration", "2s"];
    let compare = ["--compare", "--queries", &from, "--token", token];
    let sent = run(&[load.as_slice(), &compare].concat(), &[]);
    assert!(sent.success && sent.stdout.contains("agrees: "), "{sent:?}");
}

/// Everything agrees, and what was sent has the fates that it must have.
fn audit(cluster: &Cluster, queries: &Stage, token: &str, sent: &Sent) {
    let Output { success, stdout, stderr, .. } =
        run(&["audit", "--url", &queries.url(), "--token", token], &[]);
    println!("{stdout}");
    assert!(success, "{}: {stdout}\n{stderr}", cluster.name());
    let stored = sent.total();
    let fates = format!(
        "acme: received {} = stored {} + duplicate {} + rejected 0",
        grouped(stored + sent.duplicate),
        grouped(stored),
        grouped(sent.duplicate)
    );
    assert!(stdout.contains(&fates), "{fates:?} is not in\n{stdout}");
    assert!(stdout.contains("every count has a fate"), "{stdout}");
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn what_stops_a_start_on_real_servers_is_told_with_the_command_that_mends_it() {
    let cluster = Cluster::new();
    let refused = |command: &[&str], variables: &[(&str, &str)], holds: &[&str]| {
        let output = cluster.run_with(command, variables);
        assert_eq!(output.status, Some(1), "{output:?}");
        let last = output.stderr.lines().last().unwrap_or_default();
        for part in holds {
            assert!(last.contains(part), "{command:?}: {part:?} is not in {last:?}");
        }
    };
    refused(&["topic", "check"], &[], &[cluster.name(), "flagmeter topic create"]);
    refused(&["store", "check"], &[], &[cluster.name(), "flagmeter store init"]);
    refused(&["edge"], &[], &[cluster.name(), "flagmeter topic create"]);
    for stage in ["ingest", "downsampler", "queries"] {
        refused(&[stage], &[], &[cluster.name(), "flagmeter store init"]);
    }
    cluster.set_up();
    let wrong = [("FLAGMETER_INFLUX_TOKEN_FILE", ""), ("FLAGMETER_INFLUX_TOKEN", "nobodys")];
    refused(&["downsampler"], &wrong, &["token"]);
    let none = [("FLAGMETER_INFLUX_TOKEN_FILE", "")];
    refused(&["queries"], &none, &["FLAGMETER_INFLUX_TOKEN"]);
    let wider = [("FLAGMETER_KAFKA_PARTITIONS", "9")];
    refused(&["ingest"], &wider, &["and 9 are set", "kafka.partitions"]);
    for command in [["topic", "check"], ["store", "check"], ["topic", "create"], ["store", "init"]] {
        let again = cluster.run_with(&command, &[]);
        assert!(again.success && !again.stdout.contains("made"), "{command:?}: {again:?}");
    }
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn an_edge_with_the_number_of_another_takes_its_place_and_the_first_stops_and_says_why() {
    let cluster = Cluster::new();
    cluster.set_up();
    let mut first = cluster.edge(7, "eu-west");
    start_all([&mut first].into_iter());
    let mut second = cluster.edge_in("second", 7, "us-east");
    start_all([&mut second].into_iter());
    let status = first.wait_for_end();
    assert_eq!(status.code(), Some(1), "{}", first.printed());
    assert!(first.printed().contains("another edge with number 7 has started"), "{}", first.printed());
    assert!(second.is_ready());
}

/// A stage whose servers are not there, and that waits a second for them.
fn without_servers(command: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("registry.toml"), stages::REGISTRY).expect("a registry");
    let path = folder.path().to_str().expect("a readable path");
    let common = ["--data", path, "--metrics", "127.0.0.1:0", "--set", "startup.servers_max=1s"];
    let ended = run(&[command, &common].concat(), &[]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    ended
}

fn gives_up(ended: &Output, server: &str) {
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.contains(&format!("{server} is not there")), "{ended:?}");
    assert!(last.contains("startup.servers_max"), "{ended:?}");
    assert!(ended.stderr.contains(&format!("connecting to {server}")), "{ended:?}");
}

#[test]
fn a_stage_without_its_servers_gives_up_in_one_sentence() {
    let url = "influx.url=http://127.0.0.1:1";
    let stages: [(&[&str], &str); 2] = [
        (&["downsampler", "--set", url, "--set", "influx.token=hush"], "InfluxDB at http://127.0.0.1:1"),
        (&["edge", "--listen", "127.0.0.1:0", "--set", "kafka.brokers=127.0.0.1:1"], "Kafka at 127.0.0.1:1"),
    ];
    for (command, server) in stages {
        let ended = without_servers(command);
        if cfg!(feature = "kafka") {
            gives_up(&ended, server);
        } else {
            assert!(ended.stderr.contains("this build of flagmeter has no Kafka"), "{ended:?}");
        }
    }
}

#[test]
fn every_variable_of_the_compose_file_is_a_setting() {
    let compose = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker-compose.yml");
    let compose = std::fs::read_to_string(compose).expect("the file");
    let known = run(&["config", "print"], &[]).stdout;
    let is_of_name = |letter: char| letter == '_' || letter.is_ascii_uppercase();
    let words = compose.split(|letter| !is_of_name(letter)).filter(|word| word.starts_with("FLAGMETER_"));
    let unknown: Vec<&str> = words.filter(|word| !known.contains(&format!("# {word} ("))).collect();
    assert_eq!(unknown, [""; 0]);
    assert!(compose.contains("FLAGMETER_KAFKA_BROKERS"));
}
