//! Bursts: traffic that is out of the ordinary, watched beside the cycles, so that nothing of it holds roll-ups or closing
//! up.
//!
//! Every few seconds the counts of the last tens of seconds are read, of all environments in one question, and each
//! environment's detector ([`flagmeter_bursts`]) is fed with them; so are those of projects and customers, with the sums.
//! What the same minutes of earlier weeks were is read every five minutes. What begins and what is over goes to the
//! ledger, which keeps each once, whoever finds it.
//!
//! The largest flags of the largest environments are watched as well, one by one, once a minute and by themselves: whatever
//! becomes of that, environments are watched.
//!
//! # After a restart
//!
//! Nothing is kept but the ledger. A detector has all that it remembers from the last week, so it is fed with that again:
//! the week in minutes, and the last hour as finely as it came. In that hour it goes on from what the ledger says
//! was told of its series last. So what was found before is not found anew, what began while nobody watched is told
//! now, and what goes on is seen to end.
//!
//! # What somebody else told who is gone
//!
//! What goes on in the ledger and is not seen here keeps later ones from being told. So after ten minutes a detector takes
//! it over, as after a restart, and says when it is over. Who told of it may be there and see it otherwise: then it is over
//! sooner than he says, and the next one is told.
//!
//! # What outlasts its mute
//!
//! What was muted when it began is told again at a look that sees it go on and no mute in force for it. Which these are the
//! ledger says at each look, so nothing of that is kept here either; and the ledger decides, so it is told once.

mod bunch;
mod choice;
mod contributors;
mod counts;
mod customer;
mod environments;
mod flags;
mod learning;
mod metrics;
mod muted;
mod panel;
mod series;
mod tell;
#[cfg(test)]
mod tests;
mod unanswered;
mod waiting;
mod weeks;

use std::sync::{Arc, atomic::AtomicI64};

use environments::Environments;
use flagmeter_ledger::Ledger;
use flagmeter_model::{Clock, Name};
use flagmeter_store::Store;
use flags::Flags;
use metrics::Metrics;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::Result;

/// What began so long ago is still told, where nobody watched meanwhile.
const CATCH_UP_SECONDS: i64 = 3_600;
/// After the end of one its detector keeps quiet for so long.
const COOL_DOWN_SECONDS: i64 = 900;
/// Whoever has fallen behind by more than this begins anew.
const BEHIND_SECONDS_MAX: i64 = 2 * 3_600;

/// What was told to go on by somebody else and is not seen here is stale after so long.
const STALE_SECONDS: i64 = 600;

/// Tells whether bursts of a customer are looked for now.
pub type Watched = dyn Fn(&Name) -> bool + Send + Sync;

/// Until when all that was found of environments is told, in milliseconds.
type Until = Arc<AtomicI64>;

/// Who watches traffic. Several of them do no harm.
pub struct Bursts {
    environments: Environments,
    flags: Flags,
}

impl Bursts {
    /// Watches all environments of a store, and as many `flags` of each of the largest. Customers that are not watched
    /// are in silence: nothing is told to begin.
    pub fn new(
        (store, ledger): (Arc<dyn Store>, Arc<dyn Ledger>),
        is_watched: Box<Watched>,
        flags: usize,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Self> {
        let (metrics, is_watched, until) =
            (Metrics::register(registry)?, Arc::from(is_watched), Until::default());
        let parts = || (Arc::clone(&store), Arc::clone(&ledger));
        let flags = Flags::new(
            parts(),
            flags,
            Arc::clone(&is_watched),
            Arc::clone(&clock),
            metrics.clone(),
            Arc::clone(&until),
        );
        Ok(Self { environments: Environments::new(parts(), is_watched, clock, metrics, until), flags })
    }

    /// Looks every few seconds until `stop`. Safe to be dropped at any time.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        tokio::join!(self.environments.run(&stop), self.flags.run(&stop));
        Ok(())
    }
}
