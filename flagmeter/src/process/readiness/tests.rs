use std::{
    collections::BTreeMap,
    future::pending,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use axum::{body::Body, http::Request};
use flagmeter_model::{Environment, Meter, Registry, SystemClock, Tier, Timestamp};
use flagmeter_queries::{
    Parts,
    access::{NewToken, Role, Tokens},
};
use flagmeter_store::{
    Answer, ByNode, DeadLetter, Error, Filter, Floors, Frontiers, Mark, NewMark, NodeCounts, Read,
    Result as Stored, Retained, Rolled, Rolling, Scan, ScanRow, SeriesSeen, State, Write, Written,
};
use http_body_util::BodyExt as _;
use tokio::sync::{Notify, watch};
use tower::ServiceExt as _;

use super::*;

/// How a store answers who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Fails,
    Never,
    After(Duration),
}

/// A store that is looked at, and whose reads never end. Nothing else may be asked of it.
struct Moody {
    mood: Mutex<Mood>,
    looks: AtomicUsize,
    looked_at: Notify,
    read: Notify,
}

impl Moody {
    fn new(mood: Mood) -> Arc<Self> {
        let looks = AtomicUsize::new(0);
        Arc::new(Self { mood: Mutex::new(mood), looks, looked_at: Notify::new(), read: Notify::new() })
    }

    fn becomes(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for Moody {
    async fn frontiers(&self) -> Stored<Frontiers> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.looked_at.notify_one();
        let mood = *self.mood.lock();
        match mood {
            Mood::Well => {}
            Mood::Fails => return Err(Error::Unavailable("nobody is there".into())),
            Mood::Never => pending().await,
            Mood::After(time) => tokio::time::sleep(time).await,
        }
        Ok(Frontiers::default())
    }

    async fn read(&self, _: &Read) -> Stored<Answer> {
        self.read.notify_one();
        pending().await
    }

    async fn write(&self, _: Arc<Write>) -> Stored<Written> {
        unreachable!()
    }
    async fn positions(&self) -> Stored<Option<BTreeMap<u32, u64>>> {
        unreachable!()
    }
    async fn state(&self) -> Stored<State> {
        unreachable!()
    }
    async fn marks(&self, _: Tier, _: Timestamp, _: usize) -> Stored<Vec<Mark>> {
        unreachable!()
    }
    async fn announce(&self, _: Timestamp) -> Stored<()> {
        unreachable!()
    }
    async fn roll(&self, _: &Rolling) -> Stored<Rolled> {
        unreachable!()
    }
    async fn advance(&self, _: Tier, _: Timestamp) -> Stored<()> {
        unreachable!()
    }
    async fn mark(&self, _: &[NewMark]) -> Stored<()> {
        unreachable!()
    }
    async fn clear(&self, _: &[Mark]) -> Stored<()> {
        unreachable!()
    }
    async fn retain(&self, _: Floors) -> Stored<Retained> {
        unreachable!()
    }
    async fn scan(&self, _: &Scan) -> Stored<Vec<ScanRow>> {
        unreachable!()
    }
    async fn by_node(&self, _: &ByNode) -> Stored<Vec<NodeCounts>> {
        unreachable!()
    }
    async fn environments(&self) -> Stored<Vec<Environment>> {
        unreachable!()
    }
    async fn catalogue(&self, _: Meter, _: &Filter, _: usize) -> Stored<Vec<SeriesSeen>> {
        unreachable!()
    }
    async fn dead_letters(&self, _: Option<(u32, u64)>, _: usize) -> Stored<Vec<DeadLetter>> {
        unreachable!()
    }
}

/// The routes of a process that works with a store.
fn working_with(store: &Arc<Moody>) -> Router {
    let readiness = Readiness::default();
    readiness.works_with(Needs { store: Some(Arc::clone(store) as Arc<dyn Store>), edge: None });
    router(readiness)
}

/// Asks with a token, or with one that nobody knows.
async fn ask(router: &Router, path: &str, token: &str) -> (u16, String) {
    let request = Request::get(path).header("authorization", format!("Bearer {token}"));
    let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn readyz(router: &Router) -> (u16, String) {
    ask(router, "/readyz", "nobodys").await
}

fn well() -> (u16, String) {
    (200, "ok\n".into())
}

#[tokio::test]
async fn it_is_ready_between_its_start_and_its_end_and_says_why_not() {
    let readiness = Readiness::default();
    assert_eq!(readiness.look().await, Err("starting".into()));
    readiness.waits_for("waiting for Kafka".into());
    assert_eq!(readiness.look().await, Err("waiting for Kafka".into()));
    readiness.works_with(Needs { store: Some(Moody::new(Mood::Well)), edge: None });
    assert_eq!(readiness.look().await, Ok(()));
    readiness.stops();
    assert_eq!(readiness.look().await, Err("stopping".into()));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told_in_a_sentence_until_it_is_back() {
    let store = Moody::new(Mood::Well);
    let router = working_with(&store);
    assert_eq!(readyz(&router).await, well());
    for (mood, why) in [
        (Mood::Fails, "the store did not answer: nobody is there\n"),
        (Mood::Never, "the store did not answer within 2 s\n"),
    ] {
        store.becomes(mood);
        tokio::time::advance(STANDS_FOR).await;
        let began = Instant::now();
        assert_eq!(readyz(&router).await, (503, why.into()));
        let took = began.elapsed();
        assert!(took <= ANSWER_WITHIN + Duration::from_millis(1), "{took:?}");
        assert_eq!(ask(&router, "/healthz", "nobodys").await, well(), "it lives all the same");
        store.becomes(Mood::Well);
        tokio::time::advance(STANDS_FOR).await;
        assert_eq!(readyz(&router).await, well());
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_ask_share_one_look_a_second_whatever_it_finds() {
    let slow = Mood::After(ANSWER_WITHIN / 2);
    for (mood, status) in [(Mood::Well, 200), (slow, 200), (Mood::Fails, 503), (Mood::Never, 503)] {
        let store = Moody::new(mood);
        let router = working_with(&store);
        // Also those who come while somebody looks.
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let router = router.clone();
            callers.spawn(async move { readyz(&router).await.0 });
        }
        let answers = callers.join_all().await;
        assert_eq!((answers, store.looks()), (vec![status; 50], 1), "{mood:?}");
        tokio::time::advance(STANDS_FOR.saturating_sub(Duration::from_millis(1))).await;
        assert_eq!((readyz(&router).await.0, store.looks()), (status, 1), "{mood:?}");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((readyz(&router).await.0, store.looks()), (status, 2), "{mood:?}");
    }
}

/// One who leaves before there is an answer leaves none behind, and nobody waits for them.
#[tokio::test(start_paused = true)]
async fn a_look_that_nobody_waits_for_any_more_keeps_no_one_waiting() {
    let store = Moody::new(Mood::Never);
    let router = working_with(&store);
    let impatient = tokio::time::timeout(ANSWER_WITHIN / 2, readyz(&router)).await;
    assert!(impatient.is_err(), "{impatient:?}");
    store.becomes(Mood::Well);
    let began = Instant::now();
    assert_eq!((readyz(&router).await, began.elapsed()), (well(), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_look_takes_no_turn_of_a_query_and_waits_for_none() {
    const QUESTION: &str = "/v1/usage?resolution=1h";
    let (folder, store) = (tempfile::tempdir().unwrap(), Moody::new(Mood::Well));
    let tokens = Tokens::open(folder.path().join("tokens.jsonl"), Arc::new(SystemClock)).unwrap();
    let token = NewToken { role: Role::Operator, note: None, expires_at: None };
    let token = tokens.create(token, "test").unwrap().text;
    let parts = Parts {
        config: flagmeter_queries::Config { reads_max: 1, ..flagmeter_queries::Config::default() },
        store: Arc::clone(&store) as Arc<dyn Store>,
        ledger: None,
        tokens: Arc::new(tokens),
        registry: watch::channel(Arc::new(Registry::default())).1,
        in_flight: None,
        stopping: watch::channel(()).1,
        clock: Arc::new(SystemClock),
        metrics: &prometheus::Registry::new(),
    };
    let router = flagmeter_queries::router(parts, Router::new()).unwrap().merge(working_with(&store));
    {
        let mut query = pin!(ask(&router, QUESTION, &token));
        tokio::select! {
            answer = &mut query => panic!("its read never ends: {answer:?}"),
            () = store.read.notified() => {}
        }
        let (status, why) = ask(&router, QUESTION, &token).await;
        assert!(status == 503 && why.contains("urn:flagmeter:problem:busy"), "there is one turn: {why}");
        assert_eq!(readyz(&router).await, well());
    }
    store.becomes(Mood::Never);
    tokio::time::advance(STANDS_FOR).await;
    // Of the look before.
    store.looked_at.notified().await;
    let mut look = pin!(readyz(&router));
    tokio::select! {
        answer = &mut look => panic!("it never ends: {answer:?}"),
        () = store.looked_at.notified() => {}
    }
    tokio::select! {
        answer = ask(&router, QUESTION, &token) => panic!("its read never ends: {answer:?}"),
        () = store.read.notified() => {}
    }
}
