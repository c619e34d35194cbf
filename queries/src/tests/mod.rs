//! The whole of it over HTTP, on the real embedded store.

mod access;
mod bench;
mod billing;
mod bursts;
mod chart;
mod embed;
mod flags;
mod isolation;
pub(crate) mod live;
mod openapi;
mod operator;
mod page;
mod plain;
mod problems;
mod reconcile;
mod session;
pub(crate) mod silent;
mod usage;
mod zones;
