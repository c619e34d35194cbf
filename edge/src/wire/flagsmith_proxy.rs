//! Flagsmith's edge proxy, `proxy/usage`: `[{"client_side_key":"…","resource":"flags","count":12}]`.
//!
//! A row's key names its environment, just as if its sender had come here itself; the rows of one request may
//! belong to several.

use std::borrow::Cow;

use flagmeter_model::Meter;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Bounds, Rejection, Taken, Unreadable, json, taken::Candidate};

/// Rows of one request that are taken; the rest is rejected, each for its environment. The proxy sends no more.
const ROWS_MAX: usize = 1_000;

/// A row whose environment is still to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'b> {
    /// The key of the environment; `None` if it is no text.
    pub key: Option<Cow<'b, str>>,
    bounds: Bounds,
    resource: Result<Cow<'b, str>, Rejection>,
    count: Result<u64, Rejection>,
}

impl Row<'_> {
    /// Adds the row to what is taken for its environment.
    pub fn add_to(&self, taken: &mut Taken) {
        taken.judge(
            &Candidate {
                meter: Meter::Requests,
                name: self.resource.as_deref().map_err(|&why| why),
                variant: Ok(None),
                count: self.count,
                at: Ok(None),
            },
            &self.bounds,
        );
    }
}

#[derive(Deserialize)]
struct Fields<'b> {
    #[serde(borrow)]
    client_side_key: Option<&'b RawValue>,
    #[serde(borrow)]
    resource: Option<&'b RawValue>,
    #[serde(borrow)]
    count: Option<&'b RawValue>,
}

/// Reads a body and gives each row as it comes: none is kept here, however many there are. What was given is void
/// if the body turns out to be unreadable.
pub fn parse<'b>(body: &'b [u8], bounds: &Bounds, mut each: impl FnMut(&Row<'b>)) -> Result<(), Unreadable> {
    let mut room = ROWS_MAX.min(bounds.entries_max);
    json::array(body, "a list of rows", |row| {
        let entries_max = if room > 0 { bounds.entries_max } else { 0 };
        room = room.saturating_sub(1);
        each(&read(row, Bounds { entries_max, ..*bounds }));
    })
}

fn read(row: &RawValue, bounds: Bounds) -> Row<'_> {
    match json::row::<Fields<'_>>(row) {
        Ok(fields) => Row {
            key: fields.client_side_key.and_then(|key| json::text_of(key).ok()),
            bounds,
            resource: json::name_of(fields.resource),
            count: json::count_in(fields.count),
        },
        Err(why) => Row { key: None, bounds, resource: Err(why), count: Err(why) },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_name_their_environment_and_count_requests() {
        let body = br#"[{"client_side_key":"k1","resource":"flags","count":12},
                        {"client_side_key":"k2","resource":"identities","count":1.5},
                        {"resource":"traits","count":4}, 5, ["k1","flags",7]]"#;
        let (mut keys, mut taken) = (Vec::new(), Taken::default());
        parse(body, &Bounds::for_tests(), |row| {
            keys.push(row.key.clone());
            row.add_to(&mut taken);
        })
        .unwrap();
        let keys: Vec<_> = keys.iter().map(Option::as_deref).collect();
        assert_eq!(keys, [Some("k1"), Some("k2"), None, None, None]);
        let good: Vec<_> = taken.entries.iter().map(|e| (e.meter, e.name, e.count)).collect();
        assert_eq!(good, [(Meter::Requests, "flags", 12), (Meter::Requests, "traits", 4)]);
        assert_eq!(taken.words(), [(1, "fractional_count"), (3, "malformed_entry"), (4, "malformed_entry")]);
    }

    #[test]
    fn rows_beyond_a_thousand_are_rejected_one_by_one() {
        let row = r#"{"client_side_key":"k","resource":"flags","count":3}"#;
        let body = format!("[{}]", vec![row; 1_200].join(","));
        let bounds = |entries_max| Bounds { entries_max, ..Bounds::for_tests() };
        for (entries_max, taken_rows) in [(10_000, 1_000), (700, 700)] {
            let mut each = [Taken::default(), Taken::default()];
            let mut at = 0;
            parse(body.as_bytes(), &bounds(entries_max), |row| {
                row.add_to(&mut each[at % 2]);
                at += 1;
            })
            .unwrap();
            let accepted: u32 = each.iter().map(|taken| taken.accepted).sum();
            assert_eq!(accepted, taken_rows, "over all environments of the request");
            let rejected: u64 = each.iter().map(|taken| taken.sums().1).sum();
            assert_eq!(rejected, u64::from(1_200 - taken_rows) * 3);
        }
    }

    #[test]
    fn a_body_that_is_no_list_gives_nothing() {
        let reason = |body: &[u8]| parse(body, &Bounds::for_tests(), |_| {}).unwrap_err().reason();
        assert_eq!(reason(b"{}"), "wrong_shape");
        assert_eq!(reason(b"[{]"), "not_json");
        assert_eq!(reason(b"[1, \xff]"), "not_json");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut body = b"[{\"client_side_key\":\"".to_vec();
            body.extend(tail);
            let _ = parse(&body, &Bounds::for_tests(), |_| {});
        }
    }
}
