//! Flagsmith's `v2/analytics/flags`:
//! `{"evaluations":[{"feature_name":"f","identity_identifier":"u1","enabled_when_evaluated":true,"count":3}]}`.
//!
//! Whether the flag was enabled becomes the variant, `true` or `false`. The identity is not read: what is not
//! read is never stored. Rows of one flag add up.

use flagmeter_model::Meter;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Bounds, Rejection, Taken, Unreadable, json, taken::Candidate};

const SHAPE: &str = "an object with a list of evaluations";

#[derive(Deserialize)]
struct Row<'b> {
    #[serde(borrow)]
    feature_name: Option<&'b RawValue>,
    #[serde(borrow)]
    enabled_when_evaluated: Option<&'b RawValue>,
    #[serde(borrow)]
    count: Option<&'b RawValue>,
}

/// Reads a body.
pub fn parse(body: &[u8], bounds: &Bounds) -> Result<Taken, Unreadable> {
    let mut lists = Vec::new();
    json::object(body, SHAPE, |key, value| {
        if key == Ok("evaluations") {
            lists.push(value);
        }
    })?;
    let [list] = lists[..] else { return Err(Unreadable::WrongShape(SHAPE)) };
    let mut taken = Taken::for_body(body.len());
    json::array(list.get().as_bytes(), SHAPE, |row| judge(&mut taken, row, bounds))?;
    Ok(taken)
}

fn judge(taken: &mut Taken, row: &RawValue, bounds: &Bounds) {
    let Ok(row) = json::row::<Row<'_>>(row) else {
        return taken.judge(&Candidate::new(Meter::Evaluations, "", Err(Rejection::Malformed)), bounds);
    };
    let name = json::name_of(row.feature_name);
    let variant = match row.enabled_when_evaluated.map(RawValue::get) {
        None => Ok(None),
        Some("true") => Ok(Some("true")),
        Some("false") => Ok(Some("false")),
        Some(_) => Err(Rejection::Malformed),
    };
    taken.judge(
        &Candidate {
            meter: Meter::Evaluations,
            name: name.as_deref().map_err(|&why| why),
            variant,
            count: json::count_in(row.count),
            at: Ok(None),
        },
        bounds,
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Taken {
        parse(body.as_bytes(), &Bounds::for_tests()).unwrap()
    }

    #[test]
    fn rows_keep_the_variant_and_never_the_identity() {
        let taken = read(
            r#"{"evaluations":[
                {"feature_name":"f","identity_identifier":"secret","enabled_when_evaluated":true,"count":3},
                {"feature_name":"f","identity_identifier":"other","enabled_when_evaluated":false,"count":2},
                {"feature_name":"g","count":1}]}"#,
        );
        let rows: Vec<_> = taken.entries.iter().map(|e| (e.name, e.variant, e.count)).collect();
        assert_eq!(rows, [("f", Some("true"), 3), ("f", Some("false"), 2), ("g", None, 1)]);
        assert!(!format!("{taken:?}").contains("secret"));
    }

    #[test]
    fn a_bad_row_has_a_reason_and_the_rest_is_taken() {
        let taken = read(
            r#"{"evaluations":[{"feature_name":"ok","count":1},7,{"count":4},{"feature_name":"f"},
                {"feature_name":3,"count":5},{"feature_name":"f","count":-2},
                {"feature_name":"f","enabled_when_evaluated":"x","count":6},["f",true,9],
                {"feature_name":"ok","count":2}]}"#,
        );
        assert_eq!(
            taken.words(),
            [
                (1, "malformed_entry"),
                (2, "name_empty"),
                (3, "count_missing"),
                (4, "name_not_text"),
                (5, "negative_count"),
                (6, "malformed_entry"),
                (7, "malformed_entry"),
            ]
        );
        assert_eq!(taken.sums(), (3, 1 + 4 + 1 + 5 + 1 + 6 + 1));
        assert_eq!(taken.received, 3 + 19);
    }

    #[test]
    fn a_body_of_another_shape_gives_nothing() {
        for body in ["{}", "[]", "{\"evaluations\":{}}", "{\"evaluations\":[],\"evaluations\":[]}"] {
            let error = parse(body.as_bytes(), &Bounds::for_tests()).unwrap_err();
            assert_eq!(error.reason(), "wrong_shape", "{body}");
        }
        assert!(read("{\"evaluations\":[]}").entries.is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut body = b"{\"evaluations\":[{\"feature_name\":\"f\",\"count\":".to_vec();
            body.extend(tail);
            let _ = parse(&body, &Bounds::for_tests());
        }
    }
}
