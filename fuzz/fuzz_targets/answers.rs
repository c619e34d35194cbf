//! InfluxDB's answers in CSV: rows or an error, and no row that does not fit its columns.

#![no_main]

use flagmeter_store::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| fuzzing::answer(body));
