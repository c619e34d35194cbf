//! Links to one chart: what they show, and that they show nothing else.

use std::time::Duration;

use axum::{body::Body, http::Request};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use flagmeter_model::Clock as _;
use serde_json::{Value, json};

use super::bench::{Bench, NOW, Reply, acme, at, flag, globex};
use crate::access::{NewToken, Role};

async fn two_customers() -> Bench {
    let bench = Bench::new();
    let time = at("2026-11-20T11:05:00Z");
    let counts = [(&acme(), flag("checkout"), time, 3), (&globex(), flag("globex-only"), time, 5)];
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    bench
}

async fn post(bench: &Bench, token: &str, body: &Value) -> Reply {
    let request = Request::post("/v1/embed")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    bench.send(request.body(Body::from(body.to_string())).unwrap()).await
}

/// What is asked of `/embed`: the link and its look.
async fn link(bench: &Bench, token: &str, body: &Value) -> String {
    let reply = post(bench, token, body).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let made: Value = serde_json::from_str(&reply.body).unwrap();
    made["url"].as_str().unwrap().strip_prefix("/embed?").unwrap().to_owned()
}

/// Asks without a token.
async fn get(bench: &Bench, address: &str) -> Reply {
    bench.send(Request::get(address).body(Body::empty()).unwrap()).await
}

/// The first answer of a stream.
async fn first(bench: &Bench, link: &str) -> Value {
    let request = Request::get(format!("/embed/live?{link}")).body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(bench.router.clone(), request).await.unwrap();
    super::live::first_snapshot(response).await
}

#[tokio::test]
async fn whoever_has_a_link_sees_its_chart_and_needs_no_token() {
    let bench = two_customers().await;
    let query = "from=-2h&resolution=1h&group_by=flag";
    let look = json!({"query": query, "style": "lines", "theme": "dark", "title": "Checkout & \"more\""});
    let link = link(&bench, &bench.acme, &look).await;
    let look = "&style=lines&theme=dark&title=Checkout%20%26%20%22more%22";
    assert!(link.ends_with(look), "{link}");
    let picture = get(&bench, &format!("/embed/chart.svg?{link}")).await;
    let same = bench.get_as(&bench.acme, &format!("/v1/chart.svg?{query}{look}")).await;
    assert_eq!((picture.status.as_u16(), &picture.body), (200, &same.body));
    let (signed, _) = link.split_once('&').unwrap();
    let usage = bench.get_as(&bench.acme, &format!("/v1/usage?{query}&limit=5")).await.json();
    assert_eq!(first(&bench, signed).await, usage);
    assert_eq!(usage["total"], 3);
    for plain in ["", "&plain=1"] {
        let page = get(&bench, &format!("/embed?{link}{plain}")).await;
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("frame-ancestors *") && policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!page.headers.contains_key("x-frame-options") && !policy.contains("unsafe"));
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        if plain == "&plain=1" {
            let escaped = format!("src=\"/embed/chart.svg?{}&amp;plain=1\"", link.replace('&', "&amp;"));
            assert!(page.body.contains(&escaped), "{}", page.body);
        }
    }
    // As an image of another site as well.
    assert_eq!(picture.headers["cross-origin-resource-policy"], "cross-origin");
    assert_eq!(same.headers["cross-origin-resource-policy"], "same-origin");
    let known =
        Request::get(format!("/embed/chart.svg?{link}")).header("if-none-match", &picture.headers["etag"]);
    assert_eq!(bench.send(known.body(Body::empty()).unwrap()).await.status, 304);
}

#[tokio::test]
async fn a_link_that_was_changed_shows_nothing() {
    let bench = two_customers().await;
    let link = link(&bench, &bench.acme, &json!({"query": "from=-2h", "expires_in": "2h"})).await;
    let other = self::link(&bench, &bench.operator, &json!({"query": "from=-2h", "expires_in": "2h"})).await;
    let parts: Vec<_> = link.strip_prefix("link=").unwrap().split('.').collect();
    let others: Vec<_> = other.strip_prefix("link=").unwrap().split('.').collect();
    let [id, until, query, signature] = parts[..] else { panic!("{link}") };
    assert_eq!(URL_SAFE_NO_PAD.decode(query).unwrap(), b"from=-2h");
    let another_query = URL_SAFE_NO_PAD.encode("from=-2h&customer=globex");
    let later = (until.parse::<i64>().unwrap() + 3_600).to_string();
    let unknown = "0123456789ab";
    let wrong = [
        [id, until, &another_query, signature],
        [id, &later, query, signature],
        [others[0], until, query, signature],
        [others[0], until, query, others[3].get(1..).unwrap()],
        [id, until, query, others[3]],
        [unknown, until, query, signature],
        [id, until, query, ""],
        ["", "", "", ""],
        [id, "x", query, signature],
    ];
    let mut wrong: Vec<_> = wrong.iter().map(|parts| parts.join(".")).collect();
    wrong.extend([
        "x".into(),
        bench.acme.clone(),
        bench.operator.clone(),
        format!("{id}.{until}"),
        "%ff%00".into(),
    ]);
    for text in &wrong {
        for path in ["/embed/chart.svg", "/embed/live"] {
            let reply = get(&bench, &format!("{path}?link={text}")).await;
            assert_eq!(reply.problem(401)["type"], "urn:flagmeter:problem:link", "{path} {text}");
        }
        let page = get(&bench, &format!("/embed?link={text}")).await;
        assert_eq!(
            (page.status.as_u16(), page.headers["content-type"].to_str().unwrap()),
            (401, "text/html; charset=utf-8")
        );
        assert!(
            page.body.contains("<main><h1>There is no chart here</h1><p>This link does not hold")
                && !page.headers.contains_key("x-frame-options")
        );
    }
    get(&bench, &format!("/embed/chart.svg?{link}&customer=globex")).await.problem(400);
    get(&bench, &format!("/embed/chart.svg?{link}&{other}")).await.problem(400);
    get(&bench, "/embed/chart.svg").await.problem(400);
    assert_eq!(get(&bench, &format!("/embed/chart.svg?{link}")).await.status, 200);
}

#[tokio::test]
async fn a_link_ends_with_its_time_and_with_its_token() {
    let bench = two_customers().await;
    let shown = async |link: &str| get(&bench, &format!("/embed/chart.svg?{link}")).await.status.as_u16();
    let hour = link(&bench, &bench.acme, &json!({})).await;
    let day = link(&bench, &bench.acme, &json!({"expires_in": "1d"})).await;
    assert_eq!((shown(&hour).await, shown(&day).await), (200, 200));
    bench.clock.advance(3_600);
    assert_eq!((shown(&hour).await, shown(&day).await), (401, 200));
    bench.tokens.revoke(bench.acme.split('_').nth(1).unwrap(), "test").unwrap();
    assert_eq!(shown(&day).await, 401);
    // A token with a time of its own makes no link for longer.
    let expires_at = Some(bench.clock.now().plus_seconds(60));
    let token =
        bench.tokens.create(NewToken { role: Role::Billing, note: None, expires_at }, "test").unwrap();
    let reply = post(&bench, &token.text, &json!({"expires_in": "30d"})).await;
    let made: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(made["expires_at"], "2026-11-20T13:45:54Z");
    let short = made["url"].as_str().unwrap().strip_prefix("/embed?").unwrap();
    assert_eq!(shown(short).await, 200);
    bench.clock.advance(60);
    assert_eq!(shown(short).await, 401);
}

#[tokio::test]
async fn a_stream_ends_with_its_link() {
    let bench = two_customers().await;
    let link = link(&bench, &bench.acme, &json!({"expires_in": "5s"})).await;
    let request = Request::get(format!("/embed/live?{link}")).body(Body::empty()).unwrap();
    let whole = tokio::time::timeout(Duration::from_mins(1), bench.send(request)).await;
    let reply = whole.expect("it goes on after its link");
    assert!(reply.body.contains("event: snapshot"), "{}", reply.body);
}

#[tokio::test]
async fn a_link_shows_no_more_than_its_token_may_read_whatever_cookies_come_along() {
    let bench = two_customers().await;
    let another = post(&bench, &bench.acme, &json!({"query": "customer=globex"})).await;
    another.problem(403);
    let link =
        link(&bench, &bench.acme, &json!({"query": "from=-2h&resolution=1h&group_by=customer,flag"})).await;
    let as_operator = |address: &str| {
        let request = Request::get(address)
            .header("cookie", format!("flagmeter_session={}", bench.operator))
            .header("sec-fetch-site", "same-origin")
            .header("authorization", format!("Bearer {}", bench.operator));
        request.body(Body::empty()).unwrap()
    };
    let reply = bench.send(as_operator(&format!("/embed/chart.svg?{link}"))).await;
    assert!(reply.body.contains("checkout") && !reply.body.contains("globex"), "{}", reply.body);
    assert!(!reply.headers.contains_key("set-cookie"));
    let page = bench.send(as_operator(&format!("/embed?{link}&plain=1"))).await;
    assert_eq!(page.body, get(&bench, &format!("/embed?{link}&plain=1")).await.body);
    assert!(!page.headers.contains_key("set-cookie"));
    let stream = as_operator(&format!("/embed/live?{link}"));
    let stream = tower::ServiceExt::oneshot(bench.router.clone(), stream).await.unwrap();
    assert_eq!(super::live::first_snapshot(stream).await, first(&bench, &link).await);
    // Without a link there is nothing, whoever else one is.
    for path in ["/embed", "/embed/chart.svg", "/embed/live"] {
        let reply = bench.send(as_operator(path)).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.body);
        let borrowed = bench.send(as_operator(&format!("{path}?link=x"))).await;
        assert_eq!(borrowed.status, 401, "{path}: {}", borrowed.body);
    }
}

#[tokio::test]
async fn a_cookie_makes_links_from_a_page_of_ours_alone() {
    let bench = two_customers().await;
    let ask = |headers: &[(&'static str, &'static str)]| {
        let request = Request::post("/v1/embed")
            .header("cookie", format!("flagmeter_session={}", bench.acme))
            .header("host", "count.example")
            .header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(Body::from("{}")).unwrap()
    };
    for own in [("sec-fetch-site", "same-origin"), ("origin", "http://count.example")] {
        assert_eq!(bench.send(ask(&[own])).await.status, 201, "{own:?}");
    }
    for foreign in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
    ] {
        let problem = bench.send(ask(foreign)).await.problem(403);
        assert_eq!(problem["type"], "urn:flagmeter:problem:other-site", "{foreign:?}");
    }
    let request = Request::post("/v1/embed").body(Body::from("{}")).unwrap();
    bench.send(request).await.problem(401);
}

#[tokio::test]
async fn a_link_that_could_show_nothing_is_not_made() {
    let bench = two_customers().await;
    let long = format!("flag={}", "a".repeat(2_000));
    for (body, said) in [
        (json!({"query": "from=-2h&client=acme"}), "client"),
        (json!({"query": "tz=Mars"}), "tz"),
        (json!({"query": "from=now&to=-1h"}), "from"),
        (json!({"query": "style=lines"}), "style"),
        (json!({"query": "from=-1h#flag=x"}), "query"),
        (json!({"query": "flag=a b"}), "query"),
        (json!({"query": long}), "query"),
        (json!({"expires_in": "31d"}), "expires_in"),
        (json!({"expires_in": "0s"}), "expires_in"),
        (json!({"expires_in": "soon"}), "expires_in"),
        (json!({"style": "pie"}), "style"),
        (json!({"title": "a\nb"}), "title"),
        (json!({"title": "a".repeat(201)}), "title"),
        (json!({"customer": "acme"}), "customer"),
        (json!("x"), "struct"),
    ] {
        let problem = post(&bench, &bench.acme, &body).await.problem(400);
        assert!(problem["detail"].as_str().unwrap().contains(said), "{body}: {problem}");
    }
    // As many groups as a stream has: a picture has as many as it can tell apart.
    let link =
        link(&bench, &bench.acme, &json!({"query": "group_by=flag&limit=20", "title": "Ü".repeat(200)}))
            .await;
    assert_eq!(get(&bench, &format!("/embed/chart.svg?{link}")).await.status, 200);
}
