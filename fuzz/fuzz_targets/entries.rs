//! Records of the ledger's topic: no panic, and what is read can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|record: &[u8]| flagmeter_ledger::fuzzing::record(record));
