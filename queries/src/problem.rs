//! Errors as callers see them: `application/problem+json` (RFC 9457), one shape everywhere.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::Error;

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
/// After how many seconds a caller should ask again when the store does not answer.
pub(crate) const RETRY_AFTER_SECONDS: &str = "5";

/// Why there is no answer (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What kind of problem: stable, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:flagmeter:problem:parameter-unknown")]
    kind: String,
    /// The kind in words.
    #[schema(example = "Unknown parameter")]
    pub(crate) title: &'static str,
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    /// What is wrong this time and what to do about it.
    #[schema(example = "There is no parameter \"client\" here. Known are: from, to, customer.")]
    pub(crate) detail: String,
    /// The parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// The parameters that this address knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    known_parameters: Option<&'static [&'static str]>,
}

/// What every question to the store may be answered with instead, for the document.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers and is none")]
pub(crate) enum Refusals {
    /// An unknown or invalid parameter
    #[response(status = 400, content_type = "application/problem+json")]
    Parameter(Problem),
    /// No good token
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// The token may not read that
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// More than one answer may hold
    #[response(status = 422, content_type = "application/problem+json")]
    TooMuch(Problem),
    /// The store does not answer: ask again after `Retry-After` seconds
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// Status, the last part of the type, and title.
const fn kind(error: &Error) -> (StatusCode, &'static str, &'static str) {
    use flagmeter_ledger::Error as LedgerError;
    use flagmeter_store::Error as StoreError;
    match error {
        Error::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "unauthenticated", "A token is needed"),
        Error::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "This token may not read that"),
        Error::Link(_) => (StatusCode::UNAUTHORIZED, "link", "This link does not hold"),
        Error::OtherSite => (StatusCode::FORBIDDEN, "other-site", "This came from another site"),
        Error::Body(_) => (StatusCode::BAD_REQUEST, "body-invalid", "Invalid body"),
        Error::ParameterUnknown { .. } => (StatusCode::BAD_REQUEST, "parameter-unknown", "Unknown parameter"),
        Error::Parameter { .. } => (StatusCode::BAD_REQUEST, "parameter-invalid", "Invalid parameter"),
        Error::TooMuch(_) | Error::Store(StoreError::Unanswerable(_) | StoreError::TooMany { .. }) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "too-much", "The answer would be too large")
        }
        Error::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Nothing is served here"),
        Error::MethodNotAllowed => {
            (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This method is not served here")
        }
        Error::Timeout { .. } | Error::Store(StoreError::Unavailable(_) | StoreError::Closed) => {
            (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", "The store does not answer")
        }
        Error::Ledger(LedgerError::Unavailable(_) | LedgerError::Closed) => {
            (StatusCode::SERVICE_UNAVAILABLE, "ledger-unavailable", "The ledger does not answer")
        }
        Error::NoLedger => (StatusCode::NOT_FOUND, "no-ledger", "No ledger is kept here"),
        Error::LedgerBehind { .. } => {
            (StatusCode::CONFLICT, "ledger-behind", "The ledger holds less than that")
        }
        Error::MuteRefused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "mute-refused", "This mute cannot be"),
        Error::MuteUnknown(_) => (StatusCode::NOT_FOUND, "mute-unknown", "There is no such mute"),
        Error::KeyReused(_) => (StatusCode::CONFLICT, "key-reused", "This key stands for another mute"),
        Error::NotFinal(_) => (StatusCode::CONFLICT, "not-final", "Not all of these hours are final"),
        Error::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many queries at once"),
        Error::OwnStreams { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, "too-many-streams", "Too many live streams of one owner")
        }
        Error::Streams { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many live streams at once"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "The query failed"),
    }
}

impl Problem {
    /// What is wrong this time, in words.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// What an error is to the caller, with its status.
    pub(crate) fn of(error: &Error) -> (StatusCode, Self) {
        let (status, kind, title) = kind(error);
        let detail = match error {
            // What is wrong inside concerns those who read the log.
            _ if status == StatusCode::INTERNAL_SERVER_ERROR => {
                "The reason stands in the log of the server.".into()
            }
            // Names files and the like.
            Error::Store(store) if status == StatusCode::SERVICE_UNAVAILABLE => {
                tracing::warn!(error = %store, "a query got no answer from the store");
                "The store does not answer. That says nothing about the counts: ask again.".into()
            }
            Error::Ledger(ledger) if status == StatusCode::SERVICE_UNAVAILABLE => {
                tracing::warn!(error = %ledger, "a query got no answer from the ledger");
                "The ledger does not answer. That says nothing about the bills: ask again.".into()
            }
            error => error.to_string(),
        };
        let (parameter, known_parameters) = match error {
            Error::ParameterUnknown { name, known } => (Some(name.clone()), Some(*known)),
            Error::Parameter { name, .. } | Error::LedgerBehind { name } => (Some((*name).to_owned()), None),
            _ => (None, None),
        };
        let kind = format!("urn:flagmeter:problem:{kind}");
        (status, Self { kind, title, status: status.as_u16(), detail, parameter, known_parameters })
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, problem) = Problem::of(&self);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self, "a query failed");
        }
        // A problem is text and numbers: it always encodes.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"flagmeter\""));
        }
        if self.is_retryable() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        if let Self::Unauthenticated(refusal) | Self::Link(refusal) = self {
            // To be counted, on whatever route it was.
            response.extensions_mut().insert(refusal);
        }
        response
    }
}
