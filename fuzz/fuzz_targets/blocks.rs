//! Blocks of the embedded store: counts or an error, and what was read can be written and read again.

#![no_main]

use flagmeter_store::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|block: &[u8]| fuzzing::blocks(block));
