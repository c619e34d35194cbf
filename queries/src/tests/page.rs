//! The page over HTTP, with its script where it was built, and without.

use axum::{body::Body, http::Request};

use super::bench::Bench;

const VIEWS: [&str; 6] =
    ["/sign-in", "/usage?from=-7d", "/flags", "/flags/acme/web/a%2Fb", "/billing", "/operators"];

#[tokio::test]
async fn every_view_is_a_page_without_a_token_and_loads_nothing_from_elsewhere() {
    let bench = Bench::new();
    for view in VIEWS {
        for address in
            [view.to_owned(), format!("{view}{}plain=1", if view.contains('?') { '&' } else { '?' })]
        {
            let mut page = bench.get_as("", &address).await;
            // Where no script could ask for a token, the server leads to where one is asked for.
            if let Some(sign_in) = page.headers.get("location") {
                page = bench.get_as("", sign_in.to_str().unwrap()).await;
            }
            assert!(page.body.to_lowercase().starts_with("<!doctype html>"), "{address}: {}", page.body);
            assert_eq!(page.headers["content-type"], "text/html; charset=utf-8", "{address}");
            let policy = page.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            for elsewhere in ["src=\"http", "src=\"//", "rel=\"stylesheet\" href=\"http", "<style>@import"] {
                assert!(!page.body.contains(elsewhere), "{address}: {}", page.body);
            }
        }
    }
}

#[tokio::test]
async fn the_first_page_is_usage_with_what_was_asked() {
    let bench = Bench::new();
    for (address, leads_to) in
        [("/", "/usage"), ("/?from=-1h&group_by=flag", "/usage?from=-1h&group_by=flag")]
    {
        let answer = bench.get_as("", address).await;
        assert_eq!((answer.status.as_u16(), answer.headers["location"].to_str().unwrap()), (307, leads_to));
    }
    // It cannot be made to lead elsewhere.
    let answer = bench.get_as("", "//evil.example").await;
    assert!(answer.headers.get("location").is_none(), "{answer:?}");
}

#[tokio::test]
async fn without_script_an_address_goes_on_asking_what_it_asks() {
    let bench = Bench::new();
    let page = bench.get_as("", "/usage?from=-6h&flag=%22%3E%3Cb%3E&tz='x").await;
    if page.body.contains("/assets/") {
        let leads_to = "?from=-6h&amp;flag=%22%3E%3Cb%3E&amp;tz=&#39;x&amp;plain=1";
        assert_eq!(page.body.matches(leads_to).count(), 2, "{}", page.body);
        assert_eq!(page.body.matches("plain=1").count(), 2, "{}", page.body);
        assert!(bench.get_as("", "/usage").await.body.contains("url=?plain=1"));
    }
}

#[tokio::test]
async fn where_nothing_is_a_browser_is_told_by_the_page_and_everyone_else_by_a_problem() {
    let bench = Bench::new();
    let built = bench.get_as("", "/usage").await.headers.contains_key("etag");
    let browser = |address| {
        let request = Request::get(address).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        bench.send(request.body(Body::empty()).unwrap())
    };
    for address in ["/nothing-is-here", "/flags/acme/web"] {
        let page = browser(address).await;
        assert_eq!(page.status, 404);
        let kind = if built { "text/html; charset=utf-8" } else { "application/problem+json" };
        assert_eq!(page.headers["content-type"], kind, "{address}");
        bench.get_as("", address).await.problem(404);
    }
    browser("/v1/nothing").await.problem(404);
    // The page would lead a browser without script here again, and for ever.
    browser("/nothing-is-here?plain=1").await.problem(404);
}

#[tokio::test]
async fn the_parts_of_a_page_are_served_to_be_kept() {
    let bench = Bench::new();
    let page = bench.get_as("", "/usage").await;
    let assets: Vec<_> = page.body.split('"').filter(|part| part.starts_with("/assets/")).collect();
    // None where it was built without Node.
    assert_eq!(assets.is_empty(), page.headers.get("etag").is_none(), "{}", page.body);
    for asset in assets {
        let answer = bench.get_as("", asset).await;
        assert_eq!(answer.status, 200, "{asset}");
        assert_eq!(answer.headers["cache-control"], "public, max-age=31536000, immutable", "{asset}");
    }
    for missing in ["/assets/app-00000000.js", "/assets/..%2Findex.html", "/assets/%00"] {
        bench.get_as("", missing).await.problem(404);
    }
    assert_eq!(bench.get_as("", "/icon.svg").await.headers["content-type"], "image/svg+xml");
}
