//! What operators see, over HTTP.

mod nodes;
mod pipeline;
mod top;
