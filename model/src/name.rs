//! Names that strangers choose.

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, Limits, Result};

/// A name from outside: a customer, a flag, a variant. Not empty, at most [`Limits::NAME_BYTES_MAX`] bytes,
/// no control characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Checks and takes a name as it is: nothing is trimmed, folded or replaced.
    pub fn new(text: &str) -> Result<Self> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }

    /// Whether [`new`](Self::new) would take this text, without taking it.
    pub fn check(text: &str) -> Result<()> {
        if text.is_empty() {
            return Err(Error::NameEmpty);
        }
        if text.len() > Limits::NAME_BYTES_MAX {
            return Err(Error::NameTooLong { bytes: text.len(), bytes_max: Limits::NAME_BYTES_MAX });
        }
        // Nearly all names are plain ASCII, which is checked eight bytes and more at a time.
        let is_plain = text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
        if !is_plain && text.chars().any(char::is_control) {
            return Err(Error::NameControl);
        }
        Ok(())
    }

    /// The name that stands for all that were folded or left out together: `__other__`.
    pub fn other() -> Self {
        Self(Limits::OTHER.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Name {
    type Error = Error;
    fn try_from(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_ref().into()
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// By hand, so that the text is copied once.
impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Name, E> {
                Name::new(text).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

impl Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_taken_as_it_is_or_not_at_all(text: String) {
            let fits = !text.is_empty() && text.len() <= Limits::NAME_BYTES_MAX && !text.contains(char::is_control);
            let name = Name::new(&text);
            prop_assert_eq!(name.is_ok(), fits);
            if let Ok(name) = name {
                prop_assert_eq!(name.as_str(), &text);
                let json = serde_json::to_string(&name).expect("encodes");
                prop_assert_eq!(serde_json::from_str::<Name>(&json).expect("decodes"), name);
            }
        }
    }

    #[test]
    fn each_broken_rule_is_named() {
        assert_eq!(Name::new(""), Err(Error::NameEmpty));
        let bytes_max = Limits::NAME_BYTES_MAX;
        assert!(Name::new(&"x".repeat(bytes_max)).is_ok());
        // Bytes, not characters.
        assert_eq!(
            Name::new(&"ü".repeat(bytes_max)),
            Err(Error::NameTooLong { bytes: 2 * bytes_max, bytes_max })
        );
        for control in ["a\nb", "a\0", "\u{7f}", "\u{85}"] {
            assert_eq!(Name::new(control), Err(Error::NameControl), "{control:?}");
        }
        assert!(serde_json::from_str::<Name>("\"a\\nb\"").is_err(), "what is read is checked as well");
    }
}
