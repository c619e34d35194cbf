//! A fleet of SDK clients that keeps counting.

use std::{sync::Arc, time::Duration};

use flagmeter_model::Clock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cast::{Role, roles};
use crate::{
    http::Url,
    send::{Flags, Live, Load, Shape},
};

/// How long one round of a shape takes; then it starts again.
const ROUND: Duration = Duration::from_mins(5);

/// The clients at work.
pub(super) struct Fleet(JoinSet<()>);

impl Fleet {
    /// Lets them loose, with about `rate` posts a second together.
    pub(super) fn start(
        url: &Url,
        rate: f64,
        clock: &Arc<dyn Clock>,
        live: &Arc<Live>,
        stop: &CancellationToken,
    ) -> Self {
        let mut clients = JoinSet::new();
        for role in roles() {
            let (load, clock, live, stop) =
                (load(url, rate, role), Arc::clone(clock), Arc::clone(live), stop.clone());
            clients.spawn(async move {
                while !stop.is_cancelled() {
                    let _tally = load.clone().run(Arc::clone(&clock), Arc::clone(&live), stop.clone()).await;
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
    let flags = role.project.flags;
    Load {
        url: url.clone(),
        door: role.environment.door,
        keys: vec![role.key()],
        sdk: role.environment.sdk.to_owned(),
        flags: Arc::new(Flags::named(flags.iter().map(ToString::to_string).collect())),
        entries: flags.len().min(4),
        rate: Some(rate * role.environment.share),
        shape: if role.environment.bursts { Shape::Burst } else { Shape::Steady },
        clients: 4,
        duration: ROUND,
        record: None,
    }
}
