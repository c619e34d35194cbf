//! From the parameters of `/v1/flags` to what is read. Pure.

use chrono_tz::Tz;
use flagmeter_model::{Limits, Name, TimeRange, Timestamp};
use flagmeter_store::Floors;

use crate::{
    Config, Error, Result,
    access::{Principal, Scoped},
    civil::Resolution,
    hex, moment,
    parameters::{Parameters, name},
    usage::plan::{auto, before},
};

/// The parameters of `/v1/flags`.
pub(crate) const KNOWN: &[&str] = &[
    name::FROM,
    name::TO,
    name::RESOLUTION,
    name::TZ,
    name::CUSTOMER,
    name::PROJECT,
    name::ENVIRONMENT,
    name::FLAG,
    name::STALE_FOR,
    name::UNKNOWN_TO_REGISTRY,
    name::PAST_REMOVAL,
    name::WITHOUT_OWNER,
    name::Q,
    name::LIMIT,
    name::AFTER,
];

/// Letters of what is searched for at most: names have no more.
const SEARCH_CHARS_MAX: usize = Limits::NAME_BYTES_MAX;

/// Flags of one page, where nothing else is asked.
const LIMIT_DEFAULT: usize = 100;

/// A flag of a project, in the order of pages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FlagKey {
    pub(super) customer: Name,
    pub(super) project: Name,
    pub(super) flag: Name,
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) zone: Tz,
    range: TimeRange,
    resolution: Option<Resolution>,
    pub(super) scope: Scoped,
    /// Only flags that were last evaluated before this.
    pub(super) stale_before: Option<Timestamp>,
    /// Only flags that the registry does not list.
    pub(super) only_unknown: bool,
    /// Only flags whose day of removal is over.
    pub(super) only_past_removal: bool,
    /// Only flags that nobody looks after.
    pub(super) only_without_owner: bool,
    /// Only flags with this in their names, in small letters.
    pub(super) search: Option<String>,
    /// When it is asked.
    pub(super) now: Timestamp,
    pub(super) limit: usize,
    /// Only flags after this one.
    pub(super) after: Option<FlagKey>,
}

/// The buckets of the trend.
#[derive(Debug)]
pub(super) struct Trend {
    pub(super) resolution: Resolution,
    /// Edges of the buckets; those of the range before come first.
    pub(super) edges: Vec<Timestamp>,
    /// Buckets of the range before: as many as there are of the range itself, or 0 where time begins too late for
    /// that.
    pub(super) previous: usize,
}

/// Reads the parameters, and keeps them to what `principal` may read.
pub(super) fn ask(
    parameters: &Parameters,
    principal: &Principal,
    zone_default: Tz,
    now: Timestamp,
    config: &Config,
) -> Result<Asked> {
    let scope = principal.scope(parameters.filter()?)?;
    let zone = parameters.zone(zone_default)?;
    let stale_for = parameters.one(name::STALE_FOR)?.map(moment::parse_span).transpose();
    let stale_for = stale_for.map_err(|reason| Error::parameter(name::STALE_FOR, reason))?;
    Ok(Asked {
        zone,
        range: parameters.range(now, zone, "-30d")?,
        resolution: parameters.resolution()?,
        scope,
        stale_before: stale_for.map(|seconds| now.plus_seconds(-seconds)),
        only_unknown: parameters.is(name::UNKNOWN_TO_REGISTRY)?,
        only_past_removal: parameters.is(name::PAST_REMOVAL)?,
        only_without_owner: parameters.is(name::WITHOUT_OWNER)?,
        search: search(parameters)?,
        now,
        limit: parameters.number(name::LIMIT, config.groups_max)?.unwrap_or(LIMIT_DEFAULT),
        after: parameters.one(name::AFTER)?.map(FlagKey::from_cursor).transpose()?,
    })
}

fn search(parameters: &Parameters) -> Result<Option<String>> {
    match parameters.one(name::Q)? {
        Some(text) if text.chars().count() > SEARCH_CHARS_MAX => {
            Err(Error::parameter(name::Q, format!("It must be at most {SEARCH_CHARS_MAX} characters.")))
        }
        text => Ok(text.map(str::to_lowercase)),
    }
}

impl Asked {
    /// Whether the choice of the resolution is ours, and needs to know what is still kept.
    pub(super) const fn needs_floors(&self) -> bool {
        self.resolution.is_none()
    }

    /// Lays out the buckets of the trend.
    pub(super) fn trend(&self, floors: &Floors, config: &Config) -> Result<Trend> {
        let resolution = self.resolution.unwrap_or_else(|| auto(self.range, floors));
        let buckets_max = config.buckets_max.min(config.rows_max / self.limit.max(1)).max(1);
        let edges = resolution.edges(self.zone, self.range, buckets_max).ok_or_else(|| {
            Error::TooMuch(format!(
                "The range has more than {buckets_max} buckets of {}, the most for {} flags: ask for a shorter range, a \
                 coarser resolution, or fewer flags with limit=.",
                resolution.name(),
                self.limit
            ))
        })?;
        let buckets = edges.len() - 1;
        Ok(match before(resolution, self.zone, &edges) {
            Some(edges) => Trend { resolution, edges, previous: buckets },
            None => Trend { resolution, edges, previous: 0 },
        })
    }
}

impl FlagKey {
    /// The place of this flag, to go on after it. Opaque to callers: hexadecimal, so that it needs no escaping.
    pub(super) fn cursor(&self) -> String {
        // Names hold no control characters.
        let text = [self.customer.as_str(), self.project.as_str(), self.flag.as_str()].join("\n");
        hex::write(text.as_bytes())
    }

    fn from_cursor(cursor: &str) -> Result<Self> {
        let wrong = || Error::parameter(name::AFTER, "It is not the `next` of an earlier answer.");
        let bytes = hex::read(cursor).ok_or_else(wrong)?;
        let text = String::from_utf8(bytes).map_err(|_| wrong())?;
        let names: Vec<Name> =
            text.split('\n').map(Name::new).collect::<Result<_, _>>().map_err(|_| wrong())?;
        match <[Name; 3]>::try_from(names) {
            Ok([customer, project, flag]) => Ok(Self { customer, project, flag }),
            Err(_) => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_flag() {
        let name = |text| Name::new(text).unwrap();
        let key = FlagKey { customer: name("acme"), project: name("wéb"), flag: name("a/b c") };
        assert_eq!(FlagKey::from_cursor(&key.cursor()).unwrap(), key);
        for wrong in
            ["", "6", "zz", "61", "610a62", "610a620a", "610a620a630a64", "ff0aff0aff", "é", "610a620a+f"]
        {
            assert!(FlagKey::from_cursor(wrong).is_err(), "{wrong}");
        }
    }
}
