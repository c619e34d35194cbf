//! The cookie that holds the token of whoever signed in on the page. Scripts cannot read it, and other sites cannot send it.

use axum::http::{HeaderMap, HeaderValue, header::COOKIE};

/// What it is called.
pub(crate) const NAME: &str = "flagmeter_session";

/// The token in the cookie of a request. Other cookies of the host may be anything.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies =
        headers.get_all(COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    let mut ours = cookies.filter_map(|cookie| {
        cookie.trim_ascii().strip_prefix(NAME.as_bytes()).and_then(|rest| rest.strip_prefix(b"="))
    });
    // What is not text is no token either: it is refused as such.
    ours.next().map(|value| std::str::from_utf8(value).unwrap_or_default())
}

/// A cookie that holds this token for so many seconds; of 0 seconds, it takes the one away that is there.
pub(crate) fn holding(token: &str, seconds: u64, is_https: bool) -> Option<HeaderValue> {
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!("{NAME}={token}; HttpOnly; SameSite=Lax; Path=/; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(values: &[&[u8]]) -> HeaderMap {
        values.iter().map(|value| (COOKIE, HeaderValue::from_bytes(value).unwrap())).collect()
    }

    #[test]
    fn ours_is_found_among_those_of_others() {
        for cookies in [
            &["flagmeter_session=fm_a_b"][..],
            &["a=1; flagmeter_session=fm_a_b;b=2"],
            &["xflagmeter_session=no; flagmeter_session2=no", "  flagmeter_session=fm_a_b "],
            &["ä=ö; flagmeter_session=fm_a_b"],
        ] {
            let cookies: Vec<_> = cookies.iter().map(|text| text.as_bytes()).collect();
            assert_eq!(token(&with(&cookies)), Some("fm_a_b"), "{cookies:?}");
        }
        assert_eq!(token(&with(&[b"flagmeter_sessionx=1; =flagmeter_session; flagmeter_session"])), None);
        assert_eq!(token(&with(&[b"flagmeter_session=\xff\xfe"])), Some(""));
        assert_eq!(token(&HeaderMap::new()), None);
    }

    #[test]
    fn a_cookie_is_for_this_server_alone_and_for_no_script() {
        let cookie = holding("fm_a_b", 60, false).unwrap();
        assert_eq!(cookie, "flagmeter_session=fm_a_b; HttpOnly; SameSite=Lax; Path=/; Max-Age=60");
        assert!(holding("", 0, true).unwrap().to_str().unwrap().ends_with("; Max-Age=0; Secure"));
        assert_eq!(holding("a\nb", 1, false), None);
        assert!(!format!("{cookie:?}").contains("fm_a_b"), "a log that shows headers does not show tokens");
    }

    proptest! {
        #[test]
        fn whatever_a_cookie_says_is_read_or_refused(bytes in proptest::collection::vec(32_u8..=255, 0..80)) {
            let ours = [b"flagmeter_session=", &bytes[..]].concat();
            for value in [bytes, ours] {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    let _ = token(&[(COOKIE, value)].into_iter().collect());
                }
            }
        }
    }
}
