//! Windows from the finer tier.

use super::InfluxStore;
use crate::{Error, Result, Rolled, Rolling};

/// Rolls windows up.
#[expect(clippy::unused_async, reason = "not built yet")]
pub(super) async fn roll(_store: &InfluxStore, _rolling: &Rolling) -> Result<Rolled> {
    Err(Error::Unanswerable("InfluxDB is not read yet".into()))
}
