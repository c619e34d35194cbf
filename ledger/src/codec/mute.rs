//! Mutes in records.

use std::borrow::Cow;

use flagmeter_model::Name;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::wire::{Instant, Number};
use crate::{Ended, Mute, MuteEnd, MuteId, Muting, Subject};

/// The name of a mute.
#[derive(Debug, Clone, Copy)]
pub(super) struct WireMuteId(pub(super) MuteId);

impl Serialize for WireMuteId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for WireMuteId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        MuteId::from_text(&text).map(Self).ok_or_else(|| de::Error::custom(format!("{text:?} is no mute")))
    }
}

/// A mute.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireMute {
    number: Number,
    id: WireMuteId,
    customer: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<Name>,
    from: Instant,
    to: Instant,
    reason: String,
    made_by: String,
    made_at: Instant,
}

impl WireMute {
    /// Its end, if it has one, is an entry of its own.
    pub(super) fn of(mute: &Mute) -> Self {
        let Muting { id, of, from, to, reason, by } = mute.muting.clone();
        Self {
            number: Number::of(mute.number),
            id: WireMuteId(id),
            customer: of.customer().clone(),
            project: of.project().cloned(),
            environment: of.environment().cloned(),
            from: Instant(from),
            to: Instant(to),
            reason,
            made_by: by,
            made_at: Instant(mute.made_at),
        }
    }

    /// The mute.
    pub(super) fn mute(self) -> Result<Mute, String> {
        let Self { customer, project, environment, reason, .. } = self;
        let (id, from, to, by) = (self.id.0, self.from.0, self.to.0, self.made_by);
        let of = Subject::from_names(customer, project, environment, None);
        let of = of.ok_or("a mute is of a part of what it does not name")?;
        let muting = Muting { id, of, from, to, reason, by };
        Ok(Mute { number: self.number.position()?, muting, made_at: self.made_at.0, ended: None })
    }
}

/// That one was ended.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireMuteEnd {
    id: WireMuteId,
    ended_by: String,
    ended_at: Instant,
}

impl WireMuteEnd {
    pub(super) fn of(MuteEnd { id, ended: Ended { at, by } }: &MuteEnd) -> Self {
        Self { id: WireMuteId(*id), ended_by: by.clone(), ended_at: Instant(*at) }
    }

    pub(super) fn end(self) -> MuteEnd {
        MuteEnd { id: self.id.0, ended: Ended { at: self.ended_at.0, by: self.ended_by } }
    }
}
