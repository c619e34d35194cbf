//! The parts of a record, strict: each value has one text, and another one is refused.

use std::{borrow::Cow, sync::Arc};

use flagmeter_model::{Environment, Meter, Name, NodeId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    Alert, AlertKind, Alerted, Closing, Contributor, Crossed, Crossing, Part, Position, Row, Said, Subject,
};

/// A time in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant(pub(super) Timestamp);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let at = Timestamp::parse_rfc3339(&text).map_err(de::Error::custom)?;
        if at.to_string() == *text { Ok(Self(at)) } else { Err(de::Error::custom(NOT_AS_WRITTEN)) }
    }
}

/// A number as a decimal string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(u64);

impl Number {
    /// That of a place.
    pub(super) const fn of(position: Position) -> Self {
        Self(position.get())
    }

    /// The place.
    pub(super) fn position(self) -> Result<Position, String> {
        let position = Position::new(self.0);
        if position.get() == self.0 { Ok(position) } else { Err(format!("{} is no place", self.0)) }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let number: u64 = text.parse().map_err(de::Error::custom)?;
        if number.to_string() == *text { Ok(Self(number)) } else { Err(de::Error::custom(NOT_AS_WRITTEN)) }
    }
}

/// Said of `+7` and `2026-01-01T00:00:00+00:00`.
const NOT_AS_WRITTEN: &str = "a value that flagmeter writes in another way";

/// The end of an entry, where the closed frontier moves.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireClosing {
    until: Instant,
    at: Instant,
    end: Number,
}

impl WireClosing {
    pub(super) const fn of(closing: Closing) -> Self {
        let Closing { until, at, end } = closing;
        Self { until: Instant(until), at: Instant(at), end: Number(end.get()) }
    }

    pub(super) const fn closing(self) -> Closing {
        Closing { until: self.until.0, at: self.at.0, end: Position::new(self.end.0) }
    }
}

/// A crossing.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireCrossing {
    number: Number,
    customer: Name,
    meter: Meter,
    period: Instant,
    percent: u16,
    hard: bool,
    included: Number,
    used: Number,
    crossed_at: Instant,
}

impl WireCrossing {
    pub(super) fn of(crossing: &Crossing) -> Self {
        let Crossed { customer, meter, period, percent, hard, included, used } = crossing.crossed.clone();
        Self {
            number: Number(crossing.number.get()),
            customer,
            meter,
            period: Instant(period),
            percent,
            hard,
            included: Number(included),
            used: Number(used),
            crossed_at: Instant(crossing.crossed_at),
        }
    }

    /// The crossing.
    pub(super) fn crossing(self) -> Result<Crossing, String> {
        let Self { customer, meter, percent, hard, .. } = self;
        let (period, included, used) = (self.period.0, self.included.0, self.used.0);
        let number = self.number.position()?;
        let crossed = Crossed { customer, meter, period, percent, hard, included, used };
        Ok(Crossing { number, crossed, crossed_at: self.crossed_at.0 })
    }
}

/// What is one of a few words.
macro_rules! words {
    ($($Wire:ident of $Word:ty;)+) => {$(
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $Wire($Word);

        impl Serialize for $Wire {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.name())
            }
        }

        impl<'de> Deserialize<'de> for $Wire {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                let word = <$Word>::from_name(&text);
                word.map(Self).ok_or_else(|| de::Error::custom(format!("an unknown word: {text}")))
            }
        }
    )+};
}

words! {
    WireKind of AlertKind;
    WireSaid of Said;
    WirePart of Part;
}

/// A contributor of an alert.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireContributor {
    part: WirePart,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    count: Number,
    before: Number,
}

/// An alert.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireAlert {
    number: Number,
    customer: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flag: Option<Name>,
    meter: Meter,
    kind: WireKind,
    said: WireSaid,
    since: Instant,
    seen_at: Instant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observed: Option<Number>,
    expected: Number,
    low: Number,
    high: Number,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    percent: Option<Number>,
    excess: Number,
    peak: Number,
    learning: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    contributors: Vec<WireContributor>,
    alerted_at: Instant,
}

impl WireAlert {
    pub(super) fn of(alert: &Alert) -> Self {
        let alerted = alert.alerted.clone();
        let of = alerted.of;
        let contributor = |Contributor { part, name, count, before }| WireContributor {
            part: WirePart(part),
            name,
            count: Number(count),
            before: Number(before),
        };
        Self {
            number: Number(alert.number.get()),
            customer: of.customer().clone(),
            project: of.project().cloned(),
            environment: of.environment().cloned(),
            flag: of.flag().cloned(),
            meter: alerted.meter,
            kind: WireKind(alerted.kind),
            said: WireSaid(alerted.said),
            since: Instant(alerted.since),
            seen_at: Instant(alerted.seen_at),
            observed: alerted.observed.map(Number),
            expected: Number(alerted.expected),
            low: Number(alerted.low),
            high: Number(alerted.high),
            percent: alerted.percent.map(Number),
            excess: Number(alerted.excess),
            peak: Number(alerted.peak),
            learning: alerted.is_learning,
            contributors: alerted.contributors.into_iter().map(contributor).collect(),
            alerted_at: Instant(alert.alerted_at),
        }
    }

    /// The alert.
    pub(super) fn alert(self) -> Result<Alert, String> {
        let of = Subject::from_names(self.customer, self.project, self.environment, self.flag);
        let contributor = |WireContributor { part, name, count, before }| Contributor {
            part: part.0,
            name,
            count: count.0,
            before: before.0,
        };
        let alerted = Alerted {
            of: of.ok_or("an alert is of a part of what it does not name")?,
            meter: self.meter,
            kind: self.kind.0,
            said: self.said.0,
            since: self.since.0,
            seen_at: self.seen_at.0,
            observed: self.observed.map(|observed| observed.0),
            expected: self.expected.0,
            low: self.low.0,
            high: self.high.0,
            percent: self.percent.map(|percent| percent.0),
            excess: self.excess.0,
            peak: self.peak.0,
            is_learning: self.learning,
            contributors: self.contributors.into_iter().map(contributor).collect(),
        };
        Ok(Alert { number: self.number.position()?, alerted, alerted_at: self.alerted_at.0 })
    }
}

/// A row.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireRow {
    position: Number,
    customer: Name,
    project: Name,
    environment: Name,
    meter: Meter,
    hour: Instant,
    revision: u32,
    count: Number,
    previous: Number,
    correction: bool,
    complete: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    missing: Vec<NodeId>,
    closed_at: Instant,
}

impl WireRow {
    pub(super) fn of(row: &Row) -> Self {
        let Environment { customer, project, environment } = Environment::clone(&row.environment);
        let mut missing = row.missing.clone();
        missing.sort_unstable();
        missing.dedup();
        Self {
            position: Number(row.position.get()),
            customer,
            project,
            environment,
            meter: row.meter,
            hour: Instant(row.hour),
            revision: row.revision,
            count: Number(row.count),
            previous: Number(row.previous),
            correction: row.correction,
            complete: row.complete,
            missing,
            closed_at: Instant(row.closed_at),
        }
    }

    pub(super) const fn position(&self) -> Position {
        Position::new(self.position.0)
    }

    /// The row; `shared` is the environment if it is the same.
    pub(super) fn row(self, shared: Option<&Arc<Environment>>) -> Result<Row, String> {
        if self.position().get() != self.position.0 {
            return Err(format!("{} is no position", self.position.0));
        }
        let position = self.position();
        let own =
            Environment { customer: self.customer, project: self.project, environment: self.environment };
        let environment =
            shared.filter(|shared| ***shared == own).map_or_else(|| Arc::new(own.clone()), Arc::clone);
        Ok(Row {
            position,
            environment,
            meter: self.meter,
            hour: self.hour.0,
            revision: self.revision,
            count: self.count.0,
            previous: self.previous.0,
            correction: self.correction,
            complete: self.complete,
            missing: self.missing,
            closed_at: self.closed_at.0,
        })
    }
}
