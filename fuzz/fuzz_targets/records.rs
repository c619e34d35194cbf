//! Records of the log: no panic, and what is read can be written and read again.

#![no_main]

use flagmeter_model::{ContentEncoding, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|record: &[u8]| {
    if let Ok(batch) = decode(record) {
        for encoding in ContentEncoding::ALL {
            let again = encode(&batch, encoding).expect("a batch that was read can be written");
            assert_eq!(decode(&again).expect("and read again"), batch);
        }
    }
});
