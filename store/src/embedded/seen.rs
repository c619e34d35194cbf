//! First and last seen of series, exact to the minute, as blocks of 256 series.
//!
//! They are kept by the write that brings the counts, in its transaction: so they are right whatever has been
//! rolled up and whatever retention has taken, and reading them opens nothing else. A row a series would be an
//! update per series and minute; a block of 256 is one for all that are counted together.
//!
//! ```text
//! 1, then per series: 0 if never counted, else first minute + 1 and (last minute - first minute), in LEB128
//! ```

use rusqlite::Connection;

use super::block::{Bytes, damaged, put};
use crate::Result;

/// The only format so far. Never reuse a number.
const FORMAT: u8 = 1;

/// Series in a block: those numbered `chunk * 256 ..`.
pub(super) const CHUNK: u32 = 256;

/// When a series was counted, in minutes since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// The first minute.
    pub(super) first: u32,
    /// The last minute.
    pub(super) last: u32,
}

impl Seen {
    /// Not counted yet.
    pub(super) const NEVER: Self = Self { first: u32::MAX, last: 0 };

    /// Whether it was ever counted.
    pub(super) const fn ever(self) -> bool {
        self.first <= self.last
    }
}

/// The block of one chunk.
pub(super) fn encode(seen: &[Seen]) -> Vec<u8> {
    let mut block = Vec::with_capacity(1 + seen.len() * 6);
    block.push(FORMAT);
    for at in seen {
        if at.ever() {
            put(&mut block, u64::from(at.first) + 1);
            put(&mut block, u64::from(at.last - at.first));
        } else {
            block.push(0);
        }
    }
    block
}

/// Reads the block of one chunk: at most [`CHUNK`] series, in the order of their numbers.
pub(super) fn decode(block: &[u8]) -> Result<Vec<Seen>> {
    let mut rest = match block {
        [FORMAT, rest @ ..] => Bytes(rest),
        _ => return Err(damaged("a block of first and last seen has an unknown format")),
    };
    let mut seen = Vec::new();
    while rest.end().is_err() {
        if seen.len() == CHUNK as usize {
            return Err(damaged("a block of first and last seen is too long"));
        }
        seen.push(match rest.number()?.checked_sub(1) {
            None => Seen::NEVER,
            Some(first) => {
                let last = first.saturating_add(rest.number()?);
                let minute = |at| u32::try_from(at).map_err(|_| damaged("a time of first or last seen"));
                Seen { first: minute(first)?, last: minute(last)? }
            }
        });
    }
    Ok(seen)
}

/// First and last seen of an environment's series: the position is the number of the series. Series that are
/// not in it were never counted.
pub(super) fn of_environment(connection: &Connection, environment: i64) -> Result<Vec<Seen>> {
    let mut statement =
        connection.prepare_cached("SELECT chunk, block FROM seen WHERE environment = ?1 ORDER BY chunk")?;
    let mut rows = statement.query([environment])?;
    let mut seen = Vec::new();
    while let Some(row) = rows.next()? {
        let chunk: u32 = row.get(0)?;
        let first = (chunk as usize).saturating_mul(CHUNK as usize);
        // Numbers are given without gaps, and so are chunks but for series that were never counted.
        if first < seen.len() {
            return Err(damaged("chunks of first and last seen overlap"));
        }
        seen.resize(first, Seen::NEVER);
        seen.extend(decode(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?);
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Error;

    proptest! {
        #[test]
        fn a_block_reads_back_as_it_was_written(times in prop::collection::vec(any::<(u32, u32)>(), 0..=256)) {
            let seen: Vec<_> = times
                .into_iter()
                .map(|(a, b)| if a == b { Seen::NEVER } else { Seen { first: a.min(b), last: a.max(b) } })
                .collect();
            prop_assert_eq!(decode(&encode(&seen)).unwrap(), seen);
        }

        #[test]
        fn any_bytes_are_times_or_damage(mut bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Some(first) = bytes.first_mut() {
                *first %= 3;
            }
            if let Err(error) = decode(&bytes) {
                prop_assert!(matches!(error, Error::Damaged(_)), "{error}");
            }
        }
    }
}
