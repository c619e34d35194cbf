//! `GET /v1/billing/closed-hours`: every revision in the order in which it became known.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use flagmeter_ledger::{Feed, Page, Position};
use flagmeter_model::Name;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{
    LIMIT_DEFAULT, LIMIT_MAX, as_json, csv_headers,
    cursor::Snapshot,
    json,
    row::{BilledHour, Csv, Line},
    snapshot_of, wait,
};
use crate::{
    App, Result,
    access::{Principal, Scoped},
    parameters::{Parameters, name},
    problem::Refusals,
    room::Room,
    usage::plan::{Format, format},
};

/// The parameters of `/v1/billing/closed-hours`.
pub(crate) const KNOWN: &[&str] = &[name::AFTER, name::LIMIT, name::WAIT, name::FORMAT];

/// The answer of `/v1/billing/closed-hours`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClosedHours {
    /// Revisions, in the order in which they became known. Keep the greatest of each hour.
    rows: Vec<BilledHour>,
    /// `after=` of the next request. Keep it in the same transaction as the rows.
    next: String,
    /// Whether there is more already: ask again at once.
    more: bool,
}

/// What is asked.
#[derive(Debug)]
struct Asked {
    scope: Scoped,
    owner: Option<Name>,
    after: Option<Snapshot>,
    limit: usize,
    wait: Option<Duration>,
    format: Format,
}

fn ask(uri: &Uri, headers: &HeaderMap, principal: &Principal) -> Result<Asked> {
    let parameters = Parameters::read(uri, KNOWN)?;
    let owner = principal.customer().cloned();
    let after = parameters.one(name::AFTER)?;
    let after = after.map(|text| Snapshot::from_cursor(name::AFTER, text, owner.as_ref())).transpose()?;
    let wait = parameters.one(name::WAIT)?.map(wait).transpose()?;
    Ok(Asked {
        scope: principal.scope(parameters.filter()?)?,
        owner,
        after,
        limit: parameters.number(name::LIMIT, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT),
        wait,
        format: format(&parameters, headers)?,
    })
}

/// Revisions of final hours, in the order in which they became known
///
/// Read it from the beginning, keep each hour's greatest revision and the cursor `next` in one transaction, and go on
/// after it: whenever that is cut off, the same rows come again, and no row is ever missed, edited or taken back.
#[utoipa::path(
    get,
    path = "/v1/billing/closed-hours",
    tag = "billing",
    security(("token" = [])),
    params(
        ("after" = Option<String>, Query, description = "`next` of the answer before, or `as_of` of another one. Default: from the first row."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 10_000, description = "Rows at most. Default 1000."),
        ("wait" = Option<String>, Query, description = "Where there is nothing new, wait so long for it: 1s to 60s.", example = "30s"),
        ("format" = Option<String>, Query, description = "`json` (the default) or `csv`; else the Accept header decides. In CSV, `next` and `more` stand in the headers `flagmeter-next` and `flagmeter-more`, and a name that begins with =, +, - or @ has a ' before it."),
    ),
    responses(
        (status = 200, description = "The revisions", content(
            (ClosedHours = "application/json"),
            (String = "text/csv", example = "customer,project,environment,meter,hour,state,revision,count,difference,correction,complete,missing_nodes,closed_at\nacme,web,production,evaluations,2026-11-20T13:00:00Z,final,2,1210,6,true,true,,2026-11-20T17:02:11Z\n")
        )),
        (status = 409, description = "The cursor knows more than the ledger, which was restored from an older copy", content_type = "application/problem+json", body = crate::problem::Problem),
        Refusals,
    )
)]
pub(crate) async fn closed_hours(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let asked = ask(&uri, &headers, &principal)?;
    let mut after = asked.after.map_or(Position::START, |after| after.end);
    let mut given = asked.after;
    // A place only for those who wait; who finds none is answered at once.
    let place = asked.wait.and_then(|_| app.waiting.place(&principal));
    let deadline = Instant::now() + asked.wait.unwrap_or_default();
    let mut end = app.reader.ledger_end()?;
    loop {
        end.borrow_and_update();
        let (page, next, room) = {
            let mut reading = app.reader.begin(&principal).await?;
            if given.is_some() {
                snapshot_of(&app, &reading, name::AFTER, given.take()).await?;
            }
            let scope = asked.scope.of_ledger();
            let feed = Feed { scope, after, until: Position::MAX, limit: asked.limit };
            let page = reading.feed(feed).await?;
            let until = reading.closing(page.looked_to).await?.map(|closing| closing.until);
            let next = Snapshot { end: page.looked_to, until };
            let room = reading.room_for(page.rows.len()).await?;
            (page, next, room)
        };
        after = page.looked_to;
        let is_news = !page.rows.is_empty() || page.more;
        let Some(place) = place.as_ref().filter(|_| !is_news) else {
            return respond(&app, &asked, &page, next, room);
        };
        // Nothing is held while it sleeps, but its place.
        drop(room);
        if !place.news(&mut end, deadline).await {
            let reading = app.reader.begin(&principal).await;
            let room = reading?.room_for(0).await?;
            return respond(&app, &asked, &page, next, room);
        }
    }
}

fn respond(app: &App, asked: &Asked, page: &Page, next: Snapshot, room: Room) -> Result<Response> {
    app.metrics.rows(page.rows.len());
    let (next, more) = (next.cursor(asked.owner.as_ref()), page.more);
    match asked.format {
        Format::Json => {
            let rows = page.rows.iter().map(Line::from).map(BilledHour::from).collect();
            Ok(as_json(room.body(json(&ClosedHours { rows, next, more })?)))
        }
        Format::Csv => {
            let mut csv = Csv::new();
            csv.reserve(page.rows.len());
            for row in &page.rows {
                csv.line(row);
            }
            let more = if more { "true" } else { "false" };
            let said = [("flagmeter-next", Some(next.as_str())), ("flagmeter-more", Some(more))];
            let headers = csv_headers("attachment; filename=\"flagmeter-closed-hours.csv\"", &said);
            Ok((headers, room.body(csv.take())).into_response())
        }
    }
}
