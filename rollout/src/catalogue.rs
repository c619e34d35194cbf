//! Flagmeter's own flags. Whatever else a file defines is left alone.

use serde_json::Value;

use crate::Reason;

/// One of flagmeter's own flags.
#[derive(Debug, PartialEq)]
pub struct OwnFlag {
    /// Its key in the file.
    pub key: &'static str,
    /// What its values may be.
    pub takes: Takes,
    /// What holds where nothing is defined, and where it cannot be evaluated: what flagmeter does without any file.
    pub default: &'static str,
    /// What holds where its state is `DISABLED`: without what it is about.
    pub disabled: &'static str,
    /// Who looks after what reads it.
    pub owner: &'static str,
    /// What it decides, and for whom.
    pub meaning: &'static str,
}

/// The values of a flag. Each has a name, which is what metrics and exposures call it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Takes {
    /// true or false, called `on` and `off`.
    Boolean,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A number from 0 to 1, called `all`, `none` or `part`.
    Share,
}

/// Whether, and how, the batches of a customer are compressed on the log.
pub(crate) static LOG_COMPRESSION: OwnFlag = OwnFlag {
    key: "log-compression",
    takes: Takes::OneOf(&["off", "gzip", "zstd"]),
    default: "zstd",
    disabled: "off",
    owner: "pipeline",
    meaning: "how edges compress a customer's batches on the log",
};

/// Whether bursts of a customer are looked for.
pub(crate) static BURST_DETECTION: OwnFlag = OwnFlag {
    key: "burst-detection",
    takes: Takes::Boolean,
    default: "on",
    disabled: "off",
    owner: "operators",
    meaning: "whether bursts and drops of a customer's traffic are looked for",
};

/// Which share of log lines of the level info and below is written.
pub(crate) static LOG_SAMPLING: OwnFlag = OwnFlag {
    key: "log-sampling",
    takes: Takes::Share,
    default: "all",
    disabled: "all",
    owner: "operators",
    meaning: "which share of a process's log lines of the levels info, debug and trace is written; warnings and errors always are",
};

/// All of them.
pub static CATALOGUE: [&OwnFlag; 3] = [&LOG_COMPRESSION, &BURST_DETECTION, &LOG_SAMPLING];

/// What `log-compression` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compression {
    /// As it is.
    Off,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl OwnFlag {
    /// What holds where an evaluation has no value.
    pub fn fallback(&self, reason: Reason) -> &'static str {
        if reason == Reason::Disabled { self.disabled } else { self.default }
    }

    /// Whether a file's value is of its type.
    pub fn fits(&self, value: &Value) -> bool {
        self.takes.name_of(value).is_some()
    }
}

impl Takes {
    /// What a value is called; `None` where it is of another type.
    pub(crate) fn name_of(self, value: &Value) -> Option<&'static str> {
        match (self, value) {
            (Self::Boolean, Value::Bool(yes)) => Some(if *yes { "on" } else { "off" }),
            (Self::OneOf(names), Value::String(text)) => names.iter().copied().find(|name| name == text),
            (Self::Share, Value::Number(number)) => match number.as_f64()? {
                0.0 => Some("none"),
                1.0 => Some("all"),
                share if (0.0..1.0).contains(&share) => Some("part"),
                _ => None,
            },
            _ => None,
        }
    }

    /// What values can be called.
    pub(crate) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Boolean => &["on", "off"],
            Self::OneOf(names) => names,
            Self::Share => &["all", "part", "none"],
        }
    }

    /// In a sentence.
    pub fn described(self) -> String {
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::OneOf(names) => {
                let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Share => "a number from 0 to 1".to_owned(),
        }
    }
}
