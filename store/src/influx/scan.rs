//! Windows as they are kept.

use super::InfluxStore;
use crate::{Error, Result, Scan, ScanRow};

/// Every window of a tier.
#[expect(clippy::unused_async, reason = "not built yet")]
pub(super) async fn scan(_store: &InfluxStore, _scan: &Scan) -> Result<Vec<ScanRow>> {
    Err(Error::Unanswerable("InfluxDB is not read yet".into()))
}
