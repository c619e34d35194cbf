//! What every answer says about itself: what is known of each bucket, and until when everything is in.

use chrono_tz::Tz;
use flagmeter_model::{MissingNode, Timestamp};
use flagmeter_store::RowState;
use serde::Serialize;
use utoipa::ToSchema;

use crate::civil;

/// What is known of a bucket, or of several together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Known {
    /// All is in: the count is final, but for late counts.
    Complete,
    /// Still filling.
    Open,
    /// What is counted is known, but not whether it is all: a node is missing.
    Partial,
    /// Nothing is known. The count is null: never read it as zero.
    Unknown,
}

impl From<RowState> for Known {
    fn from(state: RowState) -> Self {
        match state {
            RowState::Complete => Self::Complete,
            RowState::Open => Self::Open,
            RowState::Partial => Self::Partial,
            RowState::Unknown => Self::Unknown,
        }
    }
}

impl Known {
    /// What is known of several buckets together: of a whole only as much as of its parts. Buckets that lie
    /// beyond `complete_until` are still to come, and leave the whole open rather than partial.
    pub(crate) fn of_all(
        edges: &[Timestamp],
        states: &[RowState],
        complete_until: Option<Timestamp>,
    ) -> Self {
        let is_to_come = |start: &Timestamp| complete_until.is_some_and(|until| until <= *start);
        edges
            .iter()
            .zip(states)
            .map(|(start, state)| match state {
                RowState::Unknown if is_to_come(start) => Self::Open,
                state => Self::from(*state),
            })
            .reduce(|sum, next| match (sum, next) {
                (same, next) if same == next => same,
                (Self::Complete | Self::Open, Self::Complete | Self::Open) => Self::Open,
                _ => Self::Partial,
            })
            .unwrap_or(Self::Unknown)
    }

    /// Whether all that came so far is counted, so that a growth against another such range means something.
    pub(crate) const fn is_comparable(self) -> bool {
        matches!(self, Self::Complete | Self::Open)
    }

    /// Its name in the API.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Open => "open",
            Self::Partial => "partial",
            Self::Unknown => "unknown",
        }
    }

    /// The count of a bucket in this state: none where nothing is known.
    pub(crate) const fn count(self, count: u64) -> Option<u64> {
        match self {
            Self::Unknown => None,
            _ => Some(count),
        }
    }
}

/// The sum of the buckets of which something is known; `None` if there is none.
pub(crate) fn total(counts: impl IntoIterator<Item = (RowState, u64)>) -> Option<u64> {
    counts
        .into_iter()
        .filter_map(|(state, count)| Known::from(state).count(count))
        .reduce(u64::saturating_add)
}

/// Growth as a share of what was before, to four places.
pub(crate) fn growth(now: u64, before: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a trend needs no more than 15 digits")]
    let growth = (before > 0).then(|| (now as f64 - before as f64) / before as f64)?;
    Some((growth * 10_000.0).round() / 10_000.0)
}

/// A node that has fallen silent without saying good-bye.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Missing {
    /// Its number.
    #[schema(example = 3)]
    pub(crate) node: u16,
    /// Where it stood, as it said itself. Null if it did not say.
    #[schema(required, example = "eu-west")]
    pub(crate) region: Option<String>,
    /// What it received from here on is not known.
    #[schema(example = "2026-11-20T12:44:54Z")]
    pub(crate) since: String,
}

impl Missing {
    /// The missing nodes as an answer shows them.
    pub(crate) fn list(missing: &[MissingNode], zone: Tz) -> Vec<Self> {
        missing
            .iter()
            .map(|missing| Self {
                node: missing.node.get(),
                region: missing.region.as_deref().map(str::to_owned),
                since: civil::rfc3339(zone, missing.since),
            })
            .collect()
    }
}

/// An instant as an answer shows it.
pub(crate) fn shown(zone: Tz, at: Option<Timestamp>) -> Option<String> {
    at.map(|at| civil::rfc3339(zone, at))
}

#[cfg(test)]
mod tests {
    use RowState::{Complete, Open, Partial, Unknown};

    use super::*;

    #[test]
    fn a_whole_is_known_only_as_far_as_its_parts() {
        let edges: Vec<_> = (0..9).map(|at| Timestamp::from_seconds_clamped(at * 10)).collect();
        for (states, complete_until, known) in [
            (vec![Complete, Complete], 80, Known::Complete),
            (vec![Complete, Open], 15, Known::Open),
            (vec![Complete, Unknown], 80, Known::Partial),
            (vec![Complete, Open, Unknown], 15, Known::Open),
            (vec![Unknown, Open, Open], 15, Known::Partial),
            (vec![Partial, Complete], 80, Known::Partial),
            (vec![Unknown, Unknown], 80, Known::Unknown),
            (vec![], 80, Known::Unknown),
        ] {
            let until = Some(Timestamp::from_seconds_clamped(complete_until));
            assert_eq!(Known::of_all(&edges, &states, until), known, "{states:?}");
        }
        assert_eq!(Known::of_all(&edges, &[Unknown, Unknown], None), Known::Unknown);
    }

    #[test]
    fn what_is_unknown_is_not_zero() {
        assert_eq!(total([(Unknown, 0), (Unknown, 0)]), None);
        assert_eq!(total([(Unknown, 0), (Complete, 0)]), Some(0));
        assert_eq!(total([(Partial, 2), (Complete, 3), (Unknown, 0), (Open, 4)]), Some(9));
        assert_eq!(total([(Complete, u64::MAX), (Complete, 1)]), Some(u64::MAX));
    }

    #[test]
    fn growth_is_relative_to_what_was_before() {
        assert_eq!(growth(125, 100), Some(0.25));
        assert_eq!(growth(0, 100), Some(-1.0));
        assert_eq!(growth(1, 3), Some(-0.6667));
        assert_eq!(growth(5, 0), None);
    }
}
