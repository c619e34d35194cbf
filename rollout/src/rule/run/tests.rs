use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(rule: &Value, shared: &Map<String, Value>) -> std::result::Result<Rule, String> {
    Rule::read(rule, shared, &mut crate::rule::Budget::of_file())
}

fn said(rule: &Value, data: &Value) -> Value {
    let rule = read(rule, &Map::new()).unwrap();
    run(&rule, data).unwrap().value
}

/// What rules of the tests are about.
fn data() -> Value {
    json!({
        "temp": 55, "name": "Mike", "user": { "email": "a@b.example", "tags": ["x", "y"] }, "empty": "",
        "integers": [1, 2, 3, 4, 5], "n": "1"
    })
}

fn all_say(cases: impl IntoIterator<Item = (Value, Value)>) {
    for (rule, expected) in cases {
        assert_eq!(said(&rule, &data()), expected, "{rule}");
    }
}

/// Examples of jsonlogic.com and of flagd's reference of targeting rules, in our own order.
#[test]
fn questions_answer_as_they_are_documented() {
    all_say([
        (json!({"var": "user.email"}), json!("a@b.example")),
        (json!({"var": "user.tags.1"}), json!("y")),
        (json!({"var": ["absent", 26]}), json!(26)),
        (json!({"var": "absent"}), json!(null)),
        (json!({"var": ["user.email.deeper"]}), json!(null)),
        (json!({"missing": ["name", "absent", "empty"]}), json!(["absent", "empty"])),
        (json!({"missing": {"merge": ["absent", []]}}), json!(["absent"])),
        (json!({"missing_some": [1, ["name", "absent"]]}), json!([])),
        (json!({"missing_some": [2, ["name", "absent"]]}), json!(["absent"])),
        (json!({"if": [true, "yes", "no"]}), json!("yes")),
        (json!({"if": [false, "yes", false, "no", "maybe"]}), json!("maybe")),
        (json!({"if": [false, "yes"]}), json!(null)),
        (json!({"?:": [{"<": [{"var": "temp"}, 60]}, "cold", "warm"]}), json!("cold")),
        (json!({"==": [1, "1"]}), json!(true)),
        (json!({"==": [0, false]}), json!(true)),
        (json!({"==": [null, 0]}), json!(false)),
        (json!({"===": [1, "1"]}), json!(false)),
        (json!({"===": [1, 1.0]}), json!(true)),
        (json!({"!=": [1, "1"]}), json!(false)),
        (json!({"!==": [1, "1"]}), json!(true)),
        (json!({"!": [""]}), json!(true)),
        (json!({"!!": "0"}), json!(true)),
        (json!({"!!": [[]]}), json!(false)),
        (json!({"or": [false, 0, "a"]}), json!("a")),
        (json!({"and": [true, "", "a"]}), json!("")),
        (json!({">": [2, 1]}), json!(true)),
        (json!({">=": ["10", 9]}), json!(true)),
        (json!({"<": [1, 5, 10]}), json!(true)),
        (json!({"<": [1, 11, 10]}), json!(false)),
        (json!({"<=": [1, 1, 10]}), json!(true)),
        (json!({"<": [1]}), json!(false)),
    ]);
}

#[test]
fn numbers_texts_and_lists_come_out_as_they_are_documented() {
    all_say([
        (json!({"max": [1, 2, 3]}), json!(3)),
        (json!({"min": {"var": "integers"}}), json!(1)),
        (json!({"+": ["3.5"]}), json!(3.5)),
        (json!({"-": 2}), json!(-2)),
        (json!({"-": [4, 2]}), json!(2)),
        (json!({"*": [2, 2, 2]}), json!(8)),
        (json!({"/": [1, 0]}), json!(null)),
        (json!({"%": [101, 2]}), json!(1)),
        (json!({"in": ["Spring", "Springfield"]}), json!(true)),
        (json!({"in": ["Todd", ["Bob", "Mike"]]}), json!(false)),
        (json!({"!": {"in": ["Todd", ["Bob", "Mike"]]}}), json!(true)),
        (json!({"in": ["a", 5]}), json!(false)),
        (json!({"cat": ["I love", " pie ", 3, null, true]}), json!("I love pie 3true")),
        (json!({"substr": ["jsonlogic", 4]}), json!("logic")),
        (json!({"substr": ["jsonlogic", -5]}), json!("logic")),
        (json!({"substr": ["jsonlogic", 1, 3]}), json!("son")),
        (json!({"substr": ["jsonlogic", 4, -2]}), json!("log")),
        (json!({"merge": [[1, 2], 3]}), json!([1, 2, 3])),
        (json!({"map": [{"var": "integers"}, {"*": [{"var": ""}, 2]}]}), json!([2, 4, 6, 8, 10])),
        (json!({"filter": [{"var": "integers"}, {"%": [{"var": ""}, 2]}]}), json!([1, 3, 5])),
        (
            json!({"reduce": [{"var": "integers"}, {"+": [{"var": "current"}, {"var": "accumulator"}]}, 0]}),
            json!(15),
        ),
        (json!({"all": [{"var": "integers"}, {">": [{"var": ""}, 0]}]}), json!(true)),
        (json!({"all": [[], true]}), json!(false)),
        (json!({"some": [{"var": "integers"}, {">": [{"var": ""}, 4]}]}), json!(true)),
        (json!({"none": [{"var": "absent"}, true]}), json!(true)),
        (json!({"starts_with": ["192.168.0.1", "192.168"]}), json!(true)),
        (json!({"ends_with": ["noreply@example.com", "@test.com"]}), json!(false)),
        (json!({"starts_with": [123, "1"]}), json!(null)),
        (json!({"ends_with": ["xyz"]}), json!(null)),
        (json!({"sem_ver": ["1.1.2", ">=", "1.0.0"]}), json!(true)),
        (json!(["on", {"var": "n"}]), json!(["on", "1"])),
        (json!({}), json!({})),
    ]);
}

#[test]
fn a_rule_that_takes_too_much_is_stopped() {
    let many: Vec<u32> = (0..400).collect();
    let squared = json!({"map": [many, {"map": [many, {"var": ""}]}]});
    let doubled = json!({"reduce": [many, {"cat": [{"var": "accumulator"}, {"var": "accumulator"}]}, "ab"]});
    for rule in [squared, doubled] {
        let rule = read(&rule, &Map::new()).unwrap();
        assert_eq!(run(&rule, &Value::Null), Err(TooMuch));
    }
}

#[test]
fn rules_that_are_too_deep_too_large_or_unknown_are_refused_with_the_reason() {
    let deep = (0..40).fold(json!(true), |rule, _| json!({ "!": [rule] }));
    let large = json!({"cat": vec![1; 10_001]});
    let shared = json!({"a": {"$ref": "b"}, "b": true, "c": {"!": {"var": "x"}}});
    for (rule, says) in [
        (deep, "deeper than 32"),
        (large, "more than 10000 parts"),
        (json!({"exec": "ls"}), "unknown operation \"exec\""),
        (json!({"==": [], "!=": []}), "several names"),
        (json!({"$ref": "z"}), "\"z\", which $evaluators does not have"),
        (json!({"$ref": "a"}), "stands in another"),
    ] {
        let refused = read(&rule, shared.as_object().unwrap()).unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
    let shared = read(&json!({"$ref": "c"}), shared.as_object().unwrap()).unwrap();
    assert_eq!(run(&shared, &json!({})).unwrap().value, json!(true));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::from))
}

proptest! {
    #[test]
    fn any_operation_on_anything_answers(
        operator in prop::sample::select(Operator::ALL),
        operands in prop::collection::vec(any_value(), 0..4),
        data in any_value(),
    ) {
        let rule = read(&json!({ operator: operands }), &Map::new()).unwrap();
        let _any = run(&rule, &data);
    }
}

/// A list of customers is looked through at each seal: without a copy, and not for nothing.
#[test]
fn a_constant_list_stands_as_it_is_and_looking_through_it_takes_steps() {
    let list = |parts: usize| (0..parts).collect::<Vec<_>>();
    let rule = read(&json!({"in": [{"var": "n"}, [1, [2], {"var": "n"}]]}), &Map::new()).unwrap();
    assert!(matches!(&rule, Rule::Call(Operator::In, operands) if matches!(operands[1], Rule::List(_))));
    assert_eq!(run(&rule, &data()).unwrap().value, json!(true));
    let rule = read(&json!({"in": [{"var": "n"}, list(1_000)]}), &Map::new()).unwrap();
    assert!(matches!(&rule, Rule::Call(_, operands) if matches!(operands[1], Rule::Plain(Value::Array(_)))));
    let often = json!({"some": [list(200), {"in": ["absent", list(1_000)]}]});
    assert_eq!(run(&read(&often, &Map::new()).unwrap(), &data()), Err(TooMuch));
}
