//! From the parameters of `/v1/reconcile` to what is read. Pure.

use chrono_tz::Tz;
use flagmeter_model::{Meter, Tier, TimeRange, Timestamp};
use flagmeter_store::{Dimension, Floors};

use crate::{
    Config, Error, Result,
    access::{Principal, Scoped},
    parameters::{Parameters, name},
    reader::Question,
};

/// The parameters of `/v1/reconcile`.
pub(crate) const KNOWN: &[&str] =
    &[name::FROM, name::TO, name::TZ, name::CUSTOMER, name::PROJECT, name::ENVIRONMENT, name::GROUP_BY];

/// From this length on a range is rounded to hours, which are kept for ever; shorter ones to the finest of
/// minutes, quarters and hours that is still kept.
const HOURS_FROM_MS: i64 = 24 * 3_600_000;

/// How far the fates are told apart: the first so many of customer, project, environment.
pub(crate) const LEVELS: &[&str] = &[name::CUSTOMER, name::PROJECT, name::ENVIRONMENT];

/// What is asked.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) zone: Tz,
    /// Which arrivals; `None` for all that ever were.
    pub(super) range: Option<TimeRange>,
    pub(super) scope: Scoped,
    /// 1: by customer; 2: and project; 3: and environment.
    pub(super) level: usize,
    groups_max: usize,
}

/// Reads the parameters, and keeps them to what `principal` may read.
pub(super) fn plan(
    parameters: &Parameters,
    principal: &Principal,
    zone_default: Tz,
    now: Timestamp,
    config: &Config,
) -> Result<Plan> {
    let scope = principal.scope(parameters.filter()?)?;
    let zone = parameters.zone(zone_default)?;
    let level = |text: &str| LEVELS.iter().position(|level| *level == text).map(|before| before + 1);
    let has_from = parameters.one(name::FROM)?.is_some();
    if !has_from && parameters.one(name::TO)?.is_some() {
        return Err(Error::parameter(
            name::FROM,
            "It is needed where to= is given; leave out both for all time.",
        ));
    }
    let range = if has_from { Some(parameters.range(now, zone, "-24h")?) } else { None };
    Ok(Plan {
        zone,
        range,
        scope,
        level: parameters.choice(name::GROUP_BY, level, LEVELS)?.unwrap_or(1),
        groups_max: config.groups_ranked_max,
    })
}

/// Rounds outward to a grain that is still kept.
fn outward(range: TimeRange, floors: &Floors) -> TimeRange {
    let on_grid =
        |tier: Tier| TimeRange::new(range.from.floor_to(tier.seconds()), range.to.ceil_to(tier.seconds()));
    let is_short = range.to.millis_since(range.from) < HOURS_FROM_MS;
    let fine = [Tier::Minute, Tier::Quarter].into_iter().filter(|_| is_short);
    fine.map(|tier| (tier, on_grid(tier)))
        .find(|(tier, range)| floors.of(*tier).is_none_or(|floor| floor <= range.from))
        .map_or_else(|| on_grid(Tier::Hour), |(_, range)| range)
}

impl Plan {
    /// Rounds the range outward to a grain that is still kept: what is past its retention there is not answered
    /// with nothing.
    pub(super) fn on_what_is_kept(self, floors: &Floors) -> Self {
        Self { range: self.range.map(|range| outward(range, floors)), ..self }
    }

    /// One meter, over the whole range. Rejected counts are told apart by their reason, too.
    pub(super) fn question(&self, meter: Meter) -> Question {
        let range = self.range.unwrap_or(TimeRange::new(Timestamp::EPOCH, Timestamp::MAX));
        let levels = [Dimension::Customer, Dimension::Project, Dimension::Environment];
        let mut group_by = levels.get(..self.level).unwrap_or(&levels).to_vec();
        if meter == Meter::Rejected {
            group_by.push(Dimension::Name);
        }
        Question {
            meter,
            edges: vec![range.from, range.to],
            scope: self.scope.clone(),
            group_by,
            groups_max: self.groups_max,
        }
    }
}
