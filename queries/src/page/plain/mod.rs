//! The page for browsers that run no script, and for binaries that were built without the other one: the same
//! addresses, the same numbers, plain HTML.
//!
//! A page is made from the answers of the API's own functions, in process, for whoever asks: it can show no more than
//! the API would answer. Forms are of method `get`, and their fields are the API's parameters, so that an address
//! holds all of a view. What the API refuses is told in its words, above the form as it was filled in.
//!
//! # Invariants
//!
//! - Text gets into a page through [`maud`] alone, which escapes it; `clippy.toml` forbids its way around that.
//! - No script, no style and no picture but our own: [`CONTENT_SECURITY_POLICY`].
//! - Every table is bounded, and says what it leaves out.

mod billing;
mod bursts;
mod customers;
mod fields;
mod flag;
mod flags;
mod judge;
mod layout;
mod operators;
mod order;
mod pipeline;
mod sign_in;
mod sparkline;
mod table;
#[cfg(test)]
mod tests;
mod usage;
mod view;
mod words;

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts as _, Path, Request},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use layout::Shown;
pub(super) use sign_in::refused as sign_in_refused;
use view::View;

use crate::{App, Error, access::Principal, access::Refusal, problem::RETRY_AFTER_SECONDS};

/// What a plain page may do: use our style and our pictures, and send forms to us.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'";

const STYLE: &str = include_str!("plain.css");

/// A view, by its address.
pub(super) async fn view(app: Arc<App>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let view = View::read(&parts.uri);
    if parts.uri.path() == sign_in::PATH {
        return sign_in::page(&view.unwrap_or_else(|_| View::of(&parts.uri)));
    }
    match Principal::from_request_parts(&mut parts, &app).await {
        Ok(principal) => {
            let shown = match view {
                Ok(view) => show(&app, &principal, &view, &mut parts).await,
                Err(error) => Shown::refused(&View::of(&parts.uri), "flagmeter", &error),
            };
            shown.respond(&principal)
        }
        Err(Error::Unauthenticated(refusal)) => to_sign_in(&view, &parts, refusal),
        Err(error) => error.into_response(),
    }
}

/// The style of all plain pages.
pub(super) async fn style() -> Response {
    let mut response = STYLE.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

async fn show(app: &Arc<App>, principal: &Principal, view: &View, parts: &mut Parts) -> Shown {
    match view.path() {
        "/usage" => usage::show(app, principal, view).await,
        "/flags" => flags::show(app, principal, view, parts).await,
        "/billing" => billing::show(app, principal, view).await,
        "/operators" => operators::show(app, principal, view, parts).await,
        _ => match Path::<[String; 3]>::from_request_parts(parts, app).await {
            Ok(Path(names)) => flag::show(app, principal, view, names).await,
            Err(_) => {
                Shown::refused(view, "flagmeter", &Error::NotFound(view.path().chars().take(128).collect()))
            }
        },
    }
}

/// Leads to where one signs in, and from there back here.
fn to_sign_in(view: &Result<View, Error>, parts: &Parts, refusal: Refusal) -> Response {
    let next = parts.uri.path_and_query().map_or("/usage", |address| address.as_str());
    let again = (refusal != Refusal::Missing).then_some((sign_in::AGAIN, "1"));
    let pairs = [(sign_in::NEXT, next)].into_iter().chain(again);
    let address = match view {
        Ok(view) => view.address(sign_in::PATH, pairs),
        Err(_) => view::address(sign_in::PATH, pairs),
    };
    let mut response = Redirect::to(&address).into_response();
    if again.is_some() {
        // To be counted. That a browser comes without a token is how everyone begins.
        response.extensions_mut().insert(refusal);
    }
    response
}

/// A page as it is sent.
fn respond(status: StatusCode, page: maud::Markup, is_retryable: bool) -> Response {
    let mut response = (status, page.into_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    if is_retryable {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    }
    response
}
