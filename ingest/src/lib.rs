//! Ingest: from the log into the store, in order, no record skipped.
//!
//! # The way of a count through this crate
//!
//! Five verbs, each a module, in this order:
//!
//! 1. **read**: records from the log, from where the store has got to.
//! 2. **decode**: each record becomes a batch, or a reason why it does not. This is most of the work: it is done on
//!    several threads, while the store writes the step before.
//! 3. **aggregate**: batches and dead letters become one step with the positions after it.
//! 4. **write**: the store takes the step, whole; some of it ahead of its turn, while the step before is written. What it
//!    cannot take now is offered again until it does; a record that it never takes goes to the dead letters with its
//!    reason and its bytes.
//! 5. **commit**: the log hears that everything before these positions is stored.
//!
//! What goes in: bytes from the log. What comes out: points, progress of nodes, positions and dead letters in the
//! store.
//!
//! # Invariants
//!
//! - One step is written at a time, and a position is committed only after the store took all before it. So a
//!   crash at any instruction repeats records, and never skips one; what is repeated overwrites itself.
//! - A record that cannot be read never blocks those behind it, and never vanishes.
//! - Bounded: what is read and not yet written is at most three steps and the rest of one read.
//! - What was read is stored while the log does not answer; it hears of it afterwards.
//! - After `stop` what was read is stored, and with [`AtStop::Drain`] all that the log has, in [`Config::drain_max`] at
//!   most.

mod aggregate;
mod commit;
mod config;
mod decode;
mod error;
mod in_hand;
mod metrics;
mod patience;
mod pipeline;
mod read;
mod stall;
#[cfg(test)]
mod tests;
mod traces;
mod write;

use std::sync::Arc;

use flagmeter_log::Consumer;
use flagmeter_model::Clock;
use flagmeter_store::Store;
use tokio_util::sync::CancellationToken;

pub use config::{AtStop, Config};
pub use error::{Error, Result};

use self::{metrics::Metrics, pipeline::Pipeline, stall::Progress};

/// Moves records from the log into the store until `stop`; then it stores what it has read, and with
/// [`AtStop::Drain`] goes on until a read returns nothing.
///
/// Goes on through whatever may pass: a store or a log that does not answer is asked again, ever less often.
/// Returns an error where going on would lose or break something: a store that is damaged or closed, a log that is
/// closed, or [`Error::Undrained`] when the time to drain was over. The records stay in the log; the next run
/// goes on with them.
pub async fn run(
    config: Config,
    consumer: Box<dyn Consumer>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: &prometheus::Registry,
    stop: CancellationToken,
) -> Result<()> {
    let metrics = Metrics::register(metrics)?;
    let progress = Progress::new();
    let drain_max = config.drain_max;
    let watch = stall::watch(&progress, config.stall_after, clock.as_ref(), &metrics);
    let time_is_up = async {
        stop.cancelled().await;
        tokio::time::sleep(drain_max).await;
    };
    let pipeline =
        Pipeline { config, store, clock: Arc::clone(&clock), metrics: &metrics, progress: &progress };
    tokio::select! {
        biased;
        done = pipeline.run(consumer, &stop) => done,
        never = watch => match never {},
        () = time_is_up => Err(Error::Undrained { seconds: drain_max.as_secs() }),
    }
}
