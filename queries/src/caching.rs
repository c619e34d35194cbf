//! Answers that need not be sent again.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use crate::{Result, hex};

/// For how long an answer stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stays {
    /// For ever: it was asked as of a snapshot.
    Forever,
    /// As long as its tag says so.
    WhileTagged,
}

impl Stays {
    const fn cache_control(self) -> &'static str {
        match self {
            Self::Forever => "private, max-age=31536000, immutable",
            Self::WhileTagged => "private, no-cache",
        }
    }
}

/// A strong tag of what determines the bytes of an answer, or of the bytes themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag(String);

impl Tag {
    /// Of these parts, one after the other.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(format!("\"{}\"", hex::write(&hash.finalize())))
    }

    /// As it stands in `ETag`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the asker has this answer already.
    pub(crate) fn is_known(&self, headers: &HeaderMap) -> bool {
        let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut tags = known.flat_map(|list| list.split(',')).map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0)
    }
}

/// The answer with its tag, or that it is what the asker has already: then `answer` is not made.
pub(crate) fn answer(
    headers: &HeaderMap,
    tag: &Tag,
    stays: Stays,
    answer: impl FnOnce() -> Result<Response>,
) -> Result<Response> {
    let mut response =
        if tag.is_known(headers) { StatusCode::NOT_MODIFIED.into_response() } else { answer()? };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag.0) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(stays.cache_control()));
    // Whoever asks, and in which format, is part of the question.
    headers.insert(header::VARY, HeaderValue::from_static("authorization, cookie, accept"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_told_by_its_tag() {
        let tag = Tag::of([&b"a"[..], b"b"]);
        assert_ne!(tag, Tag::of([&b"ab"[..], b""]));
        let known = |value: &str| {
            let headers = [(header::IF_NONE_MATCH, value.parse().unwrap())].into_iter().collect();
            tag.is_known(&headers)
        };
        assert!(known(&tag.0) && known(&format!("\"x\", W/{}", tag.0)) && known("*"));
        assert!(!known("\"x\"") && !known(tag.0.trim_matches('"')));
        assert!(!tag.is_known(&HeaderMap::new()));
    }
}
