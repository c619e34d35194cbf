//! Rolls raw points up into minutes, minutes into quarters of an hour, quarters into hours; and deletes what is
//! past its retention.
//!
//! # The way of a count through this crate
//!
//! A count lies in the store as a raw point. Once the low watermark has passed the end of its minute, the minute
//! is *announced*, [rolled](flagmeter_store::Store::roll) up and called whole; so are the quarter and the hour
//! above it once all that they are made of is whole. A count that comes later finds its minute announced, and the
//! store marks the minute dirty in the same step. The dirty minute is rolled up again, then the quarter above it,
//! then the hour: normally all three within one [cycle](Downsampler::cycle), a second or two after the count came.
//!
//! [`plan()`] decides, and is pure: it takes what is known ([`State`](flagmeter_store::State), marks, the time) and
//! says which calls to the store come next. A [`Downsampler`] makes those calls, reading the state again between
//! phases, and [`run()`] repeats it every second. Every roll-up is bounded, so a long catch-up goes forward in
//! visible pieces.
//!
//! Hours that are whole, and behind the low watermark by the grace period, are *closed*: what they came to goes to the
//! [ledger](flagmeter_ledger), and so does whatever late counts make of them afterwards. That, and rolling late hours
//! up again, goes on beside all other roll-ups, which never wait for the ledger.
//!
//! Beside that, a [`Watch`] looks what customers use of their plans, and tells the ledger which thresholds are crossed;
//! [`Bursts`] looks which traffic is out of the ordinary, and tells the ledger what begins and what is over; and
//! a [`Webhook`] delivers both to an address of the operator's.
//!
//! What goes in: what ingest has written to the store. What comes out: windows of each tier, frontiers that say
//! until when they are whole, and no marks; and the ledger's rows.
//!
//! # Invariants
//!
//! - Nothing is kept in memory that matters: a cycle may be cut off after any call, and any other cycle, also one
//!   that runs at the same time elsewhere, does the rest.
//! - **Announce, read the state, roll up, advance.** Where rolling up begins is read after the announcement, so
//!   a point is either seen or marked, the very first one included.
//! - **Roll up, mark the parent, clear.** A window is rolled up again before its parent is marked, and its own
//!   mark is cleared last, by its tokens. The parent is marked whether or not anything changed: another
//!   downsampler may have made the change and died before it marked.
//! - **Announce, look for marks, read, append**; and **roll up, append, clear**. So a late count of an hour that may be
//!   closed is in what is read, or is appended by who rolled it up. While the ledger is away, the marks of late hours
//!   stay.
//! - A window is only rolled up once the finer tier is whole for all of it; marks on windows that are not yet
//!   whole wait.
//! - Nothing is deleted that a coarser tier has yet to read (see
//!   [`State::deletable`](flagmeter_store::State::deletable)), and no clock alone makes anything old: retention
//!   counts back from what is rolled up, or from now if that is earlier.

mod allowances;
mod bursts;
mod closing;
mod config;
mod cycle;
mod error;
mod metrics;
mod plan;
mod run;
#[cfg(test)]
mod simulation;
mod traces;
mod webhook;

pub use allowances::{Allowance, Allowances, Watch};
pub use bursts::{Bursts, Watched};
pub use closing::Closed;
pub use config::{Bounds, Config, Retention};
pub use cycle::CycleReport;
pub use error::{Error, Result};
pub use plan::{Phase, Plan, Step, plan};
pub use run::{Downsampler, run};
pub use webhook::{Secret, Webhook, WebhookConfig};
