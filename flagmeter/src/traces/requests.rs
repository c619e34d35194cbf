//! Requests that are answered: which are traced, and what their spans say.

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderMap, Method},
    middleware::{self, Next},
    response::Response,
};
use tracing::{Instrument as _, Span, field, info_span};

use super::{ids::Parent, sampling::Requests, set_up};

/// Senders' names of requests are cut here, as they are in log lines.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Traces requests to these addresses, where traces are exported.
pub(crate) fn of_requests(router: Router) -> Router {
    let Some(requests) = set_up::requests() else { return router };
    router.layer(middleware::from_fn(move |request, next| answer(requests, request, next)))
}

async fn answer(requests: &'static Requests, request: Request, next: Next) -> Response {
    let parent = Parent::of(request.headers());
    let Some(trace) = requests.take(parent) else { return next.run(request).await };
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let (word, name) = names(request.method(), route);
    // Nothing of the address but its template: what stands in it may be a customer's.
    let span = info_span!(
        parent: None,
        "request",
        otel.kind = "server",
        otel.name = name,
        trace.id = u128::from_be_bytes(trace.to_bytes()),
        trace.parent = parent.map(|parent| u64::from_be_bytes(parent.place.span.to_bytes())),
        http.request.method = word,
        http.route = route,
        url.scheme = "http",
        http.response.status_code = field::Empty,
        flagmeter.request_id = field::Empty,
        error.type = field::Empty
    );
    let response = next.run(request).instrument(span.clone()).await;
    tell(&span, &response);
    response
}

/// The method as the conventions have it, and the name of the span. Methods are strangers' words.
fn names<'m>(method: &'m Method, route: Option<&str>) -> (&'m str, String) {
    const KNOWN: [Method; 7] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    let (word, first) =
        if KNOWN.contains(method) { (method.as_str(), method.as_str()) } else { ("_OTHER", "HTTP") };
    (word, route.map_or_else(|| first.to_owned(), |route| format!("{first} {route}")))
}

fn tell(span: &Span, response: &Response) {
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if let Some(name) = request_id(response.headers()) {
        span.record("flagmeter.request_id", name);
    }
    // What is refused is the sender's fault, and no error of ours.
    if status.is_server_error() {
        span.record("error.type", status.as_str());
    }
}

fn request_id(headers: &HeaderMap) -> Option<&str> {
    let name = headers.get("x-request-id")?.to_str().ok()?;
    Some(name.get(..REQUEST_ID_BYTES_MAX).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_templates_and_known_methods_alone() {
        let other = Method::from_bytes(b"SECRET").unwrap();
        assert_eq!(names(&Method::POST, Some("/v1/counts")), ("POST", "POST /v1/counts".to_owned()));
        assert_eq!(names(&Method::GET, None), ("GET", "GET".to_owned()));
        assert_eq!(names(&other, Some("/v1/flags/{flag}")), ("_OTHER", "HTTP /v1/flags/{flag}".to_owned()));
    }
}
