//! Instants as people read them, for serde: RFC 3339 in UTC.

use std::borrow::Cow;

use flagmeter_model::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Writes one.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(crate) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

/// Reads one.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = Cow::<'_, str>::deserialize(from)?;
    Timestamp::parse_rfc3339(&text).map_err(D::Error::custom)
}

/// The same where there may be none.
pub(crate) mod option {
    use super::{Cow, Deserialize, Deserializer, Serializer, Timestamp};

    /// Writes one, or null.
    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(crate) fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, to),
            None => to.serialize_none(),
        }
    }

    /// Reads one, or null.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        use serde::de::Error as _;
        Option::<Cow<'_, str>>::deserialize(from)?
            .map(|text| Timestamp::parse_rfc3339(&text).map_err(D::Error::custom))
            .transpose()
    }
}
