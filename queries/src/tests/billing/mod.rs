//! Bills over HTTP, on the real embedded ledger and store.

mod feed;
mod focus;
mod hours;
mod pages;
mod parquet;
mod reconcile;
mod refusals;
mod stable;
mod statements;
mod thresholds;
mod to_date;

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use flagmeter_ledger::{
    Alert, AlertPage, Alerted, Alerts, Append, Appended, Closing, Counted, Crossed, Crossing, CrossingPage,
    Crossings, EpisodePage, Episodes, Error, Feed, Hours, Ledger, Mute as PlannedMute, MuteId, MutePage,
    Mutes, Muting, Notice, Page, Position, Result, Standing,
};
use flagmeter_model::{Environment, Meter, NodeId, Timestamp};
use tokio::sync::watch;

use super::bench::{Bench, at};

/// An hour of the day on which the tests take place.
fn hour(number: u32) -> Timestamp {
    at(&format!("2026-11-20T{number:02}:00:00Z"))
}

fn counted(environment: &Environment, meter: Meter, hour: Timestamp, count: u64) -> Counted {
    Counted { environment: environment.clone(), meter, hour, count, complete: true, missing: Vec::new() }
}

fn evaluations(environment: &Environment, hour: Timestamp, count: u64) -> Counted {
    counted(environment, Meter::Evaluations, hour, count)
}

/// Appends these, and closes until then.
async fn close(ledger: &dyn Ledger, until: Timestamp, counted: &[Counted]) {
    ledger.announce(until).await.unwrap();
    let at = until.plus_seconds(904);
    ledger.append(Append { counted: counted.to_vec(), closed: Some(until), at }).await.unwrap();
}

/// A ledger that does not answer, and counts how often episodes were asked for.
#[derive(Default)]
pub(super) struct Mute(watch::Sender<Position>, pub(super) AtomicUsize);

impl Mute {
    fn none<T>() -> Result<T> {
        Err(Error::Unavailable("/secret/path: disk I/O error".into()))
    }
}

#[async_trait]
impl Ledger for Mute {
    async fn standing(&self) -> Result<Standing> {
        Self::none()
    }
    async fn announce(&self, _: Timestamp) -> Result<()> {
        Self::none()
    }
    async fn append(&self, _: Append) -> Result<Appended> {
        Self::none()
    }
    fn end(&self) -> watch::Receiver<Position> {
        self.0.subscribe()
    }
    async fn closing(&self, _: Position) -> Result<Option<Closing>> {
        Self::none()
    }
    async fn feed(&self, _: Feed) -> Result<Page> {
        Self::none()
    }
    async fn hours(&self, _: Hours) -> Result<Page> {
        Self::none()
    }
    async fn settled(&self, _: Hours) -> Result<Option<Position>> {
        Self::none()
    }
    async fn cross(&self, _: Vec<Crossed>, _: Timestamp) -> Result<Vec<Crossing>> {
        Self::none()
    }
    async fn delivered(&self, _: Notice) -> Result<Position> {
        Self::none()
    }
    async fn deliver(&self, _: Notice, _: Position) -> Result<()> {
        Self::none()
    }
    fn crossed_end(&self) -> watch::Receiver<Position> {
        self.0.subscribe()
    }
    async fn crossings(&self, _: Crossings) -> Result<CrossingPage> {
        Self::none()
    }
    async fn alert(&self, _: Vec<Alerted>, _: Timestamp) -> Result<Vec<Alert>> {
        Self::none()
    }
    async fn standing_alerts(&self, _: Timestamp) -> Result<Vec<Alert>> {
        Self::none()
    }
    async fn muted_alerts(&self) -> Result<Vec<Alert>> {
        Self::none()
    }
    async fn mute(&self, _: Muting, _: Timestamp) -> Result<PlannedMute> {
        Self::none()
    }
    async fn end_mute(&self, _: MuteId, _: String, _: Timestamp) -> Result<Option<PlannedMute>> {
        Self::none()
    }
    async fn mutes(&self, _: Mutes) -> Result<MutePage> {
        Self::none()
    }
    fn alerts_end(&self) -> watch::Receiver<Position> {
        self.0.subscribe()
    }
    async fn alerts(&self, _: Alerts) -> Result<AlertPage> {
        Self::none()
    }
    async fn episodes(&self, _: Episodes) -> Result<EpisodePage> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Self::none()
    }
}

/// The text of a member.
#[track_caller]
fn text<'a>(answer: &'a serde_json::Value, member: &str) -> &'a str {
    answer[member].as_str().unwrap_or_else(|| panic!("{member}: {answer}"))
}

/// The text of a header.
#[track_caller]
fn header<'a>(reply: &'a super::bench::Reply, name: &str) -> &'a str {
    reply.headers.get(name).unwrap_or_else(|| panic!("{name}: {:?}", reply.headers)).to_str().unwrap()
}

/// Asks with a condition.
async fn get_unless(bench: &Bench, address: &str, tag: &str) -> super::bench::Reply {
    let request = axum::http::Request::get(address)
        .header("authorization", format!("Bearer {}", bench.operator))
        .header("if-none-match", tag);
    bench.send(request.body(axum::body::Body::empty()).unwrap()).await
}

/// A node that was silent.
fn node(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}
