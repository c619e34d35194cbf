//! How long an append takes on Kafka, and how fast a consumer reads: `./services run cargo bench -p flagmeter-log
//! --features kafka`. With `FLAGMETER_TEST_KAFKA` unset it says so and does nothing.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark tells its figures, and has nobody to tell errors"
)]

use std::time::{Duration, Instant};

use flagmeter_log::{
    Consumer as _, NewRecord, Producer as _,
    kafka::{Config, Consumer, Producer, topic},
};
use flagmeter_model::NodeId;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};

const PARTITIONS: u32 = 16;
const APPENDS: u32 = 200;
/// Of what the consumer reads.
const RECORDS: usize = 4_000;
const RECORD_BYTES: usize = 50_000;

fn main() {
    let Ok(brokers) = std::env::var("FLAGMETER_TEST_KAFKA") else {
        println!("no Kafka: run it by `./services run`, or set FLAGMETER_TEST_KAFKA to host:port");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(Config::new(brokers, format!("bench-{:016x}", rand::random::<u64>()))));
}

async fn measure(config: Config) {
    let settings = topic::Settings {
        partitions: PARTITIONS,
        replication: 1,
        min_insync_replicas: 1,
        ..topic::Settings::default()
    };
    topic::create(&config, &settings).await.unwrap();
    let metrics = prometheus::Registry::new();
    let producer = Producer::open(config.clone(), NodeId::new(1_000).unwrap(), &metrics).await.unwrap();
    let record = |partition, bytes| NewRecord { partition, payload: vec![7; bytes].into() };

    let mut times = Vec::new();
    for _ in 0..APPENDS {
        let seal = (0..PARTITIONS).map(|partition| record(partition, 1_000)).collect();
        let began = Instant::now();
        producer.append(seal).await.unwrap();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let (median, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!(
        "an append of {PARTITIONS} records of 1 KB: {median:.1?} median, {most:.1?} at most in 99 of 100"
    );

    let began = Instant::now();
    for _ in 0..RECORDS / 80 {
        let seals = (0..80).map(|at| record(at % PARTITIONS, RECORD_BYTES)).collect();
        producer.append(seals).await.unwrap();
    }
    println!("appends of 4 MB: {}", rate(began.elapsed()));

    let mut consumer =
        Consumer::open(config.clone(), "bench", None, &prometheus::Registry::new()).await.unwrap();
    consumer.read(1, Duration::ZERO).await.unwrap();
    let (began, mut read) = (Instant::now(), 0);
    while read < RECORDS {
        let records = consumer.read(2 << 20, Duration::from_secs(1)).await.unwrap();
        read += records.iter().filter(|record| record.payload.len() == RECORD_BYTES).count();
    }
    println!("reading them, 2 MB a read: {}", rate(began.elapsed()));
    drop(consumer);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &config.brokers).create().unwrap();
    admin.delete_topics(&[&config.topic], &AdminOptions::new()).await.unwrap();
}

fn rate(time: Duration) -> String {
    let bytes = u128::try_from(RECORDS * RECORD_BYTES).unwrap();
    format!("{} MB/s", bytes / time.as_micros().max(1))
}
