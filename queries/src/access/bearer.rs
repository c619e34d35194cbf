//! The token of a request.

use axum::http::{HeaderMap, header::AUTHORIZATION};

use super::Refusal;

/// The token in `Authorization: Bearer …`. There is no other door: what stands in an address ends up in
/// histories and logs.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Malformed);
    }
    let (scheme, token) =
        value.to_str().ok().and_then(|text| text.trim().split_once(' ')).ok_or(Refusal::Malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim_start()) } else { Err(Refusal::Malformed) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_one_bearer_header_is_taken() {
        assert_eq!(bearer(&with(&["Bearer fm_a_b"])), Ok("fm_a_b"));
        assert_eq!(bearer(&with(&["bearer  fm_a_b "])), Ok("fm_a_b"));
        assert_eq!(bearer(&with(&[])), Err(Refusal::Missing));
        assert_eq!(bearer(&with(&["Basic abc"])), Err(Refusal::Malformed));
        assert_eq!(bearer(&with(&["fm_a_b"])), Err(Refusal::Malformed));
        assert_eq!(bearer(&with(&["Bearer a", "Bearer b"])), Err(Refusal::Malformed));
    }
}
