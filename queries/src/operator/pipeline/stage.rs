//! The stages as an answer shows them.

use serde::Serialize;
use utoipa::ToSchema;

use super::figure::Figure;

/// One stage of the way.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Stage {
    /// Which.
    pub(crate) id: StageId,
    /// What people call it.
    #[schema(example = "Downsampler")]
    pub(crate) title: &'static str,
    /// How it goes there.
    pub(crate) state: StageState,
    /// What is wrong, in a sentence. Null where the state is `ok`, and only there.
    #[schema(required)]
    pub(crate) says: Option<String>,
    /// What is known of it, the most telling first.
    pub(crate) figures: Vec<Figure>,
}

impl Stage {
    pub(super) fn new(id: StageId, verdict: Verdict, figures: Vec<Figure>) -> Self {
        let (state, says) = match verdict {
            Verdict::Ok => (StageState::Ok, None),
            Verdict::Late(says) => (StageState::Late, Some(says)),
            Verdict::Stuck(says) => (StageState::Stuck, Some(says)),
            Verdict::Unknown(says) => (StageState::Unknown, Some(says)),
        };
        Self { id, title: id.title(), state, says, figures }
    }
}

/// A stage, in the order of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StageId {
    /// Where SDKs send.
    Edges,
    /// What edges hand on to.
    Log,
    /// From the log into the store.
    Ingest,
    /// What is kept.
    Store,
    /// What is rolled up.
    Downsampler,
    /// What is billed.
    Ledger,
    /// What is read.
    Queries,
}

impl StageId {
    const fn title(self) -> &'static str {
        match self {
            Self::Edges => "Edges",
            Self::Log => "Log",
            Self::Ingest => "Ingest",
            Self::Store => "Store",
            Self::Downsampler => "Downsampler",
            Self::Ledger => "Ledger",
            Self::Queries => "Queries",
        }
    }
}

/// How it goes at a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StageState {
    /// As it should.
    Ok,
    /// More than half a minute behind what could be, or something waits.
    Late,
    /// More than five minutes behind what could be.
    Stuck,
    /// It cannot be told from here.
    Unknown,
}

/// How it goes at a stage, with the sentence that it needs where that is not as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    Late(String),
    Stuck(String),
    Unknown(String),
}

/// From this on something is late, and stands still: seals come each second, and cycles of the downsampler as well.
const LATE_FROM_MS: i64 = 30_000;
const STUCK_FROM_MS: i64 = 300_000;

impl Verdict {
    /// What a delay means.
    pub(super) fn of_delay(delay_ms: i64, says: impl FnOnce() -> String) -> Self {
        match delay_ms {
            STUCK_FROM_MS.. => Self::Stuck(says()),
            LATE_FROM_MS.. => Self::Late(says()),
            _ => Self::Ok,
        }
    }

    /// The worse of two, the first where both are as bad.
    pub(super) fn or_worse(self, other: Self) -> Self {
        if other.weight() > self.weight() { other } else { self }
    }

    const fn weight(&self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Unknown(_) => 1,
            Self::Late(_) => 2,
            Self::Stuck(_) => 3,
        }
    }
}
