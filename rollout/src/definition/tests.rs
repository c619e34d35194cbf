use proptest::prelude::*;
use serde_json::json;

use super::*;

fn defined(json: &Value) -> Definition {
    Definition::parse(&json.to_string()).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_seconds_clamped(1_795_000_000)
}

/// A file with one flag `f`, whose variants are named like their values.
fn one(variants: &[&str], default: &str, targeting: &Value) -> Definition {
    let variants: Map<String, Value> = variants.iter().map(|&name| (name.to_owned(), json!(name))).collect();
    defined(&json!({"flags": {"f": {
        "state": "ENABLED", "variants": variants, "defaultVariant": default, "targeting": targeting
    }}}))
}

fn variant(definition: &Definition, key: &str, context: &Context) -> String {
    definition.evaluate(key, context, now()).variant.unwrap_or_default()
}

fn suits(bucket_by: Value) -> Value {
    let suits = ["clubs", "diamonds", "hearts", "spades", "wild"];
    let variants: Map<String, Value> = suits.iter().map(|&name| (name.to_owned(), json!(name))).collect();
    let shares = [
        bucket_by,
        json!(["clubs", 25]),
        json!(["diamonds", 25]),
        json!(["hearts", 25]),
        json!(["spades", 25]),
    ];
    json!({
        "state": "ENABLED", "variants": variants, "defaultVariant": "wild", "targeting": {"fractional": shares}
    })
}

/// Who gets what, as flagd's conformance suite has it for weights of full precision.
#[test]
fn fractional_assigns_as_flagd_does() {
    let definition = defined(&json!({"flags": {
        "fractional-flag": suits(json!({"cat": [{"var": "$flagd.flagKey"}, {"var": "user.name"}]})),
        "fractional-flag-A-shared-seed": suits(json!({"cat": ["shared-seed", {"var": "user.name"}]})),
        "fractional-flag-shorthand": {
            "state": "ENABLED", "variants": {"heads": 1, "tails": 2}, "targeting": {"fractional": [["heads"], ["tails", 1]]}
        },
        "fractional-hash-edge-flag": {
            "state": "ENABLED", "variants": {"lower": 1, "upper": 2},
            "targeting": {"fractional": [{"var": "targetingKey"}, ["lower", 50], ["upper", 50]]}
        },
    }}));
    let named = |name: &str| Context::default().with("user", json!({ "name": name }));
    let by_name = [
        ("fractional-flag", "jack", "hearts"),
        ("fractional-flag", "queen", "spades"),
        ("fractional-flag", "ten", "clubs"),
        ("fractional-flag", "nine", "diamonds"),
        ("fractional-flag", "3", "clubs"),
        ("fractional-flag-A-shared-seed", "seven", "hearts"),
        ("fractional-flag-A-shared-seed", "eight", "diamonds"),
        ("fractional-flag-A-shared-seed", "nine", "clubs"),
        ("fractional-flag-A-shared-seed", "two", "spades"),
    ];
    for (key, name, expected) in by_name {
        let found = definition.evaluate(key, &named(name), now());
        assert_eq!((found.variant.as_deref(), found.reason), (Some(expected), Reason::Split), "{key} {name}");
    }
    let by_key = [
        ("fractional-flag-shorthand", "jon@company.com", "heads"),
        ("fractional-flag-shorthand", "jane@company.com", "tails"),
        ("fractional-hash-edge-flag", "ejOoVL", "lower"),
        ("fractional-hash-edge-flag", "bY9fO-", "lower"),
        ("fractional-hash-edge-flag", "SI7p-", "lower"),
        ("fractional-hash-edge-flag", "6LvT0", "upper"),
        ("fractional-hash-edge-flag", "ceQdGm", "upper"),
    ];
    for (key, targeting_key, expected) in by_key {
        assert_eq!(
            variant(&definition, key, &Context::of_key(targeting_key)),
            expected,
            "{key} {targeting_key}"
        );
    }
}

/// Its cases of nested and of odd shares.
#[test]
fn shares_and_variants_may_be_computed_and_odd_ones_assign_nothing() {
    let premium = |then: Value, otherwise: Value| json!({"if": [{"==": [{"var": "tier"}, "premium"]}, then, otherwise]});
    let key = |key: &str, tier: &str| Context::of_key(key).with("tier", tier);
    let nested = one(
        &["premium", "standard", "fallback"],
        "fallback",
        &json!({"fractional": [{"var": "targetingKey"}, [premium(json!("premium"), json!("standard")), 50], ["standard", 50]]}),
    );
    assert_eq!(variant(&nested, "f", &key("jon@company.com", "premium")), "premium");
    assert_eq!(variant(&nested, "f", &key("jon@company.com", "basic")), "standard");
    assert_eq!(variant(&nested, "f", &key("user1", "premium")), "standard");
    let weight = json!({"fractional": [{"var": "targetingKey"}, ["red", premium(json!(100), json!(0))], ["blue", 10]]});
    let weight = one(&["red", "blue"], "blue", &weight);
    assert_eq!(variant(&weight, "f", &key("user1", "premium")), "red");
    assert_eq!(variant(&weight, "f", &key("user1", "basic")), "blue");
    let condition = json!({"if": [{"fractional": [[false, 0], [true, 100]]}, "big", "small"]});
    let condition = one(&["big", "small"], "small", &condition);
    assert_eq!(variant(&condition, "f", &key("some-targeting-key", "")), "big");
    let negative = json!({"fractional": [{"var": "targetingKey"}, ["one", -50], ["two", 100]]});
    assert_eq!(variant(&one(&["one", "two"], "one", &negative), "f", &key("any-user", "")), "two");
    for nothing in [
        json!({"fractional": [{"var": "targetingKey"}, ["one", 0], ["two", 0]]}),
        json!({"fractional": [{"var": "targetingKey"}, ["one", 0.5], ["two", 1]]}),
        json!({"fractional": [{"var": "targetingKey"}, ["one", 2_147_483_647], ["two", 1]]}),
        json!({"fractional": [{"var": "targetingKey"}, ["one", "1"]]}),
        json!({"fractional": [{"var": "targetingKey"}, []]}),
        json!({"fractional": [5, ["one", 1]]}),
        json!({"fractional": []}),
    ] {
        let found = one(&["one", "two"], "two", &nothing).evaluate("f", &key("any-user", ""), now());
        assert_eq!((found.variant.as_deref(), found.reason), (Some("two"), Reason::Default), "{nothing}");
    }
    let without_key = json!({"fractional": [{"var": "absent"}, ["one", 50], ["two", 50]]});
    let found = one(&["one", "two"], "two", &without_key).evaluate("f", &Context::default(), now());
    assert_eq!(found.reason, Reason::Default);
}

#[test]
fn reasons_and_errors_are_those_of_openfeature() {
    let definition = defined(&json!({
        "flags": {
            "static": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on", "targeting": {}},
            "no-default": {"state": "ENABLED", "variants": {"on": true}},
            "off": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
            "hit": {"state": "ENABLED", "variants": {"on": true, "true": 1}, "defaultVariant": "on",
                    "targeting": {"if": [{"$ref": "acme"}, true, null]}},
            "lost": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on", "targeting": {"$ref": "gone"}},
            "wild": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
                     "targeting": {"var": "customer"}},
        },
        "$evaluators": {"acme": {"==": [{"var": "targetingKey"}, "acme"]}}
    }));
    let asked = |key: &str, customer: &str| {
        let found = definition.evaluate(key, &Context::of_customer(customer), now());
        (found.value, found.variant, found.reason.name(), found.failure.map(|failure| failure.code.name()))
    };
    let on = || Some("on".to_owned());
    assert_eq!(asked("static", "acme"), (Some(json!(true)), on(), "STATIC", None));
    assert_eq!(asked("no-default", "acme"), (None, None, "DEFAULT", None));
    assert_eq!(asked("off", "acme"), (None, None, "DISABLED", None));
    assert_eq!(asked("hit", "acme"), (Some(json!(1)), Some("true".to_owned()), "TARGETING_MATCH", None));
    assert_eq!(asked("hit", "globex"), (Some(json!(true)), on(), "DEFAULT", None));
    assert_eq!(asked("lost", "acme"), (None, None, "ERROR", Some("PARSE_ERROR")));
    assert_eq!(asked("wild", "acme"), (None, None, "ERROR", Some("GENERAL")));
    assert_eq!(asked("absent", "acme"), (None, None, "ERROR", Some("FLAG_NOT_FOUND")));
}

#[test]
fn rules_know_the_flag_and_the_second() {
    let rollout = json!({"fractional": [
        ["on", {"-": [{"var": "$flagd.timestamp"}, 1_795_000_000]}],
        ["off", {"-": [1_795_000_100, {"var": "$flagd.timestamp"}]}]
    ]});
    let definition = one(&["on", "off"], "off", &rollout);
    let at = |seconds| {
        let now = now().plus_seconds(seconds);
        definition.evaluate("f", &Context::of_customer("acme"), now).variant
    };
    assert_eq!((at(0).as_deref(), at(100).as_deref()), (Some("off"), Some("on")));
    let key = one(&["f"], "f", &json!({"var": "$flagd.flagKey"}));
    assert_eq!(key.evaluate("f", &Context::default(), now()).reason, Reason::TargetingMatch);
}

#[test]
fn a_text_that_is_no_definition_is_refused_in_a_sentence() {
    let flag = |text: &str| format!("{{\"flags\": {{\"f\": {text}}}}}");
    for (text, says) in [
        ("{\n  \"flags\": nothing }".to_owned(), "line 2 column "),
        ("[]".into(), "it has no \"flags\""),
        ("{\"flags\": 1}".into(), "\"flags\" is no object"),
        ("{\"flags\": [{}]}".into(), "has no \"key\""),
        ("{\"flags\": {}, \"$evaluators\": []}".into(), "\"$evaluators\" is no object"),
        (flag("{}"), "flag \"f\": its state is neither"),
        (flag("{\"state\": \"ENABLED\"}"), "its \"variants\" are no object"),
        (
            flag("{\"state\": \"ENABLED\", \"variants\": {}, \"defaultVariant\": \"x\"}"),
            "\"x\" is none of its variants",
        ),
        (flag("{\"state\": \"ENABLED\", \"variants\": {}, \"metadata\": 1}"), "\"metadata\" is no object"),
        (" ".repeat(Definition::BYTES_MAX + 1), "larger than 1048576 bytes"),
    ] {
        let refused = Definition::parse(&text).unwrap_err().to_string();
        assert!(refused.contains(says) && !refused.contains('\n'), "{refused}");
    }
    let listed = "{\"flags\": [{\"key\": \"f\", \"state\": \"DISABLED\", \"variants\": {}}]}";
    assert!(!Definition::parse(listed).unwrap().flag("f").unwrap().is_enabled());
}

#[test]
fn flags_without_an_owner_and_past_their_removal_are_noticed() {
    let definition = defined(&json!({"metadata": {"owner": "platform"}, "flags": {
        "old": {"state": "ENABLED", "variants": {}, "metadata": {"remove_by": "2026-11-21"}},
        "last-day": {"state": "ENABLED", "variants": {}, "metadata": {"remove_by": "2026-11-22"}},
        "nobodys": {"state": "ENABLED", "variants": {}, "metadata": {"owner": " ", "remove_by": "soon"}},
        "broken": {"state": "ENABLED", "variants": {}, "targeting": {"exec": []}},
    }}));
    let today = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
    let said = |key: &str| {
        let notices = definition.flag(key).unwrap().notices(today);
        notices.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert!(said("old").contains("removed by 2026-11-21"), "{}", said("old"));
    assert_eq!(said("last-day"), "");
    assert!(said("nobodys").contains("no owner") && said("nobodys").contains("\"soon\", which is no date"));
    assert!(said("broken").contains("no date of removal") && said("broken").contains("\"exec\""));
    assert_eq!(definition.flag("old").unwrap().owner(), Some("platform"));
}

/// A typo in a share sends these customers to the safe default: whoever writes it is told before.
#[test]
fn variants_that_a_rule_names_and_the_flag_does_not_have_are_noticed() {
    let today = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
    let said = |rule: &Value| {
        let definition = one(&["off", "zstd", "true"], "off", rule);
        let notices = definition.flag("f").unwrap().notices(today);
        let broken = notices.into_iter().filter_map(|notice| match notice {
            Notice::Broken(why) => Some(why),
            _ => None,
        });
        broken.collect::<Vec<_>>().join("; ")
    };
    let typo = "its rule names \"none\", which is none of its variants";
    let key = json!({"var": "targetingKey"});
    for rule in [
        json!("none"),
        json!({"fractional": [["zstd", 20], ["none", 80]]}),
        json!({"fractional": [key, ["zstd", 20], ["none", {"var": "weight"}]]}),
        json!({"fractional": ["seed", [{"if": [key, "none", "off"]}, 1]]}),
        json!({"if": [{"in": [key, ["acme"]]}, "none", null]}),
        json!({"if": [key, "off", {"fractional": [["zstd", 20], ["none"]]}]}),
        json!({"if": [key, "off", {"if": [false, "zstd", "none"]}]}),
    ] {
        assert_eq!(said(&rule), typo, "{rule}");
    }
    for rule in [
        json!({"fractional": [{"cat": ["seed", key]}, ["zstd", 20], ["off", 80]]}),
        json!({"fractional": ["seed", ["zstd", 20], ["off", 80]]}),
        json!({"if": [{"==": [key, "none"]}, true, {"in": ["none", ["acme"]]}, "zstd", null]}),
        key,
    ] {
        assert_eq!(said(&rule), "", "{rule}");
    }
    let many = (0..100).map(|number| json!([format!("v{number}"), 1])).collect::<Vec<_>>();
    assert_eq!(said(&json!({ "fractional": many })).matches("; ").count(), UNKNOWN_MAX - 1);
}

/// A small file cannot be made large by naming a shared rule again and again.
#[test]
fn the_rules_of_a_file_have_a_budget_together() {
    let flag = json!({"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on", "targeting": {"$ref": "large"}});
    let file = |flags: usize, large: &Value| {
        let flags: Map<String, Value> =
            (0..flags).map(|number| (format!("f{number:04}"), flag.clone())).collect();
        defined(&json!({"flags": flags, "$evaluators": {"large": large}}))
    };
    let codes = |definition: &Definition| {
        let code = |key: &str| definition.evaluate(key, &Context::of_customer("acme"), now()).failure;
        definition
            .flags()
            .filter(|(key, _)| code(key).is_some_and(|why| why.message.contains("together")))
            .count()
    };
    let parts = json!({"if": [{"in": [{"var": "targetingKey"}, vec![1; 9_000]]}, "on", null]});
    assert_eq!(codes(&file(100, &parts)), 0);
    let beyond = file(120, &parts);
    assert_eq!(codes(&beyond), 4);
    let failure = beyond.evaluate("f0119", &Context::of_customer("acme"), now()).failure.unwrap();
    assert_eq!(failure.code, ErrorCode::ParseError);
    // Long texts are as many parts as they take room.
    assert!(codes(&file(400, &json!({"==": ["a".repeat(640_000), 1]}))) > 200);
}

fn rollout(percent: u32) -> Definition {
    one(&["on", "off"], "off", &json!({"fractional": [["on", percent], ["off", 100 - percent]]}))
}

#[test]
fn a_share_is_that_share_of_customers() {
    let definition = rollout(20);
    let of_customer =
        |number: u32| variant(&definition, "f", &Context::of_customer(&format!("customer-{number}")));
    let taken = (0..10_000).filter(|&number| of_customer(number) == "on").count();
    assert!((1_850..2_150).contains(&taken), "{taken}");
}

proptest! {
    #[test]
    fn who_is_in_at_a_share_is_in_at_every_larger_one(customer in "\\PC{1,20}", first in 0_u32..=100, second in 0_u32..=100) {
        let (less, more) = (first.min(second), first.max(second));
        let context = Context::of_customer(&customer);
        if variant(&rollout(less), "f", &context) == "on" {
            prop_assert_eq!(variant(&rollout(more), "f", &context), "on");
        }
        prop_assert_eq!(variant(&rollout(0), "f", &context), "off");
        prop_assert_eq!(variant(&rollout(100), "f", &context), "on");
    }

    #[test]
    fn the_same_customer_is_assigned_the_same_whatever_the_time_and_whoever_asks(customer in "\\PC{1,20}", seconds in 0_i64..1_000_000) {
        let (one, other) = (rollout(50), rollout(50));
        let plain = one.evaluate("f", &Context::of_customer(&customer), now());
        let asked = Context::of_key(&customer).with("process", "edge");
        prop_assert_eq!(plain, other.evaluate("f", &asked, now().plus_seconds(seconds)));
    }

    #[test]
    fn arbitrary_text_never_panics(text: String) {
        let _refused = Definition::parse(&text);
    }

    #[test]
    fn a_damaged_file_is_refused_or_evaluated(at: prop::sample::Index, byte in 0x20_u8..0x7f, customer in "\\PC{0,8}") {
        let mut bytes = include_bytes!("../../../docs/runtime-flags.example.json").to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(definition) = Definition::parse(&String::from_utf8_lossy(&bytes)) {
            let keys: Vec<String> = definition.flags().map(|(key, _)| key.to_owned()).collect();
            for key in keys {
                let _any = definition.evaluate(&key, &Context::of_customer(&customer), now());
            }
        }
    }
}
