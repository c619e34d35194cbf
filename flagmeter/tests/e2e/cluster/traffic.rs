//! Counts that are known to the last.

use std::{collections::BTreeMap, thread, time::Duration};

use flagmeter_model::{Clock, SystemClock};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use super::stages::Stage;
use crate::http;

const CLIENTS: u64 = 4;
/// How far back late counts lie: the same minute, and a minute, a quarter and an hour before.
const LATE_BY_SECONDS: [i64; 4] = [5, 150, 25 * 60, 80 * 60];

/// What was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Counts by flag, each once.
    pub(crate) by_flag: BTreeMap<String, u64>,
    /// Counts that were sent a second time under the key of the first.
    pub(crate) duplicate: u64,
}

impl Sent {
    pub(crate) fn total(&self) -> u64 {
        self.by_flag.values().sum()
    }
}

/// Several clients post to all edges in turn, each post under a key and repeated until it is acknowledged; now and
/// then once more after that, to the same edge.
pub(crate) fn keyed(edges: &[Stage], key: &str, posts: u64) -> Sent {
    let seed = rand::random::<u64>();
    println!("seed of the traffic: {seed}");
    let mut all = Sent::default();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || client(edges, key, posts, seed ^ number)))
            .collect();
        for client in clients {
            let sent = client.join().expect("a client ends");
            for (flag, count) in sent.by_flag {
                *all.by_flag.entry(flag).or_default() += count;
            }
            all.duplicate += sent.duplicate;
        }
    });
    all
}

fn client(edges: &[Stage], key: &str, posts: u64, seed: u64) -> Sent {
    let mut rng = StdRng::seed_from_u64(seed);
    let authorization = format!("Bearer {key}");
    let mut sent = Sent::default();
    for (post, edge) in (0..posts).zip(edges.iter().cycle()) {
        let entries: Vec<(String, u64, Value)> =
            (0..rng.random_range(1..6)).map(|_| entry(&mut rng)).collect();
        let counts: Vec<Value> = entries.iter().map(|(_, _, entry)| entry.clone()).collect();
        let body = json!({ "counts": counts, "sdk": "keyed" }).to_string();
        let once = format!("{seed}-{post}");
        let headers = [("authorization", authorization.as_str()), ("idempotency-key", once.as_str())];
        let acknowledged = || {
            http::post(edge.address(), "/v1/counts", &headers, &body)
                .is_some_and(|answer| answer.status == 202)
        };
        edge.eventually("a post is acknowledged", |_| acknowledged().then_some(()));
        let again = rng.random_bool(0.1) && acknowledged();
        for (flag, count, _) in entries {
            sent.duplicate += if again { count } else { 0 };
            *sent.by_flag.entry(flag).or_default() += count;
        }
        thread::sleep(Duration::from_millis(rng.random_range(0..40)));
    }
    sent
}

fn entry(rng: &mut StdRng) -> (String, u64, Value) {
    let flag = format!("keyed-{}", rng.random_range(0..8));
    let count = rng.random_range(1..10_u64);
    let mut entry = json!({ "flag": flag, "count": count });
    if rng.random_bool(0.3) {
        let late = LATE_BY_SECONDS.choose(rng).expect("not empty");
        entry["at"] = json!(SystemClock.now().plus_seconds(-late).to_string());
    }
    (flag, count, entry)
}

/// A number as `flagmeter audit` writes it.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).expect("digits")).collect();
    groups.join(",")
}
