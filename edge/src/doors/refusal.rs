//! Why a whole request is refused, and what its sender is told.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use flagmeter_model::Error as ModelError;

use crate::{committer::REQUEST_RECEIVED_MAX, inbox::Turned, wire::Unreadable};

/// Why nothing of a request is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another method than `POST`.
    Method,
    /// No key.
    NoKey { wanted: &'static str },
    /// A key, but in a header that this door does not read.
    WrongHeader { found: &'static str, wanted: &'static str },
    /// A key that nobody has.
    UnknownKey,
    /// A body larger than the limit as it was sent.
    TooLarge { bytes_max: usize },
    /// A body larger than the limit when decompressed.
    Inflates { bytes_max: usize },
    /// A `Content-Encoding` that is not spoken here.
    Encoding,
    /// A compressed body that ends early or is damaged.
    Damaged(String),
    /// More counts than one request may bring for an environment.
    TooMuch,
    /// A body that did not arrive in time.
    Slow,
    /// A body that broke off.
    BrokenOff,
    /// A body that is not of the door's format.
    Unreadable(Unreadable),
    /// Not the sender's fault.
    Turned(Turned),
}

impl From<Unreadable> for Refusal {
    fn from(why: Unreadable) -> Self {
        Self::Unreadable(why)
    }
}

impl From<Turned> for Refusal {
    fn from(why: Turned) -> Self {
        Self::Turned(why)
    }
}

impl Refusal {
    /// Whether nothing became of the request yet, because it will come again.
    pub(super) const fn is_retryable(&self) -> bool {
        matches!(self, Self::Slow | Self::Turned(_))
    }

    /// What is wrong with a body that did not decompress.
    pub(super) fn of_body(error: &ModelError) -> Self {
        match error {
            ModelError::TooLarge { bytes_max } => Self::Inflates { bytes_max: *bytes_max },
            other => Self::Damaged(other.to_string()),
        }
    }

    /// The word that series, metrics and problem bodies show.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Method => "method_not_allowed",
            Self::NoKey { .. } => "no_key",
            Self::WrongHeader { .. } => "wrong_header",
            Self::UnknownKey => "unknown_key",
            Self::TooLarge { .. } => "body_too_large",
            Self::Inflates { .. } => "body_inflates",
            Self::Encoding => "content_encoding_unknown",
            Self::Damaged(_) => "body_damaged",
            Self::TooMuch => "counts_too_large",
            Self::Slow => "body_slow",
            Self::BrokenOff => "body_broken_off",
            Self::Unreadable(why) => why.reason(),
            Self::Turned(Turned::Full) => "journal_full",
            Self::Turned(Turned::EnvironmentFull) => "environment_full",
            Self::Turned(Turned::CustomerFull) => "customer_full",
            Self::Turned(Turned::BodiesFull) => "bodies_full",
            Self::Turned(Turned::DiskFailed) => "disk_failed",
            Self::Turned(Turned::Closing) => "closing",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoKey { .. } | Self::WrongHeader { .. } | Self::UnknownKey => StatusCode::UNAUTHORIZED,
            Self::TooLarge { .. } | Self::Inflates { .. } | Self::TooMuch => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Damaged(_) | Self::BrokenOff | Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::Turned(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Method => "this address takes counts; send them with POST".into(),
            Self::NoKey { wanted } => format!("no environment key; send it in the header `{wanted}`"),
            Self::WrongHeader { found, wanted } => {
                format!("the key came in the header {found}; send it in the header `{wanted}`")
            }
            Self::UnknownKey => "this environment key is not known; check that it was not revoked".into(),
            Self::TooLarge { bytes_max } => {
                format!("the body is larger than {bytes_max} bytes; send it in several requests")
            }
            Self::Inflates { bytes_max } => {
                format!(
                    "the body is larger than {bytes_max} bytes when decompressed; send it in several requests"
                )
            }
            Self::Encoding => "this Content-Encoding is not spoken here; send gzip, zstd or identity".into(),
            Self::Damaged(what) => format!("{what}; send the body again"),
            Self::TooMuch => {
                format!(
                    "the counts add up to more than {REQUEST_RECEIVED_MAX}; send them in several requests"
                )
            }
            Self::Slow => "the body took too long to arrive; send it again".into(),
            Self::BrokenOff => "the body broke off; send it again".into(),
            Self::Unreadable(why) => why.to_string(),
            Self::Turned(Turned::Full) => "too much waits to be handed on; send it again later".into(),
            Self::Turned(Turned::EnvironmentFull) => {
                "too much of this environment waits to be handed on; send it again later".into()
            }
            Self::Turned(Turned::CustomerFull) => {
                "this customer has its share of what may wait here; send it again later".into()
            }
            Self::Turned(Turned::BodiesFull) => {
                "too many large bodies arrive at once; send it again later".into()
            }
            Self::Turned(Turned::DiskFailed) => "the disk does not take it; send it again later".into(),
            Self::Turned(Turned::Closing) => "this node is stopping; send it again".into(),
        }
    }

    /// Seconds after which it is worth trying again.
    const fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::Turned(
                Turned::Closing | Turned::BodiesFull | Turned::EnvironmentFull | Turned::CustomerFull,
            ) => Some("1"),
            Self::Turned(Turned::Full) => Some("2"),
            Self::Turned(Turned::DiskFailed) => Some("5"),
            _ => None,
        }
    }

    /// The answer: `application/problem+json`, as everywhere.
    pub(super) fn response(&self) -> Response<Body> {
        let status = self.status();
        let problem = serde_json::json!({
            "type": format!("urn:flagmeter:problem:{}", self.word().replace('_', "-")),
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": self.sentence(),
            "reason": self.word(),
        });
        let mut response = Response::new(Body::from(problem.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}
