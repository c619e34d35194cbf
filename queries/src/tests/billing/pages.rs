//! Pages of any size are the same rows, and of one snapshot.

use flagmeter_ledger::Ledger;
use flagmeter_model::Meter;
use proptest::prelude::*;
use serde_json::Value;

use super::{
    super::bench::{Bench, NOW, acme, at, environment, flag, globex},
    close, counted, evaluations, hour, text,
};

const DAY: &str = "/v1/billing/hours?from=2026-11-20T00:00:00Z&to=2026-11-20T13:00:00Z";

/// All rows of a question, `limit` on a page.
async fn rows(bench: &Bench, question: &str, limit: usize) -> Vec<Value> {
    let (mut rows, mut page) = (Vec::new(), format!("{question}&limit={limit}"));
    loop {
        let answer = bench.get(&page).await.json();
        let of_page = answer["rows"].as_array().unwrap();
        let finals = of_page.iter().filter(|row| row["state"] == "final").count();
        assert!(finals <= limit);
        rows.extend(of_page.iter().cloned());
        let Some(next) = answer["next"].as_str() else { return rows };
        assert!(finals == limit, "only the last page is not full");
        page = format!("{question}&limit={limit}&after={next}");
    }
}

/// All rows of a question as CSV, without the first line.
async fn lines(bench: &Bench, question: &str) -> Vec<String> {
    let reply = bench.get(&format!("{question}&format=csv")).await;
    reply.body.lines().skip(1).map(str::to_owned).collect()
}

async fn append(ledger: &dyn Ledger, counts: &[(u8, u32, bool, u64)]) {
    let owners =
        [acme(), globex(), environment("acme", "web", "staging"), environment("acme", "a,\"b\"", "=x")];
    for (owner, number, requests, count) in counts {
        let owner = &owners[usize::from(*owner) % owners.len()];
        let meter = if *requests { Meter::Requests } else { Meter::Evaluations };
        close(ledger, hour(11), &[counted(owner, meter, hour(*number), *count)]).await;
    }
}

fn any_counts() -> impl Strategy<Value = Vec<(u8, u32, bool, u64)>> {
    prop::collection::vec((0_u8..4, 5_u32..11, any::<bool>(), 1_u64..1_000), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pages_of_any_size_are_the_same_rows(counts in any_counts(), later in any_counts(), limit in 1_usize..12) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new();
            append(&*bench.ledger, &counts).await;
            let open = [(&acme(), flag("checkout"), at("2026-11-20T11:05:00Z"), 11)];
            bench.seal(at("2026-11-20T10:00:00Z"), at(NOW), &open).await;
            let all = bench.get(&format!("{DAY}&limit=10000")).await.json();
            let expected = all["rows"].as_array().unwrap();
            assert_eq!(rows(&bench, DAY, limit).await, *expected);
            assert_eq!(lines(&bench, DAY).await.len(), expected.len());
            // The sums of the differences are the newest counts, and what was as of then stays.
            let as_of = format!("{DAY}&as_of={}", text(&all, "as_of"));
            let (finals, texts) = (rows(&bench, &as_of, limit).await, lines(&bench, &as_of).await);
            append(&*bench.ledger, &later).await;
            assert_eq!(rows(&bench, &as_of, limit).await, finals);
            assert_eq!(lines(&bench, &as_of).await, texts);
            assert_eq!(texts.len(), finals.len());
        });
    }
}

#[tokio::test]
async fn what_is_corrected_between_two_pages_is_on_neither() {
    let bench = Bench::new();
    close(&*bench.ledger, hour(11), &[evaluations(&acme(), hour(9), 1), evaluations(&acme(), hour(10), 2)])
        .await;
    let first = bench.get(&format!("{DAY}&limit=1")).await.json();
    close(&*bench.ledger, hour(12), &[evaluations(&acme(), hour(10), 20), evaluations(&acme(), hour(11), 3)])
        .await;
    let second = bench.get(&format!("{DAY}&limit=1&after={}", text(&first, "next"))).await.json();
    assert_eq!(second["rows"][0]["count"], "2");
    assert_eq!((&second["as_of"], &second["final_until"]), (&first["as_of"], &first["final_until"]));
    assert_eq!(second["next"], Value::Null);
    assert_eq!(rows(&bench, DAY, 1).await.len(), 4);
}

#[tokio::test]
async fn a_page_goes_on_in_its_own_answer_alone() {
    let bench = Bench::new();
    let counts = [evaluations(&acme(), hour(9), 1), evaluations(&acme(), hour(10), 2)];
    close(&*bench.ledger, hour(11), &counts).await;
    let first = bench.get(&format!("{DAY}&limit=1")).await.json();
    let (next, as_of) = (text(&first, "next").to_owned(), text(&first, "as_of").to_owned());
    let own = bench.get_as(&bench.acme, &format!("{DAY}&limit=1")).await.json();
    close(&*bench.ledger, hour(12), &[evaluations(&acme(), hour(11), 3)]).await;
    let other_as_of = bench.get(DAY).await.json();
    let other_as_of = text(&other_as_of, "as_of");
    assert_eq!(bench.get(&format!("{DAY}&after={next}&as_of={as_of}")).await.status, 200);
    for wrong in [
        format!("{DAY}&customer=acme&after={next}"),
        format!("{DAY}&meter=requests&after={next}"),
        format!("{}&after={next}", DAY.replace("T13:", "T12:")),
        format!("{DAY}&after={next}&as_of={other_as_of}"),
        format!("{DAY}&after={}", text(&own, "next")),
        format!("{DAY}&after={as_of}"),
        format!("{DAY}&after=00"),
    ] {
        assert_eq!(bench.get(&wrong).await.problem(400)["parameter"], "after", "{wrong}");
    }
}
