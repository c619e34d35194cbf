//! What is too much for one answer: it is counted inside the database, or asked for piece by piece.

use std::{collections::BTreeSet, sync::Arc};

use flagmeter_model::{Environment, ManualClock, Meter, Tier};

use super::server::Buckets;
use crate::{
    Axis, Filter, NewMark, Read, Store, TierChoice,
    conformance::fixture::{HOUR, MINUTE, at, environment, window},
    influx::InfluxStore,
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
    let read = Read {
        meter: Meter::Evaluations,
        edges: vec![at(0), at(HOUR)],
        filter: Filter::default(),
        group_by: Vec::new(),
        tiers: TierChoice::Cover,
        axis: Axis::Any,
        groups_max: 1,
    };
    assert_eq!(store.read(&read).await.unwrap().rows[0].counts, [0]);
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
