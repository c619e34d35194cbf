//! `GET /v1/chart.svg`: the answer of `/v1/usage` as a picture, for an e-mail, a README or a page without script.
//!
//! Read, count as usage does, lay out, draw: all but the counting is pure, and the same answer is the same bytes.

mod bursts;
mod legend;
mod marks;
mod picture;
pub(crate) mod plan;
mod scale;
mod scene;
mod style;
mod svg;
pub(crate) mod text;
mod ticks;
mod words;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
pub(crate) use bursts::{Whose, how_far};
use plan::Look;
pub(crate) use text::escape;

use crate::{
    App, Result,
    access::Principal,
    bursts::marks::marks,
    caching::{self, Stays, Tag},
    parameters::Parameters,
    problem::Refusals,
    usage,
};

/// Counts as a picture
///
/// The numbers are those of `/v1/usage` for the same parameters. What is not known is hatched and says so: an outage
/// never looks like zero. Bursts and drops are marked, each with a band and a triangle above it. The range before, where it is compared with, is drawn as thin lines. There are at most 1,000
/// buckets in a picture. It has no script and loads nothing; its `desc` holds the numbers in words. It is a little
/// higher than `height` where its legend needs that.
#[utoipa::path(
    get,
    path = "/v1/chart.svg",
    tag = "usage",
    security(("token" = [])),
    params(
        usage::parameters::Described,
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 8, description = "Only the groups with the largest totals; all others are added up. Default 5.", example = 5),
        plan::Described,
    ),
    responses(
        (status = 200, description = "The picture, with a strong `ETag`", content_type = "image/svg+xml", body = String),
        (status = 304, description = "It is still the picture whose `ETag` was sent as `If-None-Match`"),
        Refusals,
    )
)]
pub(crate) async fn chart(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let whose = if principal.customer().is_some() { Whose::Own } else { Whose::All };
    drawn(&app, &principal, &uri, &headers, whose).await
}

/// The picture of a question, which says so much of whose its marks are.
pub(crate) async fn drawn(
    app: &App,
    principal: &Principal,
    uri: &Uri,
    headers: &HeaderMap,
    whose: Whose,
) -> Result<Response> {
    let zone = app.zone_of(principal);
    let parameters = Parameters::read(uri, plan::KNOWN)?;
    let look = Look::read(&parameters)?;
    let bounds = plan::bounds(&app.config);
    let now = app.clock.now();
    let asked = usage::plan::ask(&parameters, principal, zone, &bounds)?;
    let asked = asked.of_the_top(plan::LIMIT_DEFAULT);
    let range = asked.range(now)?;
    let mut reading = app.reader.begin(principal).await?;
    let (plan, usage, room) = usage::answer(&asked, range, &mut reading, &bounds).await?;
    let marks = marks(&reading, &asked, plan.range()).await;
    drop(reading);
    app.metrics.rows(usage.rows.len());
    let scene = scene::scene(&plan, &usage, now, look.title.clone()).marked_with(&marks, whose, now);
    let picture = picture::draw(&scene, &look).into_bytes();
    let tag = Tag::of([picture.as_slice()]);
    let mut response =
        caching::answer(headers, &tag, Stays::WhileTagged, || Ok(room.body(picture).into_response()))?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("inline; filename=\"flagmeter-chart.svg\""),
    );
    // With "not modified" as well: a cache takes its headers for those of the picture.
    if let Ok(policy) = HeaderValue::from_str(&style::content_security_policy(look.theme)) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

#[cfg(test)]
mod tests;
