//! Times as people write them: those that are read can be written and read again, and a range is never empty.

#![no_main]

use flagmeter_model::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(time) = Timestamp::parse_rfc3339(text) {
        assert_eq!(Timestamp::parse_rfc3339(&time.to_string()), Ok(time));
    }
    if let Ok(uri) = format!("/?{text}").parse() {
        let now = Timestamp::from_seconds_clamped(1_790_000_000);
        if let Ok(range) = flagmeter_queries::range(&uri, now) {
            assert!(range.from < range.to);
        }
    }
});
