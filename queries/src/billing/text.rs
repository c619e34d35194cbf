//! Text written into a buffer: numbers, times and names for a million rows a second, without a piece of memory of
//! their own each.

use flagmeter_model::{NodeId, Timestamp};

use crate::usage::csv::harmless;

const DAY_MS: i64 = 86_400_000;

/// Writes a number in decimal digits.
pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    for place in digits.iter_mut().rev() {
        *place = digit(value % 10);
        value /= 10;
        start -= 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Writes the numbers of nodes with spaces between.
pub(super) fn nodes(out: &mut Vec<u8>, nodes: &[NodeId]) {
    for (at, node) in nodes.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        number(out, node.get().into());
    }
}

/// Writes a name as a cell of CSV that no spreadsheet takes for a formula.
pub(super) fn cell(out: &mut Vec<u8>, name: &str) {
    let name = harmless(name);
    if name.contains([',', '"', '\n', '\r']) {
        out.push(b'"');
        out.extend_from_slice(name.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(name.as_bytes());
    }
}

/// Writes times as [`Timestamp`] shows itself. Most are of the same day as the one before.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// The day of `date`, counted from the epoch.
    day: Option<i64>,
    /// `2026-11-20T`.
    date: String,
}

impl Times {
    /// Writes a time.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, at: Timestamp) {
        let (day, in_day) = (at.as_millis() / DAY_MS, at.as_millis() % DAY_MS);
        if self.day != Some(day) {
            self.date = at.to_string();
            self.date.truncate(11);
            self.day = Some(day);
        }
        out.extend_from_slice(self.date.as_bytes());
        let (seconds, millis) = ((in_day / 1_000).unsigned_abs(), (in_day % 1_000).unsigned_abs());
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let two = |number: u64| (digit(number / 10), digit(number % 10));
        let (hour, minute, second) = (two(hour), two(minute), two(second));
        out.extend_from_slice(&[hour.0, hour.1, b':', minute.0, minute.1, b':', second.0, second.1]);
        if millis > 0 {
            let (tens, ones) = two(millis % 100);
            out.extend_from_slice(&[b'.', digit(millis / 100), tens, ones]);
        }
        out.push(b'Z');
    }
}

/// The digit of a number below 10.
fn digit(number: u64) -> u8 {
    b'0' + u8::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_times_are_written_as_everywhere_else(
            value in any::<u64>(), shift in 0_u32..64, millis in prop::collection::vec(0_i64..9_183_110_400_000, 1..9)
        ) {
            let mut out = Vec::new();
            number(&mut out, value >> shift);
            prop_assert_eq!(String::from_utf8(out).unwrap(), (value >> shift).to_string());
            let (mut times, mut out, mut expected) = (Times::default(), Vec::new(), String::new());
            for millis in millis {
                // The same day again, and without the milliseconds.
                for millis in [millis, millis / DAY_MS * DAY_MS, millis / 1_000 * 1_000] {
                    let at = Timestamp::from_millis_clamped(millis);
                    times.write(&mut out, at);
                    expected += &at.to_string();
                }
            }
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        }

        #[test]
        fn a_cell_reads_back_as_it_was(name in "[ -~]{1,12}") {
            let mut out = Vec::new();
            cell(&mut out, &name);
            out.extend_from_slice(b",x\n");
            let mut read = csv::ReaderBuilder::new().has_headers(false).from_reader(&out[..]);
            let record = read.records().next().unwrap().unwrap();
            prop_assert_eq!(&record[0], &*harmless(&name));
            prop_assert_eq!(&record[1], "x");
        }
    }
}
