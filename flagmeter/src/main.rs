//! flagmeter: counts feature-flag evaluations, each one exactly once, from the SDK to the invoice.
//!
//! # The way of a count through this crate
//!
//! This crate does not touch counts. It reads the configuration ([`config`]), takes the data folder, opens the
//! embedded log and store, starts the stages on them and stops them in the order in which a count goes
//! ([`serve`]): the listener, the edge, ingest, the downsampler, the store. Or it starts one stage alone, on Kafka
//! and InfluxDB (`stage`), whose topics and buckets it makes ([`topic`], [`store`]). It watches the registry's file
//! for them ([`registry`]). Beside the server it holds what people use around one: a load that speaks like SDKs do
//! ([`send`]), the proof that all answers agree ([`audit`]), tokens ([`token`]), live rates in the terminal ([`top`]),
//! planned mutes ([`mute`]),
//! what would have been said of a file of counts ([`bursts`]), what runtime flags are ([`flags`]), and all of it at once ([`demo`]).
//!
//! What goes in: a command line, settings, a registry, signals. What comes out: one clear sentence and an exit
//! status.
//!
//! # Invariants
//!
//! - Only this crate writes to the terminal, through [`output`], and through [`top`] while its screen is on it.
//! - A setting is declared once, in the table of [`config`].
//! - What was acknowledged survives every way in which the process can end; the order of shutdown only makes
//!   the next start shorter.

mod asking;
mod audit;
mod bursts;
mod cli;
mod config;
mod demo;
mod doctor;
mod error;
mod flags;
mod http;
mod mute;
mod output;
mod process;
mod registry;
mod send;
mod serve;
mod signals;
mod source;
#[cfg(feature = "kafka")]
mod stage;
mod store;
mod token;
mod top;
mod topic;
mod traces;

pub(crate) use error::{Error, Result};

fn main() -> std::process::ExitCode {
    cli::run()
}
