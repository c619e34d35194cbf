//! `GET /v1/operator/top`: whose traffic is large, and whose changes.

mod plan;
mod shape;

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use flagmeter_model::low_watermark;
use plan::Plan;
pub(crate) use plan::{KNOWN, ORDERS, WINDOWS};
pub(crate) use shape::{CustomerLine, Line, Top};

use crate::{
    App, Result, access::Principal, answer::Missing, parameters::Parameters, problem::Refusals, room::Room,
};

/// Customers with the largest traffic, or the largest change of it
///
/// For operators. Rates are of whole minutes of which all is in, so that a rate never falls because its window is still
/// filling. Lines, `others` and `total` add up.
#[utoipa::path(
    get,
    path = "/v1/operator/top",
    tag = "operator",
    security(("token" = [])),
    params(
        ("by" = Option<String>, Query, description = "`rate` (the default): the largest first; or `change`: the largest difference to the window before, up or down."),
        ("window" = Option<String>, Query, description = "Length of the windows that are compared. Default 5m.", example = "5m"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "So many customers; all others are added up in `others`. Default 20.", example = 20),
        ("meter" = Option<String>, Query, description = "`evaluations` (the default) or `requests`."),
        ("tz" = Option<String>, Query, description = "IANA time zone of the times in the answer. Default UTC."),
    ),
    responses(
        (status = 200, description = "The customers", body = Top, example = json!({
            "meter": "evaluations", "by": "rate", "complete_until": "2026-11-20T12:44:50Z", "missing_nodes": [],
            "window": {"from": "2026-11-20T12:39:00Z", "to": "2026-11-20T12:44:00Z", "state": "complete"},
            "window_before": {"from": "2026-11-20T12:34:00Z", "to": "2026-11-20T12:39:00Z", "state": "complete"},
            "minutes": {"from": "2026-11-20T12:42:00Z", "to": "2026-11-20T12:44:00Z", "states": ["complete", "complete"]},
            "total": {"rate": 123.4, "rate_before": 98.7, "difference": 24.7, "change": 0.2503, "hour_total": 402_193, "sparkline": [7_400, 7_410]},
            "customers": [
                {"customer": "acme", "rate": 123.4, "rate_before": 98.7, "difference": 24.7, "change": 0.2503, "hour_total": 402_193, "sparkline": [7_400, 7_410]}
            ],
            "others": null
        })),
        Refusals,
    )
)]
pub(crate) async fn top(State(app): State<Arc<App>>, principal: Principal, uri: Uri) -> Result<Response> {
    let (top, room) = answer(&app, &principal, &Parameters::read(&uri, KNOWN)?).await?;
    room.json(&top)
}

/// What is asked, answered, whoever wants it.
pub(crate) async fn answer(app: &App, principal: &Principal, parameters: &Parameters) -> Result<(Top, Room)> {
    principal.only_operators("the traffic of all customers")?;
    let plan = Plan::read(parameters, principal, app.zone_of(principal), &app.config)?;
    let mut reading = app.reader.begin(principal).await?;
    let state = reading.state().await?;
    let low = low_watermark(&state.progress, state.partitions, app.config.node_timeout_ms);
    let top = match low.complete_until(app.clock.now()) {
        Some(until) => {
            let question = plan.question(until);
            let edges = question.edges.clone();
            shape::shape(&plan, &edges, reading.read(question).await?)
        }
        None => shape::nothing(&plan, Missing::list(&low.missing, plan.zone)),
    };
    let room = reading.room_for(top.cells()).await?;
    Ok((top, room))
}
