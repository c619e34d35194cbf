//! The log as a topic of Apache Kafka: for edges, ingesters and brokers in as many processes and regions as needed.
//!
//! # The way of a record through this module
//!
//! A [`Producer`] makes one transaction of each append: it begins, sends all records, and asks for the commit until
//! it knows what became of it. What must be given up is given up and said to be [`Unavailable`](crate::Error); the
//! caller offers the same records again. Readers see a transaction whole or not at all.
//!
//! A [`Consumer`] is a member of a group that shares the topic's partitions. A thread of its own fetches what
//! comes, bounded in bytes, and hands partitions over when the group asks for it, however slow the store is. A read
//! takes from what was fetched, a partition at a time in turn. A commit goes to the broker for those partitions that
//! are still its own. What was fetched of a partition that has gone is dropped; its new owner begins where it was
//! committed last.
//!
//! [`topic`] makes the topic, and checks that it is as the promises need it; before that it is seen whether the
//! brokers can be spoken to at all (the module `reach`). A [`sequence`] is a topic of another kind, beside the log of the
//! edges: the ledger is kept in one.
//!
//! # How librdkafka is asked
//!
//! Its calls block, so they are made on blocking threads or on the consumer's own; none is made on an async thread.
//! Seeking and taking over what was fetched happen on one thread, because a seek beside a fetch could skip
//! records; commits and questions may come from any.
//!
//! # Invariants
//!
//! - A node's number belongs to the producer that was opened last: an earlier one is fenced by the broker, and finds
//!   that out with its next append ([`Fenced`](crate::Error::Fenced)). A producer that the broker gave up only because
//!   it took too long, as after a machine slept, goes on (see the module `claim`).
//! - An append whose end is not known is asked about before anything else is appended. Only where the client had to be
//!   made anew meanwhile there is nobody to ask: then records may be there twice, with the same identity.
//! - Positions between the records belong to Kafka's own marks. So how far fetching is, is told by the client and not
//!   by the last record, and a read without a wait returns nothing only once the client is at the end.
//! - What a consumer holds is bounded by [`Config::prefetch_bytes_max`]; beyond it fetching pauses, the membership
//!   does not.
//! - A consumer that gets nothing of a partition while there is something is made anew, and says so.
//! - A log that goes on before where a consumer was has been cut: what has those places now is read, and it is said.
//! - Unlike in the embedded log, time takes records that are not committed as well: what lies longer than the topic's
//!   retention is lost. It is said as an error, and counted, when a consumer finds its place gone.

mod broker;
mod claim;
mod config;
mod consumer;
mod fenced;
mod lane;
mod membership;
mod metrics;
mod poller;
mod prefetch;
mod producer;
mod reach;
pub mod sequence;
#[cfg(test)]
mod tests;
pub mod topic;
mod transactions;

pub use config::Config;
pub use consumer::Consumer;
pub use producer::Producer;
