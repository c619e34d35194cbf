//! What was found goes to the ledger.

use std::collections::VecDeque;

use flagmeter_ledger::{Alert, Alerted, Error, Ledger, Said};
use flagmeter_model::Clock;
use flagmeter_store::Store;
use tracing::{error, info, warn};

use super::{contributors::contributors, metrics::Metrics};
use crate::{Result, webhook};

/// Tells the ledger what was found, in order; what is not told yet is left there.
pub(super) async fn tell(
    found: &mut VecDeque<Alerted>,
    (store, ledger): (&dyn Store, &dyn Ledger),
    clock: &dyn Clock,
    metrics: &Metrics,
) -> Result<()> {
    while let Some(next) = found.front_mut() {
        if next.said == Said::Began && next.contributors.is_empty() {
            match contributors(store, next).await {
                Ok(contributors) => next.contributors = contributors,
                // An alert without them is worth more than none.
                Err(error) => {
                    metrics.failures.inc();
                    warn!(%error, id = next.id(), "an alert is told without what it comes from");
                }
            }
        }
        let told = ledger.alert(vec![next.clone()], clock.now()).await;
        let alerts = match told {
            // One that cannot be must not keep back all others.
            Err(Error::Refused(why)) => {
                metrics.failures.inc();
                error!(why, "an alert is left out: please report this");
                Vec::new()
            }
            told => told?,
        };
        found.pop_front();
        for alert in alerts {
            metrics.told(&alert);
            let (id, what) = (alert.id(), webhook::what(&alert.alerted));
            let Alert { alerted: Alerted { observed, expected, low, high, excess, .. }, muted, .. } = alert;
            let muted = muted.map(tracing::field::display);
            info!(observed, expected, low, high, excess, id, muted, "{what}");
        }
    }
    Ok(())
}
