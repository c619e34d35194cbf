//! What makes a row: pure.

use std::sync::Arc;

use flagmeter_model::{Environment, Timestamp};

use crate::{Counted, Position, Row};

/// The newest revision of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest {
    /// Its number.
    pub revision: u32,
    /// Its count.
    pub count: u64,
}

/// The row that what was counted makes, if it says more than the newest revision. Less, or as much, was read earlier
/// or is a repeat.
///
/// `closed` is the closed frontier before: behind it, a row is a correction.
pub fn decide(
    counted: &Counted,
    environment: &Arc<Environment>,
    latest: Option<Latest>,
    closed: Option<Timestamp>,
    (position, at): (Position, Timestamp),
) -> Option<Row> {
    let before = latest.unwrap_or(Latest { revision: 0, count: 0 });
    (counted.count > before.count).then(|| Row {
        position,
        environment: Arc::clone(environment),
        meter: counted.meter,
        hour: counted.hour,
        revision: before.revision.saturating_add(1),
        count: counted.count,
        previous: before.count,
        correction: before.revision > 0 || closed.is_some_and(|closed| counted.hour < closed),
        complete: counted.complete,
        missing: counted.missing.clone(),
        closed_at: at,
    })
}
