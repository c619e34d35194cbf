//! `GET /v1/operator/pipeline`: the way of a count, with how it goes at each stage.
//!
//! It is told from what the store and the ledger know, and from the live streams of this process: so it is the same in
//! `flagmeter serve` and in a process that only answers queries, but for the streams.

pub(crate) mod figure;
mod judge;
pub(crate) mod stage;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Instant};

use axum::{extract::State, http::Uri, response::Response};
use flagmeter_model::{Meter, Tier, Timestamp};
use flagmeter_store::{Filter, RowState};
pub(crate) use judge::LiveStands;
use judge::{Facts, Judge, LedgerStands};
use serde::Serialize;
use stage::Stage;
use utoipa::ToSchema;

use super::per_second;
use crate::{
    App, Error, Result,
    access::Principal,
    answer::shown,
    civil,
    parameters::{Parameters, name},
    problem::Refusals,
    reader::{Question, Reading},
    room::Room,
};

/// The parameters that it knows.
pub(crate) const KNOWN: &[&str] = &[name::TZ];

/// The way of a count.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pipeline {
    /// When this was told.
    #[schema(example = "2026-11-20T12:44:54Z")]
    pub(crate) at: String,
    /// Everything before this is in. Null before the first seal.
    #[schema(required, example = "2026-11-20T12:44:50Z")]
    pub(crate) complete_until: Option<String>,
    /// The stages, in the order in which a count passes them; the ledger and queries both follow on the downsampler.
    pub(crate) stages: Vec<Stage>,
}

/// The way of a count, with figures of each stage
///
/// For operators. Told from what the store and the ledger know: what lies before them is seen by its outcome. A stage is
/// judged by what it could have done with what came to it, so the first one that is not `ok` is the one to look at.
#[utoipa::path(
    get,
    path = "/v1/operator/pipeline",
    tag = "operator",
    security(("token" = [])),
    params(("tz" = Option<String>, Query, description = "IANA time zone of the times in the answer. Default UTC.")),
    responses(
        (status = 200, description = "The stages", body = Pipeline, example = json!({
            "at": "2026-11-20T12:44:54Z", "complete_until": "2026-11-20T12:44:50Z",
            "stages": [
                {"id": "edges", "title": "Edges", "state": "late",
                 "says": "Node 2 (us-east) is silent, since 2026-11-20T11:30:00Z: what was received there is not known.",
                 "figures": [
                    {"unit": "per_second", "name": "received_per_second", "label": "received per second", "value": 123.4},
                    {"unit": "count", "name": "nodes_live", "label": "nodes live", "value": 3},
                    {"unit": "node", "name": "furthest_node", "label": "furthest behind", "value": 1}
                 ]},
                {"id": "ingest", "title": "Ingest", "state": "ok", "says": null, "figures": [
                    {"unit": "time", "name": "complete_until", "label": "everything is in until", "value": "2026-11-20T12:44:50Z"},
                    {"unit": "seconds", "name": "complete_behind", "label": "behind", "value": 4.0}
                ]}
            ]
        })),
        Refusals,
    )
)]
pub(crate) async fn pipeline(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
) -> Result<Response> {
    let (pipeline, room) = answer(&app, &principal, &Parameters::read(&uri, KNOWN)?).await?;
    room.json(&pipeline)
}

/// What is asked, answered, whoever wants it.
pub(crate) async fn answer(
    app: &App,
    principal: &Principal,
    parameters: &Parameters,
) -> Result<(Pipeline, Room)> {
    principal.only_operators("the pipeline")?;
    let zone = parameters.zone(app.zone_of(principal))?;
    let mut reading = app.reader.begin(principal).await?;
    let began = Instant::now();
    let state = reading.state().await?;
    let answered_in = began.elapsed();
    let now = app.clock.now();
    let node_timeout_ms = app.config.node_timeout_ms;
    let low = flagmeter_model::low_watermark(&state.progress, state.partitions, node_timeout_ms);
    let minute = low.complete_until(now).map(|until| until.floor_to(Tier::Minute.seconds()));
    let judge = Judge::new(Facts {
        now,
        zone,
        state,
        answered_in,
        node_timeout_ms,
        grace_ms: i64::try_from(app.config.grace.as_millis()).unwrap_or(i64::MAX),
        received: rate(&reading, principal, Meter::Received, minute).await?,
        rejected: rate(&reading, principal, Meter::Rejected, minute).await?,
        ledger: ledger(app, &reading).await?,
        live: app.live.stands(),
    });
    let pipeline = Pipeline {
        at: civil::rfc3339(zone, now),
        complete_until: shown(zone, judge.complete_until()),
        stages: judge.stages(),
    };
    let room = reading.room_for(pipeline.stages.len()).await?;
    Ok((pipeline, room))
}

/// Counts per second in the minute that ends at `end`; `None` where nothing is known of it.
async fn rate(
    reading: &Reading<'_>,
    principal: &Principal,
    meter: Meter,
    end: Option<Timestamp>,
) -> Result<Option<f64>> {
    let Some(end) = end else { return Ok(None) };
    let start = end.plus_seconds(-Tier::Minute.seconds());
    if start == end {
        return Ok(None);
    }
    let scope = principal.scope(Filter::default())?;
    let question = Question { meter, edges: vec![start, end], scope, group_by: Vec::new(), groups_max: 1 };
    let answer = reading.read(question).await?;
    let is_known = answer.states.first().is_some_and(|state| *state != RowState::Unknown);
    let count = answer.rows.first().and_then(|row| row.counts.first()).copied();
    Ok(count.filter(|_| is_known).map(|count| per_second(count, 60)))
}

/// A ledger that does not answer is a stage that is not known, and hides no other.
async fn ledger(app: &App, reading: &Reading<'_>) -> Result<LedgerStands> {
    let end = match app.reader.ledger_end() {
        Ok(end) => *end.borrow(),
        Err(Error::NoLedger) => return Ok(LedgerStands::Absent),
        Err(error) => return Err(error),
    };
    match reading.closing(end).await {
        Ok(closing) => Ok(LedgerStands::At { closed: closing.map(|closing| closing.until), rows: end.get() }),
        Err(Error::Ledger(error)) if error.is_retryable() => {
            tracing::warn!(%error, "the ledger does not say where it stands");
            Ok(LedgerStands::Silent)
        }
        Err(error) => Err(error),
    }
}
