//! What was taken of a request, and what became of the rest.

use flagmeter_model::{Meter, Name, Slot, Timestamp};

use super::{Entries, Entry};

/// Why an entry was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// A count below zero.
    NegativeCount,
    /// A count that is not whole.
    FractionalCount,
    /// A count above [`flagmeter_model::Limits::ENTRY_COUNT_MAX`].
    CountTooLarge,
    /// A count that is not a number.
    NotANumber,
    /// An entry without a count.
    CountMissing,
    /// An empty name, or none.
    NameEmpty,
    /// A name longer than [`flagmeter_model::Limits::NAME_BYTES_MAX`].
    NameTooLong,
    /// A name with a control character.
    NameControl,
    /// A name or variant that is not a text.
    NameNotText,
    /// An event time older than is accepted.
    TooOld,
    /// An event time farther ahead than is accepted.
    TooNew,
    /// An event time that is not RFC 3339, or out of the years that can be.
    TimeUnreadable,
    /// An entry that is not of the format's shape.
    Malformed,
    /// More entries than one request may hold.
    TooManyEntries,
}

impl Rejection {
    /// The word that the sender, the series and the metrics show.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NegativeCount => "negative_count",
            Self::FractionalCount => "fractional_count",
            Self::CountTooLarge => "count_too_large",
            Self::NotANumber => "not_a_number",
            Self::CountMissing => "count_missing",
            Self::NameEmpty => "name_empty",
            Self::NameTooLong => "name_too_long",
            Self::NameControl => "name_control_character",
            Self::NameNotText => "name_not_text",
            Self::TooOld => "too_old",
            Self::TooNew => "too_new",
            Self::TimeUnreadable => "time_unreadable",
            Self::Malformed => "malformed_entry",
            Self::TooManyEntries => "too_many_entries",
        }
    }

    /// Why a name is refused.
    fn of_name(error: &flagmeter_model::Error) -> Self {
        match error {
            flagmeter_model::Error::NameTooLong { .. } => Self::NameTooLong,
            flagmeter_model::Error::NameControl => Self::NameControl,
            _ => Self::NameEmpty,
        }
    }
}

/// What a request may hold at most, and from when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Entries that are taken; the rest is rejected.
    pub entries_max: usize,
    /// Earliest event time.
    pub at_min: Timestamp,
    /// Latest event time.
    pub at_max: Timestamp,
}

/// An entry that was rejected, for the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its position in the request, from 0.
    pub index: u32,
    /// Why.
    pub why: Rejection,
}

/// What was taken of one request for one environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// The good entries with a count above zero.
    pub entries: Entries,
    /// The SDK, where it says who it is.
    pub sdk: Option<Box<str>>,
    /// All that arrived: the sum of the counts, and 1 for each that could not be read.
    pub received: u64,
    /// What of it was rejected, by reason.
    pub rejected: Vec<(&'static str, u64)>,
    /// Entries that were accepted; those that count zero are, and leave nothing behind.
    pub accepted: u32,
    /// The first entries that were rejected, in order.
    pub listed: Vec<Listed>,
    /// Rejected entries that are not listed.
    pub unlisted: u32,
    seen: u32,
}

/// An entry as it was read, to be judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'e> {
    pub(super) meter: Meter,
    pub(super) name: Result<&'e str, Rejection>,
    pub(super) variant: Result<Option<&'e str>, Rejection>,
    pub(super) count: Result<u64, Rejection>,
    pub(super) at: Result<Option<Timestamp>, Rejection>,
}

impl<'e> Candidate<'e> {
    pub(super) const fn new(meter: Meter, name: &'e str, count: Result<u64, Rejection>) -> Self {
        Self { meter, name: Ok(name), variant: Ok(None), count, at: Ok(None) }
    }
}

impl Taken {
    /// Rejected entries that a reply lists at most: replies to repeat are kept on disk.
    const LISTED_MAX: usize = 100;

    pub(super) fn for_body(bytes: usize) -> Self {
        Self { entries: Entries::for_body(bytes), ..Self::default() }
    }

    /// A whole request that cannot be read: it weighs 1, and has one reason.
    pub fn nothing(reason: &'static str) -> Self {
        Self { received: 1, rejected: vec![(reason, 1)], ..Self::default() }
    }

    /// Judges the next entry.
    pub(super) fn judge(&mut self, candidate: &Candidate<'_>, bounds: &Bounds) {
        let index = self.seen;
        self.seen = self.seen.saturating_add(1);
        let weight = candidate.count.unwrap_or(1);
        self.received = self.received.saturating_add(weight);
        let judged = if index as usize >= bounds.entries_max {
            Err(Rejection::TooManyEntries)
        } else {
            candidate.entry(bounds)
        };
        match judged {
            Ok(entry) => {
                self.accepted += 1;
                if entry.count > 0 {
                    self.entries.push(&entry);
                }
            }
            Err(why) => self.reject(index, why, weight),
        }
    }

    fn reject(&mut self, index: u32, why: Rejection, weight: u64) {
        if self.listed.len() < Self::LISTED_MAX {
            self.listed.push(Listed { index, why });
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
        match self.rejected.iter_mut().find(|(word, _)| *word == why.word()) {
            Some((_, sum)) => *sum = sum.saturating_add(weight),
            None => self.rejected.push((why.word(), weight)),
        }
    }

    /// Names the SDK, if the label can be a name; a label that cannot is left out, its counts are good.
    pub fn label_sdk(&mut self, label: Option<&str>) {
        self.sdk = label.filter(|label| Name::check(label).is_ok()).map(Into::into);
    }
}

impl<'e> Candidate<'e> {
    fn entry(&self, bounds: &Bounds) -> Result<Entry<'e>, Rejection> {
        let count = self.count?;
        let name = self.name?;
        Name::check(name).map_err(|error| Rejection::of_name(&error))?;
        let variant = self.variant?;
        if let Some(variant) = variant {
            Name::check(variant).map_err(|error| Rejection::of_name(&error))?;
        }
        let at = self.at?;
        match at {
            Some(at) if at < bounds.at_min => return Err(Rejection::TooOld),
            Some(at) if at > bounds.at_max => return Err(Rejection::TooNew),
            _ => {}
        }
        Ok(Entry { meter: self.meter, name, variant, count, slot: at.map(Slot::containing) })
    }
}

#[cfg(test)]
impl Taken {
    /// Counts taken, counts rejected: together they are what was received.
    pub(crate) fn sums(&self) -> (u64, u64) {
        (
            self.entries.iter().map(|entry| entry.count).sum(),
            self.rejected.iter().map(|&(_, weight)| weight).sum(),
        )
    }

    /// The rejected entries as (index, word).
    pub(crate) fn words(&self) -> Vec<(u32, &'static str)> {
        self.listed.iter().map(|listed| (listed.index, listed.why.word())).collect()
    }
}

#[cfg(test)]
impl Bounds {
    /// Bounds around a time in 2026, for tests.
    pub(crate) fn for_tests() -> Self {
        let now = Timestamp::parse_rfc3339("2026-11-20T12:45:00Z").unwrap();
        Self { entries_max: 100, at_min: now.plus_seconds(-6 * 86_400), at_max: now.plus_seconds(600) }
    }
}
