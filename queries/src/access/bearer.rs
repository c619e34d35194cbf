//! The token of a request.

use axum::http::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderValue},
};

use super::{Refusal, cookie};

/// The token in `Authorization: Bearer …`, or else in the cookie of who signed in on the page. There is no other door:
/// what stands in an address ends up in histories and logs.
pub(super) fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => cookie::token(headers).ok_or(Refusal::Missing),
        (Some(value), None) => bearer(value),
        (Some(_), Some(_)) => Err(Refusal::Malformed),
    }
}

/// Whether the token comes in a cookie, which a browser sends along whoever made the request.
pub(super) fn is_in_cookie(headers: &HeaderMap) -> bool {
    !headers.contains_key(AUTHORIZATION) && cookie::token(headers).is_some()
}

fn bearer(value: &HeaderValue) -> Result<&str, Refusal> {
    let (scheme, token) =
        value.to_str().ok().and_then(|text| text.trim().split_once(' ')).ok_or(Refusal::Malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim_start()) } else { Err(Refusal::Malformed) }
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE;

    use super::*;

    fn with(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_one_bearer_header_is_taken() {
        assert_eq!(token(&with(&["Bearer fm_a_b"])), Ok("fm_a_b"));
        assert_eq!(token(&with(&["bearer  fm_a_b "])), Ok("fm_a_b"));
        assert_eq!(token(&with(&[])), Err(Refusal::Missing));
        assert_eq!(token(&with(&["Basic abc"])), Err(Refusal::Malformed));
        assert_eq!(token(&with(&["fm_a_b"])), Err(Refusal::Malformed));
        assert_eq!(token(&with(&["Bearer a", "Bearer b"])), Err(Refusal::Malformed));
    }

    #[test]
    fn a_cookie_is_looked_at_where_there_is_no_header_and_never_mends_a_bad_one() {
        let cookie = (COOKIE, HeaderValue::from_static("flagmeter_session=fm_c_d"));
        let mut headers: HeaderMap = [cookie].into_iter().collect();
        assert_eq!((token(&headers), is_in_cookie(&headers)), (Ok("fm_c_d"), true));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer fm_a_b"));
        assert_eq!((token(&headers), is_in_cookie(&headers)), (Ok("fm_a_b"), false));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic abc"));
        assert_eq!((token(&headers), is_in_cookie(&headers)), (Err(Refusal::Malformed), false));
    }
}
