//! A seal: what was added up, cut into batches by partition, by encoding and by size.

use std::collections::BTreeMap;

use flagmeter_model::{
    Batch, ContentEncoding, Environment, EnvironmentCounts, Error, Name, NodeId, Result, Seq, SeriesKey,
    Slot, SlotCounts, Timestamp,
};

use super::{
    series::{LiveSeries, SeriesId, SeriesRef},
    tally::Point,
};
use crate::EncodingOf;

/// A batch, where it goes and how it is encoded.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) partition: u32,
    pub(crate) encoding: ContentEncoding,
    pub(crate) batch: Batch,
}

/// What all batches of a seal say.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) node: NodeId,
    pub(crate) seq: Seq,
    pub(crate) sealed_at: Timestamp,
    pub(crate) covers_from: Timestamp,
    pub(crate) watermark: Timestamp,
    pub(crate) farewell: bool,
    pub(crate) region: Option<Name>,
}

/// The partition of an environment: the same in every process and on every machine, for ever.
pub(crate) fn partition_of(environment: &Environment, partitions: u32) -> u32 {
    let texts = [&environment.customer, &environment.project, &environment.environment];
    // FNV-1a of the names, each ended by a zero, which no name holds.
    let hash = texts
        .into_iter()
        .flat_map(|text| text.bytes().chain([0]))
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    // The low bits of FNV mix less than the high ones.
    let mixed = hash ^ (hash >> 32);
    u32::try_from(mixed % u64::from(partitions.max(1))).unwrap_or(0)
}

/// Cuts points, which come in the order of [`super::Tally::by_name`], into batches: every partition gets at
/// least one, none is larger than about `bytes_max` as JSON, and each (environment, series, slot) stands in
/// one. A batch holds customers of one encoding. The last of each partition carries the watermark.
pub(crate) fn batches(
    points: &[Point],
    live: &LiveSeries,
    header: &Header,
    (partitions, bytes_max): (u32, usize),
    encoding_of: &EncodingOf,
) -> Result<Vec<Sealed>> {
    let by_encoding = || ContentEncoding::ALL.map(|_| Cutting::new(bytes_max));
    let mut by_partition: Vec<_> = (0..partitions.max(1)).map(|_| by_encoding()).collect();
    let mut last_customer: Option<(&Name, ContentEncoding)> = None;
    let same_environment =
        |a: &Point, b: &Point| live.series(a.series).environment == live.series(b.series).environment;
    for points in points.chunk_by(same_environment) {
        let environment = live.environment_of(live.series(points[0].series).environment);
        let partition = partition_of(environment, partitions);
        // Environments of a customer follow each other: it is asked for once in a seal.
        let customer = &environment.customer;
        let (_, encoding) = *match last_customer.take() {
            Some(last) if last.0 == customer => last_customer.insert(last),
            _ => last_customer.insert((customer, encoding_of.customer(customer))),
        };
        let Some(by_encoding) = by_partition.get_mut(partition as usize) else { continue };
        let cutting = &mut by_encoding[encoding as usize];
        for &point in points {
            cutting.add(environment, point, live.series(point.series))?;
        }
    }
    let mut batches = Vec::with_capacity(by_partition.len());
    for (partition, by_encoding) in (0..).zip(by_partition) {
        let encoded = |(encoding, cutting): (_, Cutting)| {
            cutting.finish().into_iter().map(move |part| (encoding, part))
        };
        let mut parts: Vec<_> = ContentEncoding::ALL.into_iter().zip(by_encoding).flat_map(encoded).collect();
        if parts.is_empty() {
            // Nothing is in it that could be made smaller.
            parts.push((ContentEncoding::Identity, Vec::new()));
        }
        let last = parts.len() - 1;
        for (at, (encoding, environments)) in parts.into_iter().enumerate() {
            let part = u16::try_from(batches.len())
                .map_err(|_| Error::Malformed("a seal of more than 65536 records".into()))?;
            let batch = Batch {
                node: header.node,
                seq: header.seq,
                part,
                sealed_at: header.sealed_at,
                covers_from: header.covers_from,
                watermark: (at == last).then_some(header.watermark),
                farewell: header.farewell && at == last,
                region: header.region.clone(),
                environments,
            };
            batches.push(Sealed { partition, encoding, batch });
        }
    }
    Ok(batches)
}

/// One partition's points of one encoding on their way into batches.
#[derive(Debug)]
struct Cutting {
    bytes_max: usize,
    bytes: usize,
    done: Vec<Vec<EnvironmentCounts>>,
    filling: Vec<EnvironmentCounts>,
    current: Option<Current>,
}

/// The environment that is being filled.
#[derive(Debug)]
struct Current {
    environment: Environment,
    last: Option<SeriesId>,
    series: Vec<SeriesKey>,
    slots: BTreeMap<Slot, (Vec<u32>, Vec<u64>)>,
}

impl Current {
    fn finish(self) -> EnvironmentCounts {
        let slots = self.slots.into_iter();
        EnvironmentCounts {
            environment: self.environment,
            series: self.series,
            slots: slots.map(|(slot, (series, counts))| SlotCounts { slot, series, counts }).collect(),
        }
    }
}

/// At most what these take as JSON: texts may double by escapes.
const BATCH_BYTES: usize = 256;
const ENVIRONMENT_BYTES: usize = 128;
const SERIES_BYTES: usize = 64;
const SLOT_BYTES: usize = 64;
const POINT_BYTES: usize = 32;

impl Cutting {
    fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: BATCH_BYTES, done: Vec::new(), filling: Vec::new(), current: None }
    }

    fn add(&mut self, environment: &Environment, point: Point, series: SeriesRef<'_>) -> Result<()> {
        if self.bytes + self.cost(environment, point, &series) > self.bytes_max && self.bytes > BATCH_BYTES {
            self.cut();
        }
        self.bytes += self.cost(environment, point, &series);
        if self.current.as_ref().is_none_or(|current| current.environment != *environment) {
            self.filling.extend(self.current.take().map(Current::finish));
        }
        let current = self.current.get_or_insert_with(|| Current {
            environment: environment.clone(),
            last: None,
            series: Vec::new(),
            slots: BTreeMap::new(),
        });
        if current.last != Some(point.series) {
            current.last = Some(point.series);
            current.series.push(series.to_key()?);
        }
        let at = u32::try_from(current.series.len() - 1).map_err(|_| Error::Overflow)?;
        let (positions, counts) = current.slots.entry(point.slot).or_default();
        positions.push(at);
        counts.push(point.count);
        Ok(())
    }

    /// What a point adds to the batch that is being filled.
    fn cost(&self, environment: &Environment, point: Point, series: &SeriesRef<'_>) -> usize {
        let names = environment.customer.len() + environment.project.len() + environment.environment.len();
        let texts = series.name.len() + series.variant.map_or(0, str::len) + series.sdk.map_or(0, str::len);
        let current = self.current.as_ref().filter(|current| current.environment == *environment);
        let new_environment = if current.is_none() { ENVIRONMENT_BYTES + 2 * names } else { 0 };
        let known = current.is_some_and(|current| current.last == Some(point.series));
        let new_series = if known { 0 } else { SERIES_BYTES + 2 * texts };
        let known = current.is_some_and(|current| current.slots.contains_key(&point.slot));
        new_environment + new_series + if known { POINT_BYTES } else { SLOT_BYTES + POINT_BYTES }
    }

    fn cut(&mut self) {
        self.filling.extend(self.current.take().map(Current::finish));
        self.done.push(std::mem::take(&mut self.filling));
        self.bytes = BATCH_BYTES;
    }

    fn finish(mut self) -> Vec<Vec<EnvironmentCounts>> {
        if self.bytes > BATCH_BYTES {
            self.cut();
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use flagmeter_model::{Meter, encode};
    use proptest::prelude::*;

    use super::*;
    use crate::committer::Tally;

    fn environment(number: u8) -> Arc<Environment> {
        let name = |text: &str| Name::new(text).unwrap();
        Arc::new(Environment {
            customer: name(&format!("customer-{}", number % 3)),
            project: name("p"),
            environment: name(&format!("e{number}")),
        })
    }

    fn header() -> Header {
        let at = |seconds| Timestamp::from_seconds_clamped(seconds);
        Header {
            node: NodeId::new(3).unwrap(),
            seq: Seq::new(7),
            sealed_at: at(1_000),
            covers_from: at(990),
            watermark: at(1_000),
            farewell: true,
            region: Some(Name::new("eu-west").unwrap()),
        }
    }

    #[test]
    fn the_partition_of_an_environment_never_changes() {
        let partitions: Vec<_> = (0..8).map(|n| partition_of(&environment(n), 4)).collect();
        assert_eq!(partitions, EXPECTED);
        assert_eq!(partition_of(&environment(1), 1), 0);
    }

    /// Written down when this was made: another answer would send an environment's counts elsewhere.
    const EXPECTED: [u32; 8] = [2, 3, 3, 1, 2, 0, 0, 1];

    #[test]
    fn an_empty_seal_tells_every_partition_its_watermark() {
        let live = LiveSeries::new(10);
        let batches = batches(&[], &live, &header(), (3, 1 << 20), &EncodingOf::default()).unwrap();
        assert_eq!(batches.iter().map(|sealed| sealed.partition).collect::<Vec<_>>(), [0, 1, 2]);
        for Sealed { encoding, batch, .. } in &batches {
            assert_eq!(*encoding, ContentEncoding::Identity);
            batch.validate().unwrap();
            assert!(batch.environments.is_empty() && batch.farewell && batch.watermark.is_some());
            assert_eq!(batch.region, header().region);
        }
    }

    proptest! {
        #[test]
        fn every_count_stands_in_one_batch_and_batches_keep_their_size(
            given in proptest::collection::vec((0_u8..12, "[a-f\"]{1,12}", 0_u32..30, 1_u64..1_000), 0..400),
            partitions in 1_u32..6,
            bytes_max in 600_usize..6_000,
        ) {
            let mut live = LiveSeries::new(100_000);
            let mut tally = Tally::default();
            let mut expected = BTreeMap::new();
            for (env, name, slot, count) in &given {
                let id = live.environment(&environment(*env));
                let series = SeriesRef {
                    environment: id, meter: Meter::Evaluations, name, variant: Some("on"), sdk: None,
                };
                let series = live.intern(&series);
                tally.add(Point { series, slot: Slot::from_number(*slot).unwrap(), count: *count });
                *expected.entry((environment(*env).to_string(), name.clone(), *slot)).or_insert(0) += count;
            }
            let asked = Arc::new(parking_lot::Mutex::new(Vec::new()));
            let told = Arc::clone(&asked);
            // A decision that changes all the time: one seal asks once for a customer.
            let encoding_of = EncodingOf::new(move |customer| {
                told.lock().push(customer.to_owned());
                ContentEncoding::ALL[told.lock().len() % 3]
            });
            let points = tally.by_name(&live);
            let batches = batches(&points, &live, &header(), (partitions, bytes_max), &encoding_of).unwrap();
            let mut asked = asked.lock().clone();
            let customers = asked.len();
            asked.dedup();
            prop_assert_eq!(asked.len(), customers, "a customer is asked for once");
            let mut encodings = BTreeMap::new();
            let mut found = BTreeMap::new();
            let mut parts = Vec::new();
            let mut watermarks = vec![0; partitions as usize];
            for Sealed { partition, encoding, batch } in &batches {
                batch.validate().unwrap();
                let encoded = encode(batch, *encoding).unwrap();
                prop_assert_eq!(ContentEncoding::sniff(&encoded), *encoding);
                prop_assert_eq!(&flagmeter_model::decode(&encoded).unwrap(), batch);
                prop_assert!(encode(batch, ContentEncoding::Identity).unwrap().len() <= bytes_max);
                prop_assert_eq!(watermarks[*partition as usize], 0, "nothing comes after the watermark");
                watermarks[*partition as usize] += usize::from(batch.watermark.is_some());
                prop_assert_eq!(batch.farewell, batch.watermark.is_some());
                parts.push(batch.part);
                for counts in &batch.environments {
                    let customer = counts.environment.customer.to_string();
                    prop_assert_eq!(*encodings.entry(customer).or_insert(*encoding), *encoding);
                    prop_assert_eq!(partition_of(&counts.environment, partitions), *partition);
                    for (key, slot, count) in counts.points() {
                        let key = (counts.environment.to_string(), key.name.to_string(), slot.number());
                        prop_assert!(found.insert(key, count).is_none(), "in exactly one batch");
                    }
                }
            }
            prop_assert_eq!(found, expected);
            prop_assert!(watermarks.iter().all(|&count| count == 1), "every partition is told once");
            prop_assert!(parts.iter().zip(0..).all(|(&part, at)| part == at), "parts are numbered through");
        }
    }
}
