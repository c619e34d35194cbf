//! The built binary, started as a process and spoken to over HTTP: what a user sees, end to end.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says why")]
#![expect(clippy::print_stdout, reason = "what repeats a run is told with its failure")]

mod billing;
mod bursts;
mod cluster;
mod demo;
mod doctor;
mod faults;
mod flags;
mod http;
mod kill;
mod late;
mod mutes;
mod proxy;
mod registry;
mod requests;
mod send;
mod server;
mod shutdown;
mod start;
mod thresholds;
mod tokens;
mod top;
#[cfg(feature = "otel")]
mod traces;
