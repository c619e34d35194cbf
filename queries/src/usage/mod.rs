//! `GET /v1/usage`: counts per bucket and group.
//!
//! Parse, plan, read, shape, write: the first two and the fourth are pure.

pub(crate) mod csv;
pub(crate) mod plan;
mod shape;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use flagmeter_store::Floors;
use plan::Format;
pub(crate) use shape::Usage;

use crate::{App, Result, access::Principal, problem::Refusals};

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
        ("from" = Option<String>, Query, description = "Start: RFC 3339, a date, or a time before now such as -24h, -30d, -15m. Default -24h. Rounded down to the resolution.", example = "-24h"),
        ("to" = Option<String>, Query, description = "End, not included: the same, or `now`, the default. Rounded up to the resolution.", example = "now"),
        ("resolution" = Option<String>, Query, description = "Length of a bucket: `auto` (60 to 200 buckets, the default), `10s`, `1m`, `15m`, `1h`, `1d` or `1mo`.", example = "1h"),
        ("tz" = Option<String>, Query, description = "IANA time zone whose hours, days and months are meant, 23 and 25 hours and all. Default: the customer's own zone, else UTC.", example = "Europe/Berlin"),
        ("meter" = Option<String>, Query, description = "`evaluations` (the default) or `requests`."),
        ("customer" = Option<Vec<String>>, Query, description = "Only these customers. Repeat for several."),
        ("project" = Option<Vec<String>>, Query, description = "Only these projects. Repeat for several."),
        ("environment" = Option<Vec<String>>, Query, description = "Only these environments. Repeat for several."),
        ("flag" = Option<Vec<String>>, Query, description = "Only these flags (for requests: resources). Repeat for several."),
        ("variant" = Option<Vec<String>>, Query, description = "Only these variants; empty means the series without one. Repeat for several."),
        ("sdk" = Option<Vec<String>>, Query, description = "Only these SDKs; empty means the series without one. Repeat for several."),
        ("group_by" = Option<Vec<String>>, Query, description = "What to tell apart: any of customer, project, environment, flag, variant, sdk, repeated or with commas.", example = json!(["flag"])),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "Only the groups with the largest totals; all others are added up as `__other__`, so that totals stay exact.", example = 10),
        ("compare" = Option<String>, Query, description = "`previous`: beside each bucket the one at the same position of the range before, of as many buckets."),
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
    let zone = app.zone_of(&principal);
    let asked = plan::ask(&uri, &headers, &principal, zone, app.clock.now(), &app.config)?;
    let mut reading = app.reader.begin(&principal).await?;
    let floors = if asked.needs_floors() { reading.state().await?.floors } else { Floors::default() };
    let plan = asked.plan(&floors, &app.config)?;
    let answer = reading.read(plan.question()).await.map_err(|error| plan.narrower(error))?;
    let room = reading.room_for(plan.rows_of(answer.rows.len())?).await?;
    let usage = shape::shape(&plan, answer);
    app.metrics.rows(usage.rows.len());
    match plan.format {
        Format::Json => room.json(&usage),
        Format::Csv => csv::response(&plan, &usage, room),
    }
}
