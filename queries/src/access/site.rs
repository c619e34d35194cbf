//! From which site a request comes: a browser sends what another site's page makes it send.

use axum::http::{
    HeaderMap, HeaderName, Uri,
    header::{FORWARDED, HOST, ORIGIN},
};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whose page made the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    /// Ours, or the one who uses the browser.
    Ours,
    /// Anyone else's, neighbours on other names of the same domain as well.
    Another,
    /// Nobody says: no browser of these years.
    Unsaid,
}

/// Whose page made the request, as far as its browser says.
pub(super) fn of(headers: &HeaderMap) -> Site {
    // Only browsers set it, and no page can: but they do so on https and on the machine itself alone.
    if let Some(site) = headers.get(FETCH_SITE) {
        return if site == "same-origin" || site == "none" { Site::Ours } else { Site::Another };
    }
    let Some(origin) = headers.get(ORIGIN) else { return Site::Unsaid };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    // Behind a proxy the name that the browser knows is the one that the proxy tells. No page can set either.
    let is_ours = origin.as_ref().and_then(Uri::authority).is_some_and(|origin| {
        let names = [first(headers, &FORWARDED_HOST), forwarded(headers, "host"), first(headers, &HOST)];
        names.into_iter().flatten().any(|host| origin.as_str().eq_ignore_ascii_case(host))
    });
    if is_ours { Site::Ours } else { Site::Another }
}

/// Whether the browser speaks https, as the proxy says that does so for us, or the browser itself.
pub(crate) fn is_https(headers: &HeaderMap) -> bool {
    let told = [first(headers, &FORWARDED_PROTO), forwarded(headers, "proto")];
    told.into_iter().flatten().any(|scheme| scheme.eq_ignore_ascii_case("https"))
        || first(headers, &ORIGIN).is_some_and(|origin| origin.starts_with("https://"))
}

/// The first of what a header lists: it is of who was nearest to the browser.
fn first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim)
}

/// The same of `Forwarded` (RFC 7239).
fn forwarded<'a>(headers: &'a HeaderMap, key: &str) -> Option<&'a str> {
    first(headers, &FORWARDED)?.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case(key).then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_the_browser_says_of_the_site_is_believed_first() {
        for (said, site) in [
            ("same-origin", Site::Ours),
            ("none", Site::Ours),
            ("same-site", Site::Another),
            ("cross-site", Site::Another),
            ("x", Site::Another),
        ] {
            let origin = ("origin", "https://count.example");
            assert_eq!(of(&with(&[("sec-fetch-site", said), origin, ("host", "10.0.0.1")])), site, "{said}");
        }
    }

    #[test]
    fn else_the_origin_is_compared_with_every_name_that_we_have() {
        let host = ("host", "count.example:8080");
        for (origin, others, site) in [
            ("http://count.example:8080", &[][..], Site::Ours),
            ("http://COUNT.example:8080", &[], Site::Ours),
            ("http://count.example", &[], Site::Another),
            ("http://evil.example", &[], Site::Another),
            ("http://count.example:8080.evil.example", &[], Site::Another),
            ("null", &[], Site::Another),
            ("", &[], Site::Another),
            ("https://public.example", &[("x-forwarded-host", "public.example, inner")], Site::Ours),
            ("https://public.example", &[("forwarded", "for=1.2.3.4;Host=\"public.example\"")], Site::Ours),
            ("https://evil.example", &[("x-forwarded-host", "public.example")], Site::Another),
        ] {
            let headers = [&[host, ("origin", origin)], others].concat();
            assert_eq!(of(&with(&headers)), site, "{headers:?}");
        }
        assert_eq!(of(&with(&[host])), Site::Unsaid);
    }

    #[test]
    fn https_is_known_by_who_speaks_it_for_us() {
        for (headers, is_it) in [
            (&[][..], false),
            (&[("x-forwarded-proto", "https")], true),
            (&[("x-forwarded-proto", "HTTPS, http")], true),
            (&[("x-forwarded-proto", "http, https")], false),
            (&[("forwarded", "proto=https;for=1.2.3.4, proto=http")], true),
            (&[("origin", "https://count.example")], true),
            (&[("origin", "http://count.example")], false),
        ] {
            assert_eq!(is_https(&with(headers)), is_it, "{headers:?}");
        }
    }
}
