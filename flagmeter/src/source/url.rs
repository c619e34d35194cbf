//! An address that is polled: with the tag of what is known, so that an unchanged text is not sent again.

use std::time::Duration;

use reqwest::{Client, StatusCode, Url, header, redirect::Policy};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An address, and what it last gave.
#[derive(Debug)]
pub(crate) struct WatchedUrl {
    client: Client,
    url: Url,
    bytes_max: usize,
    /// The last text, with its tag where it had one.
    known: Option<(String, Option<header::HeaderValue>)>,
    /// Good or bad: the same is judged once.
    seen: Option<Result<String, String>>,
}

/// An address that can be asked, or why it cannot.
pub(crate) fn address(url: &str) -> Result<Url, String> {
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = parsed
        .filter(Url::has_host)
        .ok_or("it is no address: write one such as https://config.example.com/flagmeter.json")?;
    if url.scheme() == "https" && !cfg!(feature = "tls") {
        return Err("this build of flagmeter has no TLS: build it with `--features tls`".into());
    }
    Ok(url)
}

impl WatchedUrl {
    pub(crate) fn new(url: &str, bytes_max: usize) -> Result<Self, String> {
        // A redirect would tell another host, as the referer, what may be secret in the address.
        let client = Client::builder().redirect(Policy::none());
        let client = client.connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).build();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { client, url: address(url)?, bytes_max, known: None, seen: None })
    }

    /// Where it is, without what may be secret in it.
    pub(crate) fn shown(&self) -> String {
        let port = self.url.port().map_or_else(String::new, |port| format!(":{port}"));
        format!(
            "{}://{}{port}{}",
            self.url.scheme(),
            self.url.host_str().unwrap_or_default(),
            self.url.path()
        )
    }

    /// Asks: the text, or why there is none; `None` where it is as it was.
    pub(crate) async fn look(&mut self) -> Option<&Result<String, String>> {
        let found = self.fetch().await;
        if self.seen.as_ref() == Some(&found) {
            return None;
        }
        Some(self.seen.insert(found))
    }

    async fn fetch(&mut self) -> Result<String, String> {
        let mut request = self
            .client
            .get(self.url.clone())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("flagmeter/", env!("CARGO_PKG_VERSION")));
        if let Some((_, Some(tag))) = &self.known {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let failed = |error: reqwest::Error| format!("it cannot be fetched: {}", error.without_url());
        let mut answer = request.send().await.map_err(failed)?;
        match (answer.status(), &self.known) {
            (StatusCode::NOT_MODIFIED, Some((text, _))) => return Ok(text.clone()),
            (StatusCode::OK, _) => {}
            (status, _) => return Err(format!("it was answered with {status}")),
        }
        let tag = answer.headers().get(header::ETAG).cloned();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.bytes_max {
                return Err(format!("it is larger than {} bytes", self.bytes_max));
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(body).map_err(|_| "it is no text in UTF-8".to_owned())?;
        self.known = Some((text.clone(), tag));
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{
        Router,
        http::HeaderMap,
        response::{IntoResponse as _, Response},
        routing::get,
    };
    use tokio::net::TcpListener;

    use super::*;

    /// What the server gives, and the tags that it was asked with.
    type Served = Arc<Mutex<(Option<&'static str>, Vec<Option<String>>)>>;

    fn answer(served: &Served, headers: &HeaderMap) -> Response {
        let mut served = served.lock().unwrap();
        let asked = headers.get(header::IF_NONE_MATCH.as_str());
        let asked = asked.map(|tag| tag.to_str().unwrap().to_owned());
        served.1.push(asked.clone());
        let Some(text) = served.0 else { return 503.into_status().into_response() };
        let tag = format!("\"{}\"", text.len());
        if asked.as_ref() == Some(&tag) {
            return 304.into_status().into_response();
        }
        ([("etag", tag)], text).into_response()
    }

    trait IntoStatus {
        fn into_status(self) -> axum::http::StatusCode;
    }

    impl IntoStatus for u16 {
        fn into_status(self) -> axum::http::StatusCode {
            axum::http::StatusCode::from_u16(self).unwrap()
        }
    }

    #[tokio::test]
    async fn an_unchanged_text_is_asked_for_by_its_tag_and_told_once() {
        let served: Served = Arc::new(Mutex::new((Some("one"), Vec::new())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/flags.json?token=hush", listener.local_addr().unwrap());
        let state = Arc::clone(&served);
        let router = Router::new()
            .route("/flags.json", get(move |headers: HeaderMap| async move { answer(&state, &headers) }));
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await });

        let mut watched = WatchedUrl::new(&url, 5).unwrap();
        assert!(watched.shown().ends_with("/flags.json"), "{}", watched.shown());
        assert_eq!(watched.look().await, Some(&Ok("one".into())));
        assert_eq!(watched.look().await, None);
        served.lock().unwrap().0 = None;
        assert!(matches!(watched.look().await, Some(Err(why)) if why.contains("503")));
        assert_eq!(watched.look().await, None);
        // It is back, unchanged: that is news, because it was away.
        served.lock().unwrap().0 = Some("one");
        assert_eq!(watched.look().await, Some(&Ok("one".into())));
        served.lock().unwrap().0 = Some("too large");
        assert!(matches!(watched.look().await, Some(Err(why)) if why.contains("larger than 5 bytes")));
        served.lock().unwrap().0 = Some("two!");
        assert_eq!(watched.look().await, Some(&Ok("two!".into())));
        let tags = served.lock().unwrap().1.clone();
        assert_eq!(tags[..2], [None, Some("\"3\"".to_owned())]);
        drop(tasks);
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/flags.json", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/flags.json", get(|| async { (302.into_status(), [("location", "/other.json")]) }))
            .route("/other.json", get(|| async { "other" }));
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await });
        let mut watched = WatchedUrl::new(&url, 5).unwrap();
        assert!(matches!(watched.look().await, Some(Err(why)) if why.contains("302")));
        drop(tasks);
    }

    #[test]
    fn an_address_that_cannot_be_asked_is_refused() {
        for wrong in ["", "flags.json", "file:///flags.json", "http://"] {
            assert!(address(wrong).unwrap_err().contains("https://config.example.com"), "{wrong}");
        }
        assert_eq!(address("https://config.example.com/f.json").is_ok(), cfg!(feature = "tls"));
    }
}
