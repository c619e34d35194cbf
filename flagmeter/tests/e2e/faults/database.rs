//! InfluxDB behind a bad network, or with too much to do: it can be reached, and that is all.
//!
//! Kafka has no such proxy: its brokers tell clients where to go, and that is past it.

use std::{thread, time::Duration};

use super::scenario::{self, Scenario, Shape};
use crate::{
    cluster::servers::Servers,
    proxy::{Done, Fault, Healing, Proxy},
};

/// Shorter than in production, so that a fault outlasts some of them.
const TIMEOUTS: [(&str, &str); 3] = [
    ("FLAGMETER_INFLUX_WRITE_TIMEOUT", "3s"),
    ("FLAGMETER_INFLUX_QUERY_TIMEOUT", "3s"),
    ("FLAGMETER_QUERIES_READ_TIMEOUT", "5s"),
];

/// A scenario whose stages reach InfluxDB through a proxy.
struct Behind {
    // Dropped in this order: the scenario's buckets go through the proxy as well.
    _healing: Healing,
    scenario: Scenario,
    proxy: Proxy,
}

impl Behind {
    fn begin(name: &'static str) -> Self {
        let mut servers = Servers::from_environment();
        let seed = scenario::seed();
        let proxy = Proxy::new(&servers.influx_url, seed);
        servers.influx_url = proxy.url();
        // Of each one that writes: what the proxy sees can be told apart.
        let shape = Shape {
            servers: Some(servers),
            edges: 2,
            ingesters: 1,
            downsamplers: 1,
            queries: 1,
            settings: &TIMEOUTS,
            seed,
        };
        let mut behind = Self { _healing: proxy.healing(), scenario: Scenario::begin(name, shape), proxy };
        // It is to hit what flows: ingest joins its group only once it is ready.
        behind.scenario.pass_until(
            "counts are stored",
            |scenario| scenario.ingesters[0].metric("flagmeter_ingest_points_total"),
            |stored| stored.is_some_and(|stored| stored > 0.0),
        );
        behind
    }

    /// Does it for a while, and gives what it has hit.
    fn suffer(&mut self, fault: Fault, time: Duration) -> Done {
        let before = self.proxy.done();
        self.proxy.set(fault);
        self.scenario.pass(time);
        let hit = self.proxy.done().since(before);
        assert!(hit.writes > 0 && hit.questions > 0, "{fault:?} has not hit both: {hit:?}");
        self.scenario.notes.push(format!("{fault:?}: {} writes and {} questions", hit.writes, hit.questions));
        hit
    }

    /// Nobody who asks now is told anything but that there is no answer.
    fn nothing_is_answered(&self) {
        // At once: each waits for as long as a question may.
        thread::scope(|scope| {
            for path in ["/v1/usage?from=-1h", "/v1/flags", "/v1/operator/nodes"] {
                scope.spawn(move || {
                    let answer = self.scenario.ask(path);
                    assert!(answer.as_ref().is_some_and(|answer| answer.status == 503), "{path}: {answer:?}");
                });
            }
        });
    }

    /// The fault is over, and what waited goes in.
    fn recover(&self) {
        self.proxy.set(Fault::None);
        self.scenario.wait_until_complete();
    }

    fn end(self) {
        self.proxy.set(Fault::None);
        self.scenario.end();
    }
}

const SHORT: Duration = Duration::from_secs(7);

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn a_database_that_is_slow_hangs_or_is_not_there_is_waited_for() {
    let mut behind = Behind::begin("InfluxDB is slow, hangs and is not there");
    behind.suffer(Fault::Slow { bytes_a_second: 10_000 }, SHORT);
    behind.recover();
    // Longer than two tries of anything.
    behind.suffer(Fault::Hang, SHORT);
    behind.nothing_is_answered();
    behind.recover();
    behind.proxy.set(Fault::Refuse);
    behind.scenario.pass(SHORT);
    behind.nothing_is_answered();
    behind.end();
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn a_database_that_answers_with_errors_is_asked_again_and_not_sooner_than_it_says() {
    let mut behind = Behind::begin("InfluxDB answers 500 and 503");
    behind.suffer(Fault::Answer { status: 500, retry_after_seconds: None }, SHORT);
    behind.nothing_is_answered();
    behind.recover();
    // Longer than all tries of one write: it is repeated as a whole, and the server is still to be left alone.
    let busy = Fault::Answer { status: 503, retry_after_seconds: Some(5) };
    let hit = behind.suffer(busy, Duration::from_secs(20));
    assert_eq!(hit.hasty, 0, "writes that came sooner than they may");
    behind.nothing_is_answered();
    behind.end();
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn connections_to_the_database_are_cut_in_the_middle_of_writes_and_answers() {
    let mut behind = Behind::begin("connections to InfluxDB are cut");
    for one_in in [2, 1] {
        behind.suffer(Fault::CutRequest { one_in }, SHORT);
        behind.recover();
        behind.suffer(Fault::CutAnswer { one_in }, SHORT);
        if one_in == 1 {
            behind.nothing_is_answered();
        }
        behind.recover();
    }
    behind.end();
}
