//! `GET /v1/usage`: counts per bucket and group.
//!
//! Parse, plan, read, shape, write: the first two and the fourth are pure.

pub(crate) mod csv;
pub(crate) mod parameters;
pub(crate) mod plan;
pub(crate) mod shape;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use flagmeter_model::TimeRange;
use flagmeter_store::Floors;
use plan::{Asked, Format, Plan};
pub(crate) use shape::{Group, Usage, UsageRow};

use crate::{
    App, Config, Result, access::Principal, civil::Resolution, parameters::Parameters, problem::Refusals,
    reader::Reading, room::Room,
};

/// Counts per bucket and group
///
/// Customers read their own counts. Where nothing is known, `count` is null and `state` is `unknown`: an outage
/// never looks like zero.
#[utoipa::path(
    get,
    path = "/v1/usage",
    tag = "usage",
    security(("token" = [])),
    params(
        parameters::Described,
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "Only the groups with the largest totals; all others are added up as `__other__`, so that totals stay exact.", example = 10),
        ("format" = Option<String>, Query, description = "`json` (the default) or `csv`; else the Accept header decides. In CSV a name that begins with =, +, - or @ has a ' before it, so that no spreadsheet takes it for a formula; what JSON says beside the rows stands in headers that begin with `flagmeter-`."),
    ),
    responses(
        (status = 200, description = "The counts", content(
            (Usage = "application/json", example = json!({
                "meter": "evaluations", "from": "2026-11-20T12:00:00Z", "to": "2026-11-20T15:00:00Z",
                "resolution": "1h", "tz": "UTC", "complete_until": "2026-11-20T14:44:50Z",
                "missing_nodes": [], "group_by": ["flag"], "state": "partial", "total": 1923,
                "rows": [
                    {"start": "2026-11-20T12:00:00Z", "end": "2026-11-20T13:00:00Z", "state": "unknown", "count": null, "flag": "checkout-v2"},
                    {"start": "2026-11-20T13:00:00Z", "end": "2026-11-20T14:00:00Z", "state": "complete", "count": 1204, "flag": "checkout-v2"},
                    {"start": "2026-11-20T14:00:00Z", "end": "2026-11-20T15:00:00Z", "state": "open", "count": 719, "flag": "checkout-v2"}
                ]
            })),
            (String = "text/csv", example = "start,end,state,count,flag\n2026-11-20T12:00:00Z,2026-11-20T13:00:00Z,unknown,,checkout-v2\n2026-11-20T13:00:00Z,2026-11-20T14:00:00Z,complete,1204,checkout-v2\n")
        )),
        Refusals,
    )
)]
pub(crate) async fn usage(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let parameters = Parameters::read(&uri, plan::KNOWN)?;
    let asked = plan::ask(&parameters, &principal, app.zone_of(&principal), &app.config)?;
    let format = plan::format(&parameters, &headers)?;
    let range = asked.range(app.clock.now())?;
    let mut reading = app.reader.begin(&principal).await?;
    let (plan, usage, room) = answer(&asked, range, &mut reading, &app.config).await?;
    drop(reading);
    app.metrics.rows(usage.rows.len());
    match format {
        Format::Json => room.json(&usage),
        Format::Csv => csv::response(&plan, &usage, room),
    }
}

/// What is asked, answered: the one way to it, whoever wants it and however it is written.
pub(crate) async fn answer(
    asked: &Asked,
    range: TimeRange,
    reading: &mut Reading<'_>,
    config: &Config,
) -> Result<(Plan, Usage, Room)> {
    let floors = if asked.needs_floors() { reading.state().await?.floors } else { Floors::default() };
    let plan = asked.plan(range, &floors, config)?;
    let answer = reading.read(plan.question()).await.map_err(|error| plan.narrower(error))?;
    let room = reading.room_for(plan.rows_of(answer.rows.len())?).await?;
    let mut usage = shape::shape(&plan, answer);
    if usage.beyond_retention.is_some() {
        usage.finest_kept = plan.finest_kept(&reading.state().await?.floors, config).map(Resolution::name);
    }
    Ok((plan, usage, room))
}

/// The answer of the API where the store gives this one to a question of so many buckets, for tests.
#[cfg(test)]
pub(crate) fn shaped(
    asked: &Asked,
    now: flagmeter_model::Timestamp,
    answer: impl FnOnce(usize) -> flagmeter_store::Answer,
) -> Usage {
    let plan = asked.plan(asked.range(now).unwrap(), &Floors::default(), &Config::default()).unwrap();
    let buckets = plan.edges.len() - 1;
    shape::shape(&plan, answer(buckets))
}
