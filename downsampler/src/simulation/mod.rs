//! Promise 3, driven through arbitrary interleavings: raw = 1m = 15m = 1h = totals, once quiet, and at every
//! moment for what is called whole.

mod model_store;
mod world;

use std::{future::Future, sync::Arc};

use proptest::prelude::*;

use model_store::ModelStore;
use world::{Action, World};

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn all_tiers_agree_whatever_happens(actions in prop::collection::vec(Action::any(), 1..150)) {
        let mut world = World::over(Arc::new(ModelStore::default()), world::config());
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
        let config = if hasty { world::hasty() } else { world::config() };
        let mut world = World::over(Arc::new(ModelStore::default()), config);
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
