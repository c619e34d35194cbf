//! From the parameters of `/v1/billing/hours` to what is read. Pure.

use axum::http::HeaderMap;
use flagmeter_ledger::{Hours, RowKey};
use flagmeter_model::{Meter, Name, TimeRange};

use super::super::{
    LIMIT_DEFAULT, LIMIT_MAX,
    cursor::{PageKey, Snapshot, digest},
};
use crate::{
    Error, Result,
    access::{Principal, Scoped},
    parameters::{Parameters, name},
    usage::plan::{self, METERS, accepted},
};

/// The parameters of `/v1/billing/hours`.
pub(crate) const KNOWN: &[&str] = &[
    name::FROM,
    name::TO,
    name::CUSTOMER,
    name::PROJECT,
    name::ENVIRONMENT,
    name::METER,
    name::AS_OF,
    name::AFTER,
    name::LIMIT,
    name::FORMAT,
];

/// What `format` may be.
pub(crate) const FORMATS: &[&str] = &["json", "csv", "parquet"];

/// How hours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    /// All rows, or a page of them, in one of the forms of [`Sheet`](super::sheet::Sheet).
    Sheet(Form),
}

/// A form for many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Csv,
    Parquet,
}

/// Rows that are read and sent at a time where all are asked for.
const STREAMED_ROWS: usize = 8_192;

/// What is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) range: TimeRange,
    pub(super) scope: Scoped,
    pub(super) meters: Vec<Meter>,
    /// As of this; the ledger as it stands if it is none.
    pub(super) as_of: Option<Snapshot>,
    /// From the page after this one on.
    pub(super) after: Option<PageKey>,
    /// Rows at most; all, if it is none.
    pub(super) limit: Option<usize>,
    pub(super) format: Format,
    /// Whose the cursors are.
    pub(super) owner: Option<Name>,
    /// The [`digest`] of what is asked, but for the page and the format.
    pub(super) digest: u64,
}

/// Reads the parameters, and keeps them to what `principal` may read.
pub(super) fn ask(parameters: &Parameters, headers: &HeaderMap, principal: &Principal) -> Result<Asked> {
    let scope = principal.scope(parameters.filter()?)?;
    let owner = principal.customer().cloned();
    let range = parameters.hours()?;
    let meter = |text: &str| Meter::ALL.into_iter().find(|meter| meter.is_usage() && meter.name() == text);
    let meters: Vec<_> = parameters.choice(name::METER, meter, METERS)?.into_iter().collect();
    let as_of = parameters.one(name::AS_OF)?;
    let as_of = as_of.map(|text| Snapshot::from_cursor(name::AS_OF, text, owner.as_ref())).transpose()?;
    let digest = digest_of(range, &scope, &meters);
    let after = parameters.one(name::AFTER)?;
    let after =
        after.map(|text| PageKey::from_cursor(name::AFTER, text, owner.as_ref(), digest)).transpose()?;
    if let (Some(as_of), Some(after)) = (as_of, &after)
        && as_of != after.snapshot
    {
        return Err(Error::parameter(
            name::AFTER,
            "It goes on with an answer that was as of another as_of=: leave out as_of=, or give the same.",
        ));
    }
    let format = format(parameters, headers)?;
    let limit = parameters.number(name::LIMIT, LIMIT_MAX)?;
    let limit = limit.or((format == Format::Json).then_some(LIMIT_DEFAULT));
    Ok(Asked { range, scope, meters, as_of, after, limit, format, owner, digest })
}

/// As asked by parameter, else as accepted by header, else JSON.
fn format(parameters: &Parameters, headers: &HeaderMap) -> Result<Format> {
    let named = |text: &str| match text {
        "json" => Some(Format::Json),
        "csv" => Some(Format::Sheet(Form::Csv)),
        "parquet" => Some(Format::Sheet(Form::Parquet)),
        _ => None,
    };
    let asked = parameters.choice(name::FORMAT, named, FORMATS)?;
    Ok(asked.unwrap_or_else(|| match accepted(headers) {
        plan::Format::Json => Format::Json,
        plan::Format::Csv => Format::Sheet(Form::Csv),
    }))
}

fn digest_of(range: TimeRange, scope: &Scoped, meters: &[Meter]) -> u64 {
    let filter = scope.filter();
    let times = [range.from, range.to].map(|at| at.as_millis().to_be_bytes());
    let meters: Vec<u8> = meters.iter().map(|meter| meter.number()).collect();
    // An empty part ends a list: no name is empty.
    let names = [&filter.customers, &filter.projects, &filter.environments];
    let names = names.into_iter().flat_map(|list| list.iter().map(|name| name.as_bytes()).chain([&b""[..]]));
    let parts = times.iter().map(<[u8; 8]>::as_slice).chain([meters.as_slice()]).chain(names);
    digest(parts)
}

impl Asked {
    /// The snapshot that a cursor names.
    pub(super) fn snapshot(&self) -> Option<(&'static str, Snapshot)> {
        let as_of = self.as_of.map(|as_of| (name::AS_OF, as_of));
        as_of.or(self.after.as_ref().map(|after| (name::AFTER, after.snapshot)))
    }

    /// Whether hours that are not final are told, too.
    pub(super) const fn is_live(&self) -> bool {
        self.as_of.is_none()
    }

    /// What the ledger is asked.
    pub(super) fn question(&self, snapshot: Snapshot) -> Hours {
        Hours {
            scope: self.scope.of_ledger(),
            meters: self.meters.clone(),
            range: self.range,
            as_of: snapshot.end,
            after: self.after.as_ref().map(|after| after.last.clone()),
            limit: self.limit.unwrap_or(STREAMED_ROWS),
        }
    }

    /// The cursor to the page after `last`.
    pub(super) fn next(&self, snapshot: Snapshot, last: RowKey) -> String {
        PageKey { snapshot, question: self.digest, last }.cursor(self.owner.as_ref())
    }
}
