//! A series that tells what nobody else tells: a whole waits for its parts, a flag for its environment.

use flagmeter_ledger::{AlertKind, Alerted, Subject};
use flagmeter_model::Timestamp;

use super::series::Series;

/// So long it waits for somebody else to tell what goes on.
const WAITS_SECONDS: i64 = 60;

/// A series that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) series: Series,
    /// Where what goes on is not told: since when nobody else tells of it.
    waits_since: Option<Timestamp>,
}

impl Waiting {
    pub(super) const fn new(series: Series) -> Self {
        Self { series, waits_since: None }
    }

    /// Whether what goes on, if anything does, was told.
    pub(super) const fn is_told(&self) -> bool {
        self.waits_since.is_none()
    }

    /// What is told now, where this was found; `goes_on` says whether somebody else tells of such a thing.
    pub(super) fn tell(
        &mut self,
        found: Option<Alerted>,
        end: Timestamp,
        goes_on: impl Fn(&Subject, AlertKind) -> bool,
    ) -> Option<Alerted> {
        if let Some(found) = found {
            if found.said.is_over() {
                self.waits_since = None;
                // The ledger knows whether anybody told that it began.
                return Some(found);
            }
            self.waits_since = Some(end);
        }
        let (since, kind) = (self.waits_since?, self.series.going()?);
        if goes_on(&self.series.of, kind) {
            self.waits_since = Some(end);
            return None;
        }
        if end.millis_since(since) < 1_000 * WAITS_SECONDS {
            return None;
        }
        let told = self.series.as_it_is(end)?;
        self.waits_since = None;
        Some(told)
    }
}
