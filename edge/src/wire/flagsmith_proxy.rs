//! Flagsmith's edge proxy, `proxy/usage`: `[{"client_side_key":"…","resource":"flags","count":12}]`.
//!
//! A row's key names its environment, just as if its sender had come here itself; the rows of one request may
//! belong to several.

use std::borrow::Cow;

use flagmeter_model::Meter;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Bounds, Rejection, Taken, Unreadable, json, taken::Candidate};

/// A row whose environment is still to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'b> {
    /// The key of the environment; `None` if it is no text.
    pub key: Option<Cow<'b, str>>,
    resource: Result<Cow<'b, str>, Rejection>,
    count: Result<u64, Rejection>,
}

impl Row<'_> {
    /// Adds the row to what is taken for its environment.
    pub fn add_to(&self, taken: &mut Taken, bounds: &Bounds) {
        taken.judge(
            &Candidate {
                meter: Meter::Requests,
                name: self.resource.as_deref().map_err(|&why| why),
                variant: Ok(None),
                count: self.count,
                at: Ok(None),
            },
            bounds,
        );
    }

    /// What the row weighs where no environment can be told of it.
    pub fn weight(&self) -> u64 {
        self.count.unwrap_or(1)
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

/// Reads a body.
pub fn parse(body: &[u8]) -> Result<Vec<Row<'_>>, Unreadable> {
    let mut rows = Vec::new();
    json::array(body, |row| rows.push(read(row)))
        .map_err(|error| Unreadable::of(&error, "a list of rows"))?;
    Ok(rows)
}

fn read(row: &RawValue) -> Row<'_> {
    match serde_json::from_str::<Fields<'_>>(row.get()) {
        Ok(fields) => Row {
            key: fields.client_side_key.and_then(|key| json::text_of(key).ok()),
            resource: json::name_of(fields.resource),
            count: json::count_in(fields.count),
        },
        Err(_) => Row { key: None, resource: Err(Rejection::Malformed), count: Err(Rejection::Malformed) },
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
                        {"resource":"traits","count":4}, 5]"#;
        let rows = parse(body).unwrap();
        let keys: Vec<_> = rows.iter().map(|row| row.key.as_deref()).collect();
        assert_eq!(keys, [Some("k1"), Some("k2"), None, None]);
        assert_eq!(rows.iter().map(Row::weight).collect::<Vec<_>>(), [12, 1, 4, 1]);
        let mut taken = Taken::default();
        for row in &rows {
            row.add_to(&mut taken, &Bounds::for_tests());
        }
        let good: Vec<_> = taken.entries.iter().map(|e| (e.meter, e.name, e.count)).collect();
        assert_eq!(good, [(Meter::Requests, "flags", 12), (Meter::Requests, "traits", 4)]);
        assert_eq!(taken.words(), [(1, "fractional_count"), (3, "malformed_entry")]);
    }

    #[test]
    fn a_body_that_is_no_list_gives_nothing() {
        assert_eq!(parse(b"{}").unwrap_err().reason(), "wrong_shape");
        assert_eq!(parse(b"[{]").unwrap_err().reason(), "not_json");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut body = b"[{\"client_side_key\":\"".to_vec();
            body.extend(tail);
            let _ = parse(&body);
        }
    }
}
