//! How the body of an answer is packed on its way.

use axum::http::{HeaderMap, header};

/// Whether a request takes answers in this coding (`gzip`, `br`).
pub(crate) fn takes(headers: &HeaderMap, coding: &str) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|accepted| {
        let mut parts = accepted.split(';').map(str::trim);
        let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let quality = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse().ok());
        is_it && quality.unwrap_or(1.0_f32) > 0.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_taken_where_it_is_named_and_not_refused() {
        let headers = |accepted: &'static str| -> HeaderMap {
            [(header::ACCEPT_ENCODING, accepted.parse().unwrap())].into_iter().collect()
        };
        for accepted in ["gzip", "deflate, gzip, br", "br;q=1.0, GZIP;q=0.5", "gzip; q=1"] {
            assert!(takes(&headers(accepted), "gzip"), "{accepted}");
        }
        for accepted in ["", "identity", "br", "gzip;q=0", "x-gzip2", "*;q=0"] {
            assert!(!takes(&headers(accepted), "gzip"), "{accepted}");
        }
        assert!(takes(&headers("gzip, br"), "br") && !takes(&HeaderMap::new(), "br"));
    }
}
