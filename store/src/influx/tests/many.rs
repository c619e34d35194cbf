//! What is too much for one answer: it is counted inside the database, or asked for piece by piece.

use std::{collections::BTreeSet, sync::Arc};

use flagmeter_model::{Environment, ManualClock, Meter, Tier, Timestamp};

use super::{
    server::Buckets,
    stub::{END, Reply, Request, Stub},
};
use crate::{
    AxisChoice, Dimension, Error, Filter, NewMark, Read, Store, TierChoice,
    conformance::fixture::{
        HOUR, MINUTE, Seal, assert_agree, at, environment, flag, roll_up, settle, window, write,
    },
    influx::{Config, InfluxStore},
};

/// A store that takes short answers only. The buckets go when they are dropped.
async fn short_of(bytes: usize) -> (Buckets, Arc<InfluxStore>) {
    let mut buckets = Buckets::new().await;
    buckets.config.answer_bytes_max = bytes;
    let store = buckets.open(&ManualClock::at(at(0))).await.unwrap();
    (buckets, store)
}

fn environments(many: usize) -> Vec<Environment> {
    (0..many).map(|number| environment(&format!("env-{number:02}")).unwrap()).collect()
}

fn sums(edges: Vec<Timestamp>, group_by: Vec<Dimension>) -> Read {
    Read {
        meter: Meter::Evaluations,
        edges,
        filter: Filter::default(),
        group_by,
        tiers: TierChoice::Cover,
        axis: AxisChoice::Any,
        groups_max: 100,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn any_number_of_marks_can_wait_and_be_cleared() {
    let (_buckets, store) = short_of(6_000).await;
    let environments = environments(20);
    let all: BTreeSet<NewMark> = (0..30)
        .flat_map(|minute| environments.iter().map(move |one| window(Tier::Minute, minute * MINUTE, one)))
        .collect();
    for _ in 0..2 {
        store.mark(&all.iter().cloned().collect::<Vec<_>>()).await.unwrap();
    }
    let state = store.state().await.unwrap();
    assert_eq!((state.dirty, state.dirty_first), (1_200, [Some(at(0)), None, None]));
    assert_eq!(store.read(&sums(vec![at(0), at(HOUR)], vec![])).await.unwrap().rows[0].counts, [0]);
    assert!(store.catalogue(Meter::Evaluations, &Filter::default(), 9).await.unwrap().is_empty());
    let mut cleared = Vec::new();
    loop {
        let marks = store.marks(Tier::Minute, at(HOUR), 50).await.unwrap();
        if marks.is_empty() {
            break;
        }
        assert!(marks.len() <= 50 && marks.iter().all(|mark| mark.tokens.len() == 2));
        store.clear(&marks).await.unwrap();
        cleared.extend(marks.into_iter().map(|mark| (mark.window, mark.environment)));
    }
    let all: Vec<_> = all.into_iter().map(|mark| (mark.window, mark.environment)).collect();
    assert_eq!(cleared, all, "each once, in order");
    assert_eq!(store.state().await.unwrap().dirty, 0);
}

/// One minute of one environment is more than an answer holds: raw points of many nodes, along both axes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn roll_ups_and_audits_take_in_pieces_what_is_too_long_for_one_answer() {
    let (_buckets, store) = short_of(10_000).await;
    let (one, a) = (environment("one").unwrap(), flag("a").unwrap());
    let seals: Vec<Seal> = (1..=60)
        .map(|node| {
            let seal = Seal::new(node, 1).unwrap().place(0, node.into());
            let slots = (0..6).chain(600..606).map(|slot| slot * 10);
            slots.fold(seal, |seal, second| seal.count(&one, &a, second, node.into()))
        })
        .collect();
    write(&*store, &seals).await.unwrap();
    roll_up(&*store, 0, 2 * HOUR).await.unwrap();
    assert_agree(&*store, &one).await.unwrap();
    let late = Seal::new(61, 1).unwrap().place(0, 61).count(&one, &a, 0, 5).count(&one, &a, 10 * MINUTE, 1);
    assert_eq!(write(&*store, &[late]).await.unwrap().dirty, 2);
    settle(&*store).await.unwrap();
    assert_agree(&*store, &one).await.unwrap();
}

/// What came late for some is asked for point by point for them alone; for more of them than are told apart, the answer
/// is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn late_counts_of_one_environment_leave_the_others_to_the_database() {
    const HOURS: i64 = 12;
    let mut buckets = Buckets::new().await;
    let clock = ManualClock::at(at(0));
    let store = buckets.open(&clock).await.unwrap();
    let (environments, a) = (environments(40), flag("a").unwrap());
    let mut expected = vec![0; environments.len()];
    let mut count = async |store: &InfluxStore, node: u16, hours: &[i64], those: &[Environment]| {
        let mut seal = Seal::new(node, 1).unwrap().place(0, node.into());
        for hour in hours {
            for (number, one) in (1..).zip(those) {
                seal = seal.count(one, &a, hour * HOUR, number);
                let place = environments.iter().position(|known| known == one).unwrap();
                expected[place] += number;
            }
        }
        write(store, &[seal]).await.unwrap();
        expected.clone()
    };
    let every: Vec<i64> = (0..HOURS).collect();
    count(&store, 1, &every, &environments).await;
    roll_up(&*store, 0, HOURS * HOUR).await.unwrap();
    buckets.config.answer_bytes_max = 16_000;
    let short = buckets.open(&clock).await.unwrap();
    let read = sums(vec![at(0), at(HOURS * HOUR)], vec![Dimension::Environment]);
    let counts = async |store: &InfluxStore| {
        let rows = store.read(&read).await.unwrap().rows;
        rows.into_iter().map(|row| row.counts[0]).collect::<Vec<_>>()
    };
    let expected = count(&store, 2, &every, &environments[..1]).await;
    settle(&*store).await.unwrap();
    assert_eq!(counts(&short).await, expected);
    let expected = count(&store, 3, &[2], &environments).await;
    settle(&*store).await.unwrap();
    assert_eq!(counts(&store).await, expected);
}

/// Who asks every second whether all is well must not wait because much else does.
#[tokio::test]
async fn frontiers_are_told_without_a_look_at_anything_that_waits() {
    let stub = Stub::new(|_| None);
    let store = stub.open().await.unwrap();
    let before = stub.requests().len();
    store.frontiers().await.unwrap();
    let asked = stub.requests().split_off(before);
    let [question] = asked.iter().map(|it| it.question().unwrap()).collect::<Vec<_>>()[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(
        question.matches(" FROM ").count(),
        question.matches("\"autogen\".\"register\"").count(),
        "{question}"
    );
}

/// Each answer is short enough, but all of them are not.
#[tokio::test]
async fn the_answers_of_one_question_have_one_bound_and_those_that_are_cut_cost_nothing() {
    let is_sum =
        |request: &Request| request.question().is_some_and(|question| question.contains("AS \"sum\""));
    let row = format!("total,,{}000000,5,acme\n", at(0).as_millis());
    let answer = format!("name,tags,time,sum,customer\n{}\n{END}", row.repeat(60));
    let length = answer.len();
    for (most, cut, expected) in [(5, 0, true), (5, 3, true), (3, 0, false)] {
        let (answer, mut cut) = (answer.clone(), cut);
        let stub = Stub::new(move |request| {
            is_sum(request).then(|| {
                let is_cut = cut > 0;
                cut -= i32::from(is_cut);
                if is_cut { Reply::Cut(answer.clone()) } else { Reply::Status(200, "", answer.clone()) }
            })
        });
        let config = Config { answer_bytes_max: length * most, ..stub.config() };
        let store = InfluxStore::open(config, Arc::new(ManualClock::at(at(0)))).await.unwrap();
        let edges = (0..=120).map(|hour| at(hour * HOUR)).collect();
        let answer = store.read(&sums(edges, vec![Dimension::Customer])).await;
        assert!(stub.requests().iter().filter(|request| is_sum(request)).count() >= 4);
        match answer {
            Ok(answer) => assert!(expected && answer.rows[0].counts[0] == 4 * 60 * 5, "{:?}", answer.rows),
            Err(error) => assert!(!expected && matches!(error, Error::TooMany { .. }), "{error}"),
        }
    }
}
