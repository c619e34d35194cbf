//! How many points a second the embedded store takes: `cargo bench -p flagmeter-store --bench write`.
//!
//! Seals of 50 environments with 100 flags each, one seal a second, as an edge would make them. Measured is
//! decoding on one thread while the records before are written by another, as ingest does it; then each
//! alone; then rolling all of it up.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use flagmeter_model::{ContentEncoding, Error as ModelError, ManualClock, Tier, decode, encode};
use flagmeter_store::{
    Positioned, Rolling, Store, Write,
    conformance::fixture::{HOUR, Seal, at, environment, flag, range},
    embedded::{Config, EmbeddedStore},
};
use tokio::task::{JoinHandle, spawn_blocking};

const ENVIRONMENTS: usize = 50;
const FLAGS: usize = 100;
const SEALS: i64 = 600;
const SEALS_PER_WRITE: usize = 20;

fn records() -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let flags = (0..FLAGS).map(|n| flag(&format!("checkout-flag-{n}"))).collect::<Result<Vec<_>, _>>()?;
    let environments =
        (0..ENVIRONMENTS).map(|n| environment(&format!("production-{n}"))).collect::<Result<Vec<_>, _>>()?;
    (0..SEALS)
        .map(|second| {
            let mut seal = Seal::new(1, u64::try_from(second)?)?.covering(second, second + 1);
            for (number, environment) in environments.iter().enumerate() {
                for (weight, flag) in flags.iter().enumerate() {
                    let count = 1 + (number * 31 + weight * weight * 7) % 400;
                    seal = seal.count(environment, flag, second, u64::try_from(count)?);
                }
            }
            Ok(encode(&seal.record()?.batch, ContentEncoding::Zstd)?)
        })
        .collect()
}

fn decoded(group: &[Vec<u8>], first: usize) -> Result<Arc<Write>, ModelError> {
    let batches = (first as u64..)
        .zip(group)
        .map(|(offset, record)| {
            Ok(Positioned { partition: 0, offset, appended_at: at(0), batch: decode(record)? })
        })
        .collect::<Result<Vec<_>, ModelError>>()?;
    let positions = [(0, (first + group.len()) as u64)].into();
    Ok(Arc::new(Write { batches, positions, ..Write::default() }))
}

fn decode_aside((number, group): (usize, Vec<Vec<u8>>)) -> JoinHandle<Result<Arc<Write>, ModelError>> {
    spawn_blocking(move || decoded(&group, number * SEALS_PER_WRITE))
}

fn say(what: &str, count: u64, took: Duration) {
    let rate = u128::from(count) * 1_000_000 / took.as_micros().max(1);
    println!("{what:<28} {count:>9} points in {:>6} ms: {rate:>9} a second", took.as_millis());
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let records = records()?;
    let points = u64::try_from(ENVIRONMENTS * FLAGS)? * u64::try_from(SEALS)?;
    let folder = tempfile::tempdir()?;
    let open = |name: &str| {
        EmbeddedStore::open(Config::new(folder.path().join(name)), Arc::new(ManualClock::at(at(0))))
    };

    let store = open("both.sqlite")?;
    let begun = Instant::now();
    let mut groups = records.chunks(SEALS_PER_WRITE).map(<[_]>::to_vec).enumerate();
    let mut ahead = groups.next().map(decode_aside);
    while let Some(decoding) = ahead {
        let write = decoding.await??;
        ahead = groups.next().map(decode_aside);
        store.write(write).await?;
    }
    say("decode beside write", points, begun.elapsed());

    let begun = Instant::now();
    let writes = records
        .chunks(SEALS_PER_WRITE)
        .enumerate()
        .map(|(number, group)| decoded(group, number * SEALS_PER_WRITE))
        .collect::<Result<Vec<_>, _>>()?;
    say("decode alone", points, begun.elapsed());

    let store = open("write.sqlite")?;
    let begun = Instant::now();
    for write in writes {
        store.write(write).await?;
    }
    say("write alone, each durable", points, begun.elapsed());

    store.announce(at(HOUR)).await?;
    for tier in Tier::ROLLED {
        let begun = Instant::now();
        let rolled = store.roll(&Rolling::Range(tier, range(0, HOUR))).await?;
        say(&format!("roll up to {tier}"), points, begun.elapsed());
        println!("{:<28} {:>9} windows, {} series in them", "", rolled.windows, rolled.points);
    }
    drop(store);
    let bytes = std::fs::metadata(folder.path().join("write.sqlite"))?.len();
    println!("{:<28} {} bytes, {} a raw point and what was made of it", "file", bytes, bytes / points);
    Ok(())
}
