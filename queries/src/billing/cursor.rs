//! Cursors: places in the ledger, as callers hold them.
//!
//! A cursor is bound to whom it was made for: a customer, or all of them. It holds no secret, and gives nobody rows that
//! its token does not: a tag tells those of others, and made-up ones, from our own, and its digits tell nothing to who
//! looks at them.

use flagmeter_ledger::{MuteKey, Position, RowKey};
use flagmeter_model::{Environment, Meter, Name, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{Error, Result, hex};

/// Digits of a cursor at most: a key of three names of the greatest length is far shorter.
const DIGITS_MAX: usize = 8_192;
const TAG_BYTES: usize = 8;

/// What a cursor is for: one of another kind is refused.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A [`Snapshot`].
    Snapshot = 1,
    /// A [`PageKey`].
    Page = 2,
    /// A [`CrossedTo`].
    Crossings = 3,
    /// An [`AlertedTo`].
    Alerts = 4,
    /// A [`MutedTo`].
    Mutes = 5,
}

/// The ledger as it stood at some time. The same question to the same snapshot has the same answer for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Its last row.
    pub(super) end: Position,
    /// Until when hours were final. An hour in which nobody counted is closed without a row, so the last row alone does
    /// not tell.
    pub(super) until: Option<Timestamp>,
}

impl Snapshot {
    const BYTES: usize = 16;

    /// As a cursor of `owner`.
    pub(super) fn cursor(self, owner: Option<&Name>) -> String {
        sealed(Kind::Snapshot, owner, &self.bytes())
    }

    /// Reads the parameter `name`.
    pub(super) fn from_cursor(name: &'static str, text: &str, owner: Option<&Name>) -> Result<Self> {
        opened(Kind::Snapshot, owner, text).and_then(|bytes| Self::from_bytes(&bytes)).ok_or_else(|| {
            Error::parameter(
                name,
                "It is no cursor that this token was given: take `as_of` or `next` from an earlier answer to it, or \
                 leave it out.",
            )
        })
    }

    fn bytes(self) -> [u8; Self::BYTES] {
        let until = self.until.map_or(-1, Timestamp::as_millis);
        let mut bytes = [0; Self::BYTES];
        let (end, rest) = bytes.split_at_mut(8);
        end.copy_from_slice(&self.end.get().to_be_bytes());
        rest.copy_from_slice(&until.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (end, until) = bytes.split_first_chunk::<8>()?;
        let until = i64::from_be_bytes(<[u8; 8]>::try_from(until).ok()?);
        let until = (until != -1).then(|| Timestamp::from_millis(until)).transpose().ok()?;
        Some(Self { end: Position::new(u64::from_be_bytes(*end)), until })
    }
}

/// Where a page of hours ends, and of which question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageKey {
    /// All pages of an answer are of one snapshot.
    pub(super) snapshot: Snapshot,
    /// What was asked: [`digest`] of it.
    pub(super) question: u64,
    /// The last row.
    pub(super) last: RowKey,
}

impl PageKey {
    /// As a cursor of `owner`.
    pub(super) fn cursor(&self, owner: Option<&Name>) -> String {
        let Self { snapshot, question, last } = self;
        let mut bytes = snapshot.bytes().to_vec();
        bytes.extend_from_slice(&question.to_be_bytes());
        bytes.extend_from_slice(&last.hour.as_millis().to_be_bytes());
        bytes.extend_from_slice(&last.revision.to_be_bytes());
        bytes.push(last.meter.number());
        let Environment { customer, project, environment } = &last.environment;
        // Names hold no control characters.
        bytes.extend_from_slice([customer.as_str(), project, environment].join("\n").as_bytes());
        sealed(Kind::Page, owner, &bytes)
    }

    /// Reads the parameter `name` of this `question`.
    pub(super) fn from_cursor(
        name: &'static str,
        text: &str,
        owner: Option<&Name>,
        question: u64,
    ) -> Result<Self> {
        let key = opened(Kind::Page, owner, text).and_then(|bytes| Self::from_bytes(&bytes));
        key.filter(|key| key.question == question).ok_or_else(|| {
            Error::parameter(
                name,
                "It is not the `next` of an earlier answer to this question with this token: ask for the pages of an \
                 answer with the same range and filters, or leave it out to begin again.",
            )
        })
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (snapshot, rest) = bytes.split_at_checked(Snapshot::BYTES)?;
        let (question, rest) = rest.split_first_chunk::<8>()?;
        let (hour, rest) = rest.split_first_chunk::<8>()?;
        let (revision, rest) = rest.split_first_chunk::<4>()?;
        let (meter, names) = rest.split_first()?;
        let names = std::str::from_utf8(names).ok()?.split('\n').map(Name::new);
        let names: Vec<Name> = names.collect::<Result<_, _>>().ok()?;
        let [customer, project, environment] = <[Name; 3]>::try_from(names).ok()?;
        let last = RowKey {
            environment: Environment { customer, project, environment },
            hour: Timestamp::from_millis(i64::from_be_bytes(*hour)).ok()?,
            meter: Meter::from_number(*meter)?,
            revision: u32::from_be_bytes(*revision),
        };
        let snapshot = Snapshot::from_bytes(snapshot)?;
        Some(Self { snapshot, question: u64::from_be_bytes(*question), last })
    }
}

/// How far the crossings of thresholds were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CrossedTo(pub(super) Position);

impl CrossedTo {
    /// As a cursor of `owner`.
    pub(super) fn cursor(self, owner: Option<&Name>) -> String {
        sealed(Kind::Crossings, owner, &self.0.get().to_be_bytes())
    }

    /// Reads the parameter `name`.
    pub(super) fn from_cursor(name: &'static str, text: &str, owner: Option<&Name>) -> Result<Self> {
        place(Kind::Crossings, name, text, owner).map(Self)
    }
}

/// How far alerts were looked at. Those who may see them see them all, so it is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AlertedTo(pub(crate) Position);

impl AlertedTo {
    /// As a cursor.
    pub(crate) fn cursor(self) -> String {
        sealed(Kind::Alerts, None, &self.0.get().to_be_bytes())
    }

    /// Reads the parameter `name`.
    pub(crate) fn from_cursor(name: &'static str, text: &str) -> Result<Self> {
        place(Kind::Alerts, name, text, None).map(Self)
    }
}

/// How far mutes were looked at. It is nobody's, as that of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MutedTo(pub(crate) MuteKey);

impl MutedTo {
    /// As a cursor.
    pub(crate) fn cursor(self) -> String {
        let Self(MuteKey { until, number }) = self;
        sealed(Kind::Mutes, None, &[until.as_millis().to_be_bytes(), number.get().to_be_bytes()].concat())
    }

    /// Reads the parameter `name`.
    pub(crate) fn from_cursor(name: &'static str, text: &str) -> Result<Self> {
        opened(Kind::Mutes, None, text)
            .and_then(|bytes| Self::from_bytes(&bytes))
            .ok_or_else(|| not_next(name))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (until, number) = bytes.split_first_chunk::<8>()?;
        let number = Position::new(u64::from_be_bytes(<[u8; 8]>::try_from(number).ok()?));
        Some(Self(MuteKey { until: Timestamp::from_millis(i64::from_be_bytes(*until)).ok()?, number }))
    }
}

/// A place in something that is told in order.
fn place(kind: Kind, name: &'static str, text: &str, owner: Option<&Name>) -> Result<Position> {
    let bytes = opened(kind, owner, text).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    bytes.map(|bytes| Position::new(u64::from_be_bytes(bytes))).ok_or_else(|| not_next(name))
}

fn not_next(name: &'static str) -> Error {
    Error::parameter(
        name,
        "It is not the `next` of an earlier answer of this address to this token: take that, or leave it out to \
         begin with the first.",
    )
}

/// A short digest of the parts of a question.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        // With their lengths, so that no two lists of parts look the same.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

fn sealed(kind: Kind, owner: Option<&Name>, bytes: &[u8]) -> String {
    let tag = tag(kind, owner, bytes);
    let mut sealed = tag.to_vec();
    sealed.extend(bytes.iter().zip(veil(&tag, owner)).map(|(byte, veil)| byte ^ veil));
    hex::write(&sealed)
}

fn opened(kind: Kind, owner: Option<&Name>, text: &str) -> Option<Vec<u8>> {
    let sealed = hex::read(text).filter(|_| text.len() <= DIGITS_MAX)?;
    let (given, veiled) = sealed.split_first_chunk::<TAG_BYTES>()?;
    let bytes: Vec<u8> = veiled.iter().zip(veil(given, owner)).map(|(byte, veil)| byte ^ veil).collect();
    (tag(kind, owner, &bytes) == *given).then_some(bytes)
}

fn tag(kind: Kind, owner: Option<&Name>, bytes: &[u8]) -> [u8; TAG_BYTES] {
    let kind = [kind as u8];
    digest([&b"flagmeter cursor"[..], &kind, owned(owner), bytes]).to_be_bytes()
}

/// As many bytes as are needed to cover those of a cursor with this tag.
fn veil(tag: &[u8; TAG_BYTES], owner: Option<&Name>) -> impl Iterator<Item = u8> {
    let veil = move |at: u32| digest([&b"flagmeter veil"[..], tag, owned(owner), &at.to_be_bytes()]);
    (0..).flat_map(move |at| veil(at).to_be_bytes())
}

/// No name is empty.
fn owned(owner: Option<&Name>) -> &[u8] {
    owner.map_or(&[], |owner| owner.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn snapshot(end: u64, until: Option<i64>) -> Snapshot {
        Snapshot { end: Position::new(end), until: until.map(Timestamp::from_seconds_clamped) }
    }

    #[test]
    fn a_cursor_leads_back_for_its_owner_alone() {
        let owners = [None, Some(name("acme")), Some(name("globex"))];
        for state in [snapshot(0, None), snapshot(7, Some(0)), snapshot(u64::MAX, Some(1_764_000_000))] {
            for owner in &owners {
                let cursor = state.cursor(owner.as_ref());
                for reader in &owners {
                    let read = Snapshot::from_cursor("as_of", &cursor, reader.as_ref());
                    assert_eq!(read.ok(), (reader == owner).then_some(state), "{cursor}");
                }
            }
        }
    }

    #[test]
    fn what_is_made_up_or_changed_by_a_digit_is_refused() {
        let cursor = snapshot(7, Some(3_600)).cursor(None);
        let read = |text: &str| Snapshot::from_cursor("after", text, None);
        assert!(read(&cursor).is_ok());
        for at in 0..cursor.len() {
            let digit = if cursor.as_bytes()[at] == b'0' { "1" } else { "0" };
            let mut other = cursor.clone();
            other.replace_range(at..=at, digit);
            assert!(read(&other).is_err(), "{other}");
        }
        for wrong in ["", "7", "00", "zz", &cursor[2..], &format!("{cursor}00"), &"0".repeat(48)] {
            let refused = read(wrong).unwrap_err().to_string();
            assert!(refused.starts_with("Parameter after:"), "{refused}");
        }
    }

    #[test]
    fn a_page_belongs_to_its_question() {
        let environment =
            Environment { customer: name("acme"), project: name("wéb, \"x\""), environment: name("p") };
        let last = RowKey {
            environment,
            hour: Timestamp::from_seconds_clamped(3_600),
            meter: Meter::Requests,
            revision: 3,
        };
        let key = PageKey { snapshot: snapshot(9, Some(7_200)), question: 5, last };
        let cursor = key.cursor(None);
        assert_eq!(PageKey::from_cursor("after", &cursor, None, 5).unwrap(), key);
        assert!(PageKey::from_cursor("after", &cursor, None, 6).is_err());
        assert!(PageKey::from_cursor("after", &cursor, Some(&name("acme")), 5).is_err());
        assert!(Snapshot::from_cursor("as_of", &cursor, None).is_err());
        assert!(PageKey::from_cursor("after", &key.snapshot.cursor(None), None, 5).is_err());
    }
}
