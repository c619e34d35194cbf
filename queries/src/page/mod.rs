//! The page: what people see. It is built from `ui/` (see `build.rs`), and the binary holds its files.
//!
//! All views are one file, whose script reads the address; what it shows it asks of the API. Who has no script, and
//! every viewer of a binary that was built without Node, gets the same addresses as plain pages (`plain`).

mod files;
mod plain;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use files::FILES;

use crate::{App, Error, session};

/// What a page may do: run our script, use our styles, ask us, and go nowhere else.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The same of what other sites may frame. Nothing is sent from there.
const FRAMED_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors *";

/// Where a view is. All else of it stands behind the `?`.
pub(crate) const VIEWS: [&str; 6] =
    ["/sign-in", "/usage", "/flags", "/flags/{customer}/{project}/{flag}", "/billing", "/operators"];

const ICON: &str = include_str!("../../ui/public/icon.svg");

/// The page and its files. None of them holds data, and none asks for a token.
pub(crate) fn routes() -> Router<Arc<App>> {
    let files = Router::new()
        .route("/", get(first))
        .route("/icon.svg", get(icon))
        .route("/plain.css", get(plain::style))
        .route("/assets/{name}", get(asset))
        .route("/sign-out", post(session::sign_out_by_form));
    VIEWS.into_iter().fold(files, |routes, address| routes.route(address, get(view)))
}

/// Where one signs in, for who brought no good token by a form: it goes on to `next` once they do.
pub(crate) fn sign_in_refused(next: &str) -> Response {
    plain::sign_in_refused(next)
}

/// The page for the frames of other sites, where it was built.
pub(crate) fn embedded(headers: &HeaderMap) -> Option<Response> {
    files::of(FILES, "embed.html").map(|file| file.page(headers, FRAMED_POLICY))
}

/// A page without script for such a frame, with this body in HTML.
pub(crate) fn framed(body: &str) -> Response {
    let head = "<meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\"><title>flagmeter</title>\
         <link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\">";
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><head>{head}</head><body><main>{body}</main></body></html>\n"
    );
    ([(header::CONTENT_SECURITY_POLICY, FRAMED_POLICY)], Html(page)).into_response()
}

/// Whether a view is at this path.
pub(crate) fn is_view(path: &str) -> bool {
    VIEWS.iter().any(|view| {
        let (asked, view) = (path.split('/'), view.split('/'));
        let is_same = |(asked, part): (&str, &str)| {
            if part.starts_with('{') { !asked.is_empty() } else { asked == part }
        };
        asked.clone().count() == view.clone().count() && asked.zip(view).all(is_same)
    })
}

/// Usage is what most come for.
async fn first(uri: Uri) -> Redirect {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::temporary(&format!("/usage{query}"))
}

async fn view(State(app): State<Arc<App>>, request: Request) -> Response {
    match files::of(FILES, "index.html") {
        Some(index) if !wants_plain(request.uri()) => match request.uri().query() {
            Some(query) => index.page_asking(query, CONTENT_SECURITY_POLICY),
            None => index.page(request.headers(), CONTENT_SECURITY_POLICY),
        },
        _ => plain::view(app, request).await,
    }
}

/// Nothing is served there. A browser gets the page, which says so and leads on; everyone else a problem.
pub(crate) async fn nowhere(uri: Uri, headers: HeaderMap) -> Response {
    let takes_page = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    match files::of(FILES, "index.html") {
        Some(index) if takes_page && !wants_plain(&uri) && !uri.path().starts_with("/v1/") => {
            // Whole, whatever the browser has: the page that it has is one of other addresses.
            let mut page = index.page(&HeaderMap::new(), CONTENT_SECURITY_POLICY);
            *page.status_mut() = StatusCode::NOT_FOUND;
            page
        }
        _ => Error::NotFound(uri.path().chars().take(128).collect()).into_response(),
    }
}

/// Whether the address asks for what needs no script.
fn wants_plain(uri: &Uri) -> bool {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
    pairs.is_ok_and(|Query(pairs)| pairs.iter().any(|(name, value)| name == "plain" && value == "1"))
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let path = format!("assets/{name}");
    files::of(FILES, &path).map_or_else(
        || Error::NotFound(format!("/{path}").chars().take(128).collect()).into_response(),
        |file| file.asset(&headers),
    )
}

async fn icon() -> Response {
    let kept = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=86400")];
    (kept, ICON).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_asked_for_in_the_address() {
        for (address, is_plain) in [
            ("/usage", false),
            ("/usage?plain=1", true),
            ("/usage?from=-1h&plain=1&tz=UTC", true),
            ("/usage?plain=0", false),
            ("/usage?explain=1", false),
        ] {
            assert_eq!(wants_plain(&address.parse().unwrap()), is_plain, "{address}");
        }
    }
}
