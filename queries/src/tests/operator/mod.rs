//! What operators see, over HTTP.

pub(super) mod bursts;
mod nodes;
mod pipeline;
mod top;
