//! What is refused says what to change, and nobody learns of another customer by it.

use std::sync::Arc;

use serde_json::Value;

use super::{
    super::bench::{Bench, acme, environment, globex},
    Mute, close, evaluations, hour, text,
};

const HOURS: &str = "/v1/billing/hours?from=2026-11-20T00:00:00Z&to=2026-11-20T11:00:00Z";
const FEED: &str = "/v1/billing/closed-hours?limit=10";

async fn two_customers() -> Bench {
    let bench = Bench::new();
    let counts = [evaluations(&acme(), hour(9), 3), evaluations(&globex(), hour(9), 7)];
    close(&*bench.ledger, hour(11), &counts).await;
    bench
}

#[tokio::test]
async fn a_range_lies_between_full_hours() {
    let bench = Bench::new();
    let detail = async |query: &str, parameter: &str| {
        let problem = bench.get(&format!("/v1/billing/hours?{query}")).await.problem(400);
        assert_eq!(problem["parameter"], parameter, "{query}");
        text(&problem, "detail").to_owned()
    };
    let to = "to=2026-11-20T11:00:00Z";
    let misaligned = detail(&format!("from=2026-11-20T09:30:00Z&{to}"), "from").await;
    let nearest = "the nearest are 2026-11-20T09:00:00Z and 2026-11-20T10:00:00Z";
    assert!(misaligned.contains(nearest), "{misaligned}");
    let off = detail("from=2026-11-20T00:00:00Z&to=2026-11-20T09:00:00%2B05:30", "to").await;
    assert!(off.contains("2026-11-20T03:00:00Z and 2026-11-20T04:00:00Z"), "{off}");
    assert!(detail(&format!("from=2026-11-20T11:00:00Z&{to}"), "from").await.contains("not before"));
    for (query, parameter) in [
        (to, "from"),
        ("from=2026-11-20T09:00:00Z", "to"),
        ("from=-24h&to=now", "from"),
        ("from=2026-11-20&to=2026-11-21", "from"),
        ("from=1970-13-01T00:00:00Z&to=x", "from"),
    ] {
        let refused = detail(query, parameter).await;
        assert!(refused.contains("2026-11-01T00:00:00Z"), "{refused}");
    }
    // Midnight of a zone is a full hour, however it is written.
    let berlin = "/v1/billing/hours?from=2026-11-20T00:00:00%2B01:00&to=2026-11-21T00:00:00+01:00";
    assert_eq!(bench.get(berlin).await.json()["from"], "2026-11-19T23:00:00Z");
}

#[tokio::test]
async fn parameters_are_read_strictly() {
    let bench = two_customers().await;
    for (request, parameter) in [
        (format!("{HOURS}&limit=0"), "limit"),
        (format!("{HOURS}&limit=10001"), "limit"),
        (format!("{HOURS}&meter=received"), "meter"),
        (format!("{HOURS}&client=acme"), "client"),
        (format!("{HOURS}&as_of=made-up"), "as_of"),
        (format!("{HOURS}&customer=nobody"), "customer"),
        (format!("{HOURS}&customer=acme&customer=nobody"), "customer"),
        (format!("{FEED}&after=0123456789abcdef"), "after"),
        (format!("{FEED}&wait=61s"), "wait"),
        (format!("{FEED}&wait=0s"), "wait"),
        (format!("{FEED}&wait=2h"), "wait"),
        (format!("{FEED}&wait=soon"), "wait"),
        (format!("{FEED}&customer=acme"), "customer"),
    ] {
        assert_eq!(bench.get(&request).await.problem(400)["parameter"], parameter, "{request}");
    }
    // A customer that is not in the registry any more, but has been billed, is known.
    close(&*bench.ledger, hour(12), &[evaluations(&environment("gone", "x", "y"), hour(11), 1)]).await;
    let gone = bench.get(&format!("{HOURS}&customer=gone").replace("T11:", "T12:")).await.json();
    assert_eq!(gone["rows"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_customer_reads_its_own_rows_and_never_learns_of_others() {
    let bench = two_customers().await;
    let of = async |token: &str, request: &str| -> Vec<Value> {
        let answer = bench.get_as(token, request).await.json();
        answer["rows"].as_array().unwrap().iter().map(|row| row["customer"].clone()).collect()
    };
    for request in [HOURS, FEED] {
        assert_eq!(of(&bench.acme, request).await, ["acme"], "{request}");
        assert_eq!(of(&bench.billing, request).await, ["acme", "globex"], "{request}");
        assert_eq!(of(&bench.operator, request).await, ["acme", "globex"], "{request}");
    }
    let csv = bench.get_as(&bench.acme, &format!("{HOURS}&format=csv")).await;
    assert_eq!(csv.body.lines().count(), 2);
    assert!(!csv.body.contains("globex"));
    assert_eq!(of(&bench.acme, &format!("{HOURS}&project=shop")).await, Vec::<Value>::new());
    // Asking for another one is answered like asking for none that there is.
    let asked = async |customer: &str| {
        let reply = bench.get_as(&bench.acme, &format!("{HOURS}&customer={customer}")).await;
        reply.problem(403);
        reply.body.replace(customer, "*")
    };
    assert_eq!(asked("globex").await, asked("nobody").await);
    for token in ["fm_0123456789ab_guess", ""] {
        bench.get_as(token, HOURS).await.problem(401);
        bench.get_as(token, FEED).await.problem(401);
    }
}

#[tokio::test]
async fn a_cursor_of_another_is_refused_like_a_made_up_one() {
    let bench = two_customers().await;
    let theirs = bench.get(HOURS).await.json();
    let (theirs, own) = (text(&theirs, "as_of"), bench.get_as(&bench.acme, HOURS).await.json());
    let own = text(&own, "as_of");
    assert_ne!(theirs, own);
    for (request, parameter) in [(HOURS, "as_of"), (FEED, "after")] {
        let with = |cursor: &str| format!("{request}&{parameter}={cursor}");
        assert_eq!(bench.get_as(&bench.acme, &with(own)).await.status, 200);
        let of_another = bench.get_as(&bench.acme, &with(theirs)).await.problem(400);
        assert_eq!(of_another["parameter"], parameter);
        assert_eq!(of_another, bench.get_as(&bench.acme, &with(&"0".repeat(48))).await.problem(400));
        assert_eq!(bench.get(&with(own)).await.problem(400), of_another);
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_behind_a_cursor_says_so() {
    let (bench, restored) = (two_customers().await, two_customers().await);
    let empty_hour = async |bench: &Bench| close(&*bench.ledger, hour(12), &[]).await;
    let as_of = bench.get(HOURS).await.json();
    for (request, parameter) in [(HOURS, "as_of"), (FEED, "after")] {
        let with = |cursor: &str| format!("{request}&{parameter}={cursor}");
        assert_eq!(restored.get(&with(text(&as_of, "as_of"))).await.status, 200, "it has as much");
        let one = [evaluations(&acme(), hour(10), 5)];
        close(&*bench.ledger, hour(12), &one).await;
        let newer = bench.get(HOURS).await.json();
        let reply = restored.get(&with(text(&newer, "as_of"))).await;
        let problem = reply.problem(409);
        assert_eq!(problem["type"], "urn:flagmeter:problem:ledger-behind");
        assert_eq!(problem["parameter"], parameter);
        assert!(text(&problem, "detail").contains("restored"), "{problem}");
    }
    // Also where it has all rows, but not the word that an hour without any is closed.
    let (bench, restored) = (two_customers().await, two_customers().await);
    empty_hour(&bench).await;
    let newer = bench.get(FEED).await.json();
    let with = format!("{HOURS}&as_of={}", text(&newer, "next"));
    restored.get(&with).await.problem(409);
    // Once it has caught up, it answers.
    let (answer, ()) = tokio::join!(restored.get(&with), empty_hour(&restored));
    assert_eq!(answer.json(), bench.get(&with).await.json());
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_is_an_error_and_never_an_empty_list() {
    let bench = Bench::new().over_ledger(Arc::new(Mute::default()));
    for request in [HOURS, FEED, "/v1/billing/usage-to-date?customer=acme", "/v1/billing/thresholds"] {
        let reply = bench.get(request).await;
        assert_eq!(reply.problem(503)["type"], "urn:flagmeter:problem:ledger-unavailable");
        assert_eq!(reply.headers["retry-after"], "5");
        assert!(!reply.body.contains("/secret"), "{}", reply.body);
    }
}
