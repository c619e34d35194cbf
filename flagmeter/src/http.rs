//! HTTP/1.1 on bare connections: for the load generator, which must cost little, and for the commands that ask
//! a running server.

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use chrono::DateTime;
use flagmeter_model::Timestamp;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, Response, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinHandle};

use crate::{Error, Result};

/// How long a connection may take to be made, and an answer to come unless more is granted.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Where a server is: `http://host:port`, without a path of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// `host:port`.
    pub(crate) authority: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: hyper::Uri =
            text.trim_end_matches('/').parse().map_err(|_| format!("{text:?} is not a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err("write it as http://host:port; for https, send through a proxy that ends TLS".into());
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err("write it as http://host:port, without a path".into());
        }
        let host = uri.host().ok_or_else(|| "write it as http://host:port".to_owned())?;
        Ok(Self { authority: format!("{host}:{}", uri.port_u16().unwrap_or(80)) })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

/// What a request came to.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `Retry-After`, in seconds.
    pub(crate) retry_after: Option<Duration>,
    /// `Date`: the server's clock, in whole seconds.
    pub(crate) date: Option<Timestamp>,
    pub(crate) body: Bytes,
}

/// A request that got no answer.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) reason: String,
    /// Whether the server may have done what was asked.
    pub(crate) maybe_done: bool,
}

/// One kept-alive connection, made when it is first needed and again after it broke.
#[derive(Debug)]
pub(crate) struct Connection {
    url: Url,
    /// How long an answer may take.
    patience: Duration,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(crate) const fn new(url: Url) -> Self {
        Self::with_patience(url, PATIENCE)
    }

    /// For questions whose answers take their time.
    pub(crate) const fn with_patience(url: Url, patience: Duration) -> Self {
        Self { url, patience, open: None }
    }

    /// Asks once. After an error the next call goes over a new connection.
    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Broken> {
        let patience = self.patience;
        let asked = tokio::time::timeout(patience, self.exchange(request)).await;
        let answer = asked.unwrap_or_else(|_| {
            Err(Broken { reason: format!("no answer within {} s", patience.as_secs()), maybe_done: true })
        });
        if answer.is_err() {
            self.open = None;
        }
        answer
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Broken> {
        let open = match self.open.as_mut() {
            Some(open) if !open.sender.is_closed() => open,
            _ => {
                let connected =
                    tokio::time::timeout(PATIENCE, connect(&self.url)).await.unwrap_or_else(|_| {
                        Err(format!(
                            "no connection to {} within {} s",
                            self.url.authority,
                            PATIENCE.as_secs()
                        ))
                    });
                self.open.insert(connected.map_err(|reason| Broken { reason, maybe_done: false })?)
            }
        };
        let before = |error: hyper::Error| Broken { reason: error.to_string(), maybe_done: false };
        let after = |reason: String| Broken { reason, maybe_done: true };
        open.sender.ready().await.map_err(before)?;
        let response = open.sender.send_request(request).await.map_err(|error| after(error.to_string()))?;
        read(response).await.map_err(after)
    }

    /// A GET, with a token where one is needed; `Err` for any status but 200.
    pub(crate) async fn get(&mut self, path: &str, token: Option<&str>) -> Result<Bytes> {
        let answer = self.answer(path, token).await?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        let said = String::from_utf8_lossy(&answer.body).chars().take(400).collect::<String>();
        let reason = format!("answered {}: {said}", answer.status);
        Err(Error::Http { url: format!("{}{path}", self.url), reason })
    }

    /// The same; any status is an answer.
    pub(crate) async fn answer(&mut self, path: &str, token: Option<&str>) -> Result<Answer> {
        self.send(Method::GET, path, token, &[], Bytes::new()).await
    }

    /// The same with another method, with headers and a body.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer> {
        let url = format!("{}{path}", self.url);
        let failed = |reason: String| Error::Http { url, reason };
        let request = Request::builder().method(method).uri(path);
        let mut request = request.header(header::HOST, self.url.authority.as_str());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        match request.body(Full::new(body)) {
            Ok(request) => self.ask(request).await.map_err(|broken| failed(broken.reason)),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// An answer that goes on.
#[derive(Debug)]
pub(crate) struct Stream {
    body: Incoming,
    _open: Open,
}

/// What came of asking for an answer that goes on.
#[derive(Debug)]
pub(crate) enum Streamed {
    Open(Stream),
    /// Another status than 200.
    Refused(Answer),
}

/// Asks for an answer that goes on, over a connection of its own. `after` is the id of the last event that is known.
pub(crate) async fn stream(
    url: &Url,
    path: &str,
    token: &str,
    after: Option<&str>,
) -> Result<Streamed, String> {
    let mut request = Request::get(path)
        .header(header::HOST, url.authority.as_str())
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    if let Some(id) = after {
        request = request.header("last-event-id", id);
    }
    let request = request.body(Full::default()).map_err(|error| error.to_string())?;
    let asked = async {
        let mut open = connect(url).await?;
        let response = open.sender.send_request(request).await.map_err(|error| error.to_string())?;
        if response.status() == 200 {
            Ok(Streamed::Open(Stream { body: response.into_body(), _open: open }))
        } else {
            read(response).await.map(Streamed::Refused)
        }
    };
    let late = |_| Err(format!("no answer from {} within {} s", url.authority, PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(late)
}

impl Stream {
    /// The next bytes; `None` at the end. An error after so long without any.
    pub(crate) async fn next(&mut self, patience: Duration) -> Result<Option<Bytes>, String> {
        loop {
            let frame = tokio::time::timeout(patience, self.body.frame()).await;
            match frame.map_err(|_| format!("nothing came for {} s", patience.as_secs()))? {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(bytes) = frame.map_err(|error| error.to_string())?.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

/// A value as it stands in an address.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            encoded + char::from(byte).encode_utf8(&mut [0; 4])
        }
        _ => encoded + &format!("%{byte:02X}"),
    })
}

async fn connect(url: &Url) -> Result<Open, String> {
    let stream = TcpStream::connect(&url.authority)
        .await
        .map_err(|error| format!("cannot connect to {}: {error}", url.authority))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    #[expect(clippy::disallowed_methods, reason = "the task ends with its connection, which `Open` aborts")]
    let driver = tokio::spawn(async move {
        // Whatever breaks the connection is told by the request that was on it.
        let _told_by_the_request = connection.await;
    });
    Ok(Open { sender, driver })
}

async fn read(response: Response<Incoming>) -> Result<Answer, String> {
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    // A date of HTTP is one of mail, always in GMT: RFC 9110, section 5.6.7.
    let date = response
        .headers()
        .get(header::DATE)
        .and_then(|value| DateTime::parse_from_rfc2822(value.to_str().ok()?).ok())
        .map(|date| Timestamp::from_seconds_clamped(date.timestamp()));
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| format!("the answer cannot be read: {error}"))?
        .to_bytes();
    Ok(Answer { status, retry_after, date, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_and_a_port() {
        assert_eq!("http://127.0.0.1:8080/".parse(), Ok(Url { authority: "127.0.0.1:8080".into() }));
        assert_eq!("http://meter".parse(), Ok(Url { authority: "meter:80".into() }));
        for wrong in ["127.0.0.1:8080", "https://meter", "http://meter/v1", "http://meter?x", ""] {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_encoded_for_addresses() {
        assert_eq!(percent_encoded("a-b/1 ü"), "a-b%2F1%20%C3%BC");
    }
}
