//! Compression rolled out on real Kafka, customer by customer: nobody, half, all, and the kill switch.

use std::{collections::BTreeMap, fmt::Write as _, fs, time::Instant};

use serde_json::json;

use super::{
    Cluster, complete,
    stages::{Stage, start_all},
};
use crate::{http, server::run};

const CUSTOMERS: usize = 20;
const FLAGS: usize = 40;

fn customer(number: usize) -> String {
    format!("customer-{number}")
}

fn registry() -> String {
    (0..CUSTOMERS).map(customer).fold(String::new(), |mut text, id| {
        let _infallible = writeln!(
            text,
            "[[customer]]\nid = \"{id}\"\n[[customer.project]]\nid = \"web\"\n[[customer.project.environment]]\n\
             id = \"production\"\nkeys = [\"key-of-{id}\"]"
        );
        text
    })
}

/// The definition at a share of customers in percent; `None` for the kill switch.
fn definition(percent: Option<u32>) -> String {
    let state = if percent.is_some() { "ENABLED" } else { "DISABLED" };
    let percent = percent.unwrap_or(100);
    json!({"flags": {"log-compression": {
        "state": state, "variants": {"off": "off", "gzip": "gzip", "zstd": "zstd"}, "defaultVariant": "off",
        "targeting": {"fractional": [["zstd", percent], ["off", 100 - percent]]},
        "metadata": {"owner": "pipeline", "remove_by": "2099-12-31"}
    }}})
    .to_string()
}

/// Customers by variant, as the edge shows them.
fn having(edge: &Stage, variant: &str) -> f64 {
    let name = format!("flagmeter_flags_customers{{flag=\"log-compression\",variant=\"{variant}\"}}");
    edge.metric(&name).unwrap_or(0.0)
}

fn written(edge: &Stage, form: &str) -> f64 {
    edge.metric(&format!("flagmeter_edge_record_bytes_count{{form=\"{form}\"}}")).unwrap_or(0.0)
}

/// Waits for two seals: what was decided before is behind them then.
fn seals(edge: &Stage) {
    let made = |edge: &Stage| edge.metric("flagmeter_edge_seal_seconds_count");
    let before = made(edge).unwrap_or(0.0);
    edge.eventually("two seals are made", |edge| (made(edge)? >= before + 2.0).then_some(()));
}

/// Some counts of every customer, each acknowledged, and sealed when it returns; their sum for each.
fn post(edge: &Stage, posts: usize) -> u64 {
    for _ in 0..posts {
        for id in (0..CUSTOMERS).map(customer) {
            let count =
                |flag: usize| json!({"flag": format!("checkout-step-{flag}"), "variant": "on", "count": 3});
            let counts: Vec<_> = (0..FLAGS).map(count).collect();
            let body = json!({ "counts": counts, "sdk": "compression" }).to_string();
            let authorization = format!("Bearer key-of-{id}");
            let once = format!("{:016x}", rand::random::<u64>());
            let headers = [("authorization", authorization.as_str()), ("idempotency-key", once.as_str())];
            edge.eventually("a post is acknowledged", |edge| {
                let answer = http::post(edge.address(), "/v1/counts", &headers, &body)?;
                (answer.status == 202).then_some(())
            });
        }
        seals(edge);
    }
    (posts * FLAGS * 3) as u64
}

#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
fn compression_reaches_nobody_half_and_all_customers_and_is_switched_off_without_losing_a_count() {
    let cluster = Cluster::new();
    cluster.set_up();
    fs::write(cluster.path("registry.toml"), registry()).expect("a registry");
    let flags = cluster.path("flags.json");
    let mut edge = cluster.edge(1, "eu-west");
    edge.set("FLAGMETER_RUNTIME_FLAGS_FILE", &flags);
    edge.set("FLAGMETER_RUNTIME_FLAGS_POLL_INTERVAL", "200ms");
    let (mut ingest, mut downsampler, mut queries) =
        (cluster.ingest("ingest-1"), cluster.downsampler("downsampler-1"), cluster.queries("queries-1"));
    fs::write(&flags, definition(Some(0))).expect("a definition");
    start_all([&mut edge, &mut ingest, &mut downsampler, &mut queries].into_iter());
    let token = cluster.operator_token(&queries);
    let mut each = 0;
    // The share, and which forms must be written and must not.
    for (percent, compressed, plain) in
        [(Some(0), false, true), (Some(50), true, true), (Some(100), true, false), (None, false, true)]
    {
        fs::write(&flags, definition(percent)).expect("a definition");
        let told = Instant::now();
        let in_part = percent.map_or(0..=0, |percent| match percent {
            50 => 1..=CUSTOMERS - 1,
            _ => CUSTOMERS * percent as usize / 100..=CUSTOMERS * percent as usize / 100,
        });
        let on = edge.eventually("the definition is taken", |edge| {
            (0..=CUSTOMERS).find(|&on| {
                #[expect(clippy::cast_precision_loss, reason = "there are 20 of them")]
                let is_so = |shown: f64, count: usize| (shown - count as f64).abs() < 0.5;
                in_part.contains(&on)
                    && is_so(having(edge, "zstd"), on)
                    && is_so(having(edge, "off"), CUSTOMERS - on)
            })
        });
        println!(
            "{percent:?} %: {on} of {CUSTOMERS} customers, {:?} after the file was written",
            told.elapsed()
        );
        seals(&edge);
        let before = (written(&edge, "compressed"), written(&edge, "plain"));
        each += post(&edge, 3);
        let after = (written(&edge, "compressed"), written(&edge, "plain"));
        assert_eq!(
            (after.0 > before.0, after.1 > before.1),
            (compressed, plain),
            "{percent:?}: {before:?} {after:?}"
        );
        complete(&queries, &token);
        let counted = by_customer(&queries, &token);
        let expected: BTreeMap<String, u64> = (0..CUSTOMERS).map(|number| (customer(number), each)).collect();
        assert_eq!(counted, expected, "{percent:?}");
    }
    for name in ["record_compressed_ratio", "record_compress_seconds"] {
        for usage in ["written", "measured"] {
            let count = format!("flagmeter_edge_{name}_count{{encoding=\"zstd\",use=\"{usage}\"}}");
            assert!(edge.metric(&count) > Some(0.0), "{count}");
        }
    }
    let sum = |name: &str, form: &str| edge.metric(&format!("flagmeter_edge_{name}_sum{{form=\"{form}\"}}"));
    let (now, before) = (sum("record_bytes", "compressed"), sum("record_other_bytes", "compressed"));
    println!("compressed records: {now:?} bytes, plain {before:?}");
    assert!(now < before);
    let audited = run(&["audit", "--url", &queries.url(), "--token", &token], &[]);
    assert!(audited.success, "{audited:?}");
}

fn by_customer(queries: &Stage, token: &str) -> BTreeMap<String, u64> {
    let path = "/v1/usage?from=-1h&to=now&resolution=10s&group_by=customer&sdk=compression";
    let answer = queries.eventually("counts are told", |queries| queries.get(path, token));
    let mut counts = BTreeMap::new();
    for row in answer["rows"].as_array().expect("rows") {
        if let (Some(customer), Some(count)) = (row["customer"].as_str(), row["count"].as_u64()) {
            *counts.entry(customer.to_owned()).or_default() += count;
        }
    }
    counts
}
