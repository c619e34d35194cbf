//! Room for answers: what is shaped, encoded and waits for slow readers is bounded, too.

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use crate::{Error, Result};

/// The room that one answer takes, until it is sent or dropped.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) _rows: OwnedSemaphorePermit,
    /// A customer's answers count among its questions until they are sent, so that its slow readers take the room of
    /// no other customer.
    pub(crate) _share: Option<OwnedSemaphorePermit>,
}

/// A body in its room. The connection may keep its bytes longer than it keeps the body.
struct Held {
    bytes: Vec<u8>,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Room {
    /// The answer as JSON, in this room.
    pub(crate) fn json(self, answer: &impl Serialize) -> Result<Response> {
        let bytes = serde_json::to_vec(answer).map_err(|error| Error::Encoding(error.to_string()))?;
        Ok(([(header::CONTENT_TYPE, "application/json")], self.body(bytes)).into_response())
    }

    /// A body in this room.
    pub(crate) fn body(self, bytes: Vec<u8>) -> Body {
        Body::from(Bytes::from_owner(Held { bytes, _room: self }))
    }
}
