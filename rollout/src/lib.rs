//! Flagmeter's own settings that change while it runs: runtime flags, evaluated in memory.
//!
//! # The way of a decision through this crate
//!
//! A file that follows flagd's definition format becomes a [`Definition`]: each flag with its state, its variants and
//! its targeting rule, which is `JsonLogic` with flagd's own operations, compiled once and bounded in depth and size.
//! [`Definition::evaluate`] answers a flag key and a [`Context`] with an [`Evaluation`]: value, variant and [`Reason`],
//! in OpenFeature's terms. [`RuntimeFlags`] holds the definition in use and asks it for the flags of flagmeter's own
//! [`CATALOGUE`], each with a type and a safe default that is compiled in.
//!
//! What goes in: the text of a file, whoever wrote it, and customers' names. What comes out: a decision, always.
//!
//! # Invariants
//!
//! - No I/O, no async. Where the text comes from is the business of the binary.
//! - A decision never fails: what cannot be evaluated is the safe default, with the reason `ERROR`.
//! - The same definition, flag, context and second give the same decision in every process, for ever. `fractional` assigns
//!   as flagd does, so that flagd's own tools can be asked what flagmeter will do.
//! - A text that cannot be used changes nothing: the definition before it goes on.
//! - What a rule may cost is bounded: its depth, its size, its steps and the length of the texts that it makes.

mod catalogue;
mod context;
mod definition;
mod error;
mod evaluation;
mod exposures;
mod metrics;
mod murmur;
mod notice;
mod rule;
mod runtime;

pub use catalogue::{CATALOGUE, Compression, OwnFlag, Takes};
pub use context::Context;
pub use definition::{Definition, Flag};
pub use error::{Error, Result};
pub use evaluation::{ErrorCode, Evaluation, Failure, Reason};
pub use exposures::Exposure;
pub use notice::Notice;
pub use runtime::{RuntimeFlags, Taken};
