//! A burst is told once to a receiver outside, whoever of the two is killed meanwhile.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use flagmeter_model::{Clock as _, Environment, Name, SystemClock};
use flagmeter_store::{
    Store as _, Write,
    conformance::fixture::{START, Seal, flag, write_of},
    embedded::{Config, EmbeddedStore},
};
use serde_json::{Value, json};

use crate::server::{DataFolder, Server, eventually, free_address};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) id: String,
    pub(crate) body: Value,
}

/// What is told at an address. It answers what it was told to, in order, and then that it takes everything.
pub(crate) struct Receiver {
    address: String,
    got: Arc<Mutex<Vec<Got>>>,
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(crate) fn at(address: &str, answers: &[u16]) -> Self {
        let listener = TcpListener::bind(address).expect("the address is free");
        let (got, stops) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (requests, told) = (Arc::clone(&got), Arc::clone(&stops));
        let mut answers: VecDeque<u16> = answers.iter().copied().collect();
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if told.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.expect("a connection");
                let Some(request) = request(&stream) else { continue };
                let status = answers.pop_front().unwrap_or(204);
                requests.lock().expect("no panic").push(request);
                // Whoever asked may have been killed.
                let _answered =
                    write!(stream, "HTTP/1.1 {status} So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        Self { address: address.to_owned(), got, stops, thread: Some(thread) }
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().expect("no panic").clone()
    }
}

/// Its address is free when it is gone.
impl Drop for Receiver {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::SeqCst);
        let _woken = TcpStream::connect(&self.address);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

fn request(stream: &TcpStream) -> Option<Got> {
    let mut reader = BufReader::new(stream);
    let (mut id, mut signature, mut length) = (None, None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name {
            "webhook-id" => id = Some(value.to_owned()),
            "webhook-signature" => signature = Some(value.to_owned()),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    assert!(signature.is_some_and(|signature| signature.starts_with("v1,")), "it is signed");
    Some(Got { id: id?, body: serde_json::from_slice(&body).ok()? })
}

/// Four hours until `until` (in seconds since the epoch) of the customer acme, by a node that was there and has stopped: six
/// hundred a minute.
pub(crate) fn history(until: i64, partitions: u32) -> Write {
    let name = |text: &str| Name::new(text).expect("a name");
    let of = Environment { customer: name("acme"), project: name("web"), environment: name("production") };
    let until = (until - START).div_euclid(60) * 60;
    let seals = (0..partitions).map(|partition| {
        let part = u16::try_from(partition).expect("few partitions");
        let seal = Seal::new(7, 1).expect("a node").part(part).place(partition, 1);
        let mut seal = seal.covering(until - 4 * 3_600, until).farewell();
        for second in (until - 4 * 3_600..until).step_by(10).filter(|_| partition == 0) {
            seal = seal.count(&of, &flag("a").expect("a flag"), second, 100);
        }
        seal
    });
    let batches = write_of(&seals.collect::<Vec<_>>()).expect("a write").batches.clone();
    // It came by another log: positions stay as they are.
    Write { batches, ..Write::default() }
}

/// Twenty times as much for five minutes, as it is posted.
pub(crate) fn burst(began: DateTime<Utc>) -> Value {
    let counts = (0..30).map(|grain| {
        let at = (began + TimeDelta::seconds(10 * grain)).to_rfc3339_opts(SecondsFormat::Secs, true);
        json!({"flag": "a", "count": 2_000, "at": at})
    });
    json!({"counts": counts.collect::<Vec<_>>()})
}

/// Waits for what is not worth a runtime that stays.
pub(crate) fn wait_for<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

#[test]
fn a_burst_is_delivered_once_though_server_and_receiver_are_killed_in_between() {
    let address = free_address();
    let (url, secret) =
        (format!("billing.webhook_url=http://{address}/hook"), format!("billing.webhook_secret={SECRET}"));
    let folder = DataFolder::with(&[&url, &secret, "bursts.link_base=https://flagmeter.example.com/"]);
    assert!(Server::start(&folder).terminate().success());
    let now = SystemClock.now().to_chrono();
    let config = Config::new(folder.path().join("store.sqlite"));
    let store = EmbeddedStore::open(config, Arc::new(SystemClock)).expect("the store");
    wait_for(store.write(Arc::new(history(now.timestamp(), 1)))).expect("written");
    drop(store);

    // By the door, late.
    let server = Server::start(&folder);
    assert_eq!(server.post_counts(&burst(now - TimeDelta::minutes(25))), 202);
    eventually("it is counted", || server.usage("a", "-2h", "now", "1m"), |counted| *counted > 120_000);
    server.kill();

    // Nobody is there to be told.
    let server = Server::start(&folder);
    let told = || server.get("/v1/operator/bursts")["alerts"].as_array().map_or(0, Vec::len);
    eventually("it began and is over", told, |told| *told == 2);
    let active = server.get("/v1/operator/bursts?active=true");
    assert_eq!(active["alerts"], json!([]));
    let failed = || server.metric("flagmeter_downsampler_webhook_failures_total");
    eventually("it is tried", failed, |failed| *failed >= Some(1.0));
    server.kill();

    // One takes the first, and dies over the second, as does the server.
    let receiver = Receiver::at(&address, &[204, 503, 503, 503, 503, 503, 503, 503, 503, 503]);
    let server = Server::start(&folder);
    let first = eventually("both were sent", || receiver.got(), |got| got.len() >= 2);
    server.kill();
    drop(receiver);

    let receiver = Receiver::at(&address, &[]);
    for _ in 0..2 {
        let server = Server::start(&folder);
        eventually("the rest is taken", || receiver.got(), |got| !got.is_empty());
        let waiting = || server.metric("flagmeter_downsampler_webhook_waiting");
        eventually("nothing waits", waiting, |waiting| *waiting == Some(0.0));
        let looks = || server.metric("flagmeter_downsampler_bursts_look_seconds_count");
        eventually("it was looked again", looks, |looks| *looks >= Some(3.0));
        server.kill();
    }
    let second = receiver.got();
    assert_eq!(second.len(), 1, "{second:?}");
    let attempt = &second[0];
    let (began, attempts) = first.split_first().expect("two or more");
    // On a slow machine it is tried more than once before the server is killed.
    for failed in attempts {
        assert_eq!((&attempt.id, &attempt.body), (&failed.id, &failed.body));
    }
    assert_ne!(began.id, attempt.id);
    let said = |got: &Got| (got.body["type"].clone(), got.body["data"]["said"].clone());
    assert_eq!(said(began), ("traffic.burst_began".into(), "began".into()));
    assert_eq!(said(attempt), ("traffic.burst_over".into(), "over".into()));
    assert_eq!(began.body["data"]["since"], attempt.body["data"]["since"]);
    assert_eq!(began.body["data"]["contributors"][0]["name"], "a");
    let chart = began.body["data"]["chart"].as_str().expect("a link");
    assert!(chart.starts_with("https://flagmeter.example.com/usage?customer=acme&"), "{chart}");
}
