//! `format=focus`: a real month with the columns of FOCUS.

use std::collections::BTreeSet;

use flagmeter_model::Meter;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    super::bench::{acme, at, environment, globex},
    close, counted, evaluations, get_unless, header,
    statements::{STATEMENT, filled},
    text,
};
use crate::hex;

/// The columns that FOCUS 1.2 asks of every data set, as its specification names them.
const MANDATORY: [&str; 23] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
    // Not asked of all, but of who measures usage.
    "ConsumedQuantity",
    "ConsumedUnit",
];

/// The names of the columns, and the rows by them.
fn read(body: &str) -> (Vec<String>, Vec<Value>) {
    let mut read = csv::Reader::from_reader(body.as_bytes());
    let columns: Vec<String> = read.headers().unwrap().iter().map(str::to_owned).collect();
    let names: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
    assert!(names.len() == columns.len() && MANDATORY.iter().all(|name| names.contains(name)), "{columns:?}");
    let is_own = |name: &String| name.starts_with("x_");
    assert!(columns.iter().skip_while(|name| !is_own(name)).all(is_own), "our own columns come last");
    let row = |row: csv::StringRecord| columns.iter().cloned().zip(row.iter().map(Value::from)).collect();
    let rows = read.records().map(|record| row(record.unwrap())).collect();
    (columns, rows)
}

#[tokio::test]
async fn a_month_with_corrections_has_the_columns_of_focus() {
    let bench = filled("2026-09-30T00:00:00Z", "2026-12-02T00:00:00Z").await;
    let october = bench.get(&format!("{STATEMENT}&period=2026-10")).await.json();
    let end = at("2026-12-04T00:00:00Z");
    let requests =
        counted(&environment("acme", "=a/b", "100%"), Meter::Requests, at("2026-11-10T10:00:00Z"), 1_234);
    for (owner, hour, count) in [
        (acme(), "2026-10-05T10:00:00Z", 500),
        (acme(), "2026-11-05T10:00:00Z", 600),
        (globex(), "2026-10-05T10:00:00Z", 9),
    ] {
        close(&*bench.ledger, end, &[evaluations(&owner, at(hour), count)]).await;
    }
    close(&*bench.ledger, end, &[requests]).await;
    let november = format!("{STATEMENT}&period=2026-11&corrections_since={}", text(&october, "as_of"));
    let (statement, reply) =
        (bench.get(&november).await.json(), bench.get(&format!("{november}&format=focus")).await);
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(header(&reply, "content-type"), "text/csv; charset=utf-8; header=present");
    let (columns, rows) = read(&reply.body);
    // 30 days of evaluations, a day of requests, a correction.
    assert_eq!(rows.len(), 32);
    assert_eq!(header(&reply, "flagmeter-rows"), "32");
    let quantity = |row: &Value| text(row, "ConsumedQuantity").parse::<u64>().unwrap();
    let total: u64 = rows.iter().map(quantity).sum();
    assert_eq!(total.to_string(), text(&statement["manifest"], "total"));
    assert_eq!(header(&reply, "flagmeter-total"), text(&statement["manifest"], "total"));
    assert_eq!(header(&reply, "flagmeter-sha256"), hex::write(&Sha256::digest(reply.body.as_bytes())));
    for row in &rows {
        for unknown in columns.iter().filter(|name| name.ends_with("Cost") || name.starts_with("Pricing")) {
            assert_eq!(row[unknown], "", "{unknown}: what is not known is null, and no zero");
        }
        for known in ["BillingAccountId", "ChargeCategory", "ResourceId", "ServiceName", "ConsumedUnit"] {
            assert_ne!(row[known], "", "{known}");
        }
        assert_eq!((&row["BillingAccountId"], &row["ChargeCategory"]), (&json!("acme"), &json!("Usage")));
        // Times are those of UTC: the month begins at midnight in Berlin.
        assert_eq!(row["BillingPeriodStart"], "2026-10-31T23:00:00Z");
        assert_eq!(row["BillingPeriodEnd"], "2026-11-30T23:00:00Z");
    }
    assert_eq!(
        rows[0]["ChargePeriodStart"], "2026-11-09T23:00:00Z",
        "names in their order: =a/b comes first"
    );
    assert_eq!((&rows[0]["ConsumedUnit"], quantity(&rows[0])), (&json!("Requests"), 1_234));
    assert_eq!(
        (&rows[0]["ResourceId"], &rows[0]["SubAccountId"]),
        (&json!("acme/=a%2Fb/100%25"), &json!("acme/=a%2Fb"))
    );
    assert_eq!(rows[0]["SubAccountName"], "'=a/b", "no spreadsheet takes a name for a formula");
    let tags: Value = serde_json::from_str(text(&rows[0], "Tags")).unwrap();
    assert_eq!(
        tags,
        json!({"flagmeter/environment": "100%", "flagmeter/meter": "requests", "flagmeter/project": "=a/b"})
    );
    let (correction, usage) = rows.split_last().unwrap();
    assert!(usage.iter().all(|row| row["ChargeClass"] == "" && row["x_Revision"] == ""));
    assert_eq!((&correction["ChargeClass"], &correction["x_Revision"]), (&json!("Correction"), &json!("2")));
    assert_eq!(
        (text(correction, "ChargePeriodStart"), text(correction, "ChargePeriodEnd")),
        ("2026-10-05T10:00:00Z", "2026-10-05T11:00:00Z")
    );
    assert_eq!(quantity(correction).to_string(), text(&statement["manifest"], "corrections"));
    // It is frozen as any statement is.
    let frozen = format!("{november}&format=focus&as_of={}", text(&statement, "as_of"));
    assert_eq!(bench.get(&frozen).await.body, reply.body);
    close(&*bench.ledger, end, &[evaluations(&acme(), at("2026-11-06T10:00:00Z"), 999)]).await;
    let again = bench.get(&frozen).await;
    assert_eq!(again.body, reply.body);
    assert_eq!(get_unless(&bench, &frozen, header(&again, "etag")).await.status, 304);
}
