//! Where the value of each setting comes from.

use std::{ffi::OsString, fmt, path::PathBuf};

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

/// The text of every setting and its source, in the order of the table. Texts may hold secrets.
pub(crate) struct Sources(Vec<(String, Source)>);

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown =
            self.iter().map(|(setting, text, source)| (setting.full_name(), (setting.shown(text), source)));
        f.debug_map().entries(shown).finish()
    }
}

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

    /// Takes `FLAGMETER_<SECTION>_<NAME>`. Any other variable that begins so is a mistake, but for [those of
    /// others](is_of_others).
    pub(super) fn take_environment(
        &mut self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<()> {
        for (variable, text) in variables {
            let Some(variable) = variable.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            let text = text.to_str().ok_or_else(|| {
                Error::Config(format!("the environment variable {variable} is no text: write it in UTF-8"))
            })?;
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == variable) {
                self.set(&setting.full_name(), text.to_owned(), Source::Variable(variable.to_owned()))?;
            } else if !is_of_others(variable, text) {
                let known = nearest(variable, SETTINGS.iter().map(Setting::variable));
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
        V::parse(text).map_err(|fix| {
            let shown = setting.shown(text);
            Error::Config(format!("{} is {shown:?} ({source}): {fix}", setting.full_name()))
        })
    }

    /// Whether nobody has said anything about a setting.
    pub(crate) fn is_default(&self, name: &str) -> bool {
        self.iter().any(|(setting, _, source)| setting.is_named(name) && *source == Source::Default)
    }

    /// How to speak of a setting in a sentence: its name, its text and its source.
    pub(super) fn quote(&self, name: &str) -> String {
        self.iter().find(|(setting, ..)| setting.is_named(name)).map_or_else(
            || name.to_owned(),
            |(setting, text, source)| format!("{name} is {:?} ({source})", setting.shown(text)),
        )
    }
}

/// Whether a variable that begins like a setting's is something else: what commands take besides settings, what
/// the build, tests and CI take, and what Kubernetes sets in the pods beside a service whose name begins with
/// `flagmeter`.
fn is_of_others(variable: &str, text: &str) -> bool {
    let of_commands = ["FLAGMETER_CONFIG", "FLAGMETER_KEY", "FLAGMETER_TOKEN", "FLAGMETER_URL"];
    // In `FLAGMETER_UI=plain cargo run` the server sees it as well.
    let of_the_build = "FLAGMETER_UI";
    let of_tests =
        ["FLAGMETER_CI_", "FLAGMETER_FAULTS_", "FLAGMETER_KILL_", "FLAGMETER_SERVICES", "FLAGMETER_TEST_"];
    let is_address = text.split_once("://").is_some_and(|(kind, _)| matches!(kind, "tcp" | "udp" | "sctp"));
    let is_of_port = |(_, port): (&str, &str)| port.starts_with(|letter: char| letter.is_ascii_digit());
    of_commands.contains(&variable)
        || variable == of_the_build
        || of_tests.iter().any(|prefix| variable.starts_with(prefix))
        || variable.ends_with("_SERVICE_HOST")
        || variable.contains("_SERVICE_PORT")
        || (variable.ends_with("_PORT") && is_address)
        || variable.split_once("_PORT_").is_some_and(is_of_port)
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

    /// A text of this setting as it may be shown.
    fn shown(&self, text: &str) -> String {
        (self.hidden)(text).unwrap_or_else(|| text.to_owned())
    }

    fn is_named(&self, name: &str) -> bool {
        name.split_once('.').is_some_and(|(section, name)| self.section == section && self.name == name)
    }
}
