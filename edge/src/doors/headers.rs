//! What the doors read of a request's headers.

use axum::http::{HeaderMap, HeaderName, header};
use sha2::{Digest, Sha256};

use super::refusal::Refusal;
use crate::wire::Door;

/// Flagsmith's environment key.
pub(super) const X_ENVIRONMENT_KEY: HeaderName = HeaderName::from_static("x-environment-key");
/// The key of Flagsmith's edge proxy.
pub(super) const X_PROXY_KEY: HeaderName = HeaderName::from_static("x-proxy-key");
/// Names a request, so that it can be repeated.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The same, as LaunchDarkly's SDKs call it.
pub(super) const X_LAUNCHDARKLY_PAYLOAD_ID: HeaderName = HeaderName::from_static("x-launchdarkly-payload-id");
/// Who a Flagsmith SDK says it is, where a browser forbids `User-Agent`.
pub(super) const FLAGSMITH_SDK_USER_AGENT: HeaderName = HeaderName::from_static("flagsmith-sdk-user-agent");
/// By what a request is named in log lines: its sender's word, or one that is made here.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C's trace context: who serves the doors reads it, and browsers ask whether it may come.
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Labels that Flagsmith's SDKs may send.
pub(super) const FLAGSMITH_APPLICATION_NAME: HeaderName =
    HeaderName::from_static("flagsmith-application-name");
/// The same, its version.
pub(super) const FLAGSMITH_APPLICATION_VERSION: HeaderName =
    HeaderName::from_static("flagsmith-application-version");

impl Door {
    /// How this door wants its key.
    const fn wanted(self) -> &'static str {
        match self {
            Self::CountsV1 => "Authorization: Bearer <environment key>",
            Self::FlagsmithV1 | Self::FlagsmithV2 => "X-Environment-Key: <environment key>",
            Self::FlagsmithProxy => "X-Proxy-Key: <proxy key>",
        }
    }
}

/// The key in the header that this door reads, or why there is none.
pub(super) fn key_of(door: Door, headers: &HeaderMap) -> Result<&str, Refusal> {
    let key = match door {
        Door::CountsV1 => bearer(headers),
        Door::FlagsmithV1 | Door::FlagsmithV2 => text(headers, &X_ENVIRONMENT_KEY),
        Door::FlagsmithProxy => text(headers, &X_PROXY_KEY),
    };
    if let Some(key) = key.map(str::trim).filter(|key| !key.is_empty()) {
        return Ok(key);
    }
    let wanted = door.wanted();
    let elsewhere = [
        (header::AUTHORIZATION, "Authorization"),
        (X_ENVIRONMENT_KEY, "X-Environment-Key"),
        (X_PROXY_KEY, "X-Proxy-Key"),
    ];
    let found = elsewhere.into_iter().find(|(name, _)| headers.get(name).is_some_and(|key| !key.is_empty()));
    Err(found.map_or(Refusal::NoKey { wanted }, |(_, found)| Refusal::WrongHeader { found, wanted }))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = text(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The SDK that a Flagsmith client says it is: the first product of its header. Other user agents are not
/// taken: browsers have thousands of them, and none says anything about an SDK.
pub(super) fn flagsmith_sdk(headers: &HeaderMap) -> Option<&str> {
    let product = |name| text(headers, name).and_then(|agent| agent.split_ascii_whitespace().next());
    product(&FLAGSMITH_SDK_USER_AGENT)
        .or_else(|| product(&header::USER_AGENT).filter(|agent| agent.starts_with("flagsmith-")))
}

/// The request's idempotency key within its scope, hashed: keys come in any length, and are never shown.
pub(super) fn once_key(headers: &HeaderMap, scope: &[&str]) -> Option<[u8; 16]> {
    let key = headers.get(IDEMPOTENCY_KEY).or_else(|| headers.get(X_LAUNCHDARKLY_PAYLOAD_ID))?;
    if key.is_empty() {
        return None;
    }
    let mut hash = Sha256::new();
    for part in scope {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(key.as_bytes());
    let digest = hash.finalize();
    digest.first_chunk::<16>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn each_door_reads_its_own_header_and_names_it() {
        let key = |door, pairs: &[_]| key_of(door, &headers(pairs)).map(ToOwned::to_owned);
        assert_eq!(key(Door::CountsV1, &[("authorization", "bearer  k")]).unwrap(), "k");
        assert_eq!(key(Door::FlagsmithV1, &[("x-environment-key", "k")]).unwrap(), "k");
        assert_eq!(key(Door::FlagsmithProxy, &[("x-proxy-key", "k")]).unwrap(), "k");
        let wrong = key(Door::FlagsmithV2, &[("authorization", "Bearer k")]).unwrap_err();
        assert!(matches!(wrong, Refusal::WrongHeader { found: "Authorization", .. }));
        let wrong = key(Door::CountsV1, &[("x-environment-key", "k")]).unwrap_err();
        assert!(matches!(wrong, Refusal::WrongHeader { found: "X-Environment-Key", .. }));
        let wrong = key(Door::CountsV1, &[("authorization", "k")]).unwrap_err();
        assert!(matches!(wrong, Refusal::WrongHeader { found: "Authorization", .. }), "no scheme");
        assert!(matches!(key(Door::CountsV1, &[]), Err(Refusal::NoKey { .. })));
        assert!(key(Door::FlagsmithV1, &[("x-environment-key", " ")]).is_err());
    }

    #[test]
    fn the_sdk_is_the_first_product_of_those_that_say_flagsmith() {
        let sdk = |pairs: &[_]| flagsmith_sdk(&headers(pairs)).map(ToOwned::to_owned);
        let js = ("flagsmith-sdk-user-agent", "flagsmith-js-sdk/12.1.0");
        assert_eq!(sdk(&[js, ("user-agent", "Mozilla/5.0")]).as_deref(), Some("flagsmith-js-sdk/12.1.0"));
        let node = ("user-agent", "flagsmith-nodejs-sdk/6.1 (linux)");
        assert_eq!(sdk(&[node]).as_deref(), Some("flagsmith-nodejs-sdk/6.1"));
        assert_eq!(sdk(&[("user-agent", "python-requests/2.31")]), None);
        assert_eq!(sdk(&[]), None);
    }

    #[test]
    fn a_key_is_the_same_only_in_its_own_scope() {
        let first = headers(&[("idempotency-key", "k")]);
        let second = headers(&[("x-launchdarkly-payload-id", "k")]);
        assert_eq!(once_key(&first, &["a", "b"]), once_key(&second, &["a", "b"]));
        assert_ne!(once_key(&first, &["a", "b"]), once_key(&first, &["ab", ""]));
        assert_eq!(once_key(&headers(&[]), &["a"]), None);
        assert_eq!(once_key(&headers(&[("idempotency-key", "")]), &["a"]), None);
    }
}
