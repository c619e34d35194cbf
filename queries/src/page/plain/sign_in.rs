//! Where one signs in. Who does is looked at by `POST /v1/session`.

use axum::{http::StatusCode, response::Response};
use maud::html;

use super::{layout, respond, view::View};

pub(super) const PATH: &str = "/sign-in";
/// Where to go then.
pub(super) const NEXT: &str = "next";
/// That a browser came with a token that is not in force.
pub(super) const AGAIN: &str = "again";

/// The page.
pub(super) fn page(view: &View) -> Response {
    let again =
        "The token that this browser kept is not in force any more. Sign in again to go on where you were.";
    let sentence = view.value(AGAIN).map(|_| again);
    let next = view.value(NEXT).map_or_else(|| view.address("/usage", []), str::to_owned);
    form(StatusCode::OK, &next, sentence)
}

/// The same for whoever brought no good token.
pub(in crate::page) fn refused(next: &str) -> Response {
    let sentence = "This is no token that is in force. It looks like fm_…_… and is shown once, by flagmeter token create.";
    form(StatusCode::UNAUTHORIZED, next, Some(sentence))
}

fn form(status: StatusCode, next: &str, sentence: Option<&str>) -> Response {
    let head = html! { span.brand { "flagmeter" } };
    let body = html! {
        h1 { "Sign in" }
        @if let Some(sentence) = sentence { (layout::refusal(sentence)) }
        form.sign-in method="post" action="/v1/session" {
            input type="hidden" name=(NEXT) value=(next);
            label {
                span { "Token" }
                input type="password" name="token" required autocomplete="current-password" autofocus
                    spellcheck="false" aria-describedby="about-token";
            }
            button type="submit" { "Sign in" }
        }
        p #about-token {
            "Tokens are made with " code { "flagmeter token create" } ", or by whoever runs this server for you. "
            "The browser keeps it in a cookie that no script can read, until you sign out or the token ends."
        }
    };
    respond(status, layout::page("Sign in", &head, &body), false)
}
