//! /metrics, on an address of its own with /healthz and /readyz, and without a token.

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{
    Encoder as _, IntGauge, Opts, Registry, TextEncoder, core::Collector, process_collector::ProcessCollector,
};

use super::readiness::{self, Readiness};
use crate::{Error, Result};

/// A process's metrics, with what it is, and what the kernel tells of it: memory, processor time, open files.
pub(crate) fn of_process() -> Result<Registry> {
    let registry = Registry::new();
    let refused = |error: prometheus::Error| Error::System(std::io::Error::other(error));
    registry.register(Box::new(ProcessCollector::for_self())).map_err(refused)?;
    let build = Opts::new("flagmeter_build_info", "Always 1; the label says which version runs.")
        .const_label("version", env!("CARGO_PKG_VERSION"));
    register(&registry, IntGauge::with_opts(build))?.set(1);
    Ok(registry)
}

/// Registers a metric. Fails only where two have one name, which is a mistake in the program.
pub(crate) fn register<M: Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<M>,
) -> Result<M> {
    let refused = |error: prometheus::Error| Error::System(std::io::Error::other(error));
    let metric = metric.map_err(refused)?;
    registry.register(Box::new(metric.clone())).map_err(refused)?;
    Ok(metric)
}

/// The routes of the metrics' address.
pub(crate) fn router(registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route("/metrics", get(move || async move { exposition(&registry) }))
        .merge(readiness::router(readiness))
}

fn exposition(registry: &Registry) -> Response {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
