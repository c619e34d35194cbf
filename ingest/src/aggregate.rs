//! **aggregate**: batches and dead letters become one step with the positions after it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use flagmeter_log::Record;
use flagmeter_model::{Batch, EnvironmentCounts, Error, Timestamp};
use flagmeter_store::{DeadLetter, Positioned, Write};

use crate::{
    decode::Decoded,
    traces::{self, Spans},
};

/// What the store takes at once.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) write: Arc<Write>,
    /// The bytes of [`Write::batches`], in their order, should one of them have to go to the dead letters.
    pub(crate) payloads: Vec<Bytes>,
    /// When the oldest of its records was appended.
    pub(crate) oldest: Timestamp,
    /// Of its records that are traced. Where a step is split, each part has all of them: they end with the last.
    pub(crate) spans: Spans,
}

/// Gathers what was decoded, in order, of a log of so many partitions. `None` for nothing.
pub(crate) fn aggregate(decoded: Vec<Decoded>, partitions: u32, now: Timestamp) -> Option<Step> {
    let oldest = decoded.iter().map(|decoded| decoded.record.appended_at).min()?;
    let mut write = Write { partitions, ..Write::default() };
    let mut payloads = Vec::with_capacity(decoded.len());
    let mut spans = Vec::new();
    for Decoded { record, batch } in decoded {
        let next = record.offset.saturating_add(1);
        write.positions.entry(record.partition).and_modify(|at| *at = next.max(*at)).or_insert(next);
        match batch {
            Ok(batch) => {
                let Record { partition, offset, appended_at, payload } = record;
                let positioned = Positioned { partition, offset, appended_at, batch };
                spans.push(traces::record(&positioned, now));
                write.batches.push(positioned);
                payloads.push(payload);
            }
            Err(error) => write.dead_letters.push(dead_letter(
                (record.partition, record.offset),
                &error,
                now,
                None,
                &record.payload,
            )),
        }
    }
    spans.retain(|span| !span.is_disabled());
    Some(Step { write: Arc::new(write), payloads, oldest, spans: spans.into() })
}

/// Splits a step that the store does not take, because of a value in it, into two to be written in this order: its
/// halves. A step with one batch becomes one without it, and a dead letter. `None` if there is no batch to blame.
///
/// Dead letters stay with the first part: they are kept by their own place in the log. Its positions end with its
/// batches, so that nothing of the second is passed before it is stored.
pub(crate) fn split(step: Step, error: &Error, now: Timestamp) -> Option<(Step, Option<Step>)> {
    let Step { write, mut payloads, oldest, spans } = step;
    let mut write = Arc::unwrap_or_clone(write);
    if write.batches.len() <= 1 {
        let (blamed, payload) = (write.batches.pop()?, payloads.pop()?);
        let place = (blamed.partition, blamed.offset);
        write.dead_letters.push(dead_letter(place, error, now, sum(&blamed.batch), &payload));
        return Some((Step { write: Arc::new(write), payloads, oldest, spans }, None));
    }
    let middle = write.batches.len() / 2;
    let second = Write {
        batches: write.batches.split_off(middle),
        dead_letters: Vec::new(),
        positions: std::mem::take(&mut write.positions),
        partitions: write.partitions,
    };
    let second_payloads = payloads.split_off(middle);
    let mut positions: BTreeMap<u32, u64> = BTreeMap::new();
    for batch in &write.batches {
        let position = positions.entry(batch.partition).or_default();
        *position = batch.offset.saturating_add(1).max(*position);
    }
    write.positions = positions;
    Some((
        Step { write: Arc::new(write), payloads, oldest, spans: Arc::clone(&spans) },
        Some(Step { write: Arc::new(second), payloads: second_payloads, oldest, spans }),
    ))
}

fn dead_letter(
    (partition, offset): (u32, u64),
    error: &Error,
    at: Timestamp,
    count: Option<u64>,
    payload: &Bytes,
) -> DeadLetter {
    DeadLetter {
        partition,
        offset,
        at,
        reason: error.reason().into(),
        detail: error.to_string(),
        count,
        payload: payload.to_vec(),
    }
}

/// All that a batch counts; `None` if it adds up beyond all bounds.
fn sum(batch: &Batch) -> Option<u64> {
    let mut counts = batch.environments.iter().flat_map(EnvironmentCounts::points);
    counts.try_fold(0_u64, |sum, (_, _, count)| sum.checked_add(count))
}

#[cfg(test)]
mod tests {
    use flagmeter_model::{NodeId, Seq};
    use proptest::prelude::*;

    use super::*;

    fn batch(seq: u64) -> Batch {
        Batch {
            node: NodeId::new(1).unwrap(),
            seq: Seq::new(seq),
            part: 0,
            sealed_at: Timestamp::EPOCH,
            covers_from: Timestamp::EPOCH,
            watermark: None,
            farewell: false,
            region: None,
            environments: Vec::new(),
        }
    }

    /// Records of some partitions, in order within each; `false` for one that cannot be decoded.
    fn decoded() -> impl Strategy<Value = Vec<Decoded>> {
        prop::collection::vec((0..3_u32, 1..3_u64, any::<bool>()), 0..40).prop_map(|records| {
            let mut ends = [0; 3];
            let decode = |(partition, gap, good): (u32, u64, bool)| {
                let offset = ends[partition as usize] + gap;
                ends[partition as usize] = offset;
                let payload = Bytes::from(format!("{partition}/{offset}"));
                let appended_at = Timestamp::from_seconds_clamped(offset.cast_signed());
                let batch = if good { Ok(batch(offset)) } else { Err(Error::Malformed("x".into())) };
                Decoded { record: Record { partition, offset, appended_at, payload }, batch }
            };
            records.into_iter().map(decode).collect()
        })
    }

    proptest! {
        #[test]
        fn a_step_holds_every_record_once_and_its_positions_come_after_them(decoded in decoded()) {
            let mut expected: Vec<_> = decoded.iter().map(|it| (it.record.partition, it.record.offset)).collect();
            let Some(step) = aggregate(decoded, 3, Timestamp::EPOCH) else {
                prop_assert!(expected.is_empty());
                return Ok(());
            };
            let mut ends = BTreeMap::new();
            for &(partition, offset) in &expected {
                ends.insert(partition, offset + 1);
            }
            prop_assert_eq!(&step.write.positions, &ends);
            let mut found: Vec<_> = step.write.batches.iter().map(|it| (it.partition, it.offset)).collect();
            prop_assert!(is_in_order(&found));
            found.extend(step.write.dead_letters.iter().map(|it| (it.partition, it.offset)));
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }

        /// A store that refuses some records: whatever they are, the others are written in order, the positions
        /// never pass one that is neither written nor dead, and the refused ones come with their bytes.
        #[test]
        fn splitting_finds_exactly_the_refused_records(decoded in decoded(), refused in prop::collection::hash_set((0..3_u32, 0..60_u64), 0..20)) {
            let all: Vec<_> = decoded.iter().map(|it| (it.record.partition, it.record.offset, it.batch.is_ok())).collect();
            let mut steps: Vec<Step> = aggregate(decoded, 3, Timestamp::EPOCH).into_iter().collect();
            let (mut written, mut dead) = (Vec::new(), BTreeMap::new());
            while let Some(step) = steps.pop() {
                prop_assert_eq!(step.write.batches.len(), step.payloads.len());
                prop_assert_eq!(step.write.partitions, 3);
                if step.write.batches.iter().any(|it| refused.contains(&(it.partition, it.offset))) {
                    let (first, second) = split(step, &Error::Overflow, Timestamp::EPOCH).unwrap();
                    steps.extend(second);
                    steps.push(first);
                    continue;
                }
                written.extend(step.write.batches.iter().map(|it| (it.partition, it.offset)));
                for letter in &step.write.dead_letters {
                    let payload = format!("{}/{}", letter.partition, letter.offset).into_bytes();
                    prop_assert_eq!(&letter.payload, &payload);
                    dead.insert((letter.partition, letter.offset), letter.reason.clone());
                }
                for &(partition, offset, _) in &all {
                    let is_passed = step.write.positions.get(&partition).is_some_and(|&next| offset < next);
                    let place = (partition, offset);
                    prop_assert!(!is_passed || written.contains(&place) || dead.contains_key(&place), "{place:?}");
                }
            }
            prop_assert!(is_in_order(&written));
            for (partition, offset, good) in all {
                let place = (partition, offset);
                let reason = match (good, refused.contains(&place)) {
                    (false, _) => Some("malformed"),
                    (true, true) => Some("overflow"),
                    (true, false) => None,
                };
                prop_assert_eq!(dead.get(&place).map(String::as_str), reason);
                prop_assert_eq!(written.contains(&place), reason.is_none());
            }
        }
    }

    fn is_in_order(places: &[(u32, u64)]) -> bool {
        (0..3).all(|partition| {
            let offsets: Vec<_> =
                places.iter().filter(|place| place.0 == partition).map(|place| place.1).collect();
            offsets.is_sorted()
        })
    }
}
