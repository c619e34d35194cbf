//! What operators see, over HTTP.

pub(super) mod bursts;
mod mutes;
mod nodes;
mod pipeline;
mod top;
