//! Flags as a file defines them, in flagd's format.
//!
//! ```json
//! {
//!   "flags": {
//!     "log-compression": {
//!       "state": "ENABLED",
//!       "variants": { "off": "off", "zstd": "zstd" },
//!       "defaultVariant": "zstd",
//!       "targeting": { "if": [{ "in": [{ "var": "targetingKey" }, ["acme"]] }, "off", null] },
//!       "metadata": { "owner": "pipeline", "remove_by": "2027-03-31" }
//!     }
//!   }
//! }
//! ```

use std::{collections::BTreeMap, sync::Arc};

use chrono::NaiveDate;
use flagmeter_model::Timestamp;
use serde_json::{Map, Value};

use crate::{
    Context, Error, ErrorCode, Evaluation, Failure, Notice, Reason, Result,
    rule::{self, Budget, Rule},
};

/// So many names that are no variants are told of a flag.
const UNKNOWN_MAX: usize = 8;

/// All flags of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Definition {
    flags: BTreeMap<String, Flag>,
}

/// One flag.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    enabled: bool,
    variants: Map<String, Value>,
    default_variant: Option<String>,
    targeting: Option<Result<Rule, String>>,
    metadata: Map<String, Value>,
    /// That of the file, for what its own does not say.
    of_all: Arc<Map<String, Value>>,
}

impl Definition {
    /// Largest text that is read: one that holds thousands of flags.
    pub const BYTES_MAX: usize = 1 << 20;

    /// Reads a definition. A rule that cannot be read is an error of its flag alone, when it is evaluated: other flags
    /// of the file may be for programs that know more.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > Self::BYTES_MAX {
            return Err(Error::TooLarge { bytes_max: Self::BYTES_MAX });
        }
        let json: Value = serde_json::from_str(text).map_err(|error| Error::NotJson {
            line: error.line(),
            column: error.column(),
            reason: cause_of(&error),
        })?;
        let part = |name: &str| match json.get(name) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(part)) => Ok(part.clone()),
            Some(_) => Err(Error::Form(format!("{name:?} is no object"))),
        };
        let (shared, metadata) = (part("$evaluators")?, Arc::new(part("metadata")?));
        let mut budget = Budget::of_file();
        let mut flags = BTreeMap::new();
        for (key, flag) in listed(&json)? {
            let flag = Flag::read(flag, &shared, &metadata, &mut budget)
                .map_err(|reason| Error::Flag { flag: key.to_owned(), reason })?;
            if flags.insert(key.to_owned(), flag).is_some() {
                return Err(Error::Flag { flag: key.to_owned(), reason: "it is there twice".into() });
            }
        }
        Ok(Self { flags })
    }

    /// A flag, if it is defined.
    pub fn flag(&self, key: &str) -> Option<&Flag> {
        self.flags.get(key)
    }

    /// All flags with their keys.
    pub fn flags(&self) -> impl Iterator<Item = (&str, &Flag)> {
        self.flags.iter().map(|(key, flag)| (key.as_str(), flag))
    }

    /// What a flag is in a context.
    pub fn evaluate(&self, key: &str, context: &Context, now: Timestamp) -> Evaluation {
        match self.flags.get(key) {
            Some(flag) => flag.evaluate(key, context, now),
            None => Evaluation::failed(Failure::new(
                ErrorCode::FlagNotFound,
                format!("no flag {key:?} is defined"),
            )),
        }
    }
}

/// `flags` is an object by key, or a list of flags that have a `key`.
fn listed(json: &Value) -> Result<Vec<(&str, &Value)>> {
    match json.get("flags") {
        Some(Value::Object(flags)) => Ok(flags.iter().map(|(key, flag)| (key.as_str(), flag)).collect()),
        Some(Value::Array(flags)) => {
            let keyed = |flag| Some((Value::as_str(Value::get(flag, "key")?)?, flag));
            let no_key = || Error::Form("a flag in the list has no \"key\"".into());
            flags.iter().map(|flag| keyed(flag).ok_or_else(no_key)).collect()
        }
        Some(_) => Err(Error::Form("\"flags\" is no object".into())),
        None => Err(Error::Form("it has no \"flags\": write {\"flags\": {…}}, as flagd reads it".into())),
    }
}

/// What serde says, without the place, which is told apart.
fn cause_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or_else(|| text.clone(), |(cause, _)| cause.to_owned())
}

fn names_unknown(name: &str) -> String {
    let name: String = name.chars().take(64).collect();
    format!("its rule names {name:?}, which is none of its variants")
}

impl Flag {
    fn read(
        json: &Value,
        shared: &Map<String, Value>,
        of_all: &Arc<Map<String, Value>>,
        budget: &mut Budget,
    ) -> Result<Self, String> {
        let enabled = match json.get("state").and_then(Value::as_str) {
            Some("ENABLED") => true,
            Some("DISABLED") => false,
            _ => return Err("its state is neither \"ENABLED\" nor \"DISABLED\"".into()),
        };
        let variants = match json.get("variants") {
            Some(Value::Object(variants)) => variants.clone(),
            _ => return Err("its \"variants\" are no object".into()),
        };
        let default_variant = match json.get("defaultVariant") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if name.is_empty() => None,
            Some(Value::String(name)) if variants.contains_key(name) => Some(name.clone()),
            Some(other) => return Err(format!("its defaultVariant {other} is none of its variants")),
        };
        let targeting = match json.get("targeting") {
            None | Some(Value::Null) => None,
            Some(Value::Object(rule)) if rule.is_empty() => None,
            Some(rule) => Some(Rule::read(rule, shared, budget)),
        };
        let metadata = match json.get("metadata") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(own)) => own.clone(),
            Some(_) => return Err("its \"metadata\" is no object".into()),
        };
        Ok(Self { enabled, variants, default_variant, targeting, metadata, of_all: Arc::clone(of_all) })
    }

    fn metadata(&self, name: &str) -> Option<&Value> {
        self.metadata.get(name).or_else(|| self.of_all.get(name))
    }

    /// Its variants with their values.
    pub fn variants(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.variants.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether its state is `ENABLED`.
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Who looks after it: `metadata.owner`, its own or that of the file.
    pub fn owner(&self) -> Option<&str> {
        self.metadata("owner").and_then(Value::as_str).filter(|owner| !owner.trim().is_empty())
    }

    /// What whoever looks after it should know, on the day `today`.
    pub fn notices(&self, today: NaiveDate) -> Vec<Notice> {
        let mut notices = Vec::new();
        if self.owner().is_none() {
            notices.push(Notice::WithoutOwner);
        }
        match self.metadata("remove_by") {
            None | Some(Value::Null) => notices.push(Notice::WithoutRemoval),
            Some(text) => match text.as_str().and_then(|text| text.parse::<NaiveDate>().ok()) {
                Some(date) if date < today => notices.push(Notice::PastRemoval(date)),
                Some(_) => {}
                None => notices.push(Notice::RemovalUnreadable(text.to_string())),
            },
        }
        match &self.targeting {
            None => {}
            Some(Err(why)) => notices.push(Notice::Broken(why.clone())),
            Some(Ok(rule)) => {
                let unknown = rule.named().into_iter().filter(|name| !self.variants.contains_key(name));
                notices.extend(unknown.take(UNKNOWN_MAX).map(|name| Notice::Broken(names_unknown(&name))));
            }
        }
        notices
    }

    fn evaluate(&self, key: &str, context: &Context, now: Timestamp) -> Evaluation {
        if !self.enabled {
            return Evaluation::without_value(Reason::Disabled);
        }
        let rule = match &self.targeting {
            None => {
                let reason = if self.default_variant.is_some() { Reason::Static } else { Reason::Default };
                return self.default_with(reason);
            }
            Some(Err(why)) => return Evaluation::failed(Failure::new(ErrorCode::ParseError, why.as_str())),
            Some(Ok(rule)) => rule,
        };
        let Ok(outcome) = rule::run(rule, &context.data(key, now)) else {
            let why = "its rule takes too many steps: make it smaller";
            return Evaluation::failed(Failure::new(ErrorCode::General, why));
        };
        let Some(name) = rule::variant_of(&outcome.value) else {
            return self.default_with(Reason::Default);
        };
        if let Some(value) = self.variants.get(&name) {
            let reason = if outcome.split { Reason::Split } else { Reason::TargetingMatch };
            return Evaluation { value: Some(value.clone()), variant: Some(name), reason, failure: None };
        }
        Evaluation::failed(Failure::new(ErrorCode::General, names_unknown(&name)))
    }

    fn default_with(&self, reason: Reason) -> Evaluation {
        let variant = self.default_variant.clone();
        let value = variant.as_ref().and_then(|name| self.variants.get(name)).cloned();
        Evaluation { value, variant, reason, failure: None }
    }
}

#[cfg(test)]
mod tests;
