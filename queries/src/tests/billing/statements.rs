//! `/v1/billing/statement`: months with clock changes and leap days, bytes that stay, corrections.

use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveDate, TimeZone as _};
use chrono_tz::{Europe::Berlin, Tz};
use flagmeter_ledger::Counted;
use flagmeter_model::{Meter, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    super::bench::{Bench, acme, at, environment, globex},
    close, counted, evaluations, get_unless, header, text,
};
use crate::hex;

pub(super) const STATEMENT: &str = "/v1/billing/statement?customer=acme";

/// What an hour is made to come to.
fn count_of(hour: Timestamp) -> u64 {
    u64::try_from(hour.as_seconds() / 3_600).unwrap() % 13 + 1
}

/// Every hour of a range, closed a day after its end.
pub(super) async fn filled(from: &str, to: &str) -> Bench {
    let (bench, from, to) = (Bench::new(), at(from), at(to));
    let hours = (0..to.millis_since(from) / 3_600_000).map(|hour| from.plus_seconds(hour * 3_600));
    let counted: Vec<Counted> = hours.map(|hour| evaluations(&acme(), hour, count_of(hour))).collect();
    close(&*bench.ledger, to.plus_seconds(86_400), &counted).await;
    bench
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn date(zone: Tz, at: Timestamp) -> NaiveDate {
    at.to_chrono().with_timezone(&zone).date_naive()
}

#[tokio::test]
async fn days_of_every_month_add_up_to_it() {
    for (period, from, to, days, hours) in [
        ("2026-03", "2026-02-27T00:00:00Z", "2026-04-03T00:00:00Z", 31, 743),
        ("2026-10", "2026-09-29T00:00:00Z", "2026-11-03T00:00:00Z", 31, 745),
        ("2028-02", "2028-01-30T00:00:00Z", "2028-03-03T00:00:00Z", 29, 696),
        ("2027-02", "2027-01-30T00:00:00Z", "2027-03-03T00:00:00Z", 28, 672),
    ] {
        let bench = filled(from, to).await;
        // The zone is that of the customer, as the registry says.
        let answer = bench.get(&format!("{STATEMENT}&period={period}")).await.json();
        assert_eq!((&answer["tz"], &answer["state"]), (&json!("Europe/Berlin"), &json!("final")));
        let mut expected: BTreeMap<NaiveDate, (u64, u64)> = BTreeMap::new();
        let mut hour = at(from);
        while hour < at(to) {
            let day = date(Berlin, hour);
            if day.format("%Y-%m").to_string() == period {
                let (hours, count) = expected.entry(day).or_default();
                *hours += 1;
                *count += count_of(hour);
            }
            hour = hour.plus_seconds(3_600);
        }
        let rows = answer["rows"].as_array().unwrap();
        assert_eq!((rows.len(), expected.len()), (days, days), "{period}");
        for (row, (day, (hours, count))) in rows.iter().zip(&expected) {
            let start = Berlin.with_ymd_and_hms(day.year(), day.month(), day.day(), 0, 0, 0).unwrap();
            assert_eq!(at(text(row, "start")).as_millis(), start.timestamp_millis());
            assert_eq!((row["hours"].as_u64(), number(&row["count"])), (Some(*hours), *count), "{row}");
        }
        assert_eq!(expected.values().map(|(hours, _)| hours).sum::<u64>(), hours);
        let total: u64 = expected.values().map(|(_, count)| count).sum();
        let of_rows: u64 = rows.iter().map(|row| number(&row["count"])).sum();
        let manifest = &answer["manifest"];
        assert_eq!((of_rows, number(&manifest["total"]), number(&manifest["usage"])), (total, total, total));
        assert_eq!(number(&answer["totals"][0]["count"]), total);
        // The same hours as the ledger's, whoever adds them up.
        let hours = format!("/v1/billing/hours?from={}&to={}&limit=10000", answer["from"], answer["to"]);
        let hours = bench.get(&hours.replace('"', "").replace('+', "%2B")).await.json();
        let of_hours: u64 =
            hours["rows"].as_array().unwrap().iter().map(|row| number(&row["difference"])).sum();
        assert_eq!(of_hours, total);
    }
}

/// The billing day of its plan is the 31st, its zone changes its clocks, and 2028 has a leap day.
#[tokio::test]
async fn days_of_every_period_from_the_thirty_first_add_up_to_it() {
    let (from, to) = (at("2028-01-01T00:00:00Z"), at("2028-06-02T00:00:00Z"));
    let hours = (0..to.millis_since(from) / 3_600_000).map(|hour| from.plus_seconds(hour * 3_600));
    let counted: Vec<Counted> = hours.map(|hour| evaluations(&globex(), hour, count_of(hour))).collect();
    let bench = Bench::new();
    close(&*bench.ledger, to, &counted).await;
    let mut end = json!("2028-01-31T00:00:00+01:00");
    for (period, until, days, hours) in [
        ("2028-01", "2028-02-29T00:00:00+01:00", 29, 29 * 24),
        ("2028-02", "2028-03-31T00:00:00+02:00", 31, 31 * 24 - 1),
        ("2028-03", "2028-04-30T00:00:00+02:00", 30, 30 * 24),
        ("2028-04", "2028-05-31T00:00:00+02:00", 31, 31 * 24),
    ] {
        let answer =
            bench.get(&format!("/v1/billing/statement?customer=globex&period={period}")).await.json();
        // Each begins where the one before ends: no hour is on two statements, and none is on no statement.
        assert_eq!((&answer["state"], &answer["from"]), (&json!("final"), &end), "{period}");
        assert_eq!(answer["to"], until);
        end = answer["to"].clone();
        let rows = answer["rows"].as_array().unwrap();
        assert_eq!(rows.len(), days, "{period}");
        assert_eq!(rows.iter().filter_map(|row| row["hours"].as_u64()).sum::<u64>(), hours);
        let range = at(text(&answer, "from"))..at(text(&answer, "to"));
        let all = counted.iter().filter(|counted| range.contains(&counted.hour));
        let total: u64 = all.map(|counted| counted.count).sum();
        assert_eq!(rows.iter().map(|row| number(&row["count"])).sum::<u64>(), total);
        assert_eq!(number(&answer["manifest"]["total"]), total);
    }
}

#[tokio::test]
async fn a_statement_is_the_same_for_ever_and_proves_itself() {
    let bench = filled("2026-09-30T00:00:00Z", "2026-11-02T00:00:00Z").await;
    let staging = environment("acme", "web", "=staging");
    let staging = [counted(&staging, Meter::Requests, at("2026-10-10T10:00:00Z"), u64::from(u32::MAX))];
    close(&*bench.ledger, at("2026-11-03T01:00:00Z"), &staging).await;
    close(
        &*bench.ledger,
        at("2026-11-03T01:00:00Z"),
        &[evaluations(&globex(), at("2026-10-10T10:00:00Z"), 5)],
    )
    .await;
    let live = bench.get(&format!("{STATEMENT}&period=2026-10")).await;
    let statement = live.json();
    assert_eq!(statement["rows"].as_array().unwrap().len(), 62, "31 days of each of two environments");
    let frozen = format!("{STATEMENT}&period=2026-10&as_of={}", text(&statement, "as_of"));
    let (json, csv) = (bench.get(&frozen).await, bench.get(&format!("{frozen}&format=csv")).await);
    assert_eq!(json.body, live.body);
    let manifest = &statement["manifest"];
    assert_eq!(text(manifest, "sha256"), hex::write(&Sha256::digest(csv.body.as_bytes())));
    for (name, member) in [("flagmeter-sha256", "sha256"), ("flagmeter-total", "total")] {
        assert_eq!(header(&csv, name), text(manifest, member));
    }
    let mut read = csv::Reader::from_reader(csv.body.as_bytes());
    let rows: Vec<_> = read.records().map(Result::unwrap).collect();
    let total: u64 = rows.iter().map(|row| row[8].parse::<u64>().unwrap()).sum();
    assert_eq!((json!(rows.len()), total), (manifest["rows"].clone(), number(&manifest["total"])));
    assert!(rows.iter().any(|row| &row[3] == "'=staging"), "no spreadsheet takes a name for a formula");
    // Corrections come, hours are closed, time goes on.
    let late = [
        evaluations(&acme(), at("2026-10-31T22:00:00Z"), 500),
        evaluations(&acme(), at("2026-09-30T10:00:00Z"), 600),
    ];
    close(&*bench.ledger, at("2026-12-03T00:00:00Z"), &late).await;
    bench.clock.set(at("2027-12-03T00:00:00Z"));
    for (request, before) in [(frozen.clone(), &json), (format!("{frozen}&format=csv"), &csv)] {
        let after = bench.get(&request).await;
        assert_eq!((&after.body, &after.headers), (&before.body, &before.headers));
        assert_eq!(header(&after, "cache-control"), "private, max-age=31536000, immutable");
        assert_eq!(get_unless(&bench, &request, header(before, "etag")).await.status, 304);
    }
    assert_ne!(bench.get(&format!("{STATEMENT}&period=2026-10")).await.body, live.body);
    // The customer reads the same rows with its own token, and its own cursors.
    let own = bench.get_as(&bench.acme, "/v1/billing/statement?period=2026-10&format=csv").await;
    let billing = bench.get_as(&bench.billing, &format!("{STATEMENT}&period=2026-10&format=csv")).await;
    assert_eq!(own.body, billing.body);
}

#[tokio::test]
async fn what_came_later_to_earlier_periods_is_on_the_next_statement_as_rows_of_its_own() {
    let bench = filled("2026-09-01T00:00:00Z", "2026-12-02T00:00:00Z").await;
    let october = bench.get(&format!("{STATEMENT}&period=2026-10")).await.json();
    let since = text(&october, "as_of").to_owned();
    let end = at("2026-12-04T00:00:00Z");
    // To October twice, to September once, to November, and to another customer.
    for (whose, hour, count) in [
        (acme(), "2026-10-05T10:00:00Z", 100),
        (acme(), "2026-09-05T10:00:00Z", 50),
        (acme(), "2026-11-05T10:00:00Z", 70),
        (acme(), "2026-10-05T10:00:00Z", 130),
        (globex(), "2026-10-05T10:00:00Z", 9),
    ] {
        close(&*bench.ledger, end, &[evaluations(&whose, at(hour), count)]).await;
    }
    let november = format!("{STATEMENT}&period=2026-11&corrections_since={since}");
    let answer = bench.get(&november).await.json();
    let of = |hour: &str| count_of(at(hour));
    let corrections: Vec<_> = answer["rows"].as_array().unwrap()[30..]
        .iter()
        .map(|row| {
            (text(row, "kind"), text(row, "start"), number(&row["count"]), row["revision"].as_u64().unwrap())
        })
        .collect();
    let (september, october) = (50 - of("2026-09-05T10:00:00Z"), 100 - of("2026-10-05T10:00:00Z"));
    assert_eq!(
        corrections,
        [
            ("correction", "2026-09-05T12:00:00+02:00", september, 2),
            ("correction", "2026-10-05T12:00:00+02:00", october, 2),
            ("correction", "2026-10-05T12:00:00+02:00", 30, 3),
        ]
    );
    let manifest = &answer["manifest"];
    assert_eq!(number(&manifest["corrections"]), september + october + 30);
    assert_eq!(number(&manifest["total"]), number(&manifest["usage"]) + number(&manifest["corrections"]));
    // Bills and corrections together are all that the ledger holds of it.
    let before = bench.get(&format!("{STATEMENT}&period=2026-09&as_of={since}")).await.json();
    let first = bench.get(&format!("{STATEMENT}&period=2026-10&as_of={since}")).await.json();
    let billed: u64 =
        [&before, &first, &answer].iter().map(|answer| number(&answer["manifest"]["total"])).sum();
    let mut now = 0;
    for period in ["2026-09", "2026-10", "2026-11"] {
        let statement = bench.get(&format!("{STATEMENT}&period={period}")).await.json();
        now += number(&statement["manifest"]["total"]);
    }
    assert_eq!(billed, now);
    let frozen = format!("{november}&as_of={}", text(&answer, "as_of"));
    close(&*bench.ledger, end, &[evaluations(&acme(), at("2026-10-05T11:00:00Z"), 999)]).await;
    assert_eq!(bench.get(&frozen).await.json(), answer);
    let earlier = bench.get(&format!("{november}&as_of={since}")).await;
    assert_eq!(earlier.json()["manifest"]["corrections"], "0");
    let newest = bench.get(&format!("{STATEMENT}&period=2026-09")).await.json();
    let later =
        format!("{STATEMENT}&period=2026-11&as_of={since}&corrections_since={}", text(&newest, "as_of"));
    assert_eq!(bench.get(&later).await.problem(400)["parameter"], "corrections_since");
}

#[tokio::test]
async fn a_period_that_is_not_final_has_a_draft_and_no_statement() {
    let bench = filled("2026-11-01T00:00:00Z", "2026-11-10T00:00:00Z").await;
    let problem = bench.get(&format!("{STATEMENT}&period=2026-11")).await.problem(409);
    assert_eq!(problem["type"], "urn:flagmeter:problem:not-final");
    let detail = text(&problem, "detail");
    assert!(detail.contains("final until 2026-11-11T00:00:00Z") && detail.contains("draft=true"), "{detail}");
    bench.get(&format!("{STATEMENT}&period=2026-11&draft=false")).await.problem(409);
    let draft = bench.get(&format!("{STATEMENT}&period=2026-11&draft=true")).await;
    let answer = draft.json();
    assert_eq!(
        (&answer["state"], &answer["counted_until"]),
        (&json!("draft"), &json!("2026-11-11T01:00:00+01:00"))
    );
    let rows = answer["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[10]["hours"]), (11, &json!(1)), "the last day is a part of one");
    // As of then the draft stays a draft, also when hours without a row are closed.
    let frozen = format!("{STATEMENT}&period=2026-11&draft=true&as_of={}", text(&answer, "as_of"));
    close(&*bench.ledger, at("2026-12-02T00:00:00Z"), &[]).await;
    assert_eq!(bench.get(&frozen).await.body, draft.body);
    let whole = bench.get(&format!("{STATEMENT}&period=2026-11&draft=true")).await.json();
    assert_eq!((&whole["state"], whole["rows"].as_array().unwrap().len()), (&json!("final"), 30));
    let empty = Bench::new().get(&format!("{STATEMENT}&period=2026-11")).await.problem(409);
    assert!(text(&empty, "detail").contains("no hour is final yet"), "{empty}");
    let nothing = Bench::new().get(&format!("{STATEMENT}&period=2026-11&draft=true")).await.json();
    assert_eq!((&nothing["rows"], &nothing["manifest"]["total"]), (&json!([]), &json!("0")));
}

#[tokio::test]
async fn hours_are_not_split_and_what_makes_no_sense_says_what_would() {
    let bench = filled("2026-10-30T00:00:00Z", "2026-12-02T00:00:00Z").await;
    for zone in ["Asia/Kathmandu", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Chatham"] {
        let problem = bench.get(&format!("{STATEMENT}&period=2026-10&tz={zone}")).await.problem(400);
        assert_eq!(problem["parameter"], "tz");
        assert!(text(&problem, "detail").contains("not split"), "{problem}");
    }
    let part = format!("{STATEMENT}&from=2026-11-05T10:00:00%2B01:00&to=2026-11-06T11:00:00%2B01:00");
    let rows = bench.get(&part).await.json();
    let hours: Vec<_> =
        rows["rows"].as_array().unwrap().iter().map(|row| row["hours"].as_u64().unwrap()).collect();
    assert_eq!(hours, [14, 11], "parts of two days");
    let all = "/v1/billing/statement?period=2026-11";
    for (request, parameter) in [
        (STATEMENT.to_owned(), "period"),
        (all.to_owned(), "customer"),
        (format!("{all}&customer=acme&customer=globex"), "customer"),
        (format!("{all}&customer=nobody"), "customer"),
        (format!("{STATEMENT}&period=2026-13"), "period"),
        (format!("{STATEMENT}&period=2026-1"), "period"),
        (format!("{STATEMENT}&period=1969-12"), "period"),
        (format!("{STATEMENT}&period=%2B202-11"), "period"),
        (format!("{STATEMENT}&period=9999-12"), "period"),
        (format!("{STATEMENT}&period=2026-11&from=2026-11-01T00:00:00Z"), "from"),
        (format!("{STATEMENT}&from=2026-11-01T00:00:00Z"), "to"),
        (format!("{STATEMENT}&from=2026-11-01T00:10:00Z&to=2026-11-02T00:00:00Z"), "from"),
        (format!("{STATEMENT}&period=2026-11&draft=maybe"), "draft"),
        (format!("{STATEMENT}&period=2026-11&as_of=x"), "as_of"),
        (format!("{STATEMENT}&period=2026-11&corrections_since=x"), "corrections_since"),
        (format!("{STATEMENT}&period=2026-11&project=web"), "project"),
    ] {
        assert_eq!(bench.get(&request).await.problem(400)["parameter"], parameter, "{request}");
    }
    let long = format!("{STATEMENT}&from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z");
    assert!(text(&bench.get(&long).await.problem(422), "detail").contains("400 days"));
    let asked = async |customer: &str| {
        let reply = bench.get_as(&bench.acme, &format!("{all}&customer={customer}")).await;
        reply.problem(403);
        reply.body.replace(customer, "*")
    };
    assert_eq!(asked("globex").await, asked("nobody").await);
}
