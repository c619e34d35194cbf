//! Who and what was ever counted.

use flagmeter_model::{Environment, Meter};

use super::InfluxStore;
use crate::{Error, Filter, Result, SeriesSeen};

/// The environments, in order.
#[expect(clippy::unused_async, reason = "not built yet")]
pub(super) async fn environments(_store: &InfluxStore) -> Result<Vec<Environment>> {
    Err(Error::Unanswerable("InfluxDB is not read yet".into()))
}

/// The series of a meter, in order.
#[expect(clippy::unused_async, reason = "not built yet")]
pub(super) async fn catalogue(
    _store: &InfluxStore,
    _meter: Meter,
    _filter: &Filter,
) -> Result<Vec<SeriesSeen>> {
    Err(Error::Unanswerable("InfluxDB is not read yet".into()))
}
