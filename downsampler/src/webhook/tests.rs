use std::{collections::VecDeque, time::Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flagmeter_ledger::{
    AlertKind, Alerted, Config as LedgerConfig, Contributor, Crossed, EmbeddedLedger, MuteId, Muting, Part,
    Said, Subject,
};
use flagmeter_model::{Environment, ManualClock, Meter, Name, Timestamp};
use hmac::{Hmac, Mac as _};
use parking_lot::Mutex;
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A request as it came.
#[derive(Debug, Clone)]
struct Got {
    at: Instant,
    head: String,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    fn percent(&self) -> u64 {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body["data"]["percent"].as_u64().unwrap()
    }

    /// Whether it is signed, as a receiver checks it.
    fn is_signed(&self) -> bool {
        let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let (id, timestamp) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        mac.update(format!("{id}.{timestamp}.{}", self.body).as_bytes());
        let signature = self.header("webhook-signature").strip_prefix("v1,").unwrap();
        mac.verify_slice(&STANDARD.decode(signature).unwrap()).is_ok()
    }
}

/// A server that answers what it was told to, in order, and then that it takes everything. `None` is no answer at all.
struct Server {
    url: String,
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<Mutex<VecDeque<Option<&'static str>>>>,
    _serving: JoinSet<()>,
}

impl Server {
    async fn answering(answers: &[Option<&'static str>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let got = Arc::new(Mutex::new(Vec::new()));
        let answers: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(answers.iter().copied().collect()));
        let mut serving = JoinSet::new();
        let (requests, next) = (Arc::clone(&got), Arc::clone(&answers));
        serving.spawn(async move {
            let mut silent = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let got = request(&mut stream).await;
                requests.lock().push(got);
                let answer: Option<Option<&str>> = next.lock().pop_front();
                match answer.unwrap_or(Some("204 No Content\r\n")) {
                    Some(head) => {
                        let answer = format!("HTTP/1.1 {head}content-length: 0\r\nconnection: close\r\n\r\n");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                    None => silent.push(stream),
                }
            }
        });
        Self { url, got, answers, _serving: serving }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().clone()
    }

    async fn until_it_got(&self, requests: usize) {
        until("it is sent", async || self.got.lock().len() >= requests).await;
    }
}

async fn request(stream: &mut TcpStream) -> Got {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4_096];
        let read = stream.read(&mut piece).await.unwrap();
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            return Got { at: Instant::now(), head: head.to_owned(), body: body.to_owned() };
        }
    }
}

/// A ledger with crossings of these percentages.
struct World {
    folder: tempfile::TempDir,
    ledger: Arc<dyn Ledger>,
    clock: ManualClock,
}

impl World {
    async fn crossed(percents: &[u16]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_seconds_clamped(1_800_000_090));
        let world = Self { ledger: open(&folder), folder, clock };
        world.cross(percents).await;
        world
    }

    async fn cross(&self, percents: &[u16]) {
        let crossed = percents.iter().map(|&percent| Crossed {
            customer: Name::new("acme").unwrap(),
            meter: Meter::Evaluations,
            period: Timestamp::EPOCH,
            percent,
            hard: false,
            included: 100,
            used: percent.into(),
        });
        let at = Timestamp::from_seconds_clamped(1_800_000_000);
        self.ledger.cross(crossed.collect(), at).await.unwrap();
    }

    fn webhook(&self, server: &Server) -> Webhook {
        let config = WebhookConfig {
            url: server.url.clone(),
            secret: Secret::read(SECRET).unwrap(),
            link_base: "https://flagmeter.example.com".into(),
            shared: false,
            traceparent: || Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0b9902d7-01".into()),
        };
        let (ledger, clock) = (Arc::clone(&self.ledger), Arc::new(self.clock.clone()));
        let mut webhook = Webhook::new(config, ledger, clock, &Registry::new()).unwrap();
        webhook.pause_min = Duration::from_millis(2);
        webhook
    }

    async fn until_delivered(&self, number: u64) {
        let delivered = async || self.ledger.delivered(Notice::Crossing).await.unwrap().get() >= number;
        until("it is delivered", delivered).await;
    }
}

fn open(folder: &tempfile::TempDir) -> Arc<dyn Ledger> {
    let config = LedgerConfig { path: folder.path().join("ledger.sqlite") };
    Arc::new(EmbeddedLedger::open(&config).unwrap())
}

/// Waits until something holds; what never does fails.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = tokio::time::Instant::now() + Duration::from_mins(2);
    while !holds().await {
        assert!(tokio::time::Instant::now() < until, "it never came: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// It has looked once more.
async fn until_nothing_waits(metrics: &Metrics) {
    until("nothing waits", async || Notice::ALL.iter().all(|of| metrics.of(*of)[2..] == [0, 0])).await;
}

fn told(got: &[Got]) -> Vec<u64> {
    got.iter().map(Got::percent).collect()
}

#[tokio::test]
async fn each_is_sent_in_order_and_again_until_it_is_taken() {
    let answers = [
        Some("500 Internal Server Error\r\n"),
        Some("429 Too Many Requests\r\nretry-after: 1\r\n"),
        Some("302 Found\r\nlocation: /elsewhere\r\n"),
    ];
    let (world, server) = (World::crossed(&[50, 80]).await, Server::answering(&answers).await);
    let webhook = world.webhook(&server);
    let metrics = webhook.metrics.clone();
    let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
    running.spawn(webhook.run(stop.clone()));
    // It was measured before each try, and after the second one it waits for a second.
    server.until_it_got(2).await;
    assert_eq!(metrics.of(Notice::Crossing)[2..], [2, 90]);
    world.until_delivered(2).await;
    // One that comes while it waits for news.
    world.cross(&[100]).await;
    world.until_delivered(3).await;
    until_nothing_waits(&metrics).await;
    stop.cancel();
    running.join_next().await.unwrap().unwrap().unwrap();
    let got = server.got();
    assert_eq!(told(&got), [50, 50, 50, 50, 80, 100]);
    assert!(got.iter().all(Got::is_signed));
    assert!(got.iter().all(|got| got.header("traceparent").starts_with("00-4bf9")), "each is traced");
    assert!(got[..4].iter().all(|again| again.body == got[0].body));
    assert!(got[..4].iter().all(|again| again.header("webhook-id") == got[0].header("webhook-id")));
    assert_ne!(got[4].header("webhook-id"), got[0].header("webhook-id"));
    assert!(got[2].at - got[1].at >= Duration::from_secs(1), "it was asked to wait");
    assert_eq!(got[0].header("webhook-timestamp"), "1800000090");
    let body: serde_json::Value = serde_json::from_str(&got[5].body).unwrap();
    let id = got[5].header("webhook-id");
    let data = serde_json::json!({
        "id": id, "customer": "acme", "meter": "evaluations", "period": "1970-01-01T00:00:00Z", "percent": 100,
        "hard": false, "included": "100", "used": "100", "crossed_at": "2027-01-15T08:00:00Z",
    });
    let whole = serde_json::json!({"type": "billing.threshold_crossed", "timestamp": "2027-01-15T08:00:00Z", "data": data});
    assert_eq!(body, whole);
    assert_eq!(metrics.of(Notice::Crossing), [3, 3, 0, 0]);
    assert_eq!(metrics.of(Notice::Alert), [0, 0, 0, 0]);
}

/// A burst that began, and that it is over.
fn burst() -> [Alerted; 2] {
    let name = |text: &str| Name::new(text).unwrap();
    let since = Timestamp::from_seconds_clamped(1_799_999_700);
    let began = Alerted {
        of: Environment { customer: name("acme"), project: name("web"), environment: name("live") }.into(),
        meter: Meter::Evaluations,
        kind: AlertKind::Burst,
        said: Said::Began,
        since,
        seen_at: since.plus_seconds(120),
        observed: Some(512),
        expected: 100,
        low: 78,
        high: 122,
        percent: Some(512),
        excess: 824,
        peak: 512,
        is_learning: false,
        contributors: vec![Contributor { part: Part::Sdk, name: None, count: 1_000, before: 200 }],
    };
    let over = Alerted {
        said: Said::Unknown,
        seen_at: since.plus_seconds(2_400),
        observed: None,
        percent: None,
        contributors: Vec::new(),
        ..began.clone()
    };
    [began, over]
}

#[tokio::test]
async fn one_that_is_not_taken_holds_back_its_sort_and_lets_the_other_go_first() {
    let (world, server) = (World::crossed(&[]).await, Server::answering(&[Some("503 Busy\r\n")]).await);
    let [began, over] = burst();
    let at = |second: i64| Timestamp::from_seconds_clamped(1_800_000_000 + second);
    world.ledger.alert(vec![began.clone()], at(-5)).await.unwrap();
    world.cross(&[50]).await;
    world.ledger.alert(vec![over.clone()], at(5)).await.unwrap();
    let webhook = world.webhook(&server);
    let metrics = webhook.metrics.clone();
    let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
    running.spawn(webhook.run(stop.clone()));
    let delivered = async || world.ledger.delivered(Notice::Alert).await.unwrap().get() >= 2;
    until("both are delivered", delivered).await;
    until_nothing_waits(&metrics).await;
    stop.cancel();
    running.join_next().await.unwrap().unwrap().unwrap();
    let got = server.got();
    let ids: Vec<_> = got.iter().map(|got| got.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 4);
    assert!(got.iter().all(Got::is_signed));
    assert_eq!((ids[0].clone(), ids[2].clone(), ids[3].clone()), (began.id(), began.id(), over.id()));
    assert!(ids[1].starts_with("crossing_"));
    assert_eq!(got[0].body, got[2].body);
    let chart = format!("https://flagmeter.example.com{}", began.chart());
    let data = serde_json::json!({
        "id": began.id(), "customer": "acme", "project": "web", "environment": "live", "flag": null,
        "meter": "evaluations", "kind": "burst", "said": "began", "since": "2027-01-15T07:55:00Z",
        "seen_at": "2027-01-15T07:57:00Z", "observed": "512", "expected": "100", "low": "78", "high": "122",
        "ratio": 5.12, "excess": "824", "peak": "512", "learning": false,
        "contributors": [{"by": "sdk", "name": null, "count": "1000", "before": "200"}], "chart": chart,
    });
    let whole =
        serde_json::json!({"type": "traffic.burst_began", "timestamp": "2027-01-15T07:59:55Z", "data": data});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&got[0].body).unwrap(), whole);
    let last: serde_json::Value = serde_json::from_str(&got[3].body).unwrap();
    assert_eq!((&last["type"], &last["data"]["why"]), (&"traffic.burst_over".into(), &"unknown".into()));
    assert_eq!((&last["data"]["observed"], &last["data"]["ratio"]), (&().into(), &().into()));
    assert_eq!(metrics.of(Notice::Alert), [2, 1, 0, 0]);
    assert_eq!(metrics.of(Notice::Crossing), [1, 0, 0, 0]);
}

#[tokio::test]
async fn what_is_muted_is_moved_past_and_told_once_when_it_outlasts_its_mute() {
    let (mut world, server) = (World::crossed(&[]).await, Server::answering(&[]).await);
    let [began, over] = burst();
    let at = |second: i64| began.since.plus_seconds(second);
    let muting = Muting {
        id: MuteId::new(42),
        of: began.of.clone(),
        from: at(0),
        to: at(600),
        reason: "a launch".into(),
        by: "test".into(),
    };
    world.ledger.mute(muting, at(0)).await.unwrap();
    world.ledger.alert(vec![began.clone()], at(125)).await.unwrap();
    for _ in 0..2 {
        // Each time by another process, which finds the ledger as the one before has left it.
        drop(std::mem::replace(&mut world.ledger, open(&tempfile::tempdir().unwrap())));
        world.ledger = open(&world.folder);
        let mut webhook = world.webhook(&server);
        let is_first = world.ledger.delivered(Notice::Alert).await.unwrap() == Position::START;
        if is_first {
            assert_eq!(webhook.step().await.unwrap(), Next::More);
        }
        assert_eq!(webhook.step().await.unwrap(), Next::News);
        assert_eq!(webhook.metrics.moved_past(), u64::from(is_first));
        assert_eq!(webhook.metrics.of(Notice::Alert), [0; 4]);
    }
    assert!(server.got().is_empty());
    // It goes on, and then it is over.
    let outlasts = Alerted { seen_at: at(600), ..began.clone() };
    for alerted in [outlasts, over.clone()] {
        world.ledger.alert(vec![alerted], at(605)).await.unwrap();
    }
    let mut webhook = world.webhook(&server);
    while webhook.step().await.unwrap() == Next::More {}
    assert_eq!((webhook.metrics.moved_past(), webhook.metrics.of(Notice::Alert)), (0, [2, 0, 0, 0]));
    let got = server.got();
    let ids: Vec<_> = got.iter().map(|got| got.header("webhook-id")).collect();
    assert_eq!(ids, [began.id(), over.id()]);
}

#[tokio::test]
async fn one_that_is_killed_goes_on_where_it_was() {
    let answers = [Some("200 OK\r\n"), None];
    let (mut world, server) = (World::crossed(&[50, 80, 100]).await, Server::answering(&answers).await);
    let mut running = JoinSet::new();
    running.spawn(world.webhook(&server).run(CancellationToken::new()));
    // The second one is on its way.
    server.until_it_got(2).await;
    running.shutdown().await;
    assert!(server.answers.lock().is_empty());
    drop(std::mem::replace(&mut world.ledger, open(&tempfile::tempdir().unwrap())));
    world.ledger = open(&world.folder);
    assert_eq!(world.ledger.delivered(Notice::Crossing).await.unwrap().get(), 1);
    running.spawn(world.webhook(&server).run(CancellationToken::new()));
    world.until_delivered(3).await;
    let got = server.got();
    assert_eq!(told(&got), [50, 80, 80, 100], "what was cut off comes again, and nothing else");
    assert_eq!((&got[1].body, got[1].header("webhook-id")), (&got[2].body, got[2].header("webhook-id")));
}

#[tokio::test(start_paused = true)]
async fn of_several_the_one_that_told_the_last_one_tells_the_next() {
    let (world, server) = (World::crossed(&[50]).await, Server::answering(&[]).await);
    let shared = || Webhook { shared: true, leads: false, ..world.webhook(&server) };
    let (mut one, mut other) = (shared(), shared());
    for webhook in [&mut one, &mut other] {
        let began = tokio::time::Instant::now();
        assert_eq!(webhook.step().await.unwrap(), Next::More);
        assert!(began.elapsed() >= Duration::from_secs(6), "nobody has told anything yet");
    }
    tokio::time::resume();
    assert_eq!((one.step().await.unwrap(), one.leads), (Next::More, true));
    assert_eq!((other.step().await.unwrap(), other.leads), (Next::News, false));
    world.cross(&[80]).await;
    assert_eq!((one.step().await.unwrap(), one.leads), (Next::More, true));
    assert_eq!(told(&server.got()), [50, 80]);
}

#[test]
fn an_address_that_cannot_be_spoken_to_is_refused() {
    let refused = |url: &str| Webhook::check(url).map_err(|error| error.to_string());
    assert_eq!(refused("http://127.0.0.1:9/hook"), Ok(()));
    for wrong in ["", "billing.example.com", "ftp://billing.example.com", "/hook"] {
        assert!(refused(wrong).unwrap_err().contains("such as https://"), "{wrong}");
    }
    let https = refused("https://billing.example.com/hook");
    assert!(cfg!(feature = "tls") == https.is_ok(), "{https:?}");
}

/// Hundreds of them may stand before one that is told: each is not a step of its own.
#[tokio::test]
async fn what_is_muted_is_moved_past_at_once_and_what_follows_is_told() {
    let (world, server) = (World::crossed(&[]).await, Server::answering(&[]).await);
    let [began, _] = burst();
    let at = |second: i64| began.since.plus_seconds(second);
    let muting = Muting {
        id: MuteId::new(42),
        of: began.of.clone(),
        from: at(0),
        to: at(600),
        reason: "a launch".into(),
        by: "test".into(),
    };
    world.ledger.mute(muting, at(0)).await.unwrap();
    let Subject::Environment(environment) = began.of.clone() else { panic!("{began:?}") };
    let flag = |number| Subject::Flag(environment.clone(), Name::new(&format!("f{number}")).unwrap());
    for number in 0..7 {
        let of = if number == 5 { Subject::Customer(environment.customer.clone()) } else { flag(number) };
        world.ledger.alert(vec![Alerted { of, ..began.clone() }], at(125)).await.unwrap();
    }
    let mut webhook = world.webhook(&server);
    let delivered = async || world.ledger.delivered(Notice::Alert).await.unwrap().get();
    for expected in [5, 6, 7] {
        assert_eq!(webhook.step().await.unwrap(), Next::More);
        assert_eq!(delivered().await, expected);
    }
    assert_eq!(webhook.step().await.unwrap(), Next::News);
    assert_eq!((webhook.metrics.moved_past(), webhook.metrics.of(Notice::Alert)), (6, [1, 0, 0, 0]));
}
