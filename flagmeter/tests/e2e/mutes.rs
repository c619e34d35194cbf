//! A mute that is made by the command: a burst meanwhile is recorded, and nobody is told.

use std::sync::Arc;

use chrono::{SecondsFormat, TimeDelta};
use flagmeter_model::{Clock as _, SystemClock};
use flagmeter_store::{
    Store as _,
    embedded::{Config, EmbeddedStore},
};
use serde_json::Value;

use crate::{
    bursts::{Receiver, SECRET, burst, history, wait_for},
    server::{DataFolder, Output, Server, eventually, free_address, run},
};

fn mute(folder: &DataFolder, token: &str, args: &[&str]) -> Output {
    let url = format!("http://{}", folder.address());
    run(&[&["mute"], args, &["--url", &url]].concat(), &[("FLAGMETER_TOKEN", token)])
}

/// What it prints.
fn muted(folder: &DataFolder, args: &[&str]) -> String {
    let output = mute(folder, folder.operator_token(), args);
    assert!(output.success, "{output:?}");
    output.stdout.trim_end().to_owned()
}

/// The kinds and ids of what is posted of a burst that began and is over, and what is told of it by the API.
fn burst_with(mutes: bool) -> (Vec<(Value, String)>, Vec<Value>) {
    let address = free_address();
    let (url, secret) =
        (format!("billing.webhook_url=http://{address}/hook"), format!("billing.webhook_secret={SECRET}"));
    let folder = DataFolder::with(&[&url, &secret]);
    assert!(Server::start(&folder).terminate().success());
    let now = SystemClock.now().to_chrono();
    let config = Config::new(folder.path().join("store.sqlite"));
    let store = EmbeddedStore::open(config, Arc::new(SystemClock)).expect("the store");
    wait_for(store.write(Arc::new(history(now.timestamp(), 1)))).expect("written");
    drop(store);

    let receiver = Receiver::at(&address, &[]);
    let server = Server::start(&folder);
    if mutes {
        let said = muted(&folder, &["acme/web", "--for", "2h", "--reason", "load test"]);
        assert!(said.contains(" (2 h): load test; end it with: flagmeter mute end mute_"), "{said}");
    }
    // By the door, late: it is found by who comes next.
    assert_eq!(server.post_counts(&burst(now - TimeDelta::minutes(25))), 202);
    eventually("it is counted", || server.usage("a", "-2h", "now", "1m"), |counted| *counted > 120_000);
    server.kill();
    let server = Server::start(&folder);
    let told = || server.get("/v1/operator/bursts")["alerts"].as_array().cloned().unwrap_or_default();
    let alerts = eventually("it began and is over", told, |told| told.len() == 2);
    let (done, both) = if mutes {
        ("flagmeter_downsampler_webhook_muted_total", "flagmeter_downsampler_alerts_muted_total")
    } else {
        ("flagmeter_downsampler_webhook_delivered_total", "flagmeter_downsampler_alerts_total")
    };
    eventually("the webhook is done with both", || server.metric(done), |done| *done == Some(2.0));
    assert_eq!(server.metric(both), Some(2.0));
    assert_eq!(server.metric("flagmeter_downsampler_mutes_in_force"), Some(if mutes { 1.0 } else { 0.0 }));
    server.kill();
    // Nor is it told by whoever comes next.
    let server = Server::start(&folder);
    let looks = || server.metric("flagmeter_downsampler_bursts_look_seconds_count");
    eventually("it was looked again", looks, |looks| *looks >= Some(3.0));
    let waiting = || server.metric("flagmeter_downsampler_webhook_waiting");
    eventually("nothing waits", waiting, |waiting| *waiting == Some(0.0));
    let posted = receiver.got().into_iter().map(|got| (got.body["type"].clone(), got.id)).collect();
    (posted, alerts)
}

#[test]
fn a_burst_while_a_mute_is_in_force_is_recorded_and_not_posted_and_without_it_the_same_is_posted() {
    let (posted, alerts) = burst_with(true);
    assert_eq!(posted, []);
    let said = |alerts: &[Value]| alerts.iter().map(|alert| alert["said"].clone()).collect::<Vec<_>>();
    assert_eq!(said(&alerts), ["began", "over"]);
    assert!(alerts[0]["muted"].as_str().is_some_and(|mute| mute.starts_with("mute_")), "{alerts:?}");
    assert_eq!(alerts[1]["muted"], alerts[0]["muted"]);

    let (posted, alerts) = burst_with(false);
    assert_eq!((said(&alerts), &alerts[0]["muted"]), (vec!["began".into(), "over".into()], &Value::Null));
    let ids: Vec<_> = alerts.iter().map(|alert| alert["id"].as_str().expect("an id").to_owned()).collect();
    let kinds = ["traffic.burst_began", "traffic.burst_over"].map(Value::from);
    assert_eq!(posted, kinds.into_iter().zip(ids).collect::<Vec<_>>());
}

#[test]
fn mutes_are_made_listed_and_ended_by_the_command() {
    let folder = DataFolder::new();
    let server = Server::start(&folder);
    assert_eq!(muted(&folder, &["list"]), "nothing is muted");
    let at = |hours: i64| {
        let at = SystemClock.now().to_chrono() + TimeDelta::hours(hours);
        at.to_rfc3339_opts(SecondsFormat::Secs, true)
    };
    let (from, to) = (at(24), at(26));
    let planned =
        ["acme/web/production", "--from", &from, "--to", &to, "--reason", "launch", "--key", "deploy-17"];
    let said = muted(&folder, &planned);
    let begins =
        format!("acme/web/production is going to be muted from {from} to {to} (2 h): launch; end it");
    assert!(said.starts_with(&begins), "{said}");
    assert_eq!(muted(&folder, &planned), said, "a script that runs twice makes one");
    let unknown = mute(&folder, folder.operator_token(), &["acmee", "--for", "90m", "--reason", "load test"]);
    assert!(unknown.success && unknown.stdout.starts_with("acmee is muted from "), "{unknown:?}");
    assert!(unknown.stderr.contains("the registry does not know acmee"), "{unknown:?}");

    let list = muted(&folder, &["list"]);
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[1].starts_with("active ") && lines[1].contains(" acmee "), "{list}");
    assert!(lines[2].starts_with("planned ") && lines[2].contains(" launch "), "{list}");
    let id = lines[2].rsplit(' ').next().expect("an id");
    let ended = muted(&folder, &["end", id]);
    assert!(
        ended.starts_with("the mute of acme/web/production from ") && ended.contains("called off"),
        "{ended}"
    );
    assert_eq!(muted(&folder, &["end", id]), ended);
    assert_eq!(muted(&folder, &["list"]).lines().count(), 2);
    server.kill();

    // It is there for whoever comes next, and those that are over as well.
    let server = Server::start(&folder);
    let all: Value = serde_json::from_str(&muted(&folder, &["list", "--all", "--json"])).expect("JSON");
    let states: Vec<_> = all.as_array().expect("mutes").iter().map(|mute| mute["state"].clone()).collect();
    assert_eq!(states, ["active", "over"]);
    assert_eq!(server.get("/v1/operator/mutes")["mutes"], all);
    assert_eq!(muted(&folder, &["list", "--customer", "nobody"]), "nothing is muted");

    let refused = |args: &[&str], token: &str, says: &str| {
        let output = mute(&folder, token, args);
        assert!(!output.success && output.stderr.contains(says), "{output:?}");
    };
    let token = folder.operator_token();
    refused(&["acme", "--for", "32d", "--reason", "x"], token, "31 days at most");
    refused(&["acme", "--for", "2h", "--reason", " "], token, "The reason");
    refused(&["acme/web/a/b", "--for", "2h", "--reason", "x"], token, "--environment");
    refused(&["end", "mute_17"], token, "There is no mute");
    refused(&["list"], "", "--token-file");
    let customer = folder.run(&["token", "create", "customer", "--customer", "acme"]);
    let tried = || mute(&folder, customer.stdout.trim(), &["acme", "--for", "2h", "--reason", "x"]).stderr;
    eventually("the token is known", tried, |said| said.contains("Only the token of an operator"));
    assert_eq!(server.get("/v1/operator/mutes")["mutes"].as_array().map(Vec::len), Some(2));
}
