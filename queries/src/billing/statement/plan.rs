//! From the parameters of `/v1/billing/statement` to what is read. Pure.

use axum::http::HeaderMap;
use chrono_tz::Tz;
use flagmeter_model::{Name, TimeRange, Timestamp};

use super::super::{Calendar, cursor::Snapshot, whose};
use crate::{
    Error, Result,
    access::{Principal, Scoped},
    civil::Resolution,
    parameters::{Parameters, name},
    usage::plan::{self, accepted},
};

/// The parameters of `/v1/billing/statement`.
pub(crate) const KNOWN: &[&str] = &[
    name::CUSTOMER,
    name::PERIOD,
    name::FROM,
    name::TO,
    name::TZ,
    name::AS_OF,
    name::CORRECTIONS_SINCE,
    name::DRAFT,
    name::FORMAT,
];

/// Days of a statement at most: a year, and what a year may be longer.
const DAYS_MAX: usize = 400;
const HOUR_MS: i64 = 3_600_000;

/// What `format` may be.
pub(crate) const FORMATS: &[&str] = &["json", "csv", "focus"];

/// How a statement is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
    /// CSV with the columns of FOCUS.
    Focus,
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// Whose statement.
    pub(super) customer: Name,
    /// Their rows.
    pub(super) scope: Scoped,
    /// Whose the cursors are.
    pub(super) owner: Option<Name>,
    pub(super) zone: Tz,
    /// The month in which it begins, if one was asked for.
    pub(super) period: Option<String>,
    /// Where days begin, and the last one ends.
    pub(super) edges: Vec<Timestamp>,
    pub(super) as_of: Option<Snapshot>,
    pub(super) corrections_since: Option<Snapshot>,
    /// Whether hours that are not final may be left out.
    pub(super) draft: bool,
    pub(super) format: Format,
}

/// Reads the parameters, and keeps them to what `principal` may read. `calendar_of` tells when the periods of a customer
/// begin.
pub(super) fn ask(
    parameters: &Parameters,
    headers: &HeaderMap,
    principal: &Principal,
    calendar_of: impl FnOnce(&Name) -> Calendar,
) -> Result<Asked> {
    let scope = principal.scope(parameters.filter()?)?;
    let customer = whose(&scope, "A statement is that of one customer: give it once.")?;
    let calendar = calendar_of(&customer);
    let calendar = Calendar { zone: parameters.zone(calendar.zone)?, ..calendar };
    let zone = calendar.zone;
    let owner = principal.customer().cloned();
    let cursor = |name| {
        let given = parameters.one(name)?;
        given.map(|text| Snapshot::from_cursor(name, text, owner.as_ref())).transpose()
    };
    let (as_of, corrections_since) = (cursor(name::AS_OF)?, cursor(name::CORRECTIONS_SINCE)?);
    let (period, range) = range(parameters, calendar)?;
    Ok(Asked {
        customer,
        scope,
        zone,
        period,
        edges: days(range, zone)?,
        as_of,
        corrections_since,
        draft: parameters.is(name::DRAFT)?,
        format: format(parameters, headers)?,
        owner,
    })
}

/// As asked by parameter, else as accepted by header, else JSON.
fn format(parameters: &Parameters, headers: &HeaderMap) -> Result<Format> {
    let named = |text: &str| match text {
        "json" => Some(Format::Json),
        "csv" => Some(Format::Csv),
        "focus" => Some(Format::Focus),
        _ => None,
    };
    let asked = parameters.choice(name::FORMAT, named, FORMATS)?;
    Ok(asked.unwrap_or_else(|| match accepted(headers) {
        plan::Format::Json => Format::Json,
        plan::Format::Csv => Format::Csv,
    }))
}

/// The period that begins in a month, or a range between two full hours.
fn range(parameters: &Parameters, calendar: Calendar) -> Result<(Option<String>, TimeRange)> {
    let Some(period) = parameters.one(name::PERIOD)? else {
        if parameters.one(name::FROM)?.is_none() && parameters.one(name::TO)?.is_none() {
            return Err(Error::parameter(
                name::PERIOD,
                "It is needed: a month such as 2026-11; or give from= and to= instead.",
            ));
        }
        return Ok((None, parameters.hours()?));
    };
    for bound in [name::FROM, name::TO] {
        if parameters.one(bound)?.is_some() {
            return Err(Error::parameter(bound, "It is in the way of period=: give one or the other."));
        }
    }
    let range = calendar.period_of(period).ok_or_else(|| {
        let period: String = period.chars().take(64).collect();
        Error::parameter(name::PERIOD, format!("{period:?} is not a month: write it as 2026-11."))
    })?;
    Ok((Some(period.to_owned()), range))
}

/// Where the days of the range begin; the first and the last one may be a part of one.
fn days(range: TimeRange, zone: Tz) -> Result<Vec<Timestamp>> {
    let too_many =
        || Error::TooMuch(format!("A statement is of at most {DAYS_MAX} days: ask for a shorter one."));
    let mut edges = Resolution::Day.edges(zone, range, DAYS_MAX).ok_or_else(too_many)?;
    if let Some(first) = edges.first_mut() {
        *first = range.from;
    }
    if let Some(last) = edges.last_mut() {
        *last = range.to;
    }
    if let Some(split) = edges.iter().find(|edge| edge.as_millis() % HOUR_MS != 0) {
        return Err(Error::parameter(
            name::TZ,
            format!(
                "In {} a day begins at {split}, within an hour of UTC, and what is billed are such hours: they are not \
                 split. Take a zone that is full hours off, such as tz=UTC.",
                zone.name()
            ),
        ));
    }
    Ok(edges)
}

impl Asked {
    /// The period.
    pub(super) fn range(&self) -> TimeRange {
        let at = |edge: Option<&Timestamp>| edge.copied().unwrap_or_default();
        TimeRange::new(at(self.edges.first()), at(self.edges.last()))
    }

    /// Until when hours are on the statement: its end, or how far they are final on a draft. Refused where it is not
    /// final, and no draft is asked for.
    pub(super) fn counted_until(&self, snapshot: Snapshot) -> Result<Timestamp> {
        let TimeRange { from, to } = self.range();
        let until = snapshot.until.unwrap_or_default();
        if until >= to {
            return Ok(to);
        }
        if self.draft {
            return Ok(until.max(from));
        }
        let far = snapshot.until.map_or_else(
            || "no hour is final yet".to_owned(),
            |until| format!("hours are final until {until}"),
        );
        Err(Error::NotFinal(format!(
            "The period ends at {to}, and {far}: ask again when they are final until its end, or with draft=true for what \
             is final of it so far."
        )))
    }
}
