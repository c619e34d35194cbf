//! A fleet of SDK clients that keeps counting.

use std::{sync::Arc, time::Duration};

use flagmeter_model::Clock;
use rand::Rng as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cast::{ENTRIES, Role, roles};
use crate::{
    http::Url,
    send::{Flags, Live, Load, Shape},
};

/// How long one round takes; the next one has the rate of its time of the day.
const ROUND: Duration = Duration::from_mins(5);
/// Where traffic bursts, one round in so many does.
const ROUNDS_A_BURST: u32 = 12;

/// The clients at work.
pub(super) struct Fleet(JoinSet<()>);

impl Fleet {
    /// Lets them loose, with about `rate` posts a second together where all of them have noon.
    pub(super) fn start(
        url: &Url,
        rate: f64,
        clock: &Arc<dyn Clock>,
        live: &Arc<Live>,
        stop: &CancellationToken,
    ) -> Self {
        let mut clients = JoinSet::new();
        for role in roles() {
            let (url, clock, live, stop) = (url.clone(), Arc::clone(clock), Arc::clone(live), stop.clone());
            clients.spawn(async move {
                while !stop.is_cancelled() {
                    let load = load(&url, role.posts_per_second(rate, clock.now()), role);
                    let _tally = load.run(Arc::clone(&clock), Arc::clone(&live), stop.clone()).await;
                }
            });
        }
        Self(clients)
    }

    /// Waits until all have finished what they had begun.
    pub(super) async fn finish(self) {
        self.0.join_all().await;
    }
}

fn load(url: &Url, rate: f64, role: Role) -> Load {
    let flags: Vec<String> = role.flags_in_use().map(|flag| flag.name.to_owned()).collect();
    let bursts = role.environment.bursts && rand::rng().random_ratio(1, ROUNDS_A_BURST);
    Load {
        url: url.clone(),
        door: role.environment.door,
        keys: vec![role.key()],
        sdk: role.environment.sdk.to_owned(),
        entries: flags.len().min(ENTRIES),
        flags: Arc::new(Flags::named(flags)),
        rate: Some(rate),
        shape: if bursts { Shape::Burst } else { Shape::Steady },
        clients: 4,
        duration: ROUND,
        record: None,
    }
}
