//! `/v1/live` over HTTP.

mod bounds;
mod client;
mod outage;
mod streams;

use std::{sync::Arc, time::Duration};

use axum::response::Response;
pub(crate) use client::Client;
use client::{PATIENCE, Watching};
use flagmeter_model::ManualClock;
use serde_json::Value;

use super::{
    bench::{Bench, NOW, Reply, at},
    silent::{Silent, Told},
};
use crate::{Config, LiveConfig};

/// Quick enough for tests.
fn quick() -> Config {
    let live = LiveConfig { interval: Duration::from_millis(5), ..LiveConfig::default() };
    Config { live, read_timeout: Duration::from_secs(5), ..Config::default() }
}

fn quick_live(change: impl FnOnce(&mut LiveConfig)) -> Config {
    let mut config = quick();
    change(&mut config.live);
    config
}

fn over(store: Silent, config: Config) -> Bench {
    Bench::over(Arc::new(store), config, &ManualClock::at(at(NOW)), tempfile::tempdir().unwrap())
}

/// Over a store that answers as it is told.
fn told(config: Config) -> (Bench, &'static Told) {
    let told = Told::new();
    (over(Silent::Told(told), config), told)
}

async fn watch(bench: &Bench, token: &str, query: &str) -> Watching {
    Watching::new(bench.ask(token, &format!("/v1/live?{query}")).await)
}

async fn watch_after(bench: &Bench, query: &str, last_event_id: Option<&str>) -> Watching {
    Watching::new(bench.ask_after(&bench.operator, &format!("/v1/live?{query}"), last_event_id).await)
}

/// The answer with which a stream begins.
pub(super) async fn first_snapshot(response: Response) -> Value {
    Watching::new(response).until("snapshot").await.json()
}

/// A stream that is refused with this status.
async fn refusal(bench: &Bench, token: &str, query: &str, status: u16) -> Reply {
    let response = bench.ask(token, &format!("/v1/live?{query}")).await;
    // A stream would have no end.
    assert_eq!(response.status(), status, "{query}");
    Reply::of(response).await
}

/// Looks until it is so.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(tokio::time::Instant::now() < until, "it never came: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
