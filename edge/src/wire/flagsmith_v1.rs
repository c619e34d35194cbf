//! Flagsmith's `v1/analytics/flags`: `{"my_flag": 12, "other": 3}`.

use flagmeter_model::Meter;

use super::{Bounds, Taken, Unreadable, json, number::count_of, taken::Candidate};

/// Reads a body. A flag that comes twice is counted twice: both numbers were counted by someone.
pub fn parse(body: &[u8], bounds: &Bounds) -> Result<Taken, Unreadable> {
    let mut taken = Taken::for_body(body.len());
    json::object(body, "an object of flags and counts", |name, value| {
        let candidate = Candidate::new(Meter::Evaluations, "", count_of(value.get()));
        taken.judge(&Candidate { name, ..candidate }, bounds);
    })?;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Entry;

    fn read(body: &str) -> Taken {
        parse(body.as_bytes(), &Bounds::for_tests()).unwrap()
    }

    fn flag(name: &str, count: u64) -> Entry<'_> {
        Entry { meter: Meter::Evaluations, name, variant: None, count, slot: None }
    }

    #[test]
    fn each_flag_is_an_entry_without_a_time() {
        let taken = read(r#"{"my_flag": 12, "\u00fcber": 3, "zero": 0}"#);
        assert_eq!(taken.entries.iter().collect::<Vec<_>>(), [flag("my_flag", 12), flag("über", 3)]);
        assert_eq!((taken.accepted, taken.received), (3, 15));
    }

    #[test]
    fn a_flag_that_comes_twice_counts_twice() {
        let taken = read(r#"{"f": 2, "g": 1, "f": 3}"#);
        assert_eq!(taken.entries.iter().collect::<Vec<_>>(), [flag("f", 2), flag("g", 1), flag("f", 3)]);
    }

    #[test]
    fn what_is_wrong_has_a_reason_and_the_rest_is_taken() {
        let long = "x".repeat(10 * 1024);
        let body = format!(
            r#"{{"good": 5, "minus": -1, "half": 0.5, "huge": 1e999, "big": 2000000000, "yes": true,
                "text": "7", "": 1, "{long}": 3, "a\u0000b": 2, "also": 6, "null": null, "deep": {deep}}}"#,
            deep = "[".repeat(500) + &"]".repeat(500)
        );
        let taken = read(&body);
        assert_eq!(taken.entries.iter().collect::<Vec<_>>(), [flag("good", 5), flag("also", 6)]);
        let words: Vec<_> = taken.words().into_iter().map(|(_, word)| word).collect();
        assert_eq!(
            words,
            [
                "negative_count",
                "fractional_count",
                "count_too_large",
                "count_too_large",
                "not_a_number",
                "not_a_number",
                "name_empty",
                "name_too_long",
                "name_control_character",
                "not_a_number",
                "not_a_number",
            ]
        );
        let (counted, rejected) = taken.sums();
        assert_eq!(counted + rejected, taken.received, "received = taken + rejected");
    }

    #[test]
    fn a_name_that_is_no_text_loses_nothing_else() {
        let taken = read(r#"{"good": 5, "half \ud800 a pair": 3, "\udc00": 2, "a\ud83d\ude00": 4}"#);
        assert_eq!(taken.entries.iter().collect::<Vec<_>>(), [flag("good", 5), flag("a😀", 4)]);
        assert_eq!(taken.rejected, [("name_not_text", 5)]);
        assert_eq!(taken.received, 14);
    }

    #[test]
    fn entries_beyond_the_bound_are_rejected_one_by_one() {
        let bounds = Bounds { entries_max: 2, ..Bounds::for_tests() };
        let taken = parse(br#"{"a":1,"b":2,"c":3,"d":4}"#, &bounds).unwrap();
        assert_eq!(taken.entries.len(), 2);
        assert_eq!(taken.rejected, [("too_many_entries", 7)]);
    }

    #[test]
    fn a_body_that_is_no_object_gives_nothing() {
        let bounds = Bounds::for_tests();
        for (body, reason) in [
            ("", "not_json"),
            ("{\"a\": 1", "not_json"),
            ("{\"a\": 1} x", "not_json"),
            ("a=1", "not_json"),
            ("{\"a\": 01}", "not_json"),
            ("[1]", "wrong_shape"),
            ("12", "wrong_shape"),
            ("\"text\"", "wrong_shape"),
            ("null", "wrong_shape"),
        ] {
            assert_eq!(parse(body.as_bytes(), &bounds).unwrap_err().reason(), reason, "{body}");
        }
        assert_eq!(parse(b"{\"\xff\": 1}", &bounds).unwrap_err().reason(), "not_json");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body, &Bounds::for_tests());
        }

        #[test]
        fn every_count_has_a_fate(
            given in proptest::collection::vec((r#"([a-cü]|\\\\|\\"|\\u0001|\\ud800|\\u00e9){0,3}"#, value()), 0..8)
        ) {
            let entries: Vec<_> = given.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            let taken = read(&format!("{{{}}}", entries.join(",")));
            let (counted, rejected) = taken.sums();
            prop_assert_eq!(counted + rejected, taken.received);
            prop_assert_eq!(taken.accepted as usize + taken.listed.len(), given.len());
        }
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => (0_u64..2_000_000_000).prop_map(|count| count.to_string()),
            1 => "-?[1-9][0-9]{0,12}(\\.[05]|e2)?",
            1 => Just("true".to_owned()),
            1 => Just("{\"deep\": [null]}".to_owned()),
        ]
    }
}
