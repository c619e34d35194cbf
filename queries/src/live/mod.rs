//! `GET /v1/live`: the answer of `/v1/usage`, and from then on what changes in it, as Server-Sent Events.
//!
//! Very many look at very few things. `seats` finds the one query of all who ask the same; its task (`query`) asks the
//! store, finds what changed (`delta`) and lays it down once, encoded and compressed, on the query's `track`; each viewer takes from
//! there what comes next for it. What a viewer costs is its place on a track, and its connection.
//!
//! # Invariants
//!
//! - The rows that a viewer has put together are those of `/v1/usage` at the moment of the last answer.
//! - Nothing is queued for anyone: who is too slow for the deltas takes the newest answer whole.
//! - Where the store does not answer, that is an event. No event ever says 0 for it.
//! - A stream ends within two seconds of its token.

mod delta;
mod frame;
mod query;
mod seats;
mod track;
mod viewer;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, Uri, header},
    response::{IntoResponse, Response},
};
pub(crate) use delta::Delta;
use flagmeter_model::Clock;
use frame::{Coding, Frame};
use parking_lot::Mutex;
use query::Task;
use seats::{Owner, Seats};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
pub(crate) use track::Kind;
use track::Track;
use viewer::{HEARTBEAT, Seat};

use crate::{
    App, Config, Error, LiveConfig, Result,
    access::{Principal, Tokens},
    hex,
    metrics::Metrics,
    operator::pipeline::LiveStands,
    parameters::Parameters,
    problem::Refusals,
    reader::Reader,
    usage::{self, plan},
};

/// The parameters of `/v1/live`.
pub(crate) const KNOWN: &[&str] = usage::parameters::KNOWN;

/// How often it is looked whether tokens are still good.
const TOKENS_INTERVAL: Duration = Duration::from_secs(1);
/// How long a request waits for the first answer of a question that nobody watched, so that one that has no answer is
/// refused with a status, and nobody is shown what was left long ago. The head of the stream is sent then all the same: nobody on the way should wait for longer.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// The head of every stream, for whoever is on the way: never kept, never shared between two who ask, never held back to
/// be filled or compressed.
const HEAD: [(HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "text/event-stream"),
    (header::CACHE_CONTROL, "private, no-store, no-transform"),
    (HeaderName::from_static("cdn-cache-control"), "no-store"),
    (HeaderName::from_static("surrogate-control"), "no-store"),
    (header::VARY, "accept-encoding, authorization, cookie, last-event-id"),
    (HeaderName::from_static("x-accel-buffering"), "no"),
];

/// What queries and viewers share.
struct Shared {
    config: Config,
    reader: Arc<Reader>,
    tokens: Arc<Tokens>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// Closed when the process is told to stop.
    stopping: watch::Receiver<()>,
    seats: Mutex<Seats>,
    /// A permit for each row that is kept.
    rows: Arc<Semaphore>,
    /// What a stream says when there is nothing to say.
    heartbeat: Arc<Frame>,
}

/// All live streams. Whatever still runs when this is dropped ends with it.
pub(crate) struct Live {
    shared: Arc<Shared>,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    running: JoinSet<()>,
    checks_tokens: bool,
    /// Streams that were ever begun.
    streams: u64,
}

/// What live streams are made from.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) reader: Arc<Reader>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) stopping: watch::Receiver<()>,
}

impl Live {
    /// Nobody watches yet.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { config, reader, tokens, clock, metrics, stopping } = parts;
        let rows = Arc::new(Semaphore::new(config.live.rows_held_max.min(Semaphore::MAX_PERMITS)));
        let seats = Mutex::default();
        let heartbeat = Frame::new(HEARTBEAT);
        let shared = Shared { config, reader, tokens, clock, metrics, stopping, seats, rows, heartbeat };
        Self { shared: Arc::new(shared), tasks: Mutex::default() }
    }

    /// How much of what it may have it has.
    pub(crate) fn stands(&self) -> LiveStands {
        let LiveConfig { viewers_max, queries_max, .. } = self.shared.config.live;
        let seats = self.shared.seats.lock();
        LiveStands { viewers: seats.viewers(), viewers_max, queries: seats.queries(), queries_max }
    }

    /// A seat before the answers to a question, and the number of the stream.
    fn join(&self, asked: plan::Asked, principal: &Principal) -> Result<(Seat, u64)> {
        let shared = &self.shared;
        let taken = {
            let mut seats = shared.seats.lock();
            let taken = seats.take(asked, principal, &shared.config.live, epoch);
            shared.metrics.live.viewers(seats.viewers());
            shared.metrics.live.queries(seats.queries());
            taken.inspect_err(|error| shared.metrics.live.refused(error))?
        };
        let seat = Seat {
            shared: Arc::clone(shared),
            query: Arc::clone(&taken.query),
            owner: Owner::of(principal),
            token_id: principal.token_id.clone(),
            is_good: taken.is_good,
        };
        let mut tasks = self.tasks.lock();
        while tasks.running.try_join_next().is_some() {}
        if taken.is_new {
            tasks.running.spawn(Task::new(Arc::clone(shared), taken.query).run());
        }
        if !tasks.checks_tokens {
            tasks.checks_tokens = true;
            tasks.running.spawn(check_tokens(Arc::clone(shared)));
        }
        tasks.streams += 1;
        Ok((seat, tasks.streams))
    }
}

/// Ends the streams of tokens that are good no longer.
async fn check_tokens(shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    loop {
        tokio::select! {
            changed = stopping.changed() => if changed.is_err() { return },
            () = sleep(TOKENS_INTERVAL) => {}
        }
        shared.seats.lock().check_tokens(|token_id| shared.tokens.standing(token_id).is_ok());
    }
}

/// What tells the ids of one query from those of all others, before and after a restart as well.
fn epoch() -> Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| Error::Random(error.to_string()))?;
    Ok(hex::write(&random))
}

/// Counts per bucket and group, live
///
/// Server-Sent Events: first `snapshot`, the answer of `/v1/usage` to the same question; then `delta`, whenever anything
/// in it changes (schema `Delta`). Each has an id: with `Last-Event-ID` a stream goes on after it, or begins with a
/// snapshot. `problem` (schema `Problem`) says why there is no newer answer; what was sent before stays as it was, and
/// the next `delta` or `snapshot` ends it. Relative ranges move along. Where all is silent a comment comes every 15
/// seconds. Who accepts gzip is sent it, flushed after each event. A stream ends when its token does, or the server: come back after `retry`.
#[utoipa::path(
    get,
    path = "/v1/live",
    tag = "usage",
    security(("token" = [])),
    params(
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received: browsers send it by themselves."),
        usage::parameters::Described,
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "As for `/v1/usage`.", example = 10),
    ),
    responses(
        (status = 200, description = "The stream", content_type = "text/event-stream", body = String, example = "retry: 2761\n\nid: 5f0c6e2a9b1d4477-1\nevent: snapshot\ndata: {\"meter\":\"evaluations\",…,\"rows\":[…]}\n\nid: 5f0c6e2a9b1d4477-2\nevent: delta\ndata: {\"meter\":\"evaluations\",…,\"rows\":[{\"start\":\"2026-11-20T14:00:00Z\",\"end\":\"2026-11-20T14:01:00Z\",\"state\":\"open\",\"count\":720}]}\n\n"),
        (status = 429, description = "So many streams, or different questions, of this customer or token are open already", content_type = "application/problem+json", body = crate::problem::Problem),
        Refusals,
    )
)]
pub(crate) async fn live(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let parameters = Parameters::read(&uri, KNOWN)?;
    let asked = plan::ask(&parameters, &principal, app.zone_of(&principal), &app.config)?;
    asked.range(app.clock.now())?;
    let (seat, number) = app.live.join(asked, &principal)?;
    let mut track = seat.query.track.subscribe();
    // However long it takes, or if it never does: the stream tells.
    let _late = timeout(FIRST_ANSWER, track.wait_for(Track::is_awake)).await.is_err();
    let place = {
        let track = track.borrow();
        if let Some(refusal) = track.refusal() {
            return Ok(refusal);
        }
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
        last.map(|id| track.place_after(id)).unwrap_or_default()
    };
    let coding = Coding::of(&headers);
    let said = coding.name().map(|name| [(header::CONTENT_ENCODING, name)]);
    let body = viewer::body(seat, place, number, coding);
    Ok(match said {
        Some(said) => (HEAD, said, body).into_response(),
        None => (HEAD, body).into_response(),
    })
}
