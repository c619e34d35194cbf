//! TLS and SASL to both servers: with a CA that only the tests know, and users with no more rights than are needed. And
//! what is said when it cannot be.

use std::{env, io, thread};

use super::{
    audit, complete, counted,
    servers::{Servers, text},
    stages::{self, Cluster, Stage, start_all},
    stop_in_order, traffic,
};
use crate::server::eventually;

const BROKERS: &str = "FLAGMETER_KAFKA_BROKERS";
const PROPERTIES: &str = "FLAGMETER_KAFKA_PROPERTIES";
const URL: &str = "FLAGMETER_INFLUX_URL";
const CA_FILE: &str = "FLAGMETER_INFLUX_CA_FILE";
/// Nobody's password or token.
const WRONG: &str = "wrong-password";

/// Both servers' doors with TLS.
struct Tls {
    kafka: String,
    influx_url: String,
    /// Of the certificates.
    folder: String,
    scram: User,
    plain: User,
}

struct User {
    mechanism: &'static str,
    name: String,
    password: String,
}

impl Tls {
    fn from_environment() -> Self {
        let told = |name: &str| {
            let name = format!("FLAGMETER_TEST_TLS_{name}");
            env::var(&name).unwrap_or_else(|_| {
                panic!(
                    "{name} is not set: this test needs servers with TLS, so run it with \
                     `./services --tls run cargo test --features flagmeter/tls -- --include-ignored`"
                )
            })
        };
        let user = |name: &str, mechanism| {
            let told = told(name);
            let (name, password) = told.split_once(':').expect("user:password");
            User { mechanism, name: name.to_owned(), password: password.to_owned() }
        };
        Self {
            kafka: told("KAFKA"),
            influx_url: told("INFLUX_URL"),
            folder: told("FOLDER"),
            scram: user("SCRAM", "SCRAM-SHA-512"),
            plain: user("PLAIN", "PLAIN"),
        }
    }

    /// The file with the certificate of a CA.
    fn ca(&self, name: &str) -> String {
        format!("{}/{name}.crt", self.folder)
    }

    fn properties(&self, user: &User, ca: &str) -> String {
        let User { mechanism, name, password } = user;
        let ca = self.ca(ca);
        format!(
            "security.protocol=SASL_SSL, ssl.ca.location={ca}, sasl.mechanism={mechanism}, sasl.username={name}, \
             sasl.password={password}"
        )
    }

    /// Processes that reach both servers by TLS, and Kafka by SCRAM.
    fn cluster(&self) -> Cluster {
        Cluster::on(
            Servers::from_environment(),
            &[
                (BROKERS, &self.kafka),
                (PROPERTIES, &self.properties(&self.scram, "ca")),
                (URL, &self.influx_url),
                (CA_FILE, &self.ca("ca")),
                ("FLAGMETER_BILLING_GRACE", "1s"),
            ],
        )
    }
}

/// What docs/tls.md says that whoever makes the topic and each stage needs: on what, to do what, and what follows the
/// topic's name.
type Rights = [(Of, To, &'static str)];
const OF_TOPIC: &Rights = &[
    (Of::Topic, To::Create, ""),
    (Of::Topic, To::Describe, ""),
    (Of::Topic, To::DescribeConfigs, ""),
    (Of::Topic, To::Create, "-ledger"),
    (Of::Topic, To::Describe, "-ledger"),
    (Of::Topic, To::DescribeConfigs, "-ledger"),
];
const OF_EDGE: &Rights = &[
    (Of::Topic, To::Read, ""),
    (Of::Topic, To::Write, ""),
    (Of::Topic, To::DescribeConfigs, ""),
    (Of::Group, To::Read, "-edge-"),
    (Of::TransactionalId, To::Write, "-edge-"),
];
const OF_INGEST: &Rights =
    &[(Of::Topic, To::Read, ""), (Of::Topic, To::DescribeConfigs, ""), (Of::Group, To::Read, "")];

const OF_DOWNSAMPLER: &Rights = &[
    (Of::Topic, To::Read, "-ledger"),
    (Of::Topic, To::Write, "-ledger"),
    (Of::Topic, To::DescribeConfigs, "-ledger"),
    (Of::TransactionalId, To::Write, "-ledger"),
];
/// As they take planned mutes, they write to the ledger.
const OF_QUERIES: &Rights = OF_DOWNSAMPLER;

fn grant(cluster: &Cluster, user: &User, rights: &Rights) {
    let servers = Servers::from_environment();
    for (of, to, suffix) in rights {
        let name = format!("{}{suffix}", cluster.name());
        allow(&servers, &user.name, *of, *to, &name).expect("Kafka takes it");
    }
}

/// Kafka's `CreateAcls`, version 1: a user may do something to what is called so; where the name ends with a dash, to
/// everything whose name begins so.
fn allow(servers: &Servers, user: &str, of: Of, to: To, name: &str) -> io::Result<()> {
    let mut body = 1_i32.to_be_bytes().to_vec(); // one right
    body.push(of as u8);
    body.extend(text(name)?);
    body.push(if name.ends_with('-') { 4 } else { 3 });
    body.extend(text(&format!("User:{user}"))?);
    body.extend(text("*")?); // from anywhere
    body.extend([to as u8, 3]); // is allowed to
    match servers.ask_kafka(30, 1, &body, 0)? {
        0 => Ok(()),
        error => Err(io::Error::other(format!("Kafka answers with the error {error}"))),
    }
}

/// What is done, in Kafka's numbers.
#[derive(Debug, Clone, Copy)]
enum To {
    Read = 3,
    Write = 4,
    Create = 5,
    Describe = 8,
    DescribeConfigs = 10,
}

/// To what it is done, in Kafka's numbers.
#[derive(Debug, Clone, Copy)]
enum Of {
    Topic = 2,
    Group = 3,
    TransactionalId = 5,
}

/// Kafka takes a moment until what was granted holds.
fn until_made(cluster: &Cluster) {
    let create = || cluster.run_with(&["topic", "create"], &[]);
    eventually("the topic can be made", create, |output| output.success);
}

/// Settings that are wrong, and what must be said about them.
type Case = (Vec<(&'static str, String)>, &'static [&'static str]);

fn case<const N: usize>(settings: [(&'static str, &str); N], holds: &'static [&'static str]) -> Case {
    (settings.map(|(name, value)| (name, value.to_owned())).into(), holds)
}

/// Each at once: some take as long as brokers are given to answer.
fn each_is_refused(tls: &Tls, command: &[&str], cases: &[Case]) {
    let cluster = &tls.cluster();
    thread::scope(|scope| {
        for (settings, holds) in cases {
            scope.spawn(move || {
                let more: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let said = refused(tls, cluster, command, &more);
                println!("{said}");
                for part in *holds {
                    assert!(said.contains(part), "{part:?} is not in {said:?}");
                }
            });
        }
    });
}

/// The last line of a command that ends badly. What it prints has no secret in it.
fn refused(tls: &Tls, cluster: &Cluster, command: &[&str], more: &[(&str, &str)]) -> String {
    let output = cluster.run_with(command, &[more, &[("FLAGMETER_STARTUP_SERVERS_MAX", "25s")]].concat());
    assert_eq!(output.status, Some(1), "{command:?} {more:?}: {output:?}");
    for secret in [&tls.scram.password, WRONG] {
        assert!(!output.stderr.contains(secret), "{output:?}");
    }
    let said = output.stderr.trim_end();
    if command.len() > 1 {
        assert_eq!(said.lines().count(), 1, "no stage, and so no log: {said}");
    }
    said.lines().last().unwrap_or_default().to_owned()
}

#[test]
#[ignore = "needs servers with TLS: ./services --tls run cargo test --features flagmeter/tls -- --include-ignored"]
fn counts_come_out_once_over_tls_for_users_with_no_more_rights_than_they_need() {
    let tls = Tls::from_environment();
    let cluster = tls.cluster();
    grant(&cluster, &tls.scram, OF_TOPIC);
    until_made(&cluster);
    let made = cluster.run_with(&["store", "init"], &[]);
    assert!(made.success && made.stdout.contains("made"), "{made:?}");

    grant(&cluster, &tls.scram, &[OF_EDGE, OF_DOWNSAMPLER].concat());
    grant(&cluster, &tls.plain, &[OF_INGEST, OF_QUERIES].concat());
    let mut edges = [cluster.edge(1, "eu-west")];
    let mut ingesters = [cluster.ingest("ingest-1")];
    ingesters[0].set(PROPERTIES, &tls.properties(&tls.plain, "ca"));
    let mut downsamplers = [cluster.downsampler("downsampler-1")];
    let mut queries = [cluster.queries("queries-1")];
    queries[0].set(PROPERTIES, &tls.properties(&tls.plain, "ca"));
    start_all(edges.iter_mut().chain(&mut ingesters).chain(&mut downsamplers).chain(&mut queries));
    let sent = traffic::keyed(&edges, stages::KEY, 20);

    let token = cluster.operator_token(&queries[0]);
    complete(&queries[0], &token);
    for resolution in ["10s", "1m", "15m", "1h"] {
        assert_eq!(counted(&queries[0], &token, resolution), sent.by_flag, "{resolution}");
    }
    queries[0].eventually("hours that are over are closed", |queries| {
        let feed = queries.get("/v1/billing/closed-hours", &token)?;
        feed["rows"].as_array().filter(|rows| !rows.is_empty()).map(Vec::len)
    });
    let mute = ["mute", "acme", "--for", "1h", "--reason", "a launch", "--url", &queries[0].url()];
    let muted = cluster.run_with(&mute, &[("FLAGMETER_TOKEN", &token)]);
    assert!(muted.success && muted.stdout.contains("is muted from"), "{muted:?}");
    stop_in_order(&mut edges, "everything that was acknowledged is in Kafka");
    audit(&cluster, &queries[0], &token, &sent);
    stop_in_order(&mut ingesters, "what is not stored yet waits in Kafka");
    stop_in_order(&mut downsamplers, "what is not rolled up yet waits in InfluxDB");
    stop_in_order(&mut queries, "nothing was left undone");
    for stage in edges.iter().chain(&ingesters).chain(&downsamplers).chain(&queries) {
        tells_no_secret(&tls, stage);
    }
}

fn tells_no_secret(tls: &Tls, stage: &Stage) {
    let printed = stage.printed();
    for secret in [&tls.scram.password, &tls.plain.password, &Servers::from_environment().influx_token] {
        assert!(!printed.contains(secret.as_str()), "{}:\n{printed}", stage.name());
    }
}

#[test]
#[ignore = "needs servers with TLS: ./services --tls run cargo test --features flagmeter/tls -- --include-ignored"]
fn what_stands_between_flagmeter_and_kafka_is_told_with_the_setting_that_mends_it() {
    let tls = Tls::from_environment();
    let (right, other) = (tls.properties(&tls.scram, "ca"), tls.properties(&tls.scram, "other-ca"));
    let of_system = right.replace("ssl.ca.location=", "client.id=");
    let password = |user: &User| tls.properties(user, "ca").replace(&user.password, WRONG);
    let mechanism = right.replace("SCRAM-SHA-512", "SCRAM-SHA-256");
    let by_address = tls.kafka.replace("localhost", "127.0.0.1");
    let plain_port = Servers::from_environment().kafka.replace("127.0.0.1", "localhost");
    let anonymous = right.replace("SASL_SSL", "SSL");
    let cases = [
        case([(PROPERTIES, &other)], &["certificate", "ssl.ca.location"]),
        case([(PROPERTIES, &of_system)], &["certificate", "ssl.ca.location"]),
        case([(PROPERTIES, &password(&tls.scram))], &["sasl.password"]),
        case([(PROPERTIES, &password(&tls.plain))], &["sasl.password"]),
        case([(PROPERTIES, &mechanism)], &["sasl.mechanism"]),
        case([(BROKERS, &by_address)], &["other names", "kafka.brokers"]),
        case([(PROPERTIES, "")], &["without TLS", "security.protocol", "SASL_SSL"]),
        case([(BROKERS, &plain_port)], &["when TLS begins", "security.protocol"]),
        case([(PROPERTIES, &anonymous)], &["sasl.username"]),
    ];
    each_is_refused(&tls, &["topic", "check"], &cases);
    // Stages do not wait for what no waiting mends.
    each_is_refused(&tls, &["edge"], &cases[..1]);
    each_is_refused(&tls, &["edge"], &cases[2..3]);
}

#[test]
#[ignore = "needs servers with TLS: ./services --tls run cargo test --features flagmeter/tls -- --include-ignored"]
fn what_stands_between_flagmeter_and_influxdb_is_told_with_the_setting_that_mends_it() {
    let tls = Tls::from_environment();
    let other = tls.ca("other-ca");
    let by_address = tls.influx_url.replace("localhost", "127.0.0.1");
    let without = tls.influx_url.replace("https:", "http:");
    let plain_port = Servers::from_environment().influx_url.replace("http:", "https:");
    let cases = [
        case([(CA_FILE, &other)], &["certificate", "influx.ca_file"]),
        // The CAs of the system.
        case([(CA_FILE, "")], &["certificate", "influx.ca_file"]),
        case([(URL, &by_address)], &["another name", "influx.url"]),
        case([(URL, &without), (CA_FILE, "")], &["begin influx.url with https://"]),
        case([(URL, &plain_port)], &["begin influx.url with http://"]),
        case([("FLAGMETER_INFLUX_TOKEN_FILE", ""), ("FLAGMETER_INFLUX_TOKEN", WRONG)], &["token"]),
    ];
    each_is_refused(&tls, &["store", "check"], &cases);
    each_is_refused(&tls, &["store", "init"], &cases[..1]);
    // Stages do not wait for what no waiting mends.
    each_is_refused(&tls, &["downsampler"], &cases[..1]);
}

#[test]
#[ignore = "needs servers with TLS: ./services --tls run cargo test --features flagmeter/tls -- --include-ignored"]
fn what_a_user_of_kafka_may_not_is_told_with_the_right_that_is_missing() {
    let tls = Tls::from_environment();
    let cluster = tls.cluster();
    let said = refused(&tls, &cluster, &["topic", "create"], &[]);
    assert!(said.contains("grant this user") && said.contains("Create"), "{said}");
    grant(&cluster, &tls.scram, OF_TOPIC);
    until_made(&cluster);

    let said = refused(&tls, &cluster, &["edge"], &[]);
    assert!(said.contains("Read on the group"), "{said}");
    grant(&cluster, &tls.scram, &[(Of::Group, To::Read, "-edge-"), (Of::Topic, To::Read, "")]);
    let said = refused(&tls, &cluster, &["edge"], &[]);
    assert!(said.contains("Write on the transactional id"), "{said}");
    grant(&cluster, &tls.scram, OF_EDGE);
    let mut edge = cluster.edge(1, "eu-west");
    start_all([&mut edge].into_iter());
}

#[test]
#[ignore = "needs servers with TLS: ./services --tls run cargo test --features flagmeter/tls -- --include-ignored"]
fn an_edge_that_has_run_before_takes_posts_while_kafka_does_not_take_its_password() {
    let tls = Tls::from_environment();
    let cluster = tls.cluster();
    grant(&cluster, &tls.scram, &[OF_TOPIC, OF_EDGE, OF_INGEST, OF_QUERIES].concat());
    until_made(&cluster);
    assert!(cluster.run_with(&["store", "init"], &[]).success);
    let mut edges = [cluster.edge(1, "eu-west")];
    start_all(edges.iter_mut());
    stop_in_order(&mut edges, "everything that was acknowledged is in Kafka");

    let right = tls.properties(&tls.scram, "ca");
    edges[0].set(PROPERTIES, &right.replace(&tls.scram.password, WRONG));
    start_all(edges.iter_mut());
    assert!(
        edges[0].printed().contains("see sasl.mechanism, sasl.username and sasl.password"),
        "{}",
        edges[0].printed()
    );
    let sent = traffic::keyed(&edges, stages::KEY, 5);
    edges[0]
        .stops_with("what Kafka has not taken is in the journal, for the next start with this data folder");

    edges[0].set(PROPERTIES, &right);
    let mut others = [cluster.ingest("ingest-1"), cluster.queries("queries-1")];
    start_all(edges.iter_mut().chain(&mut others));
    let queries = &others[1];
    let token = cluster.operator_token(queries);
    queries.eventually("what waited is counted", |queries| {
        (counted(queries, &token, "10s") == sent.by_flag).then_some(())
    });
    tells_no_secret(&tls, &edges[0]);
}
