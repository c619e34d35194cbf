//! `GET /v1/billing/thresholds`: crossings of plans' thresholds, in the order in which they became known.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, http::Uri, response::Response};
use flagmeter_ledger::{Crossing, CrossingPage, Crossings, Position};
use flagmeter_model::Name;
use flagmeter_store::Filter;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{LIMIT_DEFAULT, LIMIT_MAX, cursor::CrossedTo, known_here, wait};
use crate::{
    App, Result,
    access::Principal,
    parameters::{Parameters, name},
    problem::Refusals,
    room::Room,
};

/// The parameters of `/v1/billing/thresholds`.
pub(crate) const KNOWN: &[&str] = &[name::AFTER, name::LIMIT, name::WAIT];

/// The answer of `/v1/billing/thresholds`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Thresholds {
    /// Crossings, in the order in which they became known.
    crossings: Vec<ToldCrossing>,
    /// `after=` of the next request.
    next: String,
    /// Whether there is more already: ask again at once.
    more: bool,
}

/// A threshold that was crossed: told once in a period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToldCrossing {
    /// Its name, the same wherever and whenever it is told.
    #[schema(example = "crossing_59e9e50a5f8204812521b83206117d72")]
    pub(crate) id: String,
    /// Whose.
    #[schema(value_type = String, example = "acme")]
    pub(crate) customer: Name,
    /// `evaluations` or `requests`.
    #[schema(example = "evaluations")]
    pub(crate) meter: &'static str,
    /// Start of the period.
    #[schema(example = "2026-11-01T00:00:00Z")]
    pub(crate) period: String,
    /// The part of what is included, in percent.
    #[schema(example = 80)]
    pub(crate) percent: u16,
    /// Whether the plan says that it is a hard one. Traffic is never stopped here.
    #[schema(example = false)]
    pub(crate) hard: bool,
    /// What the plan included in the period when this was found, in decimal digits.
    #[schema(example = "10000000")]
    pub(crate) included: String,
    /// What was used in the period when this was found, in decimal digits.
    #[schema(example = "8000412")]
    pub(crate) used: String,
    /// When this was found.
    #[schema(example = "2026-11-20T13:04:11Z")]
    pub(crate) crossed_at: String,
}

impl From<&Crossing> for ToldCrossing {
    fn from(crossing: &Crossing) -> Self {
        let crossed = &crossing.crossed;
        Self {
            id: crossed.id(),
            customer: crossed.customer.clone(),
            meter: crossed.meter.name(),
            period: crossed.period.to_string(),
            percent: crossed.percent,
            hard: crossed.hard,
            included: crossed.included.to_string(),
            used: crossed.used.to_string(),
            crossed_at: crossing.crossed_at.to_string(),
        }
    }
}

/// What is asked.
#[derive(Debug)]
struct Asked {
    owner: Option<Name>,
    after: CrossedTo,
    limit: usize,
    wait: Option<Duration>,
}

fn ask(uri: &Uri, principal: &Principal) -> Result<Asked> {
    let parameters = Parameters::read(uri, KNOWN)?;
    let owner = principal.customer().cloned();
    let after = parameters.one(name::AFTER)?;
    let after = after.map(|text| CrossedTo::from_cursor(name::AFTER, text, owner.as_ref())).transpose()?;
    Ok(Asked {
        owner,
        after: after.unwrap_or_default(),
        limit: parameters.number(name::LIMIT, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT),
        wait: parameters.one(name::WAIT)?.map(wait).transpose()?,
    })
}

/// Thresholds of plans that were crossed, in the order in which this became known
///
/// Each threshold of a plan is told once in each period of a customer, for each meter. Read it from the beginning, and go
/// on after `next`: none is ever missed, changed or taken back.
#[utoipa::path(
    get,
    path = "/v1/billing/thresholds",
    tag = "billing",
    security(("token" = [])),
    params(
        ("after" = Option<String>, Query, description = "`next` of the answer before. Default: from the first crossing."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 10_000, description = "Crossings at most. Default 1000."),
        ("wait" = Option<String>, Query, description = "Where there is nothing new, wait so long for it: 1s to 60s.", example = "30s"),
    ),
    responses(
        (status = 200, description = "The crossings", body = Thresholds),
        (status = 409, description = "The cursor knows more than the ledger, which was restored from an older copy", content_type = "application/problem+json", body = crate::problem::Problem),
        Refusals,
    )
)]
pub(crate) async fn thresholds(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
) -> Result<Response> {
    let asked = ask(&uri, &principal)?;
    let mut end = app.reader.crossed_end()?;
    known_here(&end, asked.after.0).await?;
    // A place only for those who wait; who finds none is answered at once.
    let place = asked.wait.and_then(|_| app.waiting.place(&principal));
    let deadline = Instant::now() + asked.wait.unwrap_or_default();
    let mut after = asked.after.0;
    loop {
        end.borrow_and_update();
        let (page, room) = {
            let mut reading = app.reader.begin(&principal).await?;
            let customers = asked.owner.iter().cloned().collect();
            let page = reading.crossings(Crossings { customers, after, limit: asked.limit }).await?;
            let room = reading.room_for(page.crossings.len()).await?;
            (page, room)
        };
        after = page.looked_to;
        let is_news = !page.crossings.is_empty() || page.more;
        let Some(place) = place.as_ref().filter(|_| !is_news) else {
            return respond(&app, &asked, &page, room);
        };
        // Nothing is held while it sleeps, but its place.
        drop(room);
        if !place.news(&mut end, deadline).await {
            let reading = app.reader.begin(&principal).await;
            let room = reading?.room_for(0).await?;
            return respond(&app, &asked, &page, room);
        }
    }
}

/// The crossings of a customer, whoever wants them; the first ones, where there are more than one answer holds.
pub(crate) async fn of_customer(
    app: &App,
    principal: &Principal,
    customer: &Name,
) -> Result<(Vec<ToldCrossing>, Room)> {
    principal.scope(Filter { customers: vec![customer.clone()], ..Filter::default() })?;
    let mut reading = app.reader.begin(principal).await?;
    let (mut told, mut after) = (Vec::new(), Position::START);
    loop {
        let asked = Crossings { customers: vec![customer.clone()], after, limit: LIMIT_MAX };
        let page = reading.crossings(asked).await?;
        told.extend(page.crossings.iter().map(ToldCrossing::from));
        after = page.looked_to;
        if !page.more || told.len() >= LIMIT_MAX {
            break;
        }
    }
    let room = reading.room_for(told.len()).await?;
    Ok((told, room))
}

fn respond(app: &App, asked: &Asked, page: &CrossingPage, room: Room) -> Result<Response> {
    app.metrics.rows(page.crossings.len());
    let told = page.crossings.iter().map(ToldCrossing::from);
    let next = CrossedTo(page.looked_to).cursor(asked.owner.as_ref());
    room.json(&Thresholds { crossings: told.collect(), next, more: page.more })
}
