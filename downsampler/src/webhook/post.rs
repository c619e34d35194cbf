//! One attempt: what is sent, and what came of it.

use std::time::Duration;

use flagmeter_model::Timestamp;
use reqwest::{Client, StatusCode, Url, header, redirect};
use tracing::Span;

use super::{Secret, body::Told};
use crate::{Error, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a receiver may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// For so long a receiver may ask to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// Where to, and by whose secret.
#[derive(Debug)]
pub(super) struct Receiver {
    client: Client,
    url: Url,
    secret: Secret,
    traceparent: fn() -> Option<String>,
}

/// Why it was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: String,
    /// So long the receiver asks to be left alone.
    pub(super) again_after: Option<Duration>,
}

impl Receiver {
    /// Fails where the address is none that can be spoken to.
    pub(super) fn new(url: &str, secret: Secret, traceparent: fn() -> Option<String>) -> Result<Self> {
        let url = address(url)?;
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self { client, url, secret, traceparent })
    }

    /// Sends a notice once. Links begin with `link_base`.
    pub(super) async fn post(&self, told: &Told, link_base: &str, now: Timestamp) -> Result<(), Refusal> {
        let refusal = |why: String| Refusal { why, again_after: None };
        let id = told.id();
        let body = told.body(link_base).map_err(|error| refusal(error.to_string()))?;
        let timestamp = now.as_seconds();
        let signature = self.secret.sign(&id, timestamp, &body).map_err(|why| refusal(why.into()))?;
        let mut request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("flagmeter/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        if let Some(parent) = (self.traceparent)() {
            request = request.header("traceparent", parent);
        }
        // An address may hold what is for nobody's eyes.
        let answer = request.send().await.map_err(|error| refusal(error.without_url().to_string()))?;
        let status = answer.status();
        Span::current().record("http.response.status_code", status.as_u16());
        if status.is_success() {
            return Ok(());
        }
        Err(Refusal {
            why: format!("it was answered with {status}"),
            again_after: again_after(status, answer.headers()),
        })
    }
}

/// An address that can be spoken to.
pub(super) fn address(url: &str) -> Result<Url> {
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = parsed.filter(Url::has_host).ok_or_else(|| {
        wrong("it is no address: write one such as https://billing.example.com/flagmeter".into())
    })?;
    if url.scheme() == "https" && !cfg!(feature = "tls") {
        return Err(wrong("this build of flagmeter has no TLS: build it with `--features tls`".into()));
    }
    Ok(url)
}

const fn wrong(reason: String) -> Error {
    Error::Config { setting: "billing.webhook_url", reason }
}

/// What `Retry-After` says, in seconds.
fn again_after(status: StatusCode, headers: &header::HeaderMap) -> Option<Duration> {
    let is_busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let said = headers.get(header::RETRY_AFTER).filter(|_| is_busy)?;
    let seconds = said.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}
