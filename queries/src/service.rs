//! What every request passes through: the token, the metrics, the headers.

use std::{any::Any, sync::Arc, time::Instant};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    App, Error,
    access::{Principal, Refusal, authenticate, refuse_borrowed_cookies},
    problem,
};

/// Headers of every answer, unless it has its own.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // To no other site. To ourselves, so that a form says by whose page it was sent.
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Of an answer: pages of other sites may show it.
#[derive(Clone)]
pub(crate) struct ForOtherSites;

impl FromRequestParts<Arc<App>> for Principal {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        if !parts.method.is_safe() {
            refuse_borrowed_cookies(&parts.headers)?;
        }
        authenticate(&app.tokens, &parts.headers, parts.uri.path())
    }
}

/// Measures a request of ours.
pub(crate) async fn measure(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    app.metrics.answered(route, response.status().as_u16(), started.elapsed().as_secs_f64());
    response
}

/// Gives every answer of the address the shape and the headers that all have, and counts refused tokens.
pub(crate) async fn finish(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let is_problem =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == problem::MEDIA_TYPE);
    if response.status() == StatusCode::METHOD_NOT_ALLOWED && !is_problem {
        // It keeps its headers: those of CORS are for the browser that asked. `Allow` is added after us.
        let (head, body) = Error::MethodNotAllowed.into_response().into_parts();
        response.headers_mut().extend(head.headers);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = body;
    }
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    if response.extensions().get::<ForOtherSites>().is_some() {
        let anyones = HeaderValue::from_static("cross-origin");
        response.headers_mut().insert("cross-origin-resource-policy", anyones);
        // It knows no more than "nobody" and "ourselves"; the policy says who.
        response.headers_mut().remove(header::X_FRAME_OPTIONS);
        response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    if let Some(refusal) = response.extensions().get::<Refusal>() {
        app.metrics.refused(*refusal);
    }
    response
}

/// A bug. The caller gets the shape that all errors have, and the process goes on.
pub(crate) fn panicked(_payload: Box<dyn Any + Send + 'static>) -> Response {
    Error::Encoding("a handler panicked".into()).into_response()
}
