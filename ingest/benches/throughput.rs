//! How many counts a second go through ingest into the embedded store: `cargo bench -p flagmeter-ingest`.
//!
//! Four nodes seal once a second, for two hundred environments of a hundred flags each; the log is filled before the
//! clock starts. What is measured is what runs in production: the embedded log, [`flagmeter_ingest::run`], the
//! embedded store with an fsync for each step.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use flagmeter_log::{NewRecord, embedded};
use flagmeter_model::{
    Batch, ContentEncoding, Environment, EnvironmentCounts, ManualClock, Name, NodeId, Seq, SeriesKey, Slot,
    SlotCounts, Timestamp, encode,
};
use flagmeter_store::{Positioned, Store, Write, embedded::EmbeddedStore};
use tokio_util::sync::CancellationToken;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const NODES: u16 = 4;
const SEALS: u32 = 120;
const ENVIRONMENTS: u32 = 200;
const FLAGS: u32 = 100;

/// 2026-11-20T12:00:00Z.
const START: i64 = 1_795_176_000;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let clock = ManualClock::at(Timestamp::from_seconds_clamped(START));
    let began = Instant::now();
    let payloads = payloads()?;
    let points = payloads.len() as u64 * u64::from(ENVIRONMENTS * FLAGS);
    let bytes: usize = payloads.iter().map(Vec::len).sum();
    println!("{points} points in {} records of {} bytes", payloads.len(), bytes / payloads.len());
    tell("made and encoded, one thread", points, began.elapsed());

    let mut batches = Vec::with_capacity(payloads.len());
    let began = Instant::now();
    for payload in &payloads {
        batches.push(flagmeter_model::decode(payload)?);
    }
    tell("decoded, one thread", points, began.elapsed());

    let took = runtime.block_on(write_alone(&folder.path().join("alone.sqlite"), &clock, batches))?;
    tell("written, decoded before", points, took);

    runtime.block_on(whole(folder.path(), &clock, payloads, points))
}

fn tell(what: &str, points: u64, took: Duration) {
    let rate = u128::from(points) * 1_000 / took.as_millis().max(1);
    println!("{what:>32}: {rate:>10} points/s in {took:.1?}");
}

fn payloads() -> Result<Vec<Vec<u8>>> {
    let mut environments = Vec::new();
    for number in 0..ENVIRONMENTS {
        environments.push(Environment {
            customer: Name::new(&format!("customer-{:03}", number / 4))?,
            project: Name::new("web")?,
            environment: Name::new(&format!("environment-{number:03}"))?,
        });
    }
    let mut series = Vec::new();
    for number in 0..FLAGS {
        let sdk = Some(Name::new("flagsmith-python-sdk/4.0.1")?);
        series
            .push(SeriesKey { sdk, ..SeriesKey::flag(Name::new(&format!("checkout-button-{number:03}"))?) });
    }
    let mut payloads = Vec::new();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for second in 0..SEALS {
        for node in 0..NODES {
            let batch = seal(node, second, &environments, &series, &mut random)?;
            payloads.push(encode(&batch, ContentEncoding::Zstd)?);
        }
    }
    Ok(payloads)
}

fn seal(
    node: u16,
    second: u32,
    environments: &[Environment],
    series: &[SeriesKey],
    random: &mut u64,
) -> Result<Batch> {
    let at = Timestamp::from_seconds_clamped(START + i64::from(second));
    let counts = |environment: &Environment| EnvironmentCounts {
        environment: environment.clone(),
        series: series.to_vec(),
        slots: vec![SlotCounts {
            slot: Slot::containing(at),
            series: (0..FLAGS).collect(),
            counts: series.iter().map(|_| 1 + next(random) % 2_000).collect(),
        }],
    };
    Ok(Batch {
        node: NodeId::new(node)?,
        seq: Seq::new(u64::try_from(START)? + u64::from(second)),
        part: 0,
        sealed_at: at,
        covers_from: at,
        watermark: Some(at.plus_seconds(1)),
        farewell: false,
        environments: environments.iter().map(counts).collect(),
    })
}

/// Xorshift: the same counts in every run.
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

/// The store by itself, with steps as large as ingest makes them.
async fn write_alone(path: &Path, clock: &ManualClock, batches: Vec<Batch>) -> Result<Duration> {
    let config = flagmeter_store::embedded::Config::new(path);
    let store = EmbeddedStore::open(config, Arc::new(clock.clone()))?;
    let records: Vec<_> = (0..)
        .zip(batches)
        .map(|(offset, batch)| Positioned { partition: 0, offset, appended_at: batch.sealed_at, batch })
        .collect();
    let in_step = flagmeter_ingest::Config::default().step_points_max / (ENVIRONMENTS * FLAGS) as usize;
    let steps: Vec<_> = records
        .chunks(in_step)
        .map(|records| Arc::new(Write { batches: records.to_vec(), ..Write::default() }))
        .collect();
    let began = Instant::now();
    for step in steps {
        store.write(step).await?;
    }
    Ok(began.elapsed())
}

/// The real thing, from a full log to an empty one.
async fn whole(folder: &Path, clock: &ManualClock, payloads: Vec<Vec<u8>>, points: u64) -> Result<()> {
    let log = embedded::Log::open(embedded::Config::at(folder.join("log.sqlite")), Arc::new(clock.clone()))?;
    let producer = log.producer();
    for payload in payloads {
        producer.append(vec![NewRecord { partition: 0, payload: payload.into() }]).await?;
    }
    let config = flagmeter_store::embedded::Config::new(folder.join("store.sqlite"));
    let store = Arc::new(EmbeddedStore::open(config, Arc::new(clock.clone()))?);
    let (config, metrics, stop) =
        (flagmeter_ingest::Config::default(), prometheus::Registry::new(), CancellationToken::new());
    stop.cancel();
    let began = Instant::now();
    flagmeter_ingest::run(config, log.consumer()?, store, Arc::new(clock.clone()), &metrics, stop).await?;
    tell("through ingest into the store", points, began.elapsed());
    for family in metrics.gather() {
        for metric in family.get_metric().iter().filter(|_| family.name().ends_with("e_seconds")) {
            let histogram = metric.get_histogram();
            println!(
                "{:>32}: {:.2} s in {} steps",
                family.name().trim_start_matches("flagmeter_ingest_"),
                histogram.get_sample_sum(),
                histogram.get_sample_count()
            );
        }
    }
    Ok(())
}
