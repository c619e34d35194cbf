//! A topic of one partition, as one sequence of records that is kept for ever: appended to by whoever took it over last,
//! a transaction after the other, and read from its beginning by as many as want to.
//!
//! Unlike the log of the edges, where a point that comes twice is known by its identity, nothing here may come twice,
//! and what is appended depends on what is there. So whoever appends takes the sequence over
//! ([`Writer::take_over`]), reads it to its end ([`Bounds`], [`Reader`]), decides, and appends ([`Writer::append`]).
//!
//! # Invariants
//!
//! - Once a writer has taken over, nothing of those before it is appended any more: what they had not committed is given
//!   up, what they had is there, and each of their calls fails. So between a takeover and a commit that succeeds nobody
//!   else has appended.
//! - A writer that met any error has to take over again: only that tells what became of what it sent.
//! - The end that [`Bounds`] tells lies behind every record whose append returned before it was asked, also where the
//!   mark of the commit is still on its way. A reader whose [position](Reader::position) is there has handed them all out.
//! - A reader never steps over a record: a place that is gone is an error.

mod reader;
mod writer;

use super::{
    Config,
    topic::{self, Created, Settings},
};
use crate::{Error, Result};

pub use reader::{Bounds, Item, Reader};
pub use writer::Writer;

/// What the topic of a sequence is to be like: one partition, kept for ever.
pub fn settings(replication: u16, min_insync_replicas: u16) -> Settings {
    Settings { partitions: 1, replication, min_insync_replicas, retention: Settings::FOR_EVER }
}

/// Makes the topic, or checks the one that is there.
pub async fn create(config: &Config, settings: &Settings) -> Result<Created> {
    let created = topic::create(config, settings).await?;
    check(config, settings).await?;
    Ok(created)
}

/// Checks that the topic is there and as a sequence needs it. [`Error::Topic`] says what is wrong and how to mend it.
pub async fn check(config: &Config, settings: &Settings) -> Result<()> {
    match topic::check(config, settings).await? {
        1 => Ok(()),
        partitions => Err(Error::Topic {
            topic: config.topic.clone(),
            reason: format!(
                "it has {partitions} partitions, and what is in order has one: see that nothing else uses it, delete it, \
                 and make it again with `flagmeter topic create`"
            ),
        }),
    }
}
