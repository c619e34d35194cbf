//! Settings from a TOML file, each with the line it stands on.

use std::{fs, path::Path};

use toml::de::{DeTable, DeValue};

use super::sources::{Source, Sources};
use crate::{Error, Result};

/// Looked for in the current folder when no file is named.
pub(super) const DEFAULT_NAME: &str = "flagmeter.toml";

/// Takes what the file says.
pub(super) fn read(path: &Path, sources: &mut Sources) -> Result<()> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| Error::Config(format!("the configuration file {shown} cannot be read: {error}")))?;
    let table = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        Error::Config(format!("{shown} line {line} is not TOML: {}", one_line(error.message())))
    })?;
    for (section, values) in table.get_ref() {
        let line = line_of(&text, section.span().start);
        let DeValue::Table(values) = values.get_ref() else {
            let name = section.get_ref();
            return Err(Error::Config(format!(
                "{shown} line {line}: {name} stands outside of any section: put it below a line such as [listen]"
            )));
        };
        for (name, value) in values {
            let line = line_of(&text, name.span().start);
            let name = format!("{}.{}", section.get_ref(), name.get_ref());
            let value = text_of(value.get_ref()).ok_or_else(|| {
                Error::Config(format!("{name} ({shown} line {line}) is a list or a table: write one value"))
            })?;
            sources.set(&name, value, Source::File { path: path.to_owned(), line })?;
        }
    }
    Ok(())
}

/// Every value is parsed from its text, wherever it comes from.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

fn one_line(message: &str) -> String {
    message.split('\n').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}
