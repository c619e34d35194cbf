//! Answers.

use super::InfluxStore;
use crate::{Answer, Error, Read, Result};

/// Answers a question.
#[expect(clippy::unused_async, reason = "not built yet")]
pub(super) async fn read(_store: &InfluxStore, _read: &Read) -> Result<Answer> {
    Err(Error::Unanswerable("InfluxDB is not read yet".into()))
}
