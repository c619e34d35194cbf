//! A build without the feature `otel`: nothing is exported, and whoever wants it is told so.

use std::future::Ready;

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::BoxedLayer;
use crate::{Result, config::Config};

/// Says what somebody may wait for in vain.
pub(crate) fn tell(_config: &Config) {
    if std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some_and(|endpoint| !endpoint.is_empty()) {
        tracing::warn!(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and this build of flagmeter exports no traces: build it with `--features otel`"
        );
    }
}

/// Never anything to run.
#[derive(Debug)]
pub(crate) enum Exporter {}

impl Exporter {
    pub(crate) fn run(self, _stop: CancellationToken) -> Ready<Result<()>> {
        match self {}
    }
}

/// An endpoint that is set is refused: else somebody would wait for spans that never come.
pub(crate) fn check(endpoint: &str) -> Result<(), (&'static str, String)> {
    if endpoint.is_empty() {
        return Ok(());
    }
    let why = "this build of flagmeter exports no traces: build it with `--features otel`, or leave it empty";
    Err(("traces.endpoint", why.into()))
}

#[expect(clippy::unnecessary_wraps, reason = "it can fail where the feature is")]
pub(crate) fn start(_config: &Config, _process: &str) -> Result<Option<BoxedLayer>> {
    Ok(None)
}

#[expect(clippy::unnecessary_wraps, reason = "it can fail where the feature is")]
pub(crate) fn exporter(_metrics: &prometheus::Registry) -> Result<Option<Exporter>> {
    Ok(None)
}

/// Nothing is traced.
pub(crate) fn traceparent() -> Option<String> {
    None
}

pub(crate) fn of_requests(router: Router) -> Router {
    router
}

#[cfg(test)]
mod tests {
    use crate::config::SettingArgs;

    #[test]
    fn an_endpoint_is_refused_with_what_to_do() {
        let load = |endpoint: &str| {
            let set = vec![format!("traces.endpoint={endpoint}")];
            SettingArgs { set, ..SettingArgs::default() }.load_from(std::iter::empty())
        };
        assert!(load("").is_ok());
        let refused = load("http://127.0.0.1:4318").unwrap_err().to_string();
        assert!(refused.contains("traces.endpoint") && refused.contains("--features otel"), "{refused}");
    }
}
