//! Traces: the way of a batch as spans, exported over OTLP in builds with the feature `otel`.
//!
//! The crates make spans with `tracing` and know no more. What they are on the wire is decided here: [`requests`] decides
//! which requests are traced, [`layer`] makes OpenTelemetry's spans of `tracing`'s, [`ids`] says to which trace a seal belongs,
//! in whichever process, and [`export`] hands them on through a bounded queue. A collector that is slow or away costs spans,
//! which are counted, and holds nothing up.
//!
//! Without an endpoint nothing of it is there, and every span macro is a look at a flag.

#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "otel")]
mod ids;
#[cfg(feature = "otel")]
mod layer;
#[cfg(feature = "otel")]
mod otlp;
#[cfg(feature = "otel")]
mod requests;
#[cfg(feature = "otel")]
mod sampling;
#[cfg(feature = "otel")]
mod set_up;
#[cfg(not(feature = "otel"))]
mod without;

use tracing::Metadata;

#[cfg(not(feature = "otel"))]
pub(crate) use self::without::{check, exporter, of_requests, start, tell, traceparent};
#[cfg(feature = "otel")]
pub(crate) use self::{
    layer::traceparent,
    requests::of_requests,
    set_up::{check, exporter, start, tell},
};

/// A layer over all that is said.
pub(crate) type BoxedLayer = Box<dyn tracing_subscriber::Layer<tracing_subscriber::Registry> + Send + Sync>;

/// The least important spans that are made. All of ours are of this level.
#[cfg(feature = "otel")]
const LEVEL: tracing::level_filters::LevelFilter = tracing::level_filters::LevelFilter::INFO;

/// Whether this is a span of ours. Spans are for traces alone: log lines do not show them.
pub(crate) fn is_span_of_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("flagmeter")
}
