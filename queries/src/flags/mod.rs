//! `GET /v1/flags`: every flag of a project, with what became of it.

mod found;
mod plan;
mod shape;

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use flagmeter_model::{Meter, Name};
use flagmeter_store::{Dimension, Error as StoreError, Floors};
use found::Page;
pub(crate) use plan::KNOWN;
use plan::{Asked, Trend};
pub(crate) use shape::{FlagPage, FlagUse};

use crate::{
    App, Error, Result, access::Principal, parameters::Parameters, problem::Refusals, reader::Question,
    room::Room,
};

/// Every flag, with its totals and when it was last seen
///
/// Flags are told apart by customer and project. They come in the order of their names, in pages: go on with
/// `after=` the `next` of the answer before.
#[utoipa::path(
    get,
    path = "/v1/flags",
    tag = "flags",
    security(("token" = [])),
    params(
        ("from" = Option<String>, Query, description = "Start of the range of totals and trend. Default -30d.", example = "-30d"),
        ("to" = Option<String>, Query, description = "End of the range, not included. Default `now`.", example = "now"),
        ("resolution" = Option<String>, Query, description = "Length of a bucket of the trend: `auto` (the default), `10s`, `1m`, `15m`, `1h`, `1d` or `1mo`."),
        ("tz" = Option<String>, Query, description = "IANA time zone whose hours, days and months are meant. Default: the customer's own zone, else UTC."),
        ("customer" = Option<Vec<String>>, Query, description = "Only these customers. Repeat for several."),
        ("project" = Option<Vec<String>>, Query, description = "Only these projects. Repeat for several."),
        ("environment" = Option<Vec<String>>, Query, description = "Only what was evaluated in these environments. Repeat for several."),
        ("flag" = Option<Vec<String>>, Query, description = "Only these flags. Repeat for several."),
        ("stale_for" = Option<String>, Query, description = "Only flags that were not evaluated for so long, or never.", example = "30d"),
        ("unknown_to_registry" = Option<bool>, Query, description = "`true`: only flags that are evaluated but not in their project's list in the registry. `false`, the default: all."),
        ("past_removal" = Option<bool>, Query, description = "`true`: only flags whose `remove_by` in the registry is over, in their customer's own zone. `false`, the default: all."),
        ("without_owner" = Option<bool>, Query, description = "`true`: only flags for which the registry names no owner. `false`, the default: all."),
        ("q" = Option<String>, Query, description = "Only flags with this in their names, in small or capital letters.", example = "checkout"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "Flags of one page. Default 100."),
        ("after" = Option<String>, Query, description = "The `next` of the page before."),
    ),
    responses(
        (status = 200, description = "The flags", body = FlagPage),
        Refusals,
    )
)]
pub(crate) async fn flags(State(app): State<Arc<App>>, principal: Principal, uri: Uri) -> Result<Response> {
    let (page, room) = answer(&app, &principal, &Parameters::read(&uri, KNOWN)?).await?;
    room.json(&page)
}

/// What is asked, answered, whoever wants it.
pub(crate) async fn answer(
    app: &App,
    principal: &Principal,
    parameters: &Parameters,
) -> Result<(FlagPage, Room)> {
    let zone = app.zone_of(principal);
    let asked = plan::ask(parameters, principal, zone, app.clock.now(), &app.config)?;
    let mut reading = app.reader.begin(principal).await?;
    let floors = if asked.needs_floors() { reading.state().await?.floors } else { Floors::default() };
    let trend = asked.trend(&floors, &app.config)?;
    let seen = reading.catalogue(Meter::Evaluations, &asked.scope).await.map_err(narrower)?;
    let registry = Arc::clone(&app.registry.borrow());
    let page = found::page(&asked, seen, &registry);
    let answer = reading.read(question(app, &asked, &trend, &page)).await.map_err(narrower)?;
    let room = reading.room_for(page.flags.len().saturating_mul(trend.edges.len())).await?;
    Ok((shape::shape(&asked, &trend, page, answer), room))
}

/// Says how to ask for less where the store says that there is too much.
fn narrower(error: Error) -> Error {
    match error {
        Error::Store(StoreError::TooMany { max, what }) => Error::TooMuch(format!(
            "There are more than {max} {what} to look at. Ask for one customer, project, environment or flag with a \
             filter, or for a shorter range."
        )),
        error => error,
    }
}

/// The counts of the flags of a page. A page on which no flag was ever evaluated asks for no flag's counts, only
/// for what is known of the range.
fn question(app: &App, asked: &Asked, trend: &Trend, page: &Page) -> Question {
    let evaluated = || page.flags.iter().filter(|(_, found)| found.last_seen.is_some()).map(|(key, _)| key);
    let each = |part: fn(&plan::FlagKey) -> &Name| {
        let mut names: Vec<Name> = evaluated().map(part).cloned().collect();
        names.sort();
        names.dedup();
        names
    };
    let scope = asked.scope.clone();
    let narrowed =
        scope.narrowed_to(each(|key| &key.customer), each(|key| &key.project), each(|key| &key.flag));
    let (scope, group_by) = match narrowed {
        Some(scope) => (scope, vec![Dimension::Customer, Dimension::Project, Dimension::Name]),
        None => (asked.scope.clone(), vec![]),
    };
    let cells_per_group = (trend.edges.len() - 1).max(1);
    Question {
        meter: Meter::Evaluations,
        edges: trend.edges.clone(),
        scope,
        group_by,
        groups_max: app.config.groups_ranked_max.min(app.config.cells_max / cells_per_group).max(1),
    }
}
