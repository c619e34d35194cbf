//! What operators see without script.

use flagmeter_ledger::{Alerted, Said};

use super::{counted, page, text};
use crate::tests::{
    bench::{Bench, NOW, acme, at, flag, globex},
    operator::bursts::began,
};

#[tokio::test]
async fn operators_see_every_stage_as_the_api_tells_it() {
    let bench = counted().await;
    let api = bench.get("/v1/operator/pipeline").await.json();
    let reply = bench.get("/operators?plain=1").await;
    let page = page(&reply, 200);
    let boxes: Vec<_> = page.split("<li class=\"stage ").skip(1).collect();
    let stages = api["stages"].as_array().unwrap();
    assert_eq!((boxes.len(), stages.len()), (7, 7));
    for (shown, stage) in boxes.iter().zip(stages) {
        let words = text(&shown.replace("&quot;", "\""));
        let state = stage["state"].as_str().unwrap().replace("unknown", "not known");
        assert!(words.contains(&format!("{} {state}", stage["title"].as_str().unwrap())), "{state}: {words}");
        if let Some(says) = stage["says"].as_str() {
            assert!(words.contains(says), "{says}: {words}");
        }
        for figure in stage["figures"].as_array().unwrap() {
            let label = figure["label"].as_str().unwrap();
            let is_none = figure["name"] == "dirty_first" && figure["value"].is_null();
            assert_eq!(shown.contains(&format!("<dt>{label}</dt>")), !is_none, "{label}: {shown}");
            if figure["unit"] == "time"
                && let Some(at) = figure["value"].as_str()
            {
                assert!(
                    shown.contains(&format!("<dt>{label}</dt><dd><time datetime=\"{at}\">")),
                    "{label}: {shown}"
                );
            }
            if figure["value"].is_null() && !is_none {
                let unknown = format!("<dt>{label}</dt><dd><span class=\"unknown\">not known</span></dd>");
                assert!(shown.contains(&unknown), "{label}: {shown}");
            }
        }
    }
    assert!(text(page).contains("Look at downsampler: stuck"), "{}", text(page));
}

#[tokio::test]
async fn operators_see_customers_by_rate_and_by_change() {
    let bench = Bench::new();
    let (before, now) = (at("2026-11-20T12:35:00Z"), at("2026-11-20T12:41:00Z"));
    let counts = [
        (&acme(), flag("checkout"), before, 600),
        (&acme(), flag("checkout"), now, 60),
        (&globex(), flag("banner"), before, 600),
        (&globex(), flag("banner"), now, 630),
    ];
    bench.seal(at("2026-11-20T11:00:00Z"), at(NOW), &counts).await;
    let customers = async |query: &str| {
        let reply = bench.get(&format!("/operators?plain=1{query}")).await;
        let page = page(&reply, 200);
        let (_, table) = page.split_once("<h2>Customers</h2>").unwrap();
        let (table, _) = table.split_once("</table>").unwrap();
        let rows = table.split("<tr><th scope=\"row\">").skip(1).map(text).collect::<Vec<_>>();
        (table.to_owned(), rows.join(" / "))
    };
    let (table, rows) = customers("").await;
    assert_eq!(
        rows,
        "globex2.1/s2/s+0.1/s+5.0 %1,230 / acme0.2/s2/s−1.8/s-90.0 %660 / All2.3/s4/s−1.7/s-42.5 %1,890"
    );
    assert!(table.contains("aria-sort=\"descending\"><span class=\"of-numbers\"><a class=\"sort\" href=\"/operators?plain=1&amp;sort=rate\">Rate"), "{table}");
    assert!(table.contains("href=\"/usage?plain=1&amp;customer=globex&amp;from=-1h\""), "{table}");
    assert!(table.contains("The last hour: at most 630 in a minute"), "{table}");
    let first = async |query: &str| {
        customers(query).await.1.split(|char: char| !char.is_alphabetic()).next().unwrap().to_owned()
    };
    for (query, customer) in [
        ("&sort=rate", "acme"),
        ("&sort=difference", "acme"),
        ("&sort=-difference", "globex"),
        ("&sort=change", "acme"),
        ("&sort=customer", "acme"),
        ("&sort=-customer", "globex"),
        ("&sort=hour_total", "acme"),
        ("&sort=-hour_total", "globex"),
        // One that is told: whoever changes most, or counts most.
        ("&sort=-difference&limit=1", "acme"),
        ("&sort=-rate&limit=1", "globex"),
    ] {
        assert_eq!(first(query).await, customer, "{query}");
    }
    let (table, rows) = customers("&window=15m&limit=1").await;
    assert!(rows.starts_with("globex1.4/s") && rows.contains(" / 1 other0.7/s"), "{rows}");
    assert!(table.contains("aria-current=\"true\">Over 15 minutes"), "{table}");
    let reply = bench.get("/operators?plain=1&window=7m").await;
    assert!(text(page(&reply, 400)).contains("window"), "{}", reply.body);
}

#[tokio::test]
async fn operators_see_what_is_out_of_the_ordinary_and_not_over() {
    let bench = Bench::new();
    let none = bench.get("/operators?plain=1").await;
    assert!(none.body.contains("Nothing is out of the ordinary."), "{}", none.body);
    let over = Alerted {
        said: Said::Calm,
        seen_at: at("2026-11-20T12:44:00Z"),
        contributors: Vec::new(),
        ..began("globex")
    };
    bench.ledger.alert(vec![began("acme"), began("globex"), over], at(NOW)).await.unwrap();
    let reply = bench.get("/operators?plain=1&tz=Europe/Berlin").await;
    let table = reply.body.split("Bursts and drops that are not over").nth(1).unwrap();
    let table = table.split("</table>").next().unwrap();
    for told in ["acme", "burst", "512", "78 – 122", "5.12 ×", "824 more", "checkout", "&amp;plain=1"] {
        assert!(table.contains(told), "{told}: {table}");
    }
    assert!(!table.contains("globex"), "it is over: {table}");
}

#[tokio::test]
async fn operators_see_what_is_muted_until_when_and_why() {
    let bench = Bench::new();
    let none = bench.get("/operators?plain=1").await;
    assert!(none.body.contains("Nothing is muted, and nothing is going to be."), "{}", none.body);
    bench.mute("globex", "for later").await;
    let ended = bench.mute("globex", "over already").await;
    bench.mute("acme", "launch <b>now</b>").await;
    bench.ledger.end_mute(ended.muting.id, "test".into(), at(NOW)).await.unwrap();
    bench.ledger.alert(vec![began("acme")], at(NOW)).await.unwrap();
    let reply = bench.get("/operators?plain=1&tz=Europe/Berlin").await;
    let after = |what: &str| {
        let table = reply.body.split(what).nth(1).unwrap().split("</table>").next().unwrap();
        text(table)
    };
    let bursts = after("Bursts and drops that are not over");
    assert!(
        bursts.contains("burst, muted until 2026-11-20 14:44:54: launch &lt;b&gt;now&lt;/b&gt;"),
        "{bursts}"
    );
    let mutes = after("<h2>Planned mutes</h2>");
    for told in
        ["acmein force2026-11-20 12:44:54", "launch &lt;b&gt;now&lt;/b&gt;0123456789ab, on call", "for later"]
    {
        assert!(mutes.contains(told), "{told}: {mutes}");
    }
    assert!(!mutes.contains("over already"), "{mutes}");
}

#[tokio::test]
async fn operators_see_nodes_and_fates_and_nobody_else_does() {
    let bench = counted().await;
    let reply = bench.get("/operators?plain=1").await;
    let words = text(page(&reply, 200));
    for said in ["live2026-11-20 12:44:54&lt; 1 ms", "globex05,001", "differs by -5,001", "to the last count"]
    {
        assert!(words.contains(said), "{said}: {words}");
    }
    for token in [&bench.acme, &bench.billing] {
        let reply = bench.get_as(token, "/operators?plain=1&sort=customer").await;
        assert!(text(page(&reply, 403)).contains("Only the token of an operator"), "{}", reply.body);
        assert!(!reply.body.contains("href=\"/operators?plain=1\""), "{}", reply.body);
        assert!(!reply.body.contains("globex") && !reply.body.contains("stage"), "{}", reply.body);
    }
}
