//! Several that append.

use std::time::Duration;

use super::*;
use crate::{
    Appended, Ledger as _, Position,
    conformance::fixture::{all, append, counted, hour, row, told},
};

/// One is put to sleep between its plan and its transaction; another does the same work meanwhile, and more. What the
/// sleeper had planned would be rows with numbers that are taken.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn one_that_slept_between_its_plan_and_its_transaction_plans_anew() {
    let topic = Topic::new().await.unwrap();
    let (sleeper, other) = (topic.open("sleeper").await.unwrap(), topic.open("other").await.unwrap());
    sleeper.announce(hour(9)).await.unwrap();
    append(&sleeper, &[counted("acme", 0, 5)], Some(1)).await.unwrap();
    assert!(sleeper.0.writer.lock().has_taken_over());
    let (meanwhile, runtime) = (other.clone(), tokio::runtime::Handle::current());
    *sleeper.0.before_append.lock() = Some(Box::new(move || {
        let counts = [counted("beta", 1, 6), counted("acme", 1, 7), counted("beta", 0, 1)];
        runtime.block_on(append(&meanwhile, &counts, Some(2))).unwrap();
    }));
    // An hour that the other one appends as well, one of which it knows more, and one of which it knows nothing.
    let counts = [counted("acme", 1, 7), counted("beta", 1, 4), counted("zeta", 1, 3)];
    let appended = append(&sleeper, &counts, Some(2)).await.unwrap();
    assert_eq!(appended, Appended { closings: 0, corrections: 1, end: Position::new(5) });
    let expected = [
        row("acme", 0, 1, (5, 0), false),
        row("beta", 0, 1, (1, 0), true),
        row("acme", 1, 1, (7, 0), false),
        row("beta", 1, 1, (6, 0), false),
        row("zeta", 1, 1, (3, 0), true),
    ];
    for ledger in [&sleeper, &other] {
        assert_eq!(ledger.standing().await.unwrap().end, Position::new(5));
        assert_eq!(told(&all(ledger).await.unwrap()), expected);
    }
    // The other one lost its place by that, and does not know it yet.
    append(&other, &[counted("acme", 2, 1)], Some(3)).await.unwrap();
    assert_eq!(sleeper.standing().await.unwrap().end, Position::new(6));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn one_that_has_nothing_to_append_takes_nothing_over() {
    let topic = Topic::new().await.unwrap();
    let (leader, standby) = (topic.open("leader").await.unwrap(), topic.open("standby").await.unwrap());
    for at in 0..3 {
        for ledger in [&leader, &standby] {
            ledger.announce(hour(at + 1)).await.unwrap();
            append(ledger, &[counted("acme", at, 5)], Some(at + 1)).await.unwrap();
        }
        assert!(leader.0.writer.lock().has_taken_over());
        assert!(!standby.0.writer.lock().has_taken_over());
    }
    assert_eq!(standby.standing().await.unwrap(), leader.standing().await.unwrap());
}

/// The mark of a commit comes after the answer: who asks then waits for it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn what_was_announced_is_seen_by_all_that_ask_afterwards() {
    let topic = Topic::new().await.unwrap();
    let (leader, other) = (topic.open("leader").await.unwrap(), topic.open("other").await.unwrap());
    for at in 0..100 {
        // Without waiting for what the leader itself has read: the commit was answered, and no more.
        let announced = crate::Entry { announced: Some(hour(at)), ..crate::Entry::default() };
        let records = crate::codec::encode(&announced).unwrap();
        let soon = std::time::Instant::now() + Duration::from_mins(1);
        tokio::task::block_in_place(|| {
            let mut writer = leader.0.writer.lock();
            if !writer.has_taken_over() {
                writer.take_over(soon).unwrap();
            }
            writer.append(&records, soon).unwrap();
        });
        assert_eq!(other.standing().await.unwrap().announced, Some(hour(at)));
    }
}

/// As a process that ends there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn one_that_ended_between_its_plan_and_its_transaction_left_nothing() {
    let topic = Topic::new().await.unwrap();
    let (ended, other) = (topic.open("ended").await.unwrap(), topic.open("other").await.unwrap());
    ended.announce(hour(9)).await.unwrap();
    *ended.0.before_append.lock() = Some(Box::new(|| panic!("as told")));
    append(&ended, &[counted("acme", 0, 5)], Some(1)).await.unwrap_err();
    assert_eq!(other.standing().await.unwrap().end, Position::START);
    append(&other, &[counted("acme", 0, 6)], Some(1)).await.unwrap();
    append(&ended, &[counted("acme", 0, 5)], Some(1)).await.unwrap();
    assert_eq!(told(&all(&ended).await.unwrap()), [row("acme", 0, 1, (6, 0), false)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
async fn an_entry_of_several_records_comes_at_once() {
    let topic = Topic::new().await.unwrap();
    let (ledger, other) = (topic.open("ledger").await.unwrap(), topic.open("other").await.unwrap());
    ledger.announce(hour(1)).await.unwrap();
    let counts: Vec<_> = (0..6_000).map(|who| counted(&format!("customer-{who:05}"), 0, 5)).collect();
    let mut end = other.end();
    let (appended, seen) = tokio::join!(
        append(&ledger, &counts, Some(1)),
        tokio::time::timeout(Duration::from_secs(90), end.wait_for(|end| *end != Position::START)),
    );
    let appended = appended.unwrap();
    assert_eq!(appended, Appended { closings: 6_000, corrections: 0, end: Position::new(6_000) });
    let seen = *seen.unwrap().unwrap();
    assert_eq!(seen, appended.end, "never a part of it");
    let closing = other.closing(Position::MAX).await.unwrap().unwrap();
    assert_eq!((closing.until, closing.end), (hour(1), appended.end));
    assert_eq!(all(&other).await.unwrap(), all(&ledger).await.unwrap());
    let records = ledger.0.bounds.ask().unwrap().end;
    assert!(
        records > 4,
        "more than the announcement, the entry in one record, and the marks of both: {records}"
    );
}
