//! OTLP over HTTP, with the HTTP client that is there.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SpanExporter as _};
use reqwest::{Url, redirect::Policy};

/// How long a collector may take for a batch.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Collectors say little.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What a base address gets, as the standard has it.
const PATH: &str = "/v1/traces";

/// Where spans are posted, of the base address that is set; or why they cannot be.
pub(super) fn below(base: &str) -> Result<String, String> {
    let base = as_it_is(base)?;
    let base = base.trim_end_matches('/');
    Ok(if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") })
}

/// Where spans are posted, of an address that is meant as it is; or why they cannot be.
pub(super) fn as_it_is(address: &str) -> Result<String, String> {
    let url =
        Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or("it is no address: write one such as http://127.0.0.1:4318")?;
    if url.scheme() == "https" && !cfg!(feature = "tls") {
        return Err("this build of flagmeter has no TLS: build it with `--features otel,tls`".into());
    }
    Ok(url.into())
}

/// An address as it may be told: without what stands in it of a user, even where it is no address.
pub(super) fn told(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((_, after)) => format!("…@{after}"),
        None => address.to_owned(),
    }
}

/// An exporter to this address. Headers come from `OTEL_EXPORTER_OTLP_HEADERS`.
pub(super) fn exporter(address: &str, resource: &Resource) -> Result<SpanExporter, String> {
    // A redirect would take the headers along, which may hold a key.
    let client = reqwest::Client::builder().redirect(Policy::none()).timeout(TIMEOUT);
    let client = Client(client.build().map_err(|error| error.to_string())?);
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(address)
        .with_timeout(TIMEOUT)
        .build();
    let mut exporter = exporter.map_err(|error| error.to_string())?;
    exporter.set_resource(resource);
    Ok(exporter)
}

/// The client of everything else here, which is of an older line than the one that OpenTelemetry would bring.
#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let mut post = self.0.post(head.uri.to_string()).body(body);
        for (name, value) in &head.headers {
            post = post.header(name.as_str(), value.as_bytes());
        }
        let mut answer = post.send().await.map_err(reqwest::Error::without_url)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err("its answer is too large".into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response::builder().status(answer.status().as_u16()).body(body.into())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_posted_below_the_address_that_is_set() {
        assert_eq!(below("http://c:4318").unwrap(), "http://c:4318/v1/traces");
        assert_eq!(below("http://c:4318/otlp/").unwrap(), "http://c:4318/otlp/v1/traces");
        assert_eq!(below("http://c/v1/traces").unwrap(), "http://c/v1/traces");
        assert_eq!(below("https://c").is_ok(), cfg!(feature = "tls"));
        for wrong in ["collector", "collector:4318", "grpc://c:4317", "http://"] {
            assert!(below(wrong).unwrap_err().contains("http://127.0.0.1:4318"), "{wrong}");
        }
    }

    #[test]
    fn an_address_of_traces_alone_is_taken_as_it_is() {
        assert_eq!(as_it_is("http://c:4318").unwrap(), "http://c:4318/");
        assert_eq!(as_it_is("http://c:4318/other/path").unwrap(), "http://c:4318/other/path");
        assert!(as_it_is("collector:4318").unwrap_err().contains("http://127.0.0.1:4318"));
    }
}
