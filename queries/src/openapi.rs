//! `GET /openapi.json`: the API in the words of machines, generated from the code that answers.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        RefOr, Schema,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    App, access, billing, chart, operator,
    parameters::{RESOLUTIONS, name},
    reconcile,
    usage::plan::{COMPARISONS, FORMATS, METERS},
};

/// What stands in the document beside the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "flagmeter",
        description = "Feature-flag evaluations, each counted exactly once. Answers say until when they are complete; what is not known is null, never zero. Errors are application/problem+json (RFC 9457)."
    ),
    tags(
        (name = "usage", description = "Counts over time"),
        (name = "flags", description = "Flags and when they were last evaluated"),
        (name = "billing", description = "Hours that are final, for bills"),
        (name = "reconcile", description = "What became of all that arrived"),
        (name = "operator", description = "For whoever runs it: the nodes, the way of a count, the largest customers, bursts and planned mutes"),
        (name = "embed", description = "A chart in the page of somebody else"),
        (name = "session", description = "Signing in on the page"),
        (name = "document", description = "The API itself"),
    ),
    components(schemas(crate::problem::Problem, crate::live::Delta)),
    modifiers(&Token)
)]
pub(crate) struct Document;

struct Token;

/// What the document calls the cookie.
const COOKIE: &str = "session";

impl Modify for Token {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token made with `flagmeter token create`: fm_<id>_<secret>."))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
        let cookie = "The same token, where one has signed in with `POST /v1/session`.";
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description(access::cookie::NAME, cookie));
        components.add_security_scheme(COOKIE, SecurityScheme::ApiKey(cookie));
    }
}

/// Says of parameters with a fixed set of values which these are, from where they are read.
pub(crate) fn add_choices(document: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let parameters = item.get.as_mut().and_then(|get| get.parameters.as_mut());
        for parameter in parameters.into_iter().flatten() {
            let choices = match parameter.name.as_str() {
                name::RESOLUTION => RESOLUTIONS,
                name::METER => METERS,
                name::COMPARE => COMPARISONS,
                name::KIND => operator::bursts::KINDS,
                name::STATE => operator::mutes::STATES,
                name::BY => operator::top::ORDERS,
                name::WINDOW => operator::top::WINDOWS,
                name::STYLE => chart::plan::STYLES,
                name::THEME => chart::plan::THEMES,
                name::FORMAT if path == "/v1/billing/hours" => billing::hours::plan::FORMATS,
                name::FORMAT if path == "/v1/billing/statement" => billing::statement::plan::FORMATS,
                name::FORMAT => FORMATS,
                name::GROUP_BY if path == "/v1/reconcile" => reconcile::LEVELS,
                _ => continue,
            };
            if let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema {
                schema.enum_values = Some(choices.iter().map(|choice| (*choice).into()).collect());
            }
        }
    }
}

/// Whatever takes a token takes it from the cookie as well.
pub(crate) fn add_cookie(document: &mut utoipa::openapi::OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations: [&mut Option<Operation>; 3] = [&mut item.get, &mut item.post, &mut item.delete];
        for ways in operations.into_iter().flatten().filter_map(|operation| operation.security.as_mut()) {
            ways.push(SecurityRequirement::new::<_, [&str; 0], &str>(COOKIE, []));
        }
    }
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "document",
    responses((status = 200, description = "The API as OpenAPI 3.1", content_type = "application/json"))
)]
pub(crate) async fn openapi(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.openapi.clone()).into_response()
}
