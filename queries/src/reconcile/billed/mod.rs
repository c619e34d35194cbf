//! `GET /v1/reconcile/billing`: what the ledger says of a customer's hours, beside what the store says of them.
//!
//! The ledger is read first, then what waits to be rolled up, then the store. Counts are only ever added, so the store,
//! read last, has no less than the ledger; what it has more is on its way into the ledger, and the answer says how far.

mod shape;

use std::{collections::BTreeSet, sync::Arc};

use axum::{extract::State, http::Uri, response::Response};
use flagmeter_ledger::{Hours, Row};
use flagmeter_model::{Environment, Meter, Name, Tier, TimeRange, Timestamp};
use flagmeter_store::{Dimension, Error as StoreError};
use shape::Known;
pub(crate) use shape::ReconcileBilling;

use crate::{
    App, Error, Result,
    access::{Principal, Scoped},
    billing::known_customers,
    parameters::{Parameters, name},
    problem::Refusals,
    reader::{Question, Reading},
};

/// The parameters of `/v1/reconcile/billing`.
pub(crate) const KNOWN: &[&str] = &[name::FROM, name::TO, name::CUSTOMER, name::PROJECT, name::ENVIRONMENT];

/// Rows of the ledger that are read at a time.
const READ_ROWS: usize = 8_192;
/// Windows that wait to be rolled up, and are looked at to tell why an hour differs.
const MARKS_MAX: usize = 10_000;
const HOUR_SECONDS: i64 = Tier::Hour.seconds();

/// What a customer is billed, beside what was counted
///
/// For whoever must explain an invoice: the sums of both over a range of hours, for each environment and meter, and each
/// hour that differs with the reason. An hour that is not final yet differs by all that was counted in it. One that is
/// final differs only for as long as late counts are on their way into the ledger, as a correction.
#[utoipa::path(
    get,
    path = "/v1/reconcile/billing",
    tag = "reconcile",
    security(("token" = [])),
    params(
        ("from" = String, Query, description = "Start: a full hour in RFC 3339.", example = "2026-11-01T00:00:00Z"),
        ("to" = String, Query, description = "End, not included: a full hour in RFC 3339.", example = "2026-12-01T00:00:00Z"),
        ("customer" = Option<String>, Query, description = "Whose. Needed unless the token is that of a customer.", example = "acme"),
        ("project" = Option<Vec<String>>, Query, description = "Only these projects. Repeat for several."),
        ("environment" = Option<Vec<String>>, Query, description = "Only these environments. Repeat for several."),
    ),
    responses(
        (status = 200, description = "Both, and where they differ", body = ReconcileBilling),
        Refusals,
    )
)]
pub(crate) async fn reconcile_billing(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
) -> Result<Response> {
    let parameters = Parameters::read(&uri, KNOWN)?;
    let scope = principal.scope(parameters.filter()?)?;
    let customer = one_customer(&scope)?;
    let edges = edges(parameters.hours()?, app.config.buckets_max)?;
    let mut reading = app.reader.begin(&principal).await?;
    known_customers(&app, &reading, &principal, &scope).await?;
    let mut known = Known::new(edges);
    read_ledger(&app, &reading, &scope, &mut known).await?;
    known.waiting = waiting(&reading, &scope, known.range()).await?;
    read_store(&app, &reading, &scope, &mut known).await?;
    let answer = known.compare(customer);
    let room = reading.room_for(answer.rows()).await?;
    room.json(&answer)
}

fn one_customer(scope: &Scoped) -> Result<Name> {
    match scope.filter().customers.as_slice() {
        [customer] => Ok(customer.clone()),
        _ => Err(Error::parameter(name::CUSTOMER, "A bill is that of one customer: give it once.")),
    }
}

/// Where the hours of the range begin, and the last one ends.
fn edges(range: TimeRange, hours_max: usize) -> Result<Vec<Timestamp>> {
    let hours = range.to.millis_since(range.from) / (HOUR_SECONDS * 1_000);
    if usize::try_from(hours).is_ok_and(|hours| hours <= hours_max) {
        return Ok((0..=hours).map(|hour| range.from.plus_seconds(hour * HOUR_SECONDS)).collect());
    }
    Err(Error::TooMuch(format!("The range has more than {hours_max} hours: ask for a shorter one.")))
}

/// Until when hours are final, and what their newest revisions say.
async fn read_ledger(app: &App, reading: &Reading<'_>, scope: &Scoped, known: &mut Known) -> Result<()> {
    let as_of = *app.reader.ledger_end()?.borrow();
    known.final_until = reading.closing(as_of).await?.map(|closing| closing.until);
    let mut question = Hours {
        scope: scope.of_ledger(),
        meters: Vec::new(),
        range: known.range(),
        as_of,
        after: None,
        limit: READ_ROWS,
    };
    loop {
        let page = reading.hours(question.clone()).await?;
        // Revisions of an hour stand in their order: the newest is the last.
        for row in &page.rows {
            known.billed((Environment::clone(&row.environment), row.meter, row.hour), row.count);
        }
        known.is_bounded(app.config.rows_max)?;
        question.after = page.rows.last().map(Row::key);
        if !page.more {
            return Ok(());
        }
    }
}

/// The hours in which late counts wait to be rolled up, as far as they are looked at.
async fn waiting(
    reading: &Reading<'_>,
    scope: &Scoped,
    range: TimeRange,
) -> Result<BTreeSet<(Environment, Timestamp)>> {
    let mut waiting = BTreeSet::new();
    for tier in [Tier::Minute, Tier::Quarter, Tier::Hour] {
        let marks = reading.marks(tier, range.to, MARKS_MAX).await?;
        let meant = marks.into_iter().filter(|mark| scope.filter().takes_environment(&mark.environment));
        waiting.extend(meant.map(|mark| (mark.environment, mark.window.start().floor_to(HOUR_SECONDS))));
    }
    Ok(waiting)
}

async fn read_store(app: &App, reading: &Reading<'_>, scope: &Scoped, known: &mut Known) -> Result<()> {
    let config = &app.config;
    for meter in Meter::ALL.into_iter().filter(|meter| meter.is_usage()) {
        let question = Question {
            meter,
            edges: known.edges.clone(),
            scope: scope.clone(),
            group_by: vec![Dimension::Customer, Dimension::Project, Dimension::Environment],
            groups_max: config.groups_ranked_max.min(config.cells_max / known.edges.len()).max(1),
        };
        let answer = reading.read(question).await.map_err(narrower)?;
        known.counted(meter, answer);
        known.is_bounded(config.rows_max)?;
    }
    Ok(())
}

fn narrower(error: Error) -> Error {
    let Error::Store(StoreError::TooMany { max, what }) = error else { return error };
    Error::TooMuch(format!("More than {max} {what}: ask for a shorter range, or for fewer with a filter."))
}
