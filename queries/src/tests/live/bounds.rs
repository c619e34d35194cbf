//! Who may watch, how many, and until when.

use axum::{body::Body, http::Request};

use super::{
    super::bench::{Bench, NOW, acme, at, flag, globex},
    quick, quick_live, refusal, told, watch,
};
use crate::access::{NewToken, Role};

fn refused(bench: &Bench, bound: &str) -> u64 {
    bench.metric("flagmeter_queries_live_refused_total", &[bound])
}

#[tokio::test]
async fn streams_and_questions_of_one_owner_are_bounded() {
    let (bench, _) = told(quick_live(|live| (live.own_viewers_max, live.own_queries_max) = (3, 2)));
    let first = watch(&bench, &bench.acme, "").await;
    let _second = watch(&bench, &bench.acme, "from=-2h").await;
    let other = refusal(&bench, &bench.acme, "from=-3h", 429).await;
    let problem = other.problem(429);
    assert_eq!(problem["type"], "urn:flagmeter:problem:too-many-streams");
    assert!(problem["detail"].as_str().unwrap().starts_with("2 different questions"), "{problem}");
    assert_eq!(other.headers["retry-after"], "5");
    let _third = watch(&bench, &bench.acme, "").await;
    let problem = refusal(&bench, &bench.acme, "", 429).await.problem(429);
    assert!(problem["detail"].as_str().unwrap().starts_with("3 live streams of this customer"), "{problem}");
    assert_eq!((refused(&bench, "own"), refused(&bench, "all")), (2, 0));
    // Another token of the customer is the customer; other tokens are others.
    let role = Role::Customer(acme().customer);
    let again = bench.tokens.create(NewToken { role, note: None, expires_at: None }, "test").unwrap();
    refusal(&bench, &again.text, "", 429).await.problem(429);
    let _others = [watch(&bench, &bench.operator, "").await, watch(&bench, &bench.billing, "").await];
    drop(first);
    let _in_its_place = watch(&bench, &bench.acme, "from=-2h").await;
}

#[tokio::test]
async fn streams_of_all_are_bounded_and_a_question_that_was_left_gives_its_place() {
    let (bench, _) = told(quick_live(|live| (live.viewers_max, live.queries_max) = (3, 2)));
    let first = watch(&bench, &bench.operator, "").await;
    let _second = watch(&bench, &bench.acme, "").await;
    let problem = refusal(&bench, &bench.operator, "from=-2h", 503).await.problem(503);
    assert_eq!(problem["type"], "urn:flagmeter:problem:busy");
    let third = watch(&bench, &bench.billing, "").await;
    refusal(&bench, &bench.operator, "", 503).await.problem(503);
    assert_eq!((refused(&bench, "own"), refused(&bench, "all")), (0, 2));
    drop((first, third));
    assert_eq!(bench.metric("flagmeter_queries_live_queries", &[]), 2, "it is kept for who comes back");
    let mut another = watch(&bench, &bench.operator, "from=-2h").await;
    another.until("delta").await;
    assert_eq!(bench.metric("flagmeter_queries_live_queries", &[]), 2);
}

#[tokio::test]
async fn who_asks_for_the_head_alone_or_leaves_takes_no_place() {
    let (bench, _) = told(quick());
    let request = Request::head("/v1/live").header("authorization", format!("Bearer {}", bench.acme));
    assert_eq!(bench.send(request.body(Body::empty()).unwrap()).await.status, 200);
    drop(bench.ask(&bench.acme, "/v1/live").await);
    assert_eq!(bench.metric("flagmeter_queries_live_viewers", &[]), 0);
}

#[tokio::test]
async fn a_revoked_or_expired_token_ends_its_streams_and_no_others() {
    let (bench, _) = told(quick());
    let expires_at = Some(at(NOW).plus_seconds(60));
    let new = NewToken { role: Role::Customer(acme().customer), note: None, expires_at };
    let expiring = bench.tokens.create(new, "test").unwrap();
    let mut ended = [
        watch(&bench, &bench.acme, "").await,
        watch(&bench, &bench.acme, "from=-2h").await,
        watch(&bench, &expiring.text, "").await,
    ];
    let mut goes_on = watch(&bench, &bench.operator, "").await;
    let id = bench.acme.split('_').nth(1).unwrap().to_owned();
    bench.tokens.revoke(&id, "test").unwrap();
    bench.clock.set(at(NOW).plus_seconds(61));
    for watching in &mut ended {
        let problem = watching.until("problem").await.json();
        assert_eq!(
            (&problem["status"], &problem["type"]),
            (&401.into(), &"urn:flagmeter:problem:unauthenticated".into())
        );
        assert!(watching.any().await.is_none());
    }
    refusal(&bench, &bench.acme, "", 401).await.problem(401);
    for _ in 0..3 {
        goes_on.until("delta").await;
    }
    drop(ended);
    assert_eq!(bench.metric("flagmeter_queries_live_viewers", &[]), 1);
}

#[tokio::test]
async fn streams_end_when_the_process_is_told_to_stop() {
    let (mut bench, _) = told(quick());
    let mut streams = [watch(&bench, &bench.operator, "").await, watch(&bench, &bench.acme, "").await];
    for watching in &mut streams {
        watching.until("snapshot").await;
    }
    drop(bench.awake.take());
    for watching in &mut streams {
        while let Some(event) = watching.next().await {
            assert_eq!(event.name, "delta", "what was on its way");
        }
    }
    assert!(watch(&bench, &bench.operator, "").await.next().await.is_none(), "nor does a new one stay");
}

#[tokio::test]
async fn a_customer_watches_its_own_and_nothing_else() {
    let bench = Bench::configured(quick());
    let time = at("2026-11-20T12:40:00Z");
    let counts = [(&acme(), flag("checkout"), time, 3), (&globex(), flag("globex-only"), time, 5)];
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    bench.send(Request::get("/v1/live").body(Body::empty()).unwrap()).await.problem(401);
    refusal(&bench, &bench.acme, "customer=globex", 403).await.problem(403);
    refusal(&bench, &bench.acme, "customer=acme&customer=globex", 403).await.problem(403);
    for query in ["group_by=customer,flag", "flag=globex-only", "project=shop", "group_by=project"] {
        // Everyone's answer to the same words is there already: it is not what a customer is sent.
        let mut all = watch(&bench, &bench.operator, &format!("from=-1h&tz=UTC&{query}")).await;
        let of_all = all.until("snapshot").await;
        let mut own = watch(&bench, &bench.acme, &format!("from=-1h&tz=UTC&{query}")).await;
        let snapshot = own.until("snapshot").await;
        assert!(
            !snapshot.data.contains("globex") && !snapshot.data.contains("shop"),
            "{query}: {}",
            snapshot.data
        );
        assert_ne!(snapshot.json()["total"], of_all.json()["total"], "{query}");
    }
    // Nor with the id of an event of someone else.
    let mut all = watch(&bench, &bench.operator, "from=-1h&tz=UTC&group_by=flag").await;
    let id = all.until("snapshot").await.id.unwrap();
    let answer = bench.ask_after(&bench.acme, "/v1/live?from=-1h&tz=UTC&group_by=flag", Some(&id)).await;
    let own = super::Watching::new(answer).until("snapshot").await;
    assert!(!own.data.contains("globex"));
}
