//! What is sent: the same bytes each time.

use flagmeter_ledger::{Alert, AlertKind, Alerted, Contributor, Crossed, Crossing, Notice, Position};
use flagmeter_model::{Name, Timestamp};
use serde::Serialize;

/// A notice.
#[derive(Debug)]
pub(super) enum Told {
    /// A threshold of a plan was crossed.
    Crossing(Crossing),
    /// Traffic is out of the ordinary, or is not any more.
    Alert(Alert),
}

#[derive(Serialize)]
struct Body<D> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: D,
}

#[derive(Serialize)]
struct OfCrossing<'a> {
    id: String,
    customer: &'a str,
    meter: &'static str,
    period: String,
    percent: u16,
    hard: bool,
    included: String,
    used: String,
    crossed_at: String,
}

#[derive(Serialize)]
struct OfAlert<'a> {
    id: String,
    customer: &'a str,
    /// Null for all of them, and so are those below.
    project: Option<&'a str>,
    environment: Option<&'a str>,
    flag: Option<&'a str>,
    meter: &'static str,
    kind: &'static str,
    said: &'static str,
    /// Why it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    since: String,
    seen_at: String,
    /// Null where it is not known, and so is the ratio.
    observed: Option<String>,
    expected: String,
    low: String,
    high: String,
    ratio: Option<f64>,
    excess: String,
    peak: String,
    learning: bool,
    contributors: Vec<OfContributor<'a>>,
    chart: String,
}

#[derive(Serialize)]
struct OfContributor<'a> {
    by: &'static str,
    name: Option<&'a str>,
    count: String,
    before: String,
}

impl Told {
    pub(super) const fn of(&self) -> Notice {
        match self {
            Self::Crossing(_) => Notice::Crossing,
            Self::Alert(_) => Notice::Alert,
        }
    }

    /// Its place among those of its sort.
    pub(super) const fn number(&self) -> Position {
        match self {
            Self::Crossing(crossing) => crossing.number,
            Self::Alert(alert) => alert.number,
        }
    }

    /// When it was found.
    pub(super) const fn found_at(&self) -> Timestamp {
        match self {
            Self::Crossing(crossing) => crossing.crossed_at,
            Self::Alert(alert) => alert.alerted_at,
        }
    }

    /// A name for it that is the same wherever and whenever it is told.
    pub(super) fn id(&self) -> String {
        match self {
            Self::Crossing(crossing) => crossing.crossed.id(),
            Self::Alert(alert) => alert.alerted.id(),
        }
    }

    /// What it is, for a line of the log.
    pub(super) fn what(&self) -> String {
        match self {
            Self::Crossing(Crossing { crossed: Crossed { customer, percent, .. }, .. }) => {
                format!("{percent} percent of the plan of {customer}")
            }
            Self::Alert(Alert { alerted, .. }) => what(alerted),
        }
    }

    /// The bytes.
    pub(super) fn body(&self, link_base: &str) -> serde_json::Result<String> {
        match self {
            Self::Crossing(crossing) => of_crossing(crossing),
            Self::Alert(alert) => of_alert(alert, link_base),
        }
    }
}

/// What an alert is, for a line of the log.
pub(crate) fn what(alerted: &Alerted) -> String {
    format!("the {} of {} since {} {}", alerted.kind.name(), alerted.of, alerted.since, alerted.said())
}

fn of_crossing(crossing: &Crossing) -> serde_json::Result<String> {
    let Crossed { customer, meter, period, percent, hard, included, used } = &crossing.crossed;
    let crossed_at = crossing.crossed_at.to_string();
    serde_json::to_string(&Body {
        kind: "billing.threshold_crossed",
        timestamp: crossed_at.clone(),
        data: OfCrossing {
            id: crossing.crossed.id(),
            customer: customer.as_str(),
            meter: meter.name(),
            period: period.to_string(),
            percent: *percent,
            hard: *hard,
            included: included.to_string(),
            used: used.to_string(),
            crossed_at,
        },
    })
}

fn of_alert(alert: &Alert, link_base: &str) -> serde_json::Result<String> {
    let alerted = &alert.alerted;
    let of = &alerted.of;
    #[expect(clippy::cast_precision_loss, reason = "how many times, for people")]
    let ratio = alerted.percent.map(|percent| percent as f64 / 100.0);
    serde_json::to_string(&Body {
        kind: match (alerted.kind, alerted.said.is_over()) {
            (AlertKind::Burst, false) => "traffic.burst_began",
            (AlertKind::Burst, true) => "traffic.burst_over",
            (AlertKind::Drop, false) => "traffic.drop_began",
            (AlertKind::Drop, true) => "traffic.drop_over",
        },
        timestamp: alert.alerted_at.to_string(),
        data: OfAlert {
            id: alerted.id(),
            customer: of.customer().as_str(),
            project: of.project().map(Name::as_str),
            environment: of.environment().map(Name::as_str),
            flag: of.flag().map(Name::as_str),
            meter: alerted.meter.name(),
            kind: alerted.kind.name(),
            said: alerted.said(),
            why: alerted.said.why(),
            since: alerted.since.to_string(),
            seen_at: alerted.seen_at.to_string(),
            observed: alerted.observed.map(|observed| observed.to_string()),
            expected: alerted.expected.to_string(),
            low: alerted.low.to_string(),
            high: alerted.high.to_string(),
            ratio,
            excess: alerted.excess.to_string(),
            peak: alerted.peak.to_string(),
            learning: alerted.is_learning,
            contributors: alerted.contributors.iter().map(of_contributor).collect(),
            chart: format!("{link_base}{}", alerted.chart()),
        },
    })
}

fn of_contributor(contributor: &Contributor) -> OfContributor<'_> {
    let Contributor { part, name, count, before } = contributor;
    OfContributor {
        by: part.name(),
        name: name.as_ref().map(Name::as_str),
        count: count.to_string(),
        before: before.to_string(),
    }
}
