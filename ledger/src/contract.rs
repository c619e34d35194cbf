//! What every ledger promises.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use flagmeter_model::{Environment, Meter, Name, NodeId, TimeRange, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    Alert, AlertPage, Alerted, Alerts, Crossed, Crossing, CrossingPage, Crossings, EpisodePage, Episodes,
    Mute, MuteId, MutePage, Mutes, Muting, Notice, Result,
};

/// The place of a row in the feed: 1 is the first; 0 stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// Before the first row.
    pub const START: Self = Self(0);
    /// Behind every row.
    pub const MAX: Self = Self(i64::MAX.unsigned_abs());

    /// The `number`th row; numbers beyond [`MAX`](Self::MAX) are that.
    pub const fn new(number: u64) -> Self {
        if number > Self::MAX.0 { Self::MAX } else { Self(number) }
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an hour of an environment came to, as it was read from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Whose.
    pub environment: Environment,
    /// What was counted: evaluations or requests.
    pub meter: Meter,
    /// Start of the hour.
    pub hour: Timestamp,
    /// How many, with all that is known of the hour.
    pub count: u64,
    /// Every node that was there has handed on all that it received, and at each instant one was there.
    pub complete: bool,
    /// The nodes that were silent, in order. None, and not complete: nobody was there for a while.
    pub missing: Vec<NodeId>,
}

/// What is appended in one step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Append {
    /// Hours, each behind the announced frontier and in this list once at most.
    pub counted: Vec<Counted>,
    /// With these, every hour that ends at or before this is closed: those that are in no row counted nothing.
    pub closed: Option<Timestamp>,
    /// When this was found, by the clock of who appends.
    pub at: Timestamp,
}

/// What became of an [`Append`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Appended {
    /// Rows of hours that had none, made when their hour was closed.
    pub closings: u64,
    /// Rows of hours that were closed before.
    pub corrections: u64,
    /// The last row of the ledger, as far as this append knows.
    pub end: Position,
}

/// A revision of an hour. Never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its place in the feed.
    pub position: Position,
    /// Whose.
    pub environment: Arc<Environment>,
    /// What was counted.
    pub meter: Meter,
    /// Start of the hour.
    pub hour: Timestamp,
    /// 1 is the first. A consumer keeps the greatest.
    pub revision: u32,
    /// What the hour comes to from this revision on.
    pub count: u64,
    /// What it came to before: the count of the revision before, 0 for the first.
    pub previous: u64,
    /// The hour was closed when this was found: it corrects what was said before. So may a first revision, of an hour
    /// that was closed without a count.
    pub correction: bool,
    /// Whether all was in when this was found, see [`Counted::complete`].
    pub complete: bool,
    /// The nodes that were silent.
    pub missing: Vec<NodeId>,
    /// When this was found.
    pub closed_at: Timestamp,
}

impl Row {
    /// What this revision adds: at least 1.
    pub const fn difference(&self) -> u64 {
        self.count.saturating_sub(self.previous)
    }

    /// What tells it from all others, in the order of bills.
    pub fn key(&self) -> RowKey {
        RowKey {
            environment: Environment::clone(&self.environment),
            hour: self.hour,
            meter: self.meter,
            revision: self.revision,
        }
    }
}

/// What tells a row from all others; the order of bills: an environment after the other, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// Whose.
    pub environment: Environment,
    /// Start of the hour.
    pub hour: Timestamp,
    /// What was counted.
    pub meter: Meter,
    /// Which revision.
    pub revision: u32,
}

/// Where a ledger stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Hours that end at or before this may have been closed: a change to one of them must be appended. `None` before
    /// the first.
    pub announced: Option<Timestamp>,
    /// All hours that end at or before this are closed. `None` before the first.
    pub closed: Option<Timestamp>,
    /// The last row.
    pub end: Position,
}

/// A frontier that has moved: hours up to `until` were closed by rows up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// End of the last hour.
    pub until: Timestamp,
    /// When, by the clock of who closed.
    pub at: Timestamp,
    /// The last row that belongs to it.
    pub end: Position,
}

/// Whose rows are meant. An empty list means all; several values mean any of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Customers.
    pub customers: Vec<Name>,
    /// Projects.
    pub projects: Vec<Name>,
    /// Environments.
    pub environments: Vec<Name>,
}

impl Scope {
    /// Whether an environment is meant.
    pub fn takes(&self, environment: &Environment) -> bool {
        let meant = |list: &[Name], name: &Name| list.is_empty() || list.contains(name);
        meant(&self.customers, &environment.customer)
            && meant(&self.projects, &environment.project)
            && meant(&self.environments, &environment.environment)
    }
}

/// A question for rows in the order in which they became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Whose.
    pub scope: Scope,
    /// Those after this.
    pub after: Position,
    /// Those up to this.
    pub until: Position,
    /// At most so many, at least 1.
    pub limit: usize,
}

/// A question for rows in the order of bills ([`RowKey`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// Whose.
    pub scope: Scope,
    /// Of which meters; none means all.
    pub meters: Vec<Meter>,
    /// Hours that begin in this range.
    pub range: TimeRange,
    /// As the ledger stood when this was its last row: the same question then has the same answer for ever.
    pub as_of: Position,
    /// Those after this key.
    pub after: Option<RowKey>,
    /// At most so many, at least 1.
    pub limit: usize,
}

/// Some rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Of a feed: everything up to here was looked at, also where nothing of it is meant. Ask on from here.
    pub looked_to: Position,
    /// There may be more: ask again.
    pub more: bool,
}

/// A ledger. Every call is safe to repeat, and safe to be cut off.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    // The downsampler.

    /// Where it stands, with every announcement and append of anyone that returned before this was called.
    async fn standing(&self) -> Result<Standing>;

    /// Moves the announced frontier; never back. It comes before the counts are read that are going to be appended:
    /// either they hold a late count, or who stored the late count finds the announcement ([`standing`](Self::standing)
    /// after the store took it) and appends the hour itself.
    async fn announce(&self, until: Timestamp) -> Result<()>;

    /// Appends what is more than the newest revision says, as [`decide`](crate::decide()) has it; then moves the closed frontier, never back.
    /// All of it, or nothing. Fails with [`NotAnnounced`](crate::Error::NotAnnounced) where an hour lies beyond the
    /// announced frontier, and nothing is appended then.
    async fn append(&self, append: Append) -> Result<Appended>;

    /// Appends the crossings that are not there yet, as [`first_crossings`](crate::first_crossings) has it: all of them,
    /// or nothing. Tells which these were.
    async fn cross(&self, crossed: Vec<Crossed>, at: Timestamp) -> Result<Vec<Crossing>>;

    /// Appends the alerts that say something new of their series, as [`new_alerts`](crate::new_alerts) has it: all of
    /// them, or nothing. Tells which these were.
    async fn alert(&self, alerted: Vec<Alerted>, at: Timestamp) -> Result<Vec<Alert>>;

    /// The last alert of each series that began and is not over, or was seen after `since`, with every one of anyone that
    /// returned from [`alert`](Self::alert) before this was called. Without its contributors.
    async fn standing_alerts(&self, since: Timestamp) -> Result<Vec<Alert>>;

    /// The last alert of each series that goes on and is muted, as far as this process knows. Without its contributors.
    async fn muted_alerts(&self) -> Result<Vec<Alert>>;

    /// Up to which crossing or alert all were delivered to who is told of them, as anyone said that returned from
    /// [`deliver`](Self::deliver) before this was called.
    async fn delivered(&self, of: Notice) -> Result<Position>;

    /// Keeps up to which one, that is there, all were delivered. Never less than before.
    async fn deliver(&self, of: Notice, until: Position) -> Result<()>;

    // Operators.

    /// Appends a mute, and tells how it is kept: the one that is there already, where one has its id. Fails with
    /// [`Refused`](crate::Error::Refused) and a sentence where it cannot be.
    async fn mute(&self, muting: Muting, at: Timestamp) -> Result<Mute>;

    /// Ends a mute that is not over, and tells how it is kept then; `None` where there is none. The first end stands.
    async fn end_mute(&self, id: MuteId, by: String, at: Timestamp) -> Result<Option<Mute>>;

    // Queries: they see what this process has learnt of.

    /// The last row that this process knows, and whenever it knows more.
    fn end(&self) -> watch::Receiver<Position>;

    /// The last closing that belongs to a ledger which ends with `as_of`; `None` before the first.
    async fn closing(&self, as_of: Position) -> Result<Option<Closing>>;

    /// Rows in the order of the feed.
    async fn feed(&self, feed: Feed) -> Result<Page>;

    /// Rows in the order of bills.
    async fn hours(&self, hours: Hours) -> Result<Page>;

    /// The first position as of which every hour of the range is closed and `hours`, on all of its pages, has the rows
    /// that it has as of `as_of`; `None` where an hour is not closed by then. Whatever else the ledger comes to hold, this
    /// stays until one of these hours is corrected.
    async fn settled(&self, hours: Hours) -> Result<Option<Position>>;

    /// The last crossing that this process knows, and whenever it knows more.
    fn crossed_end(&self) -> watch::Receiver<Position>;

    /// Crossings in the order in which they became known.
    async fn crossings(&self, crossings: Crossings) -> Result<CrossingPage>;

    /// The last alert that this process knows, and whenever it knows more.
    fn alerts_end(&self) -> watch::Receiver<Position>;

    /// Alerts in the order in which they became known.
    async fn alerts(&self, alerts: Alerts) -> Result<AlertPage>;

    /// Mutes, those that are over last first.
    async fn mutes(&self, mutes: Mutes) -> Result<MutePage>;

    /// What goes on at any time of a range, each with its end if it is over.
    async fn episodes(&self, episodes: Episodes) -> Result<EpisodePage>;
}
