//! Planned mutes: somebody plans a launch or a load test, says so beforehand, and nobody is woken by it.
//!
//! What is out of the ordinary meanwhile is kept as ever, and says by which mute it is muted. A mute is never changed or
//! removed: it is over when its time is, or when somebody ends it.

use std::fmt;

use flagmeter_model::{Name, Timestamp};

use crate::{Error, Position, Result, Subject};

const DAY_SECONDS: i64 = 86_400;

/// What tells a mute from all others: who makes one chooses it, so that the same may be said twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MuteId(u128);

impl MuteId {
    /// The one of these 128 bits.
    pub const fn new(bits: u128) -> Self {
        Self(bits)
    }

    /// The one of this text: `mute_` and 32 hexadecimal digits in lower case.
    pub fn from_text(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("mute_")?;
        let is_written_so =
            digits.len() == 32 && digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        is_written_so.then(|| u128::from_str_radix(digits, 16).ok()).flatten().map(Self)
    }
}

impl fmt::Display for MuteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mute_{:032x}", self.0)
    }
}

/// A mute as somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Muting {
    /// What tells it from all others.
    pub id: MuteId,
    /// What is muted, with all of its parts: a customer, a project or an environment.
    pub of: Subject,
    /// In force from then on,
    pub from: Timestamp,
    /// and until then, which is not in it.
    pub to: Timestamp,
    /// Why, for whoever sees what it mutes.
    pub reason: String,
    /// Who wants it.
    pub by: String,
}

/// A mute as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// Its place among mutes: 1 is the first.
    pub number: Position,
    /// What was wanted.
    pub muting: Muting,
    /// When, by the clock of who appended it.
    pub made_at: Timestamp,
    /// That somebody ended it before its time.
    pub ended: Option<Ended>,
}

/// That a mute was ended before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Who did.
    pub by: String,
}

/// What of a mute is new where it was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuteEnd {
    /// Which one.
    pub id: MuteId,
    /// When, and who did.
    pub ended: Ended,
}

/// Where a mute is in its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MuteState {
    /// It is to come.
    Planned,
    /// It is in force.
    Active,
    /// Its time is over, or it was ended.
    Over,
}

/// Where a mute stands in the order of [`Mutes`]: those that are over last come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MuteKey {
    /// When it is over.
    pub until: Timestamp,
    /// Its number.
    pub number: Position,
}

/// A question for mutes: those that are over last come first, so all that are in force or to come stand before all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutes {
    /// Whose; none means all.
    pub customers: Vec<Name>,
    /// Those alone that are there in their time; `None` means all.
    pub state: Option<MuteState>,
    /// At this time.
    pub at: Timestamp,
    /// Those that come after this.
    pub after: Option<MuteKey>,
    /// At most so many, at least 1.
    pub limit: usize,
}

/// Some mutes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MutePage {
    /// The mutes.
    pub mutes: Vec<Mute>,
    /// Everything up to here was looked at, also where nothing of it is meant. Ask on from here.
    pub looked_to: Option<MuteKey>,
    /// There may be more: ask again.
    pub more: bool,
}

impl MuteState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Planned, Self::Active, Self::Over];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Active => "active",
            Self::Over => "over",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl Mute {
    /// When it is over: at its time, or when it was ended.
    pub fn until(&self) -> Timestamp {
        self.ended.as_ref().map_or(self.muting.to, |ended| ended.at.min(self.muting.to))
    }

    /// Where it is in its time.
    pub fn state(&self, at: Timestamp) -> MuteState {
        if at >= self.until() {
            MuteState::Over
        } else if at >= self.muting.from {
            MuteState::Active
        } else {
            MuteState::Planned
        }
    }

    /// Its place in the order of [`Mutes`].
    pub fn key(&self) -> MuteKey {
        MuteKey { until: self.until(), number: self.number }
    }

    /// Whether it is in force at this time for what is out of the ordinary in this.
    pub fn covers(&self, of: &Subject, at: Timestamp) -> bool {
        self.muting.of.covers(of) && self.state(at) == MuteState::Active
    }
}

impl MuteEnd {
    /// What every end keeps to; else a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_words("Who ends a mute", &self.ended.by, Muting::BY_CHARS_MAX)
    }
}

impl Muting {
    /// Longest reason, in characters.
    pub const REASON_CHARS_MAX: usize = 200;
    /// Longest name of who makes one or ends it, in characters.
    pub const BY_CHARS_MAX: usize = 300;
    /// The longest one, in days.
    pub const DAYS_MAX: i64 = 31;
    /// How long before it begins one may be made, in days.
    pub const AHEAD_DAYS_MAX: i64 = 365;
    /// So many may be in force or to come.
    pub const STANDING_MAX: usize = 1_000;

    /// What every mute keeps to, whenever it is made; else a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { of, from, to, reason, by, .. } = self;
        if of.flag().is_some() {
            return Err(
                "A mute is of a customer, a project or an environment, and not of a flag alone.".into()
            );
        }
        if to <= from {
            return Err(format!("A mute ends after it begins: {to} is not after {from}."));
        }
        let longest = from.plus_seconds(Self::DAYS_MAX * DAY_SECONDS);
        if *to > longest {
            return Err(format!(
                "A mute lasts {} days at most: one from {from} ends by {longest}; make another one later.",
                Self::DAYS_MAX
            ));
        }
        check_words("The reason", reason, Self::REASON_CHARS_MAX)?;
        check_words("Who makes a mute", by, Self::BY_CHARS_MAX)
    }

    /// What one keeps to that is made now, where so many are in force or to come; else a sentence.
    fn check_now(&self, standing: usize, now: Timestamp) -> Result<(), String> {
        self.check()?;
        let Self { from, to, .. } = self;
        if *to <= now {
            return Err(format!("A mute ends in the future, and {to} is over: it is {now}."));
        }
        let latest = now.plus_seconds(Self::AHEAD_DAYS_MAX * DAY_SECONDS);
        if *from > latest {
            return Err(format!("A mute begins within a year: {from} is after {latest}."));
        }
        if standing >= Self::STANDING_MAX {
            return Err(format!(
                "{standing} mutes are in force or to come, and there may be {} at most: end those that nobody needs.",
                Self::STANDING_MAX
            ));
        }
        Ok(())
    }
}

/// That they are there, in one line, and not too long.
fn check_words(what: &str, words: &str, chars_max: usize) -> Result<(), String> {
    let is_one_line = !words.trim().is_empty() && !words.chars().any(char::is_control);
    if is_one_line && words.chars().count() <= chars_max {
        return Ok(());
    }
    Err(format!("{what} is told in 1 to {chars_max} characters, in one line."))
}

/// The mute that is wanted, as it is going to be kept. Pure.
pub(crate) fn new_mute(muting: Muting, standing: usize, end: Position, at: Timestamp) -> Result<Mute> {
    muting.check_now(standing, at).map_err(Error::Refused)?;
    Ok(Mute { number: end.next(), muting, made_at: at, ended: None })
}

/// That a mute is ended now, if there is anything to end. Pure.
pub(crate) fn new_end(mute: &Mute, by: String, at: Timestamp) -> Result<Option<MuteEnd>> {
    let end = MuteEnd { id: mute.muting.id, ended: Ended { at, by } };
    end.check().map_err(Error::Refused)?;
    Ok(Some(end).filter(|_| mute.state(at) != MuteState::Over))
}
