//! From the parameters of `/v1/usage` to a question that the store can answer. Pure.

use axum::http::{HeaderMap, header};
use chrono_tz::Tz;
use flagmeter_ledger::Episodes;
use flagmeter_model::{Meter, Tier, TimeRange, Timestamp};
use flagmeter_store::{Dimension, Error as StoreError, Floors};

use crate::{
    Config, Error, Result,
    access::{Principal, Scoped},
    civil::Resolution,
    parameters::{Parameters, Span, joined, name},
    reader::Question,
};

/// The parameters of `/v1/usage`.
pub(crate) const KNOWN: &[&str] =
    &joined::<{ super::parameters::KNOWN.len() + 1 }>(super::parameters::KNOWN, &[name::FORMAT]);

/// What `meter`, `compare` and `format` may be.
pub(crate) const METERS: &[&str] = &["evaluations", "requests"];
pub(crate) const COMPARISONS: &[&str] = &["previous"];
pub(crate) const FORMATS: &[&str] = &["json", "csv"];

/// What can be grouped by, with its name in the API.
pub(super) const DIMENSIONS: [(&str, Dimension); 6] = [
    (name::CUSTOMER, Dimension::Customer),
    (name::PROJECT, Dimension::Project),
    (name::ENVIRONMENT, Dimension::Environment),
    (name::FLAG, Dimension::Name),
    (name::VARIANT, Dimension::Variant),
    (name::SDK, Dimension::Sdk),
];

/// The name of a dimension in the API.
pub(crate) fn dimension_name(dimension: Dimension) -> &'static str {
    DIMENSIONS.iter().find(|(_, known)| *known == dimension).map_or("", |(name, _)| *name)
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
}

/// What is asked, read and checked, but for the resolution where it is left to us, and for when it is now. Who asks is
/// not in it: what may be read is the same for all that ask the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    meter: Meter,
    zone: Tz,
    span: Span,
    resolution: Option<Resolution>,
    scope: Scoped,
    group_by: Vec<Dimension>,
    limit: Option<usize>,
    compares: bool,
}

/// What is asked, with its buckets.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) meter: Meter,
    pub(crate) zone: Tz,
    pub(crate) resolution: Resolution,
    /// Edges of the buckets; those of the range before, if it is compared with, come first.
    pub(crate) edges: Vec<Timestamp>,
    /// Buckets of the range before, 0 or as many as there are of the range itself.
    pub(crate) previous: usize,
    pub(crate) scope: Scoped,
    pub(crate) group_by: Vec<Dimension>,
    pub(crate) limit: Option<usize>,
    /// Groups that are added up at most.
    groups_max: usize,
    rows_max: usize,
}

/// Reads what is asked from the parameters, and keeps it to what `principal` may read.
pub(crate) fn ask(
    parameters: &Parameters,
    principal: &Principal,
    zone_default: Tz,
    config: &Config,
) -> Result<Asked> {
    let scope = principal.scope(parameters.filter()?)?;
    let zone = parameters.zone(zone_default)?;
    let meter = |text: &str| Meter::ALL.into_iter().find(|meter| meter.is_usage() && meter.name() == text);
    let group_by = group_by(parameters)?;
    let limit = parameters.number(name::LIMIT, config.groups_max)?;
    if limit.is_some() && group_by.is_empty() {
        return Err(Error::parameter(name::LIMIT, "It keeps the top groups: say by what with group_by=."));
    }
    let previous = |text: &str| (text == "previous").then_some(());
    Ok(Asked {
        meter: parameters.choice(name::METER, meter, METERS)?.unwrap_or(Meter::Evaluations),
        zone,
        span: parameters.span(zone, "-24h")?,
        resolution: parameters.resolution()?,
        scope,
        group_by,
        limit,
        compares: parameters.choice(name::COMPARE, previous, COMPARISONS)?.is_some(),
    })
}

impl Asked {
    /// The range that is meant, where it is `now`.
    pub(crate) fn range(&self, now: Timestamp) -> Result<TimeRange> {
        self.span.as_of(now)
    }

    /// Whether the choice of the resolution is ours, and needs to know what is still kept.
    pub(super) const fn needs_floors(&self) -> bool {
        self.resolution.is_none()
    }

    /// The bursts and drops of what is asked, so many at most; `None` where none can be of it, because they are of no variant and
    /// no SDK.
    pub(crate) fn episodes(&self, range: TimeRange, limit: usize) -> Option<Episodes> {
        let filter = self.scope.filter();
        let is_finer = !filter.variants.is_empty() || !filter.sdks.is_empty();
        let (scope, flags, meter) = (self.scope.of_ledger(), filter.names.clone(), Some(self.meter));
        (!is_finer).then_some(Episodes { scope, flags, meter, range, limit })
    }

    /// The same for the top groups alone, the rest added up: as many as asked for, else `default`.
    pub(crate) fn of_the_top(mut self, default: usize) -> Self {
        if !self.group_by.is_empty() {
            self.limit.get_or_insert(default);
        }
        self
    }

    /// Lays out the buckets of the range that is meant.
    pub(crate) fn plan(&self, range: TimeRange, floors: &Floors, config: &Config) -> Result<Plan> {
        let resolution = self.resolution.unwrap_or_else(|| auto(range, floors));
        let too_many = || {
            Error::TooMuch(format!(
                "The range has more than {} buckets of {}: ask for a shorter range or a coarser resolution.",
                config.buckets_max,
                resolution.name()
            ))
        };
        let edges = resolution.edges(self.zone, range, config.buckets_max).ok_or_else(too_many)?;
        let buckets = edges.len() - 1;
        let (edges, previous) = if self.compares {
            let all = before(resolution, self.zone, &edges).ok_or_else(|| {
                Error::parameter(name::FROM, "There is no such range before it: time begins in 1970.")
            })?;
            (all, buckets)
        } else {
            (edges, 0)
        };
        let groups_max = if self.limit.is_some() { config.groups_ranked_max } else { config.groups_max };
        let cells_per_group = edges.len() - 1;
        Ok(Plan {
            meter: self.meter,
            zone: self.zone,
            resolution,
            edges,
            previous,
            scope: self.scope.clone(),
            group_by: self.group_by.clone(),
            limit: self.limit,
            groups_max: groups_max.min(config.cells_max / cells_per_group).max(1),
            rows_max: config.rows_max,
        })
    }
}

impl Plan {
    /// What the store is asked.
    pub(super) fn question(&self) -> Question {
        Question {
            meter: self.meter,
            edges: self.edges.clone(),
            scope: self.scope.clone(),
            group_by: self.group_by.clone(),
            groups_max: self.groups_max,
        }
    }

    /// The rows of the answer where so many groups were counted; refused if they are too many.
    pub(super) fn rows_of(&self, counted: usize) -> Result<usize> {
        // The limit, and one for all that is beyond it. Where nothing was counted, each bucket has a row all the same.
        let groups = self.limit.map_or(counted, |limit| counted.min(limit + 1)).max(1);
        let buckets = self.edges.len() - 1 - self.previous;
        let rows = groups.saturating_mul(buckets);
        if rows <= self.rows_max {
            return Ok(rows);
        }
        let fitting = self.rows_max / buckets;
        let fewer = match (self.group_by.is_empty() || fitting == 0, self.limit) {
            (true, _) => String::new(),
            (_, None) => format!(
                ", for the top groups with limit= (at most {fitting} fit, the rest added up among them), for fewer \
                 with a filter, or for fewer dimensions in group_by"
            ),
            (_, Some(_)) => {
                format!(", or for fewer groups (at most {fitting} fit, the rest added up among them)")
            }
        };
        Err(Error::TooMuch(format!(
            "{groups} groups in {buckets} buckets are more than {} rows. Ask for a shorter range or a coarser \
             resolution{fewer}.",
            self.rows_max
        )))
    }

    /// Says how to ask for less where the store says that there is too much.
    pub(super) fn narrower(&self, error: Error) -> Error {
        let Error::Store(StoreError::TooMany { max, what }) = error else { return error };
        let top = if self.limit.is_none() { "for the top groups with limit=, " } else { "" };
        Error::TooMuch(format!(
            "There are more than {max} {what} to add up. Ask {top}for fewer with a filter, for fewer dimensions in \
             group_by, for a shorter range or a coarser resolution."
        ))
    }

    /// The finest resolution in which all of the range can still be answered, of those that are coarser.
    pub(super) fn finest_kept(&self, floors: &Floors, config: &Config) -> Option<Resolution> {
        let is_kept = |resolution: &Resolution| {
            let Some(edges) = resolution.edges(self.zone, self.range(), config.buckets_max) else {
                return false;
            };
            // Hours of a zone off the full hour, and so its days and months, are made of quarters.
            let is_of = |tier: &Tier| edges.iter().all(|edge| edge.floor_to(tier.seconds()) == *edge);
            let tier = [Tier::Hour, Tier::Quarter, Tier::Minute].into_iter().find(is_of).unwrap_or(Tier::Raw);
            floors.of(tier).is_none_or(|floor| edges.first().is_some_and(|first| floor <= *first))
        };
        let finer = Resolution::ALL.into_iter().skip_while(|resolution| *resolution != self.resolution);
        finer.skip(1).find(is_kept)
    }

    /// The range of the answer: what was asked for, rounded outward to whole buckets.
    pub(crate) fn range(&self) -> TimeRange {
        let at = |edge: Option<&Timestamp>| edge.copied().unwrap_or_default();
        TimeRange::new(at(self.edges.get(self.previous)), at(self.edges.last()))
    }
}

/// The edges with as many buckets before them as there are between them; `None` if those would begin before 1970.
pub(crate) fn before(resolution: Resolution, zone: Tz, edges: &[Timestamp]) -> Option<Vec<Timestamp>> {
    let (first, rest) = edges.split_first()?;
    let mut all = resolution.edges_before(zone, *first, rest.len())?;
    all.extend(rest);
    Some(all)
}

/// The resolution that gives 60 to 200 buckets, or comes nearest to it, among those that are still kept at the
/// beginning of the range.
pub(crate) fn auto(range: TimeRange, floors: &Floors) -> Resolution {
    let is_kept = |resolution: &Resolution| {
        let tier = match resolution {
            Resolution::Slot => Tier::Raw,
            Resolution::Minute => Tier::Minute,
            Resolution::Quarter => Tier::Quarter,
            Resolution::Hour | Resolution::Day | Resolution::Month => Tier::Hour,
        };
        floors.of(tier).is_none_or(|floor| floor <= range.from)
    };
    // How many times too many or too few, in thousandths.
    let distance = |resolution: &Resolution| {
        let seconds = range.to.millis_since(range.from) / 1_000;
        let buckets = (seconds / resolution.seconds_about()).max(1);
        if buckets > 200 { buckets * 1_000 / 200 } else { 60_000 / buckets.min(60) }
    };
    Resolution::ALL.into_iter().filter(is_kept).min_by_key(distance).unwrap_or(Resolution::Hour)
}

fn group_by(parameters: &Parameters) -> Result<Vec<Dimension>> {
    let mut group_by = Vec::new();
    for text in parameters.list(name::GROUP_BY) {
        let known = DIMENSIONS.iter().find(|(name, _)| *name == text).map(|(_, dimension)| *dimension);
        match known {
            Some(dimension) if !group_by.contains(&dimension) => group_by.push(dimension),
            Some(_) => return Err(Error::parameter(name::GROUP_BY, format!("{text} stands twice."))),
            None => {
                let text: String = text.chars().take(64).collect();
                let names: Vec<_> = DIMENSIONS.iter().map(|(name, _)| *name).collect();
                let reason = format!("{text:?} is not one of {}.", names.join(", "));
                return Err(Error::parameter(name::GROUP_BY, reason));
            }
        }
    }
    Ok(group_by)
}

/// The format: as asked by parameter, else as accepted by header, else JSON.
pub(crate) fn format(parameters: &Parameters, headers: &HeaderMap) -> Result<Format> {
    let read = |text: &str| match text {
        "json" => Some(Format::Json),
        "csv" => Some(Format::Csv),
        _ => None,
    };
    Ok(parameters.choice(name::FORMAT, read, FORMATS)?.unwrap_or_else(|| accepted(headers)))
}

/// The format that the Accept header asks for, else JSON.
pub(crate) fn accepted(headers: &HeaderMap) -> Format {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (mut csv, mut json) = (0.0_f32, 0.0_f32);
    for range in accept.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let quality =
            parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0);
        match media_type {
            "text/csv" => csv = quality,
            "application/json" | "application/*" | "*/*" => json = quality.max(json),
            _ => {}
        }
    }
    if csv > 0.0 && csv >= json { Format::Csv } else { Format::Json }
}

#[cfg(test)]
mod tests;
