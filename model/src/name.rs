//! Names that strangers choose.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    ops::Deref,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{Error, Limits, Result};

/// A name from outside: a customer, a flag, a variant. Not empty, at most [`Limits::NAME_BYTES_MAX`] bytes,
/// no control characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Cow<'_, str>", into = "String")]
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
        if text.chars().any(char::is_control) {
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

impl TryFrom<Cow<'_, str>> for Name {
    type Error = Error;
    fn try_from(text: Cow<'_, str>) -> Result<Self> {
        Self::new(&text)
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
