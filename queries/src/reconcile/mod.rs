//! `GET /v1/reconcile`: what became of all that arrived (promise 6).
//!
//! The fates are meters of their own, so the store is asked once per meter. What arrived is asked first and last:
//! if it has not moved in between, the numbers are of one moment. But a seal may be split into several records,
//! which are stored one after the other, so that for a moment what arrived is stored and what became of it is not.
//! So a difference is looked at again, and told only if the last look still shows it.

pub(crate) mod billed;
mod plan;
mod shape;

use std::{sync::Arc, time::Duration};

use axum::{extract::State, http::Uri, response::Response};
use flagmeter_model::Meter;
use flagmeter_store::Answer;
use plan::Plan;
pub(crate) use plan::{KNOWN, LEVELS};
use shape::{Arrivals, DeadLetters, Read};
pub(crate) use shape::{Fates, Reconcile};

use crate::{
    App, Result,
    access::{Principal, Role},
    answer::{Known, Missing, shown},
    civil,
    parameters::Parameters,
    problem::Refusals,
    reader::Reading,
    room::Room,
};

/// How often the store is looked at before the answer says that it does not settle, or tells a difference.
const LOOKS_MAX: usize = 5;
/// The parts of a seal are stored well within this, unless what stores them stands still.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// What became of all that arrived
///
/// Over all time (the default) received = stored + duplicate + rejected + in flight holds to the last count, and
/// `balanced` says so once nothing is in flight any more. Over a range the fates are those of what arrived in it.
#[utoipa::path(
    get,
    path = "/v1/reconcile",
    tag = "reconcile",
    security(("token" = [])),
    params(
        ("from" = Option<String>, Query, description = "Only what arrived from then on: RFC 3339, a date, or a time before now. Rounded down to the minute; for a day or more, and where minutes are past their retention, to the quarter or hour that is still kept. Default: all time."),
        ("to" = Option<String>, Query, description = "Only what arrived before: the same, or `now`, the default."),
        ("tz" = Option<String>, Query, description = "IANA time zone of dates and of the times in the answer."),
        ("customer" = Option<Vec<String>>, Query, description = "Only these customers. Repeat for several."),
        ("project" = Option<Vec<String>>, Query, description = "Only these projects. Repeat for several."),
        ("environment" = Option<Vec<String>>, Query, description = "Only these environments. Repeat for several."),
        ("group_by" = Option<String>, Query, description = "`customer` (the default), `project`, or `environment`: how far the rows are told apart."),
    ),
    responses(
        (status = 200, description = "The fates", body = Reconcile),
        Refusals,
    )
)]
pub(crate) async fn reconcile(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
) -> Result<Response> {
    let (fates, room) = answer(&app, &principal, &Parameters::read(&uri, KNOWN)?).await?;
    room.json(&fates)
}

/// What is asked, answered, whoever wants it.
pub(crate) async fn answer(
    app: &App,
    principal: &Principal,
    parameters: &Parameters,
) -> Result<(Reconcile, Room)> {
    let zone = app.zone_of(principal);
    let plan = plan::plan(parameters, principal, zone, app.clock.now(), &app.config)?;
    let mut reading = app.reader.begin(principal).await?;
    let plan = if plan.range.is_some() { plan.on_what_is_kept(&reading.state().await?.floors) } else { plan };
    let Look { last, settled, rows } = look_until_it_agrees(app, &reading, &plan).await?;
    let dead_letters = dead_letters(&reading, principal).await?;
    let room = reading.room_for(rows.len()).await?;
    let fates = Reconcile {
        from: plan.range.map(|range| civil::rfc3339(plan.zone, range.from)),
        to: plan.range.map(|range| civil::rfc3339(plan.zone, range.to)),
        complete_until: shown(plan.zone, last.complete_until),
        missing_nodes: Missing::list(&last.missing, plan.zone),
        state: plan.range.map(|range| Known::of_all(&[range.from], &last.states, last.complete_until)),
        settled,
        dead_letters,
        rows,
    };
    Ok((fates, room))
}

/// What the store and the edges say.
struct Look {
    /// The last answer to what arrived.
    last: Answer,
    /// Whether nothing was stored while it was read.
    settled: bool,
    rows: Vec<Fates>,
}

impl Look {
    /// Whether another look would say nothing better. Over a range there may always be differences.
    fn is_good(&self, plan: &Plan) -> bool {
        self.settled && (plan.range.is_some() || self.rows.iter().all(Fates::add_up))
    }
}

/// Looks again until nothing moves and every count has a fate, or often enough.
async fn look_until_it_agrees(app: &App, reading: &Reading<'_>, plan: &Plan) -> Result<Look> {
    let mut before = reading.read(plan.question(Meter::Received)).await?;
    let mut looks = 1;
    loop {
        let look = look(app, reading, plan, &before).await?;
        if look.is_good(plan) || looks == LOOKS_MAX {
            return Ok(look);
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        looks += 1;
        // Between two looks nothing was read: what arrived then belongs to the next.
        before = reading.read(plan.question(Meter::Received)).await?;
    }
}

async fn look(app: &App, reading: &Reading<'_>, plan: &Plan, before: &Answer) -> Result<Look> {
    let mut read = Read::default();
    for meter in [Meter::Evaluations, Meter::Requests, Meter::Duplicate, Meter::Rejected] {
        *read.rows_mut(meter) = reading.read(plan.question(meter)).await?.rows;
    }
    let last = reading.read(plan.question(Meter::Received)).await?;
    read.rows_mut(Meter::Received).clone_from(&last.rows);
    let settled = last.rows == before.rows;
    // The edges are asked after the store: what arrives in between is in flight, never less than nothing.
    let at_edges = app.in_flight.as_ref().filter(|_| plan.range.is_none()).map(|in_flight| {
        let mut received = in_flight.received();
        received.retain(|environment, _| plan.scope.filter().takes_environment(environment));
        received
    });
    let arrivals = Arrivals { at_edges, is_comparable: settled && plan.range.is_none() };
    Ok(Look { last, settled, rows: shape::fates(plan.level, read, arrivals) })
}

/// Dead letters belong to no customer: those that cannot be decoded do not say whose they are.
async fn dead_letters(reading: &Reading<'_>, principal: &Principal) -> Result<Option<DeadLetters>> {
    match principal.role {
        Role::Customer(_) => Ok(None),
        Role::Billing | Role::Operator => {
            let state = reading.state().await?;
            Ok(Some(DeadLetters { records: state.dead_letters, counts: state.dead_letter_counts }))
        }
    }
}
