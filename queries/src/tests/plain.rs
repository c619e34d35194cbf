//! The page without script, over HTTP.

mod operators;

use axum::{body::Body, http::Request};

use super::bench::{Bench, NOW, Reply, acme, at, flag, globex};
use crate::Config;

const THE_HOUR: &str = "plain=1&from=2026-11-20T11:00:00Z&to=2026-11-20T12:00:00Z&resolution=15m";

async fn counted() -> Bench {
    let bench = Bench::new();
    let time = at("2026-11-20T11:05:00Z");
    let counts = [
        (&acme(), flag("checkout"), time, 1_204),
        (&acme(), flag("<b>&\"search"), time, 719),
        (&globex(), flag("banner"), time, 5_001),
    ];
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    bench
}

/// A page that was answered with this status.
#[track_caller]
fn page(reply: &Reply, status: u16) -> &str {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.body);
    assert_eq!(reply.headers["content-type"], "text/html; charset=utf-8");
    let policy = reply.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self'")
            && !policy.contains("script")
    );
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert!(reply.body.starts_with("<!DOCTYPE html>") && !reply.body.contains("<script"), "{}", reply.body);
    &reply.body
}

/// The text of a page, tags taken away.
fn text(page: &str) -> String {
    let mut text = String::new();
    for part in page.split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    text
}

#[tokio::test]
async fn who_is_not_signed_in_is_led_there_and_back() {
    let bench = counted().await;
    for (authorization, again) in [(None, ""), (Some("Bearer fm_no_token"), "&again=1")] {
        let mut request = Request::get("/usage?plain=1&flag=a%26b");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let reply = bench.send(request.body(Body::empty()).unwrap()).await;
        let address = reply.headers["location"].to_str().unwrap();
        let next = "next=%2Fusage%3Fplain%3D1%26flag%3Da%2526b";
        assert_eq!((reply.status.as_u16(), address), (303, &*format!("/sign-in?plain=1&{next}{again}")));
        let sign_in = bench.send(Request::get(address).body(Body::empty()).unwrap()).await;
        let form = page(&sign_in, 200);
        assert!(form.contains("name=\"next\" value=\"/usage?plain=1&amp;flag=a%26b\""), "{form}");
        assert_eq!(text(form).contains("not in force any more"), !again.is_empty());
        assert!(
            form.contains("method=\"post\" action=\"/v1/session\"") && form.contains("type=\"password\"")
        );
    }
}

#[tokio::test]
async fn usage_says_what_the_api_says_with_a_picture_and_every_number() {
    let bench = counted().await;
    let reply =
        bench.get_as(&bench.acme, &format!("/usage?{THE_HOUR}&group_by=flag&compare=previous&tz=UTC")).await;
    let page = page(&reply, 200);
    let words = text(page);
    for said in
        ["1,923 evaluations", "The period before: not known", "All is in until 2026-11-20 12:44:50", "62.6 %"]
    {
        assert!(words.contains(said), "{said}: {words}");
    }
    let asked = "from=2026-11-20T11%3A00%3A00Z&amp;to=2026-11-20T12%3A00%3A00Z&amp;resolution=15m";
    assert!(page.contains(&format!("src=\"/v1/chart.svg?{asked}&amp;group_by=flag")), "{page}");
    assert!(page.contains(
        "alt=\"Chart of evaluations from 2026-11-20T11:00:00Z to 2026-11-20T12:00:00Z, 1,923 in all"
    ));
    let row = "<th scope=\"row\"><time datetime=\"2026-11-20T11:00:00Z\">2026-11-20 11:00</time></th>";
    let (_, cells) = page.split_once(row).unwrap();
    let cells = text(cells.split_once("</tr>").unwrap().0);
    assert_eq!(cells, "complete1,923not known1,204719");
    // What is linked is what is shown.
    let (_, csv) = page.split_once("href=\"/v1/usage?").unwrap();
    let csv = csv.split_once('"').unwrap().0.replace("&amp;", "&");
    let csv = bench.get_as(&bench.acme, &format!("/v1/usage?{csv}")).await;
    assert!(
        csv.body.contains("2026-11-20T11:00:00Z,2026-11-20T11:15:00Z,complete,1204,checkout"),
        "{}",
        csv.body
    );
    for picture in page.split("/v1/chart.svg?").skip(1) {
        let address = picture.split_once('"').unwrap().0.replace("&amp;", "&");
        let picture = bench.get_as(&bench.acme, &format!("/v1/chart.svg?{address}")).await;
        assert_eq!(picture.headers["content-type"], "image/svg+xml", "{}", picture.body);
    }
}

#[tokio::test]
async fn what_is_refused_is_told_in_the_words_of_the_api_and_the_form_stays_filled_in() {
    let bench = counted().await;
    for (query, status, words, field) in [
        ("from=yesterday", 400, "Parameter from: \"yesterday\" is not a time", "value=\"yesterday\""),
        ("form=-1h&flag=a%22b", 400, "There is no parameter \"form\" here", "value=\"a&quot;b\""),
        ("customer=globex&project=p1", 403, "This token reads customer \"acme\" only", "value=\"p1\""),
        ("limit=9&from=-1y", 400, "Parameter from: \"1y\"", "value=\"-1y\""),
        ("from=-900d&resolution=10s", 422, "more than 10000 buckets", "value=\"-900d\""),
    ] {
        let reply = bench.get_as(&bench.acme, &format!("/usage?plain=1&{query}")).await;
        let page = page(&reply, status);
        let said = text(page).replace("&quot;", "\"");
        assert!(said.contains(words), "{words}: {said}");
        assert!(page.contains(field) && page.contains("role=\"alert\""), "{field}: {page}");
    }
}

#[tokio::test]
async fn flags_are_listed_with_what_is_wrong_with_them() {
    let bench = counted().await;
    let all = bench.get_as(&bench.acme, "/flags?plain=1&from=-24h").await;
    let all_page = page(&all, 200);
    assert!(all_page.contains("<bdi>&lt;b&gt;&amp;&quot;search</bdi>"), "{all_page}");
    let of = |name: &str| {
        let (_, row) = all_page.split_once(&format!("<bdi>{name}</bdi></a>")).unwrap();
        row.split_once("</tr>").unwrap().0.to_owned()
    };
    assert!(of("never").contains("never evaluated") && of("never").contains("past its removal date"));
    assert!(of("never").contains("<bdi>web</bdi>") && of("never").contains("2026-11-19"));
    assert!(of("checkout").contains("no owner") && !of("checkout").contains("stale"));
    assert!(of("&lt;b&gt;&amp;&quot;search").contains("not in the registry"));
    for (query, here, not_here) in [
        ("show=past_removal", "never", "checkout"),
        ("show=stale", "never", "checkout"),
        ("show=ghost", "search", "never"),
        ("show=without_owner", "checkout", "<bdi>never"),
        ("q=CHECK", "checkout", "never"),
    ] {
        let reply = bench.get_as(&bench.acme, &format!("/flags?plain=1&{query}")).await;
        let (_, list) = page(&reply, 200).split_once("<tbody>").unwrap();
        assert!(list.contains(here) && !list.contains(not_here), "{query}: {list}");
    }
    let first = bench.get_as(&bench.acme, "/flags?plain=1&limit=1").await;
    let (_, next) = page(&first, 200).split_once("rel=\"next\" href=\"").unwrap();
    let next = next.split_once('"').unwrap().0.replace("&amp;", "&");
    let second = bench.get_as(&bench.acme, &next).await;
    assert_eq!(
        (names_in(page(&first, 200)), names_in(page(&second, 200))),
        ("checkout".into(), "&lt;b&gt;&amp;&quot;search".into())
    );
    assert!(second.body.contains("From the beginning") && second.body.contains("rel=\"prev\""));
}

/// The flags of a page, in its order.
fn names_in(page: &str) -> String {
    let (_, rows) = page.split_once("<tbody>").unwrap();
    let names = rows.split("<th scope=\"row\">").skip(1);
    names.map(|row| row.split(['>', '<']).nth(4).unwrap()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn flags_stand_in_the_order_that_their_address_asks_for() {
    let bench = Bench::new();
    let (early, late) = (at("2026-11-20T11:05:00Z"), at("2026-11-20T11:55:00Z"));
    let counts = [
        (&acme(), flag("flag-10"), early, 5),
        (&acme(), flag("Flag-9"), late, 7),
        (&acme(), flag("checkout"), early, 5),
        (&globex(), flag("banner"), late, 6),
    ];
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    for (query, names, head) in [
        (
            "",
            "Flag-9 banner checkout flag-10 never",
            "aria-sort=\"descending\"><span class=\"of-numbers\"><a class=\"sort\" href=\"/flags?plain=1&amp;sort=total\">Evaluations",
        ),
        (
            "&sort=total",
            "never checkout flag-10 banner Flag-9",
            "aria-sort=\"ascending\"><span class=\"of-numbers\"><a class=\"sort\" href=\"/flags?plain=1&amp;sort=-total\">Evaluations",
        ),
        (
            "&sort=flag",
            "banner checkout Flag-9 flag-10 never",
            "aria-sort=\"ascending\"><a class=\"sort\" href=\"/flags?plain=1&amp;sort=-flag\">Flag",
        ),
        (
            "&sort=-project",
            "banner checkout Flag-9 flag-10 never",
            "href=\"/flags?plain=1&amp;sort=project\">Project",
        ),
        (
            "&sort=-last_seen",
            "banner Flag-9 checkout flag-10 never",
            "href=\"/flags?plain=1&amp;sort=last_seen\">Last seen",
        ),
        (
            "&sort=owner",
            "never banner checkout Flag-9 flag-10",
            "href=\"/flags?plain=1&amp;sort=-owner\">Owner",
        ),
        ("&sort=price", "Flag-9 banner checkout flag-10 never", "aria-sort=\"descending\""),
        ("&sort=flag&q=ACME&show=ghost", "Flag-9 flag-10", "aria-sort=\"ascending\""),
    ] {
        let reply = bench.get(&format!("/flags?plain=1{query}")).await;
        let page = page(&reply, 200);
        assert_eq!(names_in(page), names, "{query}");
        assert!(page.contains(head) && page.matches("aria-sort").count() == 1, "{query}: {head}: {page}");
    }
    // In whatever portions they are told and shown, the order is one.
    let small = bench.with(Config { groups_max: 2, ..Config::default() });
    let reply = small.get("/flags?plain=1&sort=flag&limit=2&page=2").await;
    let third = page(&reply, 200);
    assert_eq!(names_in(third), "Flag-9 flag-10");
    assert!(text(third).contains("5 flags, from the 3. to the 4."), "{third}");
    let reply = small.get("/flags?plain=1&limit=0").await;
    assert!(text(page(&reply, 400)).contains("limit"), "{}", reply.body);
}

#[tokio::test]
async fn what_is_called_stale_can_be_said_and_leaves_no_flag_out() {
    let bench = Bench::new();
    let counts = [(&acme(), flag("old"), at("2026-11-10T00:00:00Z"), 5)];
    bench.seal(at("2026-11-09T00:00:00Z"), at(NOW), &counts).await;
    for (query, stale, is_badged) in [("", 2, false), ("&stale_for=7d", 3, true)] {
        let reply = bench.get_as(&bench.acme, &format!("/flags?plain=1{query}")).await;
        let page = page(&reply, 200);
        assert!(names_in(page).contains("old"), "{query}");
        let words = text(page);
        assert!(words.contains(&format!("All 3Stale {stale}")), "{query}: {words}");
        assert_eq!(page.contains("<li>stale</li>"), is_badged, "{query}");
    }
}

#[tokio::test]
async fn a_flag_has_a_page_whatever_its_name() {
    let bench = counted().await;
    let reply = bench.get_as(&bench.acme, "/flags/acme/web/%3Cb%3E%26%22search?plain=1&from=-24h").await;
    let found = page(&reply, 200);
    assert!(text(found).contains("719") && found.contains("without variant"), "{found}");
    assert!(found.contains("flag=%3Cb%3E%26%22search&amp;"), "{found}");
    assert!(found.contains("group_by=variant&amp;width"), "{found}");
    let by_sdk = bench.get_as(&bench.acme, "/flags/acme/web/checkout?plain=1&from=-24h&group_by=sdk").await;
    let by_sdk = page(&by_sdk, 200);
    assert!(
        by_sdk.contains("group_by=sdk&amp;width") && !by_sdk.contains("group_by=variant&amp;width"),
        "{by_sdk}"
    );
    // It is there also where it was not evaluated in what is looked at.
    let staging =
        bench.get_as(&bench.acme, "/flags/acme/web/%3Cb%3E%26%22search?plain=1&environment=staging").await;
    assert!(text(page(&staging, 200)).contains("Registrydoes not have it"), "{}", staging.body);
    let none = bench.get_as(&bench.acme, "/flags/acme/web/gone?plain=1").await;
    assert!(text(page(&none, 404)).contains("no flag of this name"), "{}", none.body);
    // Of another customer nobody learns whether it is there.
    for customer in ["globex", "nobody"] {
        let reply = bench.get_as(&bench.acme, &format!("/flags/{customer}/shop/banner?plain=1")).await;
        assert!(
            text(page(&reply, 403)).contains("This token reads customer &quot;acme&quot; only"),
            "{}",
            reply.body
        );
    }
}

#[tokio::test]
async fn billing_tells_the_period_so_far_and_leads_to_statements() {
    let bench = counted().await;
    let choose = bench.get("/billing?plain=1").await;
    assert!(page(&choose, 200).contains("href=\"/billing?plain=1&amp;customer=globex\""), "{}", choose.body);
    let reply = bench.get_as(&bench.billing, "/billing?plain=1&customer=globex").await;
    let shown = page(&reply, 200);
    let words = text(shown);
    for said in [
        "2026-10-31",
        "Europe/Berlin",
        "5,001",
        "55.56 %",
        "9,000",
        "No hour is final yet",
        "too early to say",
        "120 %",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    assert!(shown.contains(
        "href=\"/v1/billing/statement?customer=globex&amp;period=2026-10&amp;format=csv&amp;draft=true\""
    ));
    let (_, hours) = shown.split_once("<h2 id=\"hours\">").unwrap();
    let (_, hour) =
        hours.split_once("datetime=\"2026-11-20T11:00:00Z\">2026-11-20 11:00</time></th>").unwrap();
    assert!(text(hour).starts_with("shop / productionevaluations5,001closing"), "{hour}");
    let own = bench.get_as(&bench.acme, "/billing?plain=1").await;
    assert!(text(page(&own, 200)).contains("The period of acme") && !own.body.contains("globex"));
    assert!(
        words.contains("Statement of the period of 2026-10A draft")
            || words.contains("A draft: only what is final"),
        "{words}"
    );
    assert!(words.contains("No threshold was crossed") && words.contains("SHA-256 of the CSV"), "{words}");
    assert!(shown.contains("<option value=\"\" selected>2026-10, to date</option>"), "{shown}");
    let before = bench.get_as(&bench.billing, "/billing?plain=1&customer=globex&period=2026-08").await;
    let words = text(page(&before, 200));
    assert!(
        words.contains("Statement of the period of 2026-08") && words.contains("Nothing was counted in it"),
        "{words}"
    );
    assert!(!words.contains("Used so far") && words.contains("hours from 2026-08-30 22:00 to"), "{words}");
    assert!(before.body.contains("<option value=\"2026-08\" selected>"), "{}", before.body);
    let wrong = bench.get_as(&bench.acme, "/billing?plain=1&from=-1h").await;
    assert!(text(page(&wrong, 400)).contains("is not a time in RFC 3339"));
}

#[tokio::test]
async fn a_customer_meets_no_other_on_any_page() {
    let bench = counted().await;
    for address in ["/usage", "/usage?group_by=customer", "/flags", "/flags/acme/web/checkout", "/billing"] {
        let separator = if address.contains('?') { '&' } else { '?' };
        let reply = bench.get_as(&bench.acme, &format!("{address}{separator}plain=1")).await;
        let page = page(&reply, 200);
        for other in ["globex", "shop", "banner", "5,001"] {
            assert!(!page.contains(other), "{other} at {address}: {page}");
        }
    }
}

#[tokio::test]
async fn what_nobody_knows_is_said_not_to_be_known() {
    let bench = Bench::new();
    let reply = bench.get("/usage?plain=1").await;
    let words = text(page(&reply, 200));
    for said in
        ["not known evaluations", "which is not zero", "Nothing has been counted yet", "gaps, not zeros"]
    {
        assert!(words.contains(said), "{said}: {words}");
    }
}

#[tokio::test]
async fn a_page_has_its_style_and_its_parts() {
    let bench = counted().await;
    let style = bench.get("/plain.css").await;
    assert_eq!(
        (style.status.as_u16(), style.headers["content-type"].to_str().unwrap()),
        (200, "text/css; charset=utf-8")
    );
    let reply = bench.get("/usage?plain=1").await;
    let page = page(&reply, 200);
    for part in [
        "<html lang=\"en\">",
        "<a class=\"skip\" href=\"#main\">",
        "<main id=\"main\">",
        "<nav aria-label=\"Views\">",
        "aria-current=\"page\"",
        "<h1>Usage</h1>",
        "<caption>",
        "scope=\"col\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(page.matches("<h1").count(), 1);
}
