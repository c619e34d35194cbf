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
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{
    App, billing,
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
        (name = "operator", description = "For whoever runs it: the nodes"),
        (name = "document", description = "The API itself"),
    ),
    components(schemas(crate::problem::Problem)),
    modifiers(&Token)
)]
pub(crate) struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token made with `flagmeter token create`: fm_<id>_<secret>."))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
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
