//! Our own format:
//! `{"counts":[{"flag":"checkout-v2","variant":"on","count":12,"at":"2026-11-20T12:44:54Z"}],"sdk":"my-service/1.4"}`.

use std::fmt::Write as _;

use flagmeter_model::Meter;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Bounds, Rejection, Taken, Unreadable, json, taken::Candidate};

const SHAPE: &str = "an object with a list of counts";

#[derive(Deserialize)]
struct Row<'b> {
    #[serde(borrow)]
    flag: Option<&'b RawValue>,
    #[serde(borrow)]
    variant: Option<&'b RawValue>,
    #[serde(borrow)]
    count: Option<&'b RawValue>,
    #[serde(borrow)]
    at: Option<&'b RawValue>,
}

/// Reads a body. Fields that are not known are left alone, so that a newer client can speak to an older edge.
pub fn parse(body: &[u8], bounds: &Bounds) -> Result<Taken, Unreadable> {
    let mut lists = Vec::new();
    let mut sdk = None;
    json::object(body, SHAPE, |key, value| match key {
        Ok("counts") => lists.push(value),
        Ok("sdk") => sdk = Some(value),
        _ => {}
    })?;
    let [list] = lists[..] else { return Err(Unreadable::WrongShape(SHAPE)) };
    let mut taken = Taken::for_body(body.len());
    json::array(list.get().as_bytes(), SHAPE, |row| judge(&mut taken, row, bounds))?;
    taken.label_sdk(sdk.and_then(|sdk| json::text_of(sdk).ok()).as_deref());
    Ok(taken)
}

fn judge(taken: &mut Taken, row: &RawValue, bounds: &Bounds) {
    let Ok(row) = json::row::<Row<'_>>(row) else {
        return taken.judge(&Candidate::new(Meter::Evaluations, "", Err(Rejection::Malformed)), bounds);
    };
    let name = json::name_of(row.flag);
    let variant = row.variant.map(json::text_of).transpose();
    taken.judge(
        &Candidate {
            meter: Meter::Evaluations,
            name: name.as_deref().map_err(|&why| why),
            variant: variant.as_ref().map(Option::as_deref).map_err(|&why| why),
            count: json::count_in(row.count),
            at: json::time_in(row.at),
        },
        bounds,
    );
}

/// The reply: `{"accepted":1,"rejected":[{"index":3,"reason":"negative_count"}]}`. Where more were rejected
/// than are listed, `"unlisted"` says how many.
pub fn reply(taken: &Taken) -> String {
    let mut json = String::with_capacity(32 + taken.listed.len() * 48);
    // Writing to a String cannot fail.
    let _ = write!(json, "{{\"accepted\":{},\"rejected\":[", taken.accepted);
    for (at, listed) in taken.listed.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(json, "{comma}{{\"index\":{},\"reason\":\"{}\"}}", listed.index, listed.why.word());
    }
    json.push(']');
    if taken.unlisted > 0 {
        let _ = write!(json, ",\"unlisted\":{}", taken.unlisted);
    }
    json.push('}');
    json
}

#[cfg(test)]
mod tests {
    use flagmeter_model::{Slot, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Taken {
        parse(body.as_bytes(), &Bounds::for_tests()).unwrap()
    }

    #[test]
    fn the_documented_body_is_read() {
        let taken = read(
            r#"{"counts":[{"flag":"checkout-v2","variant":"on","count":12,"at":"2026-11-20T12:44:54Z"}],
                "sdk":"my-service/1.4"}"#,
        );
        let at = Timestamp::parse_rfc3339("2026-11-20T12:44:54Z").unwrap();
        let entries: Vec<_> = taken.entries.iter().collect();
        assert_eq!(entries[0].slot, Some(Slot::containing(at)));
        assert_eq!((entries[0].name, entries[0].variant, entries[0].count), ("checkout-v2", Some("on"), 12));
        assert_eq!(taken.sdk.as_deref(), Some("my-service/1.4"));
        assert_eq!(reply(&taken), r#"{"accepted":1,"rejected":[]}"#);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_index() {
        let taken = read(
            r#"{"counts":[{"flag":"a","count":1},{"flag":"a","count":5,"at":"2025-11-20T12:44:54Z"},
                {"flag":"a","count":6,"at":"2027-11-20T12:44:54Z"},{"flag":"a","count":-1},
                {"flag":"a","count":1,"at":"yesterday"},{"flag":"a","variant":"","count":2},
                {"flag":"a","variant":"v\u0001","count":2},{"flag":"a","variant":3,"count":2},
                {"flag":"a","count":1,"flag":"b"},["a","on",1,null],{"flag":"a","count":0,"new":[]},{"flag":"a","variant":null,"count":1,"at":null}]}"#,
        );
        assert_eq!(
            reply(&taken),
            concat!(
                r#"{"accepted":3,"rejected":[{"index":1,"reason":"too_old"},{"index":2,"reason":"too_new"},"#,
                r#"{"index":3,"reason":"negative_count"},{"index":4,"reason":"time_unreadable"},"#,
                r#"{"index":5,"reason":"name_empty"},{"index":6,"reason":"name_control_character"},"#,
                r#"{"index":7,"reason":"name_not_text"},{"index":8,"reason":"malformed_entry"},"#,
                r#"{"index":9,"reason":"malformed_entry"}]}"#
            )
        );
        let (counted, rejected) = taken.sums();
        assert_eq!((counted, counted + rejected), (2, taken.received));
    }

    #[test]
    fn a_long_list_of_rejections_is_cut_and_says_so() {
        let row = r#"{"flag":"","count":1}"#;
        let body = format!("{{\"counts\":[{}]}}", vec![row; 1_500].join(","));
        let taken = parse(body.as_bytes(), &Bounds { entries_max: 5_000, ..Bounds::for_tests() }).unwrap();
        assert!(reply(&taken).ends_with("],\"unlisted\":1400}"));
        assert_eq!(taken.rejected, [("name_empty", 1_500)]);
    }

    #[test]
    fn a_label_that_cannot_be_a_name_is_left_out() {
        assert_eq!(read(r#"{"counts":[],"sdk":"a\u0007"}"#).sdk, None);
        assert_eq!(read(r#"{"counts":[],"sdk":12}"#).sdk, None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut body = b"{\"counts\":[{\"flag\":\"f\",\"at\":\"".to_vec();
            body.extend(tail);
            let _ = parse(&body, &Bounds::for_tests());
        }

        #[test]
        fn replies_are_json(counts in proptest::collection::vec(-3_i64..3, 0..20)) {
            let rows: Vec<_> = counts.iter().map(|n| format!("{{\"flag\":\"f\",\"count\":{n}}}")).collect();
            let taken = read(&format!("{{\"counts\":[{}]}}", rows.join(",")));
            let json: serde_json::Value = serde_json::from_str(&reply(&taken)).unwrap();
            prop_assert_eq!(json["accepted"].as_u64(), Some(u64::from(taken.accepted)));
        }
    }
}
