//! Speaks HTTP with the server: writes bodies, asks questions, waits and tries again.
//!
//! A body is kept until it is taken, so that a retry sends the same bytes. An answer is whole or an error: behind the
//! statements of every question stands one more, whose answer is known. InfluxDB stops at the first statement that
//! fails and, in CSV, says nothing about it; so what does not end in that answer is not an answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use influxdb2::models::RetentionRule;
use parking_lot::Mutex;
use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
};
use tokio::time::Instant;

use super::{
    budget::Budget,
    config::Config,
    connection::{self, url},
    line::LineBody,
    schema::{Buckets, REGISTER, source},
};
use crate::{Error, Result};

/// The register that is set when the buckets were made.
pub(super) const INITIALISED: &str = "initialised";
/// What the last statement of each question answers.
const END: &[u8] = b"name,tags,time,answered\nregister,,0,1\n";
/// Longest wait that a server is granted.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);
/// Bytes of an error's text that are read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Characters of an error's text that are told.
const ERROR_CHARS_MAX: usize = 300;

/// A client of one server, with the buckets that it speaks of. Cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    write_url: Url,
    query_url: Url,
    headers: HeaderMap,
    config: Config,
    end: String,
    meta: String,
    /// Until when the server asked not to be written to, and not to be asked: it means all that is sent, and not only
    /// the request that it said so to.
    rest: Arc<[Mutex<Option<Instant>>; 2]>,
}

/// What a request is for.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Write,
    Query,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Query => "query",
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why a body was not written.
#[derive(Debug)]
pub(super) enum WriteFailure {
    /// The server refuses a line of it. Of the others all, some or none are written.
    Refused(String),
    /// Anything else.
    Failed(Error),
}

/// What is written comes from the store itself, where nothing else is said of it.
impl From<WriteFailure> for Error {
    fn from(failure: WriteFailure) -> Self {
        match failure {
            WriteFailure::Refused(why) => Self::Damaged(format!("InfluxDB refuses a line: {why}")),
            WriteFailure::Failed(error) => error,
        }
    }
}

/// Why one try failed.
enum Failure {
    /// It is the same the next time.
    Final(WriteFailure),
    /// It may go well after this time, if the server says one.
    Passing(String, Option<Duration>),
}

impl Client {
    /// Nothing is asked of the server yet.
    pub(super) fn new(config: &Config, buckets: &Buckets) -> Result<Self> {
        let http = connection::http(config)?;
        let mut headers = HeaderMap::new();
        let mut authorization = HeaderValue::from_str(&format!("Token {}", config.token)).map_err(|_| {
            Error::Configuration("the token for InfluxDB has characters that no header can hold".to_owned())
        })?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        let http = http.build().map_err(|error| {
            Error::Configuration(format!("no HTTP client for InfluxDB can be made: {error}"))
        })?;
        let mut write_url = url(&config.url, "/api/v2/write")?;
        write_url.query_pairs_mut().append_pair("org", &config.org).append_pair("precision", "ns");
        let end = format!(
            ";SELECT \"set\" AS \"answered\" FROM {} WHERE \"name\"='{INITIALISED}'",
            source(&buckets.meta, REGISTER)
        );
        Ok(Self {
            http,
            write_url,
            query_url: url(&config.url, "/query")?,
            headers,
            config: config.clone(),
            end,
            meta: buckets.meta.clone(),
            rest: Arc::default(),
        })
    }

    /// Writes a body whole. A line that the server refuses is [`Error::Damaged`].
    pub(super) async fn write(&self, bucket: &str, body: &LineBody) -> Result<()> {
        Ok(self.try_write(bucket, body).await?)
    }

    /// Writes bodies, several at a time. When it returns, none is on its way any more.
    pub(super) async fn write_all(&self, bucket: &str, bodies: Vec<LineBody>) -> Result<()> {
        Ok(self.try_write_all(bucket, bodies).await?)
    }

    /// Writes bodies, several at a time, or tells that the server refuses a line of one, after all others are written.
    /// When it returns, none is on its way any more.
    pub(super) async fn try_write_all(
        &self,
        bucket: &str,
        bodies: Vec<LineBody>,
    ) -> Result<(), WriteFailure> {
        let writes = bodies.into_iter().map(|body| async move { self.try_write(bucket, &body).await });
        let done: Vec<Result<(), WriteFailure>> =
            stream::iter(writes).buffer_unordered(self.config.bodies_in_flight).collect().await;
        let (refused, failed): (Vec<_>, Vec<_>) = done
            .into_iter()
            .filter_map(Result::err)
            .partition(|failure| matches!(failure, WriteFailure::Refused(_)));
        // That a line is refused tells less than that the server fails.
        failed.into_iter().chain(refused).next().map_or(Ok(()), Err)
    }

    /// Writes a body whole, or tells that the server refuses a line of it.
    pub(super) async fn try_write(&self, bucket: &str, body: &LineBody) -> Result<(), WriteFailure> {
        if body.lines() == 0 {
            return Ok(());
        }
        let gzip = HeaderValue::from_static("gzip");
        let request = || self.write_request(bucket).header(CONTENT_ENCODING, gzip.clone()).body(body.bytes());
        self.send(bucket, request).await
    }

    fn write_request(&self, bucket: &str) -> RequestBuilder {
        let mut url = self.write_url.clone();
        url.query_pairs_mut().append_pair("bucket", bucket);
        self.request(Method::POST, url).timeout(self.config.write_timeout)
    }

    async fn send(&self, bucket: &str, request: impl Fn() -> RequestBuilder) -> Result<(), WriteFailure> {
        self.patiently(Kind::Write, || async {
            let response = request().send().await.map_err(|error| passing(&error))?;
            if response.status().is_success() { Ok(()) } else { Err(self.refusal(response, bucket).await) }
        })
        .await
    }

    /// Asks whether the token may write a bucket, by writing nothing to it.
    pub(super) async fn may_write(&self, bucket: &str) -> Result<(), WriteFailure> {
        self.send(bucket, || RequestBuilder::body(self.write_request(bucket), Bytes::new())).await
    }

    /// Has a bucket keep what is in it for as long as a rule says.
    pub(super) async fn keep_longer(&self, bucket_id: &str, rule: &RetentionRule) -> Result<()> {
        let url = url(&self.config.url, &format!("/api/v2/buckets/{bucket_id}"))?;
        let rules = serde_json::json!({ "retentionRules": [rule] }).to_string();
        let request = || {
            let request = self.request(Method::PATCH, url.clone());
            request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(rules.clone())
        };
        self.send(bucket_id, request).await.map_err(|failure| match failure {
            WriteFailure::Refused(why) => {
                Error::Configuration(format!("InfluxDB refuses the retention: {why}"))
            }
            WriteFailure::Failed(error) => error,
        })
    }

    /// Asks statements of InfluxQL, separated by `;`, and gives the blocks of CSV that they answer with: for each
    /// statement that has an answer one, or several where it groups, in their order. Whole, or an error.
    pub(super) async fn query(&self, statements: &str) -> Result<Bytes> {
        self.query_within(statements, &Budget::new(self.config.answer_bytes_max)).await
    }

    /// [`query`](Self::query) as one of several questions that share a budget.
    pub(super) async fn query_within(&self, statements: &str, budget: &Budget) -> Result<Bytes> {
        let body = self.ask(statements, "application/csv", budget).await?;
        if let Some(before) = body.strip_suffix(END) {
            // Blocks are separated by an empty line.
            let length = before.strip_suffix(b"\n").unwrap_or(before).len();
            return Ok(body.slice(..length));
        }
        Err(self.explain(statements).await)
    }

    async fn ask(&self, statements: &str, accept: &'static str, budget: &Budget) -> Result<Bytes> {
        let mut question = String::with_capacity(statements.len() + self.end.len());
        question.push_str(statements);
        question.push_str(if statements.is_empty() { self.end.trim_start_matches(';') } else { &self.end });
        let form = [("db", self.meta.as_str()), ("epoch", "ns"), ("q", &question)];
        let asked = self
            .patiently(Kind::Query, || async {
                let request = self
                    .request(Method::POST, self.query_url.clone())
                    .timeout(self.config.query_timeout)
                    .header(ACCEPT, HeaderValue::from_static(accept))
                    .form(&form);
                let too_many =
                    |what, max| Err(Failure::Final(WriteFailure::Failed(Error::TooMany { what, max })));
                let response = request.send().await.map_err(|error| passing(&error))?;
                if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    return too_many("bytes in its question", question.len());
                }
                if !response.status().is_success() {
                    return Err(self.refusal(response, &self.meta).await);
                }
                match read(response, budget).await {
                    Ok(Some(body)) => Ok(body),
                    Ok(None) => too_many("bytes", budget.max),
                    Err(error) => Err(passing(&error)),
                }
            })
            .await;
        asked.map_err(|failure| match failure {
            // Whoever asks us has no part in how we ask InfluxDB.
            WriteFailure::Refused(why) => Error::Damaged(format!("InfluxDB does not take a question: {why}")),
            WriteFailure::Failed(error) => error,
        })
    }

    /// Asks again in JSON, which tells errors, why the answer was cut short.
    async fn explain(&self, statements: &str) -> Error {
        let budget = Budget::new(self.config.answer_bytes_max);
        let answer = match self.ask(statements, "application/json", &budget).await {
            Ok(answer) => answer,
            Err(error) => return error,
        };
        let text = String::from_utf8_lossy(&answer);
        let Some((_, after)) = text.split_once("\"error\":\"") else {
            return Error::Unavailable(
                "InfluxDB's answer does not end as it should: if this stays, run `flagmeter store init`"
                    .to_owned(),
            );
        };
        let why: String =
            after.split("\"}").next().unwrap_or_default().chars().take(ERROR_CHARS_MAX).collect();
        if why.contains("not found") || why.contains("unauthorized") {
            return Error::Configuration(format!(
                "InfluxDB says {why:?}: run `flagmeter store init`, or give a token that may read all its buckets"
            ));
        }
        Error::Unavailable(format!("InfluxDB could not answer: {why}"))
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.http.request(method, url).headers(self.headers.clone())
    }

    /// Tries until it goes well, fails for good, or has failed as often as is allowed.
    async fn patiently<T, F>(&self, kind: Kind, attempt: impl Fn() -> F) -> Result<T, WriteFailure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let what = kind.name();
        let mut wait = self.config.retry_first;
        for tried in 1.. {
            self.leave_alone(kind).await;
            let (why, asked) = match attempt().await {
                Ok(done) => return Ok(done),
                Err(Failure::Final(failure)) => return Err(failure),
                Err(Failure::Passing(why, asked)) => (why, asked),
            };
            if let Some(asked) = asked {
                // Also for the next call, when this one has tried often enough.
                let mut rest = self.resting(kind).lock();
                *rest = (*rest).max(Some(Instant::now() + asked));
            }
            if tried >= self.config.tries_max {
                return Err(WriteFailure::Failed(Error::Unavailable(format!(
                    "InfluxDB at {} fails ({what}, {tried} tries): {why}",
                    self.config.url
                ))));
            }
            // At random, so that those who failed together do not come back together.
            let pause = wait.mul_f64(rand::random_range(0.5..=1.0));
            let wait_ms = pause.max(asked.unwrap_or_default()).as_millis();
            tracing::warn!(what, why, wait_ms, "InfluxDB fails; it is asked again");
            tokio::time::sleep(pause).await;
            wait = wait.saturating_mul(2).min(self.config.retry_max);
        }
        Err(WriteFailure::Failed(Error::Closed))
    }

    /// Waits as long as the server has asked for.
    async fn leave_alone(&self, kind: Kind) {
        loop {
            let until = *self.resting(kind).lock();
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }

    fn resting(&self, kind: Kind) -> &Mutex<Option<Instant>> {
        let [writes, queries] = &*self.rest;
        match kind {
            Kind::Write => writes,
            Kind::Query => queries,
        }
    }

    /// What an answer that is no success means.
    async fn refusal(&self, response: Response, bucket: &str) -> Failure {
        let status = response.status();
        let after = retry_after(response.headers());
        let why = message(response).await;
        let for_good = |error| Failure::Final(WriteFailure::Failed(error));
        match status {
            // It says nothing about what was sent: lines that are refused would be taken for bad ones.
            StatusCode::BAD_REQUEST if connection::is_for_tls(&why) => {
                Failure::Passing(connection::obstacle(&why).unwrap_or_default().to_owned(), after)
            }
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE => {
                Failure::Final(WriteFailure::Refused(why))
            }
            StatusCode::UNAUTHORIZED => for_good(Error::Configuration(format!(
                "InfluxDB at {} does not know the token: give one of the organization {:?}",
                self.config.url, self.config.org
            ))),
            StatusCode::FORBIDDEN => for_good(Error::Configuration(format!(
                "the token for InfluxDB lacks a permission on the bucket {bucket}: it must be allowed to read and \
                 write it ({why})"
            ))),
            StatusCode::NOT_FOUND => for_good(Error::Configuration(format!(
                "InfluxDB at {} does not have what is asked for ({why}): run `flagmeter store init`, or check \
                 address, organization and token",
                self.config.url
            ))),
            status => Failure::Passing(format!("it answers {status} {why}"), after),
        }
    }
}

/// Timeouts, refused connections and cut ones alike: the next try may go well. So may one after a certificate was not
/// accepted: it may be renewed.
fn passing(error: &reqwest::Error) -> Failure {
    let told = connection::told(error);
    Failure::Passing(connection::obstacle(&told).map_or(told, ToOwned::to_owned), None)
}

/// The body; `None` if it is longer than what is left of the budget. What does not come whole costs nothing.
async fn read(mut response: Response, budget: &Budget) -> Result<Option<Bytes>, reqwest::Error> {
    let mut body = Vec::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) if budget.draw(chunk.len()) => chunk,
            Ok(None) => return Ok(Some(body.into())),
            failed => {
                budget.give_back(body.len());
                return failed.map(|_| None);
            }
        };
        body.extend_from_slice(&chunk);
    }
}

/// How long the server asks to wait, as far as we are ready to.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The message in an error's JSON, or the beginning of its text.
async fn message(response: Response) -> String {
    let body = read(response, &Budget::new(ERROR_BYTES_MAX)).await.ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let told = text
        .split_once("\"message\":\"")
        .map_or(&*text, |(_, after)| after.trim_end().trim_end_matches("\"}"));
    told.chars().take(ERROR_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_given_the_time_that_it_asks_for_within_bounds() {
        let asked = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]))
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("86400"), Some(RETRY_AFTER_MAX));
        assert_eq!(asked("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
