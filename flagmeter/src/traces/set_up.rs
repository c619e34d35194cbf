//! Traces of this process: from the settings to the layer that makes spans, and to who exports them.

use std::{
    env,
    sync::{Mutex, OnceLock, PoisonError},
};

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::{Resource, resource::EnvResourceDetector};
use prometheus::IntCounter;
use tracing_subscriber::{Layer as _, filter};

use super::{
    BoxedLayer, LEVEL,
    export::{self, Counts, Exporter},
    is_span_of_ours,
    layer::{Spans, Systems},
    otlp,
    sampling::{Requests, Share},
};
use crate::{Error, Result, config::Config, process::metrics};

/// Our own setting: a base.
const SETTING: &str = "traces.endpoint";
/// Taken where that is not set: the address of traces alone, which is meant as it is, and then the base of all signals.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ALL_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// There is one subscriber in a process, and so one of these.
static STARTED: OnceLock<Started> = OnceLock::new();

#[derive(Debug)]
struct Started {
    requests: Requests,
    counts: Counts,
    /// Until it runs.
    exporter: Mutex<Option<Exporter>>,
}

/// Whether spans can be exported there; else the setting to mend, and why.
pub(crate) fn check(endpoint: &str) -> Result<(), (&'static str, String)> {
    if endpoint.is_empty() {
        return Ok(());
    }
    otlp::below(endpoint).map(drop).map_err(|why| (SETTING, why))
}

/// The layer that makes spans, if they are exported; `process` is which of ours this is.
pub(crate) fn start(config: &Config, process: &str) -> Result<Option<BoxedLayer>> {
    let section = &config.traces;
    let Some(endpoint) = endpoint(&section.endpoint, |name| env::var(name).ok()) else { return Ok(None) };
    let address = endpoint.address()?;
    let exporter = otlp::exporter(&address, &resource(process, &section.deployment));
    let exporter = exporter.map_err(|why| endpoint.refused(&why))?;
    let broken = |error: prometheus::Error| Error::System(std::io::Error::other(error));
    let counts = Counts::new().map_err(broken)?;
    let left_out = IntCounter::new(
        "flagmeter_traces_requests_left_out_total",
        "Requests that were to be traced beyond traces.requests_per_second_max, and were not.",
    );
    let per_second = section.requests_per_second_max;
    let requests = Requests::new(Share::new(section.ratio.0), per_second, left_out.map_err(broken)?);
    let (queue, exporter) = export::queue(exporter, &counts);
    let spans = Spans {
        deployment: section.deployment.clone(),
        seals: Share::new(section.seals_ratio.0),
        systems: systems(process),
        destination: destination(config, process),
        scope: InstrumentationScope::builder("flagmeter").with_version(env!("CARGO_PKG_VERSION")).build(),
        queue,
    };
    let started = Started { requests, counts, exporter: Mutex::new(Some(exporter)) };
    if STARTED.set(started).is_err() {
        return Err(Error::System(std::io::Error::other("traces were started already")));
    }
    let ours = filter::dynamic_filter_fn(|metadata, _| is_span_of_ours(metadata))
        .with_callsite_filter(|metadata| {
            if is_span_of_ours(metadata) {
                tracing::subscriber::Interest::always()
            } else {
                tracing::subscriber::Interest::never()
            }
        })
        .with_max_level_hint(LEVEL);
    Ok(Some(spans.with_filter(ours).boxed()))
}

/// Says that traces are exported, and what somebody may have set in vain.
pub(crate) fn tell(config: &Config) {
    if STARTED.get().is_none() {
        return;
    }
    let (ratio, seals_ratio) = (config.traces.ratio.0, config.traces.seals_ratio.0);
    tracing::info!(ratio, seals_ratio, "traces are exported");
    if env::var_os("OTEL_TRACES_SAMPLER").is_some() {
        tracing::warn!("OTEL_TRACES_SAMPLER is not taken: set traces.ratio and traces.seals_ratio instead");
    }
}

/// Who exports what the layer made, once; its metrics are told from then on.
pub(crate) fn exporter(registry: &prometheus::Registry) -> Result<Option<Exporter>> {
    let Some(started) = STARTED.get() else { return Ok(None) };
    metrics::register(registry, Ok(started.counts.vec.clone()))?;
    metrics::register(registry, Ok(started.requests.left_out.clone()))?;
    Ok(started.exporter.lock().unwrap_or_else(PoisonError::into_inner).take())
}

/// What decides which requests are traced, where any is.
pub(super) fn requests() -> Option<&'static Requests> {
    STARTED.get().map(|started| &started.requests)
}

/// Where spans go, as somebody set it.
#[derive(Debug, PartialEq, Eq)]
struct Endpoint {
    /// The setting or the variable that says it.
    said_by: &'static str,
    text: String,
}

impl Endpoint {
    fn address(&self) -> Result<String> {
        let address = if self.said_by == TRACES_ENDPOINT {
            otlp::as_it_is(&self.text)
        } else {
            otlp::below(&self.text)
        };
        address.map_err(|why| self.refused(&why))
    }

    /// A user and a password in it are not for logs.
    fn refused(&self, why: &str) -> Error {
        Error::Config(format!("{} is {:?}: {why}", self.said_by, otlp::told(&self.text)))
    }
}

/// The address that is set; else that of the standard's variables, as a collector's operator sets them.
fn endpoint(set: &str, variable: impl Fn(&str) -> Option<String>) -> Option<Endpoint> {
    let standard = [TRACES_ENDPOINT, ALL_ENDPOINT].into_iter();
    let standard = standard.filter_map(|said_by| Some((said_by, variable(said_by)?)));
    let mut all = std::iter::once((SETTING, set.to_owned())).chain(standard);
    let (said_by, text) = all.find(|(_, text)| !text.is_empty())?;
    Some(Endpoint { said_by, text })
}

/// Who speaks. What `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say wins.
fn resource(process: &str, deployment: &str) -> Resource {
    let ours = [
        KeyValue::new("service.name", service(process)),
        KeyValue::new("service.namespace", deployment.to_owned()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let mut builder = Resource::builder_empty().with_attributes(ours);
    builder = builder.with_detector(Box::new(EnvResourceDetector::new()));
    match env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => builder.with_service_name(name).build(),
        _ => builder.build(),
    }
}

fn service(process: &str) -> String {
    if is_whole(process) { "flagmeter".to_owned() } else { format!("flagmeter-{process}") }
}

/// Whether it has its own log and store.
fn is_whole(process: &str) -> bool {
    matches!(process, "serve" | "demo")
}

fn systems(process: &str) -> Systems {
    if is_whole(process) {
        Systems { messaging: "flagmeter", database: "flagmeter" }
    } else {
        Systems { messaging: "kafka", database: "influxdb" }
    }
}

#[cfg(feature = "kafka")]
fn destination(config: &Config, process: &str) -> String {
    if is_whole(process) { "log".to_owned() } else { config.kafka.topic.clone() }
}

#[cfg(not(feature = "kafka"))]
fn destination(_config: &Config, _process: &str) -> String {
    "log".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_goes_before_the_standards_variables() {
        let address = |set: &str, variable: &dyn Fn(&str) -> Option<String>| {
            endpoint(set, variable).map(|endpoint| endpoint.address().unwrap())
        };
        let each = |name: &str| {
            Some(format!("http://{}", if name == TRACES_ENDPOINT { "one/its/own" } else { "all" }))
        };
        assert_eq!(address("http://set", &each).as_deref(), Some("http://set/v1/traces"));
        assert_eq!(address("", &each).as_deref(), Some("http://one/its/own"), "as it is");
        let base = |name: &str| (name == ALL_ENDPOINT).then(|| "http://base".to_owned());
        assert_eq!(address("", &base).as_deref(), Some("http://base/v1/traces"));
        assert_eq!(address("", &|_| Some(String::new())), None);
    }

    #[test]
    fn what_is_refused_names_who_set_it_and_tells_no_password() {
        for said_by in [SETTING, TRACES_ENDPOINT, ALL_ENDPOINT] {
            for text in ["grpc://me:s3cret@collector:4317", "me:s3cret@collector", "http://me:s3c@ret@"] {
                let refused = Endpoint { said_by, text: text.into() }.address().unwrap_err().to_string();
                assert!(refused.starts_with(said_by) && !refused.contains("s3c"), "{refused}");
            }
        }
    }

    #[test]
    fn a_process_says_which_it_is() {
        let said = resource("edge", "eu");
        let of = |key: &'static str| said.get(&key.into()).map(|value| value.to_string());
        assert_eq!(of("service.name").as_deref(), Some("flagmeter-edge"));
        assert_eq!(of("service.namespace").as_deref(), Some("eu"));
        assert_eq!(of("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    }
}
