//! Counts of one window as compact bytes.
//!
//! ```text
//! raw block    1, slots (a bit for each of the minute's six), then for each bit a column pair
//! tier block   1, a column pair
//! column pair  n, length of the numbers in bytes, the numbers, the n counts
//! numbers      growing; each step is gap × 2 for one number, or gap × 2 + 1 and (length - 2) for a run
//! ```
//!
//! All of it in LEB128 after the first byte, which tells the format. Series are numbered within their
//! environment from 0, so that the numbers of a busy environment are a few runs and cost next to nothing; what
//! is left is the counts, on which a general compressor gains little (see ADR 6). Two columns, so that a
//! later format may compress one of them.
//!
//! Whatever the bytes, decoding ends with counts or with [`Error::Damaged`], and keeps nothing that grows.

use flagmeter_model::Error as ModelError;

use crate::{Error, Result};

/// The only format so far. Never reuse a number.
const FORMAT: u8 = 1;

/// Slots in a minute.
pub(super) const SLOTS: u8 = 6;

/// Largest count and largest sum that is kept: SQLite's integers are signed.
pub(super) const COUNT_MAX: u64 = i64::MAX as u64;

/// The sum, if it can be kept.
pub(super) fn sum(a: u64, b: u64) -> Result<u64, ModelError> {
    a.checked_add(b).filter(|&sum| sum <= COUNT_MAX).ok_or(ModelError::Overflow)
}

/// Builds the block of a raw row, slot by slot.
#[derive(Debug)]
pub(super) struct RawBlock<'a> {
    into: &'a mut Vec<u8>,
}

impl<'a> RawBlock<'a> {
    /// A block without slots, in place of what `into` holds.
    pub(super) fn begin(into: &'a mut Vec<u8>) -> Self {
        into.clear();
        into.extend([FORMAT, 0]);
        Self { into }
    }

    /// Adds the counts of a slot (0 to 5), each slot once and in order. Numbers grow and are as many as counts.
    pub(super) fn slot(&mut self, index: u8, numbers: &[u32], counts: &[u64]) {
        self.into[1] |= 1 << index;
        put_columns(self.into, numbers, counts);
    }
}

/// Writes the block of a tier's row in place of what `into` holds. Numbers grow and are as many as counts.
pub(super) fn encode_tier(into: &mut Vec<u8>, numbers: &[u32], counts: &[u64]) {
    into.clear();
    into.push(FORMAT);
    put_columns(into, numbers, counts);
}

/// Visits (slot 0 to 5, series number, count) of a raw block. What was visited before an error is void.
pub(super) fn visit_raw(block: &[u8], mut visit: impl FnMut(u8, u32, u64)) -> Result<()> {
    let mut rest = body(block)?;
    let slots = rest.byte()?;
    if slots >> SLOTS != 0 {
        return Err(damaged("a minute has six slots"));
    }
    for slot in (0..SLOTS).filter(|slot| slots >> slot & 1 == 1) {
        rest.columns(|number, count| visit(slot, number, count))?;
    }
    rest.end()
}

/// Visits (series number, count) of a tier block, in the order of the numbers. What was visited before an
/// error is void.
pub(super) fn visit_tier(block: &[u8], visit: impl FnMut(u32, u64)) -> Result<()> {
    let mut rest = body(block)?;
    rest.columns(visit)?;
    rest.end()
}

fn put_columns(into: &mut Vec<u8>, numbers: &[u32], counts: &[u64]) {
    put(into, numbers.len() as u64);
    // The length of the numbers comes first but is known last. One byte is right for up to 127 bytes, which
    // is nearly always; else the numbers move up.
    let length_at = into.len();
    into.push(0);
    put_numbers(into, numbers);
    let length = into.len() - length_at - 1;
    if let Ok(short @ 0..0x80) = u8::try_from(length) {
        into[length_at] = short;
    } else {
        let mut prefix = Vec::with_capacity(5);
        put(&mut prefix, length as u64);
        into.splice(length_at..=length_at, prefix);
    }
    for &count in counts {
        put(into, count);
    }
}

fn put_numbers(into: &mut Vec<u8>, numbers: &[u32]) {
    let mut expected = 0_u64;
    let mut rest = numbers;
    while let Some(&first) = rest.first() {
        let run = 1 + rest.windows(2).take_while(|pair| pair[0].checked_add(1) == Some(pair[1])).count();
        let gap = u64::from(first) - expected;
        if run == 1 {
            put(into, gap << 1);
        } else {
            put(into, gap << 1 | 1);
            put(into, run as u64 - 2);
        }
        expected = u64::from(first) + run as u64;
        rest = &rest[run..];
    }
}

/// Appends a number in LEB128.
pub(super) fn put(into: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            into.push(low);
            return;
        }
        into.push(low | 0x80);
    }
}

fn body(block: &[u8]) -> Result<Bytes<'_>> {
    match block {
        [FORMAT, rest @ ..] => Ok(Bytes(rest)),
        [] => Err(damaged("an empty block")),
        [format, ..] => Err(damaged(&format!("a block of the unknown format {format}"))),
    }
}

pub(super) fn damaged(what: &str) -> Error {
    Error::Damaged(what.to_owned())
}

/// What the model says of a value that was read back. It was good when it was stored: so it is the store that is
/// damaged, and not the record that is being written.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
pub(super) fn unreadable(error: ModelError) -> Error {
    Error::Damaged(error.to_string())
}

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn byte(&mut self) -> Result<u8> {
        let (&first, rest) = self.0.split_first().ok_or_else(|| damaged("a block ends early"))?;
        self.0 = rest;
        Ok(first)
    }

    /// Reads a number in LEB128.
    #[inline]
    pub(super) fn number(&mut self) -> Result<u64> {
        let first = self.byte()?;
        if first < 0x80 { Ok(u64::from(first)) } else { self.long_number(first) }
    }

    fn long_number(&mut self, first: u8) -> Result<u64> {
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged("a number of a block is too large"))
    }

    fn take(&mut self, length: u64) -> Result<Bytes<'a>> {
        let (taken, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| self.0.split_at_checked(length))
            .ok_or_else(|| damaged("a block ends early"))?;
        self.0 = rest;
        Ok(Bytes(taken))
    }

    pub(super) fn end(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(damaged("a block goes on after its end")) }
    }

    fn columns(&mut self, mut visit: impl FnMut(u32, u64)) -> Result<()> {
        let wanted = self.number()?;
        let length = self.number()?;
        let mut numbers = self.take(length)?;
        let mut expected = 0_u64;
        let mut found = 0_u64;
        while found < wanted {
            let step = numbers.number()?;
            let run = if step & 1 == 1 { numbers.number()?.saturating_add(2) } else { 1 };
            // Every count takes a byte, so that a run that is too long ends with the bytes.
            let first = expected.saturating_add(step >> 1);
            expected = first.saturating_add(run);
            found = found.saturating_add(run);
            if found > wanted || expected > 1 << 32 {
                return Err(damaged("the series numbers of a block are out of bounds"));
            }
            for number in first..expected {
                let count = self.number()?;
                if count == 0 || count > COUNT_MAX {
                    return Err(damaged("a count of a block is zero or too large"));
                }
                let number = u32::try_from(number).map_err(|_| damaged("a series number is too large"))?;
                visit(number, count);
            }
        }
        numbers.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Counts = Vec<(u32, u64)>;

    fn counts() -> impl Strategy<Value = Counts> {
        let number = prop_oneof![0..300_u32, any::<u32>(), Just(u32::MAX)];
        let count = prop_oneof![1..200_u64, 1..=COUNT_MAX];
        prop::collection::btree_map(number, count, 0..300).prop_map(|map| map.into_iter().collect())
    }

    fn encoded(counts: &Counts) -> Vec<u8> {
        let (numbers, counts): (Vec<_>, Vec<_>) = counts.iter().copied().unzip();
        let mut block = Vec::new();
        encode_tier(&mut block, &numbers, &counts);
        block
    }

    proptest! {
        #[test]
        fn a_tier_block_reads_back_as_it_was_written(counts in counts()) {
            let mut read = Vec::new();
            visit_tier(&encoded(&counts), |number, count| read.push((number, count))).unwrap();
            prop_assert_eq!(read, counts);
        }

        #[test]
        fn a_raw_block_reads_back_as_it_was_written(slots in prop::collection::btree_map(0..SLOTS, counts(), 0..6)) {
            let mut bytes = vec![9; 3];
            let mut block = RawBlock::begin(&mut bytes);
            for (&slot, counts) in &slots {
                let (numbers, counts): (Vec<_>, Vec<_>) = counts.iter().copied().unzip();
                block.slot(slot, &numbers, &counts);
            }
            let mut read = std::collections::BTreeMap::<u8, Counts>::new();
            visit_raw(&bytes, |slot, number, count| read.entry(slot).or_default().push((number, count))).unwrap();
            let written: std::collections::BTreeMap<_, _> =
                slots.into_iter().filter(|(_, counts)| !counts.is_empty()).collect();
            prop_assert_eq!(read, written);
        }

        #[test]
        fn any_bytes_are_counts_or_damage(mut bytes in prop::collection::vec(any::<u8>(), 0..200), ours: bool) {
            if ours && !bytes.is_empty() {
                bytes[0] = FORMAT;
            }
            for result in [visit_tier(&bytes, |_, _| ()), visit_raw(&bytes, |_, _, _| ())] {
                if let Err(error) = result {
                    prop_assert!(matches!(error, Error::Damaged(_)), "{error}");
                }
            }
        }

        #[test]
        fn a_cut_block_is_damaged(counts in counts(), cut: prop::sample::Index) {
            let block = encoded(&counts);
            let cut = cut.index(block.len());
            prop_assert!(visit_tier(&block[..cut], |_, _| ()).is_err());
        }
    }

    #[test]
    fn a_dense_block_costs_little_more_than_its_counts() {
        let counts: Counts = (0..1_000).map(|number| (number, 7)).collect();
        assert_eq!(encoded(&counts).len(), 1_000 + 7);
    }

    #[test]
    fn a_block_that_promises_more_than_it_holds_is_refused_at_once() {
        let mut block = vec![FORMAT];
        put(&mut block, 1 << 31);
        block.extend([6, 1]);
        put(&mut block, (1 << 31) - 2);
        assert!(matches!(visit_tier(&block, |_, _| ()), Err(Error::Damaged(_))));
    }
}
