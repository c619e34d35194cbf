//! The series of an environment, read fast: they are most of a record.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

use crate::{Meter, Name, SeriesKey};

/// A series as it stands in the record, with its names where they are.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(rename = "m")]
    meter: Meter,
    #[serde(rename = "n", borrow)]
    name: Text<'a>,
    #[serde(rename = "v", default, borrow)]
    variant: Option<Text<'a>>,
    #[serde(rename = "s", default, borrow)]
    sdk: Option<Text<'a>>,
}

/// A text that is borrowed from the record unless it was escaped. Also behind an `Option`, where serde's own
/// `Cow` is always copied.
struct Text<'a>(Cow<'a, str>);

/// Reads the series of an environment. Neighbours share their names: series are in order, so the variants of a
/// flag stand together, and the SDK is mostly that of the one before.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SeriesKey>, D::Error> {
    deserializer.deserialize_seq(SeriesVisitor)
}

struct SeriesVisitor;

impl<'de> Visitor<'de> for SeriesVisitor {
    type Value = Vec<SeriesKey>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut series: Vec<SeriesKey> = Vec::new();
        while let Some(Written { meter, name, variant, sdk }) = list.next_element()? {
            let before = series.last();
            let shared = |text: Text<'_>, before: Option<&Name>| match before {
                Some(before) if before.as_str() == text.0 => Ok(before.clone()),
                _ => Name::new(&text.0).map_err(de::Error::custom),
            };
            let key = SeriesKey {
                meter,
                name: shared(name, before.map(|key| &key.name))?,
                variant: variant
                    .map(|text| shared(text, before.and_then(|key| key.variant.as_ref())))
                    .transpose()?,
                sdk: sdk.map(|text| shared(text, before.and_then(|key| key.sdk.as_ref()))).transpose()?,
            };
            series.push(key);
        }
        Ok(series)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.into())))
    }
}
