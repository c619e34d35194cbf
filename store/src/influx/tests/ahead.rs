//! What is sent of a write before its turn, and what then.

use std::sync::Arc;

use flagmeter_model::ManualClock;

use super::stub::{Reply, Request, Stub};
use crate::{
    Store, Write,
    conformance::fixture::{Seal, at, environment, flag, seq_at, write_of},
    influx::{Config, InfluxStore},
};

const RAW: &str = "flagmeter_raw";

/// Sixteen counts.
fn seal(seq: u64) -> Arc<Write> {
    let second = i64::try_from(seq).unwrap() * 10;
    let counted = |seal: Seal, number: u64| {
        seal.count(&environment("one").unwrap(), &flag(&format!("flag-{number:02}")).unwrap(), second, number)
    };
    // Numbered by its second, so that it is young.
    write_of(&[(1..=16).fold(Seal::new(1, seq_at(second)).unwrap().covering(second, second + 10), counted)])
        .unwrap()
}

fn is_counts(request: &Request) -> bool {
    request.bucket() == Some(RAW) && request.body.starts_with("count,")
}

/// How many bodies were sent to any bucket: those of counts, and others but for what tells environments and minutes.
fn sent(stub: &Stub) -> (usize, usize) {
    let told = |request: &&Request| {
        !["environment,", "minute "].iter().any(|measurement| request.body.starts_with(measurement))
    };
    let requests = stub.requests();
    let bodies: Vec<&Request> =
        requests.iter().filter(|request| request.bucket().is_some()).filter(told).collect();
    let counts = bodies.iter().filter(|request| is_counts(request)).count();
    (counts, bodies.len() - counts)
}

#[tokio::test]
async fn nothing_but_counts_is_sent_ahead_and_they_are_not_sent_again() {
    let stub = Stub::new(|_| None);
    let store = stub.open().await.unwrap();
    let write = seal(1);
    store.ahead(&write).await;
    assert_eq!(sent(&stub), (1, 0));
    assert_eq!(store.write(Arc::clone(&write)).await.unwrap().points, 16);
    assert_eq!(sent(&stub), (1, 2), "totals and progress");
    store.write(write).await.unwrap();
    assert_eq!(sent(&stub).0, 2, "a repeat is one of all of it");
}

#[tokio::test]
async fn what_could_not_be_sent_ahead_is_sent_with_the_rest() {
    let mut down = 4;
    let stub = Stub::new(move |request| {
        let is_down = is_counts(request) && down > 0;
        down -= usize::from(is_down);
        is_down.then(|| Reply::empty(503))
    });
    let store = stub.open().await.unwrap();
    let write = seal(1);
    store.ahead(&write).await;
    assert_eq!(sent(&stub), (4, 0), "as often as it is tried");
    assert_eq!(store.write(write).await.unwrap().points, 16);
    assert_eq!(sent(&stub), (5, 2));
}

#[tokio::test]
async fn a_line_that_is_refused_ahead_goes_to_the_dead_letters_in_its_turn() {
    let is_bad = |body: &str| body.contains("name=flag-03");
    let stub = Stub::new(move |request| {
        (is_counts(request) && is_bad(&request.body)).then(|| Reply::refused(400, "no such luck"))
    });
    let store = stub.open().await.unwrap();
    let write = seal(1);
    store.ahead(&write).await;
    assert!(stub.written("flagmeter_meta").iter().all(|request| !request.body.contains("dead_letter")));
    let written = store.write(write).await.unwrap();
    assert_eq!((written.points, written.dead_letters.get("refused")), (15, Some(&1)));
    let totals: Vec<_> =
        stub.written(RAW).into_iter().filter(|request| request.body.starts_with("total,")).collect();
    assert!(totals.len() == 1 && totals[0].body.contains("count=133i"), "all but 3: {totals:?}");
}

/// Broken by hand, with a place for whoever comes, bodies of both come in turns.
#[tokio::test]
async fn the_older_of_two_writes_has_sent_all_before_the_newer_begins() {
    let stub = Stub::new(|_| None);
    let config = Config { body_lines_max: 1, bodies_in_flight: 2, ..stub.config() };
    let store = InfluxStore::open(config, Arc::new(ManualClock::at(at(0)))).await.unwrap();
    let (older, newer) = (seal(1), seal(2));
    tokio::join!(store.ahead(&older), store.ahead(&newer));
    let time = |request: &Request| request.body.trim().rsplit(' ').next().unwrap().parse::<i64>().unwrap();
    let times: Vec<i64> = stub.written(RAW).iter().filter(|request| is_counts(request)).map(time).collect();
    assert_eq!(times.len(), 32);
    let first = times.iter().copied().min().unwrap();
    let last_of_older = times.iter().rposition(|&time| time == first).unwrap();
    assert!(last_of_older <= 16, "at most one of the newer fills the other place: {times:?}");
    for write in [older, newer] {
        assert_eq!(store.write(write).await.unwrap().points, 16);
    }
    assert_eq!(sent(&stub).0, 32);
}

/// A write that was not sent ahead takes its places from the same ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_bodies_are_on_their_way_than_there_are_places() {
    let stub = Stub::new(|request| is_counts(request).then_some(Reply::Together(2)));
    let config = Config { body_lines_max: 1, bodies_in_flight: 2, ..stub.config() };
    let store = InfluxStore::open(config, Arc::new(ManualClock::at(at(0)))).await.unwrap();
    let (repeated, next) = (seal(1), seal(2));
    let (written, ()) = tokio::join!(store.write(repeated), store.ahead(&next));
    assert_eq!((written.unwrap().points, sent(&stub).0), (16, 32));
    assert_eq!(stub.most_counts(), 2);
}

/// Writes that never come are forgotten, and cost no more than being sent again.
#[tokio::test]
async fn only_a_few_writes_are_remembered_ahead() {
    let stub = Stub::new(|_| None);
    let store = stub.open().await.unwrap();
    let writes: Vec<_> = (1..=5).map(seal).collect();
    for write in &writes {
        store.ahead(write).await;
    }
    for write in writes {
        store.write(write).await.unwrap();
    }
    assert_eq!(sent(&stub).0, 6, "one of five is forgotten");
}
