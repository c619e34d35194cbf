//! The operator's registry: read, or one sentence that says where it is wrong.

#![no_main]

use flagmeter_model::Registry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match Registry::parse(text) {
    Ok(registry) => {
        for environment in registry.environments() {
            assert!(registry.project(&environment.customer, &environment.project).is_some());
        }
    }
    Err(error) => assert!(!error.to_string().is_empty()),
});
