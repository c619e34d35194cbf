//! The parameters of a request, read strictly: an unknown name is refused, because a filter with a typo would
//! silently widen what is asked, and a bill with it.

use std::ops::RangeInclusive;

use axum::{extract::Query, http::Uri};
use chrono_tz::Tz;
use flagmeter_model::{Name, TimeRange, Timestamp};
use flagmeter_store::Filter;

use crate::{
    Error, Result,
    civil::Resolution,
    moment::{self, Moment},
};

/// Values of one filter at most.
const VALUES_MAX: usize = 1_000;

const HOUR_SECONDS: i64 = 3_600;

/// What `resolution` may be.
pub(crate) const RESOLUTIONS: &[&str] = &["auto", "10s", "1m", "15m", "1h", "1d", "1mo"];

/// The names of the parameters, once.
pub(crate) mod name {
    pub(crate) const ACTIVE: &str = "active";
    pub(crate) const AFTER: &str = "after";
    pub(crate) const AS_OF: &str = "as_of";
    pub(crate) const BY: &str = "by";
    pub(crate) const COMPARE: &str = "compare";
    pub(crate) const CORRECTIONS_SINCE: &str = "corrections_since";
    pub(crate) const CUSTOMER: &str = "customer";
    pub(crate) const DRAFT: &str = "draft";
    pub(crate) const ENVIRONMENT: &str = "environment";
    pub(crate) const FLAG: &str = "flag";
    pub(crate) const FORMAT: &str = "format";
    pub(crate) const FROM: &str = "from";
    pub(crate) const GROUP_BY: &str = "group_by";
    pub(crate) const HEIGHT: &str = "height";
    pub(crate) const KIND: &str = "kind";
    pub(crate) const LIMIT: &str = "limit";
    pub(crate) const LINK: &str = "link";
    pub(crate) const METER: &str = "meter";
    pub(crate) const MUTED: &str = "muted";
    pub(crate) const PAST_REMOVAL: &str = "past_removal";
    pub(crate) const PERIOD: &str = "period";
    pub(crate) const PLAIN: &str = "plain";
    pub(crate) const PROJECT: &str = "project";
    pub(crate) const Q: &str = "q";
    pub(crate) const RESOLUTION: &str = "resolution";
    pub(crate) const SDK: &str = "sdk";
    pub(crate) const STALE_FOR: &str = "stale_for";
    pub(crate) const STATE: &str = "state";
    pub(crate) const STYLE: &str = "style";
    pub(crate) const THEME: &str = "theme";
    pub(crate) const TITLE: &str = "title";
    pub(crate) const TO: &str = "to";
    pub(crate) const TZ: &str = "tz";
    pub(crate) const UNKNOWN_TO_REGISTRY: &str = "unknown_to_registry";
    pub(crate) const VARIANT: &str = "variant";
    pub(crate) const WAIT: &str = "wait";
    pub(crate) const WIDTH: &str = "width";
    pub(crate) const WINDOW: &str = "window";
    pub(crate) const WITHOUT_OWNER: &str = "without_owner";
}

/// Two lists of names as one of `LEN`, for what takes the parameters of another and more.
pub(crate) const fn joined<const LEN: usize>(
    first: &[&'static str],
    then: &[&'static str],
) -> [&'static str; LEN] {
    let mut all = [""; LEN];
    let (head, tail) = all.split_at_mut(first.len());
    head.copy_from_slice(first);
    tail.copy_from_slice(then);
    all
}

/// A range as it was asked for: where an end of it is relative, it moves along with now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    from: Moment,
    to: Moment,
}

impl Span {
    /// The range that is meant, where it is `now`; refused if nothing lies in it.
    pub(crate) fn as_of(self, now: Timestamp) -> Result<TimeRange> {
        let range = TimeRange::new(self.from.as_of(now), self.to.as_of(now));
        if range.is_empty() {
            let reason =
                format!("{} is not before to={}: there is nothing in between.", range.from, range.to);
            return Err(Error::parameter(name::FROM, reason));
        }
        Ok(range)
    }
}

/// The parameters of one request, in the order given.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the query of `uri`, and refuses names that are not `known`.
    pub(crate) fn read(uri: &Uri, known: &'static [&'static str]) -> Result<Self> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Error::parameter("query", error.to_string()))?;
        Self::known(pairs, known)
    }

    /// The same of what a page asks.
    pub(crate) fn of<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        known: &'static [&'static str],
    ) -> Result<Self> {
        let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self::known(pairs.collect(), known)
    }

    fn known(pairs: Vec<(String, String)>, known: &'static [&'static str]) -> Result<Self> {
        match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Error::ParameterUnknown { name: name.chars().take(64).collect(), known }),
            None => Ok(Self(pairs)),
        }
    }

    /// A parameter that may stand once.
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Error::parameter(name, "It stands twice: give it once.")),
            (Some(""), None) => Err(Error::parameter(name, "It is empty: give it a value or leave it out.")),
            (value, None) => Ok(value),
        }
    }

    /// A parameter with a fixed set of values.
    pub(crate) fn choice<T>(
        &self,
        name: &'static str,
        from_text: impl Fn(&str) -> Option<T>,
        choices: &[&str],
    ) -> Result<Option<T>> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        from_text(text).map(Some).ok_or_else(|| {
            let text: String = text.chars().take(64).collect();
            Error::parameter(name, format!("{text:?} is not one of {}.", choices.join(", ")))
        })
    }

    /// Whether something is asked for that is not unless it is.
    pub(crate) fn is(&self, name: &'static str) -> Result<bool> {
        Ok(self.either(name)?.unwrap_or(false))
    }

    /// Whether those alone are asked for that are so, or that are not; `None` for both.
    pub(crate) fn either(&self, name: &'static str) -> Result<Option<bool>> {
        self.choice(name, |text| text.parse().ok(), &["true", "false"])
    }

    /// A number from 1 to `max`.
    pub(crate) fn number(&self, name: &'static str, max: usize) -> Result<Option<usize>> {
        self.number_of(name, 1..=max)
    }

    /// A number within bounds.
    pub(crate) fn number_of(
        &self,
        name: &'static str,
        bounds: RangeInclusive<usize>,
    ) -> Result<Option<usize>> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match number {
            Some(number) if bounds.contains(&number) => Ok(Some(number)),
            _ => {
                let reason =
                    format!("It must be a whole number from {} to {}.", bounds.start(), bounds.end());
                Err(Error::parameter(name, reason))
            }
        }
    }

    /// A list, given repeatedly or with commas.
    pub(crate) fn list(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.all(name).flat_map(|value| value.split(',')).map(str::trim)
    }

    /// The zone of days and months: as asked, else `default`.
    pub(crate) fn zone(&self, default: Tz) -> Result<Tz> {
        let zone = self.choice(
            name::TZ,
            |text| text.parse().ok(),
            &["the IANA time zones, such as UTC, Europe/Berlin or America/New_York"],
        )?;
        Ok(zone.unwrap_or(default))
    }

    /// The range asked for as of `now`; `from` may be left out, `to` is now if it is.
    pub(crate) fn range(&self, now: Timestamp, zone: Tz, from_default: &str) -> Result<TimeRange> {
        self.span(zone, from_default)?.as_of(now)
    }

    /// The same as it was asked for.
    pub(crate) fn span(&self, zone: Tz, from_default: &str) -> Result<Span> {
        let moment = |name, default: &str| {
            let text = self.one(name)?.unwrap_or(default);
            moment::parse(text, zone).map_err(|reason| Error::parameter(name, reason))
        };
        Ok(Span { from: moment(name::FROM, from_default)?, to: moment(name::TO, "now")? })
    }

    /// The range asked for, between two full hours: bills do not split an hour.
    pub(crate) fn hours(&self) -> Result<TimeRange> {
        let range = TimeRange::new(self.full_hour(name::FROM)?, self.full_hour(name::TO)?);
        if range.is_empty() {
            let reason =
                format!("{} is not before to={}: there is no hour in between.", range.from, range.to);
            return Err(Error::parameter(name::FROM, reason));
        }
        Ok(range)
    }

    fn full_hour(&self, name: &'static str) -> Result<Timestamp> {
        let text = self.one(name)?.ok_or_else(|| {
            Error::parameter(name, "It is needed: a full hour in RFC 3339, such as 2026-11-01T00:00:00Z.")
        })?;
        let at = moment::rfc3339(text).ok_or_else(|| {
            let text: String = text.chars().take(64).collect();
            let reason = format!("{text:?} is not a time in RFC 3339, such as 2026-11-01T00:00:00Z.");
            Error::parameter(name, reason)
        })?;
        let (before, after) = (at.floor_to(HOUR_SECONDS), at.ceil_to(HOUR_SECONDS));
        if before == after {
            return Ok(at);
        }
        Err(Error::parameter(name, format!("{at} is not a full hour: the nearest are {before} and {after}.")))
    }

    /// The resolution asked for; `None` for `auto`.
    pub(crate) fn resolution(&self) -> Result<Option<Resolution>> {
        let read = |text: &str| {
            if text == "auto" { Some(None) } else { Resolution::from_name(text).map(Some) }
        };
        Ok(self.choice(name::RESOLUTION, read, RESOLUTIONS)?.flatten())
    }

    /// The filters. A dimension that a request has no parameter for is not filtered.
    pub(crate) fn filter(&self) -> Result<Filter> {
        Ok(Filter {
            customers: self.names(name::CUSTOMER)?,
            projects: self.names(name::PROJECT)?,
            environments: self.names(name::ENVIRONMENT)?,
            names: self.names(name::FLAG)?,
            variants: self.cells(name::VARIANT)?,
            sdks: self.cells(name::SDK)?,
        })
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    fn names(&self, name: &'static str) -> Result<Vec<Name>> {
        let mut names = Vec::new();
        for value in self.all(name) {
            names.push(Name::new(value).map_err(|error| Error::parameter(name, format!("{error}.")))?);
        }
        bounded(name, names)
    }

    /// Names where an empty one means the series without.
    fn cells(&self, name: &'static str) -> Result<Vec<Option<Name>>> {
        let mut cells = Vec::new();
        for value in self.all(name) {
            let cell = (!value.is_empty()).then(|| Name::new(value)).transpose();
            cells.push(cell.map_err(|error| Error::parameter(name, format!("{error}.")))?);
        }
        bounded(name, cells)
    }
}

/// Reads `from` and `to` of a request that has no other parameters, as the API's own routes do. Without them: all
/// time up to `now`.
pub fn range(uri: &Uri, now: Timestamp) -> Result<TimeRange> {
    Parameters::read(uri, &[name::FROM, name::TO])?.range(now, Tz::UTC, "1970-01-01")
}

fn bounded<T: Ord>(name: &'static str, mut values: Vec<T>) -> Result<Vec<T>> {
    values.sort();
    values.dedup();
    if values.len() > VALUES_MAX {
        return Err(Error::parameter(name, format!("It has more than {VALUES_MAX} values.")));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &[name::FROM, name::TO, name::FLAG, name::VARIANT, name::LIMIT, name::GROUP_BY];

    fn read(query: &str) -> Result<Parameters> {
        Parameters::read(&format!("/v1/usage?{query}").parse().unwrap(), KNOWN)
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_that_are_known() {
        let error = read("from=-1h&client=acme").unwrap_err().to_string();
        assert!(error.contains("\"client\"") && error.contains("from, to, flag"), "{error}");
    }

    #[test]
    fn what_may_stand_once_is_refused_twice_or_empty() {
        assert!(read("from=a&from=b").unwrap().one(name::FROM).is_err());
        assert!(read("from=").unwrap().one(name::FROM).is_err());
        assert_eq!(read("from=a").unwrap().one(name::FROM).unwrap(), Some("a"));
        assert_eq!(read("").unwrap().one(name::FROM).unwrap(), None);
    }

    #[test]
    fn filters_repeat_and_an_empty_variant_is_the_series_without_one() {
        let filter = read("flag=b&flag=a%2Cx&variant=&variant=on").unwrap().filter().unwrap();
        assert_eq!(filter.names, [Name::new("a,x").unwrap(), Name::new("b").unwrap()]);
        assert_eq!(filter.variants, [None, Some(Name::new("on").unwrap())]);
        assert!(read("flag=").unwrap().filter().is_err());
        assert!(read("flag=%00").unwrap().filter().is_err());
    }

    #[test]
    fn lists_take_commas_and_repeats() {
        let parameters = read("group_by=flag,customer&group_by=sdk").unwrap();
        assert_eq!(parameters.list(name::GROUP_BY).collect::<Vec<_>>(), ["flag", "customer", "sdk"]);
    }

    #[test]
    fn numbers_stay_in_their_bounds() {
        assert_eq!(read("limit=5").unwrap().number(name::LIMIT, 9).unwrap(), Some(5));
        for wrong in ["0", "10", "-1", "+1", "1.5", "x", "99999999999999999999"] {
            assert!(read(&format!("limit={wrong}")).unwrap().number(name::LIMIT, 9).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_empty_range_is_refused() {
        let now = Timestamp::from_seconds_clamped(1_800_000_000);
        let error = read("from=now&to=-1h").unwrap().range(now, Tz::UTC, "-24h").unwrap_err().to_string();
        assert!(error.starts_with("Parameter from:"), "{error}");
    }
}
