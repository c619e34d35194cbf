//! How fast `flagmeter ingest` writes from Kafka to InfluxDB, beside the fastest that InfluxDB takes at all:
//! `./services run cargo bench -p flagmeter --features kafka --bench ceiling`.
//!
//! Without `FLAGMETER_TEST_KAFKA` and `FLAGMETER_TEST_INFLUX_URL` (with `_ORG`, `_TOKEN`) it says so and measures nothing.
//!
//! A topic is filled once. Then, in turns: bodies that were made beforehand, of the same points in the order of the
//! log, are sent over some connections as fast as the server takes them; the same in the order that the server takes
//! best, which no stream comes in; and the binary's `ingest` stores the topic, with all that belongs to it: reading,
//! decoding, encoding, totals, progress, commits. Each turn has buckets of its own, in which the series are known
//! already. A line is a point of a series, in all of them; what ingest writes besides counts for nothing.
//!
//! The aim: at least 0.95 of the first in the last. On a machine where all of it shares the processors, what ingest
//! and Kafka use of them is missing from InfluxDB: docs/performance.md, section 5, gives it a processor of its own.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints figures for people"
)]

mod load;
mod pump;
mod stage;

#[path = "../../tests/e2e/http.rs"]
#[expect(dead_code, reason = "of the tests' client, the benchmark needs a part")]
mod http;
#[path = "../../tests/e2e/cluster/servers.rs"]
#[expect(dead_code, reason = "of the tests' servers, the benchmark needs a part")]
#[expect(clippy::panic, reason = "the tests' way to say that an address is missing")]
mod servers;

use std::{env, error::Error, time::Duration};

use self::{
    load::{Body, Load},
    pump::Pump,
    servers::Servers,
    stage::Used,
};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Rounds of each load: an odd number, for the median.
const ROUNDS: usize = 5;

/// Seals of 10,000 and of 100,000 series, and as many that the time is long enough to measure.
const LOADS: [Load; 2] = [Load { environments: 100, seals: 200 }, Load { environments: 1_000, seals: 20 }];

fn main() -> Result<()> {
    if env::var_os("FLAGMETER_TEST_KAFKA").is_none() || env::var_os("FLAGMETER_TEST_INFLUX_URL").is_none() {
        println!(
            "no Kafka or no InfluxDB: run ./services run cargo bench -p flagmeter --features kafka --bench ceiling"
        );
        return Ok(());
    }
    let servers = Servers::from_environment();
    // After `--` one may name the series of one of the loads.
    let asked: Option<u64> = env::args().skip(1).find_map(|argument| argument.parse().ok());
    let is_asked = |load: &Load| asked.is_none_or(|series| load.series() == series);
    LOADS.into_iter().filter(is_asked).try_for_each(|load| measure(&servers, load))
}

fn measure(servers: &Servers, load: Load) -> Result<()> {
    let topic = format!("bench-{:016x}", rand::random::<u64>());
    let settings = stage::settings(servers, &topic);
    stage::command(&settings, &["topic", "create"])?;
    let seals = load.seals()?;
    let bytes = load::fill(&servers.kafka, &topic, &seals)?;
    println!(
        "seals of {} series: {} points in {} seals; {:.1} bytes a point in Kafka",
        load.series(),
        load.points(),
        load.seals,
        bytes as f64 / load.points() as f64
    );
    let pump = Pump::new(servers, load::warming(&seals)?)?;
    let bodies = Bodies { of_the_log: load::bodies(&seals)?, best: load::best_bodies(&seals)? };
    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        let measured = turn(servers, &settings, (&topic, round), load, &pump, &bodies);
        rounds.push(measured.inspect_err(|_| servers.delete_topics(&topic))?);
    }
    servers.delete_topics(&topic);
    rounds.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
    if let Some(median) = rounds.get(ROUNDS / 2) {
        println!("  median of {ROUNDS} rounds: {}", median.told(load));
    }
    Ok(())
}

/// The points as bodies that are ready to be sent, in two orders.
struct Bodies {
    of_the_log: Vec<Body>,
    best: Vec<Body>,
}

/// What one turn of all three came to.
struct Turn {
    ready_made: Duration,
    best: Duration,
    ingest: Used,
}

impl Turn {
    fn ratio(&self) -> f64 {
        self.ready_made.as_secs_f64() / self.ingest.took_for_all.as_secs_f64()
    }

    fn told(&self, load: Load) -> String {
        format!(
            "ready-made bodies {:.0} lines/s, in the best order {:.0}, flagmeter ingest {:.0}: {:.2} of the first, {:.2} \
             of the best; ingest used {:.2} of a processor, {:.2} s of it for a million lines",
            load.points() as f64 / self.ready_made.as_secs_f64(),
            load.points() as f64 / self.best.as_secs_f64(),
            load.points() as f64 / self.ingest.took_for_all.as_secs_f64(),
            self.ratio(),
            self.best.as_secs_f64() / self.ingest.took_for_all.as_secs_f64(),
            self.ingest.processor / self.ingest.took.as_secs_f64(),
            self.ingest.processor / (self.ingest.points as f64 / 1e6),
        )
    }
}

fn turn(
    servers: &Servers,
    settings: &[(&'static str, String)],
    (topic, round): (&str, usize),
    load: Load,
    pump: &Pump,
    bodies: &Bodies,
) -> Result<Turn> {
    let with_buckets = |name: &str| -> Result<(String, Vec<(&'static str, String)>)> {
        let prefix = format!("{topic}-{round}-{name}");
        let more = [("FLAGMETER_INFLUX_PREFIX", prefix.clone()), ("FLAGMETER_KAFKA_GROUP", prefix.clone())];
        let settings: Vec<_> = settings.iter().cloned().chain(more).collect();
        stage::command(&settings, &["store", "init"])?;
        pump.warm(&prefix)?;
        Ok((prefix, settings))
    };
    let sent = |name: &str, bodies: &[Body]| -> Result<Duration> {
        let (prefix, _) = with_buckets(name)?;
        let took = pump.send(&prefix, bodies);
        servers.delete_buckets(&prefix);
        took
    };
    let ready_made = sent("ready", &bodies.of_the_log)?;
    let best = sent("best", &bodies.best)?;

    let (prefix, settings) = with_buckets("ingest")?;
    let ingest = stage::ingest(&settings, load.points());
    servers.delete_buckets(&prefix);
    let turn = Turn { ready_made, best, ingest: ingest? };
    println!("  round {round}: {}", turn.told(load));
    Ok(turn)
}
