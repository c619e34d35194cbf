//! Definitions of runtime flags: read and evaluated, or one sentence that says what is wrong.

#![no_main]

use flagmeter_model::Timestamp;
use flagmeter_rollout::{CATALOGUE, Context, Definition, Reason};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match Definition::parse(text) {
    Ok(definition) => {
        let (context, now) = (Context::of_customer("acme"), Timestamp::from_seconds_clamped(1_795_000_000));
        for (key, _) in definition.flags() {
            let once = definition.evaluate(key, &context, now);
            assert_eq!(once, definition.evaluate(key, &context, now));
            assert_eq!(once.failure.is_some(), once.reason == Reason::Error);
        }
        for own in CATALOGUE {
            let value = own.evaluate(&definition, &context, now).value;
            assert!(value.is_none_or(|value| own.fits(&value)));
        }
    }
    Err(error) => assert!(!error.to_string().is_empty()),
});
