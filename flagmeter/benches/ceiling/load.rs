//! The points: as seals in Kafka, and as lines.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use flagmeter_log::{NewRecord, Producer as _, kafka};
use flagmeter_model::{
    Batch, Clock as _, ContentEncoding, Environment, EnvironmentCounts, Name, NodeId, Seq, SeriesKey, Slot,
    SlotCounts, SystemClock, Timestamp, encode,
};
use flate2::{Compression, write::GzEncoder};

use crate::Result;

pub(crate) const PARTITIONS: u32 = 16;
/// Nodes that seal in turns.
const NODES: u32 = 2;
const FLAGS: u32 = 100;
/// Lines of a ready-made body.
const BODY_LINES: usize = 10_000;
/// Bytes of one append.
const APPEND_BYTES: usize = 2 << 20;

/// How much is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) environments: u32,
    pub(crate) seals: u32,
}

/// The batches of a seal, by partition.
pub(crate) type Seal = Vec<Batch>;

impl Load {
    pub(crate) fn series(self) -> u64 {
        u64::from(self.environments * FLAGS)
    }

    pub(crate) fn points(self) -> u64 {
        self.series() * u64::from(self.seals)
    }

    /// Every series is counted in every seal. They end an hour ago, so that nothing is old or in the future.
    pub(crate) fn seals(self) -> Result<Vec<Seal>> {
        let until = SystemClock.now().plus_seconds(-3_600).floor_to(60);
        let sdk = Some(Name::new("flagsmith-python-sdk/4.0.1")?);
        let key = |number| -> Result<_> {
            let name = Name::new(&format!("team-{:02}-checkout-{number:03}", number % 20))?;
            Ok(SeriesKey { sdk: sdk.clone(), ..SeriesKey::flag(name) })
        };
        let mut keys = (0..FLAGS).map(key).collect::<Result<Vec<_>>>()?;
        keys.sort();
        let mut random = 0x2545_f491_4f6c_dd1d;
        let seal = |number| {
            let at = until.plus_seconds(i64::from(number / NODES) - i64::from(self.seals));
            (0..PARTITIONS).map(|partition| self.batch((number, at), partition, &keys, &mut random)).collect()
        };
        (0..self.seals).map(seal).collect()
    }

    fn batch(
        self,
        (number, at): (u32, Timestamp),
        partition: u32,
        keys: &[SeriesKey],
        random: &mut u64,
    ) -> Result<Batch> {
        let mut environments = Vec::new();
        for number in (partition..self.environments).step_by(PARTITIONS as usize) {
            let environment = Environment {
                customer: Name::new(&format!("customer-{number:04}"))?,
                project: Name::new("web")?,
                environment: Name::new("production")?,
            };
            environments.push(EnvironmentCounts {
                environment,
                series: keys.to_vec(),
                slots: vec![SlotCounts {
                    slot: Slot::containing(at),
                    series: (0..FLAGS).collect(),
                    counts: keys.iter().map(|_| 1 + next(random) % 2_000).collect(),
                }],
            });
        }
        Ok(Batch {
            node: NodeId::new(u16::try_from(1 + number % NODES)?)?,
            seq: Seq::new(at.as_seconds().unsigned_abs()),
            part: u16::try_from(partition)?,
            sealed_at: at.plus_seconds(1),
            covers_from: at,
            watermark: Some(at.plus_seconds(1)),
            farewell: false,
            region: None,
            environments,
        })
    }
}

/// Xorshift: the same counts in every run.
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

/// Appends the seals to the topic. Their bytes.
pub(crate) fn fill(brokers: &str, topic: &str, seals: &[Seal]) -> Result<usize> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let metrics = prometheus::Registry::new();
        let config = kafka::Config::new(brokers, topic);
        let producer = loop {
            match kafka::Producer::open(config.clone(), NodeId::new(1_000)?, &metrics).await {
                // Brokers that have only just started still look for their coordinators.
                Err(error) if error.is_retryable() => tokio::time::sleep(Duration::from_secs(1)).await,
                producer => break producer?,
            }
        };
        let (mut all, mut waiting, mut bytes) = (0, Vec::new(), 0);
        for batch in seals.iter().flatten() {
            let payload = encode(batch, ContentEncoding::Zstd)?;
            bytes += payload.len();
            waiting.push(NewRecord { partition: u32::from(batch.part), payload: payload.into() });
            if bytes >= APPEND_BYTES {
                producer.append(std::mem::take(&mut waiting)).await?;
                all += std::mem::take(&mut bytes);
            }
        }
        producer.append(waiting).await?;
        Ok(all + bytes)
    })
}

/// A body that is ready to be sent.
pub(crate) type Body = Vec<u8>;

/// The points of the seals as bodies: partition by partition, seal by seal, as the log holds them.
pub(crate) fn bodies(seals: &[Seal]) -> Result<Vec<Body>> {
    by_partition(seals).try_fold(Bodies::default(), |bodies, batch| bodies.add(batch, 0))?.finish()
}

/// The same points, all of an environment together: many points of few series in each body. InfluxDB takes this best,
/// and only who knows all points beforehand can send it.
pub(crate) fn best_bodies(seals: &[Seal]) -> Result<Vec<Body>> {
    let mut alone: Vec<Batch> = by_partition(seals).flat_map(environments).collect();
    alone.sort_by(|one, other| environment_of(one).cmp(&environment_of(other)));
    alone.iter().try_fold(Bodies::default(), |bodies, batch| bodies.add(batch, 0))?.finish()
}

fn by_partition(seals: &[Seal]) -> impl Iterator<Item = &Batch> {
    (0..PARTITIONS as usize).flat_map(|partition| seals.iter().filter_map(move |seal| seal.get(partition)))
}

/// A batch of each environment.
fn environments(batch: &Batch) -> impl Iterator<Item = Batch> {
    batch.environments.iter().map(|counts| Batch { environments: vec![counts.clone()], ..batch.clone() })
}

fn environment_of(batch: &Batch) -> Option<&Environment> {
    batch.environments.first().map(|counts| &counts.environment)
}

/// One point of each series, of a time before all others.
pub(crate) fn warming(seals: &[Seal]) -> Result<Vec<Body>> {
    let first = seals.first().into_iter().flatten();
    first
        .into_iter()
        .try_fold(Bodies::default(), |bodies, batch| bodies.add(batch, -60_000_000_000))?
        .finish()
}

/// Bodies in the making.
#[derive(Default)]
struct Bodies {
    done: Vec<Body>,
    text: String,
    lines: usize,
}

impl Bodies {
    /// Adds the points of a batch, as many nanoseconds after where they stand.
    fn add(mut self, batch: &Batch, after: i64) -> Result<Self> {
        for counts in &batch.environments {
            let customer = &counts.environment.customer;
            for (key, slot, count) in counts.points() {
                let inside = (i64::from(batch.node.get()) << 23) + batch.seq.get().cast_signed() % (1 << 23);
                let time = slot.start().as_millis() * 1_000_000 + inside + after;
                let (name, sdk) = (&key.name, key.sdk.as_deref().unwrap_or_default());
                writeln!(
                    self.text,
                    "count,customer={customer},environment=production,meter=evaluations,name={name},project=web,\
                     sdk={sdk} count={count}i {time}"
                )?;
                self.lines += 1;
                if self.lines == BODY_LINES {
                    self.cut()?;
                }
            }
        }
        Ok(self)
    }

    fn cut(&mut self) -> Result<()> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(self.text.as_bytes())?;
        self.done.push(gzip.finish()?);
        self.text.clear();
        self.lines = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Body>> {
        if self.lines > 0 {
            self.cut()?;
        }
        Ok(self.done)
    }
}
