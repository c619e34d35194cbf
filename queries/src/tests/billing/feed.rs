//! `/v1/billing/closed-hours`: the feed, and waiting for it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    super::bench::{Bench, acme, each, globex},
    close, evaluations, header, hour, text,
};
use crate::Config;

const FEED: &str = "/v1/billing/closed-hours";

async fn corrected() -> Bench {
    let bench = Bench::new();
    let ledger = &*bench.ledger;
    close(ledger, hour(10), &[evaluations(&acme(), hour(9), 3), evaluations(&globex(), hour(9), 7)]).await;
    close(ledger, hour(11), &[evaluations(&acme(), hour(10), 4), evaluations(&acme(), hour(9), 5)]).await;
    bench
}

fn key(row: &Value) -> [String; 5] {
    ["customer", "project", "environment", "meter", "hour"].map(|member| text(row, member).to_owned())
}

#[tokio::test]
async fn who_follows_the_feed_and_keeps_the_greatest_revision_has_the_ledger() {
    let bench = corrected().await;
    for limit in [1, 2, 3, 4, 100] {
        let (mut kept, mut after, mut rows) = (BTreeMap::new(), String::new(), 0);
        loop {
            let answer = bench.get(&format!("{FEED}?limit={limit}{after}")).await.json();
            for row in answer["rows"].as_array().unwrap() {
                let before = kept.insert(key(row), row.clone());
                assert!(before.is_none_or(|before| before["revision"].as_u64() < row["revision"].as_u64()));
                rows += 1;
            }
            after = format!("&after={}", text(&answer, "next"));
            if answer["more"] == false {
                break;
            }
        }
        assert_eq!((rows, kept.len()), (4, 3), "{limit}");
        let hours = "/v1/billing/hours?from=2026-11-20T00:00:00Z&to=2026-11-20T11:00:00Z";
        for row in bench.get(hours).await.json()["rows"].as_array().unwrap() {
            let newest = &kept[&key(row)];
            assert!(newest["revision"].as_u64() >= row["revision"].as_u64());
        }
        let again = bench.get(&format!("{FEED}?{}", &after[1..])).await.json();
        assert_eq!((&again["rows"], &again["more"]), (&json!([]), &json!(false)));
        assert_eq!(text(&again, "next"), &after["&after=".len()..], "nothing came: it is the same place");
    }
}

#[tokio::test]
async fn the_feed_is_there_as_csv_too() {
    let bench = corrected().await;
    let first = bench.get(&format!("{FEED}?format=csv&limit=3")).await;
    assert_eq!((first.body.lines().count(), header(&first, "flagmeter-more")), (4, "true"));
    let rest = bench.get(&format!("{FEED}?format=csv&after={}", header(&first, "flagmeter-next"))).await;
    assert_eq!((rest.body.lines().count(), header(&rest, "flagmeter-more")), (2, "false"));
    assert!(rest.body.lines().nth(1).unwrap().starts_with("acme,web,production,evaluations,2026-11-20T10"));
    // A snapshot of another answer is a place in the feed: of the moment, or since when a final range is what it is.
    let hours = "/v1/billing/hours?from=2026-11-20T00:00:00Z&to=2026-11-20T";
    let now = bench.get(&format!("{hours}13:00:00Z")).await.json();
    let closed = bench.get(&format!("{hours}01:00:00Z")).await.json();
    close(&*bench.ledger, hour(12), &[evaluations(&acme(), hour(9), 6)]).await;
    let since = bench.get(&format!("{FEED}?after={}", text(&now, "as_of"))).await.json();
    assert_eq!(each(&since, "difference"), ["1"]);
    assert_eq!(each(&since, "correction"), [true]);
    let since = bench.get(&format!("{FEED}?after={}", text(&closed, "as_of"))).await.json();
    assert_eq!(each(&since, "difference"), ["2", "4", "1"]);
}

#[tokio::test]
async fn who_waits_is_answered_when_something_comes_and_holds_up_nobody() {
    let config = Config { reads_max: 1, read_timeout: Duration::from_secs(5), ..Config::default() };
    let bench = corrected().await.with(config);
    let end = bench.get(FEED).await.json();
    let waiting = format!("{FEED}?wait=60s&after={}", text(&end, "next"));
    let meanwhile = async {
        // There is one turn: who waits does not keep it.
        bench.get("/v1/usage?resolution=1h").await.json();
        close(&*bench.ledger, hour(12), &[evaluations(&globex(), hour(11), 1)]).await;
        bench.get("/v1/usage?resolution=1h").await.json();
        close(&*bench.ledger, hour(12), &[evaluations(&acme(), hour(11), 2)]).await;
    };
    let (all, own) = (bench.get(&waiting), async {
        let end = bench.get_as(&bench.acme, FEED).await.json();
        bench.get_as(&bench.acme, &format!("{FEED}?wait=60s&after={}", text(&end, "next"))).await
    });
    let (all, own, ()) = tokio::join!(all, own, meanwhile);
    assert_eq!(each(&all.json(), "customer")[0], "globex");
    assert!(
        each(&own.json(), "customer").iter().all(|customer| *customer == "acme"),
        "what comes to others is no news"
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_in_time_and_when_the_process_is_told_to_stop() {
    let mut bench = corrected().await;
    let awake = bench.awake.take();
    let end = bench.get(FEED).await.json();
    let waiting = format!("{FEED}?wait=60s&after={}", text(&end, "next"));
    let began = tokio::time::Instant::now();
    assert_eq!(bench.get(&waiting).await.json(), end_of(&end));
    assert_eq!(began.elapsed().as_secs(), 60);
    let stop = async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        drop(awake);
    };
    let (answer, ()) = tokio::join!(bench.get(&waiting), stop);
    assert_eq!((answer.json(), began.elapsed().as_secs()), (end_of(&end), 67));
    assert_eq!(bench.get(&waiting).await.json(), end_of(&end));
    assert_eq!(began.elapsed().as_secs(), 67, "nobody waits for a process that stops");
}

fn end_of(answer: &Value) -> Value {
    json!({"rows": [], "next": answer["next"], "more": false})
}
