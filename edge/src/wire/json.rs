//! Pieces of JSON that are looked at one by one, so that a bad one does not take its neighbours with it.

use std::{borrow::Cow, fmt};

use flagmeter_model::Timestamp;
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{de::StrRead, value::RawValue};

use super::{Rejection, Unreadable, number::count_of};

/// Calls `each` with every key and the text of its value: also with a key that comes twice, each time.
struct Object<F>(F);

impl<'de, F: FnMut(Result<&str, Rejection>, &'de RawValue)> Visitor<'de> for Object<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut key = String::new();
        loop {
            match map.next_key_seed(Key(&mut key))? {
                None => return Ok(()),
                Some(KeyText::Borrowed(key)) => (self.0)(Ok(key), map.next_value()?),
                Some(KeyText::Copied) => (self.0)(Ok(&key), map.next_value()?),
                Some(KeyText::None) => (self.0)(Err(Rejection::NameNotText), map.next_value()?),
            }
        }
    }
}

/// Reads an object's key without an allocation of its own. It is read as bytes: half of a surrogate pair
/// (`\ud800`) is valid JSON and no text, and as a text it would refuse the whole body.
struct Key<'k>(&'k mut String);

enum KeyText<'de> {
    Borrowed(&'de str),
    Copied,
    /// The key is no text.
    None,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = KeyText<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<KeyText<'de>, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = KeyText<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<KeyText<'de>, E> {
        Ok(std::str::from_utf8(bytes).map_or(KeyText::None, KeyText::Borrowed))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<KeyText<'de>, E> {
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(KeyText::None) };
        self.0.clear();
        self.0.push_str(text);
        Ok(KeyText::Copied)
    }
}

/// Calls `each` with the text of every element.
struct Array<F>(F);

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Array<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        while let Some(element) = array.next_element()? {
            (self.0)(element);
        }
        Ok(())
    }
}

/// Walks through a whole body that must be an object; keys that are no text come as their rejection.
pub(super) fn object<'de>(
    body: &'de [u8],
    shape: &'static str,
    each: impl FnMut(Result<&str, Rejection>, &'de RawValue),
) -> Result<(), Unreadable> {
    let mut json = reader(body)?;
    let read = json.deserialize_map(Object(each)).and_then(|()| json.end());
    read.map_err(|error| Unreadable::of(&error, shape))
}

/// Walks through a whole body that must be an array.
pub(super) fn array<'de>(
    body: &'de [u8],
    shape: &'static str,
    each: impl FnMut(&'de RawValue),
) -> Result<(), Unreadable> {
    let mut json = reader(body)?;
    let read = json.deserialize_seq(Array(each)).and_then(|()| json.end());
    read.map_err(|error| Unreadable::of(&error, shape))
}

fn reader(body: &[u8]) -> Result<serde_json::Deserializer<StrRead<'_>>, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotJson)?;
    Ok(serde_json::Deserializer::from_str(text))
}

/// The fields of an element that must be an object: derived readers would take an array too, by position.
pub(super) fn row<'b, R: Deserialize<'b>>(element: &'b RawValue) -> Result<R, Rejection> {
    if !element.get().starts_with('{') {
        return Err(Rejection::Malformed);
    }
    serde_json::from_str(element.get()).map_err(|_| Rejection::Malformed)
}

/// The text of a JSON string.
pub(super) fn text_of(value: &RawValue) -> Result<Cow<'_, str>, Rejection> {
    let quoted = value.get();
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        None => Err(Rejection::NameNotText),
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        Some(_) => serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Rejection::NameNotText),
    }
}

/// The text of a field that must be there.
pub(super) fn name_of(value: Option<&RawValue>) -> Result<Cow<'_, str>, Rejection> {
    value.map_or(Err(Rejection::NameEmpty), text_of)
}

/// The count of a field that must be there.
pub(super) fn count_in(value: Option<&RawValue>) -> Result<u64, Rejection> {
    value.map_or(Err(Rejection::CountMissing), |value| count_of(value.get()))
}

/// The time of a field that may be there.
pub(super) fn time_in(value: Option<&RawValue>) -> Result<Option<Timestamp>, Rejection> {
    let Some(value) = value else { return Ok(None) };
    let text = text_of(value).map_err(|_| Rejection::TimeUnreadable)?;
    Timestamp::parse_rfc3339(&text).map(Some).map_err(|_| Rejection::TimeUnreadable)
}
