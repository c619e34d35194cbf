//! One attempt: what is sent, and what came of it.

use std::time::Duration;

use flagmeter_ledger::{Crossed, Crossing};
use flagmeter_model::Timestamp;
use reqwest::{Client, StatusCode, Url, header, redirect};
use serde::Serialize;

use super::Secret;
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
}

/// Why it was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: String,
    /// So long the receiver asks to be left alone.
    pub(super) again_after: Option<Duration>,
}

/// What is sent. The same bytes each time.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
    customer: &'a str,
    meter: &'static str,
    period: String,
    percent: u16,
    hard: bool,
    included: String,
    used: String,
    crossed_at: String,
}

impl Receiver {
    /// Fails where the address is none that can be spoken to.
    pub(super) fn new(url: &str, secret: Secret) -> Result<Self> {
        let url = address(url)?;
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self { client, url, secret })
    }

    /// Sends a crossing once.
    pub(super) async fn post(&self, crossing: &Crossing, now: Timestamp) -> Result<(), Refusal> {
        let refusal = |why: String| Refusal { why, again_after: None };
        let id = crossing.crossed.id();
        let body = body(crossing, &id).map_err(|error| refusal(error.to_string()))?;
        let timestamp = now.as_seconds();
        let signature = self.secret.sign(&id, timestamp, &body).map_err(|why| refusal(why.into()))?;
        let request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("flagmeter/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        // An address may hold what is for nobody's eyes.
        let answer = request.send().await.map_err(|error| refusal(error.without_url().to_string()))?;
        let status = answer.status();
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

fn body(crossing: &Crossing, id: &str) -> serde_json::Result<String> {
    let Crossed { customer, meter, period, percent, hard, included, used } = &crossing.crossed;
    let crossed_at = crossing.crossed_at.to_string();
    serde_json::to_string(&Body {
        kind: "billing.threshold_crossed",
        timestamp: crossed_at.clone(),
        data: Data {
            id,
            customer: customer.as_str(),
            meter: meter.name(),
            period: period.to_string(),
            percent: *percent,
            hard: *hard,
            included: included.to_string(),
            used: used.to_string(),
            crossed_at,
        },
    })
}

/// What `Retry-After` says, in seconds.
fn again_after(status: StatusCode, headers: &header::HeaderMap) -> Option<Duration> {
    let is_busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let said = headers.get(header::RETRY_AFTER).filter(|_| is_busy)?;
    let seconds = said.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}
