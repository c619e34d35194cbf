//! Compressed bodies: never more than was allowed, whatever they say of themselves.

#![no_main]

use flagmeter_model::{ContentEncoding, decompress};
use libfuzzer_sys::fuzz_target;

const BYTES_MAX: usize = 10_000;

fuzz_target!(|input: (u8, &[u8])| {
    let encoding = ContentEncoding::ALL[usize::from(input.0) % ContentEncoding::ALL.len()];
    if let Ok(content) = decompress(input.1, encoding, BYTES_MAX) {
        assert!(content.len() <= BYTES_MAX);
    }
});
