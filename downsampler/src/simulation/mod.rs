//! Promise 3, driven through arbitrary interleavings: raw = 1m = 15m = 1h = totals = ledger, once quiet, and at every
//! moment for what is called whole, or closed.
//!
//! `PROPTEST_CASES=20000 cargo test -p flagmeter-downsampler` looks longer.

mod action;
mod model_ledger;
mod model_store;
mod seat;
mod world;

use std::{future::Future, sync::Arc};

use flagmeter_ledger::EmbeddedLedger;
use flagmeter_model::SystemClock;
use flagmeter_store::embedded::{self, EmbeddedStore};
use proptest::prelude::*;

use crate::Config;
pub(crate) use action::Action;
pub(crate) use model_ledger::ModelLedger;
pub(crate) use model_store::ModelStore;
pub(crate) use world::World;

fn cases(cases: u32) -> ProptestConfig {
    let mut config = ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config
}

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn model(config: Config) -> World {
    World::over(Arc::new(ModelStore::default()), Arc::new(ModelLedger::default()), config)
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn all_tiers_agree_whatever_happens(actions in prop::collection::vec(Action::any(), 1..150)) {
        let mut world = model(action::config());
        wait(async {
            for action in &actions {
                world.act(action).await;
                world.check_moment().await;
            }
            world.settle().await;
        });
    }

    #[test]
    fn several_downsamplers_at_once_lose_nothing(
        actions in prop::collection::vec(Action::race(), 1..100),
        hasty in any::<bool>(),
    ) {
        let mut world = model(if hasty { action::hasty() } else { action::config() });
        wait(async {
            // So that there are whole hours to be late for.
            world.settle().await;
            for action in actions.iter().flatten() {
                world.act(action).await;
                world.check_moment().await;
            }
            world.settle().await;
        });
    }
}

/// One downsampler stands still anywhere on its way through closing an hour; a count comes late for that hour, and
/// another downsampler goes any part of its way with it.
#[test]
fn a_late_count_is_billed_wherever_two_downsamplers_stand() {
    let deliver = [Action::Seal { node: 0 }, Action::Seal { node: 1 }].into_iter().chain(
        (0..2).flat_map(|node| (0..2).map(move |partition| Action::Deliver { node, partition, records: 9 })),
    );
    let count = |age_seconds| Action::Count { node: 0, environment: 0, series: 0, age_seconds, count: 1 };
    for (first, second) in (0..40).flat_map(|first| (0..52).map(move |second| (first, second))) {
        let mut world = model(Config { grace: action::config().grace, ..Config::default() });
        let turn = |downsampler, turns| Action::Turn { downsampler, turns };
        let until_the_hour_is_due = [count(0), Action::Pass { seconds: 4_000 }];
        let story = until_the_hour_is_due
            .into_iter()
            .chain(deliver.clone())
            .chain([turn(0, first), count(4_000)])
            .chain(deliver.clone())
            .chain([turn(1, second), turn(0, 60), turn(1, 60)]);
        wait(async {
            world.settle().await;
            for action in story {
                world.act(&action).await;
            }
            world.settle().await;
        });
    }
}

/// What the models cannot show: that the embedded store and ledger keep the contracts that they spell out.
fn over_the_embedded_store(config: Config, act: impl AsyncFnOnce(&mut World)) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = embedded::Config::new(folder.path().join("store.sqlite"));
    let store = EmbeddedStore::open(store, Arc::new(SystemClock)).expect("a store");
    let ledger = flagmeter_ledger::Config { path: folder.path().join("ledger.sqlite") };
    let ledger = EmbeddedLedger::open(&ledger).expect("a ledger");
    let mut world = World::over(Arc::new(store), Arc::new(ledger), config);
    wait(async {
        act(&mut world).await;
        world.settle().await;
    });
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn all_tiers_agree_over_the_embedded_store(actions in prop::collection::vec(Action::any(), 1..150)) {
        over_the_embedded_store(action::config(), async |world| {
            for some in actions.chunks(10) {
                for action in some {
                    world.act(action).await;
                }
                world.check_moment().await;
            }
        });
    }

    #[test]
    fn several_downsamplers_at_once_lose_nothing_over_the_embedded_store(
        actions in prop::collection::vec(Action::race(), 1..100),
    ) {
        over_the_embedded_store(action::hasty(), async |world| {
            world.settle().await;
            for some in actions.chunks(10) {
                for action in some.iter().flatten() {
                    world.act(action).await;
                }
                world.check_moment().await;
            }
        });
    }
}
