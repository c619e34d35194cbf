//! What every request passes through: the token, the metrics, the headers.

use std::{any::Any, sync::Arc, time::Instant};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    App, Error,
    access::{Principal, bearer},
};

/// Headers of every answer, unless it has its own.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

impl FromRequestParts<Arc<App>> for Principal {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        bearer(&parts.headers).and_then(|token| app.tokens.authenticate(token)).map_err(|refusal| {
            app.metrics.refused(refusal);
            // The reason is for us: told to the caller it would tell which ids exist.
            tracing::info!(
                reason = refusal.reason(),
                path = parts.uri.path(),
                "a request without a good token"
            );
            Error::Unauthenticated(refusal)
        })
    }
}

/// Measures a request, and adds the headers that every answer has.
pub(crate) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    app.metrics.answered(route, response.status().as_u16(), started.elapsed().as_secs_f64());
    response
}

/// Nothing is served there.
pub(crate) async fn not_found(uri: Uri) -> Error {
    Error::NotFound(uri.path().chars().take(128).collect())
}

/// Something is, but not with this method.
pub(crate) async fn method_not_allowed() -> Error {
    Error::MethodNotAllowed
}

/// A bug. The caller gets the shape that all errors have, and the process goes on.
pub(crate) fn panicked(_payload: Box<dyn Any + Send + 'static>) -> Response {
    Error::Encoding("a handler panicked".into()).into_response()
}
