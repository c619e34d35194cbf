//! What is known of a stage, in numbers that say what they are.

use chrono_tz::Tz;
use flagmeter_model::{Tier, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::shown;

/// A number with its name, what people call it, and its unit. Null where it is not known, which is never zero.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "unit", rename_all = "snake_case")]
pub(crate) enum Figure {
    /// So many.
    Count {
        /// Stable, for programs.
        name: Name,
        /// What people call it.
        #[schema(example = "nodes live")]
        label: &'static str,
        /// How many.
        #[schema(required)]
        value: Option<u64>,
    },
    /// So many a second, over the last whole minute of which all is in.
    PerSecond {
        /// Stable, for programs.
        name: Name,
        /// What people call it.
        #[schema(example = "received per second")]
        label: &'static str,
        /// How many a second.
        #[schema(required)]
        value: Option<f64>,
    },
    /// So long.
    Seconds {
        /// Stable, for programs.
        name: Name,
        /// What people call it.
        #[schema(example = "behind")]
        label: &'static str,
        /// How many seconds.
        #[schema(required)]
        value: Option<f64>,
    },
    /// An instant.
    Time {
        /// Stable, for programs.
        name: Name,
        /// What people call it.
        #[schema(example = "everything is in until")]
        label: &'static str,
        /// RFC 3339.
        #[schema(required)]
        value: Option<String>,
    },
    /// The number of an edge node.
    Node {
        /// Stable, for programs.
        name: Name,
        /// What people call it.
        #[schema(example = "furthest behind")]
        label: &'static str,
        /// Which.
        #[schema(required)]
        value: Option<u16>,
    },
}

impl Figure {
    pub(super) fn count(name: Name, value: impl Into<Option<u64>>) -> Self {
        Self::Count { name, label: name.label(), value: value.into() }
    }

    /// A number of things in memory.
    pub(super) fn size(name: Name, value: usize) -> Self {
        Self::count(name, u64::try_from(value).unwrap_or(u64::MAX))
    }

    pub(super) const fn per_second(name: Name, value: Option<f64>) -> Self {
        Self::PerSecond { name, label: name.label(), value }
    }

    /// A length of time in milliseconds.
    pub(super) fn millis(name: Name, value: Option<i64>) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "to the millisecond for as long as there are computers"
        )]
        let value = value.map(|millis| millis as f64 / 1_000.0);
        Self::Seconds { name, label: name.label(), value }
    }

    pub(super) fn time(name: Name, zone: Tz, value: Option<Timestamp>) -> Self {
        Self::Time { name, label: name.label(), value: shown(zone, value) }
    }

    pub(super) const fn node(name: Name, value: Option<u16>) -> Self {
        Self::Node { name, label: name.label(), value }
    }
}

/// The names of figures: each stands once in an answer, whatever its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Name {
    ReceivedPerSecond,
    RejectedPerSecond,
    NodesLive,
    NodesMissing,
    NodesStopped,
    FurthestNode,
    FurthestNodeBehind,
    Partitions,
    NewestRecord,
    NewestRecordAge,
    CompleteUntil,
    CompleteBehind,
    DeadLetters,
    DeadLetterCounts,
    RawSince,
    AnsweredIn,
    MinutesUntil,
    MinutesBehind,
    QuartersUntil,
    QuartersBehind,
    HoursUntil,
    HoursBehind,
    DirtyWindows,
    DirtyFirst,
    ClosedUntil,
    ClosedBehind,
    LedgerRows,
    LiveViewers,
    LiveViewersMax,
    LiveQueries,
    LiveQueriesMax,
}

impl Name {
    /// Until when a tier is whole, and how far that is behind.
    pub(super) const fn of(tier: Tier) -> Option<(Self, Self)> {
        match tier {
            Tier::Raw => None,
            Tier::Minute => Some((Self::MinutesUntil, Self::MinutesBehind)),
            Tier::Quarter => Some((Self::QuartersUntil, Self::QuartersBehind)),
            Tier::Hour => Some((Self::HoursUntil, Self::HoursBehind)),
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::ReceivedPerSecond => "received per second",
            Self::RejectedPerSecond => "rejected per second",
            Self::NodesLive => "nodes live",
            Self::NodesMissing => "nodes missing",
            Self::NodesStopped => "nodes stopped",
            Self::FurthestNode => "furthest behind",
            Self::FurthestNodeBehind => "its watermark is behind",
            Self::Partitions => "partitions",
            Self::NewestRecord => "newest record read",
            Self::NewestRecordAge => "its age",
            Self::CompleteUntil => "everything is in until",
            Self::CompleteBehind => "behind",
            Self::DeadLetters => "dead letters",
            Self::DeadLetterCounts => "counts in them",
            Self::RawSince => "raw points since",
            Self::AnsweredIn => "answered in",
            Self::MinutesUntil => "minutes whole until",
            Self::MinutesBehind => "minutes behind",
            Self::QuartersUntil => "quarters whole until",
            Self::QuartersBehind => "quarters behind",
            Self::HoursUntil => "hours whole until",
            Self::HoursBehind => "hours behind",
            Self::DirtyWindows => "windows to roll up again",
            Self::DirtyFirst => "first of them",
            Self::ClosedUntil => "hours closed until",
            Self::ClosedBehind => "closed hours behind",
            Self::LedgerRows => "rows",
            Self::LiveViewers => "live viewers",
            Self::LiveViewersMax => "live viewers at most",
            Self::LiveQueries => "live questions",
            Self::LiveQueriesMax => "live questions at most",
        }
    }
}
