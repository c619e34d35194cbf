//! The edge as its senders, its operator and its log see it.

mod bad_input;
mod bounds;
mod counting;
mod crashes;
mod encoding;
mod harness;
