//! What all plain pages have around what they show.

use axum::{http::StatusCode, response::Response};
use maud::{DOCTYPE, Markup, html};

use super::{respond, view::View};
use crate::{
    Error, access::Principal, access::Role, billing, flags, operator::nodes, problem::Problem, usage,
};

/// What a page shows.
pub(super) struct Shown {
    view: View,
    status: StatusCode,
    title: String,
    body: Markup,
    is_retryable: bool,
}

/// A way to another view.
struct Way {
    path: &'static str,
    name: &'static str,
    /// What it takes of this one.
    knows: &'static [&'static str],
}

const WAYS: &[Way] = &[
    Way { path: "/usage", name: "Usage", knows: usage::plan::KNOWN },
    Way { path: "/flags", name: "Flags", knows: flags::KNOWN },
    Way { path: "/billing", name: "Billing", knows: billing::to_date::KNOWN },
];
const OPERATORS: Way = Way { path: "/operators", name: "Operators", knows: nodes::KNOWN };

impl Shown {
    /// What was asked for: a form, and the answer or why there is none.
    pub(super) fn new(
        view: &View,
        title: impl Into<String>,
        form: &Markup,
        answer: Result<Markup, Error>,
    ) -> Self {
        let (status, body, is_retryable) = match answer {
            Ok(answer) => (StatusCode::OK, html! { (form) (answer) }, false),
            Err(error) => {
                let (status, words) = words(&error);
                (status, html! { (words) (form) }, error.is_retryable())
            }
        };
        Self { view: view.clone(), status, title: title.into(), body, is_retryable }
    }

    /// Nothing but why not.
    pub(super) fn refused(view: &View, title: &str, error: &Error) -> Self {
        let (status, body) = words(error);
        let is_retryable = error.is_retryable();
        Self { view: view.clone(), status, title: title.to_owned(), body, is_retryable }
    }

    /// The page of whoever is signed in.
    pub(super) fn respond(self, principal: &Principal) -> Response {
        let Self { view, status, title, body, is_retryable } = self;
        let page = page(&title, &head(&view, principal), &html! { h1 { (title) } (body) });
        respond(status, page, is_retryable)
    }
}

/// A whole page.
pub(super) fn page(title: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · flagmeter" }
                link rel="stylesheet" href="/plain.css";
                link rel="icon" type="image/svg+xml" href="/icon.svg";
            }
            body {
                a.skip href="#main" { "To the content" }
                header { (head) }
                main #main { (body) }
            }
        }
    }
}

fn head(view: &View, principal: &Principal) -> Markup {
    let operators = (principal.role == Role::Operator).then_some(&OPERATORS);
    let is_here = |way: &Way| {
        view.path().strip_prefix(way.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let who = principal.customer().map_or_else(|| principal.role.name().to_owned(), ToString::to_string);
    html! {
        a.brand href=(view.other("/usage", &[])) { "flagmeter" }
        nav aria-label="Views" {
            ul {
                @for way in WAYS.iter().chain(operators) {
                    li {
                        a href=(view.other(way.path, way.knows)) aria-current=[is_here(way).then_some("page")] {
                            (way.name)
                        }
                    }
                }
            }
        }
        form.who method="post" action="/sign-out" {
            span { "Signed in: " bdi { (who) } }
            button type="submit" { "Sign out" }
        }
        @if view.is_asked_plain() {
            a.script href=(view.with_script()) { "The live page" }
        }
    }
}

/// What the API says of an error, with its status.
fn words(error: &Error) -> (StatusCode, Markup) {
    let (status, problem) = Problem::of(error);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(error = %error, "a page failed");
    }
    let words = html! {
        section.problem role="alert" {
            h2 { (problem.title) }
            p { (problem.detail) }
        }
    };
    (status, words)
}

/// Why a part of a page is not there.
pub(super) fn why(error: &Error) -> Markup {
    words(error).1
}

/// Words that something is wrong with what was entered.
pub(super) fn refusal(sentence: &str) -> Markup {
    html! { section.problem role="alert" { p { (sentence) } } }
}
