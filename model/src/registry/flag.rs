//! The flags that a project lists: a name alone, or a table with who looks after the flag and by when it should be gone.
//!
//! ```toml
//! [[customer.project]]
//! id = "web"
//! flags = [
//!     "dark-mode",
//!     { id = "checkout-v2", owner = "payments", remove_by = "2026-12-31" },   # owner and remove_by are optional
//! ]
//! ```

use std::{collections::BTreeMap, fmt};

use chrono::NaiveDate;
use serde::{
    Deserialize, Deserializer,
    de::{self, value::MapAccessDeserializer},
};
use toml::{Spanned, value::Datetime};

use super::{Lines, RegistryError};
use crate::Name;

/// What a registry says of a flag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedFlag {
    /// Who looks after it: a team or a person, in the customer's own words.
    pub owner: Option<Name>,
    /// The last day on which it is meant to be there, in the customer's zone.
    pub remove_by: Option<NaiveDate>,
}

/// The flags of a project, by name.
pub type ListedFlags = BTreeMap<Name, ListedFlag>;

/// A flag as it is written.
pub(super) enum FlagText {
    Plain(String),
    Table(FlagTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlagTable {
    id: Spanned<String>,
    owner: Option<Spanned<String>>,
    remove_by: Option<Spanned<DateText>>,
}

/// A date as it is written: in quotes, or as TOML writes dates itself.
struct DateText(String);

/// By hand: what serde makes for "one or the other" forgets on which line the parts stand.
impl<'de> Deserialize<'de> for FlagText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = FlagText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "the name of a flag, or a table such as { id = \"checkout-v2\", owner = \"payments\" }",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<FlagText, E> {
                Ok(FlagText::Plain(text.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<FlagText, A::Error> {
                FlagTable::deserialize(MapAccessDeserializer::new(map)).map(FlagText::Table)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for DateText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = DateText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date such as \"2026-12-31\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<DateText, E> {
                Ok(DateText(text.to_owned()))
            }

            /// TOML's own dates come as a map.
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<DateText, A::Error> {
                Datetime::deserialize(MapAccessDeserializer::new(map)).map(|date| DateText(date.to_string()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Reads the list of a project.
pub(super) fn read(lines: &Lines, texts: Vec<Spanned<FlagText>>) -> Result<ListedFlags, RegistryError> {
    let mut flags = ListedFlags::new();
    let mut seen = BTreeMap::new();
    for text in texts {
        let span = text.span();
        let (id, listed) = match text.into_inner() {
            FlagText::Plain(id) => (Spanned::new(span, id), ListedFlag::default()),
            FlagText::Table(FlagTable { id, owner, remove_by }) => {
                let owner = owner.map(|owner| lines.name("owner of a flag", &owner)).transpose()?;
                let remove_by = remove_by.map(|date| self::date(lines, &date)).transpose()?;
                (id, ListedFlag { owner, remove_by })
            }
        };
        let name = lines.name("name of a flag", &id)?;
        if let Some(first) = seen.insert(name.clone(), lines.of(&id.span())) {
            return lines.refuse(
                id.span(),
                format!("the flag {name:?} stands on line {first} already; take one of the two away"),
            );
        }
        flags.insert(name, listed);
    }
    Ok(flags)
}

fn date(lines: &Lines, text: &Spanned<DateText>) -> Result<NaiveDate, RegistryError> {
    let DateText(written) = text.get_ref();
    // One way to write a day: the parser alone would take missing zeros, signs and spaces as well.
    let is_plain = written.len() == 10 && written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = is_plain.then(|| written.parse().ok()).flatten();
    date.map_or_else(
        || {
            let shown: String = written.chars().take(32).collect();
            lines.refuse(
                text.span(),
                format!(
                    "{shown:?} is no day on which a flag could be gone: write a date such as \"2026-12-31\""
                ),
            )
        },
        Ok,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Registry;

    const PROJECT: &str = "[[customer]]\nid = \"acme\"\n[[customer.project]]\nid = \"web\"\n";

    fn listed(flags: &str) -> ListedFlags {
        let registry = Registry::parse(&format!("{PROJECT}{flags}")).unwrap();
        registry.customers()[0].projects[0].flags.clone().unwrap()
    }

    fn flag(owner: Option<&str>, remove_by: Option<&str>) -> ListedFlag {
        ListedFlag {
            owner: owner.map(|owner| Name::new(owner).unwrap()),
            remove_by: remove_by.map(|date| date.parse().unwrap()),
        }
    }

    #[test]
    fn a_flag_is_a_name_or_a_table_with_its_owner_and_its_last_day() {
        let flags = listed(
            "flags = [\"plain\", { id = \"all\", owner = \"支払い\", remove_by = \"2026-12-31\" },\n\
             { id = \"day\", remove_by = 2028-02-29 }, { id = \"bare\" }]\n",
        );
        let expected = [
            ("all", flag(Some("支払い"), Some("2026-12-31"))),
            ("bare", flag(None, None)),
            ("day", flag(None, Some("2028-02-29"))),
            ("plain", flag(None, None)),
        ];
        let found: Vec<_> = flags.iter().map(|(name, flag)| (name.as_str(), flag.clone())).collect();
        assert_eq!(found, expected);
        assert_eq!(listed("[[customer.project.flags]]\nid = \"all\"\nowner = \"a\"\n").len(), 1);
        assert!(listed("flags = []\n").is_empty());
    }

    #[test]
    fn what_makes_no_flag_is_refused_with_its_line() {
        for (text, line, says) in [
            (
                "flags = [\n\"a\",\n{ id = \"b\", remove_by = \"2026-02-30\" }]\n",
                7,
                "\"2026-02-30\" is no day",
            ),
            ("flags = [\n{ id = \"b\", remove_by = \"2026-2-3\" }]\n", 6, "write a date"),
            ("flags = [\n{ id = \"b\", remove_by = \"soon\" }]\n", 6, "write a date"),
            ("flags = [\n{ id = \"b\", remove_by = 2026-12-31T10:00:00Z }]\n", 6, "write a date"),
            ("flags = [\n{ id = \"b\", remove_by = 2026 }]\n", 6, "a date such as"),
            ("flags = [\n{ id = \"b\", ownr = \"x\" }]\n", 6, "unknown field `ownr`"),
            ("flags = [\n{ id = \"b\", owner = \"\" }]\n", 6, "the owner of a flag cannot be taken"),
            ("flags = [\n{ owner = \"x\" }]\n", 6, "missing field `id`"),
            ("flags = [\n3]\n", 6, "the name of a flag"),
            ("flags = [\n\"a\",\n\"a\"]\n", 7, "\"a\" stands on line 6 already"),
            ("flags = [\"a\",\n\n{ id = \"a\" }]\n", 7, "stands on line 5 already"),
            (
                "[[customer.project.flags]]\nid = \"a\"\n[[customer.project.flags]]\nid = \"b\"\nowner = 3\n",
                9,
                "string",
            ),
        ] {
            let error = Registry::parse(&format!("{PROJECT}{text}")).unwrap_err();
            assert_eq!(error.line, line, "{error} in\n{text}");
            assert!(error.sentence.contains(says), "{error} does not say {says:?}");
            assert!(!error.sentence.contains('\n'), "{error} is more than a sentence");
        }
    }

    proptest! {
        #[test]
        fn every_day_is_read_as_it_is_written(day in 0_i32..100_000, quoted: bool) {
            let day = NaiveDate::from_epoch_days(day).unwrap();
            let quote = if quoted { "\"" } else { "" };
            let flags = listed(&format!("flags = [{{ id = \"a\", remove_by = {quote}{day}{quote} }}]\n"));
            prop_assert_eq!(flags["a"].remove_by, Some(day));
        }

        #[test]
        fn whatever_stands_for_a_day_is_read_or_refused_on_its_line(text in "[0-9Tt:Z +-]{0,20}") {
            if let Err(error) = Registry::parse(&format!("{PROJECT}flags = [\n{{ id = \"a\", remove_by = \"{text}\" }}]\n")) {
                prop_assert_eq!(error.line, 6);
            }
        }
    }
}
