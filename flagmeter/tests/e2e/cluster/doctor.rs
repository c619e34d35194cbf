//! `flagmeter doctor` on real Kafka and InfluxDB.

use super::{Cluster, stages::start_all};
use crate::{doctor::says, server::Output};

fn doctor(cluster: &Cluster, stage: &str, more: &[(&str, &str)], args: &[&str]) -> Output {
    cluster.run_with(&[&["doctor", stage], args].concat(), more)
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn what_is_missing_in_the_servers_is_told_with_what_makes_it_and_what_is_there_is_well() {
    let cluster = Cluster::new();
    let bare = doctor(&cluster, "ingest", &[], &[]);
    assert_eq!(bare.status, Some(1));
    says(&bare, "WRONG", "kafka", "flagmeter topic create");
    says(&bare, "WRONG", "influxdb", "flagmeter store init");
    says(&doctor(&cluster, "queries", &[], &[]), "WRONG", "ledger", "flagmeter topic create");

    cluster.set_up();
    let mut stages = [
        cluster.edge(1, "eu-west"),
        cluster.ingest("ingest-1"),
        cluster.downsampler("d-1"),
        cluster.queries("q-1"),
    ];
    start_all(stages.iter_mut());
    let processes: Vec<String> =
        stages.iter().map(|stage| format!("--process={}", stage.metrics_url())).collect();
    let processes: Vec<&str> = processes.iter().map(String::as_str).collect();
    let (url, token) = (stages[3].url(), cluster.operator_token(&stages[3]));
    let asked = [&processes[..], &["--url", &url, "--token", &token]].concat();
    let well = stages[3].eventually("all is well", |_| {
        let told = doctor(&cluster, "ingest", &[], &asked);
        told.success.then_some(told)
    });
    says(&well, "ok", "kafka", "4 partitions");
    says(&well, "ok", "influxdb", "its clock agrees");
    assert_eq!(well.stdout.matches("as this program").count(), 4, "{well:?}");

    let token = ("FLAGMETER_INFLUX_TOKEN", "wrong");
    let refused = doctor(&cluster, "ingest", &[token, ("FLAGMETER_INFLUX_TOKEN_FILE", "")], &[]);
    says(&refused, "WRONG", "influxdb", "does not know the token");
    let other = doctor(&cluster, "edge", &[("FLAGMETER_KAFKA_PARTITIONS", "9")], &[]);
    says(&other, "WRONG", "kafka", "partitions");

    stages[1].kill();
    let (gone, address) = (doctor(&cluster, "ingest", &[], &processes), stages[1].metrics_url());
    says(&gone, "WRONG", address.trim_start_matches("http://"), "no process answers");
}
