//! A customer and another one. Whatever is the other's can be told from all else: names have a mark, and counts are larger
//! than any number that we could come to.

use std::time::Duration;

use flagmeter_ledger::{Alerted, Append, Counted, Crossed, Subject};
use flagmeter_model::{Environment, Meter, SeriesKey, Timestamp};

use crate::{
    Config, LiveConfig,
    tests::{
        bench::{Bench, NOW, at, environment, flag, name, of},
        operator::bursts::began,
    },
};

/// One of these stands in every name of the other customer, and in nothing else.
pub(super) const MARKS: [&str; 2] = ["zebraq", "guadalcanal"];
/// The other's names: none is a part of another one.
pub(super) const CUSTOMER: &str = "zebraqcustomer";
pub(super) const NAMES: [&str; 8] = [
    CUSTOMER,
    "zebraqproject",
    "zebraqenvironment",
    "zebraqflag",
    "zebraqvariant",
    "zebraqsdk",
    "zebraqresource",
    "zebraqowner",
];
/// Each count of the other, near to the most that a minute can have; sums of ours never get so far.
const COUNT: u64 = 200_000_000_000_000;
/// Digits of the smallest number that is the other's.
pub(super) const DIGITS: usize = 15;

const OURS: &str = r#"
[[customer]]
id = "acme"
time_zone = "Europe/Berlin"
[customer.plan]
evaluations = 9_000
[[customer.project]]
id = "web"
flags = ["checkout", "never"]
[[customer.project.environment]]
id = "production"
keys = ["ser.acme-production"]
"#;

const THEIRS: &str = r#"
[[customer]]
id = "zebraqcustomer"
name = "zebraqname"
time_zone = "Pacific/Guadalcanal"
[customer.plan]
evaluations = 1_000
[[customer.project]]
id = "zebraqproject"
flags = ["zebraqregistered", { id = "zebraqflag", owner = "zebraqowner", remove_by = "2026-01-01" }]
[[customer.project.environment]]
id = "zebraqenvironment"
keys = ["ser.zebraqkey"]
"#;

/// The world with the other customer, or without: the tokens are the same.
pub(super) async fn world(with_the_other: bool, tokens_of: Option<&Bench>) -> Bench {
    let registry = if with_the_other { format!("{OURS}{THEIRS}") } else { OURS.to_owned() };
    let bench = Bench::new().of_registry(&registry);
    let bench = if let Some(other) = tokens_of { bench.of_tokens(other) } else { bench };
    let live = LiveConfig {
        own_queries_max: 10_000,
        queries_max: 10_000,
        linger: Duration::ZERO,
        interval: Duration::from_millis(20),
        ..LiveConfig::default()
    };
    let bench = bench.with(Config { live, ..Config::default() });
    let ours = (environment("acme", "web", "production"), 1);
    let theirs = (environment(CUSTOMER, NAMES[1], NAMES[2]), COUNT);
    let customers = [ours, theirs];
    let customers = if with_the_other { &customers[..] } else { &customers[..1] };
    count(&bench, customers).await;
    bill(&bench, customers).await;
    bench
}

/// Who, and how much each of its counts is.
type Customer = (Environment, u64);

async fn count(bench: &Bench, customers: &[Customer]) {
    let times = ["2026-11-18T09:05:00Z", "2026-11-20T11:05:00Z", "2026-11-20T12:41:10Z"].map(at);
    let (mut counts, mut received) = (Vec::new(), Vec::new());
    for (environment, each) in customers {
        let ours = environment.customer == name("acme");
        let word = |ours_is: &str, theirs: usize| name(if ours { ours_is } else { NAMES[theirs] });
        let series = SeriesKey {
            variant: Some(word("on", 4)),
            sdk: Some(word("python", 5)),
            ..flag(word("checkout", 3).as_str())
        };
        let resource = of(Meter::Requests, word("flags", 6).as_str());
        for time in times {
            let fates = [Meter::Received, Meter::Duplicate, Meter::Rejected];
            let fates = fates.map(|meter| of(meter, if ours { "door" } else { "zebraqdoor" }));
            let all = [&[series.clone(), resource.clone()], &fates[..]].concat();
            counts.extend(all.into_iter().map(|key| (environment, key, time, *each)));
        }
        received.push((environment.clone(), 9 * each));
    }
    let from = at("2026-11-18T09:00:00Z");
    bench.seal(from, at(NOW), &counts).await;
    bench.roll_up(from, at("2026-11-20T12:00:00Z")).await;
    bench.edges.received.lock().extend(received);
}

async fn bill(bench: &Bench, customers: &[Customer]) {
    let hours = ["2026-11-18T09:00:00Z", "2026-11-20T10:00:00Z"].map(at);
    let hour = |(environment, each): &Customer, meter, hour: Timestamp| Counted {
        environment: environment.clone(),
        meter,
        hour,
        count: *each,
        complete: true,
        missing: Vec::new(),
    };
    let mut counted = Vec::new();
    for customer in customers {
        for meter in [Meter::Evaluations, Meter::Requests] {
            counted.extend(hours.map(|start| hour(customer, meter, start)));
        }
    }
    let until = at("2026-11-20T11:00:00Z");
    bench.ledger.announce(until).await.unwrap();
    bench.ledger.append(Append { counted, closed: Some(until), at: at(NOW) }).await.unwrap();
    let crossed = customers.iter().map(|(environment, each)| Crossed {
        customer: environment.customer.clone(),
        meter: Meter::Evaluations,
        period: at("2026-11-01T00:00:00Z"),
        percent: 50,
        hard: false,
        included: *each,
        used: *each,
    });
    bench.ledger.cross(crossed.collect(), at(NOW)).await.unwrap();
    let alerted = customers.iter().map(|(environment, each)| {
        let flag = name(if *each == COUNT { NAMES[3] } else { "checkout" });
        Alerted {
            of: Subject::Flag(environment.clone(), flag),
            expected: *each,
            low: *each,
            high: *each,
            ..began("acme")
        }
    });
    bench.ledger.alert(alerted.collect(), at(NOW)).await.unwrap();
}
