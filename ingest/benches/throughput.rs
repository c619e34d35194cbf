//! How many counts a second go through ingest into the embedded store: `cargo bench -p flagmeter-ingest`.
//!
//! Four nodes seal once a second, for two hundred environments of a hundred flags each; four environments of a
//! customer have the same flags. The log is filled before the clock starts. What is measured is what runs in
//! production: the embedded log, [`flagmeter_ingest::run`], the embedded store with an fsync for each step.
//!
//! On Linux the time of the processors is told as well, which other programs on the machine disturb less.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{error::Error, path::Path, sync::Arc, time::Instant};

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
    let watch = Watch::start();
    let payloads = payloads()?;
    let points = payloads.len() as u64 * u64::from(ENVIRONMENTS * FLAGS);
    let bytes: usize = payloads.iter().map(Vec::len).sum();
    println!("{points} points in {} records of {} bytes", payloads.len(), bytes / payloads.len());
    watch.tell("made and encoded, one thread", points);

    let watch = Watch::start();
    let mut batches = Vec::with_capacity(payloads.len());
    for payload in &payloads {
        batches.push(flagmeter_model::decode(payload)?);
    }
    watch.tell("decoded, one thread", points);

    runtime.block_on(write_alone(&folder.path().join("alone.sqlite"), &clock, batches, points))?;
    runtime.block_on(whole(folder.path(), &clock, payloads, points))
}

/// Time by the wall and by the processors.
struct Watch {
    began: Instant,
    cpu_before_ms: Option<u64>,
}

impl Watch {
    fn start() -> Self {
        Self { began: Instant::now(), cpu_before_ms: cpu_ms() }
    }

    fn tell(&self, what: &str, points: u64) {
        let took = self.began.elapsed();
        let rate = u128::from(points) * 1_000 / took.as_millis().max(1);
        print!("{what:>32}: {rate:>10} points/s, {took:.1?}");
        match cpu_ms().zip(self.cpu_before_ms) {
            Some((after, before)) => {
                let cpu = (after - before).max(1);
                println!("; {:>10} points per second of a processor", points * 1_000 / cpu);
            }
            None => println!(),
        }
    }
}

/// What this process has used of the processors, in hundredths of a second told as milliseconds; Linux only.
fn cpu_ms() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name in brackets, which may hold anything, user and system time are fields 11 and 12.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * 10)
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
    let series = (0..ENVIRONMENTS / 4).map(flags).collect::<Result<Vec<_>>>()?;
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

/// The flags of a customer, in the order of their names.
fn flags(customer: u32) -> Result<Vec<SeriesKey>> {
    let sdk = Some(Name::new("flagsmith-python-sdk/4.0.1")?);
    let flag = |number| {
        let name = Name::new(&format!("team-{:03}-checkout-{number:03}", customer % 1_000))?;
        Ok(SeriesKey { sdk: sdk.clone(), ..SeriesKey::flag(name) })
    };
    (0..FLAGS).map(flag).collect()
}

fn seal(
    node: u16,
    second: u32,
    environments: &[Environment],
    series: &[Vec<SeriesKey>],
    random: &mut u64,
) -> Result<Batch> {
    let at = Timestamp::from_seconds_clamped(START + i64::from(second));
    let counts = |(number, environment): (usize, &Environment)| EnvironmentCounts {
        environment: environment.clone(),
        series: series.get(number / 4).cloned().unwrap_or_default(),
        slots: vec![SlotCounts {
            slot: Slot::containing(at),
            series: (0..FLAGS).collect(),
            counts: (0..FLAGS).map(|_| 1 + next(random) % 2_000).collect(),
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
        region: None,
        environments: environments.iter().enumerate().map(counts).collect(),
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
async fn write_alone(path: &Path, clock: &ManualClock, batches: Vec<Batch>, points: u64) -> Result<()> {
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
    let watch = Watch::start();
    for step in steps {
        store.write(step).await?;
    }
    watch.tell("written, decoded before", points);
    Ok(())
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
    let watch = Watch::start();
    flagmeter_ingest::run(config, log.consumer()?, store, Arc::new(clock.clone()), &metrics, stop).await?;
    watch.tell("through ingest into the store", points);
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
