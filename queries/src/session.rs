//! `/v1/session`: signing in on the page, who is signed in, and signing out.
//!
//! A session is the token itself, in a cookie that no script can read: there is nothing that could outlive the token, and
//! nothing to keep here.

use std::sync::Arc;

use axum::{
    Form, Json,
    extract::{FromRequest as _, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
};
use flagmeter_model::{Customer, Registry};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    App, Error, Result,
    access::{self, Principal, Refusal, cookie},
    page,
    parameters::Parameters,
    problem::Problem,
};

/// The parameters of `/v1/session`.
pub(crate) const KNOWN: &[&str] = &[];
/// For how long a browser keeps a token that never expires, in seconds.
const KEPT_SECONDS_MAX: u64 = 30 * 24 * 3_600;
/// Customers of one answer at most.
const CUSTOMERS_MAX: usize = 5_000;
/// Where one goes who has signed in and wanted nothing in particular.
const FIRST_VIEW: &str = "/usage";
/// Where one is who has signed out on a plain page.
const SIGNED_OUT: &str = "/sign-in?plain=1";

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// A token, as `flagmeter token create` has shown it.
    #[schema(example = "fm_0123456789ab_…")]
    token: String,
}

/// The same from a form.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SignInForm {
    /// A token, as `flagmeter token create` has shown it.
    token: String,
    /// The view to go on to. It leads nowhere but to a view of this server.
    next: Option<String>,
}

/// Who is signed in, and what there is to see for them.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    /// What the token may read: `customer`, `billing` or `operator`.
    role: &'static str,
    /// The public part of the token: what it is revoked by.
    token_id: String,
    /// For whom or for what the token is.
    note: Option<String>,
    /// When it ends; null if never.
    #[schema(example = "2027-01-31T00:00:00Z")]
    expires_at: Option<String>,
    /// The time zone of the answers where none is asked for.
    tz: &'static str,
    /// The version of the server.
    version: &'static str,
    /// The customers of the registry that the token may read, at most 5,000; a customer sees itself.
    customers: Vec<SessionCustomer>,
    /// How many there are.
    customers_total: usize,
}

/// A customer.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionCustomer {
    id: String,
    /// What people call it.
    name: Option<String>,
    /// The zone in which it sees days and months, as the registry has it.
    tz: Option<String>,
    projects: Vec<SessionProject>,
}

/// A project of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionProject {
    id: String,
    environments: Vec<String>,
}

/// Sign in
///
/// The token goes into the cookie `flagmeter_session`, which is a token for reading like that in `Authorization`, until the token
/// expires, for 30 days at most. A form is led on to `next` (303). What comes from another site is refused.
#[utoipa::path(
    post,
    path = "/v1/session",
    tag = "session",
    request_body(content((SignIn = "application/json"), (SignInForm = "application/x-www-form-urlencoded"))),
    responses(
        (status = 204, description = "The browser has the cookie", headers(("Set-Cookie" = String, description = "HttpOnly, SameSite=Lax, and Secure where the browser speaks https"))),
        (status = 303, description = "The same for a form: on to `next`"),
        (status = 400, description = "No token is in it", content_type = "application/problem+json", body = Problem),
        (status = 401, description = "The token is not in force", content_type = "application/problem+json", body = Problem),
        (status = 403, description = "It came from another site", content_type = "application/problem+json", body = Problem),
    )
)]
pub(crate) async fn sign_in(State(app): State<Arc<App>>, request: Request) -> Result<Response> {
    access::refuse_other_sites(request.headers())?;
    let is_https = access::is_https(request.headers());
    if is_form(request.headers()) {
        let Form(SignInForm { token, next }) =
            Form::from_request(request, &()).await.map_err(|error| Error::Body(error.body_text()))?;
        let next = next.filter(|next| is_view(next)).unwrap_or_else(|| FIRST_VIEW.to_owned());
        return Ok(match enter(&app, token.trim(), is_https) {
            Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response(),
            Err(refusal) => {
                let mut response = page::sign_in_refused(&next);
                response.extensions_mut().insert(refusal);
                response
            }
        });
    }
    let Json(SignIn { token }) =
        Json::from_request(request, &()).await.map_err(|error| Error::Body(error.body_text()))?;
    let cookie = enter(&app, token.trim(), is_https).map_err(Error::Unauthenticated)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// The cookie with a token that is good.
fn enter(app: &App, token: &str, is_https: bool) -> Result<HeaderValue, Refusal> {
    let principal = app.tokens.authenticate(token)?;
    let expires_at = app.tokens.find(&principal.token_id).and_then(|token| token.expires_at);
    let left = expires_at.map_or(KEPT_SECONDS_MAX, |at| {
        u64::try_from(at.millis_since(app.clock.now()) / 1_000).unwrap_or_default().min(KEPT_SECONDS_MAX)
    });
    tracing::info!(token = principal.token_id, role = principal.role.name(), "signed in");
    cookie::holding(token, left, is_https).ok_or(Refusal::Malformed)
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Whether it is the address of a view of ours, and nothing that a browser could take for another host's.
fn is_view(next: &str) -> bool {
    let (path, _) = next.split_once(['?', '#']).unwrap_or((next, ""));
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_plain && !path.contains("//") && page::is_view(path)
}

/// Who is signed in
///
/// Whose token it is, in the cookie or in `Authorization`, and the part of the registry that it may read.
#[utoipa::path(
    get,
    path = "/v1/session",
    tag = "session",
    security(("token" = [])),
    responses(
        (status = 200, description = "Who it is", body = Session),
        crate::problem::Refusals,
    )
)]
pub(crate) async fn session(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
) -> Result<Json<Session>> {
    Parameters::read(&uri, KNOWN)?;
    let token = app.tokens.find(&principal.token_id);
    let registry = Arc::clone(&app.registry.borrow());
    let customers_total = customers(&registry, &principal).count();
    let expires_at = token.as_ref().and_then(|token| token.expires_at);
    Ok(Json(Session {
        role: principal.role.name(),
        expires_at: expires_at.map(|at| at.to_string()),
        note: token.and_then(|token| token.note),
        tz: app.zone_of(&principal).name(),
        version: env!("CARGO_PKG_VERSION"),
        customers: customers(&registry, &principal).take(CUSTOMERS_MAX).map(SessionCustomer::of).collect(),
        customers_total,
        token_id: principal.token_id,
    }))
}

/// Those that it may read.
fn customers<'a>(registry: &'a Registry, principal: &Principal) -> impl Iterator<Item = &'a Customer> {
    let own = principal.customer().cloned();
    registry.customers().iter().filter(move |customer| own.as_ref().is_none_or(|own| *own == customer.id))
}

impl SessionCustomer {
    fn of(customer: &Customer) -> Self {
        let projects = customer.projects.iter().map(|project| SessionProject {
            id: project.id.to_string(),
            environments: project
                .environments
                .iter()
                .map(|registered| registered.environment.environment.to_string())
                .collect(),
        });
        Self {
            id: customer.id.to_string(),
            name: customer.name.as_ref().map(ToString::to_string),
            tz: customer.time_zone.clone(),
            projects: projects.collect(),
        }
    }
}

/// Sign out
///
/// Takes the cookie away; the token stays in force. It asks for no token, so that one that has ended can be forgotten, too.
#[utoipa::path(
    delete,
    path = "/v1/session",
    tag = "session",
    responses(
        (status = 204, description = "The browser has no cookie any more"),
        (status = 403, description = "It came from another site", content_type = "application/problem+json", body = Problem),
    )
)]
pub(crate) async fn sign_out(headers: HeaderMap) -> Result<Response> {
    Ok((StatusCode::NO_CONTENT, forget(&headers)?).into_response())
}

/// The same for the form of a plain page.
pub(crate) async fn sign_out_by_form(headers: HeaderMap) -> Result<Response> {
    Ok((forget(&headers)?, Redirect::to(SIGNED_OUT)).into_response())
}

fn forget(headers: &HeaderMap) -> Result<HeaderMap> {
    access::refuse_other_sites(headers)?;
    let cookie = cookie::holding("", 0, access::is_https(headers));
    Ok(cookie.map(|cookie| (header::SET_COOKIE, cookie)).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_signs_in_is_led_to_views_of_ours_alone() {
        for ours in [
            "/usage",
            "/usage?from=-1h&group_by=flag#x",
            "/flags/acme/web/a%2Fb?tz=UTC",
            "/billing?plain=1&next=//evil.example",
        ] {
            assert!(is_view(ours), "{ours}");
        }
        for other in [
            "",
            "usage",
            "//evil.example",
            "//evil.example/usage",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/usage\r\nset-cookie: a=b",
            "/usagex",
            "/v1/session",
            "/embed?link=x",
            "/usage/../..//evil.example",
            "/.//evil.example",
            "/flags//evil.example/x",
            "/%2F%2Fevil.example",
            " /usage",
            "?next=/usage",
            "/usage\u{e9}",
        ] {
            assert!(!is_view(other), "{other:?}");
        }
    }
}
