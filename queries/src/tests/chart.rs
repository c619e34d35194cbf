//! `/v1/chart.svg` over HTTP.

use axum::{body::Body, http::Request};

use super::bench::{Bench, NOW, Reply, acme, at, flag, globex};

const THE_HOUR: &str = "from=2026-11-20T11:00:00Z&to=2026-11-20T12:00:00Z";

async fn counted() -> Bench {
    let bench = Bench::new();
    let time = at("2026-11-20T11:05:00Z");
    let counts = [(&acme(), flag("checkout"), time, 1_204), (&globex(), flag("<b>&\"search"), time, 719)];
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    bench
}

/// The text of an element.
fn text_of<'a>(reply: &'a Reply, element: &str) -> &'a str {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let (_, from) = reply.body.split_once(&format!("<{element} id=")).unwrap();
    let (_, from) = from.split_once('>').unwrap();
    from.split_once(&format!("</{element}>")).unwrap().0
}

#[tokio::test]
async fn a_picture_says_what_usage_says() {
    let bench = counted().await;
    let query = format!("{THE_HOUR}&resolution=15m&group_by=flag");
    let usage = bench.get(&format!("/v1/usage?{query}")).await.json();
    assert_eq!(usage["total"], 1_923);
    let picture = bench.get(&format!("/v1/chart.svg?{query}")).await;
    assert_eq!(picture.headers["content-type"], "image/svg+xml");
    assert_eq!(text_of(&picture, "title"), "Evaluations by flag");
    let words = text_of(&picture, "desc");
    for said in [
        "20 Nov 2026, 11:00 – 12:00, UTC, by 15 minutes.",
        "Total: 1,923 evaluations.",
        "checkout: 1,204.",
        "&lt;b&gt;&amp;&quot;search: 719.",
        "Highest: 1,923 at 20 Nov, 11:00.",
        "20 Nov, 11:15: 0;",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    let titled = bench.get(&format!("/v1/chart.svg?{query}&title=%3Ci%3E%20%E4%B8%AD")).await;
    assert_eq!(text_of(&titled, "title"), "\u{2068}&lt;i&gt; 中\u{2069}");
}

#[tokio::test]
async fn a_customer_has_pictures_of_its_own_counts_only() {
    let bench = counted().await;
    let own = bench.get_as(&bench.acme, &format!("/v1/chart.svg?{THE_HOUR}&group_by=flag")).await;
    let words = text_of(&own, "desc");
    assert!(words.contains("1,204") && words.contains("Europe/Berlin"), "{words}");
    assert!(!own.body.contains("search") && !own.body.contains("719"), "{}", own.body);
    let other = format!("/v1/chart.svg?{THE_HOUR}&customer=globex");
    bench.get_as(&bench.acme, &other).await.problem(403);
    bench.send(Request::get("/v1/chart.svg").body(Body::empty()).unwrap()).await.problem(401);
}

#[tokio::test]
async fn the_same_picture_is_not_sent_again() {
    let bench = counted().await;
    let address = format!("/v1/chart.svg?{THE_HOUR}");
    let first = bench.get(&address).await;
    let tag = first.headers["etag"].clone();
    assert_eq!(first.headers["cache-control"], "private, no-cache");
    assert_eq!(first.headers["vary"], "authorization, cookie, accept");
    assert_eq!(bench.get(&address).await.body, first.body);
    let again = Request::get(&address)
        .header("authorization", format!("Bearer {}", bench.operator))
        .header("if-none-match", &tag);
    let again = bench.send(again.body(Body::empty()).unwrap()).await;
    assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""));
    for header in ["etag", "content-security-policy", "cache-control"] {
        assert_eq!(again.headers[header], first.headers[header]);
    }
    assert_ne!(bench.get(&format!("{address}&theme=dark")).await.headers["etag"], tag);
}

#[tokio::test]
async fn a_picture_may_use_its_own_style_and_nothing_else() {
    let bench = counted().await;
    let picture = bench.get(&format!("/v1/chart.svg?{THE_HOUR}")).await;
    let policy = picture.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && policy.ends_with("frame-ancestors 'none'"), "{policy}");
    assert_eq!(picture.headers["x-content-type-options"], "nosniff");
    // What is hashed is what stands between the tags, to the letter.
    let (_, style) = picture.body.split_once("<style>").unwrap();
    assert!(!style.split_once("</style>").unwrap().0.contains('&'), "an escaped style has another hash");
}

#[tokio::test]
async fn what_cannot_be_drawn_is_refused_with_the_parameter_at_fault() {
    let bench = counted().await;
    let long = "x".repeat(201);
    for (query, parameter) in [
        ("width=239", "width"),
        ("width=2401", "width"),
        ("height=159", "height"),
        ("height=1e3", "height"),
        ("theme=blue", "theme"),
        ("style=pie", "style"),
        ("title=", "title"),
        ("title=%07", "title"),
        (&format!("title={long}"), "title"),
        ("limit=9&group_by=flag", "limit"),
        ("limit=3", "limit"),
        ("group_by=color", "group_by"),
        ("format=csv", "format"),
    ] {
        assert_eq!(
            bench.get(&format!("/v1/chart.svg?{query}")).await.problem(400)["parameter"],
            parameter,
            "{query}"
        );
    }
    let problem = bench.get("/v1/chart.svg?from=-24h&resolution=1m").await.problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("1000 buckets"), "{problem}");
}
