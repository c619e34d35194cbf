//! `GET /v1/billing/statement`: a period of a customer, frozen by event time and by what was known.

mod focus;
pub(crate) mod plan;
mod shape;
mod sums;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use flagmeter_ledger::Row;
use flagmeter_model::{Name, TimeRange, Timestamp};
use plan::{Asked, Format};
use shape::Shaped;
pub(crate) use shape::{Statement, StatementState};
use sums::Sums;

use super::{as_json, cursor::Snapshot, each, json, known_customers, snapshot_of};
use crate::{
    App, Error, Result,
    access::Principal,
    caching::{self, Stays, Tag},
    parameters::{Parameters, name},
    problem::Refusals,
    reader::Reading,
    room::Room,
};

/// What a customer used in a period, for an invoice
///
/// Totals by day of the customer's zone for each environment and meter, once the period is final. With
/// `corrections_since=`, what came to hours before the period since an earlier statement was made is on it as rows of its
/// own. With `as_of=` the same statement has the same bytes for ever, and its manifest proves them.
#[utoipa::path(
    get,
    path = "/v1/billing/statement",
    tag = "billing",
    security(("token" = [])),
    params(
        ("customer" = Option<String>, Query, description = "Whose. Needed unless the token is that of a customer.", example = "acme"),
        ("period" = Option<String>, Query, description = "The period that begins in this month: on the billing day of the customer's plan, else on the first. Else give from and to.", example = "2026-11"),
        ("from" = Option<String>, Query, description = "Start: a full hour in RFC 3339.", example = "2026-11-15T00:00:00+01:00"),
        ("to" = Option<String>, Query, description = "End, not included: a full hour in RFC 3339.", example = "2026-12-15T00:00:00+01:00"),
        ("tz" = Option<String>, Query, description = "IANA time zone whose days and months are meant, 23 and 25 hours and all. Default: that of the customer's plan, else the customer's own, else UTC. Zones that are not full hours off are refused: hours are not split.", example = "Europe/Berlin"),
        ("as_of" = Option<String>, Query, description = "As the ledger stood then: `as_of` of an earlier answer to a token that reads the same. Default: as it stands."),
        ("corrections_since" = Option<String>, Query, description = "`as_of` of an earlier statement: what came to hours before the period after it is on this one."),
        ("draft" = Option<String>, Query, description = "`true`: where the period is not final, answer with what is final of it."),
        ("format" = Option<String>, Query, description = "`json` (the default), `csv`, or `focus`, which is CSV with the columns of FOCUS 1.2, those of costs empty; else the Accept header decides. In CSV a name that begins with =, +, - or @ has a ' before it; what can be checked stands in headers that begin with `flagmeter-`."),
    ),
    responses(
        (status = 200, description = "The statement", content(
            (Statement = "application/json"),
            (String = "text/csv", example = "kind,customer,project,environment,meter,start,end,hours,count,revision,closed_at\nusage,acme,web,production,evaluations,2026-11-01T00:00:00+01:00,2026-11-02T00:00:00+01:00,24,6200,,\n")
        )),
        (status = 304, description = "What `If-None-Match` names is still the answer"),
        (status = 409, description = "The period is not final, or the cursor knows more than the ledger, which was restored from an older copy", content_type = "application/problem+json", body = crate::problem::Problem),
        Refusals,
    )
)]
pub(crate) async fn statement(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let parameters = Parameters::read(&uri, plan::KNOWN)?;
    let asked = plan::ask(&parameters, &headers, &principal, |customer| app.calendar_of(customer))?;
    let (Shaped { statement, csv }, room) = make(&app, &principal, &asked).await?;
    let bytes = match asked.format {
        Format::Json => json(&statement)?,
        Format::Csv | Format::Focus => csv,
    };
    let stays = if asked.as_of.is_some() { Stays::Forever } else { Stays::WhileTagged };
    caching::answer(&headers, &Tag::of([bytes.as_slice()]), stays, || {
        Ok(match asked.format {
            Format::Json => as_json(room.body(bytes)),
            Format::Csv | Format::Focus => (statement.headers(), room.body(bytes)).into_response(),
        })
    })
}

/// What is asked, whoever wants it.
pub(crate) async fn answer(
    app: &App,
    principal: &Principal,
    parameters: &Parameters,
) -> Result<(Statement, Room)> {
    let calendar_of = |customer: &Name| app.calendar_of(customer);
    let asked = plan::ask(parameters, &HeaderMap::new(), principal, calendar_of)?;
    let (Shaped { statement, .. }, room) = make(app, principal, &asked).await?;
    Ok((statement, room))
}

async fn make(app: &App, principal: &Principal, asked: &Asked) -> Result<(Shaped, Room)> {
    let mut reading = app.reader.begin(principal).await?;
    known_customers(app, &reading, principal, &asked.scope).await?;
    let snapshot = snapshot_of(app, &reading, name::AS_OF, asked.as_of).await?;
    if asked.corrections_since.is_some_and(|since| since.end > snapshot.end) {
        return Err(Error::parameter(
            name::CORRECTIONS_SINCE,
            "It is later than as_of: there is nothing in between. Take the `as_of` of an earlier statement.",
        ));
    }
    let Read { sums, corrections } = read(app, &reading, asked, snapshot).await?;
    let room = reading.room_for(sums.cells() + corrections.len()).await?;
    Ok((shape::shape(asked, snapshot, &sums, &corrections), room))
}

/// What a statement is made from.
struct Read {
    sums: Sums,
    /// Of hours before the period.
    corrections: Vec<Row>,
}

async fn read(app: &App, reading: &Reading<'_>, asked: &Asked, snapshot: Snapshot) -> Result<Read> {
    let until = asked.counted_until(snapshot)?;
    let mut edges: Vec<Timestamp> = asked.edges.iter().copied().take_while(|edge| *edge < until).collect();
    edges.push(until);
    let rows_max = app.config.rows_max;
    let too_much = || {
        Error::TooMuch(format!(
            "The statement has more than {rows_max} rows: ask for one of a shorter period."
        ))
    };
    let period = TimeRange::new(asked.range().from, until);
    let mut sums = Sums::new(edges);
    each(reading, &asked.scope, snapshot, period, |row| {
        sums.add(&row);
        if sums.cells() > rows_max { Err(too_much()) } else { Ok(()) }
    })
    .await?;
    let mut corrections = Vec::new();
    if let Some(since) = asked.corrections_since {
        // All that this customer ever used is looked through, and nobody else's.
        let before = TimeRange::new(Timestamp::EPOCH, period.from);
        each(reading, &asked.scope, snapshot, before, |row| {
            if row.position > since.end {
                corrections.push(row);
            }
            if corrections.len() > rows_max { Err(too_much()) } else { Ok(()) }
        })
        .await?;
    }
    Ok(Read { sums, corrections })
}
