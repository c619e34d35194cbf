//! `format=parquet`: the rows of JSON, read back by a reader of its own; and bytes that stay.

use axum::body::Bytes;
use flagmeter_model::Meter;
use http_body_util::BodyExt as _;
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::{Field, Row},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    super::bench::{Bench, NOW, acme, at, environment, flag, globex},
    close, counted, evaluations, hour, node,
};
use crate::hex;

const DAY: &str = "/v1/billing/hours?from=2026-11-20T00:00:00Z&to=2026-11-20T13:00:00Z";
const FINAL: &str = "/v1/billing/hours?from=2026-11-20T00:00:00Z&to=2026-11-20T11:00:00Z";

/// What the file of [`billed`] is, for ever.
const GOLDEN: &str = "5d454e866d55b6bcb3f89bd1434d783c0265f59088ee9c320b12a0ebb141687a";

/// Final until 11:00, with corrections, silent nodes and names that other formats have to write with care.
async fn billed() -> Bench {
    let bench = Bench::new();
    let mut partial = counted(&environment("acme", "wéb, \"x\"", "=p"), Meter::Requests, hour(9), 5);
    (partial.complete, partial.missing) = (false, vec![node(3), node(7)]);
    close(&*bench.ledger, hour(10), &[evaluations(&globex(), hour(9), 7), evaluations(&acme(), hour(9), 3)])
        .await;
    let later = [partial, evaluations(&acme(), hour(9), 4), evaluations(&acme(), hour(10), u64::MAX >> 1)];
    close(&*bench.ledger, hour(11), &later).await;
    bench
}

async fn file(bench: &Bench, question: &str) -> Vec<u8> {
    let answer = bench.ask(&bench.operator, &format!("{question}&format=parquet")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/vnd.apache.parquet");
    answer.into_body().collect().await.unwrap().to_bytes().to_vec()
}

fn read(bytes: Vec<u8>) -> (Vec<Row>, usize) {
    let reader = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
    let groups = reader.metadata().num_row_groups();
    assert_eq!(reader.metadata().file_metadata().created_by(), Some("flagmeter"));
    (reader.get_row_iter(None).unwrap().map(Result::unwrap).collect(), groups)
}

/// A cell as JSON has it.
fn shown(field: &Field, as_json: &Value) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(is_so) => json!(is_so),
        Field::Int(number) => json!(number),
        Field::Long(number) => json!(number.to_string()),
        Field::TimestampMillis(at) => json!(flagmeter_model::Timestamp::from_millis_clamped(*at).to_string()),
        Field::Str(text) if as_json.is_array() => {
            json!(text.split_whitespace().map(|node| node.parse::<u16>().unwrap()).collect::<Vec<_>>())
        }
        Field::Str(text) => json!(text),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn parquet_has_the_rows_of_json_with_and_without_pages() {
    let bench = billed().await;
    let open = [(&acme(), flag("checkout"), at("2026-11-20T11:05:00Z"), 11)];
    bench.seal(at("2026-11-20T10:00:00Z"), at(NOW), &open).await;
    for question in
        [DAY.to_owned(), format!("{DAY}&limit=1000"), FINAL.to_owned(), format!("{FINAL}&meter=requests")]
    {
        let expected = bench.get(&question).await.json();
        let expected = expected["rows"].as_array().unwrap();
        let (rows, _) = read(file(&bench, &question).await);
        assert_eq!(rows.len(), expected.len(), "{question}");
        for (row, expected) in rows.iter().zip(expected) {
            assert_eq!(row.len(), expected.as_object().unwrap().len());
            for (name, field) in row.get_column_iter() {
                assert_eq!(shown(field, &expected[name]), expected[name], "{name}");
            }
        }
    }
    let none = FINAL.replace("T11:", "T01:");
    assert_eq!(read(file(&bench, &none).await), (Vec::new(), 0), "a file without a row is one, too");
}

#[tokio::test]
async fn the_bytes_of_parquet_never_change() {
    let bytes = file(&billed().await, FINAL).await;
    // Whatever changes this breaks the promise that a bill can be asked for again, years later, by its tag. It is not
    // for a newer version of a crate, nor for a better encoding, to do so: that would be another format= beside this one.
    assert_eq!(hex::write(&Sha256::digest(&bytes)), GOLDEN, "{} bytes", bytes.len());
}
