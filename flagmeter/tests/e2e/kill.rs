//! Promises 1 to 4, with the process killed at random moments while clients go on sending.
//!
//! Every post carries counts that nobody else sends, so what must come out is known to the last count.
//! `FLAGMETER_KILL_ROUNDS` sets how often the server is killed (25 when unset), `FLAGMETER_KILL_SEED` repeats a
//! run's choices.

use std::{
    collections::BTreeMap,
    env,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use flagmeter_model::{Clock, SystemClock};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use crate::{
    http,
    server::{DataFolder, Server, eventually},
};

/// How far back the late counts lie: the same minute, and a minute, a quarter and an hour that are rolled up.
const LATE_BY_SECONDS: [i64; 4] = [150, 25 * 60, 80 * 60, 3 * 3_600];
const KEYED_CLIENTS: u64 = 4;
/// Longer than any start takes: beyond it the edge acknowledges nothing any more.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_mins(2);

/// What the clients know: the truth that the server is held against.
#[derive(Default)]
struct Sent {
    /// Flag → counts acknowledged, each under an idempotency key and retried until it was.
    keyed: Mutex<BTreeMap<String, u64>>,
    /// Flag → counts acknowledged, and counts attempted, by an SDK that sends no key and never repeats a post.
    plain: Mutex<BTreeMap<String, (u64, u64)>>,
    posts: AtomicU64,
    repeats: AtomicU64,
    refused_connections: AtomicU64,
    stop: AtomicBool,
}

impl Sent {
    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

#[test]
fn what_was_acknowledged_is_there_once_however_often_it_is_killed() {
    let rounds: u32 = env::var("FLAGMETER_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(25);
    let seed: u64 = env::var("FLAGMETER_KILL_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| rand::rng().random());
    println!("{rounds} rounds, FLAGMETER_KILL_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);

    let folder = DataFolder::new();
    let mut server = Server::start(&folder);
    let sent = Arc::new(Sent::default());
    let clients = start_clients(&folder, &sent, seed);
    for round in 1..=rounds {
        // From within the first accept after a start to several seals, roll-ups and commits later.
        thread::sleep(Duration::from_millis(rng.random_range(5..1_800)));
        server.kill();
        server = Server::start(&folder);
        println!("killed {round} times; {} posts acknowledged", sent.posts.load(Ordering::SeqCst));
    }
    sent.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("a client ends when it is told to");
    }
    println!(
        "{} posts acknowledged, {} repeated, {} connections refused or cut",
        sent.posts.load(Ordering::SeqCst),
        sent.repeats.load(Ordering::SeqCst),
        sent.refused_connections.load(Ordering::SeqCst)
    );

    wait_until_caught_up(&server, &sent);
    for resolution in ["10s", "1m", "15m", "1h"] {
        compare(&usage_by_flag(&server, resolution), &sent, resolution);
    }
    assert!(server.terminate().success());
    let audit = folder.run(&["audit"]);
    println!("{}", audit.stdout);
    assert!(audit.success, "flagmeter audit found a difference:\n{}\n{}", audit.stdout, audit.stderr);
    assert!(audit.stdout.contains(" 0 windows waiting"), "late counts were not rolled up:\n{}", audit.stdout);
}

fn start_clients(folder: &DataFolder, sent: &Arc<Sent>, seed: u64) -> Vec<thread::JoinHandle<()>> {
    let address = folder.address();
    let key = folder.environment_key();
    let mut clients = Vec::new();
    for number in 0..KEYED_CLIENTS {
        let (sent, address, key) = (Arc::clone(sent), address.clone(), key.clone());
        clients.push(thread::spawn(move || keyed_client(&sent, &address, &key, number, seed)));
    }
    let (sent, address, key) = (Arc::clone(sent), address, key);
    clients.push(thread::spawn(move || plain_client(&sent, &address, &key, seed)));
    clients
}

/// Sends under a key and repeats the very same post until it is acknowledged; now and then once more after.
fn keyed_client(sent: &Sent, address: &str, key: &str, number: u64, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed ^ (number + 1));
    let authorization = format!("Bearer {key}");
    for post in 0_u64.. {
        if sent.stopping() {
            return;
        }
        let entries: Vec<(String, u64, Value)> =
            (0..rng.random_range(1..6)).map(|_| entry(&mut rng)).collect();
        let counts: Vec<Value> = entries.iter().map(|(_, _, entry)| entry.clone()).collect();
        let body = json!({ "counts": counts, "sdk": format!("client-{number}/1.0") }).to_string();
        let idempotency_key = format!("{seed}-{number}-{post}");
        let headers =
            [("authorization", authorization.as_str()), ("idempotency-key", idempotency_key.as_str())];
        let tried_since = Instant::now();
        while http::post(address, "/v1/counts", &headers, &body).is_none_or(|answer| answer.status != 202) {
            assert!(
                tried_since.elapsed() < ACKNOWLEDGED_WITHIN,
                "client {number} waits for an acknowledgement"
            );
            sent.refused_connections.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(5));
        }
        let mut keyed = sent.keyed.lock().expect("not poisoned");
        for (flag, count, _) in entries {
            *keyed.entry(flag).or_default() += count;
        }
        drop(keyed);
        sent.posts.fetch_add(1, Ordering::SeqCst);
        if rng.random_bool(0.1) {
            let repeat = http::post(address, "/v1/counts", &headers, &body);
            sent.repeats.fetch_add(u64::from(repeat.is_some()), Ordering::SeqCst);
        }
    }
}

fn entry(rng: &mut StdRng) -> (String, u64, Value) {
    let flag = format!("keyed-{}", rng.random_range(0..8));
    let count = rng.random_range(1..10_u64);
    let mut entry = json!({ "flag": flag, "count": count });
    if rng.random_bool(0.5) {
        let late = LATE_BY_SECONDS.choose(rng).expect("not empty");
        entry["at"] = json!(SystemClock.now().plus_seconds(-late).to_string());
    }
    (flag, count, entry)
}

/// Sends as Flagsmith's SDKs do: no key, so a post whose answer was cut off may or may not have counted.
fn plain_client(sent: &Sent, address: &str, key: &str, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed.rotate_left(17));
    while !sent.stopping() {
        let flag = format!("plain-{}", rng.random_range(0..3));
        let count = rng.random_range(1..10_u64);
        let body = json!({ flag.clone(): count }).to_string();
        let answer = http::post(address, "/api/v1/analytics/flags/", &[("x-environment-key", key)], &body);
        let acknowledged = answer.is_some_and(|answer| answer.status == 200);
        let mut plain = sent.plain.lock().expect("not poisoned");
        let (acked, attempted) = plain.entry(flag).or_default();
        *attempted += count;
        *acked += if acknowledged { count } else { 0 };
        drop(plain);
        if !acknowledged {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn wait_until_caught_up(server: &Server<'_>, sent: &Sent) {
    let mut expected = sent.keyed.lock().expect("not poisoned").clone();
    let plain = sent.plain.lock().expect("not poisoned");
    expected.extend(plain.iter().map(|(flag, (acknowledged, _))| (flag.clone(), *acknowledged)));
    drop(plain);
    let missing = || {
        let stored = usage_by_flag(server, "1h");
        let missing =
            |(flag, count): (&String, &u64)| count.saturating_sub(stored.get(flag).copied().unwrap_or(0));
        expected.iter().map(missing).sum::<u64>()
    };
    eventually("every acknowledged count is stored", missing, |&missing| missing == 0);
}

fn usage_by_flag(server: &Server<'_>, resolution: &str) -> BTreeMap<String, u64> {
    let answer = server.get(&format!("/v1/usage?from=-4h&to=now&resolution={resolution}&group_by=flag"));
    let mut by_flag = BTreeMap::new();
    for row in answer["rows"].as_array().expect("rows") {
        let flag = row["flag"].as_str().expect("a flag").to_owned();
        *by_flag.entry(flag).or_default() += row["count"].as_u64().unwrap_or(0);
    }
    by_flag
}

fn compare(found: &BTreeMap<String, u64>, sent: &Sent, resolution: &str) {
    for (flag, expected) in sent.keyed.lock().expect("not poisoned").iter() {
        let count = found.get(flag).copied().unwrap_or(0);
        assert_eq!(count, *expected, "{flag} at {resolution}: {count} stored, {expected} acknowledged");
    }
    for (flag, (acknowledged, attempted)) in sent.plain.lock().expect("not poisoned").iter() {
        let count = found.get(flag).copied().unwrap_or(0);
        let possible = acknowledged..=attempted;
        assert!(
            possible.contains(&&count),
            "{flag} at {resolution}: {count} stored, {acknowledged} acknowledged of {attempted} sent"
        );
    }
}
