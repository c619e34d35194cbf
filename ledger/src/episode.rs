//! What began, and with it that it is over: how a chart asks for alerts.

use flagmeter_model::{Meter, Name, TimeRange, Timestamp};

use crate::{Alert, Alerted, Scope};

/// A question for what goes on at any time of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episodes {
    /// Whose. An alert of all of a customer is in no list of projects.
    pub scope: Scope,
    /// Of these flags; none means all, and those of more than a flag as well.
    pub flags: Vec<Name>,
    /// Of this meter; `None` means either.
    pub meter: Option<Meter>,
    /// Those that began before its end, and are not over before it begins.
    pub range: TimeRange,
    /// At most so many, at least 1: those that began last.
    pub limit: usize,
}

/// A burst or a drop, from its beginning on. Both alerts without their contributors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// That it began.
    pub began: Alert,
    /// That it is over; `None` while it goes on.
    pub over: Option<Alert>,
}

/// Some episodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EpisodePage {
    /// In the order in which they began.
    pub episodes: Vec<Episode>,
    /// There may be more, which began before these.
    pub more: bool,
}

impl Episodes {
    /// Whether what an alert is of is meant.
    pub fn takes(&self, alerted: &Alerted) -> bool {
        let meant = |list: &[Name], name: Option<&Name>| {
            list.is_empty() || name.is_some_and(|name| list.contains(name))
        };
        let Scope { customers, projects, environments } = &self.scope;
        meant(customers, Some(alerted.of.customer()))
            && meant(projects, alerted.of.project())
            && meant(environments, alerted.of.environment())
            && meant(&self.flags, alerted.of.flag())
            && self.meter.is_none_or(|meter| meter == alerted.meter)
    }
}

impl Episode {
    /// The last that was said of it.
    pub fn last(&self) -> &Alerted {
        &self.over.as_ref().unwrap_or(&self.began).alerted
    }

    /// The end of the counts in which it was seen to be over; `None` while it goes on.
    pub fn until(&self) -> Option<Timestamp> {
        self.over.as_ref().map(|over| over.alerted.seen_at)
    }

    /// Its highest minute so far, of a drop its lowest, in percent of what was expected when it began; at least 1 count is
    /// taken to be expected.
    pub fn percent(&self) -> u64 {
        self.last().peak.saturating_mul(100) / self.began.alerted.expected.max(1)
    }
}
