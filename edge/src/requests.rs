//! Requests that are followed: from the answer that names them to the log line that says which seal has their counts.
//!
//! Every answer has a name in `x-request-id`, its sender's or one that was made here. It costs nothing more unless lines of
//! the level debug are written: then a refusal says whose it is, and each seal which requests are in it. Ingest says when
//! that seal is stored, by its node and number.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue};
use flagmeter_model::{NodeId, Seq};

/// So many are named with a seal; of the others it is said how many they are.
const NAMED_MAX: usize = 1_000;
/// A longer name is cut: it is a stranger's.
const NAME_BYTES_MAX: usize = 128;

/// The name of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestName(HeaderValue);

impl RequestName {
    /// That of a request with these headers, if requests are followed now.
    pub(crate) fn followed(headers: &HeaderMap) -> Option<Self> {
        tracing::enabled!(tracing::Level::DEBUG).then(|| Self::of(headers)).flatten()
    }

    /// A copy: the header's own value would keep all that was received with it until the seal.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let name = headers.get(crate::doors::X_REQUEST_ID)?.as_bytes();
        HeaderValue::from_bytes(name.get(..NAME_BYTES_MAX).unwrap_or(name)).ok().map(Self)
    }

    /// As one word, among others.
    fn as_word(&self) -> String {
        self.to_string().replace(char::is_whitespace, "_")
    }
}

impl fmt::Display for RequestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0.as_bytes()))
    }
}

/// Those that wait for their seal.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    named: Vec<RequestName>,
    more: u64,
}

impl Followed {
    /// The counts of this one are on disk.
    pub(crate) fn add(&mut self, request: RequestName) {
        if self.named.len() < NAMED_MAX {
            self.named.push(request);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// The counts of all of them are in this seal.
    pub(crate) fn sealed(&mut self, node: NodeId, seq: Seq) {
        if self.named.is_empty() {
            return;
        }
        let requests = self.named.drain(..).map(|request| request.as_word()).collect::<Vec<_>>().join(" ");
        tracing::debug!(%node, %seq, requests, more = self.more, "the counts of these requests are sealed");
        self.more = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_name_is_cut_when_it_is_kept_and_is_one_word() {
        let mut headers = HeaderMap::new();
        assert!(RequestName::of(&headers).is_none());
        headers.insert(crate::doors::X_REQUEST_ID, HeaderValue::from_static("one two\tthree"));
        assert_eq!(RequestName::of(&headers).unwrap().as_word(), "one_two_three");
        let long = "n".repeat(NAME_BYTES_MAX + 1);
        headers.insert(crate::doors::X_REQUEST_ID, HeaderValue::from_str(&long).unwrap());
        assert_eq!(RequestName::of(&headers).unwrap().0.len(), NAME_BYTES_MAX);
    }
}
