//! Thresholds of plans that were crossed: each once in a period, for good.

use std::fmt::Write as _;

use flagmeter_model::{Meter, Name, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{Error, Position, Result};

/// A threshold that was found to be crossed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossed {
    /// Whose.
    pub customer: Name,
    /// What was counted: evaluations or requests.
    pub meter: Meter,
    /// Start of the period.
    pub period: Timestamp,
    /// The part of what is included, in percent.
    pub percent: u16,
    /// Whether the plan says that it is a hard one.
    pub hard: bool,
    /// What the plan included in the period when this was found.
    pub included: u64,
    /// What was used in the period when this was found: at least that part of it.
    pub used: u64,
}

/// A crossing as it is kept. Never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// Its place among crossings: 1 is the first.
    pub number: Position,
    /// What was crossed.
    pub crossed: Crossed,
    /// When this was found, by the clock of who appended it.
    pub crossed_at: Timestamp,
}

/// A question for crossings, in the order in which they became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossings {
    /// Whose; none means all.
    pub customers: Vec<Name>,
    /// Those after this.
    pub after: Position,
    /// At most so many, at least 1.
    pub limit: usize,
}

/// Some crossings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CrossingPage {
    /// The crossings.
    pub crossings: Vec<Crossing>,
    /// Everything up to here was looked at, also where nothing of it is meant. Ask on from here.
    pub looked_to: Position,
    /// There may be more: ask again.
    pub more: bool,
}

impl Crossed {
    /// Crossings that are appended in one step at most: they fit into one record.
    pub const AT_ONCE_MAX: usize = 500;

    /// What tells it from all others: there is one crossing of each.
    pub fn key(&self) -> (&Name, Meter, Timestamp, u16) {
        (&self.customer, self.meter, self.period, self.percent)
    }

    /// A name for it that is the same wherever and whenever it is told: letters, digits and a `_`.
    pub fn id(&self) -> String {
        let Self { customer, meter, period, percent, .. } = self;
        // No name holds a line feed.
        let key = format!("{customer}\n{meter}\n{period}\n{percent}");
        let digest = Sha256::digest(key);
        digest.iter().take(16).fold("crossing_".to_owned(), |mut id, byte| {
            let _infallible = write!(id, "{byte:02x}");
            id
        })
    }

    /// What every crossing keeps to; else a sentence that goes on after what it is.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if !self.meter.is_usage() {
            return Err("counts what nobody is billed for");
        }
        if self.percent == 0 || self.included == 0 {
            return Err("is no part of anything");
        }
        if self.used > i64::MAX.unsigned_abs() || self.included > i64::MAX.unsigned_abs() {
            return Err("counts more than can be kept");
        }
        if u128::from(self.used) * 100 < u128::from(self.included) * u128::from(self.percent) {
            return Err("was not crossed with what was used");
        }
        Ok(())
    }
}

/// The crossings that are there for the first time, in the order given; `known` tells those that are kept. Pure.
pub fn first_crossings(
    crossed: &[Crossed],
    mut known: impl FnMut(&Crossed) -> Result<bool>,
    end: Position,
    at: Timestamp,
) -> Result<Vec<Crossing>> {
    if crossed.len() > Crossed::AT_ONCE_MAX {
        return Err(Error::NotBillable(format!(
            "{} crossings are more than the {} of one step: append them in several",
            crossed.len(),
            Crossed::AT_ONCE_MAX
        )));
    }
    let mut first: Vec<Crossing> = Vec::new();
    for crossed in crossed {
        crossed.check().map_err(|why| {
            let Crossed { customer, percent, .. } = crossed;
            Error::NotBillable(format!("the threshold of {percent} percent of {customer} {why}"))
        })?;
        let is_twice = first.iter().any(|other| other.crossed.key() == crossed.key());
        if !is_twice && !known(crossed)? {
            let number = first.last().map_or(end, |last| last.number).next();
            first.push(Crossing { number, crossed: crossed.clone(), crossed_at: at });
        }
    }
    Ok(first)
}
