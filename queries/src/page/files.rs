//! The files of the built page, as they are sent.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{caching::Tag, chart, encoding::takes};

/// A file, and itself packed.
#[derive(Debug)]
pub(super) struct File {
    name: &'static str,
    media_type: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
}

/// Where the page leads whoever has no script.
const TO_PLAIN: &str = "?plain=1";

/// All of them; none where the page was left out of the build.
pub(super) static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// The file of this name.
pub(super) fn of(files: &'static [File], name: &str) -> Option<&'static File> {
    files.iter().find(|file| file.name == name)
}

impl File {
    /// Sent as a page: asked for again each time, and not sent again while it is the same.
    pub(super) fn page(&self, headers: &HeaderMap, policy: &'static str) -> Response {
        let (bytes, coding) = self.packed_for(headers);
        let tag = Tag::of([bytes]);
        let mut response = if tag.is_known(headers) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.sent(bytes, coding)
        };
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(tag.as_str()) {
            headers.insert(header::ETAG, tag);
        }
        // With "not modified" as well: a cache takes its headers for those of the page.
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        response
    }

    /// Sent as a page at an address with a query: what leads to the plain page goes on asking it.
    pub(super) fn page_asking(&self, query: &str, policy: &'static str) -> Response {
        let mut plain = String::from("?");
        chart::escape(&mut plain, query);
        plain.push_str("&amp;plain=1");
        let text = String::from_utf8_lossy(self.plain).replace(TO_PLAIN, &plain);
        let head = [
            (header::CONTENT_TYPE, self.media_type),
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (head, text).into_response()
    }

    /// Sent as a part of the page, whose name says what is in it: another content has another name.
    pub(super) fn asset(&self, headers: &HeaderMap) -> Response {
        let (bytes, coding) = self.packed_for(headers);
        let mut response = self.sent(bytes, coding);
        let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(header::CACHE_CONTROL, kept);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        response
    }

    /// The smallest that the request takes.
    fn packed_for(&self, headers: &HeaderMap) -> (&'static [u8], Option<&'static str>) {
        let packed = [("br", self.brotli), ("gzip", self.gzip)];
        let mut packed = packed.into_iter().filter_map(|(coding, bytes)| Some((bytes?, Some(coding))));
        packed.find(|(_, coding)| coding.is_some_and(|it| takes(headers, it))).unwrap_or((self.plain, None))
    }

    fn sent(&self, bytes: &'static [u8], coding: Option<&'static str>) -> Response {
        let mut response = ([(header::CONTENT_TYPE, self.media_type)], bytes).into_response();
        if let Some(coding) = coding {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    static TWO: &[File] = &[
        File {
            name: "assets/app-1a.js",
            media_type: "text/javascript; charset=utf-8",
            plain: b"plain",
            gzip: Some(b"gzip"),
            brotli: Some(b"br"),
        },
        File { name: "index.html", media_type: "text/html", plain: b"page", gzip: Some(b"g"), brotli: None },
    ];

    fn asking(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    async fn bytes_of(response: Response) -> Vec<u8> {
        response.into_body().collect().await.unwrap().to_bytes().to_vec()
    }

    #[tokio::test]
    async fn what_a_browser_takes_is_what_it_is_sent() {
        let script = of(TWO, "assets/app-1a.js").unwrap();
        for (accepted, sent) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip", "gzip"),
            ("br;q=0, gzip;q=0.1", "gzip"),
            ("identity", "plain"),
        ] {
            let response = script.asset(&asking(&[(header::ACCEPT_ENCODING, accepted)]));
            assert_eq!(response.headers()["vary"], "accept-encoding", "{accepted}");
            assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
            assert_eq!(response.headers()["content-type"], "text/javascript; charset=utf-8");
            let coding = response.headers().get("content-encoding").map(|coding| coding.to_str().unwrap());
            assert_eq!(coding.unwrap_or("plain"), sent, "{accepted}");
            assert_eq!(bytes_of(response).await, sent.as_bytes());
        }
        assert!(of(TWO, "assets/app-1b.js").is_none());
    }

    #[tokio::test]
    async fn a_page_that_is_known_is_not_sent_again_and_each_coding_has_its_own_tag() {
        let page = of(TWO, "index.html").unwrap();
        let mut tags = Vec::new();
        for (accepted, sent) in [("gzip, br", &b"g"[..]), ("br", b"page")] {
            let response = page.page(&asking(&[(header::ACCEPT_ENCODING, accepted)]), "policy");
            assert_eq!(response.headers()["cache-control"], "no-cache");
            assert_eq!(response.headers()["content-security-policy"], "policy");
            let tag = response.headers()["etag"].to_str().unwrap().to_owned();
            assert_eq!(bytes_of(response).await, sent);
            let known = [(header::ACCEPT_ENCODING, accepted), (header::IF_NONE_MATCH, &tag)];
            let response = page.page(&asking(&known), "policy");
            assert_eq!(
                (response.status().as_u16(), response.headers()["etag"].to_str().unwrap()),
                (304, &*tag)
            );
            assert_eq!(bytes_of(response).await, b"");
            tags.push(tag);
        }
        assert_ne!(tags[0], tags[1]);
    }
}
