//! From the parameters of `/v1/operator/top` to what is read. Pure.

use chrono_tz::Tz;
use flagmeter_model::{Meter, Tier, Timestamp};
use flagmeter_store::{Dimension, Filter};

use crate::{
    Config, Result,
    access::{Principal, Scoped},
    moment,
    parameters::{Parameters, name},
    reader::Question,
    usage::plan::METERS,
};

/// The parameters that it knows.
pub(crate) const KNOWN: &[&str] = &[name::BY, name::WINDOW, name::LIMIT, name::METER, name::TZ];

/// What `by` and `window` may be.
pub(crate) const ORDERS: &[&str] = &["rate", "change"];
pub(crate) const WINDOWS: &[&str] = &["1m", "2m", "5m", "10m", "15m", "30m"];

/// Minutes of a sparkline: two of the longest window fit.
pub(super) const MINUTES: u32 = 60;
const WINDOW_DEFAULT: u32 = 5;
const LIMIT_DEFAULT: usize = 20;

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The largest rate.
    Rate,
    /// The largest difference to the window before, up or down.
    Change,
}

impl Order {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Change => "change",
        }
    }
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) zone: Tz,
    pub(super) meter: Meter,
    pub(super) order: Order,
    /// Minutes of the window.
    pub(super) window: u32,
    pub(super) limit: usize,
    scope: Scoped,
    groups_max: usize,
}

impl Plan {
    pub(super) fn read(
        parameters: &Parameters,
        principal: &Principal,
        zone_default: Tz,
        config: &Config,
    ) -> Result<Self> {
        let order = |text: &str| match text {
            "rate" => Some(Order::Rate),
            "change" => Some(Order::Change),
            _ => None,
        };
        let window = |text: &str| {
            let seconds = WINDOWS.contains(&text).then(|| moment::parse_span(text).ok()).flatten()?;
            u32::try_from(seconds / Tier::Minute.seconds()).ok()
        };
        let meter =
            |text: &str| Meter::ALL.into_iter().find(|meter| meter.is_usage() && meter.name() == text);
        Ok(Self {
            zone: parameters.zone(zone_default)?,
            meter: parameters.choice(name::METER, meter, METERS)?.unwrap_or(Meter::Evaluations),
            order: parameters.choice(name::BY, order, ORDERS)?.unwrap_or(Order::Rate),
            window: parameters.choice(name::WINDOW, window, WINDOWS)?.unwrap_or(WINDOW_DEFAULT),
            limit: parameters.number(name::LIMIT, config.groups_max)?.unwrap_or(LIMIT_DEFAULT),
            scope: principal.scope(Filter::default())?,
            groups_max: config.groups_ranked_max.min(config.cells_max / MINUTES as usize).max(1),
        })
    }

    /// The hour of minutes that ends with the last one of which all is in.
    pub(super) fn question(&self, complete_until: Timestamp) -> Question {
        let end = complete_until.floor_to(Tier::Minute.seconds());
        let edge = |before: u32| end.plus_seconds(-Tier::Minute.seconds() * i64::from(before));
        let mut edges: Vec<_> = (0..=MINUTES).rev().map(edge).collect();
        // Time begins in 1970.
        edges.dedup();
        Question {
            meter: self.meter,
            edges,
            scope: self.scope.clone(),
            group_by: vec![Dimension::Customer],
            groups_max: self.groups_max,
        }
    }
}
