//! Traffic that is out of the ordinary: what began, and what is over, each told once, for good.
//!
//! Of one series (a [`Subject`], by one meter) what began and what is over take turns. So whoever finds
//! again what goes on already, or what is over, tells nothing new: also one who watched the same traffic elsewhere and
//! says that it began ten seconds later.

use std::fmt::Write as _;

use flagmeter_model::{Meter, Name, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::{Error, Position, Result, Subject};

/// All but what is never special in an address.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What is out of the ordinary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// Much more than is expected.
    Burst,
    /// Traffic that stops.
    Drop,
}

/// What is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Said {
    /// It began.
    Began,
    /// It is over: traffic is as expected again.
    Calm,
    /// It is over: it went on until it was what is expected.
    NewLevel,
    /// It is over: nothing is known any more.
    Unknown,
}

/// What a contributor is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A project.
    Project,
    /// An environment.
    Environment,
    /// A flag, or a resource.
    Flag,
    /// An SDK.
    Sdk,
    /// An edge node, by its number.
    Node,
}

/// Something that traffic comes from, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contributor {
    /// What it is.
    pub part: Part,
    /// Its name; `None` is all that comes without one.
    pub name: Option<Name>,
    /// Its counts since it began.
    pub count: u64,
    /// Its counts in as much time just before.
    pub before: u64,
}

/// Something out of the ordinary, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerted {
    /// Whose traffic it is.
    pub of: Subject,
    /// What is counted: evaluations or requests.
    pub meter: Meter,
    /// What it is.
    pub kind: AlertKind,
    /// Whether it began or is over.
    pub said: Said,
    /// When it began.
    pub since: Timestamp,
    /// The end of the counts in which this was seen.
    pub seen_at: Timestamp,
    /// Counts of the last minute; `None` where it is not known, which is not zero.
    pub observed: Option<u64>,
    /// What is expected of a minute.
    pub expected: u64,
    /// Less than this would be out of the ordinary.
    pub low: u64,
    /// And more than this.
    pub high: u64,
    /// What was observed, in percent of what is expected; at least 1 count is taken to be expected.
    pub percent: Option<u64>,
    /// Counts beyond what is expected since it began; of a drop those that are missing.
    pub excess: u64,
    /// The highest minute so far; of a drop the lowest.
    pub peak: u64,
    /// Decided by the rule for series of which too few weeks are known.
    pub is_learning: bool,
    /// Where most of it comes from; of what is over, nothing.
    pub contributors: Vec<Contributor>,
}

/// An alert as it is kept. Never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its place among alerts: 1 is the first.
    pub number: Position,
    /// What was found.
    pub alerted: Alerted,
    /// When, by the clock of who appended it.
    pub alerted_at: Timestamp,
}

/// The last that was said of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSaid {
    /// What it was.
    pub kind: AlertKind,
    /// What was said.
    pub said: Said,
    /// Since when.
    pub since: Timestamp,
    /// When it was seen.
    pub seen_at: Timestamp,
}

/// A question for alerts, in the order in which they became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// Whose; none means all.
    pub customers: Vec<Name>,
    /// Of this kind; `None` means either.
    pub kind: Option<AlertKind>,
    /// Those alone that began and are not over.
    pub active: bool,
    /// Those after this.
    pub after: Position,
    /// At most so many, at least 1.
    pub limit: usize,
}

/// Some alerts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertPage {
    /// The alerts.
    pub alerts: Vec<Alert>,
    /// Everything up to here was looked at, also where nothing of it is meant. Ask on from here.
    pub looked_to: Position,
    /// There may be more: ask again.
    pub more: bool,
}

impl AlertKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Burst, Self::Drop];

    /// Its name, in the API and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Burst => "burst",
            Self::Drop => "drop",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Said {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Began, Self::Calm, Self::NewLevel, Self::Unknown];

    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Calm => "calm",
            Self::NewLevel => "new_level",
            Self::Unknown => "unknown",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|said| said.name() == name)
    }

    /// Whether it says that something is over.
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Began)
    }

    /// Why it is over, where it is.
    pub const fn why(self) -> Option<&'static str> {
        if self.is_over() { Some(self.name()) } else { None }
    }
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Project, Self::Environment, Self::Flag, Self::Sdk, Self::Node];

    /// Its name, in the API and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Environment => "environment",
            Self::Flag => "flag",
            Self::Sdk => "sdk",
            Self::Node => "node",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }
}

impl Alerted {
    /// Alerts that are appended in one step at most: they fit into one record.
    pub const AT_ONCE_MAX: usize = 50;
    /// Contributors of one at most.
    pub const CONTRIBUTORS_MAX: usize = 20;

    /// What tells its series from all others.
    pub const fn series(&self) -> (&Subject, Meter) {
        (&self.of, self.meter)
    }

    /// A name for it that is the same wherever and whenever it is told: letters, digits and a `_`.
    pub fn id(&self) -> String {
        let parts = [self.of.project(), self.of.environment(), self.of.flag()];
        let [project, environment, flag] = parts.map(|name| name.map_or("", Name::as_str));
        let (customer, said) = (self.of.customer(), self.said());
        let (kind, meter, since) = (self.kind.name(), self.meter, self.since);
        // No name is empty, and none holds a line feed.
        let key = format!("{customer}\n{project}\n{environment}\n{flag}\n{meter}\n{kind}\n{since}\n{said}");
        let digest = Sha256::digest(key);
        digest.iter().take(16).fold("alert_".to_owned(), |mut id, byte| {
            let _infallible = write!(id, "{byte:02x}");
            id
        })
    }

    /// `began` or `over`.
    pub const fn said(&self) -> &'static str {
        if self.said.is_over() { "over" } else { "began" }
    }

    /// Path and query of the page that shows it, with half an hour before and after.
    pub fn chart(&self) -> String {
        let (from, to) = (self.since.plus_seconds(-1_800), self.seen_at.plus_seconds(1_800));
        let (from, to) = (from.floor_to(60).to_string(), to.floor_to(60).to_string());
        let values = [
            ("customer", Some(self.of.customer().as_str())),
            ("project", self.of.project().map(Name::as_str)),
            ("environment", self.of.environment().map(Name::as_str)),
            ("meter", Some(self.meter.name())),
            ("from", Some(&*from)),
            ("to", Some(&*to)),
            ("resolution", Some("1m")),
            ("flag", self.of.flag().map(Name::as_str)),
        ];
        let values = values.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let mut chart = "/usage".to_owned();
        for (place, (name, value)) in values.enumerate() {
            let mark = if place == 0 { '?' } else { '&' };
            let _infallible = write!(chart, "{mark}{name}=");
            chart.extend(utf8_percent_encode(value, ESCAPED));
        }
        chart
    }

    /// What every alert keeps to; else a sentence that goes on after what it is.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let kept = i64::MAX.unsigned_abs();
        if !self.meter.is_usage() {
            return Err("counts what nobody watches");
        }
        if self.since > self.seen_at {
            return Err("began after it was seen");
        }
        if self.low > self.expected || self.expected > self.high {
            return Err("expects what lies beside its band");
        }
        if self.observed.is_some() != self.percent.is_some() {
            return Err("is a part of nothing");
        }
        let counts = [self.high, self.excess, self.peak].into_iter().chain(self.observed).chain(self.percent);
        let of_parts = self.contributors.iter().flat_map(|part| [part.count, part.before]);
        if counts.chain(of_parts).any(|count| count > kept) {
            return Err("counts more than can be kept");
        }
        if self.contributors.len() > Self::CONTRIBUTORS_MAX {
            return Err("has more contributors than are kept");
        }
        Ok(())
    }

    /// What is kept of it if it says something new after `last`.
    fn follows(&self, last: Option<LastSaid>) -> Option<Self> {
        match (last, self.said) {
            (None, Said::Began) => Some(self.clone()),
            (Some(last), Said::Began) => {
                (last.said.is_over() && self.since >= last.seen_at).then(|| self.clone())
            }
            // What is over is what was told to have begun, whenever the one who says so saw it begin.
            (Some(last), _)
                if !last.said.is_over() && last.kind == self.kind && self.seen_at > last.seen_at =>
            {
                Some(Self { since: last.since, ..self.clone() })
            }
            (_, _) => None,
        }
    }
}

/// The alerts that say something new, in the order given; `last` tells what was said last of the series of one. Pure.
pub fn new_alerts(
    alerted: &[Alerted],
    mut last: impl FnMut(&Alerted) -> Result<Option<LastSaid>>,
    end: Position,
    at: Timestamp,
) -> Result<Vec<Alert>> {
    if alerted.len() > Alerted::AT_ONCE_MAX {
        return Err(Error::Refused(format!(
            "{} alerts are more than the {} of one step: append them in several",
            alerted.len(),
            Alerted::AT_ONCE_MAX
        )));
    }
    let mut new: Vec<Alert> = Vec::new();
    for alerted in alerted {
        alerted
            .check()
            .map_err(|why| Error::Refused(format!("the {} of {} {why}", alerted.kind.name(), alerted.of)))?;
        let same = new.iter().rev().find(|other| other.alerted.series() == alerted.series());
        let last = match same {
            Some(Alert { alerted: Alerted { kind, said, since, seen_at, .. }, .. }) => {
                Some(LastSaid { kind: *kind, said: *said, since: *since, seen_at: *seen_at })
            }
            None => last(alerted)?,
        };
        if let Some(alerted) = alerted.follows(last) {
            let number = new.last().map_or(end, |last| last.number).next();
            new.push(Alert { number, alerted, alerted_at: at });
        }
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use flagmeter_model::Environment;

    use super::*;
    use crate::conformance::fixture::{hour, name, production, subjects};

    #[test]
    fn the_link_to_the_chart_holds_whatever_names_hold() {
        let alerted = Alerted {
            of: Subject::Flag(
                Environment { customer: name("a&b=ü"), ..production("acme") },
                name("new checkout/2"),
            ),
            meter: Meter::Evaluations,
            kind: AlertKind::Burst,
            said: Said::Began,
            since: hour(1),
            seen_at: hour(1).plus_seconds(130),
            observed: Some(500),
            expected: 100,
            low: 80,
            high: 120,
            percent: Some(500),
            excess: 800,
            peak: 500,
            is_learning: false,
            contributors: Vec::new(),
        };
        let (from, to) = (hour(1).plus_seconds(-1_800), hour(1).plus_seconds(1_920));
        let times = [from, to].map(|at| at.to_string().replace(':', "%3A"));
        assert_eq!(
            alerted.chart(),
            format!(
                "/usage?customer=a%26b%3D%C3%BC&project=web&environment=production&meter=evaluations&from={}&to={}\
                 &resolution=1m&flag=new%20checkout%2F2",
                times[0], times[1]
            )
        );
        let over = Alerted { said: Said::Calm, ..alerted.clone() };
        assert_ne!(alerted.id(), over.id());
        assert_eq!(
            over.id(),
            Alerted { said: Said::Unknown, observed: Some(3), ..over.clone() }.id(),
            "however it ended"
        );
        let of = |subject| Alerted { of: subject, ..alerted.clone() };
        let ids: std::collections::BTreeSet<_> = subjects("acme").map(|subject| of(subject).id()).into();
        assert_eq!(ids.len(), 4, "each of its own, also those of the same names");
        let [customer, project, ..] = subjects("acme").map(|subject| of(subject).chart());
        assert!(customer.starts_with("/usage?customer=acme&meter="), "{customer}");
        assert!(project.starts_with("/usage?customer=acme&project=web&meter="), "{project}");
    }
}
