//! Where the value of each setting comes from.

use std::{fmt, path::PathBuf};

use super::{
    edit_distance::nearest,
    table::{SETTINGS, Setting},
    value::Value,
};
use crate::{Error, Result};

const PREFIX: &str = "FLAGMETER_";

/// Who gave a setting its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File { path: PathBuf, line: usize },
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// The text of every setting and its source, in the order of the table.
#[derive(Debug)]
pub(crate) struct Sources(Vec<(String, Source)>);

impl Sources {
    /// What holds when nobody says anything.
    pub(super) fn defaults() -> Self {
        Self(SETTINGS.iter().map(|setting| (setting.default.to_owned(), Source::Default)).collect())
    }

    /// Every setting with its text and its source.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static Setting, &str, &Source)> {
        SETTINGS.iter().zip(&self.0).map(|(setting, (text, source))| (setting, text.as_str(), source))
    }

    /// Sets `section.name`; refuses one that is not in the table.
    pub(super) fn set(&mut self, name: &str, text: String, source: Source) -> Result<()> {
        let Some(at) = SETTINGS.iter().position(|setting| setting.is_named(name)) else {
            let known = nearest(name, SETTINGS.iter().map(Setting::full_name));
            return Err(Error::Config(format!("there is no setting {name} ({source}): {known}")));
        };
        self.0[at] = (text, source);
        Ok(())
    }

    pub(super) fn take_flag(&mut self, flag: &'static str, name: &str, text: String) -> Result<()> {
        self.set(name, text, Source::Flag(flag))
    }

    /// Takes `FLAGMETER_<SECTION>_<NAME>`. A variable that begins like a section's but is no setting is a
    /// mistake; others are not ours to judge.
    pub(super) fn take_environment(
        &mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<()> {
        for (variable, text) in variables.filter(|(name, _)| name.starts_with(PREFIX)) {
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == variable) {
                self.set(&setting.full_name(), text, Source::Variable(variable))?;
            } else if SETTINGS.iter().any(|setting| {
                variable.starts_with(&format!("{PREFIX}{}_", setting.section.to_ascii_uppercase()))
            }) {
                let known = nearest(&variable, SETTINGS.iter().map(Setting::variable));
                return Err(Error::Config(format!(
                    "the environment variable {variable} is no setting: {known}"
                )));
            }
        }
        Ok(())
    }

    /// The value of a setting, or the sentence that says what is wrong with it.
    pub(super) fn value<V: Value>(&self, section: &str, name: &str) -> Result<V> {
        let Some((setting, text, source)) =
            self.iter().find(|(setting, ..)| setting.section == section && setting.name == name)
        else {
            return Err(Error::Config(format!("there is no setting {section}.{name}")));
        };
        V::parse(text)
            .map_err(|fix| Error::Config(format!("{} is {text:?} ({source}): {fix}", setting.full_name())))
    }

    /// Whether nobody has said anything about a setting.
    pub(crate) fn is_default(&self, name: &str) -> bool {
        self.iter().any(|(setting, _, source)| setting.is_named(name) && *source == Source::Default)
    }

    /// How to speak of a setting in a sentence: its name, its text and its source.
    pub(super) fn quote(&self, name: &str) -> String {
        self.iter()
            .find(|(setting, ..)| setting.is_named(name))
            .map_or_else(|| name.to_owned(), |(_, text, source)| format!("{name} is {text:?} ({source})"))
    }
}

impl Setting {
    /// `section.name`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// `FLAGMETER_SECTION_NAME`.
    pub(crate) fn variable(&self) -> String {
        format!("{PREFIX}{}_{}", self.section, self.name).to_ascii_uppercase()
    }

    fn is_named(&self, name: &str) -> bool {
        name.split_once('.').is_some_and(|(section, name)| self.section == section && self.name == name)
    }
}
