//! The whole of it over HTTP, on the real embedded store.

mod access;
mod bench;
mod billing;
mod flags;
mod nodes;
mod openapi;
mod problems;
mod reconcile;
mod silent;
mod usage;
mod zones;
